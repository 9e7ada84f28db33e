"""Opening a video and decoding it frame after frame; everything that can go wrong becomes one `VideoError`."""

import errno
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import local
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from videopath_hf.errors import UserError

_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: the cover of an audio file is not a video
_NOT_VIDEO = {"tty", "lavfi", "subviewer", "srt", "webvtt", "ass"}
# Opening one of these reads other files, and waits without end for a list that names itself.
_PLAYLISTS = {"hls", "dash", "webm_dash_manifest", "concat", "imf", "sdp", "rtsp", "rtp", "sap", "lavfi"}
_FORMATS = ",".join(sorted(av.formats_available - _PLAYLISTS))

_SKIPPING = {"h264", "hevc"}  # decoders that leave out a frame only if it is marked as referred to by no other

LONGEST_SHOWN = 3600.0
"""Seconds between two frames; more is damage, and would be billions of pictures on a grid of times."""

_BACKWARDS = 0.5  # seconds by which time stamps may waver; more is another recording, joined on


class VideoError(UserError):
    """A video file that cannot be opened, decoded or written; the message names the file and the reason."""


@dataclass(frozen=True)
class Source:
    """A file that is open for decoding: its container and its first video stream."""

    path: Path
    container: InputContainer
    stream: VideoStream

    @property
    def origin(self) -> Fraction:
        """Time stamp, in seconds, at which the recording starts: transport streams do not start at 0."""
        if self.container.start_time is not None:
            return Fraction(self.container.start_time, av.time_base)
        return (self.stream.start_time or 0) * self.time_base

    @property
    def time_base(self) -> Fraction:
        """Seconds of one tick of the stream's time stamps."""
        return self.stream.time_base or Fraction(1, av.time_base)

    @property
    def rate(self) -> Fraction:
        """Average frames per second by the header, 25 where it gives none."""
        return Fraction(self.stream.average_rate or self.stream.base_rate or 25)

    def time(self, pts: int | None, index: int) -> float:
        """Seconds from the start of the recording; a frame without a time stamp is placed by its index."""
        if pts is None:
            return float(index / self.rate)
        return max(0.0, float(pts * self.time_base - self.origin))

    def times(self, pts: "np.ndarray[Any, np.dtype[np.int64]]") -> "np.ndarray[Any, np.dtype[np.float64]]":
        """`time` of many frames at once."""
        base, origin = self.time_base, self.origin
        ticks = pts * (base.numerator * origin.denominator) - origin.numerator * base.denominator
        return np.maximum(0.0, ticks / (base.denominator * origin.denominator))


