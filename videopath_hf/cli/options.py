"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

OutOption = Annotated[
    Path, typer.Option("--out", "-o", help="Folder for the output; created, and continued if it holds the same run.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML file of settings; unknown keys are errors.")
]
OverrideOption = Annotated[
    list[str] | None, typer.Option("--set", "-s", help="One setting as key=value; wins over --config. Repeatable.")
]
