from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.modeling.conftest import noise_frames
from videopath_hf.modeling.video_processing_videopath_llava import VideoPathLlavaVideoProcessor
from videopath_hf.video.container import VideoError
from videopath_hf.video.decode import read_frames

MakeClip = Callable[..., Path]


@pytest.fixture
def processor() -> VideoPathLlavaVideoProcessor:
    return VideoPathLlavaVideoProcessor(size={"height": 28, "width": 28})


def squashed(frame: np.ndarray) -> torch.Tensor:
    pixels = np.asarray(Image.fromarray(frame).resize((28, 28), Image.Resampling.BICUBIC)).astype(np.float64)
    values = ((pixels * (1 / 255)).astype(np.float32) - np.float32(0.5)) / np.float32(0.5)
    return torch.from_numpy(values.transpose(2, 0, 1))


def test_thirty_two_evenly_spaced_frames_are_taken_by_default(
    processor: VideoPathLlavaVideoProcessor, make_clip: MakeClip
) -> None:
    clip = make_clip(50)
    result = processor([str(clip)], return_tensors="pt", return_metadata=True)
    expected = np.linspace(0, 49, 32, dtype=int).tolist()
    metadata = result["video_metadata"][0]
    assert metadata.frames_indices == expected
    assert metadata.timestamps == pytest.approx([index / 10 for index in expected])
    frames = read_frames(clip, expected)
    assert torch.equal(result["pixel_values_videos"][0], torch.stack([squashed(frame) for frame in frames]))


def test_all_frames_of_a_short_clip_are_taken_once(
    processor: VideoPathLlavaVideoProcessor, make_clip: MakeClip
) -> None:
    result = processor([make_clip(5)], return_tensors="pt")
    assert result["video_num_frames"].tolist() == [5]


def test_paths_arrays_tensors_and_frame_lists_give_the_same(processor: VideoPathLlavaVideoProcessor) -> None:
    frames = noise_frames(4)
    forms = [frames, torch.from_numpy(frames), torch.from_numpy(frames).permute(0, 3, 1, 2), list(frames)]
    forms.append([Image.fromarray(frame) for frame in frames])
    results = [processor([form], return_tensors="pt")["pixel_values_videos"] for form in forms]
    assert all(torch.equal(result, results[0]) for result in results)


def test_videos_of_unequal_length_are_filled_up(processor: VideoPathLlavaVideoProcessor, make_clip: MakeClip) -> None:
    result = processor([make_clip(5), noise_frames(3)], return_tensors="pt")
    assert result["video_num_frames"].tolist() == [5, 3]
    assert result["pixel_values_videos"].shape == (2, 5, 3, 28, 28)
    assert not result["pixel_values_videos"][1, 3:].any()


def test_giving_fps_takes_frames_by_time(processor: VideoPathLlavaVideoProcessor, make_clip: MakeClip) -> None:
    result = processor([make_clip(50)], fps=2, return_tensors="pt", return_metadata=True)
    assert result["video_metadata"][0].frames_indices == list(range(0, 50, 5))


def test_pixels_are_sampled_like_files_unless_told_not_to(processor: VideoPathLlavaVideoProcessor) -> None:
    frames = noise_frames(40)
    assert processor([frames], return_tensors="pt")["video_num_frames"].tolist() == [32]
    assert processor([frames], do_sample_frames=False, return_tensors="pt")["video_num_frames"].tolist() == [40]


def test_sampling_pixels_by_time_needs_their_fps(processor: VideoPathLlavaVideoProcessor) -> None:
    frames = noise_frames(20)
    with pytest.raises(ValueError, match="video_metadata"):
        processor([frames], fps=1)
    given = {"total_num_frames": 20, "fps": 10.0}
    result = processor([frames], fps=1, video_metadata=[given], return_metadata=True)
    assert result["video_metadata"][0].timestamps == [0.0, 1.0]


def test_both_decoders_give_the_same_pixels(processor: VideoPathLlavaVideoProcessor, make_clip: MakeClip) -> None:
    pytest.importorskip("decord")
    first, second = (processor([make_clip(20)], decoder=name, return_tensors="pt") for name in ("pyav", "decord"))
    difference = (first["pixel_values_videos"] - second["pixel_values_videos"]).abs().max()
    assert difference <= 4 / 127.5  # colour conversion differs between FFmpeg builds by a few of 255 levels


@pytest.mark.parametrize("form", ["missing", "text", "no_frames", "unequal", "number"])
def test_bad_videos_are_one_clear_error(processor: VideoPathLlavaVideoProcessor, tmp_path: Path, form: str) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    given: object = {
        "missing": tmp_path / "none.mp4",
        "text": text,
        "no_frames": np.zeros((0, 8, 8, 3), dtype=np.uint8),
        "unequal": [np.zeros((8, 8, 3), dtype=np.uint8), np.zeros((8, 9, 3), dtype=np.uint8)],
        "number": 3,
    }[form]
    with pytest.raises((VideoError, ValueError)) as caught:
        processor([given])
    words = {"missing": "none.mp4", "text": "text.mp4", "no_frames": "no frame", "unequal": "differ", "number": "int"}
    assert words[form] in str(caught.value)
