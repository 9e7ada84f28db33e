"""Media that are broken, odd or extreme: processed rightly, or one clear error."""

import http.server
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from tests.modeling.conftest import encode, noise_frames, user
from tests.video.conftest import (  # noqa: F401
    clip,
    cut_clip,
    damaged_clip,
    sound_only,
    turned_clip,
    uneven_clip,
    without_frames,
)
from videopath_hf.video.container import VideoError

Loaded = tuple[Any, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a local web server, and the folder it serves."""
    folder = tmp_path_factory.mktemp("served")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}", folder
        web.shutdown()
        thread.join()


def video_of(processor: Any, video: Any, **options: Any) -> Any:
    """What the processor makes of a video in a chat message."""
    message = {"role": "user", "content": [{"type": "video", "video": video}, {"type": "text", "text": "What?"}]}
    return encode(processor, [message], **options)


def write_video(
    path: Path, frames: list[np.ndarray], fps: Fraction = Fraction(5), codec: str = "png", pixels: str = "rgb24"
) -> Path:
    """A video of frames of any size, without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pixels
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.mp4", "none.mp4 does not exist"),
        ("text.mp4", "text.mp4 is not a video"),
        ("empty.mp4", r"empty.mp4 is empty \(0 bytes\)"),
    ],
)
def test_a_file_that_is_no_video_is_named(loaded: Loaded, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "text.mp4").write_text("words, not pictures")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError, match=message):
        video_of(loaded[1], str(tmp_path / name))


def test_sound_without_pictures_is_refused(loaded: Loaded, sound_only: Path) -> None:  # noqa: F811
    with pytest.raises(VideoError, match=r"sound.mp4 has no video stream \(it holds audio\)"):
        video_of(loaded[1], str(sound_only))


def test_a_cut_off_video_is_refused(loaded: Loaded, cut_clip: Path) -> None:  # noqa: F811
    with pytest.raises(VideoError, match=r"cut.mp4 is cut off after [\d.]+ s"):
        video_of(loaded[1], str(cut_clip))


def test_a_damaged_video_is_refused(loaded: Loaded, damaged_clip: Path) -> None:  # noqa: F811
    with pytest.raises(VideoError, match=r"damaged.mp4 .*(cannot be decoded|is damaged)"):
        video_of(loaded[1], str(damaged_clip), num_frames=200)


def test_a_video_without_frames_is_refused(loaded: Loaded, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0"
        container.start_encoding()
    with pytest.raises(VideoError, match=r"none.mkv is not a video or is cut off before its index"):
        video_of(loaded[1], str(tmp_path / "none.mkv"))
    with pytest.raises(VideoError, match=r"aborted.mp4 holds a video stream without a single frame$"):
        video_of(loaded[1], str(without_frames(tmp_path / "aborted.mp4")))
    with pytest.raises(ValueError, match="has no frame"):
        video_of(loaded[1], np.zeros((0, 8, 8, 3), np.uint8))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 40), (33, 21), (8000, 4)])
def test_tiny_odd_and_long_videos_are_squashed_like_any(
    loaded: Loaded, tmp_path: Path, width: int, height: int
) -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (3, height, width, 3), dtype=np.uint8))
    path = write_video(tmp_path / "odd.mov", frames)
    inputs = video_of(loaded[1], str(path))
    assert torch.equal(inputs["pixel_values_videos"], video_of(loaded[1], np.stack(frames))["pixel_values_videos"])


def test_a_very_large_video_is_squashed_like_any(loaded: Loaded, tmp_path: Path) -> None:
    frame = np.zeros((8000, 8000, 3), np.uint8)
    frame[:, 4000:] = 255
    path = write_video(tmp_path / "large.mkv", [frame], codec="mjpeg", pixels="yuvj420p")
    pixels = video_of(loaded[1], str(path))["pixel_values_videos"][0, 0]
    assert pixels[:, :, :48].max() < -0.95 and pixels[:, :, 51:].min() > 0.95


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 900), (900, 1), (8000, 8000)])
def test_images_of_any_size_fit_the_model(loaded: Loaded, width: int, height: int) -> None:
    model, processor = loaded
    image = Image.new("RGB", (width, height), (120, 30, 90))
    inputs = encode(processor, [user(image, "What?")])
    assert torch.isfinite(model(**inputs).logits[:, -1]).all()


@pytest.mark.parametrize("sampling", ["uniform", "fps"])
def test_a_frame_in_five_seconds_is_a_video(loaded: Loaded, tmp_path: Path, sampling: str) -> None:
    path = write_video(tmp_path / "slow.mov", list(noise_frames(4)), Fraction(1, 5))
    inputs = video_of(loaded[1], str(path), sampling=sampling, return_metadata=True)
    assert inputs["video_metadata"][0].timestamps == [0, 5, 10, 15]


