"""`videopath data`: instruction data of any origin, converted and checked."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from videopath_hf.cli.options import JsonOption, OutOption
from videopath_hf.cli.output import emit

app = typer.Typer(
    name="data",
    help="Convert instruction data of any origin, and check them before training.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Example: videopath data check data --out checked",
)

_SOURCE = "Records: .json, .jsonl or .csv; a .zip with such files; a dataset folder; or a .yaml mixture of them."


class SplitName(str, Enum):
    """Parts of a data set."""

    train = "train"
    test = "test"


class KindName(str, Enum):
    """What records are made for."""

    caption = "caption"
    image = "image"
    clip = "clip"
    video = "video"


MediaOption = Annotated[
    list[Path] | None,
    typer.Option("--media", help="Folder or .zip with the media; by default where the records are. Repeatable."),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Format of the records; recognised if omitted: videopath, llava, vidrip-train, vidrip-test, quilt-llava, "
        "pathasst, quilt-1m, pathcap, captions, quilt-vqa, pathvqa or pmc-vqa.",
    ),
]
SplitOption = Annotated[SplitName | None, typer.Option("--split", help="Split of all records, whatever they say.")]
KindOption = Annotated[
    KindName | None,
    typer.Option("--kind", help="Kind of all records; by what they show and say if omitted."),
]
LicenceOption = Annotated[str | None, typer.Option("--licence", help="Licence of all records.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of random:N in a mixture.")]
MaxRejectsOption = Annotated[
    float,
    typer.Option("--max-rejects", min=0, max=1, help="Share of entries that may be left out; above it the exit is 3."),
]


@app.command(epilog="Example: videopath data convert ViDRiP_test.zip --out vidrip --split test")
def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help=_SOURCE)],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Dataset folder, media included; or a .json, .jsonl or .csv file.")
    ],
    to: Annotated[str | None, typer.Option("--to", help="Format to write; a folder is always videopath's.")] = None,
    form: FromOption = None,
    media: MediaOption = None,
    split: SplitOption = None,
    kind: KindOption = None,
    licence: LicenceOption = None,
    seed: SeedOption = 0,
    max_rejects: MaxRejectsOption = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Write records in another format.

    Entries that make no record are counted and written to rejects.jsonl. Into a folder media are linked, or copied
    out of zip files one by one; a run that was interrupted goes on.
    """
    from videopath_hf.data.convert import convert as write
    from videopath_hf.data.convert import output_format
    from videopath_hf.data.reading import ReadOptions
    from videopath_hf.data.sources import open_source

    target = output_format(to, out)
    options = ReadOptions(form, _value(split), _value(kind), licence)
    opened = open_source(source, options, media or (), seed)
    summary = write(opened, out, target)
    emit(summary.model_dump(mode="json"), as_json)
    summary.check(max_rejects)


@app.command(epilog="Example: videopath data check data --tokenizer merged --out checked")
def check(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE", help=_SOURCE)],
    out: OutOption,
    form: FromOption = None,
    media: MediaOption = None,
    split: SplitOption = None,
    kind: KindOption = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="Folder or Hub id of a model: lengths in tokens, images and clips included, else in words."),
    ] = None,
    num_frames: Annotated[int, typer.Option("--num-frames", min=1, help="Most frames taken of a clip.")] = 32,
    max_length: Annotated[int, typer.Option("--max-length", min=1, help="Tokens of the longest record.")] = 32768,
    leak_media: Annotated[
        int, typer.Option("--leak-media", min=0, help="Media of each split whose frames are compared; 0 for none.")
    ] = 2000,
    seed: SeedOption = 0,
    max_rejects: MaxRejectsOption = 0.0,
    max_broken: Annotated[
        float, typer.Option("--max-broken", min=0, max=1, help="Share of media that may be missing or broken.")
    ] = 0.0,
    max_leakage: Annotated[
        float, typer.Option("--max-leakage", min=0, max=1, help="Share of the test data that may be in train too.")
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Look at data before training: every medium is opened.

    Writes check.html, check.json, problems.jsonl (media), leakage.jsonl and rejects.jsonl. The exit is 3 where
    something is above its threshold. Media that did not change are not opened again by the next check.
    """
    from videopath_hf.data.checks.run import CheckSettings, check_data, raise_failures
    from videopath_hf.data.reading import ReadOptions
    from videopath_hf.data.sources import open_source

    options = ReadOptions(form, _value(split), _value(kind))
    opened = [open_source(source, options, media or (), seed) for source in sources]
    settings = CheckSettings(
        tokenizer=tokenizer,
        num_frames=num_frames,
        max_length=max_length,
        leak_media=leak_media,
        max_rejects=max_rejects,
        max_broken=max_broken,
        max_leakage=max_leakage,
    )
    result = check_data(opened, out, settings)
    emit(result.model_dump(mode="json") if as_json else result.summary(), as_json)
    raise_failures(result)


def _value(choice: Enum | None) -> Any:
    return choice.value if choice else None
