"""A model's answers to the same questions about clips that are shown in many ways; resumable."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from videopath_hf import __version__
from videopath_hf.data.folder import INSTRUCTIONS, read_instructions
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.evaluation.identity import Hashes, checkpoint_key
from videopath_hf.evaluation.metrics.summary import majority_accuracy
from videopath_hf.evaluation.metrics.synonyms import load_synonyms
from videopath_hf.evaluation.probes.asking import Asker
from videopath_hf.evaluation.probes.settings import Probe, ProbeSettings
from videopath_hf.evaluation.probes.summary import ProbeAnswer, ProbeResult, notes_on, summarise
from videopath_hf.files import content_hash, file_sha256, read_json, write_json
from videopath_hf.progress import note
from videopath_hf.records import InstructionRecord
from videopath_hf.runs import claim_output

RESULTS, PAGE, ANSWERS = "probes.json", "probes.html", "answers.jsonl"


def probe_model(model: str | Path, data: Path, out: Path, settings: ProbeSettings) -> ProbeResult:
    """Ask a model about every record as it is and under every probe.

    Writes `answers.jsonl` (a `ProbeAnswer` a line, as they are made), `probes.json` and `probes.html`.

    Args:
        model (`str` or `Path`): checkpoint folder or Hub id.
        data (`Path`): dataset folder.
        out (`Path`): folder of the results; answers that are there already are not made again.
        settings (`ProbeSettings`): which probes, and how.

    Raises:
        UserError: no such model or data, or no record that fits.
        TooManyRejectsError: fewer answers than `min_coverage`; all files are written.
    """
    records = read_questions(data, settings)
    key = content_hash(
        checkpoint_key(str(model), None, Hashes())[0],
        file_sha256(data / INSTRUCTIONS),
        settings.model_dump(mode="json", exclude={"min_coverage", "synonyms"}),
        load_synonyms(settings.synonyms).identity(),
        __version__,
    )
    with claim_output(out, key, "probe"):
        path = out / RESULTS
        result = ProbeResult.model_validate(read_json(path)) if path.exists() else None
        if result is None or result.coverage < 1:
            from videopath_hf.evaluation.probes.report import write_report

            asker = Asker(model, data, records, settings)
            answers = asker.ask_all(out / ANSWERS)
            result = _conclude(str(model), records, answers, asker, settings)
            write_report(out / PAGE, result, asker, answers)
            write_json(path, result.model_dump(mode="json"))
    for text in result.notes:
        note(text)
    if result.coverage < settings.min_coverage:
        raise TooManyRejectsError(
            f"only {result.coverage:.1%} of the answers could be had (min_coverage is {settings.min_coverage:.1%}); "
            f"{out / RESULTS} names the records and reasons; run again to try the rest"
        )
    return result


def read_questions(data: Path, settings: ProbeSettings) -> list[InstructionRecord]:
    """The records to ask about: those that show a video, at most `limit` of them, in the order of the data.

    Raises:
        UserError: there are none, or the data cannot be read.
    """
    found = read_instructions(data, settings.kinds, settings.split)
    found = [record for record in found if any(item.type == "video" for item in record.media)]
    if not found:
        raise UserError(
            f"{data} holds no {settings.split} records of kind {', '.join(settings.kinds)} with a video; set kinds "
            "and split, or write it with a test_fraction above 0"
        )
    if settings.limit is not None and settings.limit < len(found):
        kept = set(random.Random(settings.seed).sample(range(len(found)), settings.limit))
        found = [record for number, record in enumerate(found) if number in kept]
    return found


def _conclude(
    model: str,
    records: Sequence[InstructionRecord],
    answers: Mapping[tuple[str, Probe], ProbeAnswer],
    asker: Asker,
    settings: ProbeSettings,
) -> ProbeResult:
    synonyms = load_synonyms(settings.synonyms)
    runs = [(probe, asked) for probe in settings.probes() if (asked := asker.asked(probe))]
    points = [summarise(probe, asked, answers, synonyms) for probe, asked in runs]
    notes = [f"no answer to {name}: {reason}" for name, reason in asker.failures.items()]
    if without := [record.id for record in records if asker.donors[record.id] is None] if settings.needle else []:
        notes.append(f"{len(without)} of {len(records)} records have no needle: no other shows another tissue")
    return ProbeResult(
        model=model,
        records=len(records),
        points=points,
        majority_accuracy=majority_accuracy([record.diagnosis for record in records]),
        coverage=len(answers) / sum(len(asked) for _, asked in runs),
        failures=asker.failures,
        notes=[*notes, *notes_on(points, records)],
        seed=settings.seed,
        seconds=round(sum(answer.seconds for answer in answers.values()), 3),
    )
