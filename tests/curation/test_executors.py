"""Whoever does the work, the bytes are the same."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run, run  # noqa: F401
from tests.curation.conftest import pan, stained, title
from tests.curation.slurm import put_slurm_on_the_path
from tests.curation.test_pipeline import digest
from videopath_hf.curation import executors
from videopath_hf.curation.executors import curate_on, slurm_scripts, submit_to_slurm
from videopath_hf.curation.pipeline import curate
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.files import read_json
from videopath_hf.settings import load_settings

SETTINGS = load_settings(
    CurateSettings, overrides=["screen_text.backend=none", "transcript.backend=none", "cluster.partition=cpu"]
)


@pytest.fixture(scope="module")
def lectures(lecture_factory: Callable[..., Path]) -> Path:
    """A folder of three lectures, one of them broken."""
    folder = lecture_factory("first.mp4", (pan(stained(600, 1000, 3), n) for n in range(30))).parent
    second = lecture_factory("second.mp4", (title("Thank you") if n < 9 else stained(360, 640, n) for n in range(25)))
    (folder / "second 2.mp4").write_bytes(second.read_bytes())
    (folder / "broken.mp4").write_text("not a video")
    return folder


@pytest.fixture(scope="module")
def alone(lectures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of them."""
    out = tmp_path_factory.mktemp("alone") / "out"
    curate([lectures], out, SETTINGS)
    return out


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return put_slurm_on_the_path(tmp_path / "bin", monkeypatch.setenv)


def test_tasks_of_this_machine_give_the_same_bytes_as_one_process(lectures: Path, alone: Path, tmp_path: Path) -> None:
    pytest.importorskip("datatrove", reason="the cluster extra is not installed")
    summary = curate_on("local", [lectures], tmp_path / "out", SETTINGS, workers=2)
    assert digest(tmp_path / "out") == digest(alone)
    assert (summary.videos, summary.failed) == (2, 1)
    stats = read_json(tmp_path / "out" / ".work" / "_executor" / "stats.json")[0]["stats"]
    assert (stats["clips"]["total"], stats["failed"]["total"]) == (summary.clips, 1)


def test_other_settings_on_the_same_folder_reach_the_tasks(lectures: Path, tmp_path: Path) -> None:
    pytest.importorskip("datatrove", reason="the cluster extra is not installed")
    curate_on("local", [lectures], tmp_path / "out", SETTINGS)
    shorter = load_settings(CurateSettings, overrides=["clips.max_seconds=1", "clips.min_seconds=1"])
    settings = SETTINGS.model_copy(update={"clips": shorter.clips})
    curate_on("local", [lectures], tmp_path / "out", settings)
    curate([lectures], tmp_path / "new", settings)
    assert digest(tmp_path / "out") == digest(tmp_path / "new")


@pytest.mark.slow
def test_two_ray_workers_give_the_same_bytes_as_one_process(lectures: Path, alone: Path, tmp_path: Path) -> None:
    pytest.importorskip("datatrove", reason="the cluster extra is not installed")
    pytest.importorskip("ray", reason="the cluster extra is not installed")
    summary = curate_on("ray", [lectures], tmp_path / "out", SETTINGS, workers=2)
    assert digest(tmp_path / "out") == digest(alone)
    assert (summary.videos, summary.failed) == (2, 1)


def test_slurms_scripts_are_shown_and_nothing_is_written(run: Run, lectures: Path, tmp_path: Path) -> None:  # noqa: F811
    pytest.importorskip("datatrove", reason="the cluster extra is not installed")
    words = ["curate", lectures, "--out", tmp_path / "out", "--executor", "slurm", "--dry-run", "--workers", "2"]
    asked = ("cluster.partition=cpu", "cluster.cpus=4", "cluster.memory_gb=3")
    code, script, _ = run(*words, *(word for setting in asked for word in ("--set", setting)))
    assert code == 0
    assert not (tmp_path / "out").exists()
    for line in ("#SBATCH --array=0-2%2", "#SBATCH --partition=cpu", "#SBATCH --cpus-per-task=4", "mem-per-cpu=3G"):
        assert line in script
    assert f"launch_pickled_pipeline {tmp_path}/out/.work/_executor/executor.pik" in script
    assert f"launch_pickled_pipeline {tmp_path}/out/.work/_executor/finish/executor.pik" in script
    assert f"source {sys.prefix}/bin/activate" in script or sys.prefix == sys.base_prefix
    _, shown, _ = run(*words, "--set", "cluster.partition=cpu", "--json")
    assert len(json.loads(shown)["scripts"]) == 2


@pytest.mark.slow
def test_slurm_jobs_give_the_same_bytes_as_one_process(
    lectures: Path, alone: Path, tmp_path: Path, slurm: Path
) -> None:
    pytest.importorskip("datatrove", reason="the cluster extra is not installed")
    settings = SETTINGS.model_copy(update={"cluster": SETTINGS.cluster.model_copy(update={"env_command": "true"})})
    shown = slurm_scripts([lectures], tmp_path / "out", settings)
    jobs = submit_to_slurm([lectures], tmp_path / "out", settings)
    assert jobs.scripts == shown.scripts == [(slurm / f"{number}.slurm").read_text() for number in jobs.ids]
    assert f"--dependency=afterany:{jobs.ids[0]}" in (slurm / f"{jobs.ids[1]}.words").read_text()
    assert digest(tmp_path / "out") == digest(alone)


def test_what_an_executor_lacks_is_said_before_anything_is_made(
    lectures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set[str]()
    monkeypatch.setattr(executors, "find_spec", lambda name: object() if name in found else None)
    with pytest.raises(MissingExtraError, match=r"needs `datatrove`.*videopath-hf\[cluster\]"):
        curate_on("local", [lectures], tmp_path / "out", SETTINGS)
    found.add("datatrove")
    with pytest.raises(MissingExtraError, match=r"needs `ray`.*videopath-hf\[cluster\]"):
        curate_on("ray", [lectures], tmp_path / "out", SETTINGS)
    with pytest.raises(UserError, match=r"--set cluster\.partition=NAME"):
        submit_to_slurm([lectures], tmp_path / "out", CurateSettings())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="finds no sbatch here"):
        submit_to_slurm([lectures], tmp_path / "out", SETTINGS)
    with pytest.raises(UserError, match="workers = 0"):
        curate_on("local", [lectures], tmp_path / "out", SETTINGS, workers=0)
    assert not (tmp_path / "out").exists()


def test_the_command_runs_an_executor(lectures: Path, alone: Path, tmp_path: Path) -> None:
    pytest.importorskip("datatrove", reason="the cluster extra is not installed")
    words = ["curate", str(lectures), "--out", str(tmp_path / "out"), "--executor", "local", "--json"]
    overrides = ["--set", "screen_text.backend=none", "--set", "transcript.backend=none"]
    code = "from videopath_hf.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words, *overrides], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["clips"] > 0
    assert digest(tmp_path / "out") == digest(alone)
