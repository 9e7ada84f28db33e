"""What every kind of model is asked and gives back, and the pictures it is shown."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from videopath_hf.data.stores import Found, as_file
from videopath_hf.errors import UserError
from videopath_hf.evaluation.identity import Hashes, ModelIdentity
from videopath_hf.files import content_hash
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.sampling import SampledVideo, Strategy, sample_video

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class Ask(NamedTuple):
    """One question about the media of one record.

    Args:
        id (`str`): of the record.
        question (`str`): the words.
        media (`list[tuple[str, Found]]`): type (`"image"` or `"video"`) and place of each medium, in order.
        blind (`bool`): show black pictures in their place.
    """

    id: str
    question: str
    media: list[tuple[Literal["image", "video"], Found]]
    blind: bool = False

    def key(self, hashes: Hashes) -> str:
        """What the answer depends on beside the model: an answer to another question or clip is not this one's."""
        return content_hash(self.question, [hashes.of(found) for _, found in self.media], self.blind)


class Said(NamedTuple):
    """What a model answered.

    Args:
        text (`str`): the answer.
        frame_times (`list[float]`): seconds of the video frames shown.
        frames (`int`): how many pictures were shown in all.
        tokens (`int`, *optional*): tokens generated; None where a server does not count them.
        tokens_in (`int`, *optional*): tokens of the prompt, pictures included.
        cut (`bool`): the answer is as long as allowed, so that its end may be missing.
        seconds (`dict[str, float]`): by step; of a batch each answer bears its share.
    """

    text: str
    frame_times: list[float]
    frames: int
    tokens: int | None
    tokens_in: int | None
    cut: bool
    seconds: dict[str, float]


class Failed(NamedTuple):
    """Why there is no answer."""

    reason: str


class Predictor(Protocol):
    """A model that can be asked."""

    identity: ModelIdentity

    def answer(self, asks: Iterable[Ask]) -> Iterator[tuple[Ask, Said | Failed]]:
        """Answer all of them, in any order, each as soon as it is there.

        Raises:
            UserError: what no other question would be spared: the model cannot be loaded, a server refuses the key.
        """
        ...


class Shown(NamedTuple):
    """The pictures of one question, decoded.

    Args:
        videos (`list[SampledVideo]`): frames of each video, with their numbers and times.
        rates (`list[tuple[int, float]]`): number of frames and frames a second of each whole video.
        images (`list[np.ndarray]`): uint8 [H, W, 3] each.
        order (`list[str]`): `"image"` and `"video"` in the order in which the record shows them.
        seconds (`float`): it took to read them.
    """

    videos: list[SampledVideo]
    rates: list[tuple[int, float]]
    images: list[Pixels]
    order: list[Literal["image", "video"]]
    seconds: float

    @property
    def frame_times(self) -> list[float]:
        """Seconds of all video frames."""
        return [round(float(time), 3) for video in self.videos for time in video.times]

    @property
    def pictures(self) -> int:
        """How many pictures these are."""
        return sum(len(video.frames) for video in self.videos) + len(self.images)


def look(ask: Ask, num_frames: int, sampling: Strategy) -> Shown:
    """Decode what a question is about; black where the question is asked blind.

    Raises:
        UserError: a medium cannot be decoded; it is named by its place, also where that is in a zip file.
    """
    start = time.perf_counter()
    videos, rates, images = [], [], []
    for kind, found in ask.media:
        with as_file(found) as path, named(path, found):
            if kind == "video":
                video = sample_video(path, num_frames, sampling)
                rates.append(_rate(path))
                videos.append(video._replace(frames=np.zeros_like(video.frames)) if ask.blind else video)
            else:
                image = np.array(_read_image(path))
                images.append(np.zeros_like(image) if ask.blind else image)
    return Shown(videos, rates, images, [kind for kind, _ in ask.media], time.perf_counter() - start)


@contextmanager
def named(path: Path, found: Found) -> Iterator[None]:
    """Errors about a file that was unpacked for a moment name the place it came from."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(str(path), found.place)) from None


def as_files(ask: Ask, stack: ExitStack) -> list[Path]:
    """The media of a question as files, for as long as `stack` is open."""
    paths = []
    for _, found in ask.media:
        path = stack.enter_context(as_file(found))
        stack.enter_context(named(path, found))
        paths.append(path)
    return paths


def out_of_memory(ask: Ask, error: Exception) -> UserError:
    """What is said where a single question is too much for the GPU."""
    why = " ".join(str(error).split())[:200]
    return UserError(
        f"the question about {ask.id} does not fit into memory ({why}); lower num_frames, or choose another dtype or "
        "device; what was answered is kept"
    )


def _read_image(path: Path) -> Any:
    # It imports torch, which who asks an address about videos never needs.
    from videopath_hf.modeling.image_reading_videopath_llava import read_images

    try:
        (image,) = read_images([path])
    except ValueError as error:
        raise UserError(str(error)) from None
    return image


def _rate(path: Path) -> tuple[int, float]:
    times = frame_index(path).times
    span = float(times[-1] - times[0])
    return len(times), (len(times) - 1) / span if span > 0 else 1.0
