"""One sample of a recipe as the model will see it, and which of its tokens are trained on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel

from videopath_hf.errors import UserError
from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.loading import foreign_source, quiet_transformers, resolve_checkpoint
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.training.build import make_collator
from videopath_hf.training.labels import IGNORED, label_spans, shown_text
from videopath_hf.training.lengths import Measure
from videopath_hf.training.recipe import Recipe, VisualSettings
from videopath_hf.training.samples import choose_records, media_root
from videopath_hf.training.visual import set_visual


class Span(BaseModel):
    """A run of tokens that are all trained on, or all not; a medium's tokens stand as `[video: 197 tokens]`."""

    trained: bool
    tokens: int
    text: str


class LabelledSample(BaseModel):
    """A sample cut where training begins and ends.

    Args:
        id (`str`), number (`int`), samples (`int`): its record, its place among the recipe's, from 0, and how many
            these are.
        tokens (`int`), trained (`int`), visual (`int`): all of its tokens, those trained on, those of its media.
        spans (`list[Span]`): its tokens in order.
    """

    id: str
    number: int
    samples: int
    tokens: int
    trained: int
    visual: int
    spans: list[Span]


def labelled_sample(recipe: Recipe, number: int) -> LabelledSample:
    """Encode one sample of a recipe as its training would; the model's weights are not opened.

    Raises:
        UserError: the recipe lacks model or data, or has no sample of that number.
        SampleError: the sample cannot be trained on.
    """
    model, path, _ = recipe.model_copy(update={"out": recipe.out or Path()}).places()
    records = choose_records(recipe, path)
    if not 0 <= number < len(records):
        raise UserError(f"there is no sample {number}: the recipe has {len(records)}, numbered from 0")
    processor = load_processor(model, recipe.visual)
    collator = make_collator(processor, recipe, media_root(recipe, path))
    measured = Measure(collator, recipe.over_budget == "fewer_frames")(records[number])
    encoded = collator.encode(records[number], measured.frames)
    ids, labels = encoded["input_ids"][0].tolist(), encoded["labels"][0].tolist()
    media = {processor.image_token_id: "image", processor.video_token_id: "video"}
    return LabelledSample(
        id=records[number].id,
        number=number,
        samples=len(records),
        tokens=len(ids),
        trained=sum(label != IGNORED for label in labels),
        visual=sum(token in media for token in ids),
        spans=[
            Span(trained=trained, tokens=len(run), text=shown_text(run, processor.tokenizer, media))
            for trained, run in label_spans(ids, labels)
        ],
    )


def load_processor(model: str, visual: VisualSettings) -> Any:
    """The processor of a checkpoint with a recipe's visual settings; its weights are not opened.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    folder = resolve_checkpoint(model)
    try:
        with quiet_transformers():
            source = foreign_source(folder)
            if source is not None:
                config, processor = source.config, source.processor
            else:
                config = VideoPathLlavaConfig.from_pretrained(folder)
                processor = VideoPathLlavaProcessor.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint {model} cannot be opened: {' '.join(str(error).split())[:300]}") from None
    set_visual(SimpleNamespace(config=config), processor, visual.model_dump(exclude_none=True))
    return processor
