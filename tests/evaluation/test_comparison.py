"""Two evaluations compared, and results on a leaderboard: only what may be compared is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Run, run  # noqa: F401  # a fixture
from tests.evaluation.many_records import make_records, write_answers
from tests.llm.chat_server import Reply, mark, serve
from videopath_hf.errors import UserError
from videopath_hf.evaluation.columns import paper_averages
from videopath_hf.evaluation.comparison import compare, read_side
from videopath_hf.evaluation.leaderboard import board, board_markdown, published
from videopath_hf.evaluation.results import EvaluationResult, read_results
from videopath_hf.evaluation.runner import ScoreSettings, score_predictions
from videopath_hf.files import write_json
from videopath_hf.records import InstructionRecord


def behave(request: dict[str, Any], _: int) -> Reply:
    material = json.loads(request["messages"][1]["content"])
    return mark(5 if material["candidate_answer"] == material["reference_answer"] else 1.5)


class Scored:
    """Evaluations of one file of records."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url
        self.data = root / "records.jsonl"
        self.records: list[InstructionRecord] = make_records(self.data)

    def __call__(self, name: str, right: dict[str, float], seed: int = 0, **values: Any) -> Path:
        out = self.root / name
        if not out.exists():
            path = write_answers(self.root / f"{name}.jsonl", self.records, right, seed)
            judge = {"base_url": self.url, "model": "judge-1", **values.pop("judge", {})}
            settings = ScoreSettings.model_validate({"judge": judge, "resamples": 200, **values})
            score_predictions(path, values.pop("data", self.data), out, settings, name)
        return out


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serve(behave) as server:
        yield Scored(tmp_path_factory.mktemp("scored"), server.url)


@pytest.fixture(scope="module")
def weak(scored: Scored) -> Path:
    return scored("weak", {"colon": 0.3, "duodenum": 0.3})


@pytest.fixture(scope="module")
def strong(scored: Scored) -> Path:
    """As the weak one in the duodenum, far better in the colon."""
    return scored("strong", {"colon": 0.95, "duodenum": 0.3})


def test_the_figures_are_the_means_and_the_intervals_hold_them(weak: Path) -> None:
    result, _ = read_results(weak)
    columns = result.variants["full"].columns
    exact, average, norm = (columns[name] for name in ("diagnosis_exact", "judge_avg", "judge_norm_avg"))
    assert exact.value == pytest.approx(np.mean([line == 5 for line in _marks(weak)]))
    assert average.value == pytest.approx(np.mean(_marks(weak)))
    assert norm.value == pytest.approx(20 * average.value)
    for column in (exact, average, norm):
        assert column.low < column.value < column.high
    assert (norm.low, norm.high) == pytest.approx((20 * average.low, 20 * average.high))
    groups = {group.name: group for group in result.variants["full"].organs}
    assert {name: (group.records, group.videos) for name, group in groups.items()} == {
        "colon": (24, 8),
        "duodenum": (24, 8),
    }
    assert sum(group.columns["judge_avg"].value for group in groups.values()) / 2 == pytest.approx(average.value)


def _marks(folder: Path) -> list[float]:
    scores = [json.loads(line) for line in (folder / "scores.jsonl").open()]
    return [score["value"] for score in scores if score["metric"] == "judge_correctness"]


def test_a_difference_that_is_there_is_found_where_it_is_and_not_elsewhere(weak: Path, strong: Path) -> None:
    found = compare(read_side(weak), read_side(strong), 2000)
    columns = {difference.column: difference for difference in found.differences}
    average = columns["judge_avg"]
    assert average.difference == pytest.approx(np.mean(_marks(strong)) - np.mean(_marks(weak)))
    assert average.p is not None and average.p < 0.01
    assert average.low is not None and average.low > 0
    assert average.effect is not None and average.effect > 0.3
    assert columns["judge_norm_avg"].difference == pytest.approx(20 * average.difference)
    assert (average.records, average.videos, average.left_out) == (48, 16, 0)
    assert average.better + average.equal + average.worse == 48
    organs = {(row.organ, row.column): row for row in found.organs}
    assert organs["colon", "judge_avg"].p < 0.05
    assert organs["duodenum", "judge_avg"].difference == 0
    assert organs["duodenum", "judge_avg"].p == 1
    assert found.losses == []
    assert {change.difference for change in found.gains} == {3.5}
    assert len(found.gains) == min(10, average.better)
    assert {record[:3] for record in (change.id for change in found.gains)} <= {f"v{n:02d}" for n in range(0, 16, 2)}


