"""Clips, stills and records for the learning benchmark: a camera over real slides, train and test far apart.

The slides are a folder with `labels.json` (a list of cases: `case`, `organ`, `diagnosis` and `images` with `file`,
`downsample`, and `x`, `y`, `width`, `height`, where x and y are full-resolution pixels of the slide). Every slide is
cut in two along one vertical line; what is trained on lies left of it, what is tested right of it. As the line stands
in the slide's own pixels, it holds across magnifications, and a gap keeps JPEG's blocks apart.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from videopath_hf.data.folder import media_path
from videopath_hf.files import atomic_dir, content_hash, write_records
from videopath_hf.instructions.build import make_record
from videopath_hf.records import InstructionKind, InstructionRecord, Media, Split
from videopath_hf.video.encode import write_clip

POWERS = {8: "low", 2: "high"}
"""Downsample factors of the crops that are used, and what a pathologist calls them."""
SIDE = 160
"""Pixels along a side of a clip or a still."""
FRAMES, FPS = 8, 2.0
TRAIN_SHARE = 0.6
"""Share of the crop at high power that lies left of the line."""
GAP = 256
"""Full-resolution pixels on both sides of the line that nobody sees: 32 at low power, two of JPEG's blocks."""
WINDOW = (260, 420)
"""Smallest and largest side of what the camera sees, in pixels of a crop."""
COUNTS: dict[tuple[InstructionKind, Split], int] = {
    ("image", "train"): 20,
    ("clip", "train"): 8,
    ("video", "train"): 4,
    ("video", "test"): 4,
}
"""Media of each case; each still is a caption as well."""
QUESTIONS = (
    "What does this {medium} show, and what is the diagnosis?",
    "Describe the {medium} and name the diagnosis.",
    "Which diagnosis does this {medium} show?",
)
_MOVES = ("pans over the section", "zooms in", "zooms out")
_TISSUE = 0.35  # share of a window that must be darker than glass
_GLASS = 215
_TRIES = 60

Picture = np.ndarray[Any, np.dtype[np.uint8]]


class Window(NamedTuple):
    """What the camera sees: a square of a crop, in its pixels."""

    left: float
    top: float
    side: float


class Shot(NamedTuple):
    """A camera path over one crop of one case: where it starts, where it ends, and the move it makes."""

    case: str
    file: str
    downsample: int
    origin: tuple[int, int]
    start: Window
    end: Window
    move: str

    def area(self) -> tuple[float, float, float, float]:
        """Everything the camera sees on its way, (x0, y0, x1, y1) in full-resolution pixels of the slide."""
        boxes = [(w.left, w.top, w.left + w.side, w.top + w.side) for w in (self.start, self.end)]
        (a, b, c, d), (e, f, g, h) = boxes
        x, y = self.origin
        scale = self.downsample
        return x + scale * min(a, e), y + scale * min(b, f), x + scale * max(c, g), y + scale * max(d, h)


def write_slides_dataset(slides: Path, out: Path, seed: int = 0) -> Path:
    """Write clips, stills and records of all cases into the dataset folder `out`.

    Returns:
        `Path`: `out`; what is there already is left alone, as it can only be the same.

    Raises:
        ValueError: a region for training and one for testing overlap.
    """
    if (out / "instructions.jsonl").is_file():
        return out
    cases = json.loads((slides / "labels.json").read_text(encoding="utf-8"))
    shots = {case["case"]: list(_shots(slides, case, seed)) for case in cases}
    check_apart([(split, shot) for found in shots.values() for _, split, shot in found])
    with atomic_dir(out) as folder:
        records = []
        for case in cases:
            for number, (kind, split, shot) in enumerate(shots[case["case"]]):
                records += _write_shot(folder, slides, case, number, kind, split, shot)
        write_records(folder / "instructions.jsonl", records)
    return out


def check_apart(shots: list[tuple[Split, Shot]]) -> None:
    """Raise `ValueError` if anything that is trained on is seen, at any magnification, in a test."""
    train = [(shot.case, shot.area()) for split, shot in shots if split == "train"]
    for case, (x0, y0, x1, y1) in [(shot.case, shot.area()) for split, shot in shots if split == "test"]:
        for other, (a, b, c, d) in train:
            if case == other and x0 < c and a < x1 and y0 < d and b < y1:
                raise ValueError(f"{case}: the test region {(x0, y0, x1, y1)} overlaps {(a, b, c, d)} of training")


def _shots(slides: Path, case: dict[str, Any], seed: int) -> Iterator[tuple[InstructionKind, Split, Shot]]:
    rng = np.random.default_rng([seed, int(content_hash(case["case"]), 16) % 2**32])
    crops = {image["downsample"]: image for image in case["images"] if image["downsample"] in POWERS}
    high = crops[min(POWERS)]
    line = high["x"] + TRAIN_SHARE * high["width"] * high["downsample"]
    for (kind, split), count in COUNTS.items():
        for number in range(count):
            crop = crops[list(POWERS)[number % len(POWERS)]]
            yield kind, split, _shot(slides, case["case"], crop, line, split, kind, rng)


