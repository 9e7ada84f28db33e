"""`videopath doctor`: what this machine has, each part tried, and the command that adds what is missing."""

import typer

from videopath_hf.cli.options import JsonOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath doctor --json"


def doctor(as_json: JsonOption = False) -> None:
    """Say what works here and what is missing.

    Every backend is tried, not only looked up; exit code 1 where something is broken.
    """
    from videopath_hf.serving.doctor import examine

    checks = examine()
    if as_json:
        emit({"checks": [check.model_dump() for check in checks]}, True)
    else:
        for check in checks:
            mark = {"ok": "ok     ", "missing": "missing", "failed": "FAILED "}[check.state]
            typer.echo(f"{mark}  {check.name}: {check.detail}" + (f"  ->  {check.fix}" if check.fix else ""))
    if any(check.state == "failed" for check in checks):
        raise typer.Exit(1)
