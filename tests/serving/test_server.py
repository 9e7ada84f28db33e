"""The server as clients of OpenAI's API see it: answers of `videopath ask`, and nothing that it should not do."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.hub.fixture import client_of_a_hub
from tests.serving.conftest import QUESTION
from tests.serving.server_tools import about, call, client, data_url, image, joined, server_in_thread, video
from videopath_hf import RESEARCH_NOTICE
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.modeling.loading import load_model
from videopath_hf.serving.media import MediaLimits

Clips = Callable[..., Path]
Ask = Callable[..., str]


@pytest.fixture(scope="module")
def address(loaded_lively: tuple[Any, Any]) -> Iterator[str]:
    with server_in_thread(*loaded_lively) as (found, _):
        yield found


@pytest.fixture(scope="module")
def api(address: str) -> openai.OpenAI:
    return client(address)


def answer(api: openai.OpenAI, messages: Any, **options: Any) -> Any:
    return api.chat.completions.create(model="lively", messages=messages, **{"max_tokens": 24, **options})


def text(api: openai.OpenAI, messages: Any, **options: Any) -> str:
    return str(answer(api, messages, **options).choices[0].message.content)


def refusal(api: openai.OpenAI, messages: Any, **options: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        answer(api, messages, **options)
    assert "\n" not in caught.value.body["message"]
    return caught.value


def test_an_answer_is_that_of_ask_streamed_or_not(api: openai.OpenAI, make_clip: Clips, ask_directly: Ask) -> None:
    clip = make_clip(50)
    expected = ask_directly(clip)
    assert expected != ask_directly(make_clip(50, seed=1))
    messages = about(video(data_url(clip)))
    whole = answer(api, messages)
    assert whole.choices[0].message.content == expected
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 24
    assert joined(answer(api, messages, stream=True)) == expected


def test_more_frames_than_the_engine_takes_by_itself_are_seen(
    lively: Path,
    make_clip: Clips,
    loaded_lively: tuple[Any, Any],
) -> None:
    model, processor = loaded_lively[0], load_model(lively)[1]
    processor.video_processor.num_frames = 40
    clip = make_clip(50)
    expected = Answerer(model, processor, "lively").ask([clip], QUESTION, max_new_tokens=24).answer
    with server_in_thread(model, processor) as (address, _):
        assert text(client(address), about(video(data_url(clip)))) == expected
    processor.video_processor.num_frames = 32
    assert Answerer(model, processor, "lively").ask([clip], QUESTION, max_new_tokens=24).answer != expected


def test_media_come_from_the_web_and_several_at_once(
    api: openai.OpenAI,
    make_clip: Clips,
    ask_directly: Ask,
    slide: bytes,
    files: Any,
) -> None:
    (files.folder / "clip.mp4").write_bytes(make_clip(50).read_bytes())
    (files.folder / "slide.png").write_bytes(slide)
    web = f"http://127.0.0.1:{files.server_port}"
    blocks = video(f"{web}/to/clip.mp4"), image(f"{web}/slide.png")
    expected = ask_directly(make_clip(50), files.folder / "slide.png")
    assert text(api, about(*blocks)) == expected
    assert text(api, about(blocks[0], image(data_url(slide, "image/png")))) == expected


def test_a_conversation_goes_on_about_the_same_video(api: openai.OpenAI, make_clip: Clips, ask_directly: Ask) -> None:
    first = about(video(data_url(make_clip(50))))
    said = text(api, first)
    more = [{"role": "assistant", "content": said}, {"role": "user", "content": "Is there necrosis?"}]
    assert text(api, [*first, *more]) not in ("", said)


def test_sampling_is_asked_for_and_seeded_and_stops_at_words(api: openai.OpenAI, make_clip: Clips) -> None:
    messages = about(video(data_url(make_clip(50))))
    greedy = text(api, messages)
    drawn = [text(api, messages, temperature=1.5, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert text(api, messages, temperature=0) == greedy
    stop = greedy.split()[2]
    stopped = answer(api, messages, stop=[stop])
    assert stopped.choices[0].finish_reason == "stop"
    assert greedy.startswith(stopped.choices[0].message.content)
    assert len(stopped.choices[0].message.content) < len(greedy)
    # Without a penalty words come again; the model's own is 1.5.
    assert text(api, messages, extra_body={"repetition_penalty": 1.0}) != greedy


def test_every_answer_carries_the_notice_and_the_model_is_described_by_it(api: openai.OpenAI, address: str) -> None:
    (model,) = api.models.list().data
    assert (model.id, model.description) == ("lively", RESEARCH_NOTICE)  # type: ignore[attr-defined]
    for path in ("/health", "/v1/models", "/nowhere"):
        assert call(address, path).headers["x-research-notice"] == RESEARCH_NOTICE
    raw = api.chat.completions.with_raw_response.create(
        model="lively", messages=[{"role": "user", "content": "Hello"}], max_tokens=2
    )
    assert raw.headers["x-research-notice"] == RESEARCH_NOTICE


def test_a_stream_ends_with_the_mark_that_clients_wait_for(address: str) -> None:
    body = {"model": "lively", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3, "stream": True}
    lines = call(address, "/v1/chat/completions", json.dumps(body).encode()).body.decode().split("\n\n")[:-1]
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[-2].removeprefix("data: "))["choices"][0]["finish_reason"] == "length"


def test_another_model_is_refused_and_nothing_is_asked_of_the_hub(
    api: openai.OpenAI, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of_a_hub(tmp_path, monkeypatch) as hub:
        with pytest.raises(openai.NotFoundError, match="'gpt2' is not served here; this server has 'lively'"):
            api.chat.completions.create(model="gpt2", messages=[{"role": "user", "content": "Hello"}])
        for path in ("/load_model", "/reset", "/v1/responses", "/v1/completions", "/v1/audio/transcriptions"):
            refused = call(address, path, b'{"model": "gpt2", "input": "Hello", "prompt": "Hello"}')
            assert (refused.status, refused.error["code"]) == (404, "not_found")
        assert hub.requests == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 9}, "temperature: Input should be less than or equal to 2"),
        ({"n": 2}, "n: Input should be 1"),
        ({"frequency_penalty": 0.5}, "frequency_penalty: Input should be 0"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools: this server does not know it"),
        ({"response_format": {"type": "json_object"}}, "response_format: this server does not know it"),
        ({"extra_body": {"generation_config": "{}"}}, "generation_config: this server does not know it"),
        ({"extra_body": {"chat_template_kwargs": {"num_frames": 9999}}}, "chat_template_kwargs: this server does not"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
    ],
)
def test_what_would_change_an_answer_and_is_not_known_is_refused(
    api: openai.OpenAI, options: dict[str, Any], message: str
) -> None:
    error = refusal(api, [{"role": "user", "content": "Hello"}], **options)
    assert error.status_code == 400
    assert error.body["message"].startswith(message)  # type: ignore[index]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "messages: List should have at least 1 item"),
        ([{"role": "tool", "content": "x", "tool_call_id": "1"}], "messages.0.role: Input should be"),
        ([{"role": "user", "content": [{"type": "audio_url", "audio_url": {"url": "x"}}]}], "messages.0.content"),
        ([{"role": "user", "content": "<|video_pad|>?"}], "a text holds the placeholder <|video_pad|>"),
    ],
)
def test_messages_of_another_kind_are_refused_in_a_sentence(api: openai.OpenAI, messages: Any, message: str) -> None:
    error = refusal(api, messages)
    assert error.status_code == 400
    assert message in error.body["message"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (video("file:///etc/hostname"), "video 'file:///etc/hostname' is not accepted"),
        (image("/etc/hostname"), "image '/etc/hostname' is not accepted"),
        (video("ftp://127.0.0.1/a.mp4"), "is not accepted; give an address that starts with http:// or https://"),
        (video(data_url(b"words")), "video 1 of the request is not a video"),
        (image(data_url(b"words", "image/png")), "image 1 of the request cannot be read"),
        (video("data:video/mp4;base64,?"), "is not valid base64"),
        (video("http://127.0.0.1:9/a.mp4"), "video http://127.0.0.1:9/a.mp4 cannot be fetched: connection refused"),
        (video(data_url(b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n")), "video 1 of the request is not a video"),
    ],
)
def test_media_that_cannot_be_had_are_named_and_no_local_file_is_opened(
    api: openai.OpenAI, block: dict[str, Any], message: str
) -> None:
    error = refusal(api, about(block))
    assert (error.status_code, error.body["code"]) == (400, "invalid_media")  # type: ignore[index]
    assert message in error.body["message"]  # type: ignore[index]
    assert "/tmp" not in error.body["message"]  # type: ignore[index]


def test_a_video_that_breaks_off_in_its_middle_is_named(api: openai.OpenAI, make_clip: Clips) -> None:
    content = bytearray(make_clip(50).read_bytes())
    place = content.index(b"mdat") + 200
    content[place : place + 3000] = bytes(3000)
    message = refusal(api, about(video(data_url(bytes(content))))).body["message"]  # type: ignore[index]
    assert message.startswith("video 1 of the request ")
    assert "/tmp" not in message


def test_a_server_fetches_from_public_addresses_only(loaded_lively: tuple[Any, Any], files: Any) -> None:
    files.asked.clear()
    with server_in_thread(*loaded_lively, limits=MediaLimits()) as (address, _):
        for host in (
            "127.0.0.1",
            "localhost",
            "2130706433",
            "0x7f.1",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "169.254.169.254",
        ):
            error = refusal(client(address), about(image(f"http://{host}:{files.server_port}/slide.png")))
            assert "which is not a public address" in error.body["message"], host  # type: ignore[index]
    assert files.asked == []


def test_limits_of_media_are_said(loaded_lively: tuple[Any, Any], make_clip: Clips, slide: bytes) -> None:
    clip = video(data_url(make_clip(50)))
    size = make_clip(50).stat().st_size
    limits = MediaLimits(files=2, bytes=2 * size - 1, pixels=80 * 60)
    with server_in_thread(*loaded_lively, limits=limits) as (address, _):
        api = client(address)
        assert text(api, about(clip))
        picture = image(data_url(slide, "image/png"))
        for blocks, message in (
            ([picture] * 3, "the request holds 3 images and videos; at most 2 are accepted"),
            ([clip, clip], f"than the {size - 1:,} bytes accepted"),
        ):
            assert message in refusal(api, about(*blocks)).body["message"]  # type: ignore[index]
    with server_in_thread(*loaded_lively, limits=MediaLimits(pixels=80 * 60 - 1)) as (address, _):
        for block in (clip, picture):
            message = refusal(client(address), about(block)).body["message"]  # type: ignore[index]
            assert "of the request has 80x60 pixels, more than the 4,799 accepted" in message


def test_a_request_that_is_too_large_is_refused_whether_or_not_it_says_so(loaded_lively: tuple[Any, Any]) -> None:
    with server_in_thread(*loaded_lively, max_request_bytes=10_000) as (address, _):
        place = "/v1/chat/completions"
        body = json.dumps({"messages": [{"role": "user", "content": "x" * 10_000}]}).encode()
        chunks = (body[start : start + 1000] for start in range(0, len(body), 1000))
        for content in (body, chunks):
            refused = call(address, place, content)
            assert (refused.status, refused.error["code"]) == (413, "request_too_large")
        for content in (b"{", b"[1]"):
            refused = call(address, place, content)
            assert refused.status == 400
            assert "must be a JSON object" in refused.error["message"]


def test_a_request_longer_than_the_model_can_read_is_refused(
    api: openai.OpenAI, loaded_lively: tuple[Any, Any]
) -> None:
    longest = loaded_lively[0].config.get_text_config().max_position_embeddings
    error = refusal(api, [{"role": "user", "content": "tissue " * longest}])
    assert error.body["code"] == "context_length_exceeded"  # type: ignore[index]
    assert f"the model takes {longest} together" in error.body["message"]  # type: ignore[index]


def test_one_is_answered_some_wait_and_more_are_sent_away(
    loaded_lively: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = loaded_lively
    generate, go, running, most = model.generate, threading.Event(), [], []

    def held(**inputs: Any) -> Any:
        running.append(1)
        most.append(len(running))
        go.wait(60)
        running.pop()
        return generate(**inputs)

    monkeypatch.setattr(model, "generate", held)
    hello = [{"role": "user", "content": "Hello"}]
    with server_in_thread(model, processor, waiting=1) as (address, handler), ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(text, client(address), hello, max_tokens=3) for _ in range(2)]
        while handler.inside < 2:
            time.sleep(0.02)
        with pytest.raises(openai.RateLimitError) as refused:
            text(client(address), hello)
        go.set()
        assert refused.value.body["message"] == "1 requests are waiting already; send this one again later"  # type: ignore[index]
        assert refused.value.response.headers["retry-after"] == "5"
        assert answers[0].result(60) == answers[1].result(60) == text(client(address), hello, max_tokens=3)
        assert max(most) == 1


def test_a_client_that_goes_keeps_its_place_until_the_engine_is_free(
    loaded_lively: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = loaded_lively
    generate, go = model.generate, threading.Event()

    def held(**inputs: Any) -> Any:
        go.wait(60)
        return generate(**inputs)

    monkeypatch.setattr(model, "generate", held)
    hello = [{"role": "user", "content": "Hello"}]
    with server_in_thread(model, processor, waiting=0) as (address, _):
        with pytest.raises(openai.APITimeoutError):
            text(client(address, timeout=3), hello)
        with pytest.raises(openai.RateLimitError):
            text(client(address), hello)
        go.set()
        assert text(client(address, max_retries=20), hello, max_tokens=3)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_nobody_waits_for_is_given_up(loaded_lively: tuple[Any, Any], stream: bool) -> None:
    model, processor = loaded_lively
    hello = [{"role": "user", "content": "Hello"}]
    endless = {"max_tokens": 30_000, "extra_body": {"repetition_penalty": 1.0}}  # some minutes of work
    with server_in_thread(model, processor, max_new_tokens=30_000, waiting=0) as (address, _):
        if stream:
            with answer(client(address), hello, stream=True, **endless) as chunks:
                next(iter(chunks))
        else:
            with pytest.raises(openai.APITimeoutError):
                answer(client(address, timeout=2), hello, **endless)
        api = client(address, max_retries=20)
        assert text(api, hello, max_tokens=3)


def test_a_failure_in_the_middle_of_a_stream_is_an_error_that_clients_can_read(
    loaded_lively: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = loaded_lively

    def fails(**inputs: Any) -> Any:
        raise RuntimeError('out of memory at "layer 3"\nand more')

    hello = [{"role": "user", "content": "Hello"}]
    monkeypatch.setattr(model, "generate", fails)
    with server_in_thread(model, processor) as (address, _):
        with pytest.raises(openai.APIError, match='out of memory at "layer 3"\nand more'):
            joined(answer(client(address), hello, stream=True))
        with pytest.raises(openai.InternalServerError, match=re.escape("the server failed (RuntimeError)")):
            answer(client(address), hello)


def test_a_key_is_asked_for_where_one_is_set(loaded_lively: tuple[Any, Any]) -> None:
    with server_in_thread(*loaded_lively, api_key="secret") as (address, _):
        with pytest.raises(openai.AuthenticationError, match="needs its key"):
            client(address).models.list()
        assert client(address, api_key="secret").models.list().data
        assert call(address, "/health").status == 200
