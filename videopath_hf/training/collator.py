"""From instruction records to batches: media decoded, tokens merged, labels on what the assistant says."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from videopath_hf.errors import UserError
from videopath_hf.files import resolve_inside
from videopath_hf.modeling.templates import PLAIN_TEMPLATE
from videopath_hf.records import InstructionRecord
from videopath_hf.video.sampling import sample_video

IGNORED = -100
"""Label of a token that is not trained on."""

SAMPLE_IDS = "sample_ids"
"""Key of the batch under which the records' ids travel; the trainer takes it out before the model sees the batch."""


class SampleError(UserError):
    """A sample that cannot be trained on: `sample` is its record's id, `reason` says why."""

    def __init__(self, sample: str, reason: str) -> None:
        super().__init__(f"sample {sample}: {reason}")
        self.sample = sample
        self.reason = reason


class VideoPathCollator:
    """Makes a training batch of instruction records.

    Args:
        processor ([`VideoPathLlavaProcessor`]): with a chat template that marks the assistant's words and their end
            token by `{% generation %}`: these tokens, and no others, are labelled.
        root (`Path`): folder that the records' media paths are relative to.
        template (`str`, defaults to `"chat"`): `chat` (the processor's own) or `plain` (image, caption, line break).
        num_frames (`int`, defaults to 32), strategy (`str`, defaults to `"uniform"`), video_fps (`float`, defaults to
            1.0): which frames of a clip are taken, see [`~videopath_hf.video.sampling.sample_indices`].
        max_length (`int`, *optional*): longest sample in tokens; nothing is ever cut.
        cache_mb (`int`, defaults to 0): memory, in megabytes, for samples that come again in a later epoch.
    """

    def __init__(
        self,
        processor: Any,
        root: str | Path,
        *,
        template: Literal["chat", "plain"] = "chat",
        num_frames: int = 32,
        strategy: Literal["uniform", "fps"] = "uniform",
        video_fps: float = 1.0,
        max_length: int | None = None,
        cache_mb: int = 0,
    ) -> None:
        self.processor = processor
        self.root = Path(root)
        self.num_frames = num_frames
        self.strategy = strategy
        self.video_fps = video_fps
        self.max_length = max_length
        self.cache = SampleCache(cache_mb * 1_000_000)
        self.chat_template: str = PLAIN_TEMPLATE if template == "plain" else processor.chat_template

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate rows that hold an [`InstructionRecord`] as JSON under `record`."""
        return self.collate([InstructionRecord.model_validate_json(row["record"]) for row in rows])

    def collate(self, records: Sequence[InstructionRecord]) -> dict[str, Any]:
        """Collate records: `input_ids`, `attention_mask`, `labels` [B, T], the pixels, and the ids (`sample_ids`).

        Samples are padded on the right; images to the same number of tiles and clips to the same number of frames
        with zeros, which `image_num_tiles` and `video_num_frames` keep from the model.

        Raises:
            SampleError: a medium is broken, a sample is longer than `max_length`, or none of its tokens is labelled.
        """
        samples = [self.encode(record) for record in records]
        fill = {"input_ids": self.processor.tokenizer.pad_token_id, "attention_mask": 0, "labels": IGNORED}
        batch: dict[str, Any] = {SAMPLE_IDS: [record.id for record in records]}
        for key in {key: None for sample in samples for key in sample}:
            parts = [sample[key] for sample in samples if key in sample]
            batch[key] = _join(parts, fill.get(key, 0)) if key in fill or key.startswith("pixel") else torch.cat(parts)
        return batch

    def encode(self, record: InstructionRecord) -> dict[str, torch.Tensor]:
        """One sample as a batch of one, without padding; taken from the cache if it is there."""
        key = record.model_dump_json()
        found = self.cache.get(key)
        if found is None:
            found = self._encode(record)
            self.cache.put(key, found)
        return found

    def _encode(self, record: InstructionRecord) -> dict[str, torch.Tensor]:
        sample = self.processor.apply_chat_template(
            [self._conversation(record)],
            chat_template=self.chat_template,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            return_assistant_tokens_mask=True,
            processor_kwargs={"do_sample_frames": False},
        )
        trained = torch.as_tensor(sample.pop("assistant_masks")).bool()
        self._check(record, int(trained.sum()), trained.shape[1])
        return {**sample, "labels": sample["input_ids"].masked_fill(~trained, IGNORED)}

    def _check(self, record: InstructionRecord, supervised: int, length: int) -> None:
        if supervised == 0:
            raise SampleError(
                record.id,
                "none of its tokens would be trained on: its assistant's turn is empty, or the chat template does "
                "not mark it with {% generation %}",
            )
        if self.max_length is not None and length > self.max_length:
            raise TooLongError(record.id, length, self.max_length)

    def _conversation(self, record: InstructionRecord) -> list[dict[str, Any]]:
        return [
            {"role": message["role"], "content": [self._block(record, block) for block in _blocks(message["content"])]}
            for message in record.messages
        ]

    def _block(self, record: InstructionRecord, block: Mapping[str, Any]) -> dict[str, Any]:
        if block["type"] == "text":
            return {"type": "text", "text": block["text"]}
        path = resolve_inside(self.root, block["path"])
        if block["type"] == "image":
            return {"type": "image", "image": self._image(record, path)}
        return {"type": "video", "video": self._frames(record, path)}

    def _image(self, record: InstructionRecord, path: Path) -> Any:
        from PIL import Image

        try:
            with Image.open(path) as image:
                return image.convert("RGB")
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow raises all three on bad files
            raise BrokenMediaError(record.id, path, error) from None

    def _frames(self, record: InstructionRecord, path: Path) -> Any:
        from videopath_hf.video.probe import VideoError

        try:
            return sample_video(path, self.num_frames, self.strategy, video_fps=self.video_fps).frames
        except VideoError as error:
            raise BrokenMediaError(record.id, path, error) from None


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


class TooLongError(SampleError):
    """A sample of more tokens than the budget."""

    def __init__(self, sample: str, length: int, max_length: int) -> None:
        super().__init__(sample, f"{length} tokens are more than max_length = {max_length}")


class BrokenMediaError(SampleError):
    """An image or a clip that does not decode."""

    def __init__(self, sample: str, path: Path, error: Exception) -> None:
        super().__init__(sample, f"{path} cannot be read: {error}")


def _blocks(content: Any) -> list[Mapping[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
