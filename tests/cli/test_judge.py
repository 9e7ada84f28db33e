import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_main import assert_one_sentence
from tests.evaluation.judging import scripted_judge
from tests.llm.chat_server import ChatServer, Reply, serve
from videopath_hf.files import read_records
from videopath_hf.records import Score


def words(server: ChatServer, out: Path, *more: str) -> list[str | Path]:
    settings = [f"judge.base_url={server.url}", "judge.model=judge-1", "judge.concurrency=16", *more]
    return ["judge", "check", "--out", out, *(word for setting in settings for word in ("--set", setting))]


def test_a_good_judge_passes_and_asks_for_nothing_twice(run: Run, tmp_path: Path) -> None:
    with serve(scripted_judge.good) as server:
        prices = ("judge.price_input=1", "judge.price_output=4")
        code, out, err = run(*words(server, tmp_path / "out", *prices), "--json")
        assert (code, err) == (0, "")
        sent = len(server.requests)
        # Other thresholds are no other run.
        assert (
            run(*words(server, tmp_path / "out", "min_order=1", "judge.price_input=1", "judge.price_output=4"))[0] == 0
        )
        assert len(server.requests) == sent == 75 * 3
    found = json.loads(out)
    assert (found["order_share"], found["injected_share"], found["mean_range"], found["mean_shift"]) == (1, 0, 0, 0)
    assert (found["judge"], found["coverage"], found["violations"]) == ("judge", 1, [])
    assert found["means"]["missing"] == {"correctness": 4, "detail": 1.5, "context": 3.5}
    assert {kind["gain"] for kind in found["injections"]} == {0}
    assert len(found["injections"]) == 10
    # 90 tokens in and 10 out for a request, three requests for an answer.
    assert found["per_100"] == {"requests": 300, "tokens_in": 27000, "tokens_out": 3000, "cost": pytest.approx(0.039)}
    written = json.loads((tmp_path / "out" / "check.json").read_text())
    assert written["failures"] == []
    assert written["order"] == found["order"]
    assert len(read_records(tmp_path / "out" / "scores.jsonl", Score)) == 75 * 3
    page = (tmp_path / "out" / "check.html").read_text()
    assert "Nothing beyond its threshold." in page
    assert "<script" not in page


def test_a_judge_that_obeys_answers_fails_and_is_told_so(run: Run, tmp_path: Path) -> None:
    with serve(scripted_judge.obedient) as server:
        result = run(*words(server, tmp_path / "out"))
    assert result[0] == 3
    last = result[2].strip().splitlines()[-1]
    assert "100% of the answers that address the judge gain by it" in last
    assert "demand" in last
    assert "of the pairs" not in last
    written = json.loads((tmp_path / "out" / "check.json").read_text())
    assert {injection["gained"] for injection in written["injections"]} == {True}
    assert "Not to be relied on as it is" in (tmp_path / "out" / "check.html").read_text()


def test_a_judge_that_finds_everything_fair_has_no_order(run: Run, tmp_path: Path) -> None:
    with serve(scripted_judge.constant) as server:
        code, _, err = run(*words(server, tmp_path / "out"))
    assert code == 3
    assert "of the pairs are in order (min_order is 0.9)" in err
    assert "gain by it" not in err
    assert json.loads((tmp_path / "out" / "check.json").read_text())["order_share"] < 0.5


def test_a_judge_that_contradicts_itself_is_told_so(run: Run, tmp_path: Path) -> None:
    with serve(scripted_judge.moody) as server:
        code, _, err = run(*words(server, tmp_path / "out", "repeats=4"))
    assert code == 3
    assert "the same answer gets scores" in err
    written = json.loads((tmp_path / "out" / "check.json").read_text())
    assert {len(repetition["scores"]) for repetition in written["repetitions"]} == {4}


def test_a_judge_that_gives_no_mark_has_no_figure_and_no_coverage(run: Run, tmp_path: Path) -> None:
    with serve(scripted_judge.talkative) as server:
        code, out, err = run(*words(server, tmp_path / "out", "min_coverage=0"))
    assert code == 3
    assert "coverage: 0.0" in out
    assert "order share: None" in out
    assert "too few scores to measure order, resistance to injections, repeatability, the effect of form" in err
    page = (tmp_path / "out" / "check.html").read_text()
    assert "no number as score: A fine answer" in page
    with serve(scripted_judge.talkative) as server:
        _, _, err = run(*words(server, tmp_path / "strict"))
    assert "only 0.0% of the scores could be had" in err


def test_some_failures_lower_coverage_and_the_rest_is_measured(run: Run, tmp_path: Path) -> None:
    def behave(request: dict[str, object], seen: int) -> Reply:
        return Reply(500, "down") if "Colon" in str(request) else scripted_judge.good(request, seen)

    with serve(behave) as server:
        code, _, err = run(*words(server, tmp_path / "out", "judge.max_retries=0", "judge.max_failures=1000"))
        assert code == 3
        assert "mostly because the server answered 500: down" in err
        assert json.loads((tmp_path / "out" / "check.json").read_text())["order_share"] == 1
        server.behave = scripted_judge.good
        assert run(*words(server, tmp_path / "out"))[0] == 0


def test_a_dry_run_sends_nothing_and_tells_the_price(run: Run, tmp_path: Path) -> None:
    with serve(scripted_judge.good) as server:
        prices = ("judge.price_input=1", "judge.price_output=4", "judge.max_tokens=100")
        code, out, _ = run(*words(server, tmp_path / "out", *prices), "--dry-run", "--json")
        assert code == 0
        assert server.requests == []
    found = json.loads(out)
    assert (found["requests"], found["answered_before"], found["tokens_out"]) == (225, 0, 22500)
    assert found["cost"] == pytest.approx((found["tokens_in"] + 4 * 22500) / 1e6)
    assert not (tmp_path / "out").exists()


def test_mistakes_are_one_sentence_and_leave_nothing_behind(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VIDEOPATH_JUDGE_BASE_URL", "VIDEOPATH_JUDGE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    check = ("judge", "check", "--out", tmp_path / "out")
    assert_one_sentence(run(*check), "VIDEOPATH_JUDGE_BASE_URL")
    with serve(lambda request, _: Reply(401, "{}")) as server:
        assert_one_sentence(run(*words(server, tmp_path / "out")), "refuses the key (401)", "VIDEOPATH_JUDGE_API_KEY")
        assert_one_sentence(run(*words(server, tmp_path / "out", "judge.aspects=[temporal]")), "judge.aspects holds")
        assert_one_sentence(run(*words(server, tmp_path / "out", "min_ordre=1")), "did you mean 'min_order'?")
        assert_one_sentence(run(*words(server, tmp_path / "out", "judge.protocol=mine")), "accepted are videochatgpt")
    assert not (tmp_path / "out").exists()
