# make demo and make test need only Python 3.10+, a C compiler and git: each makes the venv and installs into it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test quality bench

demo: $(INSTALLED)
	$(BIN)/videopath demo

# Training in a process of its own: it starts others, beside nothing that the tests before it have loaded.
test: $(INSTALLED)
	$(BIN)/python -m pytest --ignore tests/training
	$(BIN)/python -m pytest tests/training

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

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[curate,faster-whisper,cluster,serve,dev]'
	touch $@
