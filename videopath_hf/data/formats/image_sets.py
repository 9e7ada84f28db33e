"""Question sets about images: Quilt-VQA, PathVQA and PMC-VQA, from files as they are published.

Quilt-VQA is a JSON list of `id`, `image`, `question`, `answer`, `answer_type` ("OPEN" or "CLOSED"), `yes_no_answer`
and `context`. PathVQA has `image` (a name without ending, such as test_0001), `question` and `answer`; its files are
pickles, which nothing here opens: JSON and CSV with the same fields are read. PMC-VQA is CSV with `Figure_path`,
`Question`, `Choice A` to `Choice D` and `Answer`, a text beside `Answer_label` or, in version 2, the letter itself.

What scoring needs stands in `extra`: `task` ("open", "closed" or "choice"), and `yes_no`, or `choices` and
`answer_label`.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from videopath_hf.data.formats.base import (
    IMAGE_SUFFIXES,
    EntryError,
    Format,
    Origin,
    entry_id,
    inside,
    make_record,
    medium,
    only_exchange,
    rest,
    simple_messages,
    text_of,
)
from videopath_hf.records import UNKNOWN_LICENCE, InstructionRecord, Split

_OWN = ("task", "yes_no", "choices", "answer_label", "question")
_SPLITS: dict[str, Split] = {"train": "train", "test": "test", "val": "test"}
_CHOICE = re.compile(r"Choice ([A-Z])")
_QUILT = ("id", "question_id", "image", "question", "text", "answer", "answer_type", "yes_no_answer", "conversations")
_PATHVQA = ("id", "image", "question", "answer")
_PMC = ("Figure_path", "Question", "Answer", "Answer_label", "split", "index")
_ASK_LETTER = "Answer with the letter of the right option."


def _record(
    entry: Mapping[str, Any],
    origin: Origin,
    path: str,
    question: str,
    answer: str,
    extra: dict[str, Any],
    split: Split,
) -> InstructionRecord:
    if not question.strip():
        raise EntryError("the question is empty")
    media = [medium(path, "image")]
    messages = simple_messages(media, question, answer)
    return make_record(origin, entry_id(entry, origin), media, messages, kind="image", split=split, extra=extra)


def _open_or_closed(yes_no: str | None) -> dict[str, Any]:
    return {"task": "open"} if yes_no is None else {"task": "closed", "yes_no": yes_no}


def _yes_no(text: Any) -> str | None:
    said = str(text).strip(" .").casefold()
    return said if said in ("yes", "no") else None


def _quilt_to_record(entry: Mapping[str, Any], origin: Origin) -> InstructionRecord:
    path = inside(text_of(entry, "image"))
    answer, kind = text_of(entry, "answer"), text_of(entry, "answer_type").casefold()
    if kind not in ("open", "other", "closed"):
        raise EntryError(f"answer_type is {entry['answer_type']!r}; accepted are OPEN, other and CLOSED")
    yes_no = _yes_no(entry.get("yes_no_answer")) or _yes_no(answer) if kind == "closed" else None
    if kind == "closed" and yes_no is None:
        raise EntryError(f"a closed question needs yes or no as yes_no_answer, not {entry.get('yes_no_answer')!r}")
    extra = {**rest(entry, _QUILT), **_open_or_closed(yes_no)}
    named = {"id": entry.get("id", entry.get("question_id"))}
    place = origin.pick([path, f"images/{path}"])
    return _record(named, origin, place, _quilt_question(entry), answer, extra, origin.split)


def _quilt_question(entry: Mapping[str, Any]) -> str:
    for name in ("question", "text"):
        if entry.get(name):
            return text_of(entry, name)
    turns = entry.get("conversations")
    if isinstance(turns, list) and turns and isinstance(turns[0], dict):
        return text_of(turns[0], "value").replace("<image>", "").strip()
    raise EntryError("field 'question' is missing")


def _quilt_from_record(record: InstructionRecord) -> dict[str, Any]:
    item, question, answer = only_exchange(record, "a Quilt-VQA entry")
    yes_no = record.extra.get("yes_no")
    entry = {"id": record.id, "image": item.path, "question": question, "answer": answer}
    kind = {"answer_type": "CLOSED", "yes_no_answer": yes_no} if yes_no else {"answer_type": "OPEN"}
    return {**rest(record.extra, _OWN), **entry, **kind}


def _pathvqa_to_record(entry: Mapping[str, Any], origin: Origin) -> InstructionRecord:
    name = inside(text_of(entry, "image"))
    split = _SPLITS.get(PurePosixPath(name).name.split("_")[0], origin.split)
    names = [name] if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES else [f"{name}.jpg", f"{name}.png"]
    folder = PurePosixPath(name).name.split("_")[0]
    path = origin.pick([f"{root}{file}" for root in ("", "images/", f"images/{folder}/") for file in names])
    answer = text_of(entry, "answer")
    extra = {**rest(entry, _PATHVQA), **_open_or_closed(_yes_no(answer))}
    return _record(entry, origin, path, text_of(entry, "question"), answer, extra, split)


def _pathvqa_from_record(record: InstructionRecord) -> dict[str, Any]:
    item, question, answer = only_exchange(record, "a PathVQA entry")
    own = {"id": record.id, "image": item.path, "question": question, "answer": answer}
    return {**rest(record.extra, _OWN), **own}


def _pmc_to_record(entry: Mapping[str, Any], origin: Origin) -> InstructionRecord:
    path = inside(text_of(entry, "Figure_path").strip())
    columns = {match[1]: name for name in entry if (match := _CHOICE.fullmatch(name))}
    texts = {letter: text_of(entry, name).strip() for letter, name in columns.items()}
    choices = {
        letter: text.removeprefix(f"{letter}:").strip()
        for letter, text in sorted(texts.items())
        if text.removeprefix(f"{letter}:").strip()
    }
    answer = text_of(entry, "Answer").strip()
    label = text_of(entry, "Answer_label", answer).strip()
    if len(choices) < 2 or label not in choices:
        raise EntryError(f"the right option {label!r} is not one of its options {', '.join(choices) or '(none)'}")
    if answer not in (label, choices[label]) and answer in choices.values():
        raise EntryError(f"Answer {answer!r} and Answer_label {label!r} name two options")
    question = text_of(entry, "Question").strip()
    listed = "\n".join(f"{letter}: {text}" for letter, text in choices.items())
    extra = {"task": "choice", "choices": choices, "answer_label": label, "question": question}
    known = (*_PMC, *columns.values(), "")  # the column of row numbers that pandas writes has no name
    split = _SPLITS.get(str(entry.get("split")).strip(), origin.split)
    place = origin.pick([path, f"images/{path}", f"figures/{path}", f"images_2/{path}"])
    return _record(
        {"id": entry.get("index")},
        origin,
        place,
        f"{question}\n{listed}\n{_ASK_LETTER}" if question else "",
        f"{label}: {choices[label]}",
        {**rest(entry, known), **extra},
        split,
    )


def _pmc_from_record(record: InstructionRecord) -> dict[str, Any]:
    if record.extra.get("task") != "choice":
        raise EntryError("PMC-VQA holds multiple choice, this record is none")
    item, _, _ = only_exchange(record, "a PMC-VQA row")
    label, choices = record.extra["answer_label"], record.extra["choices"]
    columns = {f"Choice {letter}": f"{letter}:{text}" for letter, text in choices.items()}
    own = {"Figure_path": item.path, "Question": record.extra["question"], "Answer": choices[label], **columns}
    return {**rest(record.extra, _OWN), **own, "Answer_label": label, "split": record.split, "index": record.id}


QUILT_VQA = Format(
    "quilt-vqa",
    "CC BY-NC-ND 3.0, and the Quilt agreement",
    (".json", ".jsonl"),
    _quilt_to_record,
    _quilt_from_record,
    lambda entry: {"image", "answer", "answer_type"} <= entry.keys(),
    split="test",
)
PATHVQA = Format(
    "pathvqa",
    "MIT",
    (".json", ".jsonl", ".csv"),
    _pathvqa_to_record,
    _pathvqa_from_record,
    lambda entry: {"image", "question", "answer"} <= entry.keys(),
    split="test",
    columns=_PATHVQA,
)
PMC_VQA = Format(
    "pmc-vqa",
    UNKNOWN_LICENCE,
    (".csv", ".json", ".jsonl"),
    _pmc_to_record,
    _pmc_from_record,
    lambda entry: {"Figure_path", "Question", "Choice A"} <= entry.keys(),
    split="test",
    columns=(
        "index", "Figure_path", "Question", "Answer", "Choice A", "Choice B", "Choice C", "Choice D", "Answer_label",
        "split",
    ),
)  # fmt: skip
