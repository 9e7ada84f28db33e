"""What `videopath data` and training read: a file of records, a zip file, a dataset folder, or a mixture of files."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from videopath_hf.data.formats.base import EntryError, inside
from videopath_hf.data.formats.mixture import MixtureEntry, Strategy, parse_strategy, read_mixture
from videopath_hf.data.messages import with_paths
from videopath_hf.data.reading import ANYTHING, ReadOptions, RecordFile, record_files
from videopath_hf.data.stores import MediaStores
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.files import content_hash
from videopath_hf.records import InstructionRecord, RecordReject


@dataclass
class Part:
    """One file of a source and how much of it is taken.

    Args:
        file (`RecordFile`): the file.
        label (`str`): its short name, which parts the ids of several files.
        strategy (`Strategy`): what is taken.
        media_root (`str`): where its media lie below the root.
        taken (`int`), rejected (`int`): counted while it is read.
    """

    file: RecordFile
    label: str
    strategy: Strategy
    media_root: str
    taken: int = 0
    rejected: int = 0

    def read(self, seed: str) -> Iterator[InstructionRecord | RecordReject]:
        """Records and rejects of what is taken."""
        self.taken = self.rejected = 0
        for item in self.file.read(self._chosen(seed)):
            if isinstance(item, InstructionRecord):
                self.taken += 1
                yield self._placed(item) if self.media_root else item
            else:
                self.rejected += 1
                yield item

    def _chosen(self, seed: str) -> Iterator[int] | None:
        if self.strategy.how == "all":
            return None
        length = self.file.count() if self.strategy.needs_length() else self.strategy.number
        return self.strategy.choose(length, seed)

    def _placed(self, record: InstructionRecord) -> InstructionRecord:
        return with_paths(record, lambda medium: posixpath.join(self.media_root, medium.path))


@dataclass
class Source:
    """All that is read of one place.

    Args:
        path (`Path`): the place.
        parts (`list[Part]`): its files.
        stores (`MediaStores`): where media are.
        seed (`int`): of `random` in a mixture.
    """

    path: Path
    parts: list[Part]
    stores: MediaStores
    seed: int = 0

    def read(self) -> Iterator[InstructionRecord | RecordReject]:
        """Records, their ids unique, and rejects."""
        for number, part in enumerate(self.parts):
            for item in part.read(f"{self.seed}:{number}"):
                if isinstance(item, InstructionRecord) and len(self.parts) > 1:
                    item = item.model_copy(update={"id": f"{part.label}:{item.id}"})
                yield item

    def key(self) -> str:
        """Hash of all that decides what is read; media in folders are not part of it."""
        parts = [[part.file.key(), str(part.strategy), part.media_root, part.label] for part in self.parts]
        return content_hash(parts, self.stores.listing_hash(), self.seed)


def open_source(path: Path, options: ReadOptions = ANYTHING, media: Sequence[Path] = (), seed: int = 0) -> Source:
    """What a path holds; see [`record_files`]. A `.yaml` or `.yml` file is a mixture.

    Raises:
        UserError: nothing readable is there, or a mixture names what is not there.
    """
    if path.suffix.lower() not in (".yaml", ".yml") or path.is_dir():
        files = record_files(path, options, media)
        return Source(path, _labelled([(file, Strategy(), "") for file in files]), files[0].stores, seed)
    stores = MediaStores(media or [path.parent])
    found = []
    for number, entry in enumerate(read_mixture(path).datasets):
        place = path.parent / entry.json_path
        root = _media_root(path, number, entry)
        below = [item / root for item in stores.places if (item / root).is_dir()]
        zips = [item for item in stores.places if not item.is_dir()]
        files = record_files(place, _options(entry, options), below + zips or stores.places)
        found += [(file, parse_strategy(entry.sampling_strategy), root) for file in files]
    return Source(path, _labelled(found), stores, seed)


def _options(entry: MixtureEntry, options: ReadOptions) -> ReadOptions:
    return ReadOptions(
        options.form or entry.format,
        options.split or entry.split,
        options.kind or entry.kind,
        options.licence or entry.licence,
    )


def _media_root(path: Path, number: int, entry: MixtureEntry) -> str:
    try:
        return inside(entry.media_root) if entry.media_root not in ("", ".") else ""
    except EntryError as error:
        raise UserError(f"{path}: datasets.{number}.media_root: {error}") from None


def _labelled(found: Sequence[tuple[RecordFile, Strategy, str]]) -> list[Part]:
    names = Counter(file.source for file, _, _ in found)
    count: Counter[str] = Counter()
    parts = []
    for file, strategy, root in found:
        count[file.source] += 1
        label = file.source if names[file.source] == 1 else f"{file.source}.{count[file.source]}"
        parts.append(Part(file, label, strategy, root))
    return parts


def reason_kind(reason: str) -> str:
    """A reason for a reject without what is special to one record: numbers and quoted names."""
    return re.sub(r"\d+", "N", re.sub(r"'[^']*'", "'...'", reason.split(":")[0]))


def commonest(reasons: Counter[str]) -> str:
    """The three commonest reasons with their counts, in words."""
    return "; ".join(f"{count}: {reason}" for reason, count in reasons.most_common(3))


def check_rejects(rejected: int, total: int, limit: float, reasons: Counter[str], where: str) -> None:
    """Raise `TooManyRejectsError` where more than the share `limit` of all entries was rejected, or all of them."""
    if not rejected or (rejected <= limit * total and rejected < total):
        return
    raise TooManyRejectsError(
        f"{rejected} of {total} entries make no record, {limit:.1%} of them may ({commonest(reasons)}); {where}"
    )
