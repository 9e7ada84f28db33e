"""ClipPath-Instruct: clips and descriptions of what they show (arXiv 2505.04192)."""

from videopath_hf.data.builder import InstructBuilder


class ClipPathInstruct(InstructBuilder):
    """Pathology clips with requests for a description; the diagnosis follows where it is known.

    ```python
    builder = ClipPathInstruct(data_dir="data")
    builder.download_and_prepare()
    train = builder.as_dataset(split="train")
    ```
    """

    KINDS = ("clip",)
