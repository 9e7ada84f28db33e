"""From instruction records to batches: media decoded, tokens merged, labels on what the assistant says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch.nn.utils.rnn import pad_sequence

from videopath_hf.files import resolve_inside
from videopath_hf.modeling.image_processing_videopath_llava import Pixels, values_of
from videopath_hf.modeling.processing_videopath_llava import time_sentence
from videopath_hf.modeling.templates import PLAIN_TEMPLATE
from videopath_hf.modeling.videos_videopath_llava import VideoPathVideoMetadata
from videopath_hf.records import InstructionRecord
from videopath_hf.training.encoded import (
    PIXELS,
    VIDEO_PIXELS,
    Media,
    Sample,
    SampleCache,
    stack_filled,
    visual_tokens,
)
from videopath_hf.training.labels import IGNORED, LabelMask, reference_blocks, reference_mask
from videopath_hf.training.prompts import Prompt, Prompter
from videopath_hf.training.reading import (
    BrokenMediaError,
    SampleError,
    TooLongError,
    read_clip,
    read_image,
)

SAMPLE_IDS = "sample_ids"
"""Key of the batch under which the records' ids travel; the trainer takes it out before the model sees the batch."""

QUARANTINED = "quarantined"
"""Key of the batch under which samples travel whose media turned out to be broken: `[(id, reason), ...]`."""

SeveralImages = Literal["anyres", "pad"]


