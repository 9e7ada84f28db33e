"""What a dataset holds, counted record by record in memory that hardly grows: what its card states."""

from collections import Counter
from typing import get_args

from videopath_hf.data.scratch import Seen
from videopath_hf.records import InstructionRecord, Split


class Census:
    """Counts over records, each added once.

    `records` counts by kind and split; `clips`, `seconds` and `videos` count clips, their seconds and source videos
    by split; `diagnoses` and `organs` count clips by name and split, `licences`, `sources` (with their licence) and
    `writers` records. `examples` holds the first record of each kind.
    """

    def __init__(self) -> None:
        self.records: Counter[tuple[str, Split]] = Counter()
        self.clips: Counter[Split] = Counter()
        self.seconds: Counter[Split] = Counter()
        self.videos: Counter[Split] = Counter()
        self.diagnoses: Counter[tuple[str, Split]] = Counter()
        self.organs: Counter[tuple[str, Split]] = Counter()
        self.licences: Counter[str] = Counter()
        self.sources: Counter[tuple[str, str]] = Counter()
        self.writers: Counter[tuple[str, str]] = Counter()
        self.examples: dict[str, InstructionRecord] = {}
        self._seen = Seen()

    def add(self, record: InstructionRecord) -> None:
        """Count one record."""
        split = record.split
        self.records[record.kind, split] += 1
        self.licences[record.licence] += 1
        self.sources[record.source, record.licence] += 1
        self.examples.setdefault(record.kind, record)
        self.writers[record.writer, record.prompt_hash] += 1
        if self._first("video", record.video_id, split):
            self.videos[split] += 1
        if self._first("clip", record.clip_id, split):
            self.clips[split] += 1
            if record.start is not None and record.end is not None:
                self.seconds[split] += record.end - record.start  # type: ignore[assignment]  # counters take floats
        for what, name, counts in (("d", record.diagnosis, self.diagnoses), ("o", record.organ, self.organs)):
            if name and self._first(what, record.clip_id, split):
                counts[name, split] += 1

    def named(self, counts: Counter[tuple[str, Split]]) -> list[tuple[str, int, int]]:
        """Clips in train and in test for every name of `diagnoses` or `organs`, and for those without one."""
        rows = [(name, counts[name, "train"], counts[name, "test"]) for name in sorted({name for name, _ in counts})]
        rest = [
            self.clips[split] - sum(n for (_, of), n in counts.items() if of == split) for split in get_args(Split)
        ]
        return [*rows, ("(none named)", rest[0], rest[1])] if any(rest) else rows

    def _first(self, *names: str) -> bool:
        return self._seen.add("\0".join(names))
