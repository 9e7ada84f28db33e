"""What a file is, is told by its content; what it may be, by limits; what browsers get, they can play."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.modeling.conftest import noise_frames
from videopath_hf.errors import UserError
from videopath_hf.modeling.session import VideoSession
from videopath_hf.serving.app.medium import Medium, look_at
from videopath_hf.serving.app.settings import AppSettings, Limits
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.probe import probe


def look(path: Path, **limits: Any) -> tuple[Path, Medium]:
    """Looks at a copy in a folder of its own, under the name that all files get."""
    folder = path.parent / f"{path.name}_case"
    folder.mkdir()
    (folder / "incoming").write_bytes(path.read_bytes())
    return folder, look_at(folder, "incoming", AppSettings(frames=5, limits=Limits(**limits)))


def write_video(path: Path, codec: str, frames: int = 20, fps: int = 10, pix_fmt: str = "yuv420p") -> Path:
    """Any codec and container, by the path's suffix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 80, 60, pix_fmt
        for picture in noise_frames(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_the_pictures_are_those_of_the_frames_that_a_model_sees(
    loaded: tuple[Any, Any], make_clip: Callable[..., Path]
) -> None:
    folder, medium = look(make_clip(33, seed=5))
    loaded[1].video_processor.num_frames = 5
    session = VideoSession(*loaded, [folder / medium.file], keep_shown=True)
    loaded[1].video_processor.num_frames = 32
    assert medium.times == session.frame_times
    for number, name in enumerate(medium.thumbnails):
        with Image.open(folder / name) as picture:
            thumbnail = np.asarray(picture.resize((98, 98), Image.Resampling.BICUBIC), dtype=float)
        differences = [float(np.abs(thumbnail - frame).mean()) for frame in session.shown[0]]
        assert differences[number] < 8
        assert sorted(differences)[1] > 20
    assert (medium.kind, medium.width, medium.height, medium.frames) == ("video", 80, 60, 33)
    assert medium.seconds == pytest.approx(3.3)
    assert not medium.converted


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "converted"),
    [
        ("clip.mp4", "libx264", "yuv420p", False),
        ("clip.mp4", "libx264", "yuv444p", True),
        ("clip.webm", "libvpx-vp9", "yuv420p", False),
        ("clip.mkv", "libx264", "yuv420p", True),
        ("clip.avi", "mpeg4", "yuv420p", True),
        ("clip.mov", "mjpeg", "yuvj420p", True),
    ],
)
def test_browsers_get_what_they_can_play(tmp_path: Path, name: str, codec: str, pix_fmt: str, converted: bool) -> None:
    folder, medium = look(write_video(tmp_path / name, codec, pix_fmt=pix_fmt))
    assert medium.converted is converted
    assert medium.played_type == ("video/webm" if name.endswith("webm") else "video/mp4")
    played = probe(folder / medium.played)
    assert played.codec == ("h264" if converted or "264" in codec else "vp9")
    assert played.duration == pytest.approx(medium.seconds, abs=0.11)


def test_an_image_is_known_by_its_content_and_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(noise_frames(1)[0]).save(tmp_path / "photo.mp4", "JPEG", exif=exif)
    folder, medium = look(tmp_path / "photo.mp4")
    assert (medium.kind, medium.file, medium.width, medium.height) == ("image", "image.jpg", 60, 80)
    with Image.open(folder / medium.played) as shown:
        assert shown.size == (60, 80)


def test_a_video_named_as_an_image_is_given_to_models_as_a_video(
    loaded: tuple[Any, Any], make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "clip.png"
    path.write_bytes(make_clip(6).read_bytes())
    folder, medium = look(path)
    assert medium.kind == "video"
    assert len(VideoSession(*loaded, [str(folder / medium.file)]).frame_times) == 6


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"video_seconds": 1.5}, "longer than the 1.5 s accepted"),
        ({"decoded_frames": 19}, "more than the 19 frames accepted"),
        ({"video_megapixels": 0.0047}, "80x60 pixels, more than the 0.0047 million accepted"),
    ],
)
def test_a_video_over_a_limit_is_refused(tmp_path: Path, limits: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        look(write_video(tmp_path / "clip.mp4", "libx264"), **limits)


def test_frames_are_counted_while_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's tables may promise less than it holds."""
    path = write_video(tmp_path / "clip.mp4", "libx264")
    short = frame_index(path)._replace(times=frame_index(path).times[:3])
    monkeypatch.setattr("videopath_hf.serving.app.medium.frame_index", lambda _: short)
    with pytest.raises(UserError, match="more than the 10 frames accepted"):
        look(path, decoded_frames=10)


def test_an_image_over_the_limit_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200)).save(tmp_path / "large.png")
    with pytest.raises(UserError, match=r"300x200 pixels, more than the 0.05 million accepted"):
        look(tmp_path / "large.png", image_megapixels=0.05)


@pytest.mark.parametrize(
    "content", [b"", b"some words", b"\x89PNG\r\n\x1a\n and nothing", b"\xff\xd8\xff\xe0 cut off"]
)
def test_what_is_neither_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError) as caught:
        look(tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_a_video_cut_off_in_its_middle_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", "mpeg4", frames=60)
    path.write_bytes(path.read_bytes()[:-20000])
    with pytest.raises(UserError):
        look(path)
