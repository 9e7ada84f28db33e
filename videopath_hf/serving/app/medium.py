"""A file somebody brought: what it is, what a browser plays of it, and pictures of the frames that a model sees."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

from av.video.frame import VideoFrame
from PIL import Image, ImageOps

from videopath_hf.errors import UserError
from videopath_hf.records import Record
from videopath_hf.serving.app.settings import AppSettings, Limits
from videopath_hf.video.container import Source, open_video
from videopath_hf.video.decode import iter_frames
from videopath_hf.video.encode import write_clip
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.probe import FrameWalk, VideoInfo
from videopath_hf.video.sampling import sample_indices
from videopath_hf.video.turns import decode_in_turns, with_readers

IMAGE_FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}
_PLAYED = {"mov": {"h264", "av1"}, "matroska": {"vp8", "vp9", "av1"}}
"""Codecs that browsers play, by the first name of FFmpeg's name of the container."""
_TYPES = {"mov": "video/mp4", "matroska": "video/webm"}
_THUMB_WIDTH = 384
_PREVIEW_WIDTH = 960
_PREVIEW_FPS = 15.0


class Medium(Record):
    """A file that was looked at and may be shown to a model. All paths are names in the file's own folder.

    Args:
        kind (`str`): `"video"` or `"image"`.
        file (`str`): what models are given.
        played (`str`): what browsers are given: the same file, or a copy in a format that they know.
        played_type (`str`): its MIME type.
        width (`int`): pixels, as shown.
        height (`int`): pixels, as shown.
        seconds (`float`): length; 0 of an image.
        frames (`int`): how many it has.
        times (`list[float]`): seconds of the frames that models see.
        thumbnails (`list[str]`): JPEGs of these frames.
    """

    kind: Literal["video", "image"]
    file: str
    played: str
    played_type: str
    width: int
    height: int
    seconds: float
    frames: int
    times: list[float]
    thumbnails: list[str]

    @property
    def converted(self) -> bool:
        """Whether browsers are given a copy."""
        return self.played != self.file


def look_at(folder: Path, incoming: str, settings: AppSettings) -> Medium:
    """Find out what a file is, by its content and not its name, decode all of it, and make what a page shows of it.

    Args:
        folder (`Path`): where the file lies, alone, and where everything else is written.
        incoming (`str`): its name there; it is renamed.

    Raises:
        UserError: it is neither an image nor a video, is damaged, or is larger than the limits allow.
    """
    path = folder / incoming
    kind = _image_format(path)
    if kind is not None:
        return _image(path.rename(folder / f"image{IMAGE_FORMATS[kind]}"), settings.limits)
    # Without a suffix: what is asked about later must not pass for an image because of its name.
    return _video(path.rename(folder / "video"), settings)


def _image_format(path: Path) -> str | None:
    try:
        with Image.open(path, formats=list(IMAGE_FORMATS)) as image:
            return image.format
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def _image(path: Path, limits: Limits) -> Medium:
    try:
        with Image.open(path, formats=list(IMAGE_FORMATS)) as opened:
            _check_size("image", *opened.size, limits.image_megapixels)
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path} is a damaged image ({' '.join(str(error).split())[:120]})") from None
    width, height = image.size
    for name, longest in (("shown.jpg", 2 * _PREVIEW_WIDTH), ("frame_000.jpg", 2 * _THUMB_WIDTH)):
        image.thumbnail((longest, longest))
        image.save(path.parent / name, "JPEG", quality=88)
    return Medium(
        kind="image",
        file=path.name,
        played="shown.jpg",
        played_type="image/jpeg",
        width=width,
        height=height,
        seconds=0,
        frames=1,
        times=[],
        thumbnails=["frame_000.jpg"],
    )


def _video(path: Path, settings: AppSettings) -> Medium:
    limits = settings.limits
    with open_video(path) as source:
        context = source.stream.codec_context
        _check_size("video", context.width, context.height, limits.video_megapixels)
        playable = _is_played(source)
        container = _container(source)
    times = frame_index(path).times
    span = float(times[-1] - times[0])
    _check_length(len(times), span, limits)
    fps = (len(times) - 1) / span if span > 0 else 1.0
    wanted = sample_indices(len(times), fps, settings.frames, settings.sampling).tolist()
    names = [f"frame_{number:03d}.jpg" for number in range(len(wanted))]
    info = _walk(path, dict(zip(wanted, names, strict=True)), limits)
    if not playable:
        shown = iter_frames(path, fps=min(_PREVIEW_FPS, info.fps), width=_PREVIEW_WIDTH)
        write_clip(path.parent / "shown.mp4", (frame.image for frame in shown), min(_PREVIEW_FPS, info.fps), crf=23)
    return Medium(
        kind="video",
        file=path.name,
        played=path.name if playable else "shown.mp4",
        played_type=_TYPES[container] if playable else "video/mp4",
        width=info.width,
        height=info.height,
        seconds=round(info.duration, 3),
        frames=info.frames,
        times=[round(float(times[index]), 3) for index in wanted],
        thumbnails=names,
    )


def _walk(path: Path, thumbnails: dict[int, str], limits: Limits) -> VideoInfo:
    """Decode to the end, and write small pictures of some frames. What a header promised is checked on the way."""
    index = frame_index(path)
    small = index.geometry.scaled(_THUMB_WIDTH) if index.geometry is not None else None

    def make(number: int, frame: VideoFrame) -> Image.Image | None:
        _check_size("video", frame.width, frame.height, limits.video_megapixels)
        return Image.fromarray(small.picture(frame)) if number in thumbnails and small is not None else None

    def measure(readers: int) -> VideoInfo:
        walk = FrameWalk(source, index)
        for frame in decode_in_turns(path, index, make, readers):
            walk.add(frame)
            _check_length(walk.frames, frame.time, limits)
            if frame.made is not None:
                frame.made.save(path.parent / thumbnails[frame.number], "JPEG", quality=82)
        return walk.info()

    with open_video(path) as source:
        return with_readers(index, measure)


def _check_size(what: str, width: int, height: int, megapixels: float) -> None:
    if width * height > megapixels * 1e6:
        raise UserError(
            f"the {what} is {width}x{height} pixels, more than the {megapixels:g} million accepted; scale it down"
        )


def _check_length(frames: int, seconds: float, limits: Limits) -> None:
    if seconds > limits.video_seconds:
        raise UserError(
            f"the video is longer than the {limits.video_seconds:g} s accepted; cut out the part in question"
        )
    if frames > limits.decoded_frames:
        raise UserError(
            f"the video has more than the {limits.decoded_frames:,} frames accepted; cut it, or give it fewer a second"
        )


def _is_played(source: Source) -> bool:
    context = source.stream.codec_context
    known = _PLAYED.get(_container(source), set())
    square = (source.stream.sample_aspect_ratio or Fraction(1)) == 1
    return context.codec.canonical_name in known and context.pix_fmt in ("yuv420p", "yuvj420p") and square


def _container(source: Source) -> str:
    """The first of FFmpeg's names of it: `mov` of MP4 and QuickTime, `matroska` of MKV and WebM."""
    return source.container.format.name.split(",")[0]
