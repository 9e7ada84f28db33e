"""Options that several verbs share."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Dtype(str, Enum):
    """Precision of the model."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Quantization(str, Enum):
    """Size of the language model's weights."""

    four = "4bit"
    eight = "8bit"

    @property
    def bits(self) -> int:
        """As a number."""
        return int(self.value[0])


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
DeviceOption = Annotated[
    str, typer.Option(help="Where the model runs: cpu, cuda, cuda:N, or auto for a GPU if there is one.")
]
DtypeOption = Annotated[Dtype, typer.Option(help="Its precision; auto is float32 on the CPU and bfloat16 on a GPU.")]
QuantizationOption = Annotated[
    Quantization | None, typer.Option(help="Fewer bits for the language model's weights (needs bitsandbytes).")
]
RevisionOption = Annotated[
    str | None, typer.Option(help="Branch, tag or commit of a Hub model; answers of `ask` tell the commit.")
]
DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        "-d",
        help="Dataset folder; a file of records or .zip, such as the authors' released test file; or OWNER/NAME of "
        "what `videopath push dataset` published.",
    ),
]
PlacesOption = Annotated[
    list[Path] | None,
    typer.Option("--media", help="Folder or .zip with the media; by default where the records are. Repeatable."),
]
MinCoverageOption = Annotated[
    float | None,
    typer.Option(
        "--min-coverage", min=0, max=1, help="Least share that must be answered and scored, 1 by default; else exit 3."
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Count what would be asked, and its price where prices are set; ask nothing.")
]
