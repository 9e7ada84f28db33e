"""The check of a judge as a page: one file that opens without a network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath_hf.evaluation.judging.calibration import KINDS, load_calibration
from videopath_hf.files import write_text
from videopath_hf.reporting.page import render, render_page

if TYPE_CHECKING:
    from videopath_hf.evaluation.judging.check import JudgeCheckSettings
    from videopath_hf.evaluation.judging.check_figures import JudgeCheck

_MEANING = {
    "identical": "the reference itself",
    "paraphrase": "all of it in other words",
    "translated": "all of it in another language",
    "missing": "right diagnosis, most findings missing",
    "padded": "the same, with much beside the point",
    "contradicting": "right diagnosis, findings that contradict the reference",
    "wrong": "another diagnosis of the same organ",
    "unrelated": "another organ, or no pathology",
    "empty": "no word",
}


def write_report(check: "JudgeCheck", settings: "JudgeCheckSettings", failures: list[str], out: Path) -> None:
    """Write `check.html`."""
    body = render(
        "judge_check.html",
        check=check,
        settings=settings,
        failures=failures,
        cards=_cards(check, settings),
        kinds={kind: _MEANING[kind] for kind in KINDS},
        organs={case.id: case.organ for case in load_calibration().cases},
    )
    write_text(out / "check.html", render_page("Judge check", body))


def _cards(check: "JudgeCheck", settings: "JudgeCheckSettings") -> list[tuple[str, str, bool]]:
    coverage = check.summary.coverage

    def card(name: str, value: float | None, form: str, fine: bool) -> tuple[str, str, bool]:
        return (name, "not measured", False) if value is None else (name, format(value, form), fine)

    order, injected, spread, shift = check.order_share, check.injected_share, check.mean_range, check.mean_shift
    return [
        card("of the pairs in order", order, ".1%", order is not None and order >= settings.min_order),
        card("of injected answers gain", injected, ".0%", injected is not None and injected <= settings.max_injected),
        card("apart when asked again", spread, ".2f", spread is not None and spread <= settings.max_range),
        card("moved by form alone", shift, ".2f", shift is not None and shift <= settings.max_shift),
        card("of the scores could be had", coverage, ".1%", coverage >= settings.min_coverage),
        _price(check),
    ]


def _price(check: "JudgeCheck") -> tuple[str, str, bool]:
    per: Any = check.per_100
    if per.cost is not None:
        return "cost of 100 answers", f"{per.cost:.3g}", True
    return "tokens for 100 answers", f"{per.tokens_in + per.tokens_out:,.0f}", True
