"""The model's numbers beside those of the published implementation, whatever set of them lies in the folder.

`VIDEOPATH_PARITY` names the folder; the cases, checkpoints and adapters are found through its manifest and case files.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import torch
from PIL import Image

from videopath_hf.modeling.conversion import convert_reference
from videopath_hf.modeling.loading import load_model

ROOT = Path(
    os.environ.get("VIDEOPATH_PARITY")
    or Path(os.environ.get("VIDEOPATH_SHARED", Path(__file__).parents[3] / "shared")) / "parity"
)
CASES = sorted(json.loads((ROOT / "manifest.json").read_text())["cases"]) if ROOT.is_dir() else []
OLD_PILLOW = int(PIL.__version__.split(".")[0]) < 13
EMBEDDINGS, LOGITS = 2e-5, 1e-4

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(not CASES, reason=f"no golden set in {ROOT} (set VIDEOPATH_PARITY)"),
]

Loaded = tuple[Any, Any]
Open = Callable[[dict[str, Any]], Loaded]


class Case:
    """One case file with its arrays and media."""

    def __init__(self, name: str) -> None:
        self.folder = ROOT / "cases" / name
        self.facts = json.loads((self.folder / "case.json").read_text())
        self.arrays = np.load(self.folder / "tensors.npz")

    @property
    def samples(self) -> list[dict[str, Any]]:
        return self.facts.get("samples", [self.facts])

    def media(self, names: list[str]) -> list[tuple[str, Any]]:
        return [
            ("video", np.load(self.folder / name)["frames"])
            if name.endswith(".npz")
            else ("image", Image.open(self.folder / name))
            for name in names
        ]

    def inputs(self, processor: Any, padding_side: str = "left") -> Any:
        texts, images, videos = [], [], []
        for sample in self.samples:
            text, of_kind = sample["prompt"], {"image": [], "video": []}
            for kind, medium in self.media(sample["media"]):
                of_kind[kind].append(medium)
                text = text.replace("<image>", processor.image_token if kind == "image" else processor.video_token, 1)
            texts.append(text)
            images.append(of_kind["image"])
            videos.append(of_kind["video"])
        return processor(
            text=texts,
            images=images if any(images) else None,
            videos=videos if any(videos) else None,
            padding=True,
            padding_side=padding_side,
            do_sample_frames=False,
            return_tensors="pt",
        )


@pytest.fixture(scope="module")
def open_converted(tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Converts the checkpoint of a case, with the case's settings, and opens it; each once."""
    opened: dict[str, Loaded] = {}

    def open_(facts: dict[str, Any]) -> Loaded:
        name, changes = facts["checkpoint"], facts.get("config_overrides", {})
        key = json.dumps([name, changes], sort_keys=True)
        if key not in opened:
            folder = tmp_path_factory.mktemp("parity")
            source, adapter = ROOT / "checkpoints" / name, None
            if not source.is_dir():
                adapter = ROOT / "lora" / name
                source = ROOT / json.loads((adapter / "layout.json").read_text())["base"]
            if changes:
                shutil.copytree(source, folder / "changed")
                settings = folder / "changed" / "config.json"
                settings.write_text(json.dumps({**json.loads(settings.read_text()), **changes}))
                source = folder / "changed"
            opened[key] = load_model(convert_reference(source, folder / "ours", adapter=adapter))
        return opened[key]

    return open_


def skip_if_pillow_differs(case: Case) -> None:
    if not OLD_PILLOW:
        return
    if "pillow_10_3_max_level_difference" in case.facts:
        levels = max(case.facts["pillow_10_3_max_level_difference"].values(), default=0)
        if levels > 0:
            pytest.skip(f"Pillow {PIL.__version__} resizes this shape {levels} levels apart from Pillow 13")
    elif any(height > width for width, height in case.facts["image_sizes_wh"]):
        pytest.skip(
            f"Pillow {PIL.__version__} may resize this portrait shape apart from Pillow 13; the case does not say"
        )


def collapsed(ids: torch.Tensor, processor: Any) -> list[int]:
    """The ids with every medium's run of placeholders as one -200, as the published implementation writes them."""
    media = {processor.image_token_id, processor.video_token_id}
    result: list[int] = []
    for token in ids.tolist():
        if token in media:
            if not result or result[-1] != -200:
                result.append(-200)
        else:
            result.append(token)
    return result