def test_turned_around_it_finds_the_same_with_the_other_sign_and_of_itself_nothing(weak: Path, strong: Path) -> None:
    there, back = (compare(read_side(a), read_side(b), 2000) for a, b in ((weak, strong), (strong, weak)))
    for one, other in zip(there.differences, back.differences, strict=True):
        assert one.difference == pytest.approx(-other.difference)
        assert (one.p, one.better) == (pytest.approx(other.p), other.worse)
    same = compare(read_side(weak), read_side(weak), 2000)
    assert {(difference.difference, difference.p) for difference in same.differences} == {(0, 1)}
    assert same.gains == same.losses == []


def test_pairs_of_other_data_judges_protocols_or_versions_are_refused_in_one_sentence(
    scored: Scored, weak: Path, tmp_path: Path
) -> None:
    fewer = scored("fewer", {"colon": 0.3, "duodenum": 0.3}, limit=40, min_coverage=0.8)
    judge = scored("judge", {"colon": 0.3, "duodenum": 0.3}, judge={"model": "judge-2"})
    warm = scored("warm", {"colon": 0.3, "duodenum": 0.3}, judge={"temperature": 0.7})
    protocol = tmp_path / "strict.yaml"
    import videopath_hf.evaluation.judging.protocol as protocols

    shipped = Path(protocols.__file__).parent / "protocols" / "videopath.yaml"
    protocol.write_text(shipped.read_text().replace("name: videopath", "name: strict", 1))
    other = scored("protocol", {"colon": 0.3, "duodenum": 0.3}, judge={"protocol": str(protocol)})
    unjudged = tmp_path / "unjudged"
    result = score_predictions(scored.root / "weak.jsonl", scored.data, unjudged, ScoreSettings(resamples=100))
    assert result.judge is None
    for place, words in (
        (fewer, "different data .*48 records.*40 records"),
        (judge, "judges differ in model, judge-1 in the first and judge-2 in the second"),
        (warm, r"judges differ in temperature, 0\.0 in the first and 0\.7"),
        (other, "judges differ in protocol"),
        (unjudged, "the first was scored by judge-1 and the second by no judge"),
    ):
        with pytest.raises(UserError, match=rf"cannot be compared: .*{words}"):
            compare(read_side(weak), read_side(place), 100)
    newer = _changed(weak, tmp_path / "newer", lambda data: data["judge"].update(version="judge-1-0613"))
    newest = _changed(weak, tmp_path / "newest", lambda data: data["judge"].update(version="judge-1-0125"))
    with pytest.raises(UserError, match=r"judges differ in version, judge-1-0613 .* judge-1-0125"):
        compare(read_side(newer), read_side(newest), 100)
    media = _changed(weak, tmp_path / "media", lambda data: data["data"].update(media_hash="aa"))
    moved = _changed(weak, tmp_path / "moved", lambda data: data["data"].update(media_hash="bb"))
    with pytest.raises(UserError, match="different media of the same records"):
        compare(read_side(media), read_side(moved), 100)


def _changed(folder: Path, target: Path, change: Any) -> Path:
    target.mkdir()
    for path in folder.glob("*.jsonl"):
        (target / path.name).write_bytes(path.read_bytes())
    data = json.loads((folder / "results.json").read_text())
    change(data)
    write_json(target / "results.json", data)
    return target