@contextmanager
def open_video(path: str | Path) -> Iterator[Source]:
    """Open the first video stream of a local file.

    Raises:
        VideoError: for a file that is missing, empty, not a video, or has no video stream.
    """
    path = Path(path)
    _check_file(path)
    try:
        # A file that refers to others must not reach the network.
        options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
        container = av.open(str(path.resolve()), options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        if error.errno == errno.EINVAL:  # what FFmpeg says of a format that is not on the list
            raise VideoError(f"{path} is not a video; if it is a playlist, give the videos that it names") from None
        raise VideoError(f"{path} is not a video or is cut off before its index ({reason(error)})") from None
    with container:
        yield Source(path, container, _video_stream(path, container))


_threads = local()


def _reformatter() -> VideoReformatter:
    """The thread's own converter: a frame's `reformat` would set up a new one for each frame, at twice the cost."""
    if not hasattr(_threads, "reformatter"):
        _threads.reformatter = VideoReformatter()
    found: VideoReformatter = _threads.reformatter
    return found


def _check_file(path: Path) -> None:
    if not path.exists():
        raise VideoError(f"video {path} does not exist")
    if path.is_dir():
        raise VideoError(f"video {path} is a folder; give a video file")
    if not path.is_file():
        raise VideoError(f"video {path} is a device or a pipe; give a video file")
    if path.stat().st_size == 0:
        raise VideoError(f"video {path} is empty (0 bytes)")


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    name = container.format.name
    # FFmpeg draws text files on a terminal and opens single pictures as streams of one frame.
    if name in _NOT_VIDEO or name.endswith("_pipe") or name.startswith("image2"):
        raise VideoError(f"{path} is not a video (it reads as {name})")
    streams = [stream for stream in container.streams.video if not _is_picture(stream)]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise VideoError(f"{path} has no video stream (it holds {kinds})")
    if streams[0].codec_context is None:
        raise VideoError(f"{path} has a video stream of no known codec; the file is damaged or cut off")
    streams[0].thread_type = "AUTO"
    return streams[0]


def _is_picture(stream: VideoStream) -> bool:
    disposition = stream.disposition
    return bool(int(getattr(disposition, "value", disposition)) & _ATTACHED_PICTURE)  # an enum up to PyAV 15


@dataclass(frozen=True)
class Wanted:
    """Which frames of a video matter to a reader, so that others need not be decoded.

    Args:
        pts (`Collection[int]`): their time stamps.
        groups (`Mapping[int, int]`): how many of them each group of pictures holds, by the time stamp of the keyframe
            it starts with; empty where a group cannot be told from the next one.
    """

    pts: Collection[int]
    groups: Mapping[int, int]


def decode(source: Source, from_start: bool = True, wanted: Wanted | None = None) -> Iterator[VideoFrame]:
    """Decode from where the container stands; the frames are not converted.

    With `wanted`, frames that neither it nor any frame of it needs are not decoded and do not come: those of a group
    of pictures that stand behind the last one that is wanted, and those that no frame refers to. Behind the last group
    that is needed nothing is read. Where frames were passed over, the next one must be a whole picture, or the file
    marks keyframes that are none: that is an error too.

    Raises:
        VideoError: where decoding fails, with the time of the last good frame, where time stamps jump, and, read
            `from_start`, at the end of a file that holds less than its header says (unless only some frames are
            `wanted`), or no frame at all.
    """
    packets = frames = 0
    last = 0.0 if from_start else None
    needed = None if wanted is None else _Needed(wanted, source, passed=not from_start)
    try:
        for packet in _packets(source, needed):
            packets += packet.size > 0
            for frame in packet.decode():
                frames += 1
                if needed is not None:
                    needed.check(frame)
                if frame.pts is not None:
                    last = _time_after(source, last, source.time(frame.pts, 0), check=needed is None)
                yield frame
    except (av.FFmpegError, OSError) as error:
        raise decoding_error(source.path, last or 0.0, error) from None
    if from_start:
        if wanted is None:
            check_complete(source, packets, last or 0.0)
        if frames == 0:
            why = "no frame that can be decoded" if packets else "a video stream without a single frame"
            raise VideoError(f"{source.path} holds {why}")


def _packets(source: Source, needed: "_Needed | None") -> Iterator[Packet]:
    """The packets to be decoded, the last of which, an empty one, asks for the frames that a decoder holds back."""
    for packet in source.container.demux(source.stream):
        if needed is None or packet.size == 0 or needed.take(packet.pts):
            yield packet
        elif needed.done:
            break
    else:
        return
    end = Packet()
    end.stream, end.time_base = source.stream, source.time_base
    yield end


class _Needed:
    """Tells, packet after packet in the order of the file, which ones a decoder must be given."""

    def __init__(self, wanted: Wanted, source: Source, passed: bool) -> None:
        self._wanted, self._path = wanted, source.path
        context = source.stream.codec_context
        self._context = context if context.name in _SKIPPING else None
        self._left: int | None = None  # of the group; None before the first keyframe that is known
        self._passed = passed
        self._last = max((pts for pts, count in wanted.groups.items() if count), default=None)
        self._at_last = False
        self._resumed: set[int] = set()  # time stamps of keyframes before which packets were passed over

    def take(self, pts: int | None) -> bool:
        """Whether the packet with this time stamp is needed; sets what the decoder may leave out of it."""
        if pts is not None and pts in self._wanted.groups:
            self._left = self._wanted.groups[pts]
            self._at_last |= pts == self._last
            if self._left and self._passed:
                self._resumed.add(pts)
        if self._left == 0:
            self._passed = True
            return False
        self._passed = False
        asked = pts in self._wanted.pts
        if self._left is not None:
            self._left -= asked
        if self._context is not None:
            self._context.skip_frame = "DEFAULT" if asked else "NONREF"
        return True

    @property
    def done(self) -> bool:
        """Whether no packet is needed any more."""
        return self._at_last and self._left == 0

    def check(self, frame: VideoFrame) -> None:
        """Raise `VideoError` for the first frame behind a gap that is not a whole picture."""
        if frame.pts in self._resumed and frame.pict_type != PictureType.I:
            raise VideoError(f"{self._path} marks its frame at {frame.time:.2f} s as a keyframe, which it is not")


def _time_after(source: Source, last: float | None, time: float, check: bool) -> float:
    if check and last is not None and not -_BACKWARDS <= time - last <= LONGEST_SHOWN:
        raise VideoError(
            f"{source.path} has damaged time stamps: its frame after {last:.2f} s is at {time:.2f} s; "
            "if recordings were joined end to end, give them as separate files"
        )
    return time


def check_complete(source: Source, packets: int, last: float) -> None:
    """Raise `VideoError` if fewer packets came than the file's own table lists. Only MP4 and MOV have such a table."""
    if not source.container.format.name.startswith("mov"):
        return
    listed = source.stream.frames
    # An edit list leaves frames out of what is shown, and out of this index (PyAV 17 on); one that leaves a single
    # frame is damaged.
    shown = len(getattr(source.stream, "index_entries", ()))
    if 1 < shown < listed:
        listed = shown
    if packets < listed:
        raise VideoError(
            f"{source.path} is cut off after {last:.2f} s: it holds {packets} of the {listed} frames that its header "
            "lists"
        )


def seek(source: Source, pts: int) -> None:
    """Go to the keyframe at or before a time stamp.

    Raises:
        VideoError: the container cannot, e.g. because its table of keyframes is damaged.
    """
    try:
        source.container.seek(pts, stream=source.stream)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            f"{source.path} cannot be read from {source.time(pts, 0):.2f} s on ({reason(error)})"
        ) from None


