"""What a video is, found out by decoding it to its end: a header alone can promise what the data does not hold."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from videopath_hf.video.container import LONGEST_SHOWN, Source, VideoError, open_video
from videopath_hf.video.frame_index import FrameIndex, frame_index
from videopath_hf.video.turns import Walked, decode_in_turns, with_readers

__all__ = ["FrameWalk", "VideoError", "VideoInfo", "probe"]

_MOST_FPS = 1000.0  # frames a second; cameras that are faster write films to be seen slowly
_RATE_TOLERANCE = 0.02  # by which the header's rate may differ from the frames' times


@dataclass(frozen=True)
class VideoInfo:
    """Figures of a video whose every frame decodes.

    Args:
        path (`Path`): the file.
        duration (`float`): seconds from the first frame to the end of the last one.
        fps (`float`): average frames per second: the header's figure, or what was measured where that is wrong.
        frames (`int`): how many frames decode, exactly.
        width (`int`): pixels, after rotation, as square pixels.
        height (`int`): pixels, after rotation.
        rotation (`int`): degrees counter-clockwise by which stored frames are turned for display: 0, 90, 180, 270.
        codec (`str`): FFmpeg's name of the video codec.
        has_audio (`bool`): whether there is at least one audio stream.
    """

    path: Path
    duration: float
    fps: float
    frames: int
    width: int
    height: int
    rotation: int
    codec: str
    has_audio: bool


class FrameWalk:
    """Measures a video while its frames are decoded one after the other.

    Args:
        source (`Source`): the open video, for what its header says.
        index (`FrameIndex`): its index.
    """

    def __init__(self, source: Source, index: FrameIndex) -> None:
        self.source = source
        self.index = index
        self.frames = 0
        self._first = self._end = 0.0
        self._stamps: set[int] = set()

    def add(self, frame: Walked[Any]) -> None:
        """Count the next frame."""
        if not self.frames:
            self._first = frame.time
        self._end = max(self._end, frame.time + frame.duration)
        if frame.pts is not None:
            self._stamps.add(frame.pts)
        self.frames += 1

    def so_far(self) -> VideoInfo:
        """The figures of what was decoded up to now.

        Raises:
            VideoError: nothing was.
        """
        source, shape = self.source, self.index.geometry
        if not self.frames or shape is None:
            raise VideoError(f"{source.path} holds no frame that can be decoded")
        rate = source.stream.average_rate
        return VideoInfo(
            path=source.path,
            duration=self._end - self._first,
            fps=float(rate) if rate else self.frames / (self._end - self._first),
            frames=self.frames,
            width=shape.width,
            height=shape.height,
            rotation=shape.rotation,
            codec=source.stream.codec_context.name,
            has_audio=bool(source.container.streams.audio),
        )

    def info(self) -> VideoInfo:
        """The figures of the whole video, once all frames have come.

        Raises:
            VideoError: no frame came, not those that the file lists, or at times that are those of no recording.
        """
        info = self.so_far()
        self._check(info)
        measured = info.frames / info.duration
        return info if abs(info.fps - measured) <= _RATE_TOLERANCE * measured else replace(info, fps=measured)

    def _check(self, info: VideoInfo) -> None:
        pts, listed = self.index.pts, len(self.index.times)
        if info.frames < listed:  # the last packet may be cut off in its middle without an error of the decoder
            raise VideoError(f"{info.path} is damaged or cut off: {info.frames} of its {listed} frames decode")
        if info.frames > listed or (pts is not None and not self._stamps <= set(pts.tolist())):
            raise VideoError(
                f"{info.path} is damaged: some of its {info.frames} frames decode without a keyframe before them"
            )
        if info.duration >= info.frames * LONGEST_SHOWN:
            raise VideoError(
                f"{info.path} has damaged time stamps: its last frame lasts longer than {LONGEST_SHOWN:.0f} s"
            )
        if info.frames > _MOST_FPS * info.duration:
            raise VideoError(
                f"{info.path} has damaged time stamps: its {info.frames} frames last {info.duration:.3g} s together"
            )


def probe(path: str | Path) -> VideoInfo:
    """Decode all frames of a video, without converting them, and measure it.

    Raises:
        VideoError: for a file that is missing, empty, not a video, without a video stream or without frames, and for
            one that is damaged or cut off anywhere.
    """
    path = Path(path)
    with open_video(path) as source:
        index = frame_index(path)

        def measure(readers: int) -> VideoInfo:
            walk = FrameWalk(source, index)
            for frame in decode_in_turns(path, index, lambda number, frame: None, readers):
                walk.add(frame)
            return walk.info()

        return with_readers(index, measure)
