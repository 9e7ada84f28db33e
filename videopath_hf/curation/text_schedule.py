"""Which frames of a segment have to be read, told by their pixels alone, before anything is read."""

from typing import NamedTuple

from videopath_hf.curation.text_pixels import Thumb, changed, thumb
from videopath_hf.curation.tissue import Picture
from videopath_hf.records import Box


class Due(NamedTuple):
    """A frame to be read.

    Args:
        between (`list[tuple[float, Picture]]`): the frames since the one read before, which are not read.
        part (`tuple[int, int, int, int]`, *optional*): the only part that differs from the frame read before.
        detail (`bool`): look for small letters too.
        resting (`bool`): it shows the same picture as the frame read before, which was moving then.
    """

    time: float
    image: Picture
    between: list[tuple[float, Picture]]
    part: Box | None = None
    detail: bool = False
    resting: bool = False


class ReadingSchedule:
    """Says which frames are due: a picture at rest once, a moving one every `interval` seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._thumb: Thumb | None = None
        self._at_rest = False
        self._last = 0.0
        self._pending: list[tuple[float, Picture]] = []

    def add(self, time: float, image: Picture) -> list[Due | float]:
        """See the next frame.

        Returns:
            `list[Due | float]`: what is to be done, in order: a frame to be read, or the time of one that shows what
            the frame read before shows.
        """
        small = thumb(image)
        if self._thumb is None:
            return [self._read([(time, image)], small, detail=True)]
        if not self._pending and changed(self._thumb, small) is None:
            if self._at_rest:
                return [time]
            self._at_rest = True
            return [time, Due(time, image, [], detail=True, resting=True)]
        self._pending.append((time, image))
        if time - self._last >= self._interval - 1e-6:
            return [self._read(self._pending, small)]
        return []

    def finish(self) -> list[Due | float]:
        """What is to be done about the last frames."""
        return [self._read(self._pending, thumb(self._pending[-1][1]))] if self._pending else []

    def _read(self, frames: list[tuple[float, Picture]], small: Thumb, detail: bool = False) -> Due:
        *between, (time, image) = frames
        part = None if self._thumb is None else changed(self._thumb, small)
        self._thumb, self._at_rest, self._last, self._pending = small, detail, time, []
        return Due(time, image, between, part, detail)
