"""`videopath doctor`: parts are really tried, and none of them can take it down; the token is never shown."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from videopath_hf.serving import doctor
from videopath_hf.serving.doctor import Check, examine
from videopath_hf.serving.doctor_parts import MEGABYTES, OPTIONAL
from videopath_hf.serving.doctor_text import print_checks
from videopath_hf.serving.probes import probe

BROKEN = {
    "crashes": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "leaves": "import os\nos._exit(7)",
    "raises": "raise KeyError('no such\\nthing')",
    "hangs": "import time\ntime.sleep(600)",
    "chats": 'import os, sys\nprint(\'{"name": "chats", "state": "failed"}\')\nos.write(1, b\'noise\')',
    "works": "",
}
FOR_DEVELOPERS = {"app-test", "bench", "dev", "docs"}


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Modules that are there and do not work, and two that do."""
    for name, code in BROKEN.items():
        (tmp_path / f"part_that_{name}.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return [f"part_that_{name}" for name in BROKEN]


@pytest.mark.slow
def test_a_part_that_crashes_or_hangs_costs_itself_only(broken: list[str]) -> None:
    found = dict(doctor._try_all([*broken, "decoder:pyav"], patience=20))
    assert list(found) == [*broken, "decoder:pyav"]
    states = {name.removeprefix("part_that_"): tried.state for name, tried in found.items()}
    assert states == {
        **dict.fromkeys(("crashes", "leaves", "raises", "hangs"), "failed"),
        **dict.fromkeys(("chats", "works", "decoder:pyav"), "ok"),
    }
    assert found["part_that_crashes"].detail == "crashes (SIGSEGV)"
    assert found["part_that_leaves"].detail == "crashes (exit code 7)"
    assert found["part_that_raises"].detail == "'no such\\nthing'"
    assert found["part_that_hangs"].detail == "hangs: nothing came of it in 20 s"
    assert found["decoder:pyav"].detail == "decoded 2 frames of 1280x720 from the sample"


@pytest.mark.parametrize("module", ["cv2", "onnxruntime", "rapidocr"])
def test_what_curation_needs_is_used_and_not_only_imported(module: str) -> None:
    pytest.importorskip(module)
    assert re.search(r"painted out|ran the face detector|read 'COLON BIOPSY'", probe(module))


@pytest.mark.slow
def test_the_command_tells_everything_as_json_and_the_token_never(tmp_path: Path) -> None:
    environment = {**os.environ, "HF_TOKEN": "hf_secretsecret", "HF_HOME": "/proc/nowhere"}
    command = [sys.executable, "-m", "videopath_hf", "doctor", "--json"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert "secret" not in done.stdout + done.stderr
    assert checks["token of the Hub"]["detail"].startswith("there is one, from HF_TOKEN")
    assert checks["torch"]["state"] == checks["pyav"]["state"] == checks["this folder"]["state"] == "ok"
    assert checks["HF_HOME"]["state"] == "failed"
    assert "/proc/nowhere: cannot be written" in checks["HF_HOME"]["detail"]
    assert done.returncode == 1
    assert {check["group"] for check in checks.values()} == {"system", "core", "decoders", "optional", "places"}


def test_a_token_in_a_file_is_told_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    assert doctor._token().state == "missing"
    assert doctor._token().fix == "hf auth login"
    (tmp_path / "token").write_text("hf_secretsecret")
    assert doctor._token().detail.startswith(f"there is one, from {tmp_path / 'token'}")


def test_every_extra_is_looked_for_and_has_a_price() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    section = text.split("[project.optional-dependencies]\n")[1].split("\n[")[0]
    extras = set(re.findall(r"^([\w-]+) = \[", section, re.MULTILINE))
    assert {part.extra for part in OPTIONAL} == set(MEGABYTES) == extras - FOR_DEVELOPERS
    assert all(size > 0 for size in MEGABYTES.values())


def test_a_missing_part_says_what_for_how_much_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    version = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "rapidocr" else version(name))
    monkeypatch.setattr(
        doctor, "_try_all", lambda names, patience: ((name, doctor._Tried("ok", "imported")) for name in names)
    )
    (check,) = [check for check in examine() if check.name == "rapidocr"]
    assert check.model_dump() == {
        "group": "optional",
        "name": "rapidocr",
        "state": "missing",
        "detail": "not installed",
        "purpose": "reading on-screen text",
        "fix": "pip install 'videopath-hf[curate]'",
        "megabytes": MEGABYTES["curate"],
    }


def test_a_part_that_is_there_and_broken_says_why_and_how_to_put_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "trl" else "9.1")
    broken = {"torch": "no libgomp", "rapidocr": "crashes (SIGSEGV)"}

    def tried(names: list[str], patience: float) -> Any:
        for name in names:
            yield name, doctor._Tried("failed" if name in broken else "ok", broken.get(name, "imported"))

    monkeypatch.setattr(doctor, "_try_all", tried)
    parts = [check for check in examine() if check.group in ("core", "optional")]
    failed = {check.name: (check.detail, check.fix) for check in parts if check.state == "failed"}
    assert failed == {
        "torch": ("9.1 does not work: no libgomp", "pip install --force-reinstall --no-deps torch==9.1"),
        "trl": ("not installed", "pip install trl"),
        "rapidocr": (
            "9.1 does not work: crashes (SIGSEGV)",
            "pip install --force-reinstall --no-deps rapidocr==9.1",
        ),
    }


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_it_is_as_wide_as_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    fix = "pip install 'videopath-hf[curate]'"
    checks = [
        Check(group="core", name="torch", state="failed", detail="2.0 does not work: [Errno 2] " + "x" * 90, fix=fix),
        Check(group="optional", name="cv2", state="ok", detail="5.0, painted out a patch"),
        Check(
            group="optional",
            name="rapidocr",
            state="missing",
            detail="not installed",
            purpose="text",
            fix=fix,
            megabytes=3,
        ),
        Check(group="places", name="this folder", state="ok", detail="/work: 5.0 GB free", purpose="results"),
    ]
    print_checks(checks)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= columns
    assert "[Errno 2]" in out
    assert "3 MB  text" in out
    assert fix in out
    assert "broken: torch" in out
