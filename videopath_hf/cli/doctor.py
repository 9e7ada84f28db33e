"""`videopath doctor`: what this machine has, each part tried, and the command that adds what is missing."""

import typer

from videopath_hf.cli.options import JsonOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath doctor --json"


def doctor(as_json: JsonOption = False) -> None:
    """Say what works here, what is missing and what that would cost.

    Every part is tried, not only looked up; exit code 1 where something is broken. The Hub token is never shown.
    """
    from videopath_hf.serving.doctor import examine

    checks = examine()
    if as_json:
        emit({"checks": [check.model_dump() for check in checks]}, True)
    else:
        from videopath_hf.serving.doctor_text import print_checks

        print_checks(checks)
    if any(check.state == "failed" for check in checks):
        raise typer.Exit(1)
