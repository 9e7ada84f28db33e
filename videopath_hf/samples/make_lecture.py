"""Make the sample lecture and its subtitles: `python -m videopath_hf.samples.make_lecture [--out DIR] [--truth FILE]`.

Needs the program `espeak-ng` and the `curate` extra (scikit-image for the pictures, OpenCV for the camera). The same
versions of these give the same files. `--truth` writes the plan as JSON and renders nothing.
"""

import argparse
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.files import atomic_path, write_json, write_text
from videopath_hf.samples.lecture_plan import FPS, HEIGHT, INSET_SIZE, PLAN, WIDTH, Inset, Label, Part, Role, truth

Array = np.ndarray[Any, Any]

_VOICE = ("-v", "en-us", "-s", "165", "-p", "42")
_LEAD, _PAUSE = 0.35, 0.3  # seconds of silence before the first sentence of a segment and between two
_SAMPLE_RATE = 22050  # espeak-ng's own
_ZOOM = 2  # canvas pixels for one of the tissue image
_GLASS, _SLIDE, _INK = (243, 242, 244), (24, 42, 78), (250, 250, 250)
_SIZES: dict[Role, int] = {"title": 62, "subtitle": 36, "caption": 30, "case": 34, "finding": 30, "diagnosis": 34}


class Spoken(NamedTuple):
    """A sentence where it stands in the lecture, in seconds, and its sound as float32 samples."""

    start: float
    end: float
    text: str
    samples: Array


def make_lecture(out: Path) -> None:
    """Render `lecture.mp4` and `lecture.srt` into `out`.

    Raises:
        UserError: if espeak-ng or the `curate` extra is missing, or the narration does not fit the plan.
    """
    spoken = narrate()
    write_text(out / "lecture.srt", subtitles(spoken))
    with atomic_path(out / "lecture.mp4") as temporary:
        _encode(temporary, spoken)


def narrate() -> list[Spoken]:
    """Speak all sentences and place them in their segments."""
    if shutil.which("espeak-ng") is None:
        raise UserError(
            "making the lecture needs the program espeak-ng, which is not installed: apt install espeak-ng"
        )
    spoken: list[Spoken] = []
    start = 0.0
    for part in PLAN:
        at = start + _LEAD
        for text in part.said:
            samples = speak(text, _VOICE)
            spoken.append(Spoken(round(at, 3), round(at + len(samples) / _SAMPLE_RATE, 3), text, samples))
            at = spoken[-1].end + _PAUSE
        start += part.seconds
        if spoken[-1].end > start:
            raise UserError(f"{spoken[-1].text!r} ends {spoken[-1].end - start:.2f} s after its segment; shorten it")
    return spoken


def speak(text: str, voice: Sequence[str]) -> Array:
    """A sentence as espeak-ng says it with some options: float32 samples, 22050 a second, no silence around them."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["espeak-ng", *voice, "-w", file.name, text.replace("FHL2", "F H L 2")], check=True)
        with wave.open(file.name) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (_SAMPLE_RATE, 1, 2)
            samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2") / np.float32(32768)
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1] + 1]


def subtitles(spoken: list[Spoken]) -> str:
    """The sentences as SubRip."""

    def stamp(seconds: float) -> str:
        milliseconds = round(seconds * 1000)
        minutes, rest = divmod(milliseconds, 60_000)
        return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"

    blocks = (f"{n}\n{stamp(s.start)} --> {stamp(s.end)}\n{s.text}\n" for n, s in enumerate(spoken, start=1))
    return "\n".join(blocks)


def frames() -> Iterator[Array]:
    """All pictures of the lecture, uint8 [720, 1280, 3] RGB."""
    for part in PLAN:
        last: tuple[_Shown, Array] | None = None
        for number in range(round(part.seconds * FPS)):
            shown = _shown(part, number / FPS)
            if last is None or last[0] != shown:
                last = (shown, picture(part, shown))
            yield last[1]


class _Shown(NamedTuple):
    """What is on the screen at one moment."""

    view: tuple[float, float, float] | None
    insets: list[Inset]
    labels: list[Label]


def _shown(part: Part, at: float) -> _Shown:
    return _Shown(
        _view(part, at) if part.camera else None,
        [inset for inset in part.insets if inset.start <= at < inset.end],
        [label for label in part.labels if label.start <= at < label.end],
    )


def picture(part: Part, shown: _Shown) -> Array:
    """One picture of a segment."""
    image = _background(part, shown.view)
    for inset in shown.insets:
        image.paste(_inset(), (inset.x, inset.y))
    draw = ImageDraw.Draw(image, "RGBA")
    for label in shown.labels:
        _write(draw, label)
    return np.asarray(image)


def _view(part: Part, at: float) -> tuple[float, float, float]:
    """Centre and width of the camera's view: it starts and stops gently, and zooms by equal factors."""
    after = next((number for number, view in enumerate(part.camera) if view.at > at), len(part.camera) - 1)
    a, b = part.camera[after - 1], part.camera[after]
    share = (at - a.at) / (b.at - a.at)
    share = share * share * (3 - 2 * share)
    return a.x + share * (b.x - a.x), a.y + share * (b.y - a.y), a.width * (b.width / a.width) ** share


