"""There and back between the three layouts: other names, the same bits."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.modeling.conftest import encode, noise_frames, user
from tests.modeling.reference import (
    all_weights,
    edit,
    edit_weights,
    in_two_files,
    same_weights,
    stock_names_since_4_52,
)
from videopath_hf.errors import UserError
from videopath_hf.modeling.conversion import convert
from videopath_hf.modeling.loading import CheckpointError, load_model
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration

Loaded = tuple[Any, Any]
STOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "videopath_hf":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
import json
import numpy, torch
from transformers import AutoModelForImageTextToText, AutoProcessor
path, frames, out = sys.argv[1:]
model, report = AutoModelForImageTextToText.from_pretrained(path, output_loading_info=True)
processor = AutoProcessor.from_pretrained(path)
messages = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What?"}]}]
text = processor.apply_chat_template(messages, add_generation_prompt=True)
inputs = processor(text=text, videos=[numpy.load(frames)], return_tensors="pt")
with torch.inference_mode():
    numpy.save(out, model(**inputs).logits.numpy())
    image = processor(text=text.replace(processor.video_token, processor.image_token),
                      images=[numpy.load(frames)[0]], return_tensors="pt")
    finite = bool(torch.isfinite(model(**image).logits).all())
print(json.dumps({"class": type(model).__name__, "faults": sum(len(report[key]) for key in
      ("missing_keys", "unexpected_keys", "mismatched_keys")), "ids": inputs["input_ids"][0].tolist(),
      "finite": finite, "prompt": text}))
"""


@pytest.fixture
def for_stock(reference: Path) -> Path:
    """The reference folder with settings that plain llava_onevision can express."""
    edit(reference, image_aspect_ratio="anyres_max_9")
    return reference


@pytest.mark.parametrize("files", ["one", "several", "bin", "bfloat16"])
def test_from_the_published_layout_to_ours_and_back_every_bit_is_the_same(
    reference: Path, tmp_path: Path, files: str
) -> None:
    if files == "bfloat16":
        edit_weights(reference, lambda weights: weights.update({n: w.bfloat16() for n, w in weights.items()}))
    weights = all_weights(reference)
    if files == "several":
        in_two_files(reference)
    elif files == "bin":
        (reference / "model.safetensors").unlink()
        torch.save(weights, reference / "pytorch_model.bin")
    there = convert(reference, tmp_path / "ours")
    load_model(tmp_path / "ours")
    back = convert(tmp_path / "ours", tmp_path / "back", "llava_next")
    assert same_weights(all_weights(tmp_path / "back"), weights)
    assert there.source_layout == "llava_next" and back.layout == "llava_next"
    assert len(list((tmp_path / "back").glob("*.safetensors"))) == (2 if files == "several" else 1)
    again = convert(tmp_path / "back", tmp_path / "again")
    assert same_weights(all_weights(tmp_path / "again"), all_weights(tmp_path / "ours"))
    assert again.mapped == there.mapped


def test_settings_come_back_as_they_were(reference: Path, tmp_path: Path) -> None:
    edit(reference, mm_newline_position="grid", frames_upbound=32, mm_spatial_pool_mode="average", rope_theta=1e6)
    before = json.loads((reference / "config.json").read_text())
    convert(reference, tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "back", "llava_next")
    after = json.loads((tmp_path / "back" / "config.json").read_text())
    assert {key: after[key] for key in before if key != "mm_vision_tower"} == {
        key: value for key, value in before.items() if key != "mm_vision_tower"
    }
    first, second = load_model(tmp_path / "ours")[0], load_model(tmp_path / "back")[0]
    assert first.config.layout == second.config.layout
    assert first.config.text_config.rope_parameters == second.config.text_config.rope_parameters
    assert second.config.text_config.rope_parameters["rope_theta"] == 1e6


def test_plain_llava_onevision_and_back_every_bit_is_the_same(for_stock: Path, tmp_path: Path) -> None:
    convert(for_stock, tmp_path / "ours")
    report = convert(tmp_path / "ours", tmp_path / "stock", "llava_onevision")
    assert report.notes and not list((tmp_path / "stock").glob("*.py"))
    assert "auto_map" not in (tmp_path / "stock" / "config.json").read_text()
    convert(tmp_path / "stock", tmp_path / "again")
    convert(tmp_path / "stock", tmp_path / "theirs", "llava_next")
    assert same_weights(all_weights(tmp_path / "again"), all_weights(tmp_path / "ours"))
    assert same_weights(all_weights(tmp_path / "theirs"), all_weights(for_stock))
    first, processor = load_model(tmp_path / "ours")
    second, other = load_model(tmp_path / "again")
    assert first.config.layout == second.config.layout and processor.layout() == other.layout()
    messages = [user(noise_frames(3), noise_frames(1)[0], "What?")]
    assert torch.equal(encode(processor, messages)["input_ids"], encode(other, messages)["input_ids"])


