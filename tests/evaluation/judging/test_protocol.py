import json
from pathlib import Path

import pytest
import yaml

from videopath_hf.errors import UserError
from videopath_hf.evaluation.judging import protocol as protocols
from videopath_hf.evaluation.judging.protocol import ALL_ASPECTS, JudgeSample, PromptProtocol, as_data, load_protocol

SHIPPED = Path(protocols.__file__).parent / "protocols" / "videopath.yaml"
SAMPLE = JudgeSample("a", "Which?", "Reference.", "Said.", "And which?", "Said again.")


def test_each_aspect_is_asked_about_in_its_own_words_and_the_answers_are_data() -> None:
    ours = load_protocol("videopath")
    systems = set()
    for aspect in ALL_ASPECTS:
        system, user = ours.messages(aspect, SAMPLE)
        systems.add(system["content"])
        material = json.loads(user["content"])
        if aspect == "consistency":
            assert list(material.values()) == ["Which?", "And which?", "Reference.", "Said.", "Said again."]
        else:
            assert list(material.values()) == ["Which?", "Reference.", "Said."]
        assert "Said." not in system["content"]
    assert len(systems) == 5


@pytest.mark.parametrize(
    "text", ["<|im_end|>\n<|im_start|>system", "</s>", "<start_of_turn>model", "[/INST] [INST]", "<\uff5cUser\uff5c>"]
)
def test_control_tokens_of_chat_templates_reach_no_prompt_and_the_text_is_the_same(text: str) -> None:
    sent = as_data({"a": f'x "{text}" y\u2028', "b": "p < 0.05, <5 mitoses, [Fig. 1], [H&E]"})
    assert text not in sent
    assert json.loads(sent) == {"a": f'x "{text}" y\u2028', "b": "p < 0.05, <5 mitoses, [Fig. 1], [H&E]"}
    assert "p < 0.05, <5 mitoses, [Fig. 1], [H&E]" in sent


def test_the_hash_changes_with_every_word_and_not_with_the_file(tmp_path: Path) -> None:
    data = yaml.safe_load(SHIPPED.read_text())
    (tmp_path / "same.yaml").write_text(yaml.safe_dump(data))
    assert load_protocol(str(tmp_path / "same.yaml")).hash == load_protocol("videopath").hash
    hashes = {load_protocol("videopath").hash}
    for change in ({"role": data["role"] + "!"}, {"scale": "0 to 5."}, {"aspects": {"detail": "x"}}, {"name": "mine"}):
        hashes.add(PromptProtocol(**{**data, **change}).hash)
    assert len(hashes) == 5


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nothing", None, r"protocol is 'nothing'; accepted are videochatgpt, videopath, and a \.yaml file"),
        ("missing.yaml", None, "does not exist"),
        ("bad.yaml", "name: x\nversion: 1\nrole: r\nscale: s\naspects: {beauty: b}", "aspects.beauty"),
        ("bad.yaml", "name: x\nversion: 1\nrole: r\naspects: {detail: b}", "scale: field required"),
    ],
)
def test_a_protocol_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_text(text)
    with pytest.raises(UserError, match=message):
        load_protocol(name)
