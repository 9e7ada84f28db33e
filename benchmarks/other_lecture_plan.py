"""What the lectures of `other_lecture.py` show and say when: four styles, filled in differently by each seed."""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

Box = tuple[int, int, int, int]


class View(NamedTuple):
    """Where the camera stands `at` seconds into a scene: centre in pixels of the slide, and its downsample."""

    at: float
    x: float
    y: float
    downsample: float


class Words(NamedTuple):
    """Words shown from `start` to `end` seconds into a scene; x, y: their top left corner, or centre of a line."""

    start: float
    end: float
    text: str
    role: str
    size: int
    x: int
    y: int
    look: str = "bare"  # or "plate", "dark", "ink" (no more than letters), "faint"
    centred: bool = False


class Person(NamedTuple):
    """The presenter from `start` to `end` seconds into a scene, in a box; `shape` is "framed", "round" or "full"."""

    start: float
    end: float
    box: Box
    shape: str


class Scene(NamedTuple):
    """What is shown between two cuts."""

    kind: str
    seconds: float
    said: tuple[str, ...]
    words: tuple[Words, ...] = ()
    persons: tuple[Person, ...] = ()
    case: str | None = None
    views: tuple[View, ...] = ()
    revisit: bool = False
    into: str = "cut"
    overlap: float = 0.0
    pictures: tuple[tuple[str, Box], ...] = ()  # cases whose slides are shown small on a title slide


class Style(NamedTuple):
    """A recording's form. `view` is where the slide lies; what is around it, is the viewer's."""

    size: tuple[int, int]
    rate: float
    steady: bool
    file: str  # container, by its ending
    codec: str
    options: str  # the codec's
    view: Box
    minimap: str | None  # corner
    paper: tuple[int, int, int]
    ink: tuple[int, int, int]
    panel: tuple[int, int, int]
    voice: str  # espeak-ng's options
    watermark: str | None = None
    dab: bool = False
    pointer: bool = False
    subtitles: bool = False


STYLES: dict[str, Style] = {
    # a viewer with a panel at the left, light theme, 4:3
    "panel": Style(
        (1024, 768), 30, True, "mkv", "libx265", "preset=ultrafast crf=25 x265-params=log-level=none",
        (256, 40, 1024, 768), "bottom left", (252, 252, 250), (30, 34, 40), (236, 237, 240), "-v en-gb -s 160",
    ),
    # the presenter beside the slide, subtitles, immunohistochemistry, dark theme
    "captions": Style(
        (854, 480), 29.97, True, "mov", "libx264", "preset=veryfast crf=24 g=300 bf=3",
        (0, 0, 640, 480), None, (20, 22, 26), (240, 236, 220), (12, 12, 14), "-v en-us+f3 -s 170",
        watermark="PathChannel", dab=True, subtitles=True,
    ),
    # a recorded screen of uneven frame rate, with a pointer
    "screen": Style(
        (1280, 720), 30, False, "mkv", "libsvtav1", "preset=11 crf=38 svtav1-params=lp=1",
        (0, 0, 1280, 720), "top right", (250, 250, 252), (20, 30, 60), (0, 0, 0), "-v en-gb-scotland -s 165",
        pointer=True,
    ),
    # a window on a page of a presentation, few frames a second
    "page": Style(
        (1920, 1080), 15, True, "webm", "libvpx-vp9", "deadline=realtime cpu-used=8 crf=34 b=0",
        (60, 160, 1360, 1020), None, (255, 255, 255), (40, 40, 48), (255, 255, 255), "-v en-us -s 150 -p 60",
    ),
}  # fmt: skip

_FINDINGS = (
    "Nests of large cells", "Chronic inflammation", "Fibrous septa", "Enlarged nuclei", "Crowded glands",
    "Thick vessel walls", "Pale cytoplasm", "Many lymphocytes", "Loose stroma", "Smooth border",
)  # fmt: skip
_TOPICS = ("Surgical Pathology Rounds", "Cases from the Microscope", "Slide Seminar", "Two Cases, One Question")


def plan(style: Style, seed: int, labels: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Scene]]:
    """The two cases of a lecture, from `labels.json` of the slide crops, and its scenes."""
    rng = random.Random(f"{style.file} {seed}")  # other cases in each style
    known = [
        entry
        for entry in labels
        if entry["organ"].isalpha() and entry["case"] not in ("celiac-disease", "melanosiscoli")
    ]
    cases = rng.sample(known, 2)
    return cases, _Writer(style, rng, cases).scenes()


