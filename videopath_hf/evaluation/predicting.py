"""Asking a model about every record: one line an answer, nothing asked twice, what fails named with its reason."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from videopath_hf.errors import UserError
from videopath_hf.evaluation.benchmark import Benchmark
from videopath_hf.evaluation.identity import Hashes
from videopath_hf.evaluation.predictors.base import Ask, Failed, Predictor, Said
from videopath_hf.evaluation.settings import Variant
from videopath_hf.files import write_records
from videopath_hf.instructions.answers import parse_answer
from videopath_hf.llm.log import AppendLog
from videopath_hf.progress import track
from videopath_hf.records import InstructionRecord, Prediction, Record


class Failure(Record):
    """A line of `failures.jsonl`: a record that has no answer, and why."""

    id: str
    variant: Variant
    reason: str


class Answers(NamedTuple):
    """What came of asking.

    Args:
        predictions (`dict[str, Prediction]`): by id of the record.
        failures (`dict[str, str]`): why there is no answer, by id of the record.
    """

    predictions: dict[str, Prediction]
    failures: dict[str, str]


def asks_of(
    benchmark: Benchmark, questions: Mapping[str, str], blind: bool = False
) -> tuple[list[Ask], dict[str, str]]:
    """A question about each record, and why those that have none cannot be asked: their media are not there.

    Args:
        benchmark (`Benchmark`): the records.
        questions (`Mapping[str, str]`): what is asked, by id of the record.
        blind (`bool`, defaults to `False`): over black pictures.
    """
    asks: list[Ask] = []
    failures: dict[str, str] = {}
    for record in benchmark.records:
        if record.id not in questions:
            continue
        try:
            places = benchmark.media(record)
        except UserError as error:
            failures[record.id] = str(error)
            continue
        media = [(medium.type, place) for medium, place in zip(record.media, places, strict=True)]
        asks.append(Ask(record.id, questions[record.id], media, blind))
    return asks, failures


def check_media(failures: Mapping[str, str], records: int, min_coverage: float) -> None:
    """Stop before any model is loaded where so many media are missing that the evaluation must fail.

    Raises:
        UserError: it names the first of them.
    """
    if failures and (records - len(failures)) / records < min_coverage:
        shown = ", ".join(f"{why.removeprefix('medium is ')} (record {name})" for name, why in [*failures.items()][:3])
        more = f" and {len(failures) - 3} more" if len(failures) > 3 else ""
        raise UserError(
            f"the media of {len(failures)} of {records} records cannot be used: {shown}{more}; say where they are "
            "with --media, or lower min_coverage to evaluate without them"
        )


def answer_all(
    asks: Sequence[Ask],
    records: Mapping[str, InstructionRecord],
    path: Path,
    hashes: Hashes,
    predictor: Callable[[], Predictor],
    title: str,
) -> Answers:
    """Ask what was not answered before, and keep each answer as it comes.

    Args:
        asks (`Sequence[Ask]`): the questions, one a record.
        records (`Mapping[str, InstructionRecord]`): their records, by id.
        path (`Path`): file of the answers; in the end in the order of `asks`.
        hashes (`Hashes`): of the media.
        predictor (`Callable`): makes the model ready; not called where everything was answered before.
        title (`str`): what progress is called.

    Raises:
        UserError: of the predictor. Answers made until then are kept.
    """
    failures: dict[str, str] = {}
    with AppendLog(path, Prediction) as log:
        logged = {(line.id, line.asked): line for line in log.entries}
        before = {line.id for line in log.entries}
        # Only who was asked before needs a look at the media first.
        done = {ask.id: line for ask in asks if ask.id in before and (line := logged.get((ask.id, ask.key(hashes))))}
        missing = [ask for ask in asks if ask.id not in done]
        if missing:
            model = predictor()
            for ask, said in track(model.answer(missing), title, total=len(missing)):
                if isinstance(said, Failed):
                    failures[ask.id] = said.reason
                    continue
                line = _line(ask, said, records[ask.id], model, hashes)
                log.append(line)
                done[ask.id] = line
    ordered = [done[ask.id] for ask in asks if ask.id in done]
    if ordered and [line.id for line in log.entries] != [line.id for line in ordered]:
        write_records(path, ordered)
    return Answers(done, failures)


def _line(ask: Ask, said: Said, record: InstructionRecord, model: Predictor, hashes: Hashes) -> Prediction:
    parsed = parse_answer(said.text)
    return Prediction(
        id=ask.id,
        question=ask.question,
        answer=said.text,
        description=parsed.description,
        diagnosis=parsed.diagnosis,
        reference=record.answer,
        reference_diagnosis=record.diagnosis,
        media=[medium.path for medium in record.media],
        frame_times=said.frame_times,
        frames=said.frames,
        frames_zeroed=ask.blind,
        model=model.identity.name,
        revision=model.identity.details.get("commit"),
        tokens=said.tokens,
        tokens_in=said.tokens_in,
        cut=said.cut,
        seconds=said.seconds,
        asked=ask.key(hashes),
    )