@pytest.mark.slow
def test_plain_llava_onevision_runs_in_stock_transformers_without_our_package(for_stock: Path, tmp_path: Path) -> None:
    convert(for_stock, tmp_path / "stock", "llava_onevision")
    model, processor = load_model(for_stock)
    tile = processor.layout().tile
    frames = np.random.default_rng(0).integers(0, 256, (3, tile, tile, 3), dtype=np.uint8)  # needs no resizing
    np.save(tmp_path / "frames.npy", frames)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    arguments = [str(tmp_path / name) for name in ("stock", "frames.npy", "logits.npy")]
    done = subprocess.run(
        [sys.executable, "-c", STOCK, *arguments], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["class"] == "LlavaOnevisionForConditionalGeneration" and found["faults"] == 0 and found["finite"]
    inputs = encode(processor, [user(frames, "What?")])
    assert found["ids"] == inputs["input_ids"][0].tolist()
    with torch.inference_mode():
        ours = model(**inputs).logits
    assert torch.allclose(torch.from_numpy(np.load(tmp_path / "logits.npy")), ours, atol=1e-4)


def test_names_of_plain_llava_onevision_since_transformers_4_52_are_known(for_stock: Path, tmp_path: Path) -> None:
    convert(for_stock, tmp_path / "stock", "llava_onevision")
    stock_names_since_4_52(tmp_path / "stock" / "model.safetensors")
    convert(for_stock, tmp_path / "ours")
    convert(tmp_path / "stock", tmp_path / "again")
    assert same_weights(all_weights(tmp_path / "again"), all_weights(tmp_path / "ours"))


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"mm_newline_position": "grid"}, "video_newline_position = 'grid'"),
        ({"mm_spatial_pool_mode": "max"}, "video_pool_mode = 'max'"),
        ({"mm_patch_merge_type": "flat"}, "patch_merge_type = 'flat'"),
        ({"image_aspect_ratio": "anyres"}, "image_aspect_ratio = 'anyres'"),
        ({"image_aspect_ratio": "square"}, "image_aspect_ratio = 'square'"),
    ],
)
def test_what_plain_llava_onevision_cannot_express_is_refused_by_name(
    for_stock: Path, tmp_path: Path, changes: dict[str, Any], setting: str
) -> None:
    edit(for_stock, **changes)
    with pytest.raises(CheckpointError, match=setting) as caught:
        convert(for_stock, tmp_path / "stock", "llava_onevision")
    assert "\n" not in str(caught.value) and not (tmp_path / "stock").exists()


def test_what_the_published_layout_cannot_express_is_refused_by_name(checkpoint: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**settings, "video_pool_stride": 3}))
    with pytest.raises(CheckpointError, match="video_pool_stride = 3"):
        convert(copy, tmp_path / "theirs", "llava_next")
    assert not (tmp_path / "theirs").exists()


def test_the_report_says_what_became_of_every_weight(reference: Path, tmp_path: Path) -> None:
    edit_weights(
        reference,
        lambda weights: weights.update(
            {
                "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
                "model.vision_tower.vision_tower.vision_model.head.probe": torch.ones(1, 1, 4),
            }
        ),
    )
    report = convert(reference, tmp_path / "ours")
    held = set(load_file(reference / "model.safetensors"))
    assert set(report.mapped) | set(report.dropped) == held and set(report.mapped).isdisjoint(report.dropped)
    assert "configuration" in report.dropped["model.layers.0.self_attn.rotary_emb.inv_freq"]
    written = load_file(tmp_path / "ours" / "model.safetensors")
    assert {name: list(weight.shape) for name, weight in written.items()} == report.shapes
    assert set(report.mapped.values()) | set(report.added) == set(written)
    assert report.bytes == sum(weight.numel() * 4 for weight in written.values())
    assert report.dtypes == {"float32": len(written)}
    assert json.loads((tmp_path / "ours" / "conversion.json").read_text()) == report.model_dump(mode="json")


