"""`doctor`'s findings for people: what works, what is broken, and what each missing extra would bring and cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from videopath_hf.serving.doctor import Check

if TYPE_CHECKING:
    from rich.console import Console

_TITLES = {
    "system": "This machine",
    "core": "Core",
    "decoders": "Decoders of video",
    "optional": "Optional",
    "places": "Folders and the Hub",
}
_MARKS = {"ok": ("ok", "green"), "missing": ("missing", "yellow"), "failed": ("FAILED", "bold red")}


def print_checks(checks: Sequence[Check]) -> None:
    """Print checks in groups on stdout, as wide as the terminal is."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for group, title in _TITLES.items():
        rows = [
            check for check in checks if check.group == group and (group != "optional" or check.state != "missing")
        ]
        if not rows:
            continue
        table = Table.grid(padding=(0, 2))
        for width in (7, None, None):
            table.add_column(min_width=width, overflow="fold")
        for check in rows:
            mark, style = _MARKS[check.state]
            table.add_row(f"[{style}]{mark}[/]", check.name, _said(check))
        console.print(f"[bold]{title}[/]")
        console.print(table)
        console.print()
    _print_missing(checks, console)
    broken = [check.name for check in checks if check.state == "failed"]
    console.print(f"[bold red]broken: {', '.join(broken)}[/]" if broken else "[green]nothing is broken[/]")


def _said(check: Check) -> str:
    from rich.markup import escape

    said = escape(check.detail)
    if check.purpose and (check.state != "ok" or check.group == "places"):
        said += f"; for {escape(check.purpose)}"
    return f"{said}\n[cyan]{escape(check.fix)}[/]" if check.fix else said


def _print_missing(checks: Sequence[Check], console: "Console") -> None:
    """What is not installed, by the extra that brings it."""
    from rich.markup import escape
    from rich.table import Table

    missing: dict[str, list[Check]] = {}
    for check in checks:
        if check.group == "optional" and check.state == "missing":
            missing.setdefault(str(check.fix), []).append(check)
    if not missing:
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for fix, found in missing.items():
        purposes = ", ".join(dict.fromkeys(check.purpose or check.name for check in found))
        table.add_row(f"{found[0].megabytes} MB", f"{escape(purposes)}\n[cyan]{escape(fix)}[/]")
    console.print("[bold]Not installed, and needed only for this[/] (download, about)")
    console.print(table)
    console.print()