class _Writer:
    def __init__(self, style: Style, rng: random.Random, cases: Sequence[dict[str, Any]]) -> None:
        self.style, self.rng, self.cases = style, rng, cases
        self.width, self.height = style.size
        self.left, self.top, self.right, self.bottom = style.view
        self.letter = max(15, round(self.height / 26))

    def scenes(self) -> list[Scene]:
        rng, (first, second) = self.rng, self.cases
        soft = {"into": "dissolve", "overlap": rng.choice((0.5, 0.8, 1.2, 2.0))}
        fields = rng.random() < 0.7
        found = [
            self.page(
                "title", 4.0, (rng.choice(_TOPICS), "A short lecture"), ("Welcome to this short lecture.",), first
            ),
            self.presenter("Both patients were seen last year."),
            *self.case(1, first, fields),
            *(
                [
                    self.page(
                        "title",
                        3.5,
                        ("Case 2", f"{second['organ'].capitalize()}, resection"),
                        ("Now to the next patient.",),
                    )
                ]
                if rng.random() < 0.6
                else []
            ),
            *self.case(2, second, not fields),
            self.back(1, first),
            self.back(2, second),
            self.page("outro", 4.0, ("Thank you", "slides@example.org"), ("Thank you for listening.",)),
        ]
        for number in rng.sample(range(2, len(found)), 2 if self.style.pointer else 1):
            found[number] = found[number]._replace(**soft)
        return found

    def page(
        self,
        kind: str,
        seconds: float,
        lines: Sequence[str],
        said: tuple[str, ...],
        shown: dict[str, Any] | None = None,
    ) -> Scene:
        """A page of text; with `shown`, with a picture of its slide where there is room."""
        words = []
        picture = shown is not None and self.style.paper[0] > 100
        middle = round(self.width * (0.3 if picture else 0.5))
        for number, line in enumerate(lines):
            size = round(self.letter * (1.9 if number == 0 and not picture else 1.2))
            at = round(self.height * (0.4 + 0.14 * number))
            words.append(
                Words(
                    number * 0.8, seconds, line, "title" if number == 0 else "subtitle", size, middle, at, "ink", True
                )
            )
        shares = zip((0.58, 0.25, 0.94, 0.75), (self.width, self.height) * 2, strict=True)
        x0, y0, x1, y1 = (round(share * side) for share, side in shares)
        pictures = ((shown["case"], (x0, y0, x1, y1)),) if picture and shown is not None else ()
        return Scene(kind, seconds, said, tuple(words), pictures=pictures)

    def presenter(self, sentence: str) -> Scene:
        size, x = round(self.height * 0.9), round(self.width * self.rng.choice((0.08, 0.3)))
        box = (x, self.height - size, x + size, self.height)
        words = Words(
            0,
            4.5,
            "Clinical history: none given",
            "caption",
            self.letter,
            round(self.width * 0.06),
            round(self.height * 0.88),
            "dark",
        )
        return Scene("presenter", 4.5, (sentence,), (words,), (Person(0, 4.5, box, "full"),))

    def case(self, number: int, case: dict[str, Any], two_fields: bool) -> list[Scene]:
        """The scenes in which a case is shown for the first time: one, or two fields with a cut between them."""
        rng, seconds = self.rng, self.rng.choice((15.0, 17.0, 19.0))
        wide, low, mid, high = self.stops(case)
        said = (
            f"Case {number} is a specimen of the {case['organ']}.",
            "At low power the architecture can be seen.",
            f"At high power the features support the diagnosis of {_diagnosis(case).lower()}.",
        )
        label = self.words(0, 0.4 * seconds, f"Case {number}: {case['organ']} biopsy", "label", "plate", 0)
        finding = self.words(0.45 * seconds, 0.68 * seconds, rng.choice(_FINDINGS), "label", "bare", 1)
        verdict = self.words(0.74 * seconds, seconds, f"Diagnosis: {_diagnosis(case).lower()}", "label", "dark", 2)
        times = (0, 0.2, 0.33, 0.45, 0.56, 0.68, 0.8, 1)
        stops = (wide, wide, low, low, mid, high, high, mid)
        views = tuple(View(round(t * seconds, 2), *stop) for t, stop in zip(times, stops, strict=True))
        scene = Scene("tissue", seconds, said, (label, finding, verdict), self.persons(seconds), case["case"], views)
        if not two_fields:
            return [scene]
        jump = rng.choice((-0.25, 0.25)) * self.span(high[2])
        x, y, d = high[0] + jump, high[1] - 0.6 * jump, high[2]
        half = scene._replace(
            seconds=0.7 * seconds,
            words=tuple(w._replace(end=min(w.end, 0.7 * seconds)) for w in (label, finding)),
            said=said[:2],
        )
        rest = round(0.5 * seconds, 2)
        more = Scene(
            "tissue", rest, said[2:], (verdict._replace(start=1.0, end=rest),), self.persons(rest)[:1], case["case"],
            (View(0, x, y, d), View(0.5 * rest, x, y, d), View(rest, x + 0.2 * jump, y, 1.2 * d)),
        )  # fmt: skip
        return [half, more]

    def back(self, number: int, case: dict[str, Any]) -> Scene:
        """A short look back at a case."""
        _, _, mid, high = self.stops(case)
        stop = self.rng.choice((mid, high))
        seconds = self.rng.choice((5.0, 6.5))
        views = (
            View(0, *stop),
            View(0.5 * seconds, *stop),
            View(seconds, stop[0] + 0.1 * self.span(stop[2]), stop[1], stop[2]),
        )
        words = self.words(0, seconds, f"Case {number}", "label", "plate", 0)
        return Scene(
            "tissue", seconds, (f"Compare this with case {number}.",), (words,), (), case["case"], views, True
        )

    def stops(self, case: dict[str, Any]) -> list[tuple[float, float, float]]:
        """Four views of a slide, each inside what its crops hold: all of it, then nearer and nearer."""
        width, height = self.right - self.left, self.bottom - self.top
        files = {entry["file"].rsplit("/", 1)[-1]: entry for entry in case["images"]}
        whole, near, close = files["overview.jpg"], files["x8.jpg"], files["x2.jpg"]

        def fits(entry: dict[str, Any]) -> float:
            return float(entry["downsample"] * min(entry["width"] / width, entry["height"] / height))

        def centre(entry: dict[str, Any]) -> tuple[float, float]:
            return entry["x"] + entry["width"] * entry["downsample"] / 2, entry["y"] + entry["height"] * entry[
                "downsample"
            ] / 2

        all_of_it = whole["downsample"] * max(whole["width"] / width, whole["height"] / height) * 1.04
        low, high = 0.95 * fits(near), 0.85 * fits(close)
        return [(*centre(whole), all_of_it), (*centre(near), low), (*centre(close), 0.5 * low), (*centre(close), high)]

    def span(self, downsample: float) -> float:
        return (self.right - self.left) * downsample

    def words(self, start: float, end: float, text: str, role: str, look: str, corner: int) -> Words:
        """Words near a corner of the slide, or in its midst (1)."""
        width, height = self.right - self.left, self.bottom - self.top
        x, y = ((0.04, 0.05), (self.rng.uniform(0.1, 0.45), self.rng.uniform(0.25, 0.6)), (0.06, 0.72))[corner]
        return Words(
            round(start, 2),
            round(end, 2),
            text,
            role,
            self.letter,
            round(self.left + x * width),
            round(self.top + y * height),
            look,
        )

    def persons(self, seconds: float) -> tuple[Person, ...]:
        width, height = self.right - self.left, self.bottom - self.top
        if self.style.subtitles:
            return (Person(0, seconds, (self.right, 0, self.width, self.height), "full"),)
        side = round(0.27 * height)
        if self.style.minimap == "bottom left":
            x, y, shape = self.left + round(0.7 * width), self.top + round(0.03 * height), "round"
        else:
            x, y, shape = self.right - side - round(0.02 * width), self.bottom - side - round(0.03 * height), "framed"
        start, end = (0.0, 0.5 * seconds) if self.rng.random() < 0.5 else (0.35 * seconds, seconds)
        return (Person(round(start, 2), round(end, 2), (x, y, x + side, y + side), shape),)


def _diagnosis(case: dict[str, Any]) -> str:
    return str(case["diagnosis"]).split(" (")[0]
