import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, run  # noqa: F401  # a fixture
from tests.evaluation.many_records import make_records, write_answers
from tests.llm.chat_server import Reply, mark, serve
from videopath_hf.errors import UserError
from videopath_hf.evaluation.judging.agreement import read_agreement
from videopath_hf.evaluation.runner import ScoreSettings, score_predictions

PROTOCOL = "name: mine\nversion: 1\nrole: r\nscale: s\naspects: {detail: d, context: c}"


def behave(request: dict[str, Any], _: int) -> Reply:
    """The mild judge gives a right answer 5 and another 2, the strict one 4 and 0, the other one anything."""
    asked = json.loads(request["messages"][1]["content"])
    right = asked["candidate_answer"] == asked["reference_answer"]
    marks = {"mild": (5, 2), "strict": (4, 0)}.get(request["model"])
    value = marks[not right] if marks else random.Random(str(asked)).choice((0, 5))
    return mark(value, model=request["model"])


class Judged:
    """Folders of one file's answers, scored by judges of several names."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url
        self.data = root / "records.jsonl"
        records = make_records(self.data, videos=6)
        self.answers = write_answers(root / "answers.jsonl", records, {"colon": 0.5, "duodenum": 0.5})
        self.others = write_answers(root / "others.jsonl", records, {"colon": 0.5, "duodenum": 0.5}, seed=1)

    def by(self, model: str, answers: Path | None = None, **judge: Any) -> Path:
        out = self.root / f"scores {len(list(self.root.iterdir()))}"
        values = {"base_url": self.url, "model": model, "aspects": ["detail", "context"], **judge}
        settings = ScoreSettings.model_validate({"judge": values, "resamples": 100})
        score_predictions(answers or self.answers, self.data, out, settings, "a model")
        return out


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Judged]:
    with serve(behave) as server:
        yield Judged(tmp_path, server.url)


def test_means_spread_and_agreement_of_judges_of_the_same_answers(
    judged: Judged,
    run: Run,  # noqa: F811
) -> None:
    folders = [judged.by("mild"), judged.by("strict")]
    found = read_agreement(folders)
    assert (found.model, found.judges, found.protocol) == ("a model", ["mild", "strict"], "videopath")
    assert list(found.aspects) == ["detail", "context"]
    detail = found.aspects["detail"]
    right = sum("<b>" not in line for line in judged.answers.read_text().splitlines())
    mean = {"mild": (5 * right + 2 * (18 - right)) / 18, "strict": 4 * right / 18}
    assert detail.by_judge == {name: pytest.approx(value) for name, value in mean.items()}
    assert detail.mean == pytest.approx(sum(mean.values()) / 2)
    assert detail.spread == pytest.approx((right + 2 * (18 - right)) / 18)
    assert detail.alpha is not None and detail.alpha > 0.5
    assert (detail.n, detail.asked) == (18, 18)
    chance = read_agreement([folders[0], judged.by("other")]).aspects["detail"].alpha
    assert chance is not None and chance < 0.5

    code, out, _ = run("judge", "agree", *folders)
    assert code == 0
    assert out.splitlines()[0].startswith("Answers of a model, protocol videopath (")
    assert " ".join(out.splitlines()[2].split()) == "aspect mild strict mean spread alpha scored by all"
    assert "18 of 18" in out
    assert json.loads(run("judge", "agree", *folders, "--json")[1]) == found.model_dump(mode="json")


def test_folders_that_do_not_go_together_are_refused_in_one_sentence(
    judged: Judged,
    tmp_path: Path,
    run: Run,  # noqa: F811
) -> None:
    mild = judged.by("mild")
    protocol = tmp_path / "mine.yaml"
    protocol.write_text(PROTOCOL)
    plain = tmp_path / "plain"
    score_predictions(judged.answers, judged.data, plain, ScoreSettings(resamples=100))
    for others, reason in (
        ([], "1 folder is given"),
        ([plain], "holds no judge's scores"),
        ([judged.by("strict", judged.others)], "the answers differ"),
        ([judged.by("strict", protocol=str(protocol))], "the protocols differ"),
        ([judged.by("mild", temperature=0.5)], "mild has scored both"),
        ([judged.by("strict", aspects=["correctness"])], "no aspect that all of"),
    ):
        with pytest.raises(UserError, match=reason):
            read_agreement([mild, *others])
    code, out, err = run("judge", "agree", mild, plain)
    assert (code, out) == (2, "")
    assert "plain holds no judge's scores; set one" in err.splitlines()[-1]
