"""How many tokens a sample becomes, and how many frames fit its budget, found out without decoding its media."""

from typing import Any, NamedTuple

from videopath_hf.files import resolve_inside
from videopath_hf.modeling.packing_videopath_llava import num_image_tokens, num_tiles, num_video_tokens
from videopath_hf.modeling.processing_videopath_llava import time_sentence
from videopath_hf.records import InstructionRecord
from videopath_hf.training.collator import VideoPathCollator
from videopath_hf.training.reading import BrokenMediaError, SampleError, TooLongError, clip_metadata, image_size


class Measured(NamedTuple):
    """One sample: what it takes, or why it is left out, or why nobody should train on any of the data.

    Args:
        id (`str`): of its record.
        tokens (`int`): its length; of a sample that is left out for it, that of the whole sample.
        tiles (`int`): inputs of the vision tower: tiles of its images, frames of its clips.
        frames (`int`, *optional*): most frames of each of its clips, where these are fewer than usual.
        whole (`int`, *optional*): its length with all frames, where it has fewer.
        dropped (`str`, *optional*): why it is left out.
        fault (`str`, *optional*): what is wrong with it that must not be left out silently.
    """

    id: str
    tokens: int = 0
    tiles: int = 0
    frames: int | None = None
    whole: int | None = None
    dropped: str | None = None
    fault: str | None = None


class Measure:
    """Measures records exactly as a collator will encode them, from the headers of their media alone.

    Args:
        collator ([`VideoPathCollator`]): its settings and its `max_length` count.
        fewer_frames (`bool`, defaults to `False`): take as many frames of a sample over the budget as fit, instead of
            leaving it out.
    """

    def __init__(self, collator: VideoPathCollator, fewer_frames: bool = False) -> None:
        self.collator = collator
        self.fewer_frames = fewer_frames

    def __call__(self, record: InstructionRecord) -> Measured:
        """What becomes of `record`; it never raises on a sample's fault, so that it can run in a worker process."""
        try:
            tokens, tiles, most = self._count(record, self.collator.num_frames)
            self.collator.check(record, self._supervised(record), tokens)
            return Measured(record.id, tokens, tiles)
        except TooLongError as error:
            fewer = self._fit(record, most) if self.fewer_frames else None
            return fewer._replace(whole=tokens) if fewer else Measured(record.id, tokens, tiles, dropped=error.reason)
        except BrokenMediaError as error:
            return Measured(record.id, dropped=error.reason)
        except SampleError as error:
            return Measured(record.id, fault=error.reason)

    def _fit(self, record: InstructionRecord, most: int) -> Measured | None:
        """The most frames that fit, found by halving; None where not even one does."""
        limit = self.collator.max_length
        assert limit is not None
        fits: Measured | None = None
        low, high = 1, most - 1
        while low <= high:
            middle = (low + high) // 2
            tokens, tiles, _ = self._count(record, middle)
            if tokens <= limit:
                fits, low = Measured(record.id, tokens, tiles, frames=middle), middle + 1
            else:
                high = middle - 1
        return fits

    def _count(self, record: InstructionRecord, frames: int) -> tuple[int, int, int]:
        """Tokens, inputs of the tower, and the most frames that one of its clips has."""
        collator, processor = self.collator, self.collator.processor
        options = collator.image_options(record)
        visual = tiles = most = 0
        sentences = []
        for kind, path in self._media(record):
            if kind == "image":
                size, layout = image_size(record.id, path), processor.layout(**options)
                count = num_tiles(size, layout)
                visual += num_image_tokens(size, count, layout) - 1
            else:
                known = clip_metadata(record.id, path, frames, collator.strategy, collator.video_fps)
                count = len(known.frames_indices)
                visual += num_video_tokens(count, processor.layout()) - 1
                most = max(most, count)
                sentences.append(time_sentence(known))
            tiles += count
        text = self._text(record)
        if collator.time_sentence:
            parts = text.split(processor.video_token)
            said = [f"{processor.video_token}\n{sentence}" for sentence in sentences]
            text = "".join(part for pair in zip(parts, [*said, ""], strict=True) for part in pair)
        return len(processor.tokenizer(text)["input_ids"]) + visual, tiles, most

    def _media(self, record: InstructionRecord) -> list[tuple[str, Any]]:
        return [
            (block["type"], resolve_inside(self.collator.root, block["path"]))
            for message in self._shown(record)
            for block in message["content"]
            if block["type"] != "text"
        ]

    def _shown(self, record: InstructionRecord) -> list[dict[str, Any]]:
        return self.collator.messages(record)

    def _text(self, record: InstructionRecord) -> str:
        """The prompt with one placeholder for each medium."""
        processor = self.collator.processor
        text: str = processor.apply_chat_template(
            self._shown(record), chat_template=self.collator.chat_template, tokenize=False
        )
        return text

    def _supervised(self, record: InstructionRecord) -> int:
        found = self.collator.processor.tokenizer.apply_chat_template(
            self._shown(record),
            chat_template=self.collator.chat_template,
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        return sum(found["assistant_masks"])
