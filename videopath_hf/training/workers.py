"""Processes that read and decode ahead of the one that trains."""

from typing import Any

from videopath_hf.video.backends import set_most_readers


def worker_options(workers: int) -> dict[str, Any]:
    """Arguments of a [`~torch.utils.data.DataLoader`] with so many worker processes.

    They are started anew, since one forked from a process that has decoded a video may hang. Each decodes in one
    thread: their number shares out the cores.
    """
    if workers == 0:
        return {"num_workers": 0}
    return {"num_workers": workers, "multiprocessing_context": "spawn", "worker_init_fn": _start}


def _start(worker: int) -> None:
    set_most_readers(1)
