"""`videopath segments`: reviewed and edited lists go out and come in as a user types it."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.errors import UserError
from videopath_hf.records import Segment


@pytest.fixture
def curated(tmp_path: Path) -> Path:
    """What the commands read of a finished folder."""
    folder = tmp_path / "curated"
    folder.mkdir()
    entry = {"video_id": "a", "source": "a.mp4", "sha256": "ab", "frames": 100, "fps": 25.0, "candidates": "c"}
    (folder / "run.json").write_text(json.dumps({"lectures": [entry]}))
    parts = [(0, 50, "title"), (50, 100, "tissue")]
    segments = [
        Segment(video_id="a", index=n, start=a / 25, end=b / 25, kind=kind, first=a, last=b)  # type: ignore[arg-type]
        for n, (a, b, kind) in enumerate(parts)
    ]
    (folder / "segments.jsonl").write_text("".join(segment.model_dump_json() + "\n" for segment in segments))
    return folder


@pytest.mark.parametrize("verb", ["review", "export", "import"])
def test_every_part_has_help_with_an_example(run: Run, verb: str) -> None:
    code, out, _ = run("segments", verb, "--help")
    assert code == 0
    assert f"Example: videopath segments {verb}" in out


@pytest.mark.parametrize(("name", "more"), [("x.csv", []), ("x.edl", []), ("x.txt", ["--format", "scenedetect"])])
def test_a_list_goes_out_and_comes_back(run: Run, curated: Path, tmp_path: Path, name: str, more: list[str]) -> None:
    code, out, _ = run("segments", "export", curated, tmp_path / name, *more, "--json")
    assert (code, json.loads(out)["segments"]) == (0, 2)
    code, out, _ = run("segments", "import", curated, tmp_path / name, "--out", tmp_path / "d.json", "--json")
    assert (code, json.loads(out)["rejected"]) == (0, 0)
    decided = json.loads((tmp_path / "d.json").read_text())
    assert [(s["first"], s["last"]) for s in decided["segments"]] == [(0, 50), (50, 100)]


def test_mistakes_are_one_sentence(run: Run, curated: Path, tmp_path: Path) -> None:
    for words, told in (
        (["export", curated, tmp_path / "x.txt"], "--format csv|edl|scenedetect"),
        (["export", tmp_path, tmp_path / "x.csv"], "no run.json"),
        (["import", curated, tmp_path / "none.csv", "--out", tmp_path / "d.json"], "cannot be read as text"),
    ):
        code, out, err = run("segments", *words)
        assert (code, out) == (2, "")
        assert told in err
        assert "Traceback" not in err
    assert not (tmp_path / "d.json").exists()


def test_curate_follows_the_decisions_saved_beside_the_review_pages(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def instead(inputs: object, out: object, settings: CurateSettings, *more: object) -> None:
        seen.append(settings.decisions)
        raise UserError("far enough")

    monkeypatch.setattr("videopath_hf.curation.pipeline.curate", instead)
    out = tmp_path / "out"
    (out / "review").mkdir(parents=True)
    run("curate", tmp_path / "a.mp4", "--out", out)
    segments = [{"first": 0, "last": 50, "verdict": "reject"}, {"first": 50, "last": 100}]
    decided = {"schema_version": 1, "video_id": "a", "sha256": "5a" * 32, "frames": 100, "segments": segments}
    (out / "review" / "a.decisions.json").write_text(json.dumps(decided))
    _, _, err = run("curate", tmp_path / "a.mp4", "--out", out)
    assert "a.decisions.json" in err
    assert [list(decisions) for decisions in seen] == [[], ["5a" * 32]]
