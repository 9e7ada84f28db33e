# make demo and make test need only Python 3.10+, a C compiler and git: each makes the venv and installs into it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The app's tests have a venv of their own, on top of the other: Gradio needs a Pillow older than 13, which resizes some
# pictures otherwise than the version that the parity tests' pixels are of.
APP_VENV := $(VENV)-app
APP_INSTALLED := $(APP_VENV)/.installed
SITE = import sysconfig; print(sysconfig.get_path("purelib"))

# Parts of the tests, and those that take longest first.
APART := curation training docs evaluation modeling
PARTS := test-curation test-others $(addprefix test-,$(filter-out curation,$(APART)))
APP_PARTS := test-app-browser test-app-others

.PHONY: demo test test-app quality bench docs $(PARTS) $(APP_PARTS)

demo: $(INSTALLED)
	$(BIN)/videopath demo

# Three processes at a time, each with a part of the tests: many tests wait more than they compute. A part that fails
# keeps no other from running.
test: $(INSTALLED)
	$(MAKE) --jobs 3 --keep-going --no-print-directory $(PARTS)

$(addprefix test-,$(APART)): test-%: $(INSTALLED)
	$(BIN)/python -m pytest tests/$*

test-others: $(INSTALLED)
	$(BIN)/python -m pytest $(addprefix --ignore tests/,$(APART))

test-app: $(APP_INSTALLED)
	$(MAKE) --jobs 2 --keep-going --no-print-directory $(APP_PARTS)

test-app-browser: $(APP_INSTALLED)
	$(APP_VENV)/bin/python -m pytest tests/serving/app/test_browser.py

test-app-others: $(APP_INSTALLED)
	$(APP_VENV)/bin/python -m pytest tests/serving/app --ignore tests/serving/app/test_browser.py

quality: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/decode.py
	$(BIN)/python benchmarks/inference.py
	$(BIN)/python benchmarks/instruct.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/data.py

# The page of the command line is written first, as the command stands: the tests compare the two.
docs: $(INSTALLED)
	$(BIN)/typer videopath_hf.cli.main utils docs --name videopath --title 'Command line' --output docs/reference/cli.md
	$(BIN)/sphinx-build -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[curate,faster-whisper,cluster,serve,docs,dev]'
	touch $@

$(APP_INSTALLED): $(INSTALLED)
	$(PYTHON) -m venv $(APP_VENV)
	$(BIN)/python -c '$(SITE)' > $$($(APP_VENV)/bin/python -c '$(SITE)')/beneath.pth
	$(APP_VENV)/bin/pip install --quiet --editable '.[app-test]'
	touch $@