def _shot(
    slides: Path,
    case: str,
    crop: dict[str, Any],
    line: float,
    split: Split,
    kind: InstructionKind,
    rng: np.random.Generator,
) -> Shot:
    """The first of many random paths that shows enough tissue; else the one that shows most."""
    cut = (line - crop["x"]) / crop["downsample"]
    gap = GAP / crop["downsample"]
    columns = (0.0, cut - gap) if split == "train" else (cut + gap, float(crop["width"]))
    glass = _glass(slides / crop["file"])
    best: tuple[float, Shot] | None = None
    for _ in range(_TRIES):
        move = _MOVES[0] if kind == "image" else str(rng.choice(_MOVES))
        start, end = _path(rng, columns, float(crop["height"]), move, still=kind == "image")
        shot = Shot(case, crop["file"], crop["downsample"], (crop["x"], crop["y"]), start, end, move)
        tissue = min(_tissue(glass, window) for window in (start, end))
        if best is None or tissue > best[0]:
            best = (tissue, shot)
        if tissue >= _TISSUE:
            break
    assert best is not None
    return best[1]


def _path(
    rng: np.random.Generator, columns: tuple[float, float], height: float, move: str, still: bool
) -> tuple[Window, Window]:
    small, large = WINDOW
    side = rng.uniform(small, min(large, columns[1] - columns[0]))

    def place(side: float) -> Window:
        return Window(rng.uniform(columns[0], columns[1] - side), rng.uniform(0, height - side), side)

    first = place(side)
    if still:
        return first, first
    if move == _MOVES[0]:
        # A pan of at most a window's width: lecturers move slowly.
        left = float(np.clip(first.left + rng.uniform(-side, side), columns[0], columns[1] - side))
        top = float(np.clip(first.top + rng.uniform(-side, side), 0, height - side))
        return first, Window(left, top, side)
    inner = side * rng.uniform(0.6, 0.8)
    second = Window(first.left + rng.uniform(0, side - inner), first.top + rng.uniform(0, side - inner), inner)
    return (first, second) if move == _MOVES[1] else (second, first)


def _tissue(glass: Picture, window: Window) -> float:
    left, top, side = (int(value) for value in window)
    return float((glass[top : top + side : 4, left : left + side : 4] < _GLASS).mean())


@cache
def _picture(path: Path) -> Picture:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@cache
def _glass(path: Path) -> Picture:
    return _picture(path).min(axis=2)


def render(slides: Path, shot: Shot, frames: int) -> list[Picture]:
    """The frames of a shot, uint8 [SIDE, SIDE, 3]."""
    image = Image.fromarray(_picture(slides / shot.file))
    seen = []
    for share in np.linspace(0, 1, frames):
        left, top, side = (a + share * (b - a) for a, b in zip(shot.start, shot.end, strict=True))
        box = (left, top, left + side, top + side)
        seen.append(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)))
    return seen


def _write_shot(
    folder: Path, slides: Path, case: dict[str, Any], number: int, kind: InstructionKind, split: Split, shot: Shot
) -> list[InstructionRecord]:
    name = f"{case['case']}_{number:03d}"
    medium = "image" if kind == "image" else "video"
    path = media_path(medium, split, name + (".png" if kind == "image" else ".mp4"))
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    if kind == "image":
        Image.fromarray(render(slides, shot, 1)[0]).save(folder / path)
        return [_record(case, name, one, split, path, number, shot) for one in ("caption", "image")]
    write_clip(folder / path, render(slides, shot, FRAMES), FPS)
    return [_record(case, name, kind, split, path, number, shot)]


def _record(
    case: dict[str, Any], name: str, kind: InstructionKind, split: Split, path: str, number: int, shot: Shot
) -> InstructionRecord:
    organ = None if case["organ"] == "not stated" else str(case["organ"])
    description = f"{(organ or 'tissue').capitalize()} at {POWERS[shot.downsample]} power."
    medium: Literal["image", "video"] = "video" if path.endswith(".mp4") else "image"
    if medium == "video":
        description += f" The view {shot.move}."
    question = "" if kind == "caption" else QUESTIONS[number % len(QUESTIONS)].format(medium=medium)
    diagnosis = None if kind == "caption" else str(case["diagnosis"])
    common = {
        "clip_id": name,
        "video_id": case["case"],
        "organ": organ,
        "split": split,
        "source": str(case.get("source", case["case"])),
        "licence": "MIT",
        "writer": "benchmarks/training_slides.py",
        "prompt_hash": "0",
    }
    return make_record(f"{name}-{kind}", kind, Media(type=medium, path=path), question, description, diagnosis, common)
