"""The four stages on clips of real slides with pretrained parts: DINOv2-small, frozen, before SmolLM2-135M-Instruct.

The recipes are those of the learning benchmark, with the tower's features kept, bfloat16 autocast and fewer steps:
about an hour and a half of processor time. The random projector is scaled by what the tower makes of stills of the
training side, so that visual tokens vary as much as the decoder's words do; unscaled, the tower's features differ so
little from each other that the decoder learned the answers without them. Everything is kept: a call that was killed
goes on.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.nn.functional import gelu
from training_learn import STAGES, Figures, Pass, join_dinov2, majority, offline_model
from training_slides import write_slides_dataset
from training_tables import print_rows

from videopath_hf.modeling.loading import load_model

CHANGES: Mapping[str, Sequence[str]] = {
    "": (
        "trainable.vision_tower=false",
        "optimisation.vision_learning_rate=null",
        "optimisation.bf16=true",
        "optimisation.save_steps=20",
    ),
    STAGES[0]: ("optimisation.max_steps=30",),
    STAGES[1]: ("optimisation.max_steps=275", "optimisation.learning_rate=5e-4"),
    STAGES[2]: ("optimisation.max_steps=77", "optimisation.learning_rate=5e-4"),
    STAGES[3]: ("optimisation.max_steps=44", "optimisation.learning_rate=5e-4"),
}
"""Five passes over the stills, one over stills and clips, four over the videos; batches of 8."""

_STILLS = 64


def run_long(slides: Path, out: Path, offline: Path | None, seed: int = 0) -> None:
    """Train and ask what is still missing in `out`, and print the table.

    Args:
        slides (`Path`), out (`Path`), offline (`Path`, *optional*): as of [`~training_learn.learn`]; `offline` has to
            hold `smollm2-135m` too.
    """
    tower, decoder = (offline_model(offline, name) for name in ("dinov2-small", "smollm2-135m"))
    if tower is None or decoder is None:
        return
    torch.set_num_threads(1)
    data = write_slides_dataset(slides, out / "data")
    kept = {**CHANGES, "": (*CHANGES[""], f"cache_features={out / 'long_features'}")}
    start = partial(_start, tower=tower, decoder=decoder, data=data, seed=seed)
    one = Pass(f"long_{seed}", seed, data, out, start, kept)
    models, seconds = one.full_method()
    without, apart = one.train("stage3_without_stage2", STAGES[3], models[2])
    asked = {
        "full method": one.ask(models[-1]),
        "without stage 2": one.ask(without),
        "full method, blind (black frames)": one.ask(models[-1], blind=True),
    }
    _print(asked, {**seconds, "stage 3 without stage 2": apart}, data)


def _start(_: Any, out: Path, tower: Path, decoder: Path, data: Path, seed: int) -> None:
    join_dinov2(tower, decoder, out, seed)
    _scale_projector(out, sorted((data / "images" / "train").glob("*.png"))[::7][:_STILLS], seed)


@torch.no_grad()
def _scale_projector(folder: Path, stills: Sequence[Path], seed: int) -> None:
    """Draw the projector's weights anew: inputs of its activation of mean 0 and variance 1 over the stills' features,
    outputs of mean 0 and of the spread of the decoder's embeddings."""
    model, processor = load_model(folder)
    projector = model.model.multi_modal_projector
    seen: list[torch.Tensor] = []
    watch = projector.linear_1.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, -2)))
    for still in stills:
        with Image.open(still) as image:
            pixels = processor.image_processor([image.convert("RGB")], return_tensors="pt")
        model.get_image_features(**pixels)
    watch.remove()
    features, draw = torch.cat(seen), torch.Generator().manual_seed(seed)
    first, second = (
        torch.randn(layer.weight.shape, generator=draw) / layer.in_features**0.5
        for layer in (projector.linear_1, projector.linear_2)
    )
    first /= features.std(0).clamp_min(1e-3)
    hidden = gelu((features - features.mean(0)) @ first.T)
    spread = model.get_input_embeddings().weight.std() / (hidden @ second.T).std(0).mean()
    projector.linear_1.weight.copy_(first)
    projector.linear_1.bias.copy_(-features.mean(0) @ first.T)
    projector.linear_2.weight.copy_(spread * second)
    projector.linear_2.bias.copy_(-spread * (hidden @ second.T).mean(0))
    model.save_pretrained(folder)


def _print(asked: Mapping[str, Figures], seconds: Mapping[str, float], data: Path) -> None:
    clips = next(iter(asked.values()))["clips"]
    rows = [[name, f"{figures['accuracy']:.3f}"] for name, figures in asked.items()]
    rows.append(["majority class", f"{majority(data):.3f}"])
    print_rows(f"DINOv2-small and SmolLM2-135M: {clips} held-out clips", ["diagnosis accuracy", ""], rows)
    spent = {**seconds, "asking, all three": sum(figures["seconds"] for figures in asked.values())}
    rows = [[name, f"{took / 60:.0f}"] for name, took in {**spent, "all": sum(spent.values())}.items()]
    print_rows("Processor time, one thread", ["part", "minutes"], rows)