def _background(part: Part, view: tuple[float, float, float] | None) -> Image.Image:
    if part.kind == "presenter":
        return _presenter().copy()
    if view is None or part.case is None:
        return Image.new("RGB", (WIDTH, HEIGHT), _SLIDE)
    import cv2

    x, y, width = view
    scale = WIDTH / (width * _ZOOM)
    shift = [WIDTH / 2 - x * _ZOOM * scale, HEIGHT / 2 - y * _ZOOM * scale]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    picture = cv2.warpAffine(_canvas(part.case), matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderValue=_GLASS)
    return Image.fromarray(picture)


@cache
def _canvas(case: int) -> Array:
    """A fragment of tissue on glass: the one colon picture mirrored to four tiles, cut to an irregular outline.

    Case 2 is the picture from its other side with the brown DAB stain taken out by colour deconvolution
    (Ruifrok and Johnston 2001): a synthetic negative control.
    """
    import cv2

    tile = _picture("immunohistochemistry")
    if case == 2:
        from skimage.color import hed2rgb, rgb2hed

        stains = rgb2hed(tile[:, ::-1])
        stains[..., 0] *= 1.15
        stains[..., 2] = 0
        tile = (hed2rgb(stains) * 255).round().astype(np.uint8)
    row = np.hstack([tile, tile[:, ::-1]])
    canvas = _bent(cv2.resize(np.vstack([row, row[::-1]]), None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_CUBIC))
    mask = _fragment(case, canvas.shape[0])[..., None]
    return (canvas * mask + np.array(_GLASS) * (1 - mask)).round().astype(np.uint8)


