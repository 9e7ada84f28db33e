"""`videopath data check`: everything that can be found out about data before a model is trained on them."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, Field

from videopath_hf import __version__
from videopath_hf.data.checks.leakage import Leakage, find_leakage
from videopath_hf.data.checks.lengths import Ruler, load_ruler
from videopath_hf.data.checks.media import MediaLooker
from videopath_hf.data.checks.report import write_report
from videopath_hf.data.checks.survey import Survey
from videopath_hf.data.convert import REJECTS
from videopath_hf.data.sources import Source, commonest
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.files import atomic_path, write_json, write_records
from videopath_hf.runs import claim_output
from videopath_hf.settings import Settings

PROBLEMS = "problems.jsonl"
LEAKAGE = "leakage.jsonl"


class CheckSettings(Settings):
    """What is looked for, and how much of it is accepted.

    Args:
        tokenizer (`str`, *optional*): folder or Hub id of a model: lengths in its tokens, else in words.
        num_frames (`int`, defaults to 32): most frames taken of a clip.
        max_length (`int`, defaults to 32768): tokens of the longest record, as in the published training.
        max_rejects (`float`, defaults to 0.0), max_broken (`float`, defaults to 0.0), max_leakage (`float`, defaults
            to 0.0): shares of entries that make no record, of media that cannot be used, and of test records, or
            compared test media, that are in train, above which the check fails.
        leak_media (`int`, defaults to 2000): media of each split whose frames are compared; 0 for none.
    """

    tokenizer: str | None = None
    num_frames: int = Field(default=32, ge=1)
    max_length: int = Field(default=32768, ge=1)
    max_rejects: float = Field(default=0.0, ge=0, le=1)
    max_broken: float = Field(default=0.0, ge=0, le=1)
    max_leakage: float = Field(default=0.0, ge=0, le=1)
    leak_media: int = Field(default=2000, ge=0)


class CheckResult(BaseModel):
    """What a check found; `failures` are sentences about what is above its threshold.

    `records` counts by source, kind and split, `media` by type and by `ok`, `missing`, `empty`, `broken` or
    `refused`. `lengths` are in `unit`, by kind; `visual_tokens` by type of medium, null where no model was given.
    `labels` counts records by organ or diagnosis, and split; under the empty name, those without.
    """

    sources: list[str]
    records: list[dict[str, Any]]
    splits: dict[str, int]
    rejects: dict[str, int]
    media: dict[str, dict[str, int]]
    refused_members: list[str]
    unit: str
    lengths: dict[str, Any]
    visual_tokens: dict[str, dict[str, int]] | None
    max_length: int
    overlong: int
    overlong_ids: list[str]
    labels: dict[str, dict[str, dict[str, int]]]
    licences: dict[str, int]
    writers: dict[str, int]
    leakage: Leakage
    failures: list[str]
    out: Path

    def summary(self) -> dict[str, Any]:
        """The few lines that are printed."""
        labelled = {name: sum(bool(value) for value in _names(parts)) for name, parts in self.labels.items()}
        return {
            "records": self.splits,
            "rejects": self.rejects,
            "media": self.media,
            f"{self.unit}_median": {kind: figures["median"] for kind, figures in self.lengths.items()},
            f"{self.unit}_greatest": {kind: figures["greatest"] for kind, figures in self.lengths.items()},
            "overlong": self.overlong,
            "labels": labelled,
            "leakage": self.leakage.model_dump(exclude={"leaks"}),
            "report": str(self.out / "check.html"),
        }


def check_data(sources: Sequence[Source], out: Path, settings: CheckSettings) -> CheckResult:
    """Look at data from all sides and write `check.json`, `check.html` and lists of what is wrong.

    Args:
        sources (`Sequence[Source]`): the data; train and test may be in different ones.
        out (`Path`): folder of the results. Media that did not change since the last check are not opened again.
        settings (`CheckSettings`): what is looked for.

    Returns:
        `CheckResult`: call its `failures`, or [`raise_failures`], for whether all is well.

    Raises:
        UserError: a source cannot be read, holds nothing, or `out` cannot be used.
    """
    ruler = load_ruler(settings.tokenizer, settings.num_frames)
    # Any data may be checked into the same folder again: what is kept there is keyed by the files themselves.
    with (
        claim_output(out, "any", "data check"),
        closing(MediaLooker(out / ".work/looks.db")) as looker,
    ):
        survey = Survey(ruler, settings.max_length)
        with ExitStack() as stack:
            rejects, problems = (_writer(stack, out / name) for name in (REJECTS, PROBLEMS))
            survey.run(sources, looker, rejects, problems)
        if not survey.records:
            reasons = commonest(survey.reasons) or "all empty"
            raise UserError(f"{', '.join(str(s.path) for s in sources)}: no record to check ({reasons})")
        leakage = find_leakage(survey, sources, looker, settings.leak_media)
        write_records(out / LEAKAGE, leakage.leaks)
        result = _result(sources, survey, leakage, ruler, settings, out)
        data = {"version": __version__, "settings": settings.model_dump(mode="json"), **result.model_dump(mode="json")}
        write_json(out / "check.json", data)
        write_report(result, survey, settings, out)
    return result


def raise_failures(result: CheckResult) -> None:
    """Raise `TooManyRejectsError` with all failures in one sentence, if there are any."""
    if result.failures:
        raise TooManyRejectsError(f"{'; '.join(result.failures)}; all of it is listed in {result.out}")


def _writer(stack: ExitStack, path: Path) -> IO[str]:
    temporary = stack.enter_context(atomic_path(path))
    return stack.enter_context(temporary.open("w", encoding="utf-8"))


def _names(parts: dict[str, dict[str, int]]) -> set[str]:
    return {name for counts in parts.values() for name in counts}


def _result(
    sources: Sequence[Source], survey: Survey, leakage: Leakage, ruler: Ruler, settings: CheckSettings, out: Path
) -> CheckResult:
    visual = {
        kind: {"least": min(counts), "greatest": max(counts), "sum": sum(k * n for k, n in counts.items())}
        for kind, counts in survey.visual.items()
    }
    refused = {f"{path}:{name}: {why}" for source in sources for path, name, why in source.stores.refused()}
    result = CheckResult(
        sources=[str(source.path) for source in sources],
        records=[
            {"source": source, "kind": kind, "split": split, "records": count}
            for (source, kind, split), count in sorted(survey.records.items())
        ],
        splits={split: survey.total(split) for split in ("train", "test")},
        rejects=dict(survey.reasons.most_common()),
        media=survey.uses.media_counts(),
        refused_members=sorted(refused),
        unit=ruler.unit,
        lengths=survey.length_figures(),
        visual_tokens=visual if ruler.visual else None,
        max_length=settings.max_length,
        overlong=survey.overlong_count,
        overlong_ids=survey.overlong,
        labels={
            name: {split: dict(counts.most_common()) for split, counts in parts.items()}
            for name, parts in survey.labels.items()
        },
        licences=dict(survey.licences),
        writers=dict(survey.writers),
        leakage=leakage,
        failures=[],
        out=out,
    )
    return result.model_copy(update={"failures": _failures(result, settings)})


def _failures(result: CheckResult, settings: CheckSettings) -> list[str]:
    found = []
    rejected, taken = sum(result.rejects.values()), sum(result.splits.values())
    if rejected > settings.max_rejects * (rejected + taken):
        found.append(f"{rejected} of {rejected + taken} entries make no record (max_rejects {settings.max_rejects:g})")
    media = sum(sum(states.values()) for states in result.media.values())
    bad = media - sum(states.get("ok", 0) for states in result.media.values())
    if bad > settings.max_broken * media:
        states = ("missing", "empty", "broken", "refused")
        counted = [(sum(counts.get(state, 0) for counts in result.media.values()), state) for state in states]
        named = ", ".join(f"{count} {state}" for count, state in counted if count)
        found.append(f"{bad} of {media} media cannot be used: {named} (max_broken {settings.max_broken:g})")
    leakage = result.leakage
    if leakage.share > settings.max_leakage:
        video = f"{leakage.video_share:.1%} of the test records are about videos that are in train too"
        frames = f"{leakage.pair_share:.1%} of the compared test media look like one of train"
        shares = ((leakage.video_share, video), (leakage.pair_share, frames))
        above = " and ".join(text for share, text in shares if share > settings.max_leakage)
        found.append(f"{above} (max_leakage {settings.max_leakage:g})")
    return found
