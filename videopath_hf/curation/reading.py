"""The pass over a segment at full resolution: its on-screen text, its presenters, the colour of its glass."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from pydantic import Field

from videopath_hf.curation.clips import Grid
from videopath_hf.curation.layout import Layout, LayoutWatcher
from videopath_hf.curation.ocr import TextReader
from videopath_hf.curation.pages import is_page, stands_still
from videopath_hf.curation.persons import PersonWatcher, Seen, find_patches, presenter_share
from videopath_hf.curation.screen_text import TextScanner, is_text
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.curation.text_pixels import changed, thumb
from videopath_hf.curation.tissue import Picture, glass_colour
from videopath_hf.curation.yolo import person_detector, tissue_detector
from videopath_hf.records import Box, PersonBox, Record, RemovedText, Segment
from videopath_hf.video.decode import iter_frames, read_frames
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.probe import VideoInfo

_GLASS = (242, 242, 242)  # where a segment shows no glass at all
_GLASS_SAMPLES = 8
_BEHIND = 8  # frames that may wait to be looked at for presenters


class SegmentReading(Record):
    """What a segment shows besides tissue; `insets` are the boxes of presenters whose outline stands out, `layout` is
    None where there is none, `reads` is how many frames went through the OCR."""

    texts: list[RemovedText]
    persons: list[PersonBox] = Field(default_factory=list)
    insets: list[Box] = Field(default_factory=list)
    glass: tuple[int, int, int] = _GLASS
    layout: Layout | None = None
    reads: int = 0


def read_tissue(
    path: Path,
    info: VideoInfo,
    segment: Segment,
    grid: Grid,
    foreign: Sequence[tuple[float, Box]],
    reader: TextReader | None,
    settings: CurateSettings,
    frames: Iterable[Picture] | None = None,
    before: Sequence[SegmentReading] = (),
) -> SegmentReading:
    """Read a tissue segment on the very frames that its clips will hold.

    Args:
        frames (`Iterable`, *optional*): the pictures of the grid; decoded here if omitted.
        foreign: times and boxes of colours, seen at low resolution, that are no slide's and may be a presenter.
        reader (`TextReader`, *optional*): none where no OCR is installed or wanted.
        before (`Sequence[SegmentReading]`): of the segments before: their layouts, for one in which nothing moves, and
            their insets, for one in which dense tissue hides an outline.
    """
    gap = 2.5 / settings.segments.sample_fps
    seen = [Seen(time, box) for time, box in foreign] if settings.persons.enabled else []
    size = (info.width, info.height)
    watcher = (
        PersonWatcher(
            find_patches(seen, gap),
            size,
            settings.persons,
            person_detector(settings.persons),
            [inset for reading in before for inset in reading.insets],
        )
        if settings.persons.enabled
        else None
    )
    layout = LayoutWatcher(size, tissue_detector(settings.tissue))
    scanner = TextScanner(reader, settings.screen_text) if reader is not None else None
    colours = []
    if frames is None:
        frames = (frame.image for frame in iter_frames(path, grid.fps, grid.start, segment.end))
    with _Beside(watcher.add if watcher is not None else None) as faces:
        for number, image in enumerate(islice(frames, grid.frames)):
            time = grid.time(number)
            faces.add(time, image)
            layout.add(image)
            if scanner is not None:
                scanner.add(time, image)
            if number % max(1, grid.frames // _GLASS_SAMPLES) == 0:
                colours.append(glass_colour(image[::4, ::4]))
    layouts = [reading.layout for reading in before if reading.layout is not None]
    glass = [colour for colour in colours if colour is not None]
    red, green, blue = np.median(glass, axis=0).astype(int).tolist() if glass else _GLASS
    persons = watcher.finish(1 / grid.fps, segment.end) if watcher is not None else []
    texts = scanner.finish(segment.end) if scanner is not None else []
    return SegmentReading(
        texts=[text for text in texts if not any(_hides(person, text) for person in persons)],
        persons=persons,
        insets=watcher.drawn if watcher is not None else [],
        glass=(red, green, blue),
        layout=layout.finish([person.box for person in persons], layouts, [text.box for text in texts]),
        reads=scanner.reads if scanner is not None else 0,
    )


class _Beside:
    """Hands frames, in order, to something that looks at them in another thread, a few frames behind at most."""

    def __init__(self, look: Callable[[float, Picture], None] | None) -> None:
        self._look = look
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> "_Beside":
        return self

    def __exit__(self, *_: object) -> None:
        with self._pool:
            while self._waiting:
                self._waiting.popleft().result()

    def add(self, time: float, image: Picture) -> None:
        if self._look is None:
            return
        self._waiting.append(self._pool.submit(self._look, time, image))
        if len(self._waiting) > _BEHIND:
            self._waiting.popleft().result()


def read_page(path: Path, segment: Segment, reader: TextReader | None, settings: CurateSettings) -> SegmentReading:
    """Read a segment that is not kept, twice if it changes: what a title slide says may name the case that follows."""
    texts: dict[str, RemovedText] = {}
    times = [segment.start + share * (segment.end - segment.start) for share in (0.5, 0.9)]
    frames = frames_at(path, times) if reader is not None else []
    if frames and changed(thumb(frames[0]), thumb(frames[1])) is None:
        frames = frames[1:]  # faded in, if it does
    for frame in frames:
        for text in reader.read(frame) if reader is not None else []:
            if is_text(text, frame.shape[0]) and text.score >= settings.screen_text.min_score:
                texts.setdefault(
                    text.text, RemovedText(text=text.text, box=text.box, start=segment.start, end=segment.end)
                )
    return SegmentReading(texts=list(texts.values()), reads=len(frames))


def name_presenters(path: Path, segments: Sequence[Segment], settings: CurateSettings) -> list[Segment]:
    """Call those segments `presenter` in most of whose frames a large face is found; title slides are left alone.

    Where the colours say tissue, three frames are looked at and all must show the face. A still page with a small
    picture of tissue on it is a title slide.
    """
    named = []
    for segment in segments:
        share = 0.0
        if segment.kind == "tissue" and stands_still(segment):
            middle = (segment.start + segment.end) / 2
            if is_page(frames_at(path, [middle])[0]):
                segment = segment.model_copy(update={"kind": "title"})
        if segment.kind != "title" and settings.persons.enabled:
            count, needed = (3, 1.0) if segment.kind == "tissue" else (5, 0.5)
            times = [segment.start + (number + 0.5) / count * (segment.end - segment.start) for number in range(count)]
            # Slides rarely answer at all: one frame without a face settles a segment in which all must show it.
            slide = segment.kind == "tissue"
            detector = person_detector(settings.persons)
            if not slide or presenter_share(frames_at(path, times[:1]), settings.persons, detector, slide) > 0:
                share = presenter_share(frames_at(path, times), settings.persons, detector, slide)
            if share >= needed:
                segment = segment.model_copy(update={"kind": "presenter"})
        named.append(segment.model_copy(update={"figures": {**segment.figures, "faces": round(share, 3)}}))
    return named


def frames_at(path: Path, times: Sequence[float]) -> list[Picture]:
    """The frames shown at some times, in seconds."""
    shown = frame_index(path).times
    indices = np.clip(np.searchsorted(shown, np.asarray(times) + 1e-6, side="right") - 1, 0, len(shown) - 1)
    return list(read_frames(path, indices.tolist()))


def _hides(person: PersonBox, text: RemovedText) -> bool:
    """Whether a text is part of an inset, a badge on a coat, and is masked with it."""
    x, y = (text.box[0] + text.box[2]) / 2, (text.box[1] + text.box[3]) / 2
    inside = person.box[0] <= x <= person.box[2] and person.box[1] <= y <= person.box[3]
    return inside and person.start <= text.start and text.end <= person.end
