"""One pass over all records: counts, labels, lengths, and which media and source videos each split uses."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple, get_args

from videopath_hf.data.batches import batches
from videopath_hf.data.checks.lengths import Ruler
from videopath_hf.data.checks.media import Look, MediaLooker
from videopath_hf.data.scratch import scratch_database
from videopath_hf.data.sources import Source, reason_kind
from videopath_hf.data.stores import MediaStores
from videopath_hf.instructions.answers import normalise_diagnosis
from videopath_hf.progress import track
from videopath_hf.records import InstructionKind, InstructionRecord, Media, Record, RecordReject

_BATCH = 128
_SPLITS = {"train": 1, "test": 2}
_OVERLONG_KEPT = 1000


class MediaProblem(Record):
    """A medium that cannot be used, and the first record that needs it."""

    path: str
    type: str
    fault: str
    reason: str
    record: str


class Use(NamedTuple):
    """A medium and the number of the source that uses it."""

    number: int
    medium: Media


class Uses:
    """Which media and source videos are used in which splits; memory does not grow with their number."""

    def __init__(self) -> None:
        self._base = scratch_database(
            "media (source INT, type TEXT, path TEXT, splits INT, fault TEXT, length INT, "
            "PRIMARY KEY (source, type, path)) WITHOUT ROWID",
            "videos (name TEXT PRIMARY KEY, train INT NOT NULL, test INT NOT NULL) WITHOUT ROWID",
        )

    def known(self, number: int, medium: Media) -> tuple[str | None, int] | None:
        """Fault and length of a medium that was looked at."""
        row: tuple[str | None, int] | None = self._base.execute(
            "SELECT fault, length FROM media WHERE source = ? AND type = ? AND path = ?",
            (number, medium.type, medium.path),
        ).fetchone()
        return row

    def add_medium(self, number: int, medium: Media, look: Look, length: int) -> None:
        """Note a medium that was looked at."""
        self._base.execute(
            "INSERT OR IGNORE INTO media VALUES (?, ?, ?, 0, ?, ?)",
            (number, medium.type, medium.path, look.fault, length),
        )

    def add_record(self, number: int, record: InstructionRecord) -> None:
        """Note what a record uses."""
        for medium in record.media:
            self._base.execute(
                "UPDATE media SET splits = splits | ? WHERE source = ? AND type = ? AND path = ?",
                (_SPLITS[record.split], number, medium.type, medium.path),
            )
        train, test = int(record.split == "train"), int(record.split == "test")
        self._base.execute(
            "INSERT INTO videos VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET train = train + ?, test = test + ?",
            (record.video_id, train, test, train, test),
        )

    def media_counts(self) -> dict[str, dict[str, int]]:
        """Media by type, then `ok` or fault."""
        counts: dict[str, dict[str, int]] = {}
        query = "SELECT type, coalesce(fault, 'ok'), count(*) FROM media GROUP BY 1, 2 ORDER BY 1, 2"
        for kind, state, count in self._base.execute(query):
            counts.setdefault(kind, {})[state] = count
        return counts

    def sound_media(self, split: str) -> Iterator[Use]:
        """Sound media that a split uses."""
        query = "SELECT source, type, path FROM media WHERE fault IS NULL AND splits & ?"
        for number, kind, path in self._base.execute(query, (_SPLITS[split],)):
            yield Use(number, Media(type=kind, path=path))

    def shared_media(self) -> list[str]:
        """Paths of media that both splits use."""
        return [row[0] for row in self._base.execute("SELECT path FROM media WHERE splits = 3 ORDER BY path")]

    def shared_videos(self) -> list[tuple[str, int, int]]:
        """Source videos of records of both splits, with their numbers of records in train and in test."""
        return list(self._base.execute("SELECT * FROM videos WHERE train AND test ORDER BY name"))


class Survey:
    """What a pass over the records found.

    Args:
        ruler (`Ruler`): measures the records.
        max_length (`int`): longest record, where media are measured too.
    """

    def __init__(self, ruler: Ruler, max_length: int) -> None:
        self.ruler, self.max_length = ruler, max_length
        self.records: Counter[tuple[str, str, str]] = Counter()
        self.licences: Counter[str] = Counter()
        self.writers: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.labels: dict[str, dict[str, Counter[str]]] = {
            name: {split: Counter() for split in _SPLITS} for name in ("organ", "diagnosis")
        }
        self.lengths: dict[str, array[int]] = defaultdict(lambda: array("I"))
        self.visual: dict[str, Counter[int]] = defaultdict(Counter)
        self.overlong: list[str] = []
        self.overlong_count = 0
        self.uses = Uses()

    def run(self, sources: Sequence[Source], looker: MediaLooker, rejects: IO[str], problems: IO[str]) -> None:
        """Read all sources; rejects and media that cannot be used are written out, a line each."""
        for number, source in enumerate(sources):
            for batch in batches(track(source.read(), f"Checking {source.path.name}"), _BATCH):
                records = []
                for item in batch:
                    if isinstance(item, RecordReject):
                        self.reasons[reason_kind(item.reason)] += 1
                        rejects.write(item.model_dump_json() + "\n")
                    else:
                        records.append(item)
                self._look(number, source.stores, records, looker, problems)
                for record in records:
                    self._count(number, record)

    def _look(
        self,
        number: int,
        stores: MediaStores,
        records: Sequence[InstructionRecord],
        looker: MediaLooker,
        problems: IO[str],
    ) -> None:
        first: dict[Media, str] = {}
        for record in records:
            for medium in record.media:
                first.setdefault(medium, record.id)
        new = [medium for medium in first if self.uses.known(number, medium) is None]
        for medium, look in zip(new, looker.look([(stores, medium) for medium in new]), strict=True):
            length = 0 if look.fault else self.ruler.medium(medium.type, look)
            self.uses.add_medium(number, medium, look, length)
            if look.fault:
                problem = MediaProblem(
                    path=medium.path, type=medium.type, fault=look.fault, reason=look.reason, record=first[medium]
                )
                problems.write(problem.model_dump_json() + "\n")
            elif self.ruler.visual:
                self.visual[medium.type][length] += 1

    def _count(self, number: int, record: InstructionRecord) -> None:
        self.uses.add_record(number, record)
        self.records[record.source, record.kind, record.split] += 1
        self.licences[record.licence] += 1
        self.writers[record.writer] += 1
        # A file may name an organ in any way; it is counted as it is compared.
        for name, value in (("organ", record.organ), ("diagnosis", record.diagnosis)):
            self.labels[name][record.split][normalise_diagnosis(value) if value else ""] += 1
        known = [self.uses.known(number, medium) for medium in record.media]
        if any(state is not None and state[0] for state in known):
            return  # what a broken medium becomes cannot be told
        length = self.ruler.text(record) + sum(state[1] for state in known if state is not None)
        self.lengths[record.kind].append(length)
        if self.ruler.visual and length > self.max_length:
            self.overlong_count += 1
            if len(self.overlong) < _OVERLONG_KEPT:
                self.overlong.append(record.id)

    def total(self, split: str | None = None) -> int:
        """Records of a split, or all."""
        return sum(count for (_, _, part), count in self.records.items() if split in (None, part))

    def length_figures(self) -> dict[str, Any]:
        """Least, median, 95th percentile and greatest length of the records of each kind, and their sum."""
        figures = {}
        for kind in (name for name in get_args(InstructionKind) if name in self.lengths):
            ordered = sorted(self.lengths[kind])
            last = len(ordered) - 1
            figures[kind] = {
                "records": len(ordered),
                "least": ordered[0],
                "median": ordered[last // 2],
                "p95": ordered[round(0.95 * last)],
                "greatest": ordered[last],
                "sum": sum(ordered),
            }
        return figures
