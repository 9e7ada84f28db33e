"""Batches, losses, gradients and short runs beside those of the published implementation's training.

`VIDEOPATH_PARITY` names the folder; what it holds is found through its files.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.modeling.test_parity import OLD_PILLOW, ROOT, collapsed, difference
from tests.training.ranks import GivenOrder
from videopath_hf.data.sources import open_source
from videopath_hf.modeling.assembly import assemble_model
from videopath_hf.modeling.conversion import convert_reference
from videopath_hf.modeling.loading import load_model
from videopath_hf.records import InstructionRecord
from videopath_hf.training.build import make_collator as build_collator
from videopath_hf.training.build import make_config, make_trainer
from videopath_hf.training.collator import VideoPathCollator
from videopath_hf.training.labels import IGNORED
from videopath_hf.training.reading import TooLongError
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.samples import survey_samples
from videopath_hf.training.saving import save_weights
from videopath_hf.training.visual import set_visual

FOLDER = ROOT / "train"
FACTS = json.loads((FOLDER / "train.json").read_text()) if (FOLDER / "train.json").is_file() else {"variants": {}}
VARIANTS = sorted(FACTS["variants"])
KEYS = (("pixel_values", "image_num_tiles"), ("pixel_values_videos", "video_num_frames"))
EMBEDDINGS, RELATIVE = 2e-5, 1e-5

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(not VARIANTS, reason=f"no golden set of training in {ROOT} (set VIDEOPATH_PARITY)"),
]


def read_records(name: str) -> dict[str, InstructionRecord]:
    found = list(open_source(FOLDER / name, media=[FOLDER / "media"]).read())
    assert all(isinstance(record, InstructionRecord) for record in found)
    return {record.id: record for record in found}


def their_name(name: str) -> str:
    """A parameter of ours as they call it."""
    for ours, theirs in (
        ("model.vision_tower.", "model.vision_tower.vision_tower.vision_model."),
        ("model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
        ("model.multi_modal_projector.linear_2.", "model.mm_projector.2."),
        ("model.language_model.", "model."),
    ):
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


class Variant:
    """One way they trained: its model, its collator, and what came of each batch."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.facts = FACTS["variants"][name]
        self.limit = (self.facts["args"]["config_overrides"] or {}).get("tokenizer_model_max_length")
        self.arrays = np.load(FOLDER / f"{name}.npz")
        self.records = read_records("dataset.json")
        shutil.copytree(ROOT / "checkpoints" / FACTS["checkpoint"], folder / "theirs")
        config = folder / "theirs" / "config.json"
        args = self.facts["args"]
        changes = {**(args["config_overrides"] or {}), "image_aspect_ratio": args["aspect"]}
        config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
        self.model, self.processor = load_model(convert_reference(folder / "theirs", folder / "ours"))
        self.model.train()

    def collator(self, **options: Any) -> VideoPathCollator:
        return make_collator(self.processor, self.facts["args"]["data"], **options)

    def array(self, batch: int, name: str) -> Any:
        return self.arrays[f"{self.name}_batch{batch}/{name}"]


def make_collator(processor: Any, data: dict[str, Any], **options: Any) -> VideoPathCollator:
    return VideoPathCollator(
        processor,
        FOLDER / "media",
        label_mask="reference",
        several_images="pad",
        num_frames=data["frames_upbound"],
        strategy="uniform" if data.get("force_sample") else "fps",
        video_fps=data.get("video_fps", 1),
        time_sentence=data.get("add_time_instruction", False),
        **options,
    )


def needs_new_pillow(sizes: Any) -> None:
    if OLD_PILLOW and any(isinstance(size, list) and size[1] > size[0] for size in sizes):
        pytest.skip(f"Pillow {PIL.__version__} may resize portrait pictures apart from Pillow 13")


@pytest.fixture(scope="module")
def open_variant(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Variant]:
    opened: dict[str, Variant] = {}

    def open_(name: str) -> Variant:
        if name not in opened:
            opened[name] = Variant(name, tmp_path_factory.mktemp("train"))
        return opened[name]

    return open_


@pytest.mark.parametrize("name", VARIANTS)
def test_samples_have_the_published_ids_and_labels(name: str, open_variant: Callable[[str], Variant]) -> None:
    variant = open_variant(name)
    collator = variant.collator()
    needs_new_pillow([size for sample in variant.facts["samples"] for size in sample["image_sizes"]])
    for sample in variant.facts["samples"]:
        found = collator.encode(variant.records[sample["id"]])
        ids, labels = found["input_ids"][0], found["labels"][0]
        assert collapsed(ids, variant.processor) == sample["input_ids"]
        visual = torch.isin(ids, torch.tensor([variant.processor.image_token_id, variant.processor.video_token_id]))
        assert bool((labels[visual] == IGNORED).all())
        assert_pixels(found, sample)
        theirs = [label for token, label in zip(sample["input_ids"], sample["labels"], strict=True) if token != -200]
        assert labels[~visual].tolist() == theirs


