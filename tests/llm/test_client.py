import asyncio
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.llm.chat_server import ChatServer, Reply, said, serve, streamed
from videopath_hf.errors import UserError
from videopath_hf.llm.client import ChatClient, NoReplyError
from videopath_hf.llm.completion import ChatReply
from videopath_hf.llm.settings import ServerSettings

JSON = {"Content-Type": "application/json"}


def ask(server: ChatServer, count: int = 1, **values: Any) -> list[ChatReply | Exception]:
    """Send so many different requests at once; what came of each."""
    settings = ServerSettings(base_url=server.url, model="m", **values)

    async def run() -> list[ChatReply | Exception]:
        async with ChatClient(settings) as client:
            requests = [
                settings.chat_request([{"role": "user", "content": f"request {number}"}]) for number in range(count)
            ]
            done = await asyncio.gather(*map(client.complete, requests), return_exceptions=True)
        assert all(isinstance(item, (ChatReply, NoReplyError, UserError)) for item in done)
        return done  # type: ignore[return-value]

    return asyncio.run(run())


def failing_first(reply: Reply) -> Any:
    return lambda request, tries: reply if tries == 0 else said("fine")


@pytest.mark.parametrize(
    "fault",
    [
        Reply(500, "oops"),
        Reply(503, "busy"),
        Reply(408, "slow"),
        Reply(429, "slow down", {"Retry-After": "0"}),
        Reply(200, None),
        Reply(200, ('{"choices": [', "{"), JSON, cut=True),
        streamed("fine", cut=True),
        Reply(200, 'data: {"choices": [{"delta": {"content": "fi"}}]}\n\n', {"Content-Type": "text/event-stream"}),
    ],
)
def test_what_may_pass_is_tried_again(fault: Reply) -> None:
    with serve(failing_first(fault)) as server:
        (reply,) = ask(server)
    assert reply == ChatReply("fine", None, "stop", 90, 10, "judge")
    assert len(server.requests) == 2


def test_a_date_in_retry_after_is_waited_for() -> None:
    with serve(failing_first(Reply(429, "", {"Retry-After": formatdate(time.time() + 2, usegmt=True)}))) as server:
        start = time.perf_counter()
        (reply,) = ask(server)
    assert isinstance(reply, ChatReply)
    assert time.perf_counter() - start > 0.9  # dates have whole seconds


def test_a_server_that_limits_gets_no_other_request_before_its_time_either() -> None:
    limited: list[float] = []
    arrived: list[float] = []

    def behave(request: dict[str, Any], _: int) -> Reply:
        arrived.append(time.monotonic())
        if len(arrived) == 3:
            limited.append(time.monotonic())
            return Reply(429, "", {"Retry-After": "1"})
        return said("fine")._replace(delay=0.3)

    with serve(behave) as server:
        outcomes = ask(server, count=12, concurrency=3)
    assert all(isinstance(outcome, ChatReply) for outcome in outcomes)
    assert len(arrived) == 13
    assert all(time >= limited[0] + 0.95 for time in arrived[3:])


def test_a_longer_wait_than_allowed_is_not_waited_for() -> None:
    with serve(failing_first(Reply(429, "tomorrow", {"Retry-After": "86400"}))) as server:
        (error,) = ask(server, max_wait=5)
    assert str(error) == "the server answered 429: tomorrow (it asks to wait 86400 s, max_wait is 5)"
    assert len(server.requests) == 1


def test_one_that_waits_to_be_tried_again_leaves_its_place_to_another() -> None:
    def behave(request: dict[str, Any], tries: int) -> Reply:
        first = request["messages"][0]["content"] == "request 0"
        return Reply(503, "", {"Retry-After-Ms": "300"}) if first and tries == 0 else said("fine")

    with serve(behave) as server:
        assert all(isinstance(reply, ChatReply) for reply in ask(server, count=4, concurrency=1))
    order = [request["messages"][0]["content"][-1] for request in server.requests]
    assert order == ["0", "1", "2", "3", "0"]
    assert server.most_at_once == 1


