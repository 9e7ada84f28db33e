"""Media of one sample read, and what is said of a sample that cannot be trained on."""

from pathlib import Path
from typing import Any

from videopath_hf.errors import UserError
from videopath_hf.modeling.videos_videopath_llava import VideoPathVideoMetadata
from videopath_hf.video.container import VideoError
from videopath_hf.video.decode import Transform
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.sampling import Strategy, sample_indices, sample_video


class SampleError(UserError):
    """A sample that cannot be trained on: `sample` is its record's id, `reason` says why."""

    def __init__(self, sample: str, reason: str) -> None:
        super().__init__(f"sample {sample}: {reason}")
        self.sample = sample
        self.reason = reason


class TooLongError(SampleError):
    """A sample of more tokens than the budget."""

    def __init__(self, sample: str, length: int, max_length: int) -> None:
        super().__init__(sample, f"{length} tokens are more than max_length = {max_length}")
        self.length = length


class BrokenMediaError(SampleError):
    """An image or a clip that does not decode."""

    def __init__(self, sample: str, path: Path, error: Exception) -> None:
        super().__init__(sample, f"{path} cannot be read: {error}")


def read_image(sample: str, path: Path) -> Any:
    """An image file as a PIL image in RGB; raises [`BrokenMediaError`]."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow raises all three on bad files
        raise BrokenMediaError(sample, path, error) from None


def image_size(sample: str, path: Path) -> tuple[int, int]:
    """(height, width) of an image file in pixels, from its header alone; raises [`BrokenMediaError`]."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BrokenMediaError(sample, path, error) from None


def read_clip(
    sample: str, path: Path, frames: int, strategy: Strategy, video_fps: float, transform: Transform
) -> tuple[Any, VideoPathVideoMetadata]:
    """The frames taken of a clip, each through `transform` as soon as it is decoded, and what is known of them.

    Raises:
        BrokenMediaError: the file does not decode.
    """
    try:
        taken = sample_video(path, frames, strategy, video_fps=video_fps, transform=transform)
        return taken.frames, _metadata(frame_index(path).times, taken.indices)
    except VideoError as error:
        raise BrokenMediaError(sample, path, error) from None


def clip_metadata(
    sample: str, path: Path, frames: int, strategy: Strategy, video_fps: float
) -> VideoPathVideoMetadata:
    """What `read_clip` says of a clip, without decoding it: `frames_indices` are the frames it would take.

    Raises:
        BrokenMediaError: the file is not a video.
    """
    try:
        times = frame_index(path).times
    except VideoError as error:
        raise BrokenMediaError(sample, path, error) from None
    return _metadata(times, sample_indices(len(times), _rate(times), frames, strategy, video_fps))


def _rate(times: Any) -> float:
    span = float(times[-1] - times[0])
    return (len(times) - 1) / span if span > 0 else 1.0


def _metadata(times: Any, indices: Any) -> VideoPathVideoMetadata:
    rate = _rate(times)
    return VideoPathVideoMetadata(
        total_num_frames=len(times),
        fps=rate,
        duration=float(times[-1] - times[0]) + 1 / rate,
        frames_indices=indices.tolist(),
        times=times[indices].tolist(),
    )