def assert_pixels(found: dict[str, Any], sample: dict[str, Any]) -> None:
    media = [(values, counts) for values, counts in KEYS if values in found]
    pieces = [row[:count] for key, number in media for row, count in zip(found[key], found[number], strict=True)]
    for own, shape, digest in zip(pieces, sample["pixel_shapes"], sample["pixel_sha256"], strict=bool(pieces)):
        assert hashlib.sha256(own.numpy().reshape(shape).tobytes()).hexdigest() == digest


def compared_batches() -> list[tuple[str, int]]:
    return [(name, number) for name in VARIANTS for number in range(len(FACTS["variants"][name]["batches"]))]


@pytest.mark.parametrize(("name", "number"), compared_batches())
def test_batches_losses_and_gradients_are_the_published_ones(
    name: str, number: int, open_variant: Callable[[str], Variant]
) -> None:
    variant = open_variant(name)
    facts = variant.facts["batches"][number]
    needs_new_pillow(facts["image_sizes"])
    records = [variant.records[item] for item in facts["items"]]
    batch = cut(variant.collator().collate(records), variant.limit)
    mask, labels = variant.array(number, "merged_attention_mask"), variant.array(number, "merged_labels")
    assert np.array_equal(batch["attention_mask"].bool().numpy(), mask)
    assert np.array_equal(batch["labels"].numpy(), labels)
    embeddings = embed(variant.model, batch)
    assert list(embeddings.shape) == facts["merged_shape"]
    if f"{name}_batch{number}/merged_embeds" in variant.arrays:
        theirs = variant.array(number, "merged_embeds")
        valid = mask[..., None]
        assert difference(embeddings.detach() * torch.from_numpy(valid), theirs * valid) <= EMBEDDINGS
    variant.model.zero_grad()
    outputs = variant.model(
        inputs_embeds=embeddings, attention_mask=batch["attention_mask"], labels=batch["labels"], use_cache=False
    )
    assert outputs.loss.item() == pytest.approx(facts["loss"], rel=RELATIVE)
    outputs.loss.backward()
    check_gradients(variant, number, facts["grad_norms"])


def cut(batch: dict[str, Any], limit: int | None) -> dict[str, Any]:
    """The batch with ids, mask and labels cut at a length, as they do after merging; ours never does."""
    return {
        key: value[:, :limit] if limit and key in ("attention_mask", "labels") else value
        for key, value in batch.items()
    }