def test_the_time_of_a_request_runs_from_when_it_is_sent() -> None:
    with serve(lambda request, _: said("fine")._replace(delay=1)) as server:
        replies = ask(server, count=3, concurrency=1, timeout=2.5, max_retries=0)
    assert all(isinstance(reply, ChatReply) for reply in replies)


def test_a_server_that_streams_although_not_asked_to_is_understood() -> None:
    words = "Brown pigment — in\u2028macrophages."
    with serve(lambda request, _: streamed(words, pause=0.001)) as server:
        (reply,) = ask(server)
    assert reply == ChatReply(words, None, "stop", 90, 10)
    assert "stream" not in server.requests[0]


def test_neither_silence_nor_a_trickle_holds_a_request_longer_than_its_timeout() -> None:
    for reply in (said("late")._replace(delay=10), streamed("x" * 50, pause=0.2)):
        with serve(lambda request, _, reply=reply: reply) as server:
            (error,) = ask(server, timeout=0.4, max_retries=1)
        assert str(error) == "the server did not answer in time (2 tries)"


def test_refused_for_ever_stops_the_run_with_one_sentence() -> None:
    with serve(lambda request, _: Reply(429, '{"error": {"message": "slow down"}}', JSON)) as server:
        outcomes = ask(server, count=30, max_retries=1, max_failures=4, concurrency=2)
    stops = [str(outcome) for outcome in outcomes if isinstance(outcome, UserError)]
    assert len(stops) == 27
    assert stops[0].startswith("4 requests in a row got no reply from http://127")
    assert "429: slow down" in stops[0]
    assert len(server.requests) <= 12


def test_failures_that_alternate_with_replies_do_not_stop_the_run() -> None:
    with serve(
        lambda request, _: Reply(500, "x") if int(request["messages"][0]["content"][8:]) % 2 else said("y")
    ) as s:
        outcomes = ask(s, count=20, max_retries=0, max_failures=3, concurrency=1)
    assert sum(isinstance(outcome, NoReplyError) for outcome in outcomes) == 10


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(401, "{}", JSON), "refuses the key (401); set the right one in $VIDEOPATH_LLM_API_KEY"),
        (Reply(403, "{}", JSON), "refuses the key (403)"),
        (Reply(404, "{}", JSON), "does not know the model 'm'"),
        (Reply(402, '{"error": {"message": "pay first"}}', JSON), "no credit left (402): pay first"),
        (Reply(429, '{"error": {"code": "insufficient_quota", "message": "empty"}}', JSON), "no credit left (429)"),
    ],
)
def test_what_every_request_would_meet_stops_the_run_at_once(reply: Reply, sentence: str) -> None:
    with serve(lambda request, _: reply) as server:
        outcomes = ask(server, count=20, concurrency=2)
    assert all(isinstance(outcome, UserError) for outcome in outcomes)
    assert sentence in str(outcomes[0])
    assert len(server.requests) <= 2


REFUSES = [
    (400, "Unsupported value: 'temperature' does not support 0 with this model.", "request.temperature"),
    (
        400,
        "Unsupported parameter: 'max_tokens' is not supported; use 'max_completion_tokens'.",
        "max_completion_tokens",
    ),
    (
        500,
        'response_format type must be one of "text" or "json_object", but got: json_schema',
        "`structured` to json_",
    ),
    (422, "This model does not support response format `json_schema`.", "`structured` to json_object, or to none"),
]


@pytest.mark.parametrize(("status", "message", "remedy"), REFUSES)
def test_a_field_that_no_request_may_have_stops_the_run_and_names_the_setting(
    status: int, message: str, remedy: str
) -> None:
    import json

    body = json.dumps({"error": {"message": message}})
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    with serve(lambda request, _: Reply(status, body, JSON)) as server:
        outcomes = ask(server, count=10, concurrency=2, request={"response_format": form})
        assert all(isinstance(outcome, UserError) for outcome in outcomes)
        assert remedy in str(outcomes[0])
        assert message in str(outcomes[0])
        assert len(server.requests) <= 2
        # What was not sent is not what is refused.
        (left_out,) = ask(server, request={"temperature": None, "max_tokens": None}, max_retries=0)
    assert isinstance(left_out, NoReplyError)