class VideoPathCollator:
    """Makes a training batch of instruction records.

    Args:
        processor ([`VideoPathLlavaProcessor`]): with a chat template that marks the assistant's words and their end
            token by `{% generation %}`.
        root (`Path`): folder that the records' media paths are relative to.
        template (`str`, defaults to `"chat"`): `chat` (the processor's own) or `plain` (image, caption, line break).
        label_mask (`str`, defaults to `"assistant"`): `assistant` labels what the template marks, and nothing else;
            `reference` labels what the published implementation trains on, and puts the one medium of a message first
            as it does, see [`~videopath_hf.training.labels.reference_mask`].
        several_images (`str`, defaults to `"anyres"`): how each of a sample's images is cut where it has more than
            one: `anyres` (as the processor's own aspect ratio says, and as in answering) or `pad` (one tile each, on a
            grey square: the published training).
        num_frames (`int`, defaults to 32), strategy (`str`, defaults to `"uniform"`), video_fps (`float`, defaults to
            1.0): which frames of a clip are taken, see [`~videopath_hf.video.sampling.sample_indices`].
        time_sentence (`bool`, defaults to `False`): say after each clip how long it is and at which times its frames
            stand.
        max_length (`int`, *optional*): longest sample in tokens; nothing is ever cut.
        cache_mb (`int`, defaults to 0): memory, in megabytes, for samples that come again in a later epoch.
    """

    def __init__(
        self,
        processor: Any,
        root: str | Path,
        *,
        template: Literal["chat", "plain"] = "chat",
        label_mask: LabelMask = "assistant",
        several_images: SeveralImages = "anyres",
        num_frames: int = 32,
        strategy: Literal["uniform", "fps"] = "uniform",
        video_fps: float = 1.0,
        time_sentence: bool = False,
        max_length: int | None = None,
        cache_mb: int = 0,
    ) -> None:
        self.processor = processor
        self.root = Path(root)
        self.as_reference = label_mask == "reference" and template == "chat"
        self.several_images = several_images
        self.num_frames = num_frames
        self.strategy = strategy
        self.video_fps = video_fps
        self.time_sentence = time_sentence
        self.max_length = max_length
        self.cache = SampleCache(cache_mb * 1_000_000)
        self.prompter = Prompter(processor, PLAIN_TEMPLATE if template == "plain" else processor.chat_template)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate rows that hold an [`InstructionRecord`] as JSON under `record`, and under `frames` at most how many.

        A sample whose medium turns out to be broken is left out of the batch and told of under `quarantined`; if that
        leaves none, the batch is a single token that is not trained on, so that no other rank waits for this one.
        """
        wanted = [(InstructionRecord.model_validate_json(row["record"]), row["frames"]) for row in rows]
        broken: list[tuple[str, str]] = []
        samples = self._samples(wanted, broken)
        ids = [record.id for (record, _), sample in zip(wanted, samples, strict=True) if sample is not None]
        batch = {SAMPLE_IDS: ids, **self._join([sample for sample in samples if sample is not None])}
        return {**batch, QUARANTINED: broken} if broken else batch

    def collate(self, records: Sequence[InstructionRecord]) -> dict[str, Any]:
        """Collate records: `input_ids`, `attention_mask`, `labels` [B, T], the pixels, and the ids (`sample_ids`).

        Samples are padded on the right; images to the same number of tiles and clips to the same number of frames
        with zeros, which `image_num_tiles` and `video_num_frames` keep from the model.

        Raises:
            SampleError: a medium is broken, a sample is longer than `max_length`, or none of its tokens is labelled.
        """
        samples = [sample for sample in self._samples([(record, None) for record in records]) if sample is not None]
        return {SAMPLE_IDS: [record.id for record in records], **self._join(samples)}

    def encode(self, record: InstructionRecord, frames: int | None = None) -> dict[str, torch.Tensor]:
        """One sample as a batch of one.

        Args:
            record ([`InstructionRecord`]): the sample.
            frames (`int`, *optional*): at most so many frames of each of its clips; `num_frames` where left out.
        """
        return self._join([sample for sample in self._samples([(record, frames)]) if sample is not None])

    def _samples(
        self, wanted: Sequence[tuple[InstructionRecord, int | None]], broken: list[tuple[str, str]] | None = None
    ) -> list[Sample | None]:
        """Samples from the cache or made anew, and None for one whose medium is broken: `broken` then tells of it."""
        keys = [f"{frames}:{record.model_dump_json()}" for record, frames in wanted]
        samples = [self.cache.get(key) for key in keys]
        shown: list[tuple[int, Media]] = []
        for place, (record, frames) in enumerate(wanted):
            if samples[place] is None:
                try:
                    shown.append((place, self.show(record, frames or self.num_frames)))
                except BrokenMediaError as error:
                    if broken is None:
                        raise
                    broken.append((record.id, error.reason))
        prompts = self._prompts([(wanted[place][0], media.clips) for place, media in shown])
        for (place, media), prompt in zip(shown, prompts, strict=True):
            sample = self._label(wanted[place][0], prompt, media)
            samples[place] = sample
            self.cache.put(keys[place], sample)
        return samples

    def _prompts(self, wanted: Sequence[tuple[InstructionRecord, list[VideoPathVideoMetadata]]]) -> list[Prompt]:
        if not wanted:
            return []
        return self.prompter.tokenize(
            [self.prompter.render(record.id, self.messages(record), self.sentences(clips)) for record, clips in wanted]
        )

    def prompt(self, record: InstructionRecord, clips: list[VideoPathVideoMetadata]) -> Prompt:
        """A record in tokens, one placeholder for each medium; `clips` is what is known of its clips."""
        return self._prompts([(record, clips)])[0]

    def sentences(self, clips: Sequence[VideoPathVideoMetadata]) -> list[str]:
        """What the prompt says of the times of each clip's frames."""
        return [time_sentence(clip) for clip in clips] if self.time_sentence else []

    def _label(self, record: InstructionRecord, prompt: Prompt, media: Media) -> Sample:
        ids, trained = prompt.expanded({self.prompter.ids[kind]: media.tokens[kind] for kind in media.tokens})
        self.check(record, int(trained.sum()), len(ids))
        if self.as_reference:
            trained = reference_mask(ids, trained, self.processor.tokenizer)
        return Sample(ids, ids.masked_fill(~trained, IGNORED), media)

    def show(self, record: InstructionRecord, frames: int) -> Media:
        """Decode what a record shows; raises [`BrokenMediaError`]."""
        processor, options = self.processor, self.image_options(record)
        layout = processor.layout(**options)
        images, sizes, clips, known = [], [], [], []
        for kind, path in self.media(record):
            if kind == "image":
                image = read_image(record.id, path)
                images.append(processor.image_processor.cut(image, **options))
                sizes.append((image.height, image.width))
            else:
                pixels, metadata = read_clip(
                    record.id, path, frames, self.strategy, self.video_fps, processor.video_processor.squash
                )
                clips.append(pixels)
                known.append(metadata)
        tiles: dict[str, list[Sequence[Pixels]]] = {}
        tensors: dict[str, torch.Tensor] = {}
        if images:
            tiles[PIXELS] = images
            tensors["image_sizes"] = torch.tensor(sizes)
            tensors["image_num_tiles"] = torch.tensor([len(image) for image in images])
        if clips:
            tiles[VIDEO_PIXELS] = clips
            tensors["video_num_frames"] = torch.tensor([len(clip) for clip in clips])
        return Media(tiles, tensors, visual_tokens(tensors, layout), known)

    def media(self, record: InstructionRecord) -> list[tuple[str, Path]]:
        """(`image` or `video`, file) of each medium, in the order in which the messages show them."""
        return [
            (block["type"], resolve_inside(self.root, block["path"]))
            for message in self.messages(record)
            for block in message["content"]
            if block["type"] != "text"
        ]

    def image_options(self, record: InstructionRecord) -> dict[str, Any]:
        """How the processor is to cut this record's images, where that is not its own way."""
        several = sum(media.type == "image" for media in record.media) > 1
        return {"image_aspect_ratio": "pad"} if several and self.several_images == "pad" else {}

    def check(self, record: InstructionRecord, supervised: int, length: int) -> None:
        """Raise [`SampleError`] for a sample without a trained token, [`TooLongError`] for one over the budget."""
        if supervised == 0:
            raise SampleError(
                record.id,
                "none of its tokens would be trained on: its assistant's turn is empty, or the chat template does "
                "not mark it with {% generation %}",
            )
        if self.max_length is not None and length > self.max_length:
            raise TooLongError(record.id, length, self.max_length)

    def messages(self, record: InstructionRecord) -> list[dict[str, Any]]:
        """The record's messages as they are shown to the model, with media by their paths."""

        def blocks(content: Any) -> list[dict[str, Any]]:
            if not self.as_reference:
                return [{"type": "text", "text": content}] if isinstance(content, str) else content
            return reference_blocks(content, self.time_sentence)

        return [{"role": message["role"], "content": blocks(message["content"])} for message in record.messages]

    def _join(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        pad = self.processor.tokenizer.pad_token_id
        ids = [sample.ids for sample in samples] or [torch.tensor([pad])]
        labels = [sample.labels for sample in samples] or [torch.tensor([IGNORED])]
        batch = {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=pad),
            "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        }
        return {**batch, **self.inputs([sample.media for sample in samples])}

    def inputs(self, media: Sequence[Media]) -> dict[str, torch.Tensor]:
        """What the model is given of the media of several samples: pixels or features, and what counts them."""
        tensors: dict[str, list[torch.Tensor]] = {}
        tiles: dict[str, list[Sequence[Pixels]]] = {}
        for shown in media:
            for name, tensor in shown.tensors.items():
                tensors.setdefault(name, []).append(tensor)
            for name, items in shown.tiles.items():
                tiles.setdefault(name, []).extend(items)
        kinds = {PIXELS: self.processor.image_processor, VIDEO_PIXELS: self.processor.video_processor}
        whole = {name: stack_filled(parts) for name, parts in tensors.items()}
        return {**whole, **{name: values_of(kinds[name], items) for name, items in tiles.items()}}
