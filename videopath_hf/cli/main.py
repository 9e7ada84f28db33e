"""The `videopath` command: one verb a module; only what a verb needs is imported when it runs."""

import os
import sys

import typer

from videopath_hf import RESEARCH_NOTICE, __version__
from videopath_hf.cli import app as app_command
from videopath_hf.cli import (
    ask,
    compare,
    convert,
    curate,
    data,
    demo,
    doctor,
    evaluate,
    instruct,
    judge,
    labels,
    leaderboard,
    merge,
    plan,
    probe,
    push,
    score,
    segments,
    serve,
    train,
)
from videopath_hf.errors import DISK_TROUBLES, UserError

app = typer.Typer(
    name="videopath",
    help=f"Pathology lectures in; clips, instruction data, a trained model and its answers out. {RESEARCH_NOTICE}",
    epilog="Example: videopath demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="demo", epilog=demo.EXAMPLE)(demo.demo)
app.command(name="curate", epilog=curate.EXAMPLE)(curate.curate)
app.add_typer(segments.app)
app.command(name="instruct", epilog=instruct.EXAMPLE)(instruct.instruct)
app.add_typer(data.app)
app.add_typer(push.app)
app.command(name="labels", epilog=labels.EXAMPLE)(labels.labels)
app.command(name="plan", epilog=plan.EXAMPLE)(plan.plan)
app.command(name="train", epilog=train.EXAMPLE)(train.train)
app.command(name="merge", epilog=merge.EXAMPLE)(merge.merge)
app.command(name="evaluate", epilog=evaluate.EXAMPLE)(evaluate.evaluate)
app.command(name="probe", epilog=probe.EXAMPLE)(probe.probe)
app.command(name="score", epilog=score.EXAMPLE)(score.score)
app.command(name="compare", epilog=compare.EXAMPLE)(compare.compare)
app.command(name="leaderboard", epilog=leaderboard.EXAMPLE)(leaderboard.leaderboard)
app.add_typer(judge.app)
app.command(name="convert", epilog=convert.EXAMPLE)(convert.convert)
app.command(name="ask", epilog=ask.EXAMPLE)(ask.ask)
app.command(name="app", epilog=app_command.EXAMPLE)(app_command.app)
app.command(name="serve", epilog=serve.EXAMPLE)(serve.serve)
app.command(name="doctor", epilog=doctor.EXAMPLE)(doctor.doctor)


_INTERRUPTED = 130
"""What Typer ends with after Ctrl-C, and says nothing."""


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", help="Print the version and stop.", is_eager=True, callback=_print_version
    ),
) -> None:
    pass


def main() -> None:
    """Run the command; a user's mistake ends in one sentence on stderr and a non-zero exit code, never a traceback."""
    # The libraries' own bars and notices would bury ours; whoever sets these keeps their choice.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except UserError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in DISK_TROUBLES:
            raise
        _fail(f"cannot write {error.filename or 'output'}: {error.strerror}", 2)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != _INTERRUPTED:
            raise
        _fail("interrupted; run the same command again to go on", _INTERRUPTED)


def _fail(message: str, code: int) -> None:
    print(f"videopath: error: {message}", file=sys.stderr)
    sys.exit(code)
