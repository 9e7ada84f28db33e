"""Models of other families, and ours in batches, asked through their own processors and templates."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.evaluation.stock_models import FAMILIES
from videopath_hf.data.stores import FolderStore
from videopath_hf.errors import UserError
from videopath_hf.evaluation.identity import Hashes
from videopath_hf.evaluation.predictors.base import Ask, Failed, Said
from videopath_hf.evaluation.predictors.batched import BatchedPredictor
from videopath_hf.evaluation.predictors.opening import identify, open_predictor
from videopath_hf.evaluation.predictors.own import OwnPredictor
from videopath_hf.evaluation.settings import EvaluateSettings
from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.video.encode import write_clip

FRAMES = 4


def opened(model: Path, **values: Any) -> Any:
    settings = EvaluateSettings(max_new_tokens=10, device="cpu", dtype="float32", **values)
    return open_predictor(str(model), settings, identify(str(model), settings, Hashes()), model / "unused.jsonl")


def said(predictor: Any, asks: list[Ask]) -> dict[str, Said]:
    found = {ask.id: answer for ask, answer in predictor.answer(asks)}
    assert list(found) and set(found) == {ask.id for ask in asks}
    assert all(isinstance(answer, Said) for answer in found.values()), found
    return found


def words(found: dict[str, Said]) -> dict[str, tuple[str, int | None]]:
    return {name: (answer.text, answer.tokens) for name, answer in found.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_gives_the_answers_of_one_by_one(family: str, stock: dict[str, Path], asks: list[Ask]) -> None:
    single = said(opened(stock[family], predictor="transformers"), asks)
    batch = said(opened(stock[family], predictor="transformers", batch_size=8), asks)
    assert words(batch) == words(single)
    for ask in asks:
        answer = single[ask.id]
        pictures = FRAMES if ask.media[0][0] == "video" else 1
        assert answer.frames == pictures
        assert len(answer.frame_times) == (FRAMES if pictures == FRAMES else 0)
        assert answer.tokens is not None and 1 <= answer.tokens <= 10
        assert answer.tokens_in is not None and answer.tokens_in > len(ask.question.split())
        assert set(answer.seconds) == {"decode", "preprocess", "generate"}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_answer_depends_on_the_pictures_and_blind_ones_do_not(
    family: str, stock: dict[str, Path], asks: list[Ask]
) -> None:
    first, second = asks[0], asks[1]._replace(question=asks[0].question)
    predictor = opened(stock[family], predictor="transformers", batch_size=2)
    seen = said(predictor, [first, second])
    blind = said(predictor, [first._replace(blind=True), second._replace(blind=True)])
    assert seen[first.id].text != seen[second.id].text
    assert blind[first.id].text == blind[second.id].text != seen[first.id].text


def test_a_model_that_takes_no_video_gets_its_frames_as_images_and_one_that_does_gets_times(
    stock: dict[str, Path], asks: list[Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Any, Any]] = []
    for family in ("idefics3", "qwen2_5_vl"):
        predictor = opened(stock[family], predictor="transformers", num_frames=3)
        apply = predictor.processor.apply_chat_template

        def spy(conversations: Any, apply: Any = apply, **options: Any) -> Any:
            given.append((conversations[0][0]["content"], options["processor_kwargs"].get("video_metadata")))
            return apply(conversations, **options)

        with monkeypatch.context() as patch:
            patch.setattr(predictor.processor, "apply_chat_template", spy)
            said(predictor, asks[:1])
    (images, none), (video, metadata) = given
    assert [block["type"] for block in images] == ["image"] * 3 + ["text"]
    assert none is None
    assert [block["type"] for block in video] == ["video", "text"]
    assert video[0]["video"].shape == (3, 48, 64, 3)
    assert (video[0]["video"] == np.stack([block["image"] for block in images[:3]])).all()
    assert (metadata[0][0].total_num_frames, metadata[0][0].fps, metadata[0][0].frames_indices) == (4, 2.0, [0, 1, 3])


def test_our_model_answers_in_a_batch_as_it_does_in_a_session(tiny: Path, asks: list[Ask]) -> None:
    session, batch = opened(tiny), opened(tiny, batch_size=4)
    assert isinstance(session, OwnPredictor)
    assert isinstance(batch, BatchedPredictor)
    one, many = said(session, asks), said(batch, asks)
    assert words(one) == words(many)
    assert [answer.frame_times for answer in one.values()] == [many[name].frame_times for name in one]


def test_an_answer_ends_at_its_end_token_however_long_the_others_of_its_batch_are(
    stock: dict[str, Path], asks: list[Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = opened(stock["qwen2_vl"], batch_size=2)
    tokenizer = predictor.processor.tokenizer
    spoken = ["Blunt villi.", "Blunt villi in all fields of the duodenum."]
    rows = [tokenizer(text + "<|im_end|>")["input_ids"] for text in spoken]
    longest = max(map(len, rows))

    def speak(**inputs: Any) -> torch.Tensor:
        # What comes after the end is padding, or whatever a model that does not stop goes on with.
        filled = [row + tokenizer("more")["input_ids"] * (longest - len(row)) for row in rows]
        said = torch.tensor([row[:longest] for row in filled])
        return torch.cat([inputs["input_ids"], said], dim=1)

    monkeypatch.setattr(predictor.model, "generate", speak)
    answers = said(predictor, [ask for ask in asks if ask.media[0][0] == "video"])
    assert [(answer.text, answer.tokens, answer.cut) for answer in answers.values()] == [
        (text, len(row), False) for text, row in zip(spoken, rows, strict=True)
    ]


def test_videos_of_unequal_length_are_not_stacked_but_answered(
    stock: dict[str, Path], asks: list[Ask], tmp_path: Path
) -> None:
    write_clip(tmp_path / "short.mp4", [np.full((48, 64, 3), number * 40, np.uint8) for number in range(2)], 2.0)
    found = FolderStore(tmp_path).find("short.mp4")
    assert found is not None
    mixed = [*asks[:2], Ask("short", "Which diagnosis?", [("video", found)])]
    answers = said(opened(stock["llava_onevision"], predictor="transformers", batch_size=3), mixed)
    assert [answers[ask.id].frames for ask in mixed] == [4, 4, 2]


def test_what_cannot_be_decoded_fails_by_name_and_the_rest_of_the_batch_is_answered(
    stock: dict[str, Path], asks: list[Ask], tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_text("not a video")
    found = FolderStore(tmp_path).find("broken.mp4")
    assert found is not None
    placeholder = asks[0]._replace(id="placeholder", question="What is <|video_pad|>?")
    batch = [asks[0], Ask("broken", "What?", [("video", found)]), placeholder, asks[1]]
    answers = {ask.id: answer for ask, answer in opened(stock["qwen2_vl"], batch_size=4).answer(batch)}
    broken, refused = answers["broken"], answers["placeholder"]
    assert isinstance(broken, Failed) and "broken.mp4" in broken.reason
    assert isinstance(refused, Failed) and "<|video_pad|>" in refused.reason
    assert isinstance(answers[asks[0].id], Said) and isinstance(answers[asks[1].id], Said)


def test_a_batch_that_does_not_fit_into_memory_is_halved_and_one_that_never_does_stops_the_run(
    stock: dict[str, Path], asks: list[Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = opened(stock["qwen2_vl"], batch_size=3)
    generate, sizes = predictor.model.generate, []

    def scarce(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")
        return generate(**inputs)

    monkeypatch.setattr(predictor.model, "generate", scarce)
    room = 1
    answers = said(predictor, [ask for ask in asks if ask.media[0][0] == "video"])
    assert len(answers) == 2
    assert sizes == [2, 1, 1]
    assert predictor.batch_size == 1
    room = 0
    with pytest.raises(UserError, match=r"does not fit into memory.*lower num_frames"):
        said(predictor, asks[:1])


def test_the_kind_of_checkpoint_is_told_by_its_config_and_can_be_chosen(stock: dict[str, Path], tiny: Path) -> None:
    def kind(model: Path, **values: Any) -> str:
        return identify(str(model), EvaluateSettings(device="cpu", **values), Hashes()).kind

    assert kind(tiny) == kind(stock["llava_onevision"]) == "videopath"
    assert kind(stock["llava_onevision"], predictor="transformers") == "transformers"
    assert kind(stock["idefics3"]) == "transformers"


def test_a_checkpoint_that_cannot_be_asked_says_why(stock: dict[str, Path], tmp_path: Path) -> None:
    def copied(name: str) -> Iterator[Path]:
        folder = tmp_path / name
        folder.mkdir()
        for file in stock["idefics3"].iterdir():
            (folder / file.name).symlink_to(file)
        yield folder

    (silent,) = copied("silent")
    (silent / "chat_template.jinja").unlink()
    with pytest.raises(CheckpointError, match="silent has no chat template"):
        opened(silent)
    (text,) = copied("text")
    (text / "config.json").unlink()
    (text / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(CheckpointError, match="cannot be opened as an image-text-to-text model"):
        opened(text)
    (hollow,) = copied("hollow")
    from safetensors.torch import load_file, save_file

    weights = load_file(hollow / "model.safetensors")
    del weights["model.text_model.layers.0.mlp.up_proj.weight"]
    (hollow / "model.safetensors").unlink()
    save_file(weights, hollow / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks 1 weights, e.g. model\.text_model\.layers\.0\.mlp"):
        opened(hollow)


def test_a_checkpoint_with_code_of_its_own_does_not_run_it_unless_asked(tmp_path: Path) -> None:
    folder = tmp_path / "remote"
    folder.mkdir()
    (folder / "config.json").write_text(
        '{"model_type": "mystery", "auto_map": {"AutoConfig": "code.Config", '
        '"AutoModelForImageTextToText": "code.Model"}}'
    )
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(CheckpointError, match="trust_remote_code=true"):
        opened(folder)
    assert not (tmp_path / "ran").exists()
