"""Builder of ViDRiP-Instruct datasets."""

from dataset_scripts.vidrip_instruct.vidrip_instruct import ViDRiPInstruct

__all__ = ["ViDRiPInstruct"]
