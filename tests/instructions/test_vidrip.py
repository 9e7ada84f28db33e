import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.instructions.curated_folder import MELANOSIS, make_clip
from tests.instructions.scripted_writer import Behaviour, decent, draft_of, material_of, reply_to, turn_of, write_with
from tests.llm.chat_server import Reply, said
from videopath_hf.files import read_records
from videopath_hf.instructions.material import Words, place_of
from videopath_hf.instructions.routes import WrittenClip
from videopath_hf.records import ClipRecord, RemovedText

SPOKEN = ["The mucosa is intact.", "Brown pigment lies in macrophages.", "This is melanosis coli."]
write = partial(write_with, "vidrip")


@pytest.fixture
def clip(tmp_path: Path) -> ClipRecord:
    return make_clip(tmp_path, "a", MELANOSIS, SPOKEN)


def drafted(change: Any) -> Behaviour:
    """A decent model whose first pass is changed by `change(draft)`."""

    def behave(request: dict[str, Any], _: int) -> Reply:
        reply = reply_to(request)
        if turn_of(request) == "write":
            change(reply)
        return said(json.dumps(reply))

    return behave


def written(root: Path) -> WrittenClip:
    return read_records(root / "out" / "written.jsonl", WrittenClip)[0]


def test_findings_go_from_low_to_high_magnification_then_the_reasoning(tmp_path: Path, clip: ClipRecord) -> None:
    writing, server = write(tmp_path, clip, decent)
    (item,) = writing.described
    assert item.description.sentences == ("The mucosa is intact.", "Brown pigment lies in macrophages.")
    assert item.description.text.endswith("macrophages. Together they are typical.")
    assert item.clip.diagnosis is not None
    assert (item.clip.diagnosis.value, item.clip.diagnosis.start, item.clip.diagnosis.end) == ("melanosis coli", 4, 6)
    assert [turn_of(request) for request in server.requests] == ["write", "check"]


def test_every_finding_keeps_the_seconds_and_the_passage_it_rests_on(tmp_path: Path, clip: ClipRecord) -> None:
    write(tmp_path, clip, decent)
    low, high = written(tmp_path).statements
    assert (low.magnification, low.start, low.end, low.quote) == ("low", 0, 2, "the mucosa is intact")
    assert (high.magnification, high.start, high.end) == ("high", 2, 4)


def test_sentences_of_the_answer_say_which_words_they_rest_on(tmp_path: Path, clip: ClipRecord) -> None:
    shown = clip.model_copy(
        update={"removed_text": [RemovedText(text="Lipofuscin", box=(0, 0, 9, 9), start=2, end=5)]}
    )

    def misdate(draft: dict[str, Any]) -> None:
        for finding in draft["findings"]:
            if "mucosa" in finding["statement"]:
                finding.update(start=-3, end=1e9)  # beyond all words
            if "pigment" in finding["statement"]:
                finding.update(start=5.2, end=5.9)  # those of others

    writing, _ = write(tmp_path, shown, drafted(misdate))
    found = {item.text: (item.source, item.start, item.end) for item in writing.described[0].description.grounding}
    assert found == {
        "The mucosa is intact.": ("transcript", 0, 6),
        "Brown pigment lies in macrophages.": ("transcript", 2, 4),
        "Lipofuscin.": ("text", 2, 5),
    }
    assert writing.server is not None
    assert writing.server.misdated == 1


def test_a_moment_just_behind_the_words_is_their_whole_passage() -> None:
    words = [Words(0, 2, "said", "The mucosa is intact."), Words(2, 4, "shown", "Brown pigment")]
    assert place_of("mucosa is intact", 0.5, 1.5, words) == (0.5, 1.5, "transcript", False)
    assert place_of("brown pigment", 4.2, 4.3, words) == (2, 4, "text", False)
    assert place_of("brown pigment", 0, 1, words) == (2, 4, "text", True)
    assert place_of("blue pigment", 2, 4, words) is None


def test_a_finding_without_support_is_removed_counted_and_takes_the_reasoning_with_it(
    tmp_path: Path, clip: ClipRecord
) -> None:
    def invent(draft: dict[str, Any]) -> None:
        draft["findings"].append({**draft["findings"][0], "statement": "Crypt abscesses are seen."})

    writing, _ = write(tmp_path, clip, drafted(invent))
    assert "abscess" not in writing.described[0].description.text
    assert "typical" not in writing.described[0].description.text
    assert writing.server is not None
    assert (writing.server.statements, writing.server.removed) == (2, {"the words do not support it": 1})