def embed(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """What the language model is given, up to the length of the labels."""
    seen: list[torch.Tensor] = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    whole = {key: value for key, value in batch.items() if key not in ("labels", "attention_mask", "sample_ids")}
    try:
        model(**whole, use_cache=False)
    finally:
        hook.remove()
    return seen[0][:, : batch["labels"].shape[1]]


def check_gradients(variant: Variant, number: int, norms: dict[str, float | None]) -> None:
    found = {their_name(name): parameter.grad for name, parameter in variant.model.named_parameters()}
    assert found.keys() == norms.keys()
    for name, norm in norms.items():
        if norm is None:
            assert found[name] is None, name
        else:
            assert float(found[name].norm()) == pytest.approx(norm, rel=1e-4, abs=1e-5), name
    prefix = f"{variant.name}_batch{number}/grad/"
    for key in variant.arrays:
        if key.startswith(prefix):
            theirs = variant.arrays[key]
            assert difference(found[key.removeprefix(prefix)], theirs) <= 1e-4 * float(np.abs(theirs).max())


@pytest.mark.parametrize("name", [name for name in VARIANTS if FACTS["variants"][name]["args"]["config_overrides"]])
def test_what_they_cut_is_refused_and_named(name: str, open_variant: Callable[[str], Variant]) -> None:
    variant = open_variant(name)
    if variant.limit is None:
        pytest.skip("nothing is cut in this variant")
    collator = variant.collator(max_length=variant.limit)
    for sample in variant.facts["samples"]:
        record = variant.records[sample["id"]]
        length = variant.collator().encode(record)["labels"].shape[1]
        if length > variant.limit:
            with pytest.raises(TooLongError, match=f"sample {record.id}: {length} tokens are more than"):
                collator.encode(record)
        else:
            assert collator.encode(record)["labels"].shape[1] == length


RUNS = json.loads((FOLDER / "runs.json").read_text()) if (FOLDER / "runs.json").is_file() else {}


def start_of(run: dict[str, Any], folder: Path) -> Path:
    """The checkpoint a published run starts from, as one of ours."""
    start = ROOT / run["start_from"]
    if (start / "config.json").exists():
        return convert_reference(start, folder / "start")
    config = json.loads((FOLDER / run["name"] / "config.json").read_text())
    ours = assemble_model(
        start / "siglip",
        start / "qwen-base",
        folder / "start",
        image_aspect_ratio=config["image_aspect_ratio"],
        patch_merge_type=config["mm_patch_merge_type"],
    )
    model, _ = load_model(ours)
    projector = torch.load(FOLDER / run["name"] / "mm_projector_init.bin", weights_only=True)
    missing, unexpected = model.load_state_dict(
        {our_name(name): value.float() for name, value in projector.items()}, strict=False
    )
    assert not unexpected and len(missing) == len(model.state_dict()) - len(projector)
    save_weights(model, ours)
    return ours


def our_name(name: str) -> str:
    """A projector weight of theirs as we call it."""
    return name.replace("mm_projector.0.", "multi_modal_projector.linear_1.").replace(
        "mm_projector.2.", "multi_modal_projector.linear_2."
    )


THEIR_VISUAL = {"image_aspect_ratio": "image_aspect_ratio", "patch_merge_type": "mm_patch_merge_type"}


def recipe_of(run: dict[str, Any], start: Path, out: Path) -> Recipe:
    args = run["args"]
    parts = args["mm_tunable_parts"].split(",")
    plain = args["version"] == "plain"
    return Recipe.model_validate(
        {
            "stage": 0 if plain else 2,
            "name": run["name"],
            "model": str(start),
            "out": out,
            "data": {"path": FOLDER / run["data"], "media": FOLDER / "media", "kinds": ["caption", "image", "video"]},
            "trainable": {
                "projector": "mm_mlp_adapter" in parts,
                "vision_tower": "mm_vision_tower" in parts,
                "language_model": "full" if "mm_language_model" in parts else "none",
            },
            "template": "plain" if plain else "chat",
            "visual": {ours: args[theirs] for ours, theirs in THEIR_VISUAL.items() if theirs in args},
            "label_mask": "reference",
            "several_images": "pad",
            "max_length": args.get("model_max_length", 32768),
            "frames": {"strategy": "fps", "num_frames": args.get("frames_upbound", 32)},
            "optimisation": {
                "learning_rate": args["learning_rate"],
                "vision_learning_rate": args.get("mm_vision_tower_lr"),
                "weight_decay": args.get("weight_decay", 0.0),
                "batch_size": args["per_device_train_batch_size"],
            },
        }
    )


@pytest.fixture(scope="module", params=sorted(RUNS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, list[Any]]:
    """A published run, done again: what is known of it, our trainer after it, our log."""
    run = {**RUNS[request.param], "name": request.param}
    pictures = [Image.open(path).size for path in sorted((FOLDER / "media").glob("*.png"))]
    needs_new_pillow([list(size) for size in pictures])
    folder = tmp_path_factory.mktemp(request.param)
    recipe = recipe_of(run, start_of(run, folder), folder / "out")
    records = read_records(run["data"])
    model, processor = load_model(recipe.model)
    set_visual(model, processor, recipe.visual.model_dump(exclude_none=True))
    collator = build_collator(processor, recipe, FOLDER / "media")
    survey = survey_samples(list(records.values()), collator, workers=0)
    config = make_config(recipe, folder / "checkpoints")
    trainer = make_trainer(model, recipe, config, list(records.values()), survey, collator, folder / "out")
    places = {name: place for place, name in enumerate(records)}
    order = [[places[item] for item in batch] for batch in run["batches"]]
    trainer.batches = GivenOrder(order, trainer.train_dataset["modality"])
    trainer.train()
    log = [json.loads(line) for line in (folder / "out" / "log.jsonl").read_text().splitlines()]
    return run, trainer, log


def test_a_short_run_has_the_published_losses_norms_and_rates_step_by_step(
    trained: tuple[Any, Any, list[Any]],
) -> None:
    run, _, log = trained
    assert len(log) == len(run["log"])
    for ours, theirs in zip(log, run["log"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=6e-5)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4)
    # Their log holds the rate of the next step, ours that of its own.
    assert log[0]["learning_rate"] == 0
    for ours, theirs in zip(log[1:], run["log"], strict=False):
        assert ours["learning_rate"] == pytest.approx(theirs["learning_rate"], rel=1e-9)


def test_its_parameters_are_grouped_as_the_published_ones(trained: tuple[Any, Any, list[Any]]) -> None:
    run, trainer, _ = trained
    names = {id(parameter): their_name(name) for name, parameter in trainer.model.named_parameters()}
    ours = {
        frozenset(names[id(parameter)] for parameter in group["params"]): group
        for group in trainer.optimizer.param_groups
    }
    theirs = {frozenset(group["params"]): group for group in run["param_groups"]}
    assert ours.keys() == theirs.keys()
    for parameters, group in theirs.items():
        for key in ("initial_lr", "weight_decay", "eps"):
            assert ours[parameters][key] == group[key], key
        assert list(ours[parameters]["betas"]) == group["betas"]


def test_it_ends_with_the_published_weights(trained: tuple[Any, Any, list[Any]]) -> None:
    run, trainer, _ = trained
    folder = FOLDER / run["name"]
    if (folder / "model.safetensors").exists():
        theirs = load_file(folder / "model.safetensors")
        ours = {their_name(name): value for name, value in trainer.model.state_dict().items()}
    else:
        theirs = torch.load(folder / "mm_projector.bin", weights_only=True)
        ours = {their_name(name): value for name, value in trainer.model.state_dict().items() if "projector" in name}
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        # To move all keys changes no attention: what gradient there is is rounding, which Adam makes large.
        tolerance = 2e-5 if name.endswith("k_proj.bias") else 1e-6
        assert difference(ours[name].float(), value.float().numpy()) <= tolerance, name