def test_a_newline_token_that_is_never_used_is_added_and_taken_away_again(reference: Path, tmp_path: Path) -> None:
    edit(reference, mm_patch_merge_type="flat", image_aspect_ratio="square")
    edit_weights(reference, lambda weights: weights.pop("model.image_newline"))
    report = convert(reference, tmp_path / "ours")
    assert list(report.added) == ["model.image_newline"]
    load_model(tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "back", "llava_next")
    assert same_weights(all_weights(tmp_path / "back"), all_weights(reference))


def test_another_type_of_numbers_can_be_asked_for(reference: Path, tmp_path: Path) -> None:
    report = convert(reference, tmp_path / "ours", dtype="bfloat16")
    assert report.dtypes == {"bfloat16": len(report.mapped)}
    for name, weight in load_model(tmp_path / "ours", dtype="bfloat16")[0].state_dict().items():
        assert weight.dtype == torch.bfloat16, name
    with pytest.raises(UserError, match="'int8'"):
        convert(reference, tmp_path / "other", dtype="int8")


@pytest.fixture
def low_rank(reference: Path, tmp_path: Path) -> Path:
    """LoRA output on the reference folder: one layer of the decoder, one of the tower, and the newline token."""
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    shutil.copy(reference / "config.json", adapter)
    settings = {"peft_type": "LORA", "bias": "none", "r": 2, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps({**settings, "base_model_name_or_path": str(reference)}))
    torch.manual_seed(0)
    weights = {}
    tower = "vision_tower.vision_tower.vision_model.encoder.layers.0"
    for layer, width in (("layers.1", 128), (tower, 96)):
        stem = f"base_model.model.model.{layer}.self_attn.q_proj.lora_"
        weights |= {f"{stem}A.weight": torch.randn(2, width), f"{stem}B.weight": torch.randn(width, 2)}
    torch.save(weights, adapter / "adapter_model.bin")
    torch.save({"base_model.model.model.image_newline": torch.randn(128)}, adapter / "non_lora_trainables.bin")
    return adapter


