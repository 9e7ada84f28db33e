"""Curation past one process: datatrove's executors run one lecture a task, on this machine, on Ray or on Slurm.

All executors give the same bytes: a task does what `curate_one` does, and `finish` puts the run together.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

from videopath_hf.curation.assemble import CurateSummary
from videopath_hf.curation.inputs import Lecture
from videopath_hf.curation.pipeline import check, finish, prepare
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.errors import MissingExtraError, UserError

Executor = Literal["local", "ray", "slurm"]

_LOGS = Path(".work", "_executor")  # no lecture's id begins with an underscore
_GB = 1 << 30


class SlurmJobs(NamedTuple):
    """What was handed to Slurm, or would be: the scripts of both jobs, and their ids once they are submitted."""

    scripts: list[str]
    ids: list[str]


def curate_on(
    executor: Literal["local", "ray"],
    inputs: Sequence[Path],
    out: Path,
    settings: CurateSettings,
    workers: int | None = None,
    limit: int | None = None,
) -> CurateSummary:
    """Curate with datatrove's local or Ray executor, and wait for the end.

    Ray is the cluster that the environment variable `RAY_ADDRESS` names; without it one is started on this machine and
    ended afterwards. Its workers must see the inputs and the output folder under the same paths.

    Args:
        executor (`str`): `"local"` or `"ray"`.
        workers (`int`, *optional*): lectures at once; one if omitted.

    Raises:
        MissingExtraError: datatrove or Ray is not installed.
        UserError, TooManyRejectsError: as `curate`.
    """
    check_executor(executor, settings)
    workers = _workers(workers) or 1
    lectures = prepare(inputs, out, settings, limit)
    if executor == "local":
        _local(lectures, Path(out), settings, workers)
    else:
        _ray(lectures, Path(out), settings, workers)
    return finish(out)


def check_executor(executor: Executor, settings: CurateSettings) -> None:
    """Refuse an executor that cannot work here before anything is written.

    Raises:
        MissingExtraError: datatrove, or Ray for `"ray"`, is not installed.
        UserError: Slurm has no partition.
    """
    for package in ("datatrove", "ray") if executor == "ray" else ("datatrove",):
        if find_spec(package) is None:
            raise MissingExtraError(package, "cluster", f"--executor {executor}")
    if executor == "slurm" and not settings.cluster.partition:
        raise UserError("--executor slurm needs a partition: give its name with --set cluster.partition=NAME")


def slurm_scripts(
    inputs: Sequence[Path], out: Path, settings: CurateSettings, workers: int | None = None, limit: int | None = None
) -> SlurmJobs:
    """The job scripts that `submit_to_slurm` would submit; nothing is written.

    Raises:
        MissingExtraError, UserError: as `submit_to_slurm`.
    """
    check_executor("slurm", settings)
    lectures, _ = check(inputs, Path(out), settings, limit)
    real = str(_logs(out))
    with TemporaryDirectory() as scratch:  # datatrove makes the folder of the logs while it writes a script
        scripts = [
            _script(job) for job in _slurm(lectures, Path(out), settings, _workers(workers), Path(scratch).resolve())
        ]
        return SlurmJobs([script.replace(str(Path(scratch).resolve()), real) for script in scripts], [])


def submit_to_slurm(
    inputs: Sequence[Path], out: Path, settings: CurateSettings, workers: int | None = None, limit: int | None = None
) -> SlurmJobs:
    """Submit a job array, one lecture a task, and a job that puts the run together after it; do not wait for them.

    The nodes must see the inputs, the output folder and this Python under the same paths.

    Args:
        workers (`int`, *optional*): lectures at once; as many as Slurm gives if omitted.

    Raises:
        MissingExtraError: datatrove is not installed.
        UserError: as `curate`, without a partition, and where there is no Slurm.
    """
    check_executor("slurm", settings)
    if shutil.which("sbatch") is None:
        raise UserError(
            "--executor slurm finds no sbatch here: run it on a login node of the cluster, or add --dry-run to see "
            "the job scripts"
        )
    limit_at_once = _workers(workers)
    lectures = prepare(inputs, out, settings, limit)
    array, last = _slurm(lectures, Path(out), settings, limit_at_once, _logs(out))
    last.depends = array
    scripts = [_script(array), _script(last)]
    last.run()  # launches the array first
    return SlurmJobs(scripts, [str(array.job_id), str(last.job_id)])


def _workers(workers: int | None) -> int | None:
    if workers is not None and workers < 1:
        raise UserError(f"workers = {workers}: with --executor it must be at least 1")
    return workers


def _logs(out: Path) -> Path:
    return Path(out).absolute() / _LOGS


def _local(lectures: Sequence[Lecture], out: Path, settings: CurateSettings, workers: int) -> None:
    from datatrove.executor import LocalPipelineExecutor

    from videopath_hf.curation.steps import CurateLectures

    LocalPipelineExecutor(
        [CurateLectures(lectures, out, settings)],
        tasks=len(lectures),
        workers=min(workers, len(lectures)),
        logging_dir=str(_logs(out)),
        skip_completed=False,  # a task that is done returns at once, one whose settings changed must not be skipped
    ).run()


def _ray(lectures: Sequence[Lecture], out: Path, settings: CurateSettings, workers: int) -> None:
    import ray
    from datatrove.executor.ray import RayPipelineExecutor

    from videopath_hf.curation.steps import CurateLectures

    cluster = settings.cluster
    workers = min(workers, len(lectures))
    if "RAY_ADDRESS" in os.environ:
        ray.init()
    else:
        memory = workers * cluster.cpus * cluster.memory_gb * _GB
        ray.init(address="local", num_cpus=workers * cluster.cpus, include_dashboard=False, _memory=memory)
    try:
        RayPipelineExecutor(
            [CurateLectures(lectures, out, settings)],
            tasks=len(lectures),
            workers=workers,
            logging_dir=str(_logs(out)),
            skip_completed=False,
            cpus_per_task=cluster.cpus,
            mem_per_cpu_gb=cluster.memory_gb,
        ).run()
    finally:
        ray.shutdown()


def _slurm(
    lectures: Sequence[Lecture], out: Path, settings: CurateSettings, workers: int | None, logs: Path
) -> tuple[Any, Any]:
    """The array of lectures, and the job that puts them together."""
    from datatrove.executor.slurm import SlurmPipelineExecutor

    from videopath_hf.curation.steps import CurateLectures, FinishRun

    cluster = settings.cluster
    in_venv = sys.prefix != sys.base_prefix
    common: dict[str, Any] = {
        "time": cluster.time,
        "partition": cluster.partition,
        "mem_per_cpu_gb": cluster.memory_gb,
        "qos": None,
        "env_command": cluster.env_command,
        "venv_path": f"{sys.prefix}/bin/activate" if in_venv else None,
        "sbatch_args": dict(cluster.sbatch),
        "skip_completed": False,
    }
    array = SlurmPipelineExecutor(
        [CurateLectures(lectures, out, settings)],
        tasks=len(lectures),
        workers=-1 if workers is None else workers,
        cpus_per_task=cluster.cpus,
        job_name="videopath-curate",
        logging_dir=str(logs),
        **common,
    )
    last = SlurmPipelineExecutor(
        [FinishRun(out)],
        tasks=1,
        job_name="videopath-curate-finish",
        logging_dir=str(logs / "finish"),
        run_on_dependency_fail=True,  # a lecture whose task failed is then named
        **common,
    )
    return array, last


def _script(job: Any) -> str:
    """The job script that datatrove writes for `job`."""
    size = job.tasks if job.max_array_size == -1 else min(job.tasks, job.max_array_size)
    launch = f"launch_pickled_pipeline {job.logging_dir.resolve_paths('executor.pik')}"
    script: str = job.get_launch_file_contents(job.get_sbatch_args(size), f"srun  -l -n {job.nodes_per_task} {launch}")
    return script
