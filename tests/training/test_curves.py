"""What is measured while training, and the page that shows it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from videopath_hf.files import write_text
from videopath_hf.training.curves import collect_curves, read_log, write_page
from videopath_hf.training.evaluating import Round, Said
from videopath_hf.training.metering import SPEEDS
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage

PARTS = {"full": {"vision_tower", "projector", "language_model"}, "lora": {"vision_tower", "projector", "lora"}}


@pytest.mark.parametrize("language_model", PARTS)
def test_every_step_has_its_gradients_by_part_its_rates_its_tokens_and_its_waiting(
    language_model: str, recipe: Callable[..., Recipe]
) -> None:
    parts = {"projector": True, "vision_tower": True, "language_model": language_model}
    rates = {"learning_rate": 1e-3, "vision_learning_rate": 1e-4, "max_grad_norm": 0.01, "warmup_ratio": 0.0}
    result = run_stage(recipe(trainable=parts, optimisation=rates))
    lines = read_log(result.out / "log.jsonl")
    assert len(lines) == 2
    for line in lines:
        norms = {key.removeprefix("grad_norm/"): value for key, value in line.items() if key.startswith("grad_norm/")}
        assert set(norms) == PARTS[language_model]
        # Taken before clipping: together they are the norm of all.
        assert sum(norm**2 for norm in norms.values()) ** 0.5 == pytest.approx(line["grad_norm"], rel=1e-4)
        assert line["vision_learning_rate"] == pytest.approx(line["learning_rate"] / 10)
        assert line["visual_tokens_per_second"] > line["supervised_tokens_per_second"] > 0
        assert 0 < line["data_wait"] < 1
    page = (result.out / "training.html").read_text()
    for text in ("gradient norm", "learning rate", "tokens a second", "share of time waiting for data", "2</b>steps"):
        assert text in page


def test_tokens_are_counted_by_what_they_are(recipe: Callable[..., Recipe], data: Path, processor: object) -> None:
    from videopath_hf.data.folder import read_instructions
    from videopath_hf.training.build import make_collator
    from videopath_hf.training.metering import Meter

    chosen = recipe()
    records = read_instructions(data, ["video"], "train")
    batch = make_collator(processor, chosen, data).collate(records[:2])  # type: ignore[arg-type]
    meter = Meter([processor.image_token_id, processor.video_token_id])  # type: ignore[attr-defined]
    meter.fetch([batch, batch], 0.0)
    supervised = sum(len(processor.tokenizer(record.answer).input_ids) + 1 for record in records[:2])  # type: ignore[attr-defined]
    assert meter._tokens == [2 * supervised, 2 * 2 * (4 * 4 * 4 + 1)]  # four frames of 4 x 4, one newline


def lines_of(steps: int) -> list[dict[str, float]]:
    speeds = dict.fromkeys(SPEEDS, 0.5)
    return [
        {"step": step, "loss": 1 / step, "grad_norm": 2.0, "grad_norm/lora": 1.0, "learning_rate": 1e-4, **speeds}
        for step in range(1, steps + 1)
    ]


def test_long_runs_are_drawn_as_means_of_some_steps_with_nothing_left_out() -> None:
    curve = collect_curves(lines_of(29_675), [])["loss (nats a token)"]["loss"]
    assert len(curve) <= 600 and curve[-1][0] == 29_675
    assert curve[0][1] == pytest.approx(sum(1 / step for step in range(1, 51)) / 50)


def test_the_page_needs_no_network_escapes_what_a_model_says_and_shows_the_best_and_the_last_round(
    tmp_path: Path,
) -> None:
    write_text(tmp_path / "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines_of(40)) + '{"cut off')

    def said(answer: str, right: bool) -> Said:
        return Said(id="clip-1", question="What is it?", answer=answer, reference="Diagnosis: adenoma", right=right)

    rounds = [
        Round(step=20, accuracy=1.0, answers=[said("<script>alert(1)</script>", True)]),
        Round(step=40, accuracy=0.0, answers=[said("no idea", False)]),
    ]
    write_text(tmp_path / "evaluations.jsonl", "".join(f"{found.model_dump_json()}\n" for found in rounds))
    page = write_page(tmp_path, "stage 3 (video_sft)").read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "Best round: step 20, 100% right" in page and "Last round: step 40, 0% right" in page
    assert page.index("Last round") < page.index("Best round")
    assert "Diagnosis: adenoma" in page and "wrong diagnosis" in page
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page) and "@import" not in page


def test_curves_go_to_tensorboard_too_where_it_is_installed(recipe: Callable[..., Recipe]) -> None:
    pytest.importorskip("tensorboard")
    result = run_stage(recipe(report_to="tensorboard"))
    assert list((result.out / "tensorboard").glob("events.out.*"))
