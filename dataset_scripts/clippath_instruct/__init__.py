"""Builder of ClipPath-Instruct datasets."""

from dataset_scripts.clippath_instruct.clippath_instruct import ClipPathInstruct

__all__ = ["ClipPathInstruct"]
