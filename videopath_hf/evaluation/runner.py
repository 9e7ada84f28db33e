"""Evaluations: a model's answers on held-out records, or answers made elsewhere, scored, summed up and reported."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path

from videopath_hf import __version__
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.evaluation.benchmark import Benchmark, DataSource, find_data
from videopath_hf.evaluation.conclusion import Answered, conclude, write_some
from videopath_hf.evaluation.elsewhere import Problem, read_answers
from videopath_hf.evaluation.identity import Hashes, ModelIdentity
from videopath_hf.evaluation.predicting import Answers, answer_all, asks_of, check_media
from videopath_hf.evaluation.predictors.base import Predictor
from videopath_hf.evaluation.predictors.opening import identify, open_predictor, server_of
from videopath_hf.evaluation.results import RESULTS, EvaluationResult, file_of, read_results
from videopath_hf.evaluation.scoring import looks_at_consistency, second_questions
from videopath_hf.evaluation.settings import EvaluateSettings, ScoreSettings, Variant
from videopath_hf.evaluation.summary import hash_of_media, judge_info, spent_on
from videopath_hf.files import content_hash, file_sha256, write_json, write_records
from videopath_hf.progress import note
from videopath_hf.runs import claim_output

__all__ = ["EvaluateSettings", "ScoreSettings", "evaluate_model", "score_predictions"]

_REPLIES = "replies.jsonl"


def evaluate_model(
    model: str | Path,
    data: str | Path,
    out: str | Path,
    settings: EvaluateSettings,
    media: Sequence[Path] = (),
    name: str | None = None,
) -> EvaluationResult:
    """Ask a model about held-out records and score its answers.

    Writes into `out`, see `docs/files.md`: `predictions.jsonl` (an answer a line, as they are made), `scores.jsonl`,
    `results.json`, `report.html` and `row.md`; `*_blind.jsonl` of the blind variant; `judge.jsonl` and `replies.jsonl`
    with what servers said. Answers and replies that are there already are not asked for again.

    Args:
        model (`str` or `Path`): checkpoint folder or Hub id, of this package's family or any image-text-to-text model
            of transformers; or an OpenAI-compatible address.
        data (`str` or `Path`): what `find_data` takes.
        out (`str` or `Path`): folder of the results.
        settings (`EvaluateSettings`): how.
        media (`Sequence[Path]`): folders and zip files with the media; by default where the records are.
        name (`str`, *optional*): what the model is called; as given if omitted.

    Raises:
        UserError: no such model or data, no record of the split and kinds, media that are missing, or a server that
            can never answer.
        TooManyRejectsError: fewer records answered and scored than `min_coverage`; all files are written.
    """
    source = find_data(data, settings, media)
    out = Path(out)
    hashes = Hashes(kept_hashes(out))
    identity = identify(str(model), settings, hashes)
    key = _key(identity, name, source, settings)
    identity = identity.model_copy(update={"name": name or identity.name})

    def answer(benchmark: Benchmark) -> Answered:
        return _ask_model(str(model), benchmark, out, settings, identity, hashes)

    with claim_output(out, key, "evaluate"):
        result = _finish(source, out, settings, identity, hashes, answer)
    return _checked(result, out, settings)


def score_predictions(
    predictions: str | Path,
    data: str | Path,
    out: str | Path,
    settings: ScoreSettings,
    name: str | None = None,
    media: Sequence[Path] = (),
) -> EvaluationResult:
    """Score answers that were made elsewhere.

    Writes what `evaluate_model` does, and `problems.jsonl`: records without an answer, entries that belong to none.

    Args:
        predictions (`str` or `Path`): file of the answers, see `read_answers`.
        data (`str` or `Path`): what `find_data` takes; its media need not be there.
        out (`str` or `Path`): folder of the results.
        settings (`ScoreSettings`): how.
        name (`str`, *optional*): what the model is called; the file's name if omitted.
        media (`Sequence[Path]`): folders and zip files with the media, for the report's pictures.

    Raises:
        UserError: a file is missing or cannot be read, no record is answered, or the judge can never answer.
        TooManyRejectsError: fewer records answered and scored, or entries used, than `min_coverage`; all files are
            written.
    """
    source = find_data(data, settings, media)
    path = Path(predictions)
    if not path.is_file():
        raise UserError(f"{path} is not a file of answers: it does not exist or is a folder")
    identity = ModelIdentity(name=name or path.stem, kind="file", key=file_sha256(path), details={"file": str(path)})
    out = Path(out)
    key = _key(identity, name, source, settings)

    def answer(benchmark: Benchmark) -> Answered:
        return _match_file(path, benchmark, out, settings, identity)

    with claim_output(out, key, "score"):
        result = _finish(source, out, settings, identity, None, answer)
    return _checked(result, out, settings)


def _key(identity: ModelIdentity, name: str | None, source: DataSource, settings: ScoreSettings) -> str:
    """What a folder is claimed for; where a model or a file lies, and how that is written, does not matter."""
    details = {field: value for field, value in identity.details.items() if field != "file"}
    asked = (source.key, settings.identity(), judge_info(settings))
    return content_hash(identity.kind, identity.key, details, name, *asked, __version__)


def kept_hashes(out: Path) -> Path:
    """File of the hashes of media and weights."""
    return out / ".work" / "hashes.jsonl"


def _finish(
    source: DataSource,
    out: Path,
    settings: ScoreSettings,
    identity: ModelIdentity,
    hashes: Hashes | None,
    answer: Callable[[Benchmark], Answered],
) -> EvaluationResult:
    """The result of a folder that is held: the one that is there, where nothing is missing in it, or a new one.

    Without `hashes` nobody knows which media the answers are about.
    """
    benchmark = source.open(out / ".work" / "media")
    with hashes.kept_in(kept_hashes(out)) if hashes else nullcontext():
        if (out / RESULTS).exists():
            result, _ = read_results(out)
            if result.coverage == 1 and (not hashes or result.data.media_hash == hash_of_media(benchmark, hashes)):
                return result
        answered = answer(benchmark)
        media_hash = hash_of_media(benchmark, hashes) if hashes else None
    result = conclude(benchmark, out, settings, identity, answered, media_hash)
    write_json(out / RESULTS, result.model_dump(mode="json"))
    return result


def _ask_model(
    model: str,
    benchmark: Benchmark,
    out: Path,
    settings: EvaluateSettings,
    identity: ModelIdentity,
    hashes: Hashes,
) -> Answered:
    records = {record.id: record for record in benchmark.records}
    questions = {name: record.question for name, record in records.items()}

    @cache
    def predictor() -> Predictor:
        return open_predictor(model, settings, identity, out / _REPLIES)

    def ask(questions: dict[str, str], file: str, title: str, blind: bool = False) -> Answers:
        asks, missing = asks_of(benchmark, questions, blind)
        check_media(missing, len(records), settings.min_coverage)
        answers = answer_all(asks, records, out / file, hashes, predictor, title)
        return Answers(answers.predictions, {**missing, **answers.failures})

    variants: dict[Variant, Answers] = {}
    for variant in settings.variants:
        title = "answers" if variant == "full" else f"answers ({variant})"
        variants[variant] = ask(questions, file_of("predictions", variant), title, variant == "blind")
    second = second_questions(benchmark.records, settings.seed) if looks_at_consistency(settings.judge) else {}
    again = ask(second, "predictions_second.jsonl", "answers to second questions").predictions if second else {}
    spent = {"model": spent_on(server_of(model, settings), out / _REPLIES)} if identity.kind == "server" else {}
    said = {name: prediction.answer for name, prediction in again.items()}
    return Answered(variants, second, said, 1.0, spent, [])


def _match_file(
    path: Path, benchmark: Benchmark, out: Path, settings: ScoreSettings, identity: ModelIdentity
) -> Answered:
    matched = read_answers(path, benchmark.records, identity.name)
    write_records(out / "predictions.jsonl", matched.answers.values())
    write_some(out / "problems.jsonl", matched.problems)
    consistent = looks_at_consistency(settings.judge)
    return Answered(
        {"full": Answers(matched.answers, matched.failures)},
        {name: question for name, (question, _) in matched.second.items()} if consistent else {},
        {name: said for name, (_, said) in matched.second.items()},
        1 - matched.unused / matched.entries,
        {},
        _problem_notes(matched.problems),
    )


def _problem_notes(problems: Sequence[Problem], most: int = 3) -> list[str]:
    words = {
        "missing": "records have no answer in the file",
        "unmatched": "entries of the file belong to no record",
        "duplicate": "records are answered several times and have no answer therefore",
        "unreadable": "entries of the file cannot be read",
    }
    notes = []
    for kind, what in words.items():
        found = [problem for problem in problems if problem.kind == kind]
        if found:
            names = ", ".join(str(problem.id or problem.where) for problem in found[:most])
            more = f" and {len(found) - most} more" if len(found) > most else ""
            notes.append(f"{len(found)} {what}: {names}{more}; see problems.jsonl")
    return notes


def _checked(result: EvaluationResult, out: Path, settings: ScoreSettings) -> EvaluationResult:
    for text in result.notes:
        note(text)
    if result.coverage < settings.min_coverage:
        raise TooManyRejectsError(
            f"only {result.coverage:.1%} of the scores could be had (min_coverage is {settings.min_coverage:.1%}); "
            f"{out} holds what there is, with the reason for each null in scores*.jsonl; run again to try the rest"
        )
    return result
