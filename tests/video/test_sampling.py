import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.video.conftest import number_of
from videopath_hf.video.decode import read_frames
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.probe import probe
from videopath_hf.video.sampling import sample_indices, sample_video


def test_uniform_frames_run_from_the_first_to_the_last() -> None:
    indices = sample_indices(900, 30.0, 32)
    assert len(indices) == 32 and indices[0] == 0 and indices[-1] == 899
    assert indices.dtype == np.int64


def test_a_short_clip_gives_every_frame_once() -> None:
    assert sample_indices(5, 2.0, 32).tolist() == [0, 1, 2, 3, 4]
    assert sample_indices(1, 2.0, 32).tolist() == [0]


def test_fps_takes_steps_until_they_are_too_many() -> None:
    assert sample_indices(72, 24.0, 32, "fps").tolist() == [0, 24, 48]
    assert sample_indices(72, 24.0, 32, "fps", video_fps=2).tolist() == [0, 12, 24, 36, 48, 60]
    assert sample_indices(72, 24.0, 2, "fps").tolist() == [0, 71]


def test_the_step_rounds_halves_to_even_as_python_does() -> None:
    assert sample_indices(16, 2.5, 32, "fps").tolist() == [0, 2, 4, 6, 8, 10, 12, 14]


def test_a_slow_video_is_taken_whole() -> None:
    assert sample_indices(10, 0.5, 32, "fps").tolist() == list(range(10))


@pytest.mark.parametrize("values", [{"total": 0}, {"fps": 0.0}, {"num_frames": 0}, {"video_fps": -1.0}])
def test_values_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} must be above 0"):
        sample_indices(**{"total": 10, "fps": 1.0, **values})


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="strategy must be 'uniform' or 'fps'"):
        sample_indices(10, 1.0, strategy="random")  # type: ignore[arg-type]


def test_a_sampled_video_tells_its_frames_and_their_times(clip: Path) -> None:
    video = sample_video(clip, num_frames=5)
    assert video.indices.tolist() == [0, 24, 49, 74, 99]
    assert [number_of(frame) for frame in video.frames] == [0, 24, 49, 74, 99]
    assert video.times.tolist() == pytest.approx([number / 25 for number in video.indices])


def test_a_video_is_sampled_at_a_rate(clip: Path) -> None:
    assert sample_video(clip, strategy="fps").indices.tolist() == [0, 25, 50, 75]
    assert len(sample_video(clip, strategy="fps", video_fps=5).indices) == 20


@pytest.fixture(scope="session")
def golden(shared: Path) -> tuple[Path, dict[str, Any]]:
    folder = Path(os.environ.get("VIDEOPATH_PARITY", shared / "parity")) / "video"
    return folder, json.loads((folder / "sampling.json").read_text())


def _indices(case: dict[str, Any], total: int, fps: float) -> np.ndarray:
    if case["force_sample"]:
        return sample_indices(total, fps, case["frames_upbound"], "uniform")
    return sample_indices(total, fps, case["frames_upbound"] or total, "fps", case["video_fps"])


@pytest.mark.parity
@pytest.mark.needs_shared
def test_frames_are_chosen_as_the_published_training_loader_chooses_them(golden: tuple[Path, dict[str, Any]]) -> None:
    compared = 0
    for case in golden[1]["training_loader"]:
        ours = _indices(case, case["total_frames"], case["avg_fps"]).tolist()
        if "raises" in case:  # theirs divides by a step of 0; ours goes frame by frame
            assert round(case["avg_fps"] / case["video_fps"]) == 0 and len(ours) <= case["total_frames"]
            continue
        theirs = case["frame_idx"]
        if case["force_sample"] and case["total_frames"] < case["frames_upbound"]:
            theirs = np.unique(theirs).tolist()  # ours does not repeat frames
        assert ours == theirs, case
        compared += 1
    assert compared >= 30


@pytest.mark.parity
@pytest.mark.needs_shared
def test_frames_are_chosen_as_the_published_demo_chooses_them(golden: tuple[Path, dict[str, Any]]) -> None:
    for case in golden[1]["demo_loader"]:
        ours = sample_indices(case["total_frames"], 30.0, case["max_frames_num"]).tolist()
        repeats = case["total_frames"] < case["max_frames_num"]
        assert ours == (np.unique(case["frame_idx"]).tolist() if repeats else case["frame_idx"])


@pytest.mark.parity
@pytest.mark.needs_shared
@pytest.mark.parametrize("backend", ["pyav", "decord"])
def test_frames_are_bitwise_those_of_the_published_loader(golden: tuple[Path, dict[str, Any]], backend: Any) -> None:
    if backend == "decord":
        pytest.importorskip("decord")
    folder, data = golden
    compared = 0
    for case in data["files"]:
        if "raises" in case:
            continue
        path = folder / case["file"]
        info = probe(path)
        assert info.frames == case["decord_len"] == len(frame_index(path).times)
        assert info.fps == pytest.approx(case["decord_avg_fps"])
        indices = _indices(case, info.frames, info.fps)
        frames = read_frames(path, indices.tolist(), backend)
        assert list(frames.shape) == case["frames_shape"]
        assert hashlib.sha256(frames.tobytes()).hexdigest() == case["frames_sha256"], case["file"]
        sampled = sample_video(
            path,
            case["frames_upbound"],
            "uniform" if case["force_sample"] else "fps",
            backend,
            case["video_fps"],
        )
        assert np.array_equal(sampled.frames, frames)
        compared += 1
    assert compared == 8
