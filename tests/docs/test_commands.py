"""Every command that README and documentation show can be typed as it stands there."""

import re

import pytest

from tests.docs.commands import check_command, check_videopath, parse, shell_commands
from tests.docs.pages import GENERATED, ROOT, Block, all_blocks
from videopath_hf.errors import UserError

SHELL = all_blocks("bash", "sh", "shell", "console")


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for server in ("WRITER", "JUDGE", "PREDICTOR"):
        monkeypatch.setenv(f"VIDEOPATH_{server}_BASE_URL", "http://localhost:8000/v1")
        monkeypatch.setenv(f"VIDEOPATH_{server}_MODEL", "my-model")


@pytest.mark.parametrize("block", SHELL, ids=[block.name for block in SHELL])
def test_every_command_is_one_that_its_program_takes(block: Block) -> None:
    for words in shell_commands(block.text):
        check_command(words)


def test_all_shell_blocks_are_of_the_one_language_that_is_checked_and_run() -> None:
    assert {block.language for block in SHELL} == {"bash"}
    assert not [block.name for block in all_blocks("")]


@pytest.mark.parametrize(
    "line",
    [
        "videopath curat lectures --out out",
        "videopath curate lectures --outt out",
        "videopath curate lectures --out out --set clips.max_second=8",
        "videopath curate lectures --out out --executor kubernetes",
        "videopath train recipes/stage9.yaml model=x",
        "videopath train recipes/stage3_video_sft.yaml optimisation.learning_rte=1",
        "pip install 'videopath-hf[everything]'",
        "make dmo",
        "torchrun --nproc_per_node 2 -m videopath_hf trian RECIPE",
        "frobnicate",
    ],
)
def test_a_command_that_could_not_run_is_found(line: str) -> None:
    with pytest.raises((AssertionError, UserError)):
        for words in shell_commands(line):
            check_command(words)


def test_a_line_is_read_as_a_shell_reads_it() -> None:
    text = "A=1 B='2 3' videopath demo \\\n  --out 'my demo'  # a comment\nmake demo && cd x | curl y > z\n"
    text += "curl -d @- <<END\n{1: [\nEND\nmake docs\n"
    assert list(shell_commands(text)) == [
        ["videopath", "demo", "--out", "my demo"],
        ["make", "demo"],
        ["cd", "x"],
        ["curl", "y"],
        ["curl", "-d", "@-"],
        ["make", "docs"],
    ]


def sections() -> dict[str, str]:
    """The parts of the page of the command line, by command."""
    parts = re.split(r"^#+ `(videopath[\w -]*)`\n", GENERATED.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(["videopath", *parts[1::2]], [parts[0], *parts[2::2]], strict=True))


def commands() -> dict[str, list[str]]:
    """Every command and group with all of its options."""
    from typer.main import get_command

    from videopath_hf.cli.main import app

    found: dict[str, list[str]] = {}

    def walk(name: str, command: object) -> None:
        params = [param for param in command.params if param.param_type_name == "option"]  # type: ignore[attr-defined]
        found[name] = [option for param in params for option in param.opts if option.startswith("--")]
        for word, inner in getattr(command, "commands", {}).items():
            walk(f"{name} {word}", inner)

    walk("videopath", get_command(app))
    return found


def test_the_page_of_the_command_line_has_every_verb_and_no_other() -> None:
    assert set(sections()) == set(commands())


@pytest.mark.parametrize("verb", sorted(commands()))
def test_the_page_of_the_command_line_has_every_option_of_a_verb_and_no_other(verb: str) -> None:
    listed = re.findall(r"^\* `(?:-\w, )?(--[\w-]+)", sections()[verb], flags=re.MULTILINE)
    assert set(listed) == {*commands()[verb], "--help"}, "run `make docs`"


@pytest.mark.parametrize("verb", sorted(commands()))
def test_the_page_of_the_command_line_says_what_help_says(verb: str) -> None:
    import typer.main

    from videopath_hf.cli.main import app

    command = typer.main.get_command(app)
    for word in verb.split()[1:]:
        command = command.commands[word]  # type: ignore[attr-defined]
    page = " ".join(sections()[verb].split())
    texts = [
        command.help or "",
        command.epilog or "",
        *(getattr(param, "help", None) or "" for param in command.params),
    ]
    for text in texts:
        assert " ".join(text.split()) in page, "run `make docs`"


def test_there_is_a_how_to_for_every_verb() -> None:
    shown = [words for block in SHELL if block.page.parent.name == "how-to" for words in shell_commands(block.text)]
    named = {words[1] for words in shown if words[0] == "videopath"}
    assert {verb.split()[1] for verb in commands() if verb != "videopath"} - named == set()


def test_the_parser_is_the_commands_own() -> None:
    assert parse(["ask", "clip.mp4", "-m", "merged", "--frames", "8"]).params["frames"] == 8
    check_videopath(["push", "dataset", "data", "me/set", "--private"])
