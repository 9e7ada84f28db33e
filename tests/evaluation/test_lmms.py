"""lmms-eval asks our model our questions, and hears what `videopath evaluate` hears."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from videopath_hf.data.folder import read_instructions
from videopath_hf.data.media import media_paths
from videopath_hf.errors import UserError
from videopath_hf.evaluation.lmms.messages import cut, read_messages
from videopath_hf.evaluation.lmms.records import VARIABLE, read_records
from videopath_hf.evaluation.metrics import MetricSettings, aggregate, score_without_judge
from videopath_hf.evaluation.runner import EvaluateSettings, evaluate_model
from videopath_hf.records import InstructionRecord

TASKS = Path(__file__).parents[2] / "videopath_hf" / "evaluation" / "lmms" / "tasks"


def publish(dataset: Path, folder: Path) -> None:
    """What `videopath push dataset` uploads as layout parquet, in a folder: clips inside their rows."""
    from datasets import Dataset, Features, Video

    from videopath_hf.data.table import COLUMNS, row

    records = read_instructions(dataset, ["video"], "test")
    rows: list[dict[str, Any]] = [
        {**row(record), "video": {"bytes": media_paths(dataset, record)[0].read_bytes(), "path": None}}
        for record in records
    ]
    (folder / "data").mkdir(parents=True)
    features = Features({"video": Video(decode=False), **COLUMNS})
    Dataset.from_list(rows, features=features).to_parquet(folder / "data" / "test-00000-of-00001.parquet")


def test_records_of_a_folder_and_of_what_was_published_are_the_same_with_their_media_as_files(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(dataset, tmp_path / "published")
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "home"))
    found: list[list[InstructionRecord]] = []
    for place in (dataset, tmp_path / "published"):
        monkeypatch.setenv(VARIABLE, str(place))
        found.append(list(read_records("video", "test")))
    for one, other in zip(*found, strict=True):
        for name in ("id", "question", "answer", "description", "diagnosis", "kind", "split"):
            assert getattr(one, name) == getattr(other, name)
        paths = [Path(record.media[0].path) for record in (one, other)]
        assert all(path.is_absolute() for path in paths)
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_place_that_is_not_said_or_holds_nothing_of_the_kind_is_named(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UserError, match="set VIDEOPATH_DATA to a dataset folder"):
        list(read_records("video", "test"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="nothing"):
        list(read_records("video", "test"))


def test_messages_of_tasks_are_read_in_order_and_what_cannot_be_asked_is_refused() -> None:
    shown = [{"type": "video", "url": "a.mp4"}, {"type": "text", "text": "What"}, {"type": "image", "url": "b.jpg"}]
    asked = [{"role": "user", "content": [*shown, {"type": "text", "text": "now?"}]}]
    assert read_messages(asked) == (["a.mp4", "b.jpg"], "What\nnow?")
    for messages, reason in (
        ([{"role": "system", "content": []}, *asked], "one turn of a user"),
        ([{"role": "user", "content": [{"type": "audio", "url": "a.wav"}]}], "the task shows audio"),
        ([{"role": "user", "content": [{"type": "text", "text": "Hello"}]}], "the task shows none"),
    ):
        with pytest.raises(UserError, match=reason):
            read_messages(messages)


def test_an_answer_ends_where_a_task_wants_it_to() -> None:
    assert cut("one\n\ntwo", ()) == "one\n\ntwo"
    assert cut("one\n\ntwo. three", ("three", "\n\n")) == "one"


@pytest.mark.slow
def test_lmms_eval_hears_the_answers_that_our_evaluation_hears(tiny: Path, dataset: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("lmms_eval") is None:
        pytest.skip("lmms-eval is not installed (the extra `lmms-eval`)")
    if importlib.util.find_spec("filelock._api") is None:
        pytest.skip("lmms-eval 0.7.3 does not start with filelock 4")
    environment = {**os.environ, VARIABLE: str(dataset), "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    words = ["--model", "videopath", "--model_args", f"pretrained={tiny}", "--tasks", "vidrip_test"]
    place = ["--include_path", str(TASKS), "--output_path", str(tmp_path / "theirs"), "--log_samples"]
    done = subprocess.run(
        [sys.executable, "-m", "lmms_eval", *words, *place, "--gen_kwargs", "max_new_tokens=24", "--batch_size", "1"],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (samples,) = (tmp_path / "theirs").rglob("*_samples_vidrip_test.jsonl")
    rows = sorted(map(json.loads, samples.read_text().splitlines()), key=lambda row: int(row["doc_id"]))
    said = [row["filtered_resps"] for row in rows]
    theirs = [answer if isinstance(answer, str) else answer[0] for answer in said]
    evaluate_model(tiny, dataset, tmp_path / "ours", EvaluateSettings(max_new_tokens=24))
    lines = map(json.loads, (tmp_path / "ours" / "predictions.jsonl").read_text().splitlines())
    ours = {line["id"]: line["answer"] for line in lines}
    records = read_instructions(dataset, ["video"], "test")
    assert len(theirs) == 2
    assert theirs == [ours[record.id] for record in records]
    assert any(theirs), "an answer that is empty says nothing"
    (results,) = (tmp_path / "theirs").rglob("*_results.json")
    figures = json.loads(results.read_text())["results"]["vidrip_test"]
    scores = score_without_judge(records, ours, MetricSettings(encoder=None))
    for metric in ("rougeL", "bleu", "diagnosis_exact", "diagnosis_synonym", "finding_recall"):
        mean = aggregate(score for score in scores if score.metric == metric)
        assert figures.get(f"{metric},none") == (None if mean.value is None else pytest.approx(mean.value)), metric
