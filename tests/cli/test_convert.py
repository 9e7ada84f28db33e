"""`videopath convert` as a user types it."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.cli.conftest import Run
from tests.modeling.conftest import TEXTS
from tests.modeling.reference import write_reference
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.tiny import build_tiny


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("convert")
    tiny = build_tiny(TEXTS, folder / "tiny", seed=0)
    return write_reference(load_model(tiny)[0], tiny, folder / "reference")


def test_a_checkpoint_is_converted_and_the_report_printed(run: Run, reference: Path, tmp_path: Path) -> None:
    code, out, _ = run("convert", reference, tmp_path / "ours")
    assert code == 0
    assert f"mapped: {len(load_file(reference / 'model.safetensors'))}\n" in out and "(llava_next)" in out
    load_model(tmp_path / "ours")
    code, out, _ = run("convert", tmp_path / "ours", tmp_path / "back", "--layout", "llava_next", "--json")
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "back" / "conversion.json").read_text())


def test_a_wrong_weight_ends_in_one_sentence_and_no_output(run: Run, reference: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in reference.iterdir():
        (broken / file.name).symlink_to(file)
    weights = load_file(reference / "model.safetensors")
    del weights["model.norm.weight"]
    (broken / "model.safetensors").unlink()
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    code, out, err = run("convert", broken, tmp_path / "ours")
    assert code == 2 and out == "" and "Traceback" not in err
    assert err.strip().splitlines()[-1].startswith("videopath: error: ") and "lacks 1 weights" in err
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--layout", "gguf"], "'gguf'; accepted are videopath, llava_onevision, llava_next"),
        (["--layout", "llava_onevision"], "image_aspect_ratio = 'anyres'"),
        (["--dtype", "int8"], "'int8'"),
        (["--base", "elsewhere"], "not an adapter"),
        (["--no-merge"], "LoRA output"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_sentence(
    run: Run, reference: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    code, _, err = run("convert", reference, tmp_path / "out", *words)
    assert code == 2 and message in err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_source_that_cannot_be_had_is_named(run: Run, tmp_path: Path) -> None:
    code, _, err = run("convert", tmp_path / "none", tmp_path / "out")
    assert code == 2 and "none does not exist" in err
    code, _, err = run("convert", "nobody/no-such-model", tmp_path / "out")
    assert code == 2 and "nobody/no-such-model is not a folder" in err.strip().splitlines()[-1]
    assert "Traceback" not in err
