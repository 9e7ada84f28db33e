"""Shell blocks read as the programs named in them read their words: the real parser, settings and recipes."""

import glob
import itertools
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from tests.docs.pages import ROOT
from videopath_hf.cli.main import app
from videopath_hf.settings import Settings, load_settings

_OPERATORS = {"&&", "||", "|", ";", "&"}
_HERE_DOCUMENT = re.compile(r"^([^\n]*<<(\w+))\n.*?^\2$", re.DOTALL | re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_ELSEWHERE = {"apt-get", "cd", "cp", "curl", "git", "hf", "jupyter", "mkdir", "source", ".", "docker", "tensorboard"}
"""Programs whose words are not ours to check."""


def shell_commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell block, without assignments before them, redirections and what they read."""
    for line in _HERE_DOCUMENT.sub(r"\1\n", text).replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*_split(line), ";"]:
            if word not in _OPERATORS:
                words.append(word)
            elif words:
                yield _bare(words)
                words = []


def _split(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    return list(lexer)


def _bare(words: list[str]) -> list[str]:
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    cut = next((place for place, word in enumerate(words) if word in ("<", "<<", ">", ">>")), len(words))
    return words[:cut]


def check_command(words: Sequence[str]) -> None:
    """Raise where a command could not run as written: an unknown program, verb, option, setting, file or extra."""
    program, rest = words[0].removeprefix(".venv/bin/"), list(words[1:])
    if program in _ELSEWHERE or program == "export":
        return
    checks: dict[str, Callable[[list[str]], None]] = {
        "videopath": check_videopath,
        "make": _check_make,
        "pip": _check_pip,
        "python": _check_python,
        "accelerate": _check_launcher,
        "torchrun": _check_launcher,
    }
    assert program in checks, f"no test knows the program {program!r}"
    checks[program](rest)


def check_videopath(words: list[str]) -> None:
    """Parse the words of a `videopath` command and fill in the settings it is given."""
    context = parse(words)
    verb = context.command_path.removeprefix("videopath").strip()
    given = context.params
    if "recipe" in given:
        _check_recipes(given)
    elif given.get("config") or given.get("overrides"):
        config = given.get("config")
        known = config if config and str(config).startswith("recipes/") else None
        if known:
            assert (ROOT / known).is_file(), f"{known} does not exist"
        load_settings(_settings(verb), ROOT / known if known else None, given.get("overrides") or ())


def parse(words: Sequence[str]) -> Any:
    """The context of the innermost command, as typer makes it; raises `AssertionError` for a mistake."""
    command: Any = get_command(app)
    try:
        context = command.make_context("videopath", list(words))
        while hasattr(command, "resolve_command"):
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            context = command.make_context(name, rest, parent=context)
    except Exception as error:  # typer brings its own click, so that its exceptions have no public name
        raise AssertionError(f"videopath {' '.join(words)}: {error}") from error
    return context


def _settings(verb: str) -> type[Settings]:
    from videopath_hf.curation.settings import CurateSettings
    from videopath_hf.data.publish_settings import PublishSettings
    from videopath_hf.evaluation.judging.check import JudgeCheckSettings
    from videopath_hf.evaluation.probes.settings import ProbeSettings
    from videopath_hf.evaluation.settings import EvaluateSettings, ScoreSettings
    from videopath_hf.instructions.settings import InstructSettings
    from videopath_hf.publishing.settings import PublishModelSettings
    from videopath_hf.serving.app.settings import AppSettings

    return {
        "curate": CurateSettings,
        "instruct": InstructSettings,
        "push dataset": PublishSettings,
        "push model": PublishModelSettings,
        "app": AppSettings,
        "evaluate": EvaluateSettings,
        "score": ScoreSettings,
        "judge check": JudgeCheckSettings,
        "probe": ProbeSettings,
    }[verb]


def _check_recipes(given: dict[str, Any]) -> None:
    from videopath_hf.training.recipe import Recipe

    words = [str(given["recipe"]), *(given.get("rest") or given.get("overrides") or ())]
    names = [word for word in words if "=" not in word and word != "all"]
    paths = [Path(path) for name in names for path in sorted(glob.glob(str(ROOT / name)))]
    assert paths or names == ["RECIPE"], f"no recipe {names}"
    for path in paths:
        load_settings(Recipe, path, [word for word in words if "=" in word])


def _check_make(words: list[str]) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert {word for word in words if "=" not in word} <= targets, words


def _check_pip(words: list[str]) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = project.split("[project.optional-dependencies]")[1].split("\n[")[0]
    known = set(re.findall(r"^([\w-]+) = \[", table, flags=re.MULTILINE))
    for word in words:
        if found := re.fullmatch(r"(?:\.|videopath-hf)\[([\w,-]+)\]", word):
            assert set(found[1].split(",")) <= known, f"{word}: no such extra"


def _check_python(words: list[str]) -> None:
    if words[:2] == ["-m", "videopath_hf"]:
        check_videopath(words[2:])
    elif words[0].endswith(".py"):
        assert (ROOT / words[0]).is_file(), f"{words[0]} does not exist"
    else:
        assert words[0] in ("-m", "-c"), words


def _check_launcher(words: list[str]) -> None:
    place = words.index("-m")
    assert words[place + 1] == "videopath_hf", words
    options = words[:place]
    for option, value in itertools.pairwise(options):
        if option == "--config_file":
            assert yaml.safe_load((ROOT / value).read_text(encoding="utf-8"))["distributed_type"] is not None
    check_videopath(words[place + 2 :])
