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


def test_a_curve_of_many_steps_is_drawn_with_its_running_mean_and_a_short_one_as_it_is() -> None:
    from videopath_hf.reporting.figures import _running_mean, line_panels

    def lines(steps: int) -> int:
        points = [(step, float(step % 2)) for step in range(steps)]
        return line_panels({"loss": {"loss": points}}, {}).count('stroke-linecap: square"')

    assert lines(400) == lines(40) + 1
    assert _running_mean([0, 2, 0, 2, 0, 2], 2)[1:] == pytest.approx([1] * 5)


def test_the_page_shows_what_learns_how_long_samples_are_and_what_was_left_out(tmp_path: Path) -> None:
    parameters = {"projector": {"trainable": 28_928, "total": 28_928}, "vision_tower": {"trainable": 0, "total": 9}}
    histogram = [{"low": 0, "high": 64, "samples": 0}, {"low": 64, "high": 128, "samples": 7}]
    dropped = [{"id": "long-1", "reason": "9 tokens are more than max_length = 8"}]
    start = {"samples": 7, "parameters": parameters, "histogram": histogram, "memory": {"total": 2e9}}
    write_text(tmp_path / "preflight.json", json.dumps({**start, "dropped": dropped}))
    write_text(tmp_path / "quarantine.jsonl", '{"id": "<b>", "reason": "clip.mp4 cannot be read"}\n')
    write_text(tmp_path / "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines_of(3)))
    page = write_page(tmp_path, "stage 0 (alignment)").read_text()
    assert "7</b>samples, 2 left out" in page
    assert page.count("28,928") == 2 and "frozen" in page and "2 GB" in page
    assert ">65<" in page and ">1<" not in page.split("Tokens a sample")[1].split("</table>")[0]
    assert "9 tokens are more than max_length = 8" in page and "clip.mp4 cannot be read" in page
    assert "&lt;b&gt;" in page


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


@pytest.mark.parametrize("tracker", ["tensorboard", "trackio", "wandb"])
def test_curves_go_to_a_tracker_too_where_it_is_installed_and_nothing_to_stdout(
    tracker: str,
    recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    kept = {"tensorboard": tmp_path / "out/tensorboard", "trackio": tmp_path / "trackio", "wandb": tmp_path / "wandb"}
    monkeypatch.setenv("TRACKIO_DIR", str(kept["trackio"]))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    pytest.importorskip(tracker)
    capfd.readouterr()
    run_stage(recipe(report_to=tracker))
    assert capfd.readouterr().out == ""
    names = {"tensorboard": "events.out.*", "trackio": "*.db", "wandb": "run-*.wandb"}
    (found,) = kept[tracker].rglob(names[tracker])
    assert b"data_wait" in found.read_bytes() and b"vision_tower" in found.read_bytes()
