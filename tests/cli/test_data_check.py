"""`videopath data check` as a user runs it: what is wrong with data is found before anything is trained on them."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Run
from tests.training.synthetic import DIAGNOSES, texture, write_dataset
from videopath_hf.video.encode import write_clip


def textures(count: int) -> list[Any]:
    """Different pictures of tissue."""
    rng = np.random.default_rng(3)
    return [texture(DIAGNOSES[number % 2], rng)[:, :96] for number in range(count)]


def pan(path: Path, field: Any) -> None:
    write_clip(path, [field[:, left : left + 64] for left in range(0, 32, 4)], fps=4)


def entry(name: str, path: str, **values: Any) -> dict[str, Any]:
    kind = "video" if path.endswith(".mp4") else "image"
    answer = "The villi are flat.\nDiagnosis: celiac disease"
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": answer}]
    return {"id": name, kind: path, "conversations": turns, **values}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Two files of records, train and test, about different clips and pictures."""
    root = tmp_path / "data"
    root.mkdir()
    fields = textures(6)
    for number, field in enumerate(fields[:4]):
        pan(root / f"v{number}.mp4", field)
    for number, field in enumerate(fields[4:]):
        Image.fromarray(field).save(root / f"i{number}.png")
    train = [*(entry(f"a{n}", f"v{n}.mp4") for n in range(3)), entry("i0", "i0.png")]
    test = [entry("b3", "v3.mp4"), entry("i1", "i1.png")]
    (root / "train.json").write_text(json.dumps(train))
    (root / "test.json").write_text(json.dumps(test))
    (root / "mix.yaml").write_text("datasets: [{json_path: train.json}, {json_path: test.json, split: test}]\n")
    return root


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_sound_data_pass_and_are_counted(sound: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    code, text, err = run("data", "check", sound / "mix.yaml", "--out", out, "--json")
    assert code == 0, err
    result = json.loads(text)
    assert result["splits"] == {"train": 4, "test": 2}
    assert result["media"] == {"image": {"ok": 2}, "video": {"ok": 4}}
    assert {(row["source"], row["kind"], row["split"]): row["records"] for row in result["records"]} == {
        ("train", "video", "train"): 3,
        ("train", "image", "train"): 1,
        ("test", "video", "test"): 1,
        ("test", "image", "test"): 1,
    }
    assert result["labels"]["diagnosis"]["train"] == {"celiac disease": 4}
    assert result["labels"]["organ"]["test"] == {"": 2}
    assert (result["unit"], result["visual_tokens"]) == ("words", None)
    assert result["lengths"]["video"]["median"] == 8  # What? The villi are flat. Diagnosis: celiac disease
    assert result["leakage"]["compared"] == {"train": 4, "test": 2}
    assert json.loads((out / "check.json").read_text())["splits"] == result["splits"]
    page = (out / "check.html").read_text()
    assert '<td>train</td><td>video</td><td class="n">3</td><td class="n">0</td>' in page
    assert "Allowed were" not in page


def test_missing_empty_broken_and_refused_media_are_told_apart(sound: Path, tmp_path: Path, run: Run) -> None:
    (sound / "v0.mp4").unlink()
    (sound / "v1.mp4").write_bytes(b"")
    (sound / "v2.mp4").write_bytes((sound / "v3.mp4").read_bytes()[:300])
    picture = (sound / "i0.png").read_bytes()
    (sound / "i0.png").write_bytes(picture[: len(picture) // 2])
    secret = tmp_path / "secret.png"
    (sound / "i1.png").rename(secret)
    (sound / "i1.png").symlink_to(secret)
    out = tmp_path / "out"
    code, _, err = run("data", "check", sound / "mix.yaml", "--out", out)
    assert code == 3
    assert "5 of 6 media cannot be used: 1 missing, 1 empty, 2 broken, 1 refused" in err
    assert "Traceback" not in err
    found = {problem["path"]: (problem["fault"], problem["record"]) for problem in lines(out / "problems.jsonl")}
    assert found == {
        "v0.mp4": ("missing", "train:a0"),
        "v1.mp4": ("empty", "train:a1"),
        "v2.mp4": ("broken", "train:a2"),
        "i0.png": ("broken", "train:i0"),
        "i1.png": ("refused", "test:i1"),
    }
    page = (out / "check.html").read_text()
    assert "v2.mp4" in page
    assert run("data", "check", sound / "mix.yaml", "--out", out, "--max-broken", "0.9")[0] == 0
    assert "Allowed were: max_broken 0.9." in (out / "check.html").read_text()


def test_a_mended_medium_is_opened_again_and_the_others_are_not(
    sound: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath_hf.data.checks import media

    good = (sound / "v0.mp4").read_bytes()
    (sound / "v0.mp4").write_bytes(b"no video")
    assert run("data", "check", sound / "mix.yaml", "--out", tmp_path / "out")[0] == 3
    (sound / "v0.mp4").write_bytes(good)
    opened: list[str] = []
    real = media._look
    monkeypatch.setattr(media, "_look", lambda found, kind: opened.append(found.path.name) or real(found, kind))
    assert run("data", "check", sound / "mix.yaml", "--out", tmp_path / "out")[0] == 0
    assert opened == ["v0.mp4"]


def test_a_check_that_was_cut_off_does_not_open_again_what_it_saw(
    sound: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath_hf.data.checks import media, survey

    opened: list[str] = []
    real = media._look

    def look(found: Any, kind: str) -> Any:
        opened.append(found.path.name)
        if len(opened) == 4:
            raise KeyboardInterrupt
        return real(found, kind)

    monkeypatch.setattr(survey, "_BATCH", 1)
    monkeypatch.setattr(media, "_look", look)
    assert run("data", "check", sound / "mix.yaml", "--out", tmp_path / "out")[0] == 130
    assert not (tmp_path / "out/check.json").exists()
    assert run("data", "check", sound / "mix.yaml", "--out", tmp_path / "out")[0] == 0
    assert sorted(opened) == sorted(["v0.mp4", "v1.mp4", "v2.mp4", "i0.png", "i0.png", "v3.mp4", "i1.png"])


def test_frames_that_were_not_compared_are_said_with_the_reason(
    sound: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath_hf.data.checks import leakage

    monkeypatch.setattr(leakage, "find_spec", lambda name: None)
    code, text, _ = run("data", "check", sound / "mix.yaml", "--out", tmp_path / "out", "--json")
    assert code == 0
    assert "pip install 'videopath-hf[curate]'" in json.loads(text)["leakage"]["skipped"]
    assert "Frames were not compared: it needs OpenCV" in (tmp_path / "out/check.html").read_text()


def test_a_clip_of_train_under_another_name_in_test_is_leakage(sound: Path, tmp_path: Path, run: Run) -> None:
    from videopath_hf.video.decode import read_frames

    frames = read_frames(sound / "v1.mp4", range(8))
    darker = np.clip(frames * 0.93, 0, 255).astype(np.uint8)
    write_clip(sound / "v3.mp4", darker, fps=4, crf=30)  # compressed anew, darker
    out = tmp_path / "out"
    code, _, err = run("data", "check", sound / "mix.yaml", "--out", out)
    assert code == 3
    assert "50.0% of the compared test media look like one of train" in err
    assert "source" not in err
    (leak,) = lines(out / "leakage.jsonl")
    assert (leak["what"], leak["train"], leak["test"]) == ("frames", "mix.yaml:v1.mp4", "mix.yaml:v3.mp4")
    assert run("data", "check", sound / "mix.yaml", "--out", out, "--max-leakage", "0.5")[0] == 0
    assert run("data", "check", sound / "mix.yaml", "--out", out, "--leak-media", "0")[0] == 0


def test_the_same_source_video_in_both_splits_is_leakage(tmp_path: Path, run: Run) -> None:
    data = write_dataset(tmp_path / "data", clips=3, held_out=1)
    out = tmp_path / "out"
    code, _, err = run("data", "check", data, "--out", out)
    assert code == 3
    assert "100.0% of the test records are about videos that are in train too" in err
    assert lines(out / "leakage.jsonl")[0]["train"] == "lecture"


def test_two_files_are_train_and_test_and_the_same_medium_in_both_is_named(
    sound: Path, tmp_path: Path, run: Run
) -> None:
    (sound / "test.json").write_text(json.dumps([entry("b", "v0.mp4", videopath=None)]))
    out = tmp_path / "out"
    assert run("data", "check", sound / "train.json", sound / "test.json", "--out", out)[0] == 0  # both say train
    assert run("data", "check", sound / "mix.yaml", "--out", out)[0] == 3
    assert [leak["what"] for leak in lines(out / "leakage.jsonl")] == ["video", "file", "frames"]


def test_entries_that_make_no_record_fail_the_check(sound: Path, tmp_path: Path, run: Run) -> None:
    (sound / "train.json").write_text(json.dumps([entry("a", "v0.mp4"), entry("a", "v1.mp4"), {"id": "x"}]))
    code, _, err = run("data", "check", sound / "train.json", "--out", tmp_path / "out")
    assert code == 3
    assert "2 of 3 entries make no record" in err
    assert [reject["where"] for reject in lines(tmp_path / "out/rejects.jsonl")] == ["item 2", "item 3"]


def test_media_in_a_zip_are_checked_where_they_lie(sound: Path, tmp_path: Path, run: Run) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sound.iterdir():
            archive.write(path, f"release/{path.name}")
        archive.writestr("../evil.mp4", b"x")
        archive.writestr("release/v0.mp4.bak", b"x")
    with zipfile.ZipFile(tmp_path / "broken.zip", "w") as archive:
        archive.writestr("v0.mp4", b"not a video")
    out = tmp_path / "out"
    code, text, err = run("data", "check", tmp_path / "all.zip", "--out", out, "--leak-media", "0", "--json")
    assert code == 0, err
    result = json.loads(text)
    assert result["media"] == {"image": {"ok": 2}, "video": {"ok": 4}}
    assert [member for member in result["refused_members"] if "../evil.mp4" in member]
    code, _, err = run("data", "check", sound / "train.json", "--media", tmp_path / "broken.zip", "--out", out)
    assert code == 3
    assert "3 missing, 1 broken" in err


def test_the_page_stands_alone_and_escapes_what_the_data_say(sound: Path, tmp_path: Path, run: Run) -> None:
    nasty = "<script>alert(1)</script>"
    (sound / "train.json").write_text(
        json.dumps([entry(nasty, f"{nasty}.mp4"), entry("y", "v0.mp4", videopath={"organ": nasty, "licence": nasty})])
    )
    assert run("data", "check", sound / "train.json", "--out", tmp_path / "out")[0] == 3
    page = (tmp_path / "out/check.html").read_text()
    assert nasty not in page
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", page)
    assert page.count("<svg") == 2


def test_lengths_are_those_that_training_counts(tmp_path: Path, run: Run) -> None:
    from tests.training.synthetic import texts
    from videopath_hf.data.folder import read_instructions
    from videopath_hf.modeling.loading import load_model
    from videopath_hf.modeling.tiny import build_tiny
    from videopath_hf.training.collator import VideoPathCollator
    from videopath_hf.training.samples import survey_samples

    data = write_dataset(tmp_path / "data", clips=2, held_out=1)
    model = build_tiny(texts(), tmp_path / "tiny", seed=0)
    collator = VideoPathCollator(load_model(model)[1], data, num_frames=4)
    kinds = ["caption", "image", "clip", "video"]
    trained = [
        length
        for split in ("train", "test")
        for length in survey_samples(read_instructions(data, kinds, split), collator, 0).lengths.values()
    ]
    command = ["data", "check", data, "--out", tmp_path / "out", "--max-leakage", "1", "--json"]
    code, text, err = run(*command, "--tokenizer", model, "--num-frames", "4", "--max-length", str(max(trained) - 1))
    assert code == 0, err
    result = json.loads(text)
    assert sum(figures["sum"] for figures in result["lengths"].values()) == sum(trained)
    assert max(figures["greatest"] for figures in result["lengths"].values()) == max(trained)
    assert result["overlong"] == trained.count(max(trained)) > 0
    assert result["visual_tokens"].keys() == {"image", "video"}


def test_what_is_no_tokenizer_is_one_sentence(sound: Path, tmp_path: Path, run: Run) -> None:
    code, _, err = run("data", "check", sound / "train.json", "--out", tmp_path / "out", "--tokenizer", sound)
    assert code == 2
    assert "gives no tokenizer or processor" in err
    assert not (tmp_path / "out").exists()


def test_nothing_to_check_is_said(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in.json").write_text("[]")
    code, _, err = run("data", "check", tmp_path / "in.json", "--from", "llava", "--out", tmp_path / "out")
    assert code == 2
    assert "no record to check" in err
