"""The model and the tasks of this package for lmms-eval 0.7, whose runner gives the answers of `videopath evaluate`.

It finds the model by the entry point `lmms_eval.models`, and the tasks in the folder that `--include_path` names,
`videopath_hf/evaluation/lmms/tasks`; where their records are, the variable `VIDEOPATH_DATA` says.
"""

from typing import Any


def manifest() -> Any:
    """What the entry point gives to lmms-eval: the model by its name `videopath`."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest("videopath", chat_class_path=f"{__name__}.model.VideoPath")