def _bent(canvas: Array) -> Array:
    """Pull the canvas about smoothly, so that its mirrored halves no longer look alike."""
    import cv2

    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
    turn = 2 * np.pi / canvas.shape[0]
    across = np.sin(1.4 * turn * y + 0.7) + 0.8 * np.sin(1.1 * turn * x + 2.4)
    down = np.sin(1.3 * turn * x + 1.1) + 0.8 * np.sin(1.6 * turn * y + 0.4)
    reach = np.float32(38 * _ZOOM)
    return cv2.remap(canvas, x + reach * across, y + reach * down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def _fragment(case: int, size: int) -> Array:
    """How much of every pixel is tissue, 0 to 1: a rounded, wavy outline with a soft edge."""
    y, x = np.mgrid[:size, :size] / size
    centre_x, centre_y, half_width, half_height = (0.49, 0.31, 0.44, 0.255) if case == 1 else (0.51, 0.37, 0.43, 0.235)
    across, down = (x - centre_x) / half_width, (y - centre_y) / half_height
    angle = np.arctan2(down, across)
    wave_ = 0.05 * np.sin(3 * angle + case) + 0.035 * np.sin(7 * angle + 2 * case) + 0.015 * np.sin(17 * angle)
    distance = (np.abs(across) ** 3 + np.abs(down) ** 3) ** (1 / 3)
    return np.clip((1 + wave_ - distance) * 120 + 0.5, 0, 1)


def _picture(name: str) -> Array:
    try:
        from skimage import data
    except ImportError:
        raise MissingExtraError("skimage", "curate", "making the sample lecture") from None
    picture: Array = getattr(data, name)()
    return picture


@cache
def _presenter() -> Image.Image:
    portrait = Image.fromarray(_picture("astronaut"))
    backdrop = portrait.resize((WIDTH, WIDTH)).crop((0, 280, WIDTH, 280 + HEIGHT)).filter(ImageFilter.GaussianBlur(40))
    backdrop.paste(portrait.resize((HEIGHT, HEIGHT), Image.Resampling.BICUBIC), ((WIDTH - HEIGHT) // 2, 0))
    return backdrop


@cache
def _inset() -> Image.Image:
    portrait = Image.fromarray(_picture("astronaut")).crop((92, 0, 348, 320))
    inset = Image.new("RGB", INSET_SIZE, _INK)
    inset.paste(portrait.resize((INSET_SIZE[0] - 4, INSET_SIZE[1] - 4), Image.Resampling.BICUBIC), (2, 2))
    return inset


def _write(draw: ImageDraw.ImageDraw, label: Label) -> None:
    place, font = (float(label.x), float(label.y)), _font(_SIZES[label.role])
    if label.role in ("title", "subtitle"):
        draw.text(place, label.text, _INK, font, anchor="mm")
    elif label.role == "finding":
        draw.text(place, label.text, (255, 255, 255), font, stroke_width=3, stroke_fill=(0, 0, 0))
    else:
        x0, y0, x1, y1 = label_box(label)
        paper, ink = ((255, 255, 255), (20, 20, 20)) if label.role == "case" else ((20, 20, 20, 200), _INK)
        draw.rectangle((x0 - 10, y0 - 8, x1 + 10, y1 + 8), paper, (40, 40, 40), 2 if label.role == "case" else 0)
        draw.text(place, label.text, ink, font)


def label_box(label: Label) -> tuple[int, int, int, int]:
    """The box around a label's letters, in pixels of the lecture."""
    anchor = "mm" if label.role in ("title", "subtitle") else "la"
    box = _font(_SIZES[label.role]).getbbox(label.text, anchor=anchor)
    x0, y0, x1, y1 = (round(value) for value in box)
    return label.x + x0, label.y + y0, label.x + x1, label.y + y1


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans-Bold.ttf", size)


def _encode(path: Path, spoken: list[Spoken]) -> None:
    """H.264 and AAC; sound is written a second ahead of the pictures, as a player reads them together."""
    import av

    seconds = sum(part.seconds for part in PLAN)
    track = np.zeros(round(seconds * _SAMPLE_RATE), dtype=np.float32)
    for sentence in spoken:
        first = round(sentence.start * _SAMPLE_RATE)
        track[first : first + len(sentence.samples)] = sentence.samples
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "26", "preset": "slow", "threads": "2"})
        video.width, video.height, video.pix_fmt, video.gop_size = WIDTH, HEIGHT, "yuv420p", 4 * FPS
        audio = container.add_stream("aac", rate=_SAMPLE_RATE, layout="mono", options={"b": "40k"})
        heard = 0
        for number, picture in enumerate(frames()):
            while heard < len(track) and heard / _SAMPLE_RATE < number / FPS + 1:
                sound = av.AudioFrame.from_ndarray(track[None, heard : heard + 1024], format="fltp", layout="mono")
                sound.rate, sound.pts, sound.time_base = _SAMPLE_RATE, heard, Fraction(1, _SAMPLE_RATE)
                container.mux(audio.encode(sound))
                heard += 1024
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(audio.encode(None))
        container.mux(video.encode(None))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Make the sample lecture (mp4) and its subtitles (srt).")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder; default: beside this script")
    parser.add_argument("--truth", type=Path, help="write the plan to this JSON file and render nothing")
    arguments = parser.parse_args()
    try:
        if arguments.truth:
            write_json(arguments.truth, truth(label_box))
        else:
            make_lecture(arguments.out)
    except UserError as error:
        parser.exit(error.exit_code, f"{error}\n")


if __name__ == "__main__":
    main()
