"""ViDRiP-Instruct: clips, a diagnostic question each, and answers that end with a diagnosis (arXiv 2505.04192)."""

from videopath_hf.data.builder import InstructBuilder


class ViDRiPInstruct(InstructBuilder):
    """Pathology clips with diagnostic questions; the answer is a description, then `Diagnosis: <diagnosis>`.

    ```python
    builder = ViDRiPInstruct(data_dir="data")
    builder.download_and_prepare()
    test = builder.as_dataset(split="test")
    ```
    """

    KINDS = ("video",)
