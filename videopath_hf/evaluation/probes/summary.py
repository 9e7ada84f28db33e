"""What the probes found: how much of the answers is left when the clips are changed."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from videopath_hf.evaluation.metrics.diagnosis import diagnosis_match
from videopath_hf.evaluation.metrics.overlap import rouge_l
from videopath_hf.evaluation.metrics.summary import aggregate, majority_accuracy
from videopath_hf.evaluation.metrics.synonyms import Synonyms
from videopath_hf.evaluation.probes.settings import Kind, Probe
from videopath_hf.instructions.answers import parse_answer
from videopath_hf.records import InstructionRecord, Record

PLAIN = Probe("plain")


class ProbeAnswer(Record):
    """What a model said about one record shown in one way.

    `frames` is how many were shown, `needle` the record whose tissue the needle is from, `seconds` the time of this
    answer; decoding is paid for by a clip's first.
    """

    id: str
    probe: Kind
    amount: float | None
    answer: str
    frames: int
    needle: str | None = None
    seconds: float

    @property
    def key(self) -> tuple[str, Probe]:
        """The record and the probe."""
        return self.id, Probe(self.probe, self.amount)


class Point(BaseModel):
    """Figures of one probe.

    Args:
        probe (`str`), amount (`float`, *optional*): which.
        n (`int`): answers that were asked for; `scored` of them could be had.
        frames (`float`, *optional*): mean number of frames shown.
        diagnosis_synonym (`float`, *optional*): share of right diagnoses, synonyms counted.
        similarity (`float`, *optional*): mean ROUGE-L F of the answer with the one to the unchanged clip.
        changed (`float`, *optional*): share of answers that are not word for word the one to the unchanged clip.
        needle_named (`float`, *optional*): share of answers that give the needle's diagnosis in place of the clip's.
    """

    probe: Kind
    amount: float | None
    n: int
    scored: int
    frames: float | None
    diagnosis_synonym: float | None
    similarity: float | None
    changed: float | None
    needle_named: float | None


class ProbeResult(BaseModel):
    """What `probes.json` holds.

    Args:
        model (`str`): as it was named.
        records (`int`): how many were asked about.
        points (`list[Point]`): one a probe.
        majority_accuracy (`float`, *optional*): share of right diagnoses of the best constant answer.
        coverage (`float`): share of all answers that could be had.
        failures (`dict[str, str]`): records without an answer and why, the first of each.
        notes (`list[str]`): what a reader must know.
        seed (`int`): of every choice.
        seconds (`float`): of the model's work.
    """

    model: str
    records: int
    points: list[Point]
    majority_accuracy: float | None
    coverage: float
    failures: dict[str, str]
    notes: list[str]
    seed: int
    seconds: float

    def point(self, probe: Probe) -> Point | None:
        """The figures of a probe, if it was run."""
        return next((point for point in self.points if (point.probe, point.amount) == probe), None)


def summarise(
    probe: Probe,
    records: Sequence[InstructionRecord],
    answers: Mapping[tuple[str, Probe], ProbeAnswer],
    synonyms: Synonyms,
) -> Point:
    """The figures of one probe over all records."""
    pairs = [(record, answers.get((record.id, probe)), answers.get((record.id, PLAIN))) for record in records]
    given = [(record, said, plain) for record, said, plain in pairs if said is not None]
    compared = [(said.answer, plain.answer) for _, said, plain in given if plain is not None]
    diagnoses = [
        diagnosis_match(record.id, said.answer if said else None, record.diagnosis, synonyms)
        for record, said, _ in pairs
    ]
    return Point(
        probe=probe.kind,
        amount=probe.amount,
        n=len(records),
        scored=len(given),
        frames=_mean([said.frames for _, said, _ in given]),
        diagnosis_synonym=aggregate(diagnoses).value,
        similarity=_mean([rouge_l("", said, plain).value or 0.0 for said, plain in compared]),
        changed=_mean([float(said.split() != plain.split()) for said, plain in compared]),
        needle_named=_named([said for _, said, _ in given], records, synonyms) if probe.kind == "needle" else None,
    )


def _named(said: Sequence[ProbeAnswer], records: Sequence[InstructionRecord], synonyms: Synonyms) -> float | None:
    diagnoses = {record.id: record.diagnosis for record in records}
    hits = []
    for answer in said:
        own, other = diagnoses[answer.id], diagnoses.get(answer.needle or "")
        named = parse_answer(answer.answer).diagnosis
        if own is None or other is None or synonyms.key(own) == synonyms.key(other):
            continue
        hits.append(float(named is not None and synonyms.key(named) == synonyms.key(other)))
    return _mean(hits)


def notes_on(result: Sequence[Point], records: Sequence[InstructionRecord]) -> list[str]:
    """What stands out: a model that does not look, frames that do not matter, few records."""
    found = {Probe(point.probe, point.amount): point for point in result}
    plain = found[PLAIN]
    notes = []
    for probe, words in (
        (Probe("black", 1.0), "with black frames"),
        (Probe("no_frames"), "without any frames"),
        (Probe("shuffled", 1.0), "with all frames shuffled"),
        (Probe("reversed"), "with the clip reversed"),
    ):
        point = found.get(probe)
        if point is not None and point.changed == 0:
            notes.append(f"{words} every answer is word for word the same")
    if short := [point for point in result if point.probe == "frames" and (point.frames or 0) < (point.amount or 0)]:
        counts = ", ".join(f"{point.amount:g}" for point in short)
        notes.append(f"of {counts} frames fewer were shown where a clip has no more")
    blind = found.get(Probe("black", 1.0))
    if blind and plain.diagnosis_synonym is not None and blind.diagnosis_synonym is not None:
        majority = majority_accuracy([record.diagnosis for record in records])
        if plain.diagnosis_synonym <= max(blind.diagnosis_synonym, majority or 0):
            notes.append(
                f"{plain.diagnosis_synonym:.0%} of the diagnoses are right with frames, {blind.diagnosis_synonym:.0%} "
                f"with black ones and {majority or 0:.0%} by always naming the commonest: nothing shows that it sees"
            )
    if len(records) < 20:
        notes.append(f"{len(records)} questions only: one more right answer moves the shares a lot")
    return notes


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
