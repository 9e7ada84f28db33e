"""Settings come from YAML and overrides; a mistake is one sentence that names the key."""

from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.settings import Settings, load_settings


class Inner(Settings):
    max_seconds: float = 16.0


class Outer(Settings):
    clips: Inner = Inner()
    workers: int = 1


def test_a_file_then_overrides_then_values_win(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("clips:\n  max_seconds: 4\nworkers: 2\n")
    assert load_settings(Outer, path) == Outer(clips=Inner(max_seconds=4), workers=2)
    assert load_settings(Outer, path, ["clips.max_seconds=8"]).clips.max_seconds == 8
    assert load_settings(Outer, path, ["workers=3"], workers=4).workers == 4


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("clips.max_second=4", r"unknown key 'clips\.max_second'; did you mean 'max_seconds'\?"),
        ("zzz=4", r"unknown key 'zzz'; known keys: clips, workers"),
        ("workers=many", r"workers = 'many': input should be a valid integer"),
        ("workers", r"'workers' is not of the form key=value"),
        ("workers.x=1", r"unknown key|input should be a valid integer"),
    ],
)
def test_a_wrong_key_or_value_is_named(override: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_settings(Outer, None, [override])


@pytest.mark.parametrize(("text", "sentence"), [("- a\n", "must be a mapping"), ("a: [", "cannot be read as YAML")])
def test_a_file_that_is_not_a_mapping_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        load_settings(Outer, path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_settings(Outer, tmp_path / "none.yaml")
