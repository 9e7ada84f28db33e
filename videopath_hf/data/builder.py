"""What the `datasets` builders over instruction data share."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import datasets

from videopath_hf.data.sources import Source, open_source
from videopath_hf.data.stores import Found
from videopath_hf.data.table import COLUMNS, row
from videopath_hf.errors import UserError
from videopath_hf.files import content_hash
from videopath_hf.progress import note
from videopath_hf.records import InstructionRecord, RecordReject, Split


class InstructBuilder(datasets.GeneratorBasedBuilder):
    """Yields the records of some kinds, each with its `video` and the columns of published rows.

    Args:
        data_dir (`str` or `Path`): what `videopath data convert` reads: a dataset folder of `videopath instruct`, a
            file of records such as the authors release, a zip file with one, or a mixture. Clips in folders stay where
            they are; those in zip files are read one by one into the builder's cache.
        media (`Sequence`, *optional*): folders and zip files with the clips, where they are not beside the records.

    Raises:
        UserError: nothing readable is there; when it is prepared, also for an entry that makes no record and a clip
            that is missing or empty.
    """

    VERSION = datasets.Version("1.0.0")
    KINDS: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, *args: Any, data_dir: str | Path | None = None, media: Sequence[str | Path] = (), **kwargs: Any
    ) -> None:
        if data_dir is None:
            raise UserError(f"{type(self).__name__} needs data_dir=, e.g. a folder made by `videopath instruct`")
        self.source: Source = open_source(Path(data_dir), media=[Path(place) for place in media])
        kwargs.setdefault("hash", content_hash(self.source.key(), self.KINDS))
        super().__init__(*args, data_dir=str(Path(data_dir).resolve()), **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=type(self).__doc__ or "", features=datasets.Features({"video": datasets.Video(), **COLUMNS})
        )

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        counts: Counter[Split] = Counter()
        others = 0
        for record in self._records():
            if record.kind not in self.KINDS:
                others += 1
                continue
            self._found(record)  # before anything is written
            counts[record.split] += 1
        if not counts:
            raise UserError(f"{self.source.path} holds no {' or '.join(self.KINDS)} records")
        if others:
            note(f"{others} records of other kinds than {' and '.join(self.KINDS)} are left out")
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"split": split})
            for split in get_args(Split)
            if counts[split]
        ]

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for record in self._records():
            if record.kind in self.KINDS and record.split == split:
                yield record.id, {"video": self._clip(record), **row(record)}

    def _records(self) -> Iterator[InstructionRecord]:
        for item in self.source.read():
            if isinstance(item, RecordReject):
                where = f"{item.file}: {item.where} makes no record: {item.reason}"
                raise UserError(f"{where}; `videopath data convert` writes the others to a folder")
            yield item

    def _found(self, record: InstructionRecord) -> Found:
        if [medium.type for medium in record.media] != ["video"]:
            raise UserError(f"{self.source.path}: record {record.id} shows {len(record.media)} media, not one video")
        found = self.source.stores.find(record.media[0].path)
        if found is None or found.size == 0:
            state = "missing" if found is None else "empty"
            raise UserError(f"{self.source.path}: clip {record.media[0].path} of record {record.id} is {state}")
        return found

    def _clip(self, record: InstructionRecord) -> str | dict[str, Any]:
        found = self._found(record)
        if found.member is None:
            return str(Path(found.place).resolve())
        archive, name = found.member
        with archive.open(name) as stream:
            return {"path": record.media[0].path, "bytes": stream.read()}