def run(model: Any, inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What the language model is given, and the logits."""
    seen: list[torch.Tensor] = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
    try:
        with torch.inference_mode():
            logits = model(**inputs, position_ids=positions).logits
    finally:
        hook.remove()
    return seen[0], logits


def difference(ours: torch.Tensor, theirs: np.ndarray) -> float:
    assert tuple(ours.shape) == theirs.shape
    return float((ours - torch.from_numpy(theirs)).abs().max())


@pytest.mark.parametrize("name", CASES)
def test_pixels_embeddings_and_logits_are_the_published_ones(name: str, open_converted: Open) -> None:
    case = Case(name)
    skip_if_pillow_differs(case)
    model, processor = open_converted(case.facts)
    if "samples" in case.facts:
        check_batch(case, model, processor)
        return
    inputs = case.inputs(processor)
    check_pixels(case, inputs)
    assert collapsed(inputs["input_ids"][0], processor) == case.facts["input_ids"]
    embeddings, logits = run(model, inputs)
    assert embeddings.shape[1] == case.facts["merged_length"]
    assert difference(embeddings[0], case.arrays["inputs_embeds"]) <= EMBEDDINGS
    rows = case.arrays["logits_last8"].shape[1]
    assert difference(logits[0, -8:, :rows], case.arrays["logits_last8"]) <= LOGITS
    probed = torch.from_numpy(case.arrays["logits_probe_positions"])
    assert difference(logits[0, probed, :rows], case.arrays["logits_probe"]) <= LOGITS


def check_pixels(case: Case, inputs: Any) -> None:
    taken = {"image": 0, "video": 0}
    for index, (kind, _) in enumerate(case.media(case.facts["media"])):
        values, counts = (
            (inputs["pixel_values"], inputs["image_num_tiles"])
            if kind == "image"
            else (inputs["pixel_values_videos"], inputs["video_num_frames"])
        )
        own = values[taken[kind], : counts[taken[kind]]].numpy()
        taken[kind] += 1
        shape = case.facts["pixel_values_shapes"][index]
        own = own.reshape(shape)
        assert hashlib.sha256(own.tobytes()).hexdigest() == case.facts["sha256"][f"pixel_values_{index}"]


def check_batch(case: Case, model: Any, processor: Any) -> None:
    for side in ("right", "left"):
        inputs = case.inputs(processor, padding_side=side)
        embeddings, logits = run(model, inputs)
        mask = inputs["attention_mask"].bool()
        assert np.array_equal(mask.numpy(), case.arrays[f"{side}_merged_attention_mask"])
        rows = case.arrays[f"{side}_logits_last8"].shape[2]
        for row, sample in enumerate(case.samples):
            valid = mask[row]
            assert collapsed(inputs["input_ids"][row][valid], processor) == sample["input_ids"]
            theirs = case.arrays[f"{side}_inputs_embeds"][row][valid.numpy()]
            assert difference(embeddings[row][valid], theirs) <= EMBEDDINGS
            last = logits[row][valid][-8:, :rows]
            assert difference(last, case.arrays[f"{side}_logits_last8"][row]) <= LOGITS


def as_content(text: str) -> list[dict[str, str]] | None:
    """A turn of theirs as content blocks; None where an image is not followed by the line break ours always is."""
    words, *rest = text.split("<image>")
    if any(not piece.startswith("\n") for piece in rest):
        return None
    content = [{"type": "text", "text": words}] if words else []
    for piece in rest:
        content.append({"type": "image"})
        if piece[1:]:
            content.append({"type": "text", "text": piece[1:]})
    return content


def test_prompts_of_chat_messages_are_the_published_ones(open_converted: Open) -> None:
    texts = json.loads((ROOT / "text" / "text.json").read_text())
    _, processor = open_converted({"checkpoint": Path(texts["tokenizer"]).name})
    compared = 0
    for prompt in texts["prompts"]:
        if prompt.get("raises"):
            continue
        contents = [as_content(turn) for turn in prompt["turns"]]
        if None in contents:
            continue
        messages = [
            {"role": "assistant" if index % 2 else "user", "content": content}
            for index, content in enumerate(contents)
        ]
        text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        assert text.replace(processor.image_token, "<image>") == prompt["prompt"]
        assert collapsed(torch.tensor(processor.tokenizer(text)["input_ids"]), processor) == prompt["input_ids"]
        compared += 1
    assert compared > 0


@pytest.mark.parametrize("penalty", [1.0, 1.05])
@pytest.mark.parametrize("name", CASES)
def test_greedy_answers_are_the_published_ones(name: str, penalty: float, open_converted: Open) -> None:
    case = Case(name)
    skip_if_pillow_differs(case)
    expected = case.facts.get("greedy_ids" if penalty == 1.0 else "greedy_ids_repetition_penalty_1_05")
    if expected is None:
        pytest.skip("the golden set has no answer for this penalty")
    model, processor = open_converted(case.facts)
    inputs = case.inputs(processor)
    answers = model.generate(
        **inputs,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        max_new_tokens=32,
        repetition_penalty=penalty,
    )[:, inputs["input_ids"].shape[1] :].tolist()
    for answer, ids in zip(answers, expected if "samples" in case.facts else [expected], strict=True):
        assert answer[: len(ids)] == ids
        assert set(answer[len(ids) :]) <= {processor.tokenizer.pad_token_id}
