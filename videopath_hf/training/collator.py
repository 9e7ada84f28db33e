"""From instruction records to batches: media decoded, tokens merged, labels on what the assistant says."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from videopath_hf.files import resolve_inside
from videopath_hf.modeling.templates import PLAIN_TEMPLATE
from videopath_hf.modeling.videos_videopath_llava import VideoPathVideoMetadata
from videopath_hf.records import InstructionRecord
from videopath_hf.training.labels import IGNORED, LabelMask, reference_blocks, reference_mask
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
        self.chat_template: str = PLAIN_TEMPLATE if template == "plain" else processor.chat_template

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate rows that hold an [`InstructionRecord`] as JSON under `record`, and under `frames` at most how many.

        A sample whose medium turns out to be broken is left out of the batch and told of under `quarantined`; if that
        leaves none, the batch is a single token that is not trained on, so that no other rank waits for this one.
        """
        samples, ids, broken = [], [], []
        for row in rows:
            record = InstructionRecord.model_validate_json(row["record"])
            try:
                samples.append(self.encode(record, row["frames"]))
                ids.append(record.id)
            except BrokenMediaError as error:
                broken.append((record.id, error.reason))
        batch = {SAMPLE_IDS: ids, **self._join(samples or [self._nothing()])}
        return {**batch, QUARANTINED: broken} if broken else batch

    def collate(self, records: Sequence[InstructionRecord]) -> dict[str, Any]:
        """Collate records: `input_ids`, `attention_mask`, `labels` [B, T], the pixels, and the ids (`sample_ids`).

        Samples are padded on the right; images to the same number of tiles and clips to the same number of frames
        with zeros, which `image_num_tiles` and `video_num_frames` keep from the model.

        Raises:
            SampleError: a medium is broken, a sample is longer than `max_length`, or none of its tokens is labelled.
        """
        samples = [self.encode(record) for record in records]
        return {SAMPLE_IDS: [record.id for record in records], **self._join(samples)}

    def _join(self, samples: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        fill = {"input_ids": self.processor.tokenizer.pad_token_id, "attention_mask": 0, "labels": IGNORED}
        batch = {}
        for key in {key: None for sample in samples for key in sample}:
            parts = [sample[key] for sample in samples if key in sample]
            batch[key] = _join(parts, fill.get(key, 0)) if key in fill or key.startswith("pixel") else torch.cat(parts)
        return batch

    def _nothing(self) -> dict[str, torch.Tensor]:
        token = torch.tensor([[self.processor.tokenizer.pad_token_id]])
        return {"input_ids": token, "attention_mask": torch.ones_like(token), "labels": torch.full((1, 1), IGNORED)}

    def encode(self, record: InstructionRecord, frames: int | None = None) -> dict[str, torch.Tensor]:
        """One sample as a batch of one, without padding; taken from the cache if it is there.

        Args:
            record ([`InstructionRecord`]): the sample.
            frames (`int`, *optional*): at most so many frames of each of its clips; `num_frames` where left out.
        """
        key = f"{frames}:{record.model_dump_json()}"
        found = self.cache.get(key)
        if found is None:
            found = self._encode(record, frames or self.num_frames)
            self.cache.put(key, found)
        return found

    def _encode(self, record: InstructionRecord, frames: int) -> dict[str, torch.Tensor]:
        times: list[VideoPathVideoMetadata] = []
        conversation = self._conversation(record, frames, times)
        options: dict[str, Any] = {"do_sample_frames": False, **self.image_options(record)}
        if self.time_sentence and times:
            options.update(time_sentence=True, video_metadata=[times])
        sample = self.processor.apply_chat_template(
            [conversation],
            chat_template=self.chat_template,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            return_assistant_tokens_mask=True,
            processor_kwargs=options,
        )
        trained = torch.as_tensor(sample.pop("assistant_masks")).bool()
        self.check(record, int(trained.sum()), trained.shape[1])
        if self.as_reference:
            trained = reference_mask(sample["input_ids"][0], trained[0], self.processor.tokenizer)[None]
        return {**sample, "labels": sample["input_ids"].masked_fill(~trained, IGNORED)}

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

    def _conversation(
        self, record: InstructionRecord, frames: int, times: list[VideoPathVideoMetadata]
    ) -> list[dict[str, Any]]:
        def block(item: Mapping[str, Any]) -> dict[str, Any]:
            if item["type"] == "text":
                return {"type": "text", "text": item["text"]}
            path = resolve_inside(self.root, item["path"])
            if item["type"] == "image":
                return {"type": "image", "image": self._image(record, path)}
            return {"type": "video", "video": self._clip(record, path, frames, times)}

        return [
            {"role": message["role"], "content": [block(item) for item in message["content"]]}
            for message in self.messages(record)
        ]

    def _image(self, record: InstructionRecord, path: Path) -> Any:
        return read_image(record.id, path)

    def _clip(self, record: InstructionRecord, path: Path, frames: int, times: list[VideoPathVideoMetadata]) -> Any:
        """Frames of a clip; what is known of them is added to `times`."""
        pixels, known = read_clip(record.id, path, frames, self.strategy, self.video_fps)
        times.append(known)
        return pixels


class SampleCache:
    """Encoded samples in memory, the one used longest ago first to go.

    Args:
        capacity (`int`): bytes; 0 keeps nothing.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.size = 0
        self._samples: OrderedDict[str, dict[str, torch.Tensor]] = OrderedDict()

    def get(self, key: str) -> dict[str, torch.Tensor] | None:
        """What was put under `key`, or `None`."""
        if key in self._samples:
            self._samples.move_to_end(key)
        return self._samples.get(key)

    def put(self, key: str, encoding: dict[str, torch.Tensor]) -> None:
        """Keep an encoding if it fits."""
        if _bytes(encoding) > self.capacity:
            return
        self._samples[key] = encoding
        self.size += _bytes(encoding)
        while self.size > self.capacity:
            self.size -= _bytes(self._samples.popitem(last=False)[1])


def _bytes(encoding: Mapping[str, torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in encoding.values())


def _join(parts: Sequence[torch.Tensor], fill: int) -> torch.Tensor:
    """Concatenate along the first dimension, the second filled up to the longest."""
    length = max(part.shape[1] for part in parts)
    shape = (sum(part.shape[0] for part in parts), length, *parts[0].shape[2:])
    joined = torch.full(shape, fill, dtype=parts[0].dtype)
    row = 0
    for part in parts:
        joined[row : row + part.shape[0], : part.shape[1]] = part
        row += part.shape[0]
    return joined
