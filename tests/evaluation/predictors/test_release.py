"""A model of another family on test records as the authors release theirs: a JSON list and a zip."""

import json
import zipfile
from pathlib import Path

import pytest

from videopath_hf.data.folder import read_instructions
from videopath_hf.errors import TooManyRejectsError
from videopath_hf.evaluation.predictors.batched import BatchedPredictor
from videopath_hf.evaluation.runner import EvaluateSettings, evaluate_model
from videopath_hf.files import read_records
from videopath_hf.records import Prediction


def test_an_open_model_is_evaluated_in_batches_on_the_release_and_goes_on_where_it_stopped(
    stock: dict[str, Path], dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = read_instructions(dataset, ["video"], "test")
    archive, path = tmp_path / "videos.zip", tmp_path / "test.json"
    with zipfile.ZipFile(archive, "w") as stream:
        for record in records:
            stream.write(dataset / record.media[0].path, f"release/Test_Videos/{record.clip_id}.mp4")
        stream.writestr("release/Test_Videos/broken.mp4", "not a video")
    entries = [
        {"video_name": record.clip_id, "question": record.question, "answer": record.answer, "question_id": record.id}
        for record in records
    ]
    broken = {"video_name": "broken", "question": "What?", "answer": "x", "question_id": "broken"}
    path.write_text(json.dumps([entries[0], broken, entries[1]]))
    settings = EvaluateSettings(max_new_tokens=5, device="cpu", batch_size=3, num_frames=2, resamples=100)
    with pytest.raises(TooManyRejectsError, match=r"only 66\.7%"):
        evaluate_model(stock["qwen2_5_vl"], path, tmp_path / "out", settings, [archive])
    lines = read_records(tmp_path / "out" / "predictions.jsonl", Prediction)
    assert [(line.id, line.frames, line.frame_times) for line in lines] == [
        (record.id, 2, [0.0, 1.5]) for record in records
    ]
    failure = json.loads((tmp_path / "out" / "failures.jsonl").read_text())
    assert failure["reason"].startswith(f"{archive}:release/Test_Videos/broken.mp4")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "the 2 frames the model saw, at 0.0, 1.5 s" in page

    asked: list[str] = []
    answer = BatchedPredictor.answer

    def spy(self: BatchedPredictor, asks: list[object]) -> object:
        asked.extend(ask.id for ask in asks)  # type: ignore[attr-defined]
        return answer(self, asks)  # type: ignore[arg-type]

    monkeypatch.setattr(BatchedPredictor, "answer", spy)
    allowed = settings.model_copy(update={"min_coverage": 0.5, "batch_size": 1})
    result = evaluate_model(stock["qwen2_5_vl"], path, tmp_path / "out", allowed, [archive])
    assert asked == ["broken"]  # only what failed is tried again, in batches of any size
    assert (result.model.kind, result.data.records, result.coverage) == ("transformers", 3, pytest.approx(2 / 3))
    assert result.data.media_hash is not None
