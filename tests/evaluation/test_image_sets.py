"""A published set of questions about images goes through `videopath evaluate`."""

import json
from pathlib import Path

import pytest
from PIL import Image

from videopath_hf.data.convert import convert
from videopath_hf.data.formats.registry import format_named
from videopath_hf.data.sources import open_source
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.evaluation.runner import EvaluateSettings, evaluate_model
from videopath_hf.records import Answer


def test_each_question_is_scored_by_its_kind_and_only_by_that(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (40, 30), (200, 120, 160)).save(tmp_path / "a.jpg")
    closed = {"image": "a.jpg", "answer_type": "CLOSED"}
    entries = [
        {"id": 1, "image": "a.jpg", "question": "What?", "answer": "Goblet cells", "answer_type": "OPEN"},
        {"id": 2, **closed, "question": "Is it?", "answer": "It is.", "yes_no_answer": "Yes"},
        {"id": 3, **closed, "question": "Or?", "answer": "No.", "yes_no_answer": "No"},
    ]
    (tmp_path / "quilt.json").write_text(json.dumps(entries))
    convert(open_source(tmp_path / "quilt.json"), tmp_path / "data", format_named("videopath"))
    ask, said = Answerer.ask, {"What?": "cells", "Is it?": "Yes.", "Or?": "Perhaps."}

    def answer(self: Answerer, media: list[Path], question: str, **kwargs: object) -> Answer:
        return ask(self, media, question, **kwargs).model_copy(update={"answer": said[question]})  # type: ignore[arg-type]

    monkeypatch.setattr(Answerer, "ask", answer)
    settings = EvaluateSettings(max_new_tokens=4, kinds=("image",))
    columns = evaluate_model(str(tiny), tmp_path / "data", tmp_path / "out", settings).variants["full"].columns
    assert {name: (column.value, column.n, column.scored) for name, column in columns.items()} == {
        "answer_word_recall": (0.5, 1, 1),
        "yes_no_accuracy": (0.5, 2, 2),
    }
