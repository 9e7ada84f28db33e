"""Three short synthetic lectures with hard transitions, for measuring cut detection, each with its truth.

`similar`: hard cuts between fields of one slide, a whip pan, a fast zoom, an inset that appears, a short dissolve.
`fades`: fades through black and white, dissolves of 0.5 and 1 s, slide changes on white, a bullet that appears.
`screen`: a recorded screen: every picture twice, grain, a moving cursor, scrolling, dark slides that change.

Pictures are the sample lecture's, or a folder of slide crops (`tissue`) where one is given.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.video.encode import write_clip

Picture = np.ndarray[Any, np.dtype[np.uint8]]
View = tuple[float, float, float]
"""Centre, as shares of the canvas, and width of the view as a share of the canvas's width."""

FPS = 25
WIDTH, HEIGHT = 640, 360


class Scene(NamedTuple):
    """What is shown from one cut to the next: `paint(seconds since its start)` gives the picture."""

    kind: str
    seconds: float
    paint: Callable[[float], Picture]
    into: str = "cut"
    overlap: float = 0.0
    still: tuple[tuple[float, float], ...] = ()


def lectures(tissue: Path | None = None) -> dict[str, list[Scene]]:
    """The three lectures' scenes by name."""
    slides = _slides(tissue)
    return {"similar": _similar(slides), "fades": _fades(slides), "screen": _screen(slides)}


def make(scenes: list[Scene], path: Path) -> dict[str, Any]:
    """Write a lecture as video and return its truth, in the development lecture's form."""
    write_clip(path, frames(scenes), FPS, crf=24)
    return truth(scenes, path.name)


def frames(scenes: list[Scene]) -> Iterator[Picture]:
    """All pictures of a lecture."""
    for number, scene in enumerate(scenes):
        before = scenes[number - 1] if number else None
        for count in range(round(scene.seconds * FPS)):
            at = count / FPS
            picture = scene.paint(at)
            if before is not None and at < scene.overlap:
                share = (count + 1) / (round(scene.overlap * FPS) + 1)
                picture = _mixed(before.paint(before.seconds + at), picture, share, scene.into)
            yield picture


def truth(scenes: list[Scene], video: str) -> dict[str, Any]:
    """Segments, cuts and stills; a transition's time is where it begins, `ends` where it is over."""
    segments: list[dict[str, Any]] = []
    cuts: list[dict[str, Any]] = []
    start = 0.0
    for number, scene in enumerate(scenes):
        end = round(start + scene.seconds, 3)
        if number:
            cut = {"time": start, "frame": round(start * FPS), "type": scene.into}
            cuts.append(cut | ({"ends": round(start + scene.overlap, 3)} if scene.overlap else {}))
        still = [[round(start + a, 3), round(start + b, 3)] for a, b in scene.still]
        segments.append({"id": number, "kind": scene.kind, "start": start, "end": end, "still": still})
        start = end
    return {
        "video": video,
        "fps": FPS,
        "frames": round(start * FPS),
        "duration": start,
        "segments": segments,
        "cuts": cuts,
    }


def _mixed(a: Picture, b: Picture, share: float, into: str) -> Picture:
    if into == "dissolve":
        return cv2.addWeighted(a, 1 - share, b, share, 0).astype(np.uint8)
    flat = np.full_like(a, 0 if into == "fade_black" else 255)
    if share < 0.5:
        return cv2.addWeighted(a, 1 - 2 * share, flat, 2 * share, 0).astype(np.uint8)
    return cv2.addWeighted(flat, 2 - 2 * share, b, 2 * share - 1, 0).astype(np.uint8)


