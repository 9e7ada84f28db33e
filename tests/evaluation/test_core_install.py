"""Scoring needs the core alone: no package that only an extra brings."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from tests.evaluation.many_records import make_records, write_answers
from videopath_hf.evaluation.results import read_results

_SCORE = """
import sys
from importlib.machinery import PathFinder

class Core:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in {missing!r} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Core
sys.argv = ["videopath", "score", {answers!r}, "--data", {data!r}, "--out", {out!r}, "--set", "resamples=100"]
from videopath_hf.cli.main import main
main()
"""


def of_extras_alone() -> set[str]:
    """Top-level modules of what only extras of this package ask for."""
    core, extra = set[str](), set[str]()
    for requirement in requires("videopath-hf") or []:
        name = re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")
        (extra if "extra ==" in requirement else core).add(name)
    only = extra - core - {"videopath-hf"}
    return {
        module
        for module, names in packages_distributions().items()
        if {name.lower().replace("_", "-") for name in names} <= only
    }


def test_answers_are_scored_without_any_extra(tmp_path: Path) -> None:
    missing = of_extras_alone()
    assert {"mypy", "cv2", "wordllama"} <= missing
    assert not {"torch", "transformers", "videopath_hf", "pydantic"} & missing
    records = make_records(tmp_path / "records.jsonl", videos=4)
    answers = write_answers(tmp_path / "answers.jsonl", records, {"colon": 0.5, "duodenum": 1.0})
    out = tmp_path / "scores"
    code = _SCORE.format(missing=missing, answers=str(answers), data=str(tmp_path / "records.jsonl"), out=str(out))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    columns = read_results(out)[0].variants["full"].columns
    assert {"rougeL", "diagnosis_exact", "finding_recall"} <= set(columns)
