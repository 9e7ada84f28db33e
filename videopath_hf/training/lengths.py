"""How many tokens a sample becomes, and how many frames fit its budget, found out without decoding its media."""

from typing import NamedTuple

from videopath_hf.modeling.packing_videopath_llava import num_image_tokens, num_tiles, num_video_tokens
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


class _Count(NamedTuple):
    """Tokens, how many of them are trained on, inputs of the tower, and the most frames that one of the clips has."""

    tokens: int
    supervised: int
    tiles: int
    most: int


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
            whole = self._count(record, self.collator.num_frames)
            self.collator.check(record, whole.supervised, whole.tokens)
            return Measured(record.id, whole.tokens, whole.tiles)
        except TooLongError as error:
            fewer = self._fit(record, whole.most) if self.fewer_frames else None
            if fewer is not None:
                return fewer._replace(whole=whole.tokens)
            return Measured(record.id, whole.tokens, whole.tiles, dropped=error.reason)
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
            count = self._count(record, middle)
            if count.tokens <= limit:
                fits, low = Measured(record.id, count.tokens, count.tiles, frames=middle), middle + 1
            else:
                high = middle - 1
        return fits

    def _count(self, record: InstructionRecord, frames: int) -> _Count:
        collator = self.collator
        layout = collator.processor.layout(**collator.image_options(record))
        sizes, clips = [], []
        for kind, path in collator.media(record):
            if kind == "image":
                sizes.append(image_size(record.id, path))
            else:
                clips.append(clip_metadata(record.id, path, frames, collator.strategy, collator.video_fps))
        tiles = [num_tiles(size, layout) for size in sizes]
        taken = [len(clip.frames_indices or ()) for clip in clips]
        visual = [num_image_tokens(size, count, layout) for size, count in zip(sizes, tiles, strict=True)]
        visual += [num_video_tokens(count, layout) for count in taken]
        prompt = collator.prompt(record, clips)
        tokens = len(prompt.ids) + sum(visual) - len(visual)  # each has a placeholder already
        return _Count(tokens, int(prompt.trained.sum()), sum(tiles) + sum(taken), max(taken, default=0))
