"""Something to try the app on: stretches of the sample lecture without its labels and its presenter."""

from pathlib import Path
from typing import NamedTuple

from PIL import Image

from videopath_hf.samples import lecture_path
from videopath_hf.video.decode import iter_frames
from videopath_hf.video.encode import write_clip

_FPS = 10.0
_WIDTH = 960


class _Stretch(NamedTuple):
    file: str
    title: str
    start: float
    end: float
    top: float  # of the picture, as a part of its height: what stands above is cut away


class Example(NamedTuple):
    """One example: its file, what it is called, and a picture of it beside it."""

    path: Path
    title: str
    picture: Path


# Between the labels and the presenter of `lecture_plan.py`; labels that stand above `top` are cut away.
_STRETCHES = (
    _Stretch("brown.mp4", "Brown stain, from low to high power", 13.1, 21.5, 0.22),
    _Stretch("pale.mp4", "Pale stain, moving across", 50.2, 55.8, 0.15),
)
_STILL = _Stretch("still.jpg", "Pale stain, a still image", 33.5, 33.6, 0.0)


def cut_examples(folder: Path) -> list[Example]:
    """Cut the examples from the sample lecture into a folder, each with a picture of it."""
    made = []
    for stretch in (*_STRETCHES, _STILL):
        path = folder / stretch.file
        frames = [
            frame.image[round(stretch.top * len(frame.image)) :]
            for frame in iter_frames(lecture_path(), _FPS, stretch.start, stretch.end, _WIDTH)
        ]
        if stretch is _STILL:
            Image.fromarray(frames[0]).save(path, "JPEG", quality=92)
        else:
            write_clip(path, frames, _FPS, crf=20)
        picture = Image.fromarray(frames[len(frames) // 2])
        picture.thumbnail((320, 320))
        picture.save(path.with_suffix(".thumb.jpg"), "JPEG", quality=82)
        made.append(Example(path, stretch.title, path.with_suffix(".thumb.jpg")))
    return made
