import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.llm.chat_server import ChatServer, Reply, mark, said, serve
from videopath_hf.errors import UserError
from videopath_hf.evaluation.judge import Judge, JudgeSample, JudgeSettings
from videopath_hf.evaluation.judging.agreement import interval_alpha
from videopath_hf.evaluation.judging.panel import score_with

SAMPLES = [JudgeSample(str(n), "Which?", "The reference.", f"{n}") for n in range(4)]
# The worked example of Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): 4 observers, 12 units.
WORKED = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]


def units(rows: list[str]) -> list[list[float]]:
    return [[float(v) for v in column if v != "."] for column in zip(*(row.split() for row in rows), strict=True)]


def test_alpha_of_the_worked_example_is_the_published_one() -> None:
    assert interval_alpha(units(WORKED)) == pytest.approx(0.849, abs=5e-4)


def test_alpha_at_its_ends() -> None:
    assert interval_alpha([[1, 1], [4, 4], [2, 2, 2]]) == 1
    assert interval_alpha([[0, 5], [5, 0]]) == pytest.approx(-0.5)
    assert interval_alpha([[3, 3], [3, 3]]) is None
    assert interval_alpha([[3], [4], []]) is None
    draw = random.Random(0)
    assert interval_alpha([[draw.random(), draw.random()] for _ in range(5000)]) == pytest.approx(0, abs=0.05)


def judge(server: ChatServer, name: str, log: Path | None = None, **values: Any) -> Judge:
    return Judge(JudgeSettings(base_url=server.url, model=name, **values), log)


def by_model(marks: dict[str, list[Any]]) -> Any:
    def behave(request: dict[str, Any], _: int) -> Reply:
        answer = json.loads(request["messages"][1]["content"])["candidate_answer"]
        value = marks[request["model"]][int(answer)]
        return said("prose") if value is None else mark(value, model=request["model"])

    return behave


def test_each_judge_has_its_own_scores_and_their_agreement_is_named(tmp_path: Path) -> None:
    with serve(by_model({"mild": [5, 4, 3, 2], "strict": [4, 3, None, 0]})) as server:
        judges = [judge(server, name, tmp_path / f"{name}.jsonl", aspects=["detail"]) for name in ("mild", "strict")]
        result = score_with(judges, SAMPLES)
    assert [(score.judge, score.value) for score in result.scores] == [
        *(("mild", value) for value in (5, 4, 3, 2)),
        *(("strict", value) for value in (4, 3, None, 0)),
    ]
    assert {name: summary.detail for name, summary in result.summaries.items()} == {"mild": 3.5, "strict": 7 / 3}
    assert result.summaries["strict"].coverage == 0.75
    (agreement,) = result.agreement.values()
    # Over the three answers both scored: 11/3 and 7/3, and differences of 1, 1 and 2.
    assert agreement.by_judge == {"mild": pytest.approx(11 / 3), "strict": pytest.approx(7 / 3)}
    assert agreement.mean == pytest.approx(3)
    assert agreement.spread == pytest.approx(4 / 3)
    assert agreement.alpha == pytest.approx(interval_alpha([[5, 4], [4, 3], [2, 0]]))
    assert (agreement.n, agreement.asked) == (3, 4)


def test_judges_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("name: mine\nversion: 1\nrole: r\nscale: s\naspects: {detail: d}")
    with serve(by_model({})) as server:
        pairs = [
            ([judge(server, "a")], "1 judges are given"),
            ([judge(server, "a"), judge(server, "a")], "two judges have one name"),
            ([judge(server, "a", aspects=["detail"]), judge(server, "b")], "asked for different aspects"),
            (
                [judge(server, "a", aspects=["detail"], protocol=str(mine)), judge(server, "b", aspects=["detail"])],
                "different protocols",
            ),
            ([judge(server, name, tmp_path / "log.jsonl") for name in "ab"], "in use by another run"),
        ]
        for judges, message in pairs:
            with pytest.raises(UserError, match=message):
                score_with(judges, [])
    assert server.requests == []


def test_what_one_judge_answered_is_kept_when_another_cannot_go_on(tmp_path: Path) -> None:
    def behave(request: dict[str, Any], _: int) -> Reply:
        return Reply(404, "{}") if request["model"] == "unknown" else mark(3)._replace(delay=0.05)

    with serve(behave) as server:
        judges = [judge(server, name, tmp_path / f"{name}.jsonl") for name in ("unknown", "known")]
        with pytest.raises(UserError, match="does not know the model 'unknown'"):
            score_with(judges, SAMPLES)
        assert len((tmp_path / "known.jsonl").read_text().splitlines()) == 12
