"""Models behind an address, over real HTTP: frames as JPEG, failures by name, replies kept."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.llm.chat_server import ChatServer, Reply, said, serve
from videopath_hf.data.folder import read_instructions
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.evaluation.predictors.base import Ask, Failed, Said
from videopath_hf.evaluation.predictors.opening import server_of
from videopath_hf.evaluation.runner import EvaluateSettings, evaluate_model
from videopath_hf.files import read_records
from videopath_hf.llm.chat import LoggedReply
from videopath_hf.records import Prediction
from videopath_hf.settings import load_settings


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videopath_hf.llm.retries.FIRST_WAIT", 0.01)


def settings(server: ChatServer, *values: str) -> EvaluateSettings:
    given = [f"server.base_url={server.url}", "server.model=closed-1", "server.max_retries=1", *values]
    return load_settings(EvaluateSettings, None, given)


def evaluate(server: ChatServer, dataset: Path, out: Path, *values: str) -> Any:
    return evaluate_model(server.url, dataset, out, settings(server, *values))


def about(request: dict[str, Any]) -> str:
    text: str = request["messages"][0]["content"][-1]["text"]
    return text


def pictures(request: dict[str, Any]) -> list[Image.Image]:
    urls = [block["image_url"]["url"] for block in request["messages"][0]["content"][:-1]]
    assert all(url.startswith("data:image/jpeg;base64,") for url in urls)
    return [Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))) for url in urls]


def test_frames_are_sent_as_jpeg_in_order_before_the_question_and_nothing_else(dataset: Path, tmp_path: Path) -> None:
    with serve(lambda request, _: said("Blunt villi.\nDiagnosis: Celiac disease")) as server:
        result = evaluate(server, dataset, tmp_path / "out", "num_frames=3", "server.longest_side=40")
    records = read_instructions(dataset, ["video"], "test")
    assert sorted(map(about, server.requests)) == sorted(record.question for record in records)
    request = server.requests[0]
    assert len(request["messages"]) == 1
    assert [block["type"] for block in request["messages"][0]["content"]] == ["image_url"] * 3 + ["text"]
    assert {picture.size for picture in pictures(request)} == {(40, 30)}
    assert (request["model"], request["max_tokens"], request["temperature"]) == ("closed-1", 1024, 0)
    lines = read_records(tmp_path / "out" / "predictions.jsonl", Prediction)
    assert [line.id for line in lines] == [record.id for record in records]
    assert {(line.frames, tuple(line.frame_times)) for line in lines} == {(3, (0.0, 0.5, 1.5))}
    assert {(line.tokens_in, line.tokens, line.model, line.diagnosis) for line in lines} == {
        (90, 10, "closed-1", "Celiac disease")
    }
    assert (result.model.kind, result.model.name, result.model.details["address"]) == (
        "server",
        "closed-1",
        server.url,
    )
    assert (result.spent["model"].replies, result.spent["model"].tokens_in) == (2, 180)


def test_blind_questions_show_black_frames(dataset: Path, tmp_path: Path) -> None:
    def behave(request: dict[str, Any], _: int) -> Reply:
        black = all(picture.getextrema() == ((0, 0),) * 3 for picture in pictures(request))
        return said("black" if black else "seen")

    with serve(behave) as server:
        evaluate(server, dataset, tmp_path / "out", "blind=true")
    for name, word in (("predictions", "seen"), ("predictions_blind", "black")):
        lines = read_records(tmp_path / "out" / f"{name}.jsonl", Prediction)
        assert [line.answer for line in lines] == [word, word]


def is_celiac(request: dict[str, Any]) -> bool:
    """Its clips are red, see `curated_folder`."""
    red, *_ = pictures(request)[0].resize((1, 1)).getpixel((0, 0))
    return red > 128


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(500, "down"), "the server answered 500"),
        (said(None, finish="content_filter"), "content filter"),
        (said("", finish="length"), "cut off at its longest length before its first word"),
        (Reply(200, '{"choices": [{"ind', {"Content-Type": "application/json"}), "not a chat completion"),
    ],
)
def test_a_reply_that_is_no_answer_is_null_and_what_was_answered_is_not_asked_again(
    reply: Reply, reason: str, dataset: Path, tmp_path: Path
) -> None:
    records = read_instructions(dataset, ["video"], "test")
    (bad,) = (record for record in records if record.diagnosis != "Celiac disease")

    def behave(request: dict[str, Any], _: int) -> Reply:
        return said("Diagnosis: x") if is_celiac(request) else reply

    with serve(behave) as server:
        with pytest.raises(TooManyRejectsError, match=r"only 50\.0%"):
            evaluate(server, dataset, tmp_path / "out")
        failures = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").open()]
        assert [failure["id"] for failure in failures] == [bad.id]
        assert reason in failures[0]["reason"]
        server.requests.clear()
        server.behave = lambda request, _: said("Diagnosis: y")
        paid_for = reply.status == 200 and '"usage"' in str(reply.body)
        if paid_for:  # such a reply was paid for: it stands, and another one would be paid again
            with pytest.raises(TooManyRejectsError):
                evaluate(server, dataset, tmp_path / "out")
            assert server.requests == []
        else:
            assert evaluate(server, dataset, tmp_path / "out").coverage == 1
            assert [is_celiac(request) for request in server.requests] == [False]


def test_an_answer_at_its_longest_is_marked_as_cut(dataset: Path, tmp_path: Path) -> None:
    with serve(lambda request, _: said("Blunt vil", finish="length")) as server:
        result = evaluate(server, dataset, tmp_path / "out", "max_new_tokens=4")
        assert {request["max_tokens"] for request in server.requests} == {4}
    assert result.variants["full"].cut == 2
    assert any("2 answers are as long as max_new_tokens allows" in note for note in result.notes)


@pytest.mark.parametrize(
    ("status", "message"), [(401, "refuses the key"), (404, "does not know the model 'closed-1'")]
)
def test_what_every_question_would_meet_stops_the_run(
    status: int, message: str, dataset: Path, tmp_path: Path
) -> None:
    with serve(lambda request, _: Reply(status, "{}")) as server, pytest.raises(UserError, match=message):
        evaluate(server, dataset, tmp_path / "out")
    assert not (tmp_path / "out" / "results.json").exists()


def test_a_budget_stops_before_it_is_exceeded_and_the_rest_is_asked_once_it_is_raised(
    dataset: Path, tmp_path: Path
) -> None:
    prices = ("server.price_input=1000", "server.price_output=1000", "server.tokens_per_image=10", "max_new_tokens=10")
    with serve(lambda request, _: said("Diagnosis: x")) as server:
        with pytest.raises(UserError, match=r"the budget of 0\.12 is used up"):
            evaluate(server, dataset, tmp_path / "out", *prices, "server.budget=0.12", "server.concurrency=1")
        assert len(server.requests) == 1
        result = evaluate(server, dataset, tmp_path / "out", *prices, "server.budget=1")
        assert len(server.requests) == 2
    assert result.spent["model"].cost == pytest.approx(0.2)


def test_replies_are_taken_from_the_log_where_the_line_of_the_answer_was_lost(dataset: Path, tmp_path: Path) -> None:
    with serve(lambda request, _: said("Diagnosis: x")) as server:
        evaluate(server, dataset, tmp_path / "out")
        for name in ("predictions.jsonl", "results.json"):
            (tmp_path / "out" / name).unlink()
        evaluate(server, dataset, tmp_path / "out")
        assert len(server.requests) == 2
    assert len(read_records(tmp_path / "out" / "predictions.jsonl", Prediction)) == 2
    assert len(read_records(tmp_path / "out" / "replies.jsonl", LoggedReply)) == 2


def test_no_more_questions_are_under_way_than_allowed_and_a_caller_that_stops_stops_them(
    asks: list[Ask], tmp_path: Path
) -> None:
    from videopath_hf.evaluation.identity import Hashes
    from videopath_hf.evaluation.predictors.opening import identify, open_predictor

    many = [asks[0]._replace(id=str(number), question=f"question {number}") for number in range(20)]
    with serve(lambda request, _: said("x")._replace(delay=0.05)) as server:
        given = settings(server, "server.concurrency=4")
        predictor = open_predictor(
            server.url, given, identify(server.url, given, Hashes()), tmp_path / "replies.jsonl"
        )
        assert all(isinstance(answer, Said) for _, answer in predictor.answer(many))
        assert 2 <= server.most_at_once <= 4
        server.requests.clear()
        more = [ask._replace(question=f"another {ask.id}") for ask in many]
        for _ in predictor.answer(more):
            break
        assert len(server.requests) <= 1 + 2 * 4


def test_media_that_do_not_decode_are_never_sent(asks: list[Ask], tmp_path: Path) -> None:
    from videopath_hf.data.stores import FolderStore
    from videopath_hf.evaluation.identity import Hashes
    from videopath_hf.evaluation.predictors.opening import identify, open_predictor

    (tmp_path / "broken.mp4").write_text("no video")
    found = FolderStore(tmp_path).find("broken.mp4")
    assert found is not None
    with serve(lambda request, _: said("x")) as server:
        given = settings(server)
        predictor = open_predictor(
            server.url, given, identify(server.url, given, Hashes()), tmp_path / "replies.jsonl"
        )
        ((_, answer),) = predictor.answer([Ask("broken", "What?", [("video", found)])])
        assert server.requests == []
    assert isinstance(answer, Failed)
    assert "broken.mp4" in answer.reason


def test_the_name_of_the_model_may_come_from_the_environment_and_its_length_is_set_in_one_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VIDEOPATH_PREDICTOR_MODEL", raising=False)
    with pytest.raises(UserError, match="VIDEOPATH_PREDICTOR_MODEL"):
        server_of("http://host/v1", EvaluateSettings())
    monkeypatch.setenv("VIDEOPATH_PREDICTOR_MODEL", "closed-2")
    server = server_of("http://host/v1", EvaluateSettings(max_new_tokens=77))
    assert (server.model, server.base_url, server.max_tokens) == ("closed-2", "http://host/v1", 77)
    with pytest.raises(UserError, match="the longest answer is set by max_new_tokens"):
        load_settings(EvaluateSettings, None, ["server.base_url=http://host/v1", "server.max_tokens=9"])