def test_a_video_of_two_hours_gives_its_frames_from_end_to_end(loaded: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1, options={"preset": "ultrafast", "g": "60"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for number in range(7200):
            image = np.full((32, 32, 3), number * 255 // 7199, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    inputs = video_of(loaded[1], str(path), return_metadata=True)
    times = inputs["video_metadata"][0].timestamps
    assert (len(times), times[0], times[-1]) == (32, 0, 7199)
    levels = inputs["pixel_values_videos"][0].mean(dim=(1, 2, 3))
    assert torch.allclose(levels, torch.linspace(-1, 1, 32), atol=0.04)


def test_a_variable_rate_keeps_its_times(loaded: Loaded, uneven_clip: Path) -> None:  # noqa: F811
    inputs = video_of(loaded[1], str(uneven_clip), return_metadata=True)
    assert inputs["video_metadata"][0].timestamps == pytest.approx([0, 0.1, 0.2, 2.0, 2.1, 3.0])


def test_a_turned_video_comes_upright(loaded: Loaded, clip: Path, turned_clip: Path) -> None:  # noqa: F811
    straight = video_of(loaded[1], str(clip), return_metadata=True)["video_metadata"][0]
    turned = video_of(loaded[1], str(turned_clip), return_metadata=True)["video_metadata"][0]
    assert (turned.width, turned.height) == (straight.height, straight.width)


def test_an_address_that_answers_404_says_so(loaded: Loaded, server: tuple[str, Path]) -> None:
    with pytest.raises(VideoError, match=r"video http://127.0.0.1:\d+/none.mp4 cannot be fetched.*404 File not found"):
        video_of(loaded[1], f"{server[0]}/none.mp4")
    image = {"role": "user", "content": [{"type": "image", "url": f"{server[0]}/none.png"}]}
    with pytest.raises(ValueError, match=r"image http://127.0.0.1:\d+/none.png cannot be fetched.*404 File not found"):
        encode(loaded[1], [image])


def test_a_server_that_is_not_there_is_named(loaded: Loaded) -> None:
    with pytest.raises(VideoError, match=r"video http://127.0.0.1:9/a.mp4 cannot be fetched: connection refused"):
        video_of(loaded[1], "http://127.0.0.1:9/a.mp4")


def test_addresses_and_bytes_give_what_the_file_gives(
    loaded: Loaded, server: tuple[str, Path], make_clip: Callable[..., Path]
) -> None:
    content = make_clip(12).read_bytes()
    (server[1] / "clip.mp4").write_bytes(content)
    Image.fromarray(noise_frames(1)[0]).save(server[1] / "slide.png")
    expected = encode(loaded[1], [user(make_clip(12), noise_frames(1)[0])])
    for video, image in (
        (f"{server[0]}/clip.mp4", f"{server[0]}/slide.png"),
        (content, (server[1] / "slide.png").read_bytes()),
    ):
        blocks = [{"type": "video", "video": video}, {"type": "image", "image": image}]
        inputs = encode(loaded[1], [{"role": "user", "content": blocks}])
        for name in expected:
            assert torch.equal(inputs[name], expected[name]), name


def test_bytes_that_are_no_video_are_counted(loaded: Loaded) -> None:
    with pytest.raises(VideoError, match="the video given as 5 bytes is not a video"):
        video_of(loaded[1], b"words")
    with pytest.raises(ValueError, match="image given as 5 bytes cannot be read"):
        encode(loaded[1], [{"role": "user", "content": [{"type": "image", "image": b"words"}]}])


def test_frames_of_unequal_size_are_refused(loaded: Loaded) -> None:
    frames = [Image.new("RGB", (8, 8)), Image.new("RGB", (8, 9))]
    with pytest.raises(
        ValueError, match=r"frames of one video differ in size: \(height, width\) \(8, 8\) and \(9, 8\)"
    ):
        video_of(loaded[1], frames)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"sampling": "random"}, "sampling is 'random'; accepted are uniform, fps"),
        ({"decoder": "opencv"}, "decoder is 'opencv'; accepted are pyav, decord, torchcodec, auto"),
        ({"num_frames": 0}, "num_frames is 0; at least 1"),
    ],
)
def test_unknown_choices_are_refused(loaded: Loaded, option: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        video_of(loaded[1], noise_frames(3), **option)


@pytest.mark.parametrize(("text", "given"), [("<|video_pad|><|video_pad|>", 1), ("<|video_pad|>", 2)])
def test_placeholders_and_videos_must_be_as_many(loaded: Loaded, text: str, given: int) -> None:
    with pytest.raises(ValueError, match=rf"sample 1 has \d <\|video_pad\|> in its text for {given} videos"):
        loaded[1](text=["<|video_pad|>", text], videos=[[noise_frames(2)], [noise_frames(2)] * given])
