"""`videopath judge`: whether a judge can be relied on."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import ConfigOption, JsonOption, OutOption, OverrideOption
from videopath_hf.cli.output import emit

app = typer.Typer(
    name="judge",
    help="See whether a judge can be relied on.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Example: videopath judge check --set judge.model=my-judge --out checked",
)


@app.callback()
def _group() -> None:
    """See whether a judge can be relied on."""


@app.command(epilog="Example: videopath judge check --set judge.model=my-judge --out checked")
def check(
    out: OutOption,
    config: ConfigOption = None,
    overrides: OverrideOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print what would be asked and the price, at most; send nothing."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Have a judge mark answers of known quality.

    Tells whether it keeps their order, whether answers that address it gain, whether it repeats itself, and what 100
    answers cost. Writes check.html, check.json and scores.jsonl; the exit is 3 where a figure is beyond its
    threshold.
    """
    from videopath_hf.evaluation.judging.check import JudgeCheckSettings, check_judge, estimate_check, raise_failures
    from videopath_hf.settings import load_settings

    settings = load_settings(JudgeCheckSettings, config, overrides or ())
    if dry_run:
        emit(estimate_check(out, settings).model_dump(mode="json"), as_json)
        return
    found = check_judge(out, settings)
    emit({**found.figures(), **found.model_dump(mode="json")} if as_json else found.figures(), as_json)
    raise_failures(found, settings, out)


@app.command(epilog="Example: videopath judge agree scores_by_gpt scores_by_qwen")
def agree(
    scored: Annotated[
        list[Path],
        typer.Argument(metavar="SCORES...", help="Folders that `videopath score` wrote, one for each judge."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Compare judges that scored the same answers: their means, spread and agreement.

    Spread is how far two judges' scores of an answer lie apart, on the scale of 0 to 5; alpha is Krippendorff's, 1
    for agreement and 0 for chance. Means are over the answers that all judges scored.
    """
    from videopath_hf.evaluation.judging.agreement import read_agreement

    found = read_agreement(scored)
    if as_json:
        emit(found.model_dump(mode="json"), True)
    else:
        typer.echo(
            f"Answers of {found.model}, protocol {found.protocol} ({found.protocol_hash})\n\n{found.table()}", nl=False
        )
