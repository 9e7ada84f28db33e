"""`videopath labels`: what is trained on can be read with colour and without."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.training.synthetic import texts, write_dataset
from videopath_hf.data.folder import read_instructions

RECIPE = Path(__file__).parents[2] / "recipes" / "tiny" / "stage3_video_sft.yaml"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """`model=...` and `data.path=...` of a tiny checkpoint and two clips."""
    from videopath_hf.modeling.tiny import build_tiny

    root = tmp_path_factory.mktemp("labels")
    write_dataset(root / "data", clips=2, held_out=1)
    return [f"model={build_tiny(texts(), root / 'tiny', seed=0)}", f"data.path={root / 'data'}"]


def test_the_answer_stands_between_marks_and_media_are_counted(run: Run, places: list[str]) -> None:
    code, out, err = run("labels", RECIPE, "--sample", "1", *places)
    assert code == 0, err
    data = Path(places[1].removeprefix("data.path="))
    record = read_instructions(data, ["video"], "train")[1]
    assert f"sample {record.id} (1 of 2): " in out
    assert f"<|im_start|>assistant\n«{record.answer}<|im_end|>»" in out
    assert out.count("«") == 1
    assert "[video: 129 tokens]\nDescribe the tissue in this video" in out
    assert "\x1b" not in out


def test_a_terminal_shows_what_is_trained_on_in_green(
    run: Run, places: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    code, out, _ = run("labels", RECIPE, *places)
    assert code == 0
    assert "\x1b[1;32m«The " in out


def test_the_published_mask_shows_header_and_marks_too(run: Run, places: list[str]) -> None:
    code, out, _ = run("labels", RECIPE, "--json", *places, "label_mask=reference")
    assert code == 0
    found = json.loads(out)
    trained = [span["text"] for span in found["spans"] if span["trained"]]
    assert trained[0] == "<|im_start|>"
    assert trained[-1].startswith("<|im_end|>\n<|im_start|>assistant\nThe ")
    assert found["trained"] == sum(span["tokens"] for span in found["spans"] if span["trained"])
    assert found["tokens"] == sum(span["tokens"] for span in found["spans"])
    assert found["visual"] == 129


def test_a_sample_over_the_budget_is_shown_with_as_many_frames_as_fit(run: Run, places: list[str]) -> None:
    changes = [*places, "max_length=200", "over_budget=fewer_frames"]
    code, out, err = run("labels", RECIPE, "--json", *changes)
    assert code == 0, err
    found = json.loads(out)
    assert found["tokens"] <= 200 and found["visual"] < 129


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sample", "2"], "there is no sample 2: the recipe has 2, numbered from 0"),
        (["model=absent"], "absent"),
        (["max_length=200"], "248 tokens are more than max_length = 200"),
        (["label_mask=mine"], "label_mask = 'mine'"),
        (["label_maks=reference"], "did you mean 'label_mask'?"),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], message: str, run: Run, places: list[str]) -> None:
    code, out, err = run("labels", RECIPE, *places, *words)
    assert code == 2 and out == ""
    assert message in err and "Traceback" not in err


def test_a_recipe_without_model_and_data_says_what_to_add(run: Run) -> None:
    code, _, err = run("labels", RECIPE)
    assert code == 2
    assert "does not say model, data.path: add model=... data.path=..." in err
