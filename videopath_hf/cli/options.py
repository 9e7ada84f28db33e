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
RecipeArgument = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML recipe of one stage.")]
RecipeOverrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Values that win over the recipe's.")
]
LayoutOption = Annotated[
    str,
    typer.Option(
        autocompletion=lambda: ["videopath", "llava_onevision", "llava_next"],
        help="videopath (ours), llava_onevision (opens without our code) or llava_next (the published code's).",
    ),
]
OverrideOption = Annotated[
    list[str] | None, typer.Option("--set", "-s", help="One setting as key=value; wins over --config. Repeatable.")
]
