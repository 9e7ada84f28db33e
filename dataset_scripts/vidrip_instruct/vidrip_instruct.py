"""ViDRiP-Instruct: clips, a diagnostic question each, and answers that end with a diagnosis (arXiv 2505.04192)."""

from videopath_hf.data.builder import InstructBuilder


class ViDRiPInstruct(InstructBuilder):
    """Pathology clips with diagnostic questions; the answer is a description, then `Diagnosis: <diagnosis>`.

    ```python
    builder = ViDRiPInstruct(data_dir="data")
    builder.download_and_prepare()
    test = builder.as_dataset(split="test")
    ```

    The authors' release as it was downloaded:

    ```python
    builder = ViDRiPInstruct(data_dir="train.json", media=["Train_Videos_1.zip", "Train_Videos_2.zip"])
    ```
    """

    KINDS = ("video",)