def _similar(slides: list[Picture]) -> list[Scene]:
    a, b = slides[0], slides[1]
    start = (0.3, 0.4, 0.25)
    return [
        Scene("title", 3, page(["Two fields of one slide"], dark=True)),
        Scene("tissue", 5, camera(a, (0, start), (2, start), (5, (0.42, 0.45, 0.2))), still=((0, 2),)),
        Scene("tissue", 4, camera(a, (0, (0.6, 0.45, 0.2))), still=((0, 4),)),
        Scene("tissue", 4, camera(a, (0, (0.5, 0.6, 0.2)), (4, (0.42, 0.55, 0.25)))),
        # a whip pan and a fast zoom in one shot
        Scene(
            "tissue",
            7,
            camera(
                b,
                (0, (0.3, 0.35, 0.25)),
                (2, (0.3, 0.35, 0.25)),
                (2.5, (0.7, 0.5, 0.25)),
                (4.5, (0.7, 0.5, 0.25)),
                (4.9, (0.68, 0.48, 0.08)),
                (7, (0.68, 0.48, 0.08)),
            ),
            still=((0, 2), (2.5, 4.5), (4.9, 7)),
        ),
        Scene("tissue", 6, inset(camera(b, (0, (0.45, 0.5, 0.3))), 2, 4.5), still=((0, 6),)),
        Scene("tissue", 5, camera(a, (0, (0.5, 0.5, 0.7))), "dissolve", 0.6, still=((0.6, 5),)),
        Scene("outro", 3, page(["Thank you"], dark=True)),
    ]


def _fades(slides: list[Picture]) -> list[Scene]:
    a, b = slides[2 % len(slides)], slides[3 % len(slides)]
    bullets = ["Findings", "villous atrophy", "lymphocytes in the epithelium"]
    return [
        Scene("title", 3, page(["Fades"], dark=True)),
        Scene("tissue", 5, camera(a, (0, (0.4, 0.4, 0.3)), (5, (0.5, 0.45, 0.25))), "fade_black", 1.0),
        Scene("tissue", 5, camera(b, (0, (0.4, 0.4, 0.3))), "fade_white", 0.8, still=((0.8, 5),)),
        Scene("tissue", 5, camera(a, (0, (0.6, 0.5, 0.2)), (5, (0.57, 0.5, 0.22))), "dissolve", 1.0),
        Scene("tissue", 5, camera(b, (0, (0.6, 0.5, 0.25))), "dissolve", 0.5, still=((0.5, 5),)),
        Scene("title", 5, growing(bullets, 2.5), "dissolve", 0.6),
        Scene("title", 4, page(["Differential diagnosis", "giardiasis", "tropical sprue", "autoimmune enteropathy"])),
        Scene("tissue", 4, camera(b, (0, (0.5, 0.5, 0.6))), still=((0, 4),)),
        Scene("outro", 3, page(["Questions?"], dark=True), "dissolve", 0.6),
    ]


