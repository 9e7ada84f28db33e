"""Presenters: where and when a lecturer's picture lies on the slide, and which segments show nothing else.

A detector looks at a whole frame now and then, and closely at small patches whose colours are no slide's. A sure hit
opens a track; what surrounds it, a framed or round inset or just a head and shoulders, is masked for as long as that
place looks the way it did, which also covers the frames in which the lecturer looks away.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.curation.boxes import around, clipped, overlap, shifted, widened
from videopath_hf.curation.faces import Detector, FaceDetector, Found
from videopath_hf.curation.insets import Inset, inset_box
from videopath_hf.curation.settings import PersonSettings
from videopath_hf.curation.text_pixels import Thumb, changed, thumb
from videopath_hf.curation.tissue import Picture
from videopath_hf.records import Box, PersonBox

_PRESENTER_WIDTH = 480  # pixels at which a full-screen presenter's face is looked for
_CLOSE_WIDTH = 416  # widest close look at a patch
_CLOSE_LOOKS = 4  # close looks at a patch before it is taken for no presenter
_SLIDE_FACE = 2.0  # a face must be this many times wider where the colours say tissue: it may be an inset's
_FIGURE_WIDTH = 0.2  # least width of a full-screen presenter found whole, as a share of the frame's width
_WEAK = 0.64  # share of `min_score` that is enough where a presenter was seen before
_GREY_WIDTH = 640  # pixels of the grey copies of the last frames
_THUMB = 48  # side, in pixels, of the small grey copies by which a presenter is recognised again
_ALIKE = 0.5  # correlation with a presenter's typical picture from which a frame shows it
_FADING = 0.25  # the same for the frames next to such a frame: an inset that fades in or out
_MIN_SECONDS = 1.5  # shortest time for which a patch of foreign colours is watched
_CROPS = 12  # full-size crops kept of a track


def presenter_share(
    frames: Sequence[Picture], settings: PersonSettings, detector: Detector | None = None, on_slide: bool = False
) -> float:
    """Share of a segment's frames that show a presenter, large and in about the same place.

    Args:
        detector (`Detector`, *optional*): CenterFace if omitted.
        on_slide (`bool`, defaults to `False`): the colours say tissue, so that a small face is an inset's.
    """
    if not frames:
        return 0.0
    detector = detector or FaceDetector()
    least = _FIGURE_WIDTH if settings.backend == "yolo" else settings.min_face
    narrowest = least * (_SLIDE_FACE if on_slide else 1.0)
    faces = [
        [
            found.box
            for found in detector.find(frame, _PRESENTER_WIDTH)
            if found.score >= settings.min_score and found.box[2] - found.box[0] >= narrowest * frame.shape[1]
        ]
        for frame in frames
    ]
    best = 0
    for first in (face for found in faces for face in found):
        best = max(best, sum(any(overlap(first, face) >= 0.25 for face in found) for found in faces))
    return best / len(frames)


class Seen(NamedTuple):
    """A box of foreign colours at a time."""

    time: float
    box: Box


class Patch(NamedTuple):
    """A place where colours that are no slide's were seen between two times."""

    box: Box
    start: float
    end: float


def find_patches(seen: Sequence[Seen], gap: float) -> list[Patch]:
    """Group foreign boxes that stay in their place, seen for a while and never missing for more than `gap` seconds."""
    groups: list[list[Seen]] = []
    for item in seen:
        for group in groups:
            if item.time - group[-1].time <= gap and overlap(item.box, group[-1].box) >= 0.3:
                group.append(item)
                break
        else:
            groups.append([item])
    return [
        Patch(around([item.box for item in group]), group[0].time, group[-1].time)
        for group in groups
        if group[-1].time - group[0].time >= _MIN_SECONDS
    ]


@dataclass
class _Close:
    """A patch, when it is looked at closely next, and how many looks are left."""

    patch: Patch
    due: float
    left: int


