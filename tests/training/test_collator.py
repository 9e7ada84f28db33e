"""Batches: labels on the assistant's words only, nothing cut, broken samples named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from videopath_hf.data.folder import read_instructions
from videopath_hf.records import InstructionRecord
from videopath_hf.training.collator import IGNORED, SampleError, VideoPathCollator
from videopath_hf.training.encoded import PIXELS, Media, Sample, SampleCache
from videopath_hf.video.encode import write_clip


def labelled_text(processor: Any, batch: dict[str, Any], row: int) -> str:
    labels = batch["labels"][row]
    return str(processor.tokenizer.decode(labels[labels != IGNORED]))


@pytest.fixture
def make(processor: Any, data: Path) -> Callable[..., VideoPathCollator]:
    def build(**options: Any) -> VideoPathCollator:
        return VideoPathCollator(processor, data, **{"num_frames": 4, **options})

    return build


def first(data: Path, kind: str, count: int = 1) -> list[InstructionRecord]:
    return read_instructions(data, [kind], "train")[:count]


@pytest.mark.parametrize("kind", ["image", "clip", "video"])
def test_labels_are_the_assistants_words_and_its_end_token(
    kind: str, data: Path, processor: Any, make: Callable[..., VideoPathCollator]
) -> None:
    records = first(data, kind, 2)
    batch = make().collate(records)
    for row, record in enumerate(records):
        assert labelled_text(processor, batch, row) == f"{record.answer}<|im_end|>"
    assert torch.equal(batch["labels"][batch["labels"] != IGNORED], batch["input_ids"][batch["labels"] != IGNORED])


def test_the_plain_template_is_image_caption_and_line_break_and_masks_the_image_only(
    data: Path, processor: Any, make: Callable[..., VideoPathCollator]
) -> None:
    (record,) = first(data, "caption")
    batch = make(template="plain").collate([record])
    ids, labels = batch["input_ids"][0], batch["labels"][0]
    image = ids == processor.image_token_id
    assert torch.equal(labels == IGNORED, image)
    assert processor.tokenizer.decode(ids[~image]) == f"{record.answer}\n"


def test_several_turns_are_all_labelled(data: Path, processor: Any, make: Callable[..., VideoPathCollator]) -> None:
    (record,) = first(data, "image")
    asked = {"role": "user", "content": "Are you sure?"}
    answered = {"role": "assistant", "content": "Yes."}
    record = record.model_copy(update={"messages": [*record.messages, asked, answered]})
    text = labelled_text(processor, make().collate([record]), 0)
    assert text == f"{record.answer}<|im_end|>Yes.<|im_end|>"


def test_a_batch_is_what_the_processor_makes_of_the_conversations_together(
    data: Path, processor: Any, make: Callable[..., VideoPathCollator]
) -> None:
    records = [*first(data, "image", 2), *first(data, "video", 2)]
    words = [*records[0].messages[:-1], {"role": "assistant", "content": "Short."}]
    records[0] = records[0].model_copy(update={"messages": words})
    batch = make().collate(records)
    conversations = [json.loads(json.dumps(record.messages)) for record in records]
    for messages in conversations:
        messages[0]["content"][0]["path"] = str(data / messages[0]["content"][0]["path"])
    expected = processor.apply_chat_template(
        conversations,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "right", "num_frames": 4},
    )
    assert set(batch) == {*expected, "labels", "sample_ids"}
    for key, value in expected.items():
        assert torch.equal(batch[key], value), key


def test_clips_of_different_length_share_a_batch(data: Path, processor: Any, tmp_path: Path) -> None:
    (record,) = first(data, "video")
    records = []
    for frames in (2, 5):
        write_clip(tmp_path / f"{frames}.mp4", np.full((frames, 64, 64, 3), 90, dtype=np.uint8), fps=2)
        messages = json.loads(json.dumps(record.messages))
        messages[0]["content"][0]["path"] = f"{frames}.mp4"
        records.append(record.model_copy(update={"id": str(frames), "messages": messages}))
    collator = VideoPathCollator(processor, tmp_path)
    batch = collator.collate(records)
    assert batch["video_num_frames"].tolist() == [2, 5]
    assert batch["attention_mask"].sum(dim=1).tolist() == [collator.encode(r)["labels"].shape[1] for r in records]
    assert not batch["pixel_values_videos"][0, 2:].any()


def test_a_sample_without_a_word_to_train_on_is_named(data: Path, make: Callable[..., VideoPathCollator]) -> None:
    (record,) = first(data, "image")
    record = record.model_copy(update={"messages": record.messages[:1]})
    with pytest.raises(SampleError, match=f"sample {record.id}: none of its tokens would be trained on"):
        make().collate([record])


def test_a_sample_over_the_length_is_named_with_its_length_and_never_cut(
    data: Path, make: Callable[..., VideoPathCollator]
) -> None:
    (record,) = first(data, "image")
    length = make().encode(record)["input_ids"].shape[1]
    assert make(max_length=length).encode(record)["input_ids"].shape[1] == length
    with pytest.raises(SampleError, match=f"sample {record.id}: {length} tokens are more than max_length = 40"):
        make(max_length=40).collate([record])


@pytest.mark.parametrize("name", ["broken.mp4", "broken.jpg"])
def test_a_broken_medium_is_named_with_its_sample(name: str, data: Path, processor: Any, tmp_path: Path) -> None:
    kind = "video" if name.endswith("mp4") else "image"
    (record,) = first(data, kind)
    messages = json.loads(json.dumps(record.messages))
    messages[0]["content"][0]["path"] = name
    whole = (data / record.media[0].path).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    collator = VideoPathCollator(processor, tmp_path, num_frames=4)
    with pytest.raises(SampleError, match=rf"sample {record.id}: .*{name} cannot be read"):
        collator.collate([record.model_copy(update={"messages": messages})])


def test_the_cache_keeps_what_fits_and_forgets_what_was_used_longest_ago() -> None:
    cache = SampleCache(capacity=208)
    nothing = Media({}, {}, {"image": [], "video": []}, [])
    one = Sample(torch.zeros(5, dtype=torch.int64), torch.zeros(5, dtype=torch.int64), nothing)
    tile = np.zeros((2, 4, 3), dtype=np.uint8)
    shown = one._replace(media=nothing._replace(tiles={PIXELS: [[tile]]}))
    assert (one.nbytes, shown.nbytes) == (80, 104)
    one = shown
    cache.put("a", one)
    cache.put("b", one)
    assert cache.get("a") is one
    cache.put("c", one)
    assert cache.get("b") is None and cache.get("a") is one and cache.get("c") is one
    cache.put("large", one._replace(ids=torch.zeros(20, dtype=torch.int64)))
    assert cache.get("large") is None and cache.size == 208


def test_a_cached_sample_is_not_decoded_again(
    data: Path, make: Callable[..., VideoPathCollator], monkeypatch: pytest.MonkeyPatch
) -> None:
    (record,) = first(data, "video")
    collator = make(cache_mb=10)
    before = collator.collate([record])
    monkeypatch.setattr("videopath_hf.training.collator.read_clip", None)
    after = collator.collate([record])
    assert all(torch.equal(before[key], after[key]) for key in before if key != "sample_ids")
