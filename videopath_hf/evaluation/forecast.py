"""What an evaluation would ask, and what that would cost at most: nothing is asked, and no model is loaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videopath_hf.evaluation.benchmark import find_data
from videopath_hf.evaluation.conclusion import JUDGE_LOG
from videopath_hf.evaluation.elsewhere import read_answers
from videopath_hf.evaluation.identity import Hashes
from videopath_hf.evaluation.judge import Judge
from videopath_hf.evaluation.predicting import asks_of, check_media
from videopath_hf.evaluation.predictors.base import Ask
from videopath_hf.evaluation.predictors.opening import identify, server_of
from videopath_hf.evaluation.results import file_of
from videopath_hf.evaluation.runner import kept_hashes
from videopath_hf.evaluation.scoring import judge_samples, looks_at_consistency, second_questions
from videopath_hf.evaluation.settings import EvaluateSettings, PredictorServer, ScoreSettings
from videopath_hf.llm.budget import estimate_tokens
from videopath_hf.llm.dry import Estimate
from videopath_hf.llm.log import read_log
from videopath_hf.records import InstructionRecord, Prediction


def forecast_evaluation(
    model: str, data: str, out: Path, settings: EvaluateSettings, media: Sequence[Path] = ()
) -> dict[str, Any]:
    """Count what `evaluate_model` with the same arguments would ask.

    Of answers that are not there yet the judge is taken to get ones as long as the references.

    Raises:
        UserError: no such model or data, or media that are missing.
    """
    source = find_data(data, settings, media)
    hashes = Hashes(kept_hashes(out))
    identity = identify(model, settings, hashes)
    benchmark = source.open(out / ".work" / "media")
    wanted = {variant: {record.id: record.question for record in benchmark.records} for variant in settings.variants}
    files = {file_of("predictions", variant): (wanted[variant], variant == "blind") for variant in wanted}
    second: dict[str, str] = {}
    if looks_at_consistency(settings.judge):
        second = second_questions(benchmark.records, settings.seed)
        files["predictions_second.jsonl"] = (second, False)
    missing: list[Ask] = []
    said: dict[str, dict[str, str]] = {}
    for file, (questions, blind) in files.items():
        asks, absent = asks_of(benchmark, questions, blind)
        check_media(absent, len(benchmark.records), settings.min_coverage)
        done = {(line.id, line.asked): line.answer for line in read_log(out / file, Prediction)}
        keys = {ask.id: (ask.id, ask.key(hashes)) for ask in asks} if done else {}
        said[file] = {name: done[key] for name, key in keys.items() if key in done}
        missing += [ask for ask in asks if ask.id not in said[file]]
    found: dict[str, Any] = {
        "model": identity.name,
        "records": len(benchmark.records),
        "questions": sum(len(questions) for questions, _ in files.values()),
        "answered_before": sum(map(len, said.values())),
    }
    if identity.kind == "server":
        estimate = _estimate(server_of(model, settings), settings.num_frames, missing)
        found["model_requests"] = estimate.model_dump(mode="json")
    answers = [said[file] for file in files if file != "predictions_second.jsonl"]
    again = said.get("predictions_second.jsonl", {})
    return {**found, **_judging(benchmark.records, answers, second, again, out, settings, to_come=True)}


def forecast_scoring(
    predictions: Path, data: str, out: Path, settings: ScoreSettings, media: Sequence[Path] = ()
) -> dict[str, Any]:
    """Count what `score_predictions` with the same arguments would ask.

    Raises:
        UserError: a file is missing or cannot be read.
    """
    benchmark = find_data(data, settings, media).open(out / ".work" / "media")
    matched = read_answers(predictions, benchmark.records, predictions.stem)
    answers = {name: prediction.answer for name, prediction in matched.answers.items()}
    found = {"records": len(benchmark.records), "answers": len(answers), "problems": len(matched.problems)}
    return {**found, **_judging(benchmark.records, [answers], {}, {}, out, settings)}


def _estimate(server: PredictorServer, num_frames: int, asks: Sequence[Ask]) -> Estimate:
    """What an address would be asked at most: as many frames as allowed, and the longest answers."""
    picture = {"type": "image_url"}
    tokens_in = 0
    for ask in asks:
        pictures = sum(num_frames if kind == "video" else 1 for kind, _ in ask.media)
        content = [*[picture] * pictures, {"type": "text", "text": ask.question}]
        tokens_in += estimate_tokens({"messages": [{"role": "user", "content": content}]}, server)
    tokens_out = len(asks) * server.max_tokens
    return Estimate(
        requests=len(asks),
        answered_before=0,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost=server.price(tokens_in, tokens_out),
    )


def _judging(
    records: Sequence[InstructionRecord],
    answers: Sequence[Mapping[str, str]],
    second: Mapping[str, str],
    again: Mapping[str, str],
    out: Path,
    settings: ScoreSettings,
    to_come: bool = False,
) -> dict[str, Any]:
    """What the judge would be asked about the answers of each variant; those to come are as long as the reference."""
    if settings.judge is None:
        return {}
    samples = []
    for number, said in enumerate(answers):
        longest = {record.id: record.answer for record in records} if to_come else {}
        given = {**longest, **said}
        others = {name: again.get(name, given[name]) for name in second} if number == 0 else {}
        samples += [
            sample._replace(id=f"{number}:{sample.id}")
            for sample in judge_samples(records, given, second if number == 0 else {}, others)
        ]
    estimate = Judge(settings.judge, out / JUDGE_LOG).estimate(samples)
    return {"judge_requests": estimate.model_dump(mode="json")}
