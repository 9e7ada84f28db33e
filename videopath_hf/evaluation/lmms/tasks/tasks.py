"""What the YAML files beside it name: lmms-eval imports functions from files in their folder only."""

from videopath_hf.evaluation.lmms.task import RecordsTask

__all__ = ["RecordsTask"]
