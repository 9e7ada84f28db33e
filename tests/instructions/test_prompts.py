from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.instructions.prompts import PROMPTS
from videopath_hf.instructions.questions import QUESTIONS_PER_MEDIUM, load_wordings, write_questions
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.instructions.writing import prompt_hash
from videopath_hf.settings import load_settings

SERVER = {"base_url": "http://localhost:1/v1", "model": "m"}


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    text = (PROMPTS / name).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")
    return tmp_path / name


def test_a_prompt_of_one_s_own_changes_the_hash_and_an_equal_copy_does_not(tmp_path: Path) -> None:
    def hashed(path: Path | None) -> str:
        return prompt_hash(InstructSettings(writer="vidrip", server=SERVER, prompts=path))

    assert hashed(changed(tmp_path, "vidrip.yaml", "", "")) == hashed(None)
    assert hashed(changed(tmp_path, "vidrip.yaml", "You are a pathologist", "You are an expert")) != hashed(None)


def test_what_only_says_how_replies_are_fetched_does_not_change_the_hash() -> None:
    def hashed(**values: object) -> str:
        return prompt_hash(InstructSettings(writer="vidrip", server={**SERVER, **values}))

    assert hashed(concurrency=64, budget=1, price_input=1, price_output=1, timeout=3) == hashed()
    assert hashed(temperature=0.5) != hashed()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{{ material }}", "{{ materials }}", r"'write' is no valid template: .*materials.*; known: material"),
        ("{{ material }}", "{{ material ", "no valid template"),
        ("check_system:", "checks:", "wrong or missing keys: check_system, checks"),
        ("route: vidrip", "route: clippath", "writer=vidrip needs a file of route 'vidrip'"),
    ],
)
def test_a_prompt_file_that_cannot_be_used_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = changed(tmp_path, "vidrip.yaml", old, new)
    with pytest.raises(UserError, match=message):
        prompt_hash(InstructSettings(writer="vidrip", server=SERVER, prompts=path))


def test_templates_cannot_reach_into_python(tmp_path: Path) -> None:
    path = changed(tmp_path, "vidrip.yaml", "{{ material }}", "{{ ''.__class__.__mro__ }}")
    with pytest.raises(UserError, match="no valid template"):
        prompt_hash(InstructSettings(writer="vidrip", server=SERVER, prompts=path))


def test_organs_have_wordings_of_their_own_under_all_their_names() -> None:
    own = {text for seed in range(60) for text in write_questions("video", 1, "c", seed, "Rectum")}
    assert len({text for text in own if "crypts, lamina propria and surface" in text and "Rectum tissue" in text}) == 4
    assert len(own) == 10
    assert not any("crypts" in text for seed in range(60) for text in write_questions("video", 1, "c", seed))
    assert len(write_questions("clip", QUESTIONS_PER_MEDIUM, "c", 0, "lymph node")) == QUESTIONS_PER_MEDIUM


def test_every_shipped_wording_names_its_medium_and_tissue() -> None:
    wordings = load_wordings()
    assert len(wordings.organs) > 20
    for organ in wordings.organs:
        for kind in ("diagnostic", "descriptive"):
            texts = wordings.of(kind, organ)  # type: ignore[arg-type]
            assert all("{medium}" in text and "{tissue}" in text for text in texts)
            assert all(("{ending}" in text) == (kind == "descriptive") for text in texts)
            assert not any("{features}" in text for text in texts)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("in this {medium} best", "in this {media} best", "may hold {medium}, {tissue}, {ending} only"),
        ("also: [oesophagus]", "also: [rectum]", "organ name 'rectum' stands there twice"),
        ("ending:", "endings:", "did you mean 'ending'"),
        ("{features} of the", "{feature} of the", "may hold {medium}, {tissue}, {ending}, {features} only"),
    ],
)
def test_a_file_of_wordings_that_cannot_be_used_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_wordings(changed(tmp_path, "questions.yaml", old, new))


def test_more_questions_than_wordings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.yaml"
    path.write_text("version: 1\nending: ''\ndiagnostic: ['What of the {tissue}?']\ndescriptive: ['Describe.']\n")
    with pytest.raises(UserError, match="2 questions are wanted of 1 wordings"):
        write_questions("video", 2, "c", 0, wordings=load_wordings(path))


def test_settings_that_do_not_go_together_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="set base_url or the environment variable VIDEOPATH_WRITER_BASE_URL"):
        load_settings(InstructSettings, writer="vidrip")
    with pytest.raises(UserError, match="writer=template uses none"):
        load_settings(InstructSettings, prompts=tmp_path)
    monkeypatch.setenv("VIDEOPATH_WRITER_BASE_URL", "http://localhost:1/v1")
    monkeypatch.setenv("VIDEOPATH_WRITER_MODEL", "some")
    settings = load_settings(InstructSettings, writer="clippath")
    assert settings.server is not None
    assert settings.server.model == "some"
    assert load_settings(InstructSettings).server is None
