"""Tables of the training benchmarks, printed by rich in the form that benchmarks/README.md takes."""

from collections.abc import Sequence


def print_rows(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One table on stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, box=box.MARKDOWN)
    for row in rows:
        table.add_row(*row)
    console = Console(width=400, highlight=False)
    console.print(f"\n{title}\n", markup=False)
    console.print(table)
