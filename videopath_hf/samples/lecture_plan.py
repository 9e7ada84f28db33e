"""The sample lecture as data: what is shown and said when. `make_lecture.py` renders it, tests compare with it."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from videopath_hf.records import Box

WIDTH, HEIGHT, FPS = 1280, 720, 25
INSET_SIZE = (184, 230)
ORGAN = "colon"
DIAGNOSES = {1: "FHL2-positive colonic mucosa", 2: "FHL2-negative colonic mucosa"}

Role = Literal["title", "subtitle", "caption", "case", "finding", "diagnosis"]


class View(NamedTuple):
    """Where the camera stands `at` seconds into a segment: centre and width in pixels of the tissue canvas."""

    at: float
    x: float
    y: float
    width: float


class Label(NamedTuple):
    """Words on the screen from `start` to `end` seconds into a segment; x, y: top left, or the centre of a title."""

    start: float
    end: float
    text: str
    role: Role
    x: int
    y: int


class Inset(NamedTuple):
    """The presenter in a corner, from `start` to `end` seconds into a segment; x, y: top left."""

    start: float
    end: float
    x: int
    y: int


class Part(NamedTuple):
    """One segment between two cuts: seconds it lasts, sentences spoken in it and what it shows."""

    kind: Literal["title", "presenter", "tissue", "outro"]
    seconds: float
    said: tuple[str, ...]
    labels: tuple[Label, ...] = ()
    case: int | None = None
    revisit: bool = False
    camera: tuple[View, ...] = ()
    insets: tuple[Inset, ...] = ()


PLAN: tuple[Part, ...] = (
    Part(
        "title",
        4.0,
        ("Welcome. Today we compare two colon biopsies.",),
        (
            Label(0.0, 4.0, "Colon Immunohistochemistry", "title", 640, 300),
            Label(0.0, 4.0, "Two teaching cases", "subtitle", 640, 400),
            Label(1.6, 4.0, "Synthetic sample for software tests", "subtitle", 640, 470),
        ),
    ),
    Part(
        "presenter",
        4.0,
        ("Both slides were stained for the protein FHL2.",),
        (Label(0.0, 4.0, "FHL2 immunostain, DAB and hematoxylin", "caption", 52, 640),),
    ),
    Part(
        "tissue",
        18.0,
        (
            "This is a biopsy of the colon.",
            "At low power we see crowded crypts with strong brown staining.",
            "At high power the brown staining is membranous and outlines the crypt epithelium.",
            "The nuclei are blue, and the stroma is negative.",
            "The diagnosis is FHL2-positive colonic mucosa.",
        ),
        (
            Label(0.0, 6.4, "Case 1: colon biopsy", "case", 36, 36),
            Label(7.6, 11.6, "Brown membranous staining", "finding", 700, 84),
            Label(13.6, 18.0, "Diagnosis: FHL2-positive colonic mucosa", "diagnosis", 36, 640),
        ),
        case=1,
        camera=(
            View(0.0, 500, 330, 1000),
            View(2.8, 500, 330, 1000),
            View(6.0, 320, 230, 520),
            View(7.4, 352, 180, 280),
            View(10.4, 352, 180, 280),
            View(12.6, 372, 424, 280),
            View(14.2, 372, 424, 280),
            View(15.8, 352, 340, 480),
            View(18.0, 352, 340, 480),
        ),
        insets=(Inset(0.0, 5.0, 1076, 470),),
    ),
    Part(
        "tissue",
        18.0,
        (
            "The second case is another biopsy of the colon.",
            "It is a synthetic negative control, made for testing.",
            "At low power the glands are pale, without brown staining.",
            "At high power there is only blue counterstain in the nuclei.",
            "The diagnosis is FHL2-negative colonic mucosa.",
        ),
        (
            Label(0.0, 6.8, "Case 2: colon biopsy", "case", 36, 36),
            Label(2.8, 6.8, "Synthetic negative control", "finding", 470, 650),
            Label(10.2, 13.6, "Blue counterstain only", "finding", 120, 120),
            Label(14.0, 18.0, "Diagnosis: FHL2-negative colonic mucosa", "diagnosis", 36, 640),
        ),
        case=2,
        camera=(
            View(0.0, 520, 400, 1000),
            View(4.4, 520, 400, 1000),
            View(7.6, 600, 360, 680),
            View(8.8, 600, 360, 680),
            View(10.2, 690, 250, 300),
            View(12.4, 690, 250, 300),
            View(14.2, 470, 210, 300),
            View(15.2, 470, 210, 300),
            View(16.2, 520, 260, 460),
            View(18.0, 520, 260, 460),
        ),
        insets=(Inset(11.0, 18.0, 1076, 20),),
    ),
    Part(
        "tissue",
        6.0,
        ("Compare this with the first case, where the crypt epithelium is brown.",),
        (Label(0.0, 6.0, "Case 1", "case", 36, 36),),
        case=1,
        revisit=True,
        camera=(View(0.0, 330, 370, 420), View(2.4, 330, 370, 420), View(6.0, 350, 220, 380)),
    ),
    Part(
        "tissue",
        6.0,
        ("In the second case the glands stay pale, and only the nuclei are blue.",),
        (Label(0.0, 6.0, "Case 2", "case", 36, 36),),
        case=2,
        revisit=True,
        camera=(View(0.0, 660, 330, 380), View(2.8, 660, 330, 380), View(6.0, 560, 300, 420)),
    ),
    Part(
        "outro",
        3.0,
        ("Thank you for listening.",),
        (
            Label(0.0, 3.0, "Thank you", "title", 640, 320),
            Label(0.0, 3.0, "Research software, not for care", "subtitle", 640, 420),
        ),
    ),
)


def truth(label_box: Callable[[Label], Box] | None = None) -> dict[str, Any]:
    """The plan in seconds of the lecture, as plain JSON: `segments`, `cuts`, `texts`, `persons`, `cases`.

    The times of the sentences depend on the voice; they are in the subtitle file. Where letters stand depends on the
    font: `texts` have boxes if `label_box`, the renderer's, is given.
    """
    segments: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    persons: list[dict[str, Any]] = []
    start = 0.0
    for number, part in enumerate(PLAN):
        end = round(start + part.seconds, 3)
        segments.append(_segment(part, number, start, end))
        for label in part.labels:
            text = _shown(start, label) | {"text": label.text, "role": label.role, "segment": number}
            texts.append(text | {"box": label_box(label)} if label_box else text)
        if part.kind == "presenter":
            box = ((WIDTH - HEIGHT) // 2, 0, (WIDTH + HEIGHT) // 2, HEIGHT)
            persons.append({"start": start, "end": end, "role": "full", "box": box, "segment": number})
        for inset in part.insets:
            box = (inset.x, inset.y, inset.x + INSET_SIZE[0], inset.y + INSET_SIZE[1])
            persons.append(_shown(start, inset) | {"role": "inset", "box": box, "segment": number})
        start = end
    cuts = [{"time": item["start"], "frame": round(item["start"] * FPS), "type": "cut"} for item in segments[1:]]
    return {
        "video": "lecture.mp4",
        "width": WIDTH,
        "height": HEIGHT,
        "fps": FPS,
        "frames": round(start * FPS),
        "duration": start,
        "synthetic": True,
        "segments": segments,
        "cuts": cuts,
        "texts": texts,
        "persons": persons,
        "cases": [
            {
                "case": case,
                "organ": ORGAN,
                "diagnosis": diagnosis,
                "spans": [[item["start"], item["end"]] for item in segments if item.get("case") == case],
            }
            for case, diagnosis in DIAGNOSES.items()
        ],
    }


def _segment(part: Part, number: int, start: float, end: float) -> dict[str, Any]:
    segment: dict[str, Any] = {"id": number, "kind": part.kind, "start": start, "end": end, "sentences": part.said}
    if part.case is not None:
        stills = zip(part.camera, part.camera[1:], strict=False)
        segment |= {"case": part.case, "organ": ORGAN, "diagnosis": DIAGNOSES[part.case], "revisit": part.revisit}
        segment["still"] = [[round(start + a.at, 3), round(start + b.at, 3)] for a, b in stills if a[1:] == b[1:]]
    return segment


def _shown(start: float, item: Label | Inset) -> dict[str, Any]:
    return {"start": round(start + item.start, 3), "end": round(start + item.end, 3)}