def test_a_finding_that_cites_silence_is_removed_without_asking(tmp_path: Path, clip: ClipRecord) -> None:
    def misdate(draft: dict[str, Any]) -> None:
        draft["findings"][0].update(start=500, end=510)

    writing, server = write(tmp_path, clip, drafted(misdate))
    assert writing.described[0].description.sentences == ("The mucosa is intact.",)
    asked = material_of(server.requests[1])["statements"]
    assert not any("pigment" in item["statement"] for item in asked)
    assert writing.server is not None
    assert writing.server.removed == {"cites seconds in which nothing was said or shown": 1}


def test_a_passage_that_was_made_up_supports_nothing(tmp_path: Path, clip: ClipRecord) -> None:
    def behave(request: dict[str, Any], _: int) -> Reply:
        reply = reply_to(request)
        if turn_of(request) == "check":
            reply["verdicts"][0]["quote"] = "the mucosa is wholly intact"
        return said(json.dumps(reply))

    writing, _ = write(tmp_path, clip, behave)
    assert writing.described[0].description.sentences == ("Brown pigment lies in macrophages.",)
    assert writing.server is not None
    assert writing.server.removed == {"the passage quoted for it does not exist": 1}


def test_a_diagnosis_nobody_named_is_removed_and_the_curated_one_stays(tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "a", None, SPOKEN[:2])

    def guess(draft: dict[str, Any]) -> None:
        draft.update(diagnosis="colitis", diagnosis_start=0, diagnosis_end=2)

    writing, _ = write(tmp_path, clip, drafted(guess))
    assert writing.described[0].clip.diagnosis is None
    assert written(tmp_path).statements[-1].text == "Diagnosis: colitis"
    assert written(tmp_path).statements[-1].removed == "the words do not support it"
    known = make_clip(tmp_path, "b", MELANOSIS, SPOKEN)
    (tmp_path / "out" / "written.jsonl").unlink()
    writing, _ = write(tmp_path, known, drafted(guess))
    assert writing.described[0].clip.diagnosis == known.diagnosis


def test_findings_that_name_the_diagnosis_are_removed(tmp_path: Path, clip: ClipRecord) -> None:
    def name(draft: dict[str, Any]) -> None:
        draft["findings"][0]["statement"] = "Pigment as in melanosis coli."

    writing, _ = write(tmp_path, clip, drafted(name))
    assert writing.described[0].description.sentences == ("The mucosa is intact.",)


def test_a_diagnosis_named_elsewhere_in_the_case_can_be_cited(tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "a", MELANOSIS, SPOKEN[:2])
    assert clip.diagnosis is not None
    clip = clip.model_copy(update={"diagnosis": clip.diagnosis.model_copy(update={"start": 90, "end": 93})})
    writing, server = write(tmp_path, clip, decent)
    named = material_of(server.requests[0])["words"][-1]
    assert (named["start"], named["text"]) == (90, "Diagnosis of this case: melanosis coli")
    assert writing.described[0].clip.diagnosis is not None
    assert writing.described[0].clip.diagnosis.start == 90


def test_where_nothing_is_supported_the_clip_is_dropped(tmp_path: Path, clip: ClipRecord) -> None:
    def behave(request: dict[str, Any], _: int) -> Reply:
        if turn_of(request) == "write":
            return said(json.dumps(draft_of(material_of(request))))
        count = len(material_of(request)["statements"])
        verdicts = [{"number": number + 1, "supported": False, "quote": ""} for number in range(count)]
        return said(json.dumps({"verdicts": verdicts}))

    writing, _ = write(tmp_path, clip, behave)
    assert writing.described == []
    assert writing.rejects[0].reason == "no finding is supported by the words"
    assert writing.rejects[0].figures == {"findings": 2}


def test_a_check_that_leaves_a_statement_out_is_asked_to_mend_it(tmp_path: Path, clip: ClipRecord) -> None:
    def behave(request: dict[str, Any], _: int) -> Reply:
        reply = reply_to(request)
        if turn_of(request) == "check" and len(request["messages"]) == 2:
            reply["verdicts"].pop()
        return said(json.dumps(reply))

    writing, server = write(tmp_path, clip, behave)
    assert len(writing.described) == 1
    assert "each number from 1 to 4 once" in server.requests[2]["messages"][-1]["content"]