def decoding_error(path: Path, last: float, error: Exception) -> VideoError:
    """What to raise for a failure in the middle of a stream, `last` seconds being the last good frame's time."""
    return VideoError(f"{path} cannot be decoded after {last:.2f} s ({reason(error)}); the file is damaged or cut off")


def reason(error: Exception) -> str:
    """The words of an FFmpeg or system error, without its number and path."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).rstrip(".").lower()


def plane_samples(plane: VideoPlane, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The samples of a frame's plane where they lie, uint8 [plane's height, width], without its rows' padding."""
    rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, :width]


@dataclass(frozen=True)
class Geometry:
    """How decoded frames are turned into upright pictures of square pixels.

    Args:
        width (`int`): of the picture, after rotation.
        height (`int`): of the picture, after rotation.
        rotation (`int`): degrees counter-clockwise, a multiple of 90 in [0, 360).
    """

    width: int
    height: int
    rotation: int = 0

    @classmethod
    def of(cls, frame: VideoFrame, stream: VideoStream) -> "Geometry":
        """Read display rotation and pixel shape. Rotations that are not a multiple of 90 degrees are not applied."""
        aspect = stream.sample_aspect_ratio or Fraction(1)
        width = max(1, round(frame.width * aspect)) if aspect > 0 else frame.width
        rotation = int(frame.rotation) % 360
        if rotation % 90:
            rotation = 0
        size = (frame.height, width) if rotation % 180 else (width, frame.height)
        return cls(*size, rotation)

    def scaled(self, width: int | None) -> "Geometry":
        """Shrunk to `width` with an even height; never enlarged, unchanged for None."""
        if width is None or width >= self.width:
            return self
        return Geometry(width, max(2, 2 * round(self.height * width / self.width / 2)), self.rotation)

    def picture(self, frame: VideoFrame) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Convert to uint8 [height, width, 3] RGB."""
        width, height = (self.height, self.width) if self.rotation % 180 else (self.width, self.height)
        converted = _reformatter().reformat(frame, width=width, height=height, format="rgb24")
        samples = plane_samples(converted.planes[0], 3 * width)
        image = np.ascontiguousarray(samples).reshape(height, width, 3)  # nothing is copied where rows have no gaps
        return np.ascontiguousarray(np.rot90(image, self.rotation // 90)) if self.rotation else image
