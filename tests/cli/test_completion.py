"""Words are completed in real shells, from the script that the command itself prints."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VIDEOPATH = Path(sys.executable).with_name("videopath")
TYPED = {
    "videopath se": {"segments", "serve"},
    "videopath push mo": {"model"},
    "videopath serve --en": {"--engine"},
    "videopath serve --engine v": {"vllm"},
    "videopath merge adapter --layout llava_o": {"llava_onevision"},
    "videopath push model merged my-lab/m --layout b": {"both"},
}

BASH = """
source ./script
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_videopath_completion videopath
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home of its own, and the command on PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "videopath").symlink_to(VIDEOPATH)
    return {**os.environ, "HOME": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}


def shell(name: str, code: str, environment: dict[str, str], folder: Path) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    plain = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
    # A command after it keeps the shell from becoming the one before, which looks for the shell that it runs in.
    command = [name, *plain, "-c", f"{code}\nexit 0"]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def completed(name: str, typed: str, environment: dict[str, str], folder: Path) -> set[str]:
    """What a shell offers after `typed`."""
    if name == "bash":
        printed = shell(name, BASH.format(words=typed), environment, folder)
    elif name == "fish":
        printed = shell(name, f"source ./script; complete -C '{typed}'", environment, folder)
    else:
        given = {"_VIDEOPATH_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": typed}
        printed = shell(name, "videopath", {**environment, **given}, folder)
        return set(re.findall(r'(?:^|\(\()"([\w-]+)"', printed, re.MULTILINE))
    return {line.split("\t")[0] for line in printed.splitlines() if line}


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_each_shell_completes_verbs_options_and_their_values(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    script = shell(name, "videopath --show-completion", environment, tmp_path)
    assert f"complete_{name}" in script
    (tmp_path / "script").write_text(script)
    for typed, expected in TYPED.items():
        assert completed(name, typed, environment, tmp_path) == expected, typed


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("bash", [".bashrc", ".bash_completions/videopath.sh"]),
        ("zsh", [".zshrc", ".zfunc/_videopath"]),
        ("fish", [".config/fish/completions/videopath.fish"]),
    ],
)
def test_it_is_installed_where_the_shell_looks_for_it(
    name: str, files: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    said = shell(name, "videopath --install-completion", environment, tmp_path)
    assert f"{name} completion installed in" in said
    for file in files:
        assert (tmp_path / file).is_file(), file