def test_columns_that_rest_on_another_encoder_are_left_out_and_records_without_a_pair_counted(
    scored: Scored, weak: Path, tmp_path: Path
) -> None:
    other = _changed(weak, tmp_path / "encoder", lambda data: data["metrics"].update(encoder="another 123"))
    found = compare(read_side(weak), read_side(other), 100)
    assert not any(difference.column.startswith("encoder_") for difference in found.differences)
    assert any("rest on another encoder" in note for note in found.notes)
    lines = (scored.root / "weak.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "part.jsonl").write_text("".join(lines[:36]))
    judge = {"base_url": scored.url, "model": "judge-1"}
    settings = ScoreSettings.model_validate({"judge": judge, "resamples": 100, "min_coverage": 0.5})
    score_predictions(tmp_path / "part.jsonl", scored.data, tmp_path / "part", settings)
    found = compare(read_side(weak), read_side(tmp_path / "part"), 100)
    assert {(difference.records, difference.left_out) for difference in found.differences} == {(36, 12)}
    assert found.coverage == 0.75
    assert any("12 records lack a score in one of the two" in note for note in found.notes)


def test_the_page_shows_both_answers_and_nothing_that_a_model_said_is_markup(
    weak: Path,
    strong: Path,
    tmp_path: Path,
    run: Run,  # noqa: F811
) -> None:
    code, out, err = run("compare", weak, strong, "--out", tmp_path / "compared", "--resamples", "500")
    assert code == 0, err
    assert "A: weak\nB: strong\n" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith(("Context", "Avg", "Norm-Avg"))] == [
        "Context", "Avg", "Norm-Avg",
    ]  # fmt: skip
    page = (tmp_path / "compared" / "compare.html").read_text()
    assert "&lt;b&gt;Normal&lt;/b&gt;" in page and "<b>Normal</b>" not in page
    assert "never advice for care" in page
    assert 'src="http' not in page and "<script" not in page
    data = json.loads((tmp_path / "compared" / "compare.json").read_text())
    assert data["basis"]["judge"]["model"] == "judge-1"
    code, out, err = run("compare", weak, tmp_path, "--json")
    assert (code, out) == (2, "")
    assert "holds no results.json; give a folder that videopath evaluate" in err
    file = tmp_path / "compared" / "compare.json"
    for words, fault in (
        (("compare", weak, strong, "--out", file), "compare.json is a file; give a folder"),
        (("leaderboard", weak, "--out", tmp_path), "is a folder; give the name of a Markdown file"),
    ):
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert fault in err


def test_norm_avg_reproduces_the_papers_fifteen_rows_from_their_aspects() -> None:
    rows = published().rows
    assert len(rows) == 15
    aspects = np.array([[row.context, row.correctness, row.detail] for row in rows])
    average, norm = paper_averages(aspects).T
    # Each aspect is rounded to 0.005, so that their mean may be off by as much, and 20 times it by 0.1.
    assert np.abs(average - [row.avg for row in rows]).max() <= 0.005 + 0.005 + 1e-9
    assert np.abs(norm - [row.norm_avg for row in rows]).max() <= 0.1 + 0.005 + 1e-9
    # Norm-Avg is 20 times Avg before that was rounded: it gives every published Avg.
    assert [round(row.norm_avg / 20 + 1e-9, 2) for row in rows] == [row.avg for row in rows]


def test_the_leaderboard_ranks_only_within_one_judge_protocol_and_data(
    scored: Scored,
    weak: Path,
    strong: Path,
    tmp_path: Path,
    run: Run,  # noqa: F811
) -> None:
    judge = scored("judge", {"colon": 0.3, "duodenum": 0.3}, judge={"model": "judge-2"})
    results = [read_results(place)[0] for place in (weak, judge, strong)]
    tables = board(results)
    assert [len(table.rows) for table in tables] == [15, 2, 1]
    assert tables[0].rows[0][0] == "full method, all the SFT data"
    assert "authors' figures" in tables[0].basis and "2505.04192" in tables[0].basis
    assert [row[:2] for row in tables[1].rows] == [["strong", "1"], ["weak", "2"]]
    assert tables[1].header[2:7] == ["Context", "Correctness", "Detail", "Avg", "Norm-Avg"]
    assert "judge-2" in tables[2].title
    text = board_markdown(tables)
    assert text.count("another judge, protocol or data makes another scale") == 2
    with pytest.raises(UserError, match="given twice"):
        board([results[0], results[0]])
    code, out, _ = run("leaderboard", weak, strong, "--out", tmp_path / "board.md")
    assert code == 0
    assert "| strong | 1 |" in (tmp_path / "board.md").read_text()
    code, out, _ = run("leaderboard")
    assert code == 0
    assert "GPT-4o" in out and "51.60" in out


def test_a_result_that_lacks_scores_is_shown_and_not_ranked(weak: Path, strong: Path) -> None:
    short = read_results(strong)[0].model_copy(update={"coverage": 0.9})
    (_, table) = board([short, read_results(weak)[0]])
    assert [row[:2] for row in table.rows] == [["weak", "1"], ["strong", "-"]]
    assert "90.0%" in table.rows[1]


def test_results_are_read_back_and_a_file_that_is_none_is_named(weak: Path, tmp_path: Path) -> None:
    result, _ = read_results(weak)
    assert EvaluationResult.model_validate_json((weak / "results.json").read_text()) == result
    write_json(tmp_path / "results.json", {"model": "x"})
    with pytest.raises(UserError, match=r"results\.json is not a result of videopath evaluate: model"):
        read_results(tmp_path)
