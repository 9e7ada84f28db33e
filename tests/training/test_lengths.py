"""Lengths are known before anything is decoded, and they are the true ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from videopath_hf.data.folder import read_instructions
from videopath_hf.records import InstructionRecord
from videopath_hf.training.collator import VideoPathCollator
from videopath_hf.training.lengths import Measure
from videopath_hf.training.reading import SampleError
from videopath_hf.training.samples import survey_samples
from videopath_hf.video.encode import write_clip


@pytest.fixture
def make(processor: Any, data: Path) -> Callable[..., VideoPathCollator]:
    def build(**options: Any) -> VideoPathCollator:
        return VideoPathCollator(processor, options.pop("root", data), **{"num_frames": 6, **options})

    return build


def record_of(data: Path, kind: str, *media: tuple[str, str]) -> InstructionRecord:
    """A record of a kind that shows other media."""
    record = read_instructions(data, [kind], "train")[0]
    if not media:
        return record
    shown = [{"type": kind, "path": path} for kind, path in media]
    words = [block for block in record.messages[0]["content"] if block["type"] == "text"]
    messages = [{"role": "user", "content": [*shown, *words]}, record.messages[1]]
    return InstructionRecord.model_validate({**record.model_dump(), "media": shown, "messages": messages})


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures and clips of several shapes and lengths."""
    root = tmp_path_factory.mktemp("shapes")
    for width, height in ((40, 300), (301, 77), (98, 98)):
        Image.new("RGB", (width, height), (90, 60, 120)).save(root / f"{width}.png")
    for frames in (1, 5, 12):
        write_clip(root / f"{frames}.mp4", np.full((frames, 64, 96, 3), 90, dtype=np.uint8), fps=3)
    return root


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"template": "plain"},
        {"label_mask": "reference", "several_images": "pad"},
        {"time_sentence": True},
        {"time_sentence": True, "label_mask": "reference", "strategy": "fps", "video_fps": 2.0},
    ],
    ids=str,
)
def test_a_length_is_that_of_the_encoded_sample(
    options: dict[str, Any], make: Callable[..., VideoPathCollator], shapes: Path, data: Path
) -> None:
    collator = make(root=shapes, **options)
    shown: list[list[tuple[str, str]]] = [
        [("image", "40.png")],
        [("image", "301.png"), ("image", "98.png")],
        [("video", "1.mp4")],
        [("video", "12.mp4"), ("video", "5.mp4")],
        [("image", "40.png"), ("video", "5.mp4")],
    ]
    if options.get("template") == "plain":
        shown = shown[:2]
    for media in shown:
        record = record_of(data, "image", *media)
        encoded, found = collator.encode(record), Measure(collator)(record)
        assert found.tokens == encoded["input_ids"].shape[1], media
        tiles = [int(encoded[key].sum()) for key in ("image_num_tiles", "video_num_frames") if key in encoded]
        assert found.tiles == sum(tiles)


def test_a_clip_over_the_budget_gets_as_many_frames_as_fit(
    make: Callable[..., VideoPathCollator], shapes: Path, data: Path
) -> None:
    record = record_of(data, "video", ("video", "12.mp4"))
    whole = make(root=shapes).encode(record)
    limit = whole["input_ids"].shape[1] - 1
    collator = make(root=shapes, max_length=limit)
    survey = survey_samples([record], collator, 0, fewer_frames=True)
    (fewer,) = survey.fewer
    assert (fewer.frames, fewer.whole) == (5, limit + 1)
    assert not survey.dropped and survey.lengths == {record.id: fewer.length}
    encoded = collator.encode(record, fewer.frames)
    assert encoded["input_ids"].shape[1] == fewer.length <= limit
    assert encoded["video_num_frames"].tolist() == [5]


def test_a_sample_of_which_not_even_one_frame_fits_is_left_out_with_its_length(
    make: Callable[..., VideoPathCollator], shapes: Path, data: Path
) -> None:
    record = record_of(data, "video", ("video", "12.mp4"))
    for fewer_frames in (False, True):
        (dropped,) = survey_samples([record], make(root=shapes, max_length=30), 0, fewer_frames).dropped
        assert dropped.length == make(root=shapes).encode(record)["input_ids"].shape[1]
        assert dropped.reason == f"{dropped.length} tokens are more than max_length = 30"


def test_nothing_is_decoded_to_measure(
    make: Callable[..., VideoPathCollator], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = read_instructions(data, ["image", "video"], "train")
    for name in ("read_clip", "read_image"):
        monkeypatch.setattr(f"videopath_hf.training.collator.{name}", None)
    assert len(survey_samples(records, make(), 0).lengths) == len(records)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sample_without_a_trained_token_stops_the_run_and_is_named_by_a_worker_too(
    workers: int, make: Callable[..., VideoPathCollator], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videopath_hf.training.samples._WORTH_WORKERS", 0)
    record = record_of(data, "image")
    silent = record.model_copy(update={"id": "silent", "messages": record.messages[:1]})
    with pytest.raises(SampleError, match="sample silent: none of its tokens would be trained on"):
        survey_samples([record, silent], make(), workers)
