import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.llm.chat_server import ChatServer, said, serve
from videopath_hf.instructions.clippath import Caption
from videopath_hf.llm.chat import LoggedChat, LoggedReply
from videopath_hf.llm.settings import ServerSettings
from videopath_hf.llm.structured import UnusableReplyError, ask_for

GOOD = json.dumps({"description": "Brown pigment.", "quality": 3.5})
MESSAGES = [{"role": "user", "content": "Describe."}]


def ask(server: ChatServer, log: Path | None = None, **values: Any) -> tuple[Caption, list[LoggedReply]]:
    settings = ServerSettings(base_url=server.url, model="m", **values)

    async def run() -> tuple[Caption, list[LoggedReply]]:
        async with LoggedChat(settings, log) as chat:
            return await ask_for(chat, MESSAGES, Caption, {"clip_id": "c", "turn": "t"}), chat.replies

    return asyncio.run(run())


def test_the_form_is_sent_as_a_json_schema_and_the_reply_is_read() -> None:
    with serve(lambda request, _: said(GOOD)) as server:
        caption, _ = ask(server)
    assert caption == Caption(description="Brown pigment.", quality=3.5)
    form = server.requests[0]["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    assert form["json_schema"]["schema"]["additionalProperties"] is False
    assert form["json_schema"]["schema"]["required"] == ["description", "quality"]


@pytest.mark.parametrize(("structured", "form"), [("json_object", {"type": "json_object"}), ("none", None)])
def test_servers_that_know_no_schema_are_asked_without_one(structured: str, form: Any) -> None:
    with serve(lambda request, _: said(f"```json\n{GOOD}\n```")) as server:
        assert ask(server, structured=structured)[0].quality == 3.5
    assert server.requests[0].get("response_format") == form


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("Here is my caption.", "the reply is not JSON: Here is my caption."),
        ('{"description": "Brown pig', "the reply is not JSON"),
        ('{"description": "Brown pigment."}', "quality: Field required"),
        ('{"description": "Brown pigment.", "quality": 7}', "quality: Input should be less than or equal to 5"),
        ('{"description": "x", "quality": NaN}', "quality"),
        ('{"description": "x", "quality": 3, "more": 1}', "more: Extra inputs are not permitted"),
        ("[]", "the reply: Input should be"),
        ("[" * 100_000, "the reply is not JSON"),
        (r'{"description": "x\ud800", "quality": 3}', "the reply is not JSON"),
        ("", "the reply is empty"),
        (None, "the reply is empty"),
    ],
)
def test_a_bad_reply_is_mended_once_by_saying_what_is_wrong(bad: str | None, fault: str) -> None:
    with serve(lambda request, _: said(GOOD if len(request["messages"]) > 1 else bad)) as server:
        caption, replies = ask(server)
    assert caption.quality == 3.5
    assert len(server.requests) == 2
    shown, asked = server.requests[1]["messages"][1:]
    assert shown == {"role": "assistant", "content": bad or "(nothing)"}
    assert fault in asked["content"]
    assert [reply.about.get("repair") for reply in replies] == [None, "1"]


def test_a_reply_that_cannot_be_mended_is_refused_and_not_paid_again(tmp_path: Path) -> None:
    with serve(lambda request, _: said("prose")) as server:
        for _ in range(2):
            with pytest.raises(UnusableReplyError, match=r"not JSON: prose \(after one repair turn\)"):
                ask(server, tmp_path / "replies.jsonl")
    assert len(server.requests) == 2


def test_a_reply_cut_at_its_longest_length_says_so() -> None:
    with serve(lambda request, _: said('{"descr', finish="length")) as server, pytest.raises(UnusableReplyError) as e:
        ask(server)
    assert "cut off at its longest length" in str(e.value)


def test_a_refusal_is_not_argued_with() -> None:
    def refuse(request: dict[str, Any], _: int) -> Any:
        body = {"choices": [{"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}]}
        return said("")._replace(body=json.dumps(body))

    with serve(refuse) as server, pytest.raises(UnusableReplyError, match="the model refuses: No"):
        ask(server)
    assert len(server.requests) == 1