def test_an_adapter_kept_apart_answers_as_the_merged_one(low_rank: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    merged = convert(low_rank, tmp_path / "merged")
    apart = convert(low_rank, tmp_path / "apart", merge=False)
    assert merged.merged and not apart.merged
    model, processor = load_model(tmp_path / "merged")
    base, _ = load_model(tmp_path / "apart")
    tuned = PeftModel.from_pretrained(base, tmp_path / "apart" / "adapter")
    inputs = encode(processor, [user(noise_frames(3), "What?")])
    with torch.inference_mode():
        expected = model(**inputs).logits
        assert torch.allclose(tuned(**inputs).logits, expected, atol=1e-4)
        with tuned.disable_adapter():
            assert not torch.allclose(tuned(**inputs).logits, expected, atol=1e-2)


def test_an_adapter_finds_its_base_in_any_layout(low_rank: Path, reference: Path, tmp_path: Path) -> None:
    convert(low_rank, tmp_path / "merged")
    convert(reference, tmp_path / "ours")
    convert(low_rank, tmp_path / "again", base=tmp_path / "ours")
    assert same_weights(all_weights(tmp_path / "again"), all_weights(tmp_path / "merged"))


def test_merged_weights_can_be_written_in_the_published_layout(low_rank: Path, tmp_path: Path) -> None:
    convert(low_rank, tmp_path / "merged")
    convert(low_rank, tmp_path / "theirs", "llava_next")
    ours, theirs = load_model(tmp_path / "merged")[0], load_model(tmp_path / "theirs")[0]
    assert same_weights(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("given", ["file", "folder"])
def test_a_projector_alone_is_put_into_its_base(reference: Path, loaded: Loaded, tmp_path: Path, given: str) -> None:
    stage = tmp_path / "stage0"
    stage.mkdir()
    torch.manual_seed(3)
    projector = {
        f"model.mm_projector.{part}": torch.randn(shape)
        for part, shape in (("0.weight", (128, 96)), ("0.bias", 128), ("2.weight", (128, 128)), ("2.bias", 128))
    }
    torch.save(projector, stage / "mm_projector.bin")
    src = stage / "mm_projector.bin" if given == "file" else stage
    with pytest.raises(UserError, match="as base"):
        convert(src, tmp_path / "ours")
    convert(src, tmp_path / "ours", base=reference)
    found, before = load_model(tmp_path / "ours")[0].state_dict(), loaded[0].state_dict()
    assert torch.equal(found["model.multi_modal_projector.linear_2.bias"], projector["model.mm_projector.2.bias"])
    changed = {name for name in found if not torch.equal(found[name], before[name])}
    assert {name.split(".")[1] for name in changed} == {"multi_modal_projector"} and len(changed) == 4

    torch.save({**projector, "model.mm_projector.0.bias": torch.ones(5)}, stage / "mm_projector.bin")
    with pytest.raises(CheckpointError, match=r"linear_1\.bias for shape"):
        convert(src, tmp_path / "other", base=reference)
    torch.save({"model.norm.weight": torch.ones(128)}, stage / "mm_projector.bin")
    with pytest.raises(CheckpointError, match="is not a projector"):
        convert(src, tmp_path / "other", base=reference)


def test_nothing_but_weights_is_unpickled(reference: Path, tmp_path: Path) -> None:
    (reference / "model.safetensors").unlink()
    torch.save({"model.norm.weight": Path("x")}, reference / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin cannot be read") as caught:
        convert(reference, tmp_path / "ours")
    assert "\n" not in str(caught.value)


def spoil_index(folder: Path) -> None:
    in_two_files(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def double(folder: Path) -> None:
    in_two_files(folder)
    shutil.copy(folder / "model-00001-of-00002.safetensors", folder / "model-00002-of-00002.safetensors")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: edit_weights(folder, lambda w: w.pop("model.norm.weight")), "lacks 1 weights"),
        (
            lambda folder: edit_weights(folder, lambda w: w.update(strange=torch.ones(1))),
            "strange, which has no place",
        ),
        (
            lambda folder: edit_weights(folder, lambda w: w.update({"lm_head.weight": torch.ones(2, 2)})),
            "another shape",
        ),
        (spoil_index, "lacks model-00002"),
        (double, "in two of its files"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"junk"), "cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "lacks weights"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer of .* cannot be opened"),
        (lambda folder: (folder / "config.json").unlink(), r"no config\.json"),
        (lambda folder: (folder / "config.json").write_text("[]"), "not a configuration"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "llama"}'), "type 'llama'"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "qwen2"}'), "type 'qwen2'"),
        (lambda folder: edit(folder, architectures=["LlavaMistralForCausalLM"]), "only Qwen2"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    reference: Path, tmp_path: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(reference)
    with pytest.raises(UserError, match=message) as caught:
        convert(reference, tmp_path / "ours")
    assert "\n" not in str(caught.value) and not (tmp_path / "ours").exists()


def test_a_folder_with_other_things_in_it_is_left_alone(reference: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.docx").touch()
    with pytest.raises(UserError, match="neither empty nor"):
        convert(reference, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "thesis.docx").exists()
    convert(reference, tmp_path / "ours")
    with pytest.raises(UserError, match="to be converted"):
        convert(tmp_path / "ours", tmp_path / "ours")
    convert(reference, tmp_path / "ours")  # an earlier result may be replaced
    with pytest.raises(UserError, match="not an adapter"):
        convert(reference, tmp_path / "ours", base=reference)
    with pytest.raises(UserError, match="merge=False"):
        convert(reference, tmp_path / "ours", merge=False)
    with pytest.raises(UserError, match="'gguf'"):
        convert(reference, tmp_path / "ours", "gguf")  # type: ignore[arg-type]


@pytest.mark.needs_shared
def test_golden_checkpoints_come_back_bit_by_bit_and_open_directly(shared: Path, tmp_path: Path) -> None:
    root = Path(os.environ.get("VIDEOPATH_PARITY", shared / "parity")) / "checkpoints"
    for folder in sorted(root.iterdir()):
        ours, back = tmp_path / f"{folder.name}-ours", tmp_path / f"{folder.name}-back"
        convert(folder, ours)
        convert(ours, back, "llava_next")
        assert same_weights(all_weights(back), all_weights(folder)), folder.name
        direct = VideoPathLlavaForConditionalGeneration.from_pretrained(folder)
        converted = VideoPathLlavaForConditionalGeneration.from_pretrained(ours)
        assert same_weights(direct.state_dict(), converted.state_dict()), folder.name
        assert direct.config.layout == converted.config.layout
        assert direct.generation_config.to_diff_dict() == converted.generation_config.to_diff_dict()