def _screen(slides: list[Picture]) -> list[Scene]:
    a, b = slides[4 % len(slides)], slides[5 % len(slides)]

    def recorded(paint: Callable[[float], Picture]) -> Callable[[float], Picture]:
        return lambda at: cursor(grain(paint(int(at * FPS + 1e-6) // 2 * 2 / FPS), int(at * FPS)), at)

    whole = (0.5, 0.5, 0.9)
    scroll = [(n, (0.3 + 0.05 * n, 0.4 + 0.04 * (n % 2), 0.22)) for n in range(8)]
    return [
        Scene("title", 3, recorded(page(["Screen recording"], dark=True))),
        Scene("title", 3, recorded(page(["Case 5", "Clinical history"], dark=True))),
        Scene("tissue", 7, recorded(camera(a, *scroll))),
        Scene("tissue", 5, recorded(camera(a, (0, (0.55, 0.55, 0.25)))), still=((0, 5),)),
        Scene(
            "tissue",
            6,
            recorded(camera(b, (0, whole), (1, whole), (2, (0.4, 0.5, 0.12)), (6, (0.45, 0.5, 0.12)))),
            still=((0, 1),),
        ),
        Scene("title", 3, recorded(page(["Diagnosis"], dark=True))),
        Scene("tissue", 5, recorded(camera(b, (0, (0.35, 0.45, 0.2)))), still=((0, 5),)),
        Scene("outro", 3, recorded(page(["The end"], dark=True))),
    ]


def camera(slide: Picture, *views: tuple[float, View]) -> Callable[[float], Picture]:
    """A camera that passes through `views` at their times, starting and stopping gently, zooming by equal factors."""

    def paint(at: float) -> Picture:
        after = next((n for n, (time, _) in enumerate(views) if time > at), None)
        if after is None or after == 0:
            return _seen(slide, views[-1 if after is None else 0][1])
        (t0, a), (t1, b) = views[after - 1], views[after]
        share = (at - t0) / (t1 - t0)
        share = share * share * (3 - 2 * share)
        x, y = (a[n] + share * (b[n] - a[n]) for n in (0, 1))
        return _seen(slide, (x, y, a[2] * (b[2] / a[2]) ** share))

    return paint


def _seen(slide: Picture, view: View) -> Picture:
    x, y, width = view
    scale = WIDTH / (width * slide.shape[1])
    shift = (WIDTH / 2 - x * slide.shape[1] * scale, HEIGHT / 2 - y * slide.shape[0] * scale)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.warpAffine(slide, matrix, (WIDTH, HEIGHT), flags=flags, borderValue=(243, 242, 244)).astype(np.uint8)


def page(lines: list[str], dark: bool = False) -> Callable[[float], Picture]:
    """A slide of text on white, or on navy."""
    paper, ink = ((24, 42, 78), (250, 250, 250)) if dark else ((252, 252, 252), (30, 30, 30))
    image = np.full((HEIGHT, WIDTH, 3), paper, dtype=np.uint8)
    for number, line in enumerate(lines):
        place = (50, 80 + 60 * number)
        cv2.putText(image, line, place, cv2.FONT_HERSHEY_SIMPLEX, 1.3 if number == 0 else 0.9, ink, 2, cv2.LINE_AA)
    return lambda at: image


def growing(lines: list[str], at_seconds: float) -> Callable[[float], Picture]:
    """A white page whose last line appears later."""
    first, whole = page(lines[:-1]), page(lines)
    return lambda at: (first if at < at_seconds else whole)(at)


def inset(paint: Callable[[float], Picture], start: float, end: float) -> Callable[[float], Picture]:
    """A portrait in the corner for a while."""
    from skimage import data

    face = cv2.resize(data.astronaut()[0:320, 70:390], (140, 140), interpolation=cv2.INTER_AREA)

    def with_face(at: float) -> Picture:
        image = paint(at).copy()
        if start <= at < end:
            image[HEIGHT - 150 : HEIGHT - 10, WIDTH - 150 : WIDTH - 10] = face
        return image

    return with_face


def grain(image: Picture, seed: int) -> Picture:
    """A camera's or a poor codec's noise."""
    noise = np.random.default_rng(seed).normal(0, 2.5, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def cursor(image: Picture, at: float) -> Picture:
    """A mouse pointer that wanders."""
    image = image.copy()
    place = (round(WIDTH * (0.5 + 0.3 * np.sin(at))), round(HEIGHT * (0.5 + 0.3 * np.cos(0.7 * at))))
    cv2.circle(image, place, 6, (20, 20, 20), -1)
    return image


def _slides(tissue: Path | None) -> list[Picture]:
    if tissue is None:
        return _sample_slides()
    # Overviews and the lower power: what is seen at any zoom is real tissue.
    files = [path for case in sorted(tissue.iterdir()) if case.is_dir() for path in sorted(case.glob("x8.jpg"))]
    return [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(np.uint8) for path in files[:6]]


@cache
def _sample_slides() -> list[Picture]:
    from videopath_hf.samples.make_lecture import _canvas

    first, second = (_canvas(number).astype(np.uint8) for number in (1, 2))
    return [first, second, first[:, ::-1].copy(), second[:, ::-1].copy(), second[::-1].copy(), first[::-1].copy()]
