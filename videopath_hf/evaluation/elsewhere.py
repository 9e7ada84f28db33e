"""Answers that were made elsewhere: read from a file and matched with the records they answer."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from videopath_hf.data.formats.entries import Entry, read_entries
from videopath_hf.errors import UserError
from videopath_hf.files import content_hash
from videopath_hf.instructions.answers import parse_answer
from videopath_hf.records import InstructionRecord, Prediction, Record

ID_FIELDS = ("id", "question_id", "video_name")
ANSWER_FIELDS = ("pred", "prediction", "answer")
"""Looked at in this order: in files that hold `pred`, `answer` is the reference."""


SECOND_FIELDS = ("second_question", "second_prediction")
"""For a judge that looks at consistency."""

Kind = Literal["missing", "unmatched", "duplicate", "unreadable"]


class Problem(Record):
    """Something about a file of answers: `kind` is `missing` (a record without an answer), `unmatched` (an entry that
    no record asked for), `duplicate` (a record with several entries) or `unreadable` (an entry that is no answer)."""

    kind: Kind
    id: str | None
    where: str | None
    reason: str


class Matched(NamedTuple):
    """Answers of a file, by id of the record they belong to, and what is wrong with the others.

    Args:
        answers (`dict[str, Prediction]`): of records with exactly one entry.
        second (`dict[str, tuple[str, str]]`): a question in other words and its answer, where entries hold them.
        failures (`dict[str, str]`): why other records have none.
        problems (`list[Problem]`): one for each entry and each record that is not matched.
        entries (`int`): how many the file has.
        unused (`int`): how many of them belong to no record, or cannot be read.
    """

    answers: dict[str, Prediction]
    second: dict[str, tuple[str, str]]
    failures: dict[str, str]
    problems: list[Problem]
    entries: int
    unused: int


class _Given(NamedTuple):
    where: str
    answer: str
    values: dict[str, Any]


def read_answers(path: Path, records: Sequence[InstructionRecord], model: str) -> Matched:
    """Read a file of answers and match them with records.

    An entry has `id`, `question_id` or `video_name` (without folder and ending, if the record's video is named so) and
    `pred`, `prediction` or `answer`, the first of them that is there. A record with several entries has no answer:
    nobody knows which is meant.

    Args:
        path (`Path`): a `.json` list, `.jsonl` or `.csv` file.
        records (`Sequence[InstructionRecord]`): what was asked.
        model (`str`): what the model that answered is called.

    Raises:
        UserError: the file is not there, cannot be read, or holds no entry that names a record and an answer.
    """
    by_name = _names(records)
    given: dict[str, list[_Given]] = defaultdict(list)
    problems: list[Problem] = []
    entries = 0
    for entry in _entries(path):
        entries += 1
        names, answer, fault = _read(entry)
        matches = _matches(names, by_name)
        if fault is None and answer is not None and len(matches) == 1:
            given[matches[0]].append(_Given(entry.where, answer, entry.value))
            continue
        if fault is not None:
            kind: Kind = "unreadable"
        else:
            kind = "unmatched"
            fault = f"{len(matches)} records show this video: give their ids" if matches else "no record has this id"
        shown = matches[0] if len(matches) == 1 else next(iter(names), None)
        problems.append(Problem(kind=kind, id=shown, where=entry.where, reason=fault))
    if not given:
        first = f": {problems[0].where}: {problems[0].reason}" if problems else ""
        raise UserError(
            f"{path} answers none of the {len(records)} records{first}; an entry needs one of {', '.join(ID_FIELDS)} "
            f"and one of {', '.join(ANSWER_FIELDS)}"
        )
    return _sorted_out(records, given, problems, entries, model)


def _sorted_out(
    records: Sequence[InstructionRecord],
    given: dict[str, list[_Given]],
    problems: list[Problem],
    entries: int,
    model: str,
) -> Matched:
    unused = len(problems)
    answers: dict[str, Prediction] = {}
    second: dict[str, tuple[str, str]] = {}
    failures: dict[str, str] = {}
    unreadable = {problem.id: problem for problem in problems if problem.kind == "unreadable" and problem.id}
    for record in records:
        found = given.get(record.id, [])
        if len(found) == 1:
            answers[record.id] = _prediction(record, found[0], model)
            words = [found[0].values.get(name) for name in SECOND_FIELDS]
            if all(isinstance(word, str) for word in words):
                second[record.id] = (str(words[0]), str(words[1]))
            continue
        if found:
            places = ", ".join(one.where for one in found[:3]) + (" and more" if len(found) > 3 else "")
            reason = f"the file answers it {len(found)} times ({places})"
            problems.append(Problem(kind="duplicate", id=record.id, where=places, reason=reason))
        elif record.id in unreadable:
            reason = f"its entry ({unreadable[record.id].where}) cannot be read: {unreadable[record.id].reason}"
        else:
            reason = "the file has no answer to it"
            problems.append(Problem(kind="missing", id=record.id, where=None, reason=reason))
        failures[record.id] = reason
    return Matched(answers, second, failures, problems, entries, unused)


def _prediction(record: InstructionRecord, given: _Given, model: str) -> Prediction:
    """An answer as a line of `predictions.jsonl`; of one that is such a line already all is kept."""
    if "asked" in given.values:
        try:
            return Prediction.model_validate(given.values).model_copy(update={"id": record.id, "model": model})
        except ValidationError:
            pass  # of another kind, with a field of that name
    parsed = parse_answer(given.answer)
    return Prediction(
        id=record.id,
        question=record.question,
        answer=given.answer,
        description=parsed.description,
        diagnosis=parsed.diagnosis,
        reference=record.answer,
        reference_diagnosis=record.diagnosis,
        media=[medium.path for medium in record.media],
        model=model,
        tokens=None,
        seconds={},
        asked=content_hash(record.question),
    )


def _entries(path: Path) -> Iterator[Entry]:
    try:
        with path.open("rb") as stream:
            yield from read_entries(stream, str(path))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path} is not a file of answers: it does not exist or is a folder") from None


def _read(entry: Entry) -> tuple[list[str], str | None, str | None]:
    """The names an entry goes by, what it answers, and what is wrong with it."""
    if entry.fault:
        return [], None, entry.fault
    if not isinstance(entry.value, dict):
        return [], None, f"it is {type(entry.value).__name__}, not an object with fields"
    values = entry.value
    named = [values[name] for name in ID_FIELDS if values.get(name) not in (None, "")]
    names = [str(name) for name in named if isinstance(name, (str, int)) and not isinstance(name, bool)]
    field = next((name for name in ANSWER_FIELDS if name in values), None)
    if not names or field is None:
        return names, None, f"it has none of {', '.join(ANSWER_FIELDS if names else ID_FIELDS)}"
    answer = values[field]
    if isinstance(answer, bool) or not isinstance(answer, (str, int, float)):
        seen = "null" if answer is None else type(answer).__name__
        return names, None, f"its {field} is {seen}, not text"
    return names, str(answer), None


def _matches(names: Sequence[str], by_name: Mapping[str, list[str]]) -> list[str]:
    """Ids of the records that the first name known to any of them stands for."""
    every = [found for name in names for found in (by_name.get(name), by_name.get(PurePosixPath(name).stem)) if found]
    return next((found for found in every if len(found) == 1), every[0] if every else [])


def _names(records: Sequence[InstructionRecord]) -> dict[str, list[str]]:
    """Records by each name they go by; an id beats the name of a video."""
    names: dict[str, list[str]] = defaultdict(list)
    for record in records:
        shown = {record.clip_id, *(PurePosixPath(medium.path).stem for medium in record.media)}
        for name in shown:
            names[name].append(record.id)
    for record in records:
        names[record.id] = [record.id]
    return names
