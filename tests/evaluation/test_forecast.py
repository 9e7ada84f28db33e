"""What would be asked, before anything is."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, run  # noqa: F401  # a fixture
from tests.llm.chat_server import mark, said, serve
from videopath_hf.data.folder import read_instructions


def test_a_dry_run_counts_requests_and_their_price_and_asks_nothing(
    run: Run,  # noqa: F811
    dataset: Path,
    tmp_path: Path,
) -> None:
    with serve(lambda request, _: said("Diagnosis: x") if request["model"] == "m" else mark(2)) as server:
        sets = [
            "server.model=m", "server.price_input=10", "server.price_output=20", "server.tokens_per_image=100",
            "num_frames=4", "max_new_tokens=50", f"judge.base_url={server.url}", "judge.model=j", "blind=true",
        ]  # fmt: skip
        words = ["evaluate", "--model", server.url, "--data", dataset, "--out", tmp_path / "out", "--json"]
        words += [word for value in sets for word in ("--set", value)]
        code, out, err = run(*words, "--dry-run")
        assert code == 0, err
        found = json.loads(out)
        assert server.requests == []
        assert not (tmp_path / "out").exists()
        assert (found["records"], found["questions"], found["answered_before"]) == (2, 4, 0)
        asked = found["model_requests"]
        assert (asked["requests"], asked["tokens_out"]) == (4, 4 * 50)
        assert 4 * 4 * 100 < asked["tokens_in"] < 4 * 4 * 100 + 400
        assert asked["cost"] == pytest.approx((asked["tokens_in"] * 10 + asked["tokens_out"] * 20) / 1e6)
        assert found["judge_requests"]["requests"] == 6  # blind and not, the answers to come are taken for the same
        code, _, err = run(*words)
        assert code == 0, err
        sent = len(server.requests)
        code, out, _ = run(*words, "--dry-run")
        again = json.loads(out)
        assert len(server.requests) == sent
        assert (again["answered_before"], again["model_requests"]["requests"]) == (4, 0)
        assert (again["judge_requests"]["requests"], again["judge_requests"]["answered_before"]) == (0, 6)


def test_a_dry_run_of_scoring_knows_the_answers_and_what_is_wrong_with_them(
    run: Run,  # noqa: F811
    dataset: Path,
    tmp_path: Path,
) -> None:
    record = read_instructions(dataset, ["video"], "test")[0]
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": record.id, "answer": "x"}) + "\n")
    sets = ["--set", "judge.base_url=http://localhost:1/v1", "--set", "judge.model=j"]
    code, out, err = run(
        "score", tmp_path / "a.jsonl", "--data", dataset, "--out", tmp_path / "out", "--dry-run", "--json", *sets
    )
    assert code == 0, err
    found = json.loads(out)
    assert (found["records"], found["answers"], found["problems"]) == (2, 1, 1)
    assert found["judge_requests"]["requests"] == 3
    assert not (tmp_path / "out").exists()
