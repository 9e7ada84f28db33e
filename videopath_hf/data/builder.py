"""What the `datasets` builders over a dataset folder share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, get_args

import datasets

from videopath_hf.data.folder import INSTRUCTIONS, read_instructions
from videopath_hf.data.media import media_paths
from videopath_hf.data.table import COLUMNS, row
from videopath_hf.errors import UserError
from videopath_hf.files import file_sha256
from videopath_hf.records import Split


class InstructBuilder(datasets.GeneratorBasedBuilder):
    """Yields the records of some kinds, each with its `video` and the columns of the folder's metadata.

    Args:
        data_dir (`str`): a dataset folder made by `videopath instruct`.

    Raises:
        UserError: `data_dir` is not given or not such a folder.
    """

    VERSION = datasets.Version("1.0.0")
    KINDS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, data_dir: str | Path | None = None, **kwargs: Any) -> None:
        if data_dir is None:
            raise UserError(f"{type(self).__name__} needs data_dir=, a dataset folder made by `videopath instruct`")
        records = Path(data_dir) / INSTRUCTIONS
        if not records.is_file():
            raise UserError(f"data_dir {data_dir} has no {INSTRUCTIONS}; make one with `videopath instruct`")
        # The cache is keyed by what the folder holds, not by where it lies.
        kwargs.setdefault("hash", file_sha256(records)[:16])
        super().__init__(*args, data_dir=str(Path(data_dir).resolve()), **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=type(self).__doc__ or "", features=datasets.Features({"video": datasets.Video(), **COLUMNS})
        )

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        root = Path(self.config.data_dir)
        parts = {split: read_instructions(root, self.KINDS, split) for split in get_args(Split)}
        if not any(parts.values()):
            raise UserError(f"{root} holds no {' or '.join(self.KINDS)} records")
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"root": str(root), "split": split})
            for split, records in parts.items()
            if records
        ]

    def _generate_examples(self, root: str, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for record in read_instructions(root, self.KINDS, split):
            (video,) = media_paths(root, record)
            yield record.id, {"video": str(video), **row(record)}