class PersonWatcher:
    """Watches a tissue segment frame by frame for presenters.

    Args:
        patches (`Sequence[Patch]`): places to look at closely.
        size (`tuple[int, int]`): width and height of the frames.
        settings (`PersonSettings`): backend, sizes and scores.
        detector (`Detector`, *optional*): CenterFace if omitted.
        known (`Sequence[tuple[int, int, int, int]]`): insets that were drawn in other segments of the lecture.
    """

    def __init__(
        self,
        patches: Sequence[Patch],
        size: tuple[int, int],
        settings: PersonSettings,
        detector: Detector | None = None,
        known: Sequence[Box] = (),
    ) -> None:
        self.size = size
        self.known = known
        self.drawn: list[Box] = []
        self.settings = settings
        self.detector = detector or FaceDetector()
        self.looks = 0
        self._patches = [_Close(patch, patch.start, _CLOSE_LOOKS) for patch in patches]
        self._tracks: list[_Track] = []
        self._recent: deque[tuple[float, Picture]] = deque()
        self._due = -np.inf
        self._looked_at: Thumb | None = None
        self._last: tuple[float, Picture] | None = None

    def add(self, time: float, image: Picture) -> None:
        """See the next frame of the segment, uint8 [H, W, 3] RGB."""
        scale = min(1.0, _GREY_WIDTH / image.shape[1])
        grey = cv2.resize(
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
        self._recent.append((time, grey))
        while time - self._recent[0][0] > self.settings.interval + 1e-6:
            self._recent.popleft()
        for track in self._tracks:
            track.see(time, grey)
        if time >= self._due - 1e-6:
            self._look(time, image)
        self._look_closely(time, image)
        self._last = (time, image)

    def finish(self, period: float, end: float) -> list[PersonBox]:
        """Where and when presenters were shown; those whose outline stands out are in `drawn` then.

        Args:
            period (`float`): seconds from one frame to the next.
            end (`float`): seconds at which the segment ends.
        """
        if self._last is not None and self._last[0] > self._due - self.settings.interval + 1e-6:
            self._look(*self._last)
        persons = []
        for track in self._tracks:
            inset = track.inset(self.settings.min_edge, self.known)
            self.drawn += [inset.box] if inset.drawn else []
            persons += track.persons(inset.box, period, end)
        return persons

    def _look(self, time: float, image: Picture) -> None:
        """Look at a whole frame, unless it shows what the one looked at before shows."""
        self._due = time + self.settings.interval
        small = thumb(image)
        if self._looked_at is not None and changed(self._looked_at, small) is None:
            return
        self._looked_at = small
        self.looks += 1
        self._take(self.detector.find(image, min(self.settings.width, image.shape[1])), time, image)

    def _look_closely(self, time: float, image: Picture) -> None:
        """Look at small foreign patches at a size at which a small face can be found."""
        for close in self._patches:
            patch = close.patch
            if close.left == 0 or not close.due - 1e-6 <= time <= patch.end + 1e-6:
                continue
            close.due, close.left = time + max(0.5, (patch.end - patch.start) / _CLOSE_LOOKS), close.left - 1
            x0, y0, x1, y1 = _widened(patch.box, 0.35, self.size)
            width = min(_CLOSE_WIDTH, 2 * (x1 - x0))
            found = self.detector.find(image[y0:y1, x0:x1], width)
            moved = [hit._replace(box=shifted(hit.box, x0, y0)) for hit in found]
            if any(hit.score >= self.settings.min_score for hit in moved):
                close.left = 0
            self._take(moved, time, image)

    def _take(self, found: Sequence[Found], time: float, image: Picture) -> None:
        """Give hits to the tracks they lie on; open a track for one that is sure and new."""
        for hit in found:
            for track in self._tracks:
                if hit.score >= _WEAK * self.settings.min_score and track.fits(hit.box):
                    track.hit(time, hit, image)
                    break
            else:
                if hit.score >= self.settings.min_score:
                    track = _Track(hit, self.size)
                    track.hit(time, hit, image)
                    for earlier, grey in self._recent:
                        track.see(earlier, grey)
                    self._tracks.append(track)


class _Track:
    """One presenter's place: the hits there, their surroundings, and small copies of it over time."""

    def __init__(self, first: Found, size: tuple[int, int]) -> None:
        self.size = size
        self.label = first.label
        width, height = first.box[2] - first.box[0], first.box[3] - first.box[1]
        # Wide webcam pictures leave much room beside a face.
        reach = (4.5, 3.0, 4.5, 5.0) if first.label == "face" else (0.5, 0.5, 0.5, 0.5)
        self.area: Box = (
            max(0, round(first.box[0] - reach[0] * width)),
            max(0, round(first.box[1] - reach[1] * height)),
            min(size[0], round(first.box[2] + reach[2] * width)),
            min(size[1], round(first.box[3] + reach[3] * height)),
        )
        self.boxes: list[Box] = []
        self.hits: list[float] = []
        self.crops: list[Picture] = []
        self.times: list[float] = []
        self.thumbs: list[Picture] = []

    def fits(self, box: Box) -> bool:
        """Whether a hit lies where this presenter's lie; people move about in their insets."""
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        x0, y0, x1, y1 = _widened(around(self.boxes), 0.5, self.size)
        return x0 <= x <= x1 and y0 <= y <= y1

    def hit(self, time: float, found: Found, image: Picture) -> None:
        self.boxes.append(found.box)
        self.hits.append(time)
        if len(self.crops) < _CROPS:
            x0, y0, x1, y1 = self.area
            self.crops.append(image[y0:y1, x0:x1].copy())

    def see(self, time: float, grey: Picture) -> None:
        scale = grey.shape[1] / self.size[0]
        x0, y0, x1, y1 = (round(value * scale) for value in _widened(self.boxes[0], 0.5, self.size))
        part = grey[y0 : max(y1, y0 + 2), x0 : max(x1, x0 + 2)]
        self.times.append(time)
        self.thumbs.append(cv2.resize(part, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA))

    def inset(self, min_edge: float, known: Sequence[Box]) -> Inset:
        x0, y0, _, _ = self.area
        inside, before = ([shifted(box, -x0, -y0) for box in boxes] for boxes in (self.boxes, known))
        found = inset_box(self.crops, inside, self._borders(), self.label == "face", min_edge, before)
        return found._replace(box=clipped(shifted(found.box, x0, y0), self.size))

    def persons(self, box: Box, period: float, end: float) -> list[PersonBox]:
        spans: list[list[float]] = []
        for time, here in zip(self.times, self._shown(), strict=True):
            if not here:
                continue
            if spans and time - spans[-1][1] <= max(2.0, period) + 1e-6:
                spans[-1][1] = time + period
            else:
                spans.append([time, time + period])
        return [PersonBox(box=box, start=round(start, 3), end=round(min(stop, end), 3)) for start, stop in spans]

    def _borders(self) -> tuple[bool, bool, bool, bool]:
        return self.area[0] == 0, self.area[1] == 0, self.area[2] == self.size[0], self.area[3] == self.size[1]

    def _shown(self) -> list[bool]:
        """For every frame seen, whether it shows the presenter."""
        thumbs = [thumb.astype(np.float32) for thumb in self.thumbs]
        hits = np.array(self.hits)
        with_hit = [bool(np.any(abs(hits - time) < 1e-6)) for time in self.times]
        typical = np.median([thumb for thumb, hit in zip(thumbs, with_hit, strict=True) if hit], axis=0)
        alike = [1.0 if hit else _correlation(thumb, typical) for thumb, hit in zip(thumbs, with_hit, strict=True)]
        sure = [value >= _ALIKE for value in alike]
        beside = [*sure[1:], False], [False, *sure[:-1]]
        return [
            here or (value >= _FADING and (after or before))
            for here, value, after, before in zip(sure, alike, *beside, strict=True)
        ]


def _widened(box: Box, share: float, size: tuple[int, int]) -> Box:
    x, y = round(share * (box[2] - box[0])), round(share * (box[3] - box[1]))
    return widened(box, x, y, size)


def _correlation(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 1e-6 else 0.0