def test_a_request_that_is_too_long_is_no_fault_of_the_others() -> None:
    body = '{"error": {"message": "maximum context length is 8192 tokens, you asked for 9000 (512 in max_tokens)"}}'
    with serve(lambda request, _: Reply(400, body, JSON)) as server:
        (error,) = ask(server)
    assert isinstance(error, NoReplyError)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(400, '{"error": {"message": "bad\\nschema"}}', JSON), "the server answered 400: bad schema"),
        (Reply(302, "", {"Location": "http://127.0.0.1:9/"}), "the server answered 302"),
        (Reply(200, "", JSON), "the server's answer is not a chat completion: it is empty"),
        (Reply(200, "[" * 100_000, JSON), "not a chat completion: [[["),
        (Reply(200, "[1]", JSON), "the server's answer is not a chat completion: [1]"),
        (Reply(200, '{"error": {"message": "overloaded"}}', JSON), "not a chat completion: overloaded"),
    ],
)
def test_other_failures_are_this_request_s_alone_and_not_tried_again(reply: Reply, reason: str) -> None:
    with serve(lambda request, _: reply) as server:
        (error,) = ask(server)
    assert isinstance(error, NoReplyError)
    assert reason in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("message", "finish", "fault"),
    [
        ({"content": None, "refusal": "I cannot."}, "stop", "the model refuses: I cannot."),
        ({"content": "Half"}, "content_filter", "the server's content filter withheld the reply"),
        (None, "stop", "the server's answer holds no choice"),
    ],
)
def test_an_answer_without_words_says_why(message: Any, finish: str, fault: str) -> None:
    import json

    body = json.dumps({"choices": [{"message": message, "finish_reason": finish}]})
    with serve(lambda request, _: Reply(200, body, JSON)) as server:
        (reply,) = ask(server)
    assert isinstance(reply, ChatReply)
    assert reply.fault == fault


def test_half_a_character_does_not_stop_the_log() -> None:
    with serve(lambda request, _: Reply(200, r'{"choices": [{"message": {"content": "a\ud800b"}}]}', JSON)) as server:
        (reply,) = ask(server)
    assert isinstance(reply, ChatReply)
    assert reply.text == "a?b"


def test_content_in_parts_is_joined() -> None:
    body = '{"choices": [{"message": {"content": [{"type": "text", "text": "Brown "}, {"text": "pigment"}]}}]}'
    with serve(lambda request, _: Reply(200, body, JSON)) as server:
        (reply,) = ask(server)
    assert isinstance(reply, ChatReply)
    assert (reply.text, reply.tokens_in) == ("Brown pigment", None)


def test_further_fields_of_requests_can_be_set_and_removed() -> None:
    with serve(lambda request, _: said("x")) as server:
        ask(server, request={"max_tokens": None, "max_completion_tokens": 9, "seed": 1})
    assert {"max_completion_tokens", "seed"} <= set(server.requests[0])
    assert "max_tokens" not in server.requests[0]


def test_address_and_model_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from videopath_hf.settings import load_settings

    with pytest.raises(UserError, match="set base_url or the environment variable VIDEOPATH_LLM_BASE_URL"):
        load_settings(ServerSettings)
    monkeypatch.setenv("VIDEOPATH_LLM_BASE_URL", "http://localhost:1/v1")
    monkeypatch.setenv("VIDEOPATH_LLM_MODEL", "some")
    assert (load_settings(ServerSettings).base_url, load_settings(ServerSettings).model) == (
        "http://localhost:1/v1",
        "some",
    )
    with pytest.raises(UserError, match="give an address such as"):
        load_settings(ServerSettings, base_url="localhost:1", model="m")
    with pytest.raises(UserError, match="budget needs price_input and price_output"):
        load_settings(ServerSettings, budget=3)


def test_proxies_of_the_environment_are_used_and_passwords_of_netrc_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve(lambda request, _: said("x")) as server:
        ask(server)
        assert "authorization" not in server.headers[0]
        monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
        with serve(lambda request, _: said("never asked")) as behind:
            (reply,) = ask(behind)
            assert behind.requests == []
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            (direct,) = ask(behind)
    assert isinstance(reply, ChatReply)
    assert isinstance(direct, ChatReply)
    assert (reply.text, direct.text) == ("x", "never asked")
