"""`videopath instruct` through a server: over HTTP, with faults, killed and gone on with."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.instructions.curated_folder import make_curated
from tests.instructions.scripted_writer import decent, material_of, reply_to, turn_of
from tests.llm.chat_server import ChatServer, Reply, said, serve, streamed
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.pipeline import estimate_instructions, write_instructions
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.files import read_records
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.llm.budget import BudgetError
from videopath_hf.records import InstructionRecord, Reject


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lecture") / "curated"
    make_curated(root)
    return root


def settings(server: ChatServer, writer: str = "vidrip", **values: Any) -> InstructSettings:
    asked = {"base_url": server.url, "model": "m", "max_retries": 0, **values}
    return InstructSettings(writer=writer, server=asked, split_by="clip", test_fraction=0.3)


def records_of(out: Path) -> list[InstructionRecord]:
    return read_records(out / "instructions.jsonl", InstructionRecord)


def unequal(requests: list[dict[str, Any]]) -> int:
    return len({json.dumps(request, sort_keys=True) for request in requests})


@pytest.mark.parametrize(("writer", "asked"), [("clippath", 1), ("vidrip", 2)])
def test_a_server_writes_a_dataset_that_training_reads(curated: Path, tmp_path: Path, writer: str, asked: int) -> None:
    with serve(decent) as server:
        summary = write_instructions(curated, tmp_path / "data", settings(server, writer))
    assert (summary.writer, summary.prompts) == (f"{writer}:m", {writer: 1, "questions": 2})
    assert summary.clips == 7
    assert summary.server is not None
    # Clips of one case have the same words, times and organ: one request serves all of them.
    assert summary.server.requests_sent == unequal(server.requests) == len(server.requests) == 3 * asked
    assert summary.described_from == {"written": 7}
    records = records_of(tmp_path / "data")
    assert {record.writer for record in records} == {f"{writer}:m"}
    (prompt_hash,) = {record.prompt_hash for record in records}
    card = (tmp_path / "data" / "README.md").read_text().splitlines()
    assert any(f"{writer}:m" in line and prompt_hash in line for line in card)
    assert {record.kind for record in records} == {"caption", "image", "clip", "video"}
    for split in ("train", "test"):
        assert read_instructions(tmp_path / "data", ["video"], split)
    video = next(record for record in records if record.id == "lecture_c00003_q0")
    assert video.answer.splitlines()[-1] == "Diagnosis: Melanosis coli"
    assert video.description.startswith("At higher power we find brown granular pigment")


def test_a_server_that_streams_serves_the_command(curated: Path, tmp_path: Path) -> None:
    with serve(lambda request, _: streamed(json.dumps(reply_to(request)))) as server:
        code = "from videopath_hf.cli.main import main; main()"
        command = [sys.executable, "-c", code, "instruct", str(curated), "--out", "data", "--json"]
        command += ["--set", "writer=vidrip", "--set", "split_by=clip", "--set", "server.concurrency=4"]
        environment = {**os.environ, "VIDEOPATH_WRITER_BASE_URL": server.url, "VIDEOPATH_WRITER_MODEL": "m"}
        environment["VIDEOPATH_WRITER_API_KEY"] = "secret"
        run = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
        dry = subprocess.run([*command, "--dry-run"], **run, check=False)
        assert json.loads(dry.stdout)["requests"] == 6, dry.stderr
        assert server.requests == []
        assert not (tmp_path / "data").exists()
        done = subprocess.run(command, **run, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["server"]["requests_sent"] == 6
    assert {headers["authorization"] for headers in server.headers} == {"Bearer secret"}
    assert not any("secret" in path.read_text() for path in (tmp_path / "data").glob("*.json*"))


def test_a_dry_run_bounds_what_the_run_then_costs(curated: Path, tmp_path: Path) -> None:
    with serve(decent) as server:
        priced = settings(server, price_input=2.0, price_output=8.0, max_tokens=400)
        before = estimate_instructions(curated, tmp_path / "data", priced)
        summary = write_instructions(curated, tmp_path / "data", priced)
        after = estimate_instructions(curated, tmp_path / "data", priced)
    assert summary.server is not None
    assert (before.requests, before.answered_before) == (6, 0)
    assert summary.server.requests_sent == 6
    assert before.cost is not None
    assert before.cost == pytest.approx((before.tokens_in * 2 + before.tokens_out * 8) / 1e6)
    assert before.tokens_out == before.requests * 400
    assert 0 < (summary.server.cost or 0) < before.cost
    assert (after.requests, after.cost) == (0, 0)
    with pytest.raises(UserError, match="nothing to estimate"):
        estimate_instructions(curated, tmp_path / "data", InstructSettings())


@pytest.mark.parametrize(("status", "sentence"), [(401, "refuses the key"), (404, "does not know the model 'm'")])
def test_what_stops_every_request_leaves_nothing_behind(
    curated: Path, tmp_path: Path, status: int, sentence: str
) -> None:
    with serve(lambda request, _: Reply(status, "{}")) as server, pytest.raises(UserError, match=sentence):
        write_instructions(curated, tmp_path / "data", settings(server))
    assert not (tmp_path / "data").exists()


def test_a_key_that_expires_on_the_way_leaves_what_is_written(curated: Path, tmp_path: Path) -> None:
    def expire(request: dict[str, Any], _: int) -> Reply:
        return Reply(401, "{}") if len(server.requests) > 4 else decent(request, 0)

    with serve(expire) as server:
        with pytest.raises(UserError, match=r"refuses the key .*holds what is written so far, 6 of 7 clips"):
            write_instructions(curated, tmp_path / "data", settings(server, concurrency=1))
        assert len(records_of(tmp_path / "data")) > 10
        assert not (tmp_path / "data" / "run.json").exists()
        server.behave = decent
        summary = write_instructions(curated, tmp_path / "data", settings(server, concurrency=8))
    assert summary.clips == 7
    assert len(server.paid) == unequal(server.paid) == 6


def test_a_used_up_budget_ends_the_run_cleanly_and_a_higher_one_goes_on(
    curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each request could cost 0.01 and then costs 0.001.
    monkeypatch.setattr("videopath_hf.llm.budget.estimate_tokens", lambda request, settings: 800)
    prices = {"price_input": 10.0, "price_output": 10.0, "max_tokens": 200, "concurrency": 1}
    with serve(decent) as server:
        with pytest.raises(BudgetError, match=r"budget of 0\.0125 is used up.*holds what is written so far"):
            write_instructions(curated, tmp_path / "data", settings(server, budget=0.0125, **prices))
        paid = len(server.paid)
        assert paid == 3
        summary = write_instructions(curated, tmp_path / "data", settings(server, budget=1.0, **prices))
    assert summary.clips == 7
    assert summary.server is not None
    assert summary.server.cost == pytest.approx(6 * 100 * 10 / 1e6)
    assert len(server.paid) == unequal(server.paid) == 6


def test_clips_without_a_reply_are_named_and_asked_for_again(curated: Path, tmp_path: Path) -> None:
    def failing(request: dict[str, Any], _: int) -> Reply:
        return Reply(500, "down") if "surface is smooth" in json.dumps(material_of(request)) else decent(request, 0)

    with serve(failing) as server:
        with pytest.raises(TooManyRejectsError, match="did not answer for 1 of 7 clips"):
            write_instructions(curated, tmp_path / "data", settings(server))
        assert [reject.reason for reject in read_records(tmp_path / "data" / "rejects.jsonl", Reject)] == [
            "no reply: the server answered 500: down"
        ]
        assert len({record.clip_id for record in records_of(tmp_path / "data")}) == 6
        server.behave = decent
        assert write_instructions(curated, tmp_path / "data", settings(server)).clips == 7
        allowed = settings(server).model_copy(update={"min_coverage": 0.5})
        server.behave = failing
        summary = write_instructions(curated, tmp_path / "other", allowed)
    assert summary.rejects == {"no reply": 1}
    assert len(server.paid) == unequal(server.paid) + 4  # the second folder has a log of its own


def test_unusable_replies_are_counted_by_kind_and_the_rest_is_written(curated: Path, tmp_path: Path) -> None:
    def prose(request: dict[str, Any], _: int) -> Reply:
        return said("As you wish.") if "villi" in json.dumps(material_of(request)) else decent(request, 0)

    with serve(prose) as server:
        summary = write_instructions(curated, tmp_path / "data", settings(server))
        sent = len(server.requests)
        assert summary.rejects == {"unusable reply": 3}
        (tmp_path / "data" / ".steps" / "write.json").unlink()
        write_instructions(curated, tmp_path / "data", settings(server))
    assert summary.clips == 4
    assert len(server.requests) == sent == 2 + 4


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Reply(200, None), "no reply: the connection was lost"),
        (said("late")._replace(delay=4), "no reply: the server did not answer in time"),
        (streamed("x" * 99, pause=0.6), "no reply: the server did not answer in time"),
        (streamed("half of it", cut=True), "no reply: the connection was lost"),
        (Reply(429, "", {"Retry-After": "0"}), "no reply: the server answered 429"),
        (Reply(502, "<html>Bad gateway</html>"), "no reply: the server answered 502: <html>Bad gateway</html>"),
        (Reply(200, "<html>Welcome</html>"), "no reply: the server's answer is not a chat completion: <html>"),
        (said("As you wish."), "unusable reply: the reply is not JSON: As you wish. (after one repair turn)"),
        (said('{"findings": [', finish="length"), "unusable reply: the reply was cut off at its longest length"),
        (said(None), "unusable reply: the reply is empty"),
        (Reply(200, '{"choices": []}', JSON), "unusable reply: the server's answer holds no choice"),
    ],
)
def test_whatever_a_server_does_about_one_clip_the_others_are_saved(
    curated: Path, tmp_path: Path, fault: Reply, reason: str
) -> None:
    def behave(request: dict[str, Any], _: int) -> Reply:
        return fault if "surface is smooth" in json.dumps(request["messages"]) else decent(request, 0)

    with serve(behave) as server:
        if reason.startswith("no reply"):
            with pytest.raises(TooManyRejectsError, match=r"1 of 7 clips .*holds the rest, and rejects\.jsonl why"):
                write_instructions(curated, tmp_path / "data", settings(server, timeout=2.5))
        else:
            assert write_instructions(curated, tmp_path / "data", settings(server)).clips == 6
    (reject,) = read_records(tmp_path / "data" / "rejects.jsonl", Reject)
    assert reject.reason.startswith(reason)
    assert len({record.clip_id for record in records_of(tmp_path / "data")}) == 6
    assert (tmp_path / "data" / "replies.jsonl").read_text().count("\n") >= 4


RUN = """
import sys
from pathlib import Path
from videopath_hf.data.pipeline import write_instructions
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.settings import load_settings
server = {"base_url": sys.argv[3], "model": "m", "concurrency": 4, "max_retries": 0}
settings = load_settings(InstructSettings, writer="vidrip", server=server, test_fraction=0)
write_instructions(Path(sys.argv[1]), Path(sys.argv[2]), settings)
"""


def test_killed_in_the_middle_and_run_again_nothing_is_paid_twice(tmp_path: Path) -> None:
    from videopath_hf.files import write_records

    clips = make_curated(tmp_path / "curated")
    # Words of its own for every clip, so that no two requests are equal.
    for number, clip in enumerate(clips):
        words = [item.model_copy(update={"text": f"{item.text[:-1]} {number}."}) for item in clip.transcript]
        clips[number] = clip.model_copy(update={"transcript": words})
    write_records(tmp_path / "curated" / "clips.jsonl", clips)
    command = [sys.executable, "-c", RUN, str(tmp_path / "curated"), str(tmp_path / "data")]
    process: list[subprocess.Popen[bytes]] = []
    lock = threading.Lock()
    kills: list[int] = []

    def behave(request: dict[str, Any], _: int) -> Reply:
        if len(server.paid) < 5:
            return decent(request, 0)
        with lock:
            if not kills:
                time.sleep(0.5)  # what was answered is on its way into the log
                kills.append(process[0].pid)
                os.kill(process[0].pid, signal.SIGKILL)
        return Reply(200, None)

    with serve(behave) as server:
        process.append(subprocess.Popen([*command, server.url]))
        assert process[0].wait() == -signal.SIGKILL
        paid = len(server.paid)
        assert 5 <= paid < 14
        log = tmp_path / "data" / "replies.jsonl"
        assert log.read_bytes().count(b"\n") == paid
        with log.open("ab") as stream:  # a line that was being written
            stream.write(b'{"key": "abc", "te')
        server.behave = decent
        subprocess.run([*command, server.url], check=True)
    assert len(server.paid) == unequal(server.paid) == 14
    assert Counter(map(turn_of, server.paid)) == {"write": 7, "check": 7}
    assert {record.clip_id for record in records_of(tmp_path / "data")} == {clip.clip_id for clip in clips}
