"""What a video is, found out by decoding it to its end: a header alone can promise what the data does not hold."""

from dataclasses import dataclass
from pathlib import Path

from videopath_hf.video.container import Geometry, Source, VideoError, decode, open_video
from videopath_hf.video.frame_index import frame_index

__all__ = ["VideoError", "VideoInfo", "probe"]


@dataclass(frozen=True)
class VideoInfo:
    """Figures of a video whose every frame decodes.

    Args:
        path (`Path`): the file.
        duration (`float`): seconds from the first frame to the end of the last one.
        fps (`float`): average frames per second.
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


def probe(path: str | Path) -> VideoInfo:
    """Decode all frames of a video, without converting them, and measure it.

    Raises:
        VideoError: for a file that is missing, empty, not a video, without a video stream or without frames, and for
            one that is damaged or cut off anywhere.
    """
    with open_video(path) as source:
        frames, first, end, geometry = _walk(source)
        assert geometry is not None  # `decode` refuses a video without frames
        listed = len(frame_index(path).times)
        if frames < listed:  # the last packet may be cut off in its middle without an error of the decoder
            raise VideoError(f"{source.path} is damaged or cut off: {frames} of its {listed} frames decode")
        rate = source.stream.average_rate
        return VideoInfo(
            path=source.path,
            duration=end - first,
            fps=float(rate) if rate else frames / (end - first),
            frames=frames,
            width=geometry.width,
            height=geometry.height,
            rotation=geometry.rotation,
            codec=source.stream.codec_context.name,
            has_audio=bool(source.container.streams.audio),
        )


def _walk(source: Source) -> tuple[int, float, float, Geometry | None]:
    """Decode to the end: number of frames, time of the first, end of the last, how they are shown."""
    frames, first, end = 0, 0.0, 0.0
    geometry: Geometry | None = None
    period = float(1 / source.rate)
    for frame in decode(source):
        time = source.time(frame.pts, frames)
        end = max(end, time + (float(frame.duration * source.time_base) if frame.duration else period))
        if geometry is None:
            first, geometry = time, Geometry.of(frame, source.stream)
        frames += 1
    return frames, first, end, geometry
