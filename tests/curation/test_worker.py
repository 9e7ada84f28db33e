"""What a decoder's crash or hang costs: one lecture."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from tests.curation.conftest import SUBTITLES, lecture_frames
from tests.curation.test_pipeline import FAST, SHORT, digest
from videopath_hf.curation.lecture import read_result
from videopath_hf.curation.pipeline import curate, curate_one, finish, prepare
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.curation.worker import Worker
from videopath_hf.errors import UserError
from videopath_hf.files import read_records
from videopath_hf.records import ClipRecord, Reject

OWN = "tests.curation.own_blocks"


def with_probe(block: str, **limits: float) -> CurateSettings:
    """Settings whose first block is one of ours."""
    blocks = (f"{OWN}:{block}", *FAST.blocks[1:])
    return FAST.model_copy(update={"blocks": blocks, "probe": FAST.probe.model_copy(update=limits)})


@pytest.fixture(scope="module")
def folder(lecture_factory: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of title and three seconds of tissue with subtitles; and the same called bad, before it."""
    short = lecture_factory("short.mp4", islice(lecture_frames(), 15, 50), SUBTITLES)
    root = tmp_path_factory.mktemp("folder")
    shutil.copy(short, root / "good.mp4")
    shutil.copy(short.with_suffix(".srt"), root / "good.srt")
    (root / "bad.mp4").write_bytes(short.read_bytes() + b"1")
    return root


@pytest.mark.parametrize(
    ("block", "limits", "reason"),
    [
        ("Crashing", {}, "the decoder crashed with signal 11 (SIGSEGV)"),
        ("Hanging", {"stall_seconds": 2}, "no frame for 2 s (probe.stall_seconds)"),
        ("Endless", {"min_seconds": 4}, "not decoded in 4 s (probe.min_seconds, probe.slowest)"),
    ],
)
def test_a_decoder_that_crashes_hangs_or_never_ends_costs_one_lecture(
    folder: Path, tmp_path: Path, block: str, limits: dict[str, float], reason: str
) -> None:
    out = tmp_path / "out"
    summary = curate([folder], out, with_probe(block, **limits))
    assert (summary.videos, summary.failed, summary.clips) == (1, 1, 1)
    (reject,) = [r for r in read_records(out / "rejects.jsonl", Reject) if r.video_id == "bad"]
    assert (reject.step, reject.reason, reject.source) == ("probe", reason, "bad.mp4")
    result = read_result(out, "bad")
    assert result is not None and not result.final  # the next run tries again


def test_a_process_that_hangs_after_its_video_has_decoded_tells_where(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    limits = FAST.probe.model_copy(update={"stall_seconds": 2, "min_seconds": 5})
    blocks = (FAST.blocks[0], f"{OWN}:Stuck", *FAST.blocks[1:])
    summary = curate([folder], tmp_path / "out", FAST.model_copy(update={"blocks": blocks, "probe": limits}))
    assert (summary.failed, summary.clips) == (1, 1)
    (reject,) = [r for r in read_records(tmp_path / "out/rejects.jsonl", Reject) if r.video_id == "bad"]
    assert (reject.step, reject.reason) == ("stuck", "no frame for 7 s (probe.stall_seconds)")
    assert "own_blocks.py" in capfd.readouterr().err


def test_a_single_lecture_whose_decoder_crashes_is_an_error_with_the_reason(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="decoder crashed with signal 11"):
        curate([folder / "bad.mp4"], tmp_path / "out", with_probe("Crashing"))


def test_a_mistake_in_a_block_is_named_with_the_step_and_costs_one_lecture(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = FAST.model_copy(update={"blocks": (*FAST.blocks, f"{OWN}:Broken"), "max_failed_videos": 1.0})
    with pytest.raises(UserError, match="no tissue found"):
        curate([folder], tmp_path / "out", settings)
    rejects = read_records(tmp_path / "out" / "rejects.jsonl", Reject)
    assert [(r.step, "ZeroDivisionError: division by zero" in r.reason) for r in rejects] == [("broken", True)] * 2
    assert "own_blocks.py" in capfd.readouterr().err  # the traceback is not lost


def test_two_workers_give_the_same_bytes_as_one_and_as_none(folder: Path, tmp_path: Path) -> None:
    for workers in (0, 1, 2):
        curate([folder], tmp_path / str(workers), FAST, workers=workers)
    assert digest(tmp_path / "0") == digest(tmp_path / "1") == digest(tmp_path / "2")


def test_lectures_curated_one_by_one_in_any_order_are_put_together_to_the_same_bytes(
    folder: Path, tmp_path: Path
) -> None:
    curate([folder], tmp_path / "whole", FAST)
    out = tmp_path / "parts"
    lectures = prepare([folder], out, FAST)
    with Worker() as worker:
        assert curate_one(lectures[1], out, FAST, worker).failed is None
        with pytest.raises(UserError, match=r"bad\.mp4 is not curated yet"):
            finish(out)
        curate_one(lectures[0], out, FAST, worker)
    assert finish(out).clips == 2
    assert digest(out) == digest(tmp_path / "whole")


def test_a_worker_ends_when_whoever_started_it_is_killed(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.curation.test_worker import with_probe;"
        "from videopath_hf.curation.pipeline import curate;"
        "curate([Path(sys.argv[1])], Path(sys.argv[2]), with_probe('Hanging'))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder / "bad.mp4"), str(tmp_path / "out")], cwd=Path(__file__).parents[2]
    )
    lock = tmp_path / "out" / ".work" / "bad" / ".lock"
    wait_until(lock.exists)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    (child,) = [Path("/proc") / pid for task in children.parent.parent.iterdir() for pid in child_pids(task)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not (child / "exe").exists())


def child_pids(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_two_processes_do_not_work_on_one_lecture(folder: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    from videopath_hf.curation.lecture import work_folder

    out = tmp_path / "out"
    (lecture,) = prepare([folder / "good.mp4"], out, FAST)
    work_folder(out, "good").mkdir(parents=True)
    with (
        FileLock(work_folder(out, "good") / ".lock"),
        Worker() as worker,
        pytest.raises(UserError, match="being curated by another process"),
    ):
        curate_one(lecture, out, FAST, worker)


def test_a_block_of_ones_own_filters_with_its_own_section(folder: Path, tmp_path: Path) -> None:
    own = {"blocks": (*SHORT.blocks, f"{OWN}:Shortest"), "own": {"shortest": {"frames": 5}}}
    with pytest.raises(UserError, match="few frames"):
        curate([folder / "good.mp4"], tmp_path / "out", SHORT.model_copy(update=own), workers=0)
    own["own"] = {"shortest": {"frames": 4}}
    curate([folder / "good.mp4"], tmp_path / "out", SHORT.model_copy(update=own), workers=0)
    assert len(read_records(tmp_path / "out" / "clips.jsonl", ClipRecord)) == 1


@pytest.mark.parametrize(
    ("blocks", "complaint"),
    [
        (("probe", "read"), "read needs segments, which no block before it gives"),
        (("probe", "sgment"), "'sgment' is none of"),
        (("probe", "nowhere.at:All"), "nowhere.at:All cannot be imported"),
        (("probe", "pathlib:Path"), "is not a subclass"),
        (("probe", "probe"), "probe comes twice"),
        (("probe", "segment"), "gives clips"),
    ],
)
def test_blocks_that_do_not_fit_are_refused_before_anything_is_made(
    folder: Path, tmp_path: Path, blocks: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        curate([folder], tmp_path / "out", FAST.model_copy(update={"blocks": blocks}))
    assert not (tmp_path / "out").exists()
