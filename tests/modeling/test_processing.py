import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.modeling.conftest import assistant, encode, noise_frames, user
from videopath_hf.modeling.session import VideoSession
from videopath_hf.modeling.templates import PLAIN_TEMPLATE

Loaded = tuple[Any, Any]
IMAGE = noise_frames(1)[0]


def test_the_prompt_is_chatml_with_the_default_system_message(loaded: Loaded) -> None:
    messages = [user(IMAGE, "Is there necrosis?"), assistant("Yes."), user("How many frames?")]
    prompt = loaded[1].apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert prompt == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<|image_pad|>\nIs there necrosis?<|im_end|>\n"
        "<|im_start|>assistant\nYes.<|im_end|>\n"
        "<|im_start|>user\nHow many frames?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_an_own_system_message_replaces_the_default(loaded: Loaded) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    prompt = loaded[1].apply_chat_template(messages, tokenize=False)
    assert prompt == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"


def test_an_unknown_content_block_is_refused(loaded: Loaded) -> None:
    message = {"role": "user", "content": [{"type": "audio", "text": "x"}]}
    with pytest.raises(Exception, match="type audio"):
        loaded[1].apply_chat_template([message], tokenize=False)


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_the_mask_marks_the_assistants_words_and_their_end(loaded: Loaded, padding_side: str) -> None:
    processor = loaded[1]
    batch = [
        [user(noise_frames(3), "Question one?"), assistant("First answer."), user("And?"), assistant("Second.")],
        [user("No media"), assistant("Third: \u00e9.")],
    ]
    inputs = processor.apply_chat_template(
        batch,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        return_assistant_tokens_mask=True,
        processor_kwargs={"padding": True, "padding_side": padding_side},
    )
    assert inputs["assistant_masks"].shape == inputs["input_ids"].shape
    words = [
        processor.tokenizer.decode(row[mask.bool()])
        for row, mask in zip(inputs["input_ids"], inputs["assistant_masks"], strict=True)
    ]
    assert words == ["First answer.<|im_end|>Second.<|im_end|>", "Third: \u00e9.<|im_end|>"]


def test_the_plain_template_shows_image_caption_and_line_break_only(loaded: Loaded) -> None:
    processor = loaded[1]
    inputs = processor.apply_chat_template(
        [user(IMAGE, "Describe the image."), assistant("Glands.")],
        chat_template=PLAIN_TEMPLATE,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        return_assistant_tokens_mask=True,
    )
    ids, mask = inputs["input_ids"][0], inputs["assistant_masks"][0].bool()
    assert processor.tokenizer.decode(ids[mask]) == "Glands.\n"
    assert set(ids[~mask].tolist()) == {processor.image_token_id}


def test_placeholders_are_as_many_as_the_models_tokens(loaded: Loaded, make_clip: Callable[..., Path]) -> None:
    model, processor = loaded
    inputs = encode(processor, [user(make_clip(40), IMAGE, noise_frames(3), IMAGE.swapaxes(0, 1), "Compare.")])
    images = model.model.get_image_features(
        inputs["pixel_values"], inputs["image_sizes"], inputs["image_num_tiles"]
    ).pooler_output
    videos = model.model.get_video_features(inputs["pixel_values_videos"], inputs["video_num_frames"]).pooler_output
    assert [len(video) for video in videos] == [32 * 16 + 1, 3 * 16 + 1]
    for token, features in ((processor.image_token_id, images), (processor.video_token_id, videos)):
        assert int((inputs["input_ids"] == token).sum()) == sum(map(len, features))


def test_a_batch_is_padded_on_the_left(loaded: Loaded) -> None:
    inputs = encode(loaded[1], [[user("A much longer question than the other one?")], [user("Hi")]])
    assert inputs["attention_mask"][1, 0] == 0 and inputs["attention_mask"][:, -1].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("text", "images", "videos", "message"),
    [
        (
            ["<|image_pad|>", "hi"],
            [[IMAGE], [IMAGE]],
            None,
            r"sample 1 has 0 <\|image_pad\|> in its text for 1 images",
        ),
        (["<|image_pad|><|image_pad|>"], [[IMAGE]], None, r"sample 0 has 2 <\|image_pad\|>"),
        (["<|video_pad|>"], None, None, r"1 <\|video_pad\|> for 0 videos"),
        (["a", "<|video_pad|>"], None, [[noise_frames(2)], []], r"sample 0 has 0 <\|video_pad\|>"),
    ],
)
def test_placeholders_and_media_of_a_sample_must_be_as_many(
    loaded: Loaded, text: list[str], images: Any, videos: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        loaded[1](text=text, images=images, videos=videos)


def test_a_placeholder_typed_by_the_user_is_refused(loaded: Loaded) -> None:
    with pytest.raises(ValueError, match="sample 0 has 2"):
        encode(loaded[1], [[user(IMAGE, "What is <|image_pad|>?")]])


def test_flat_lists_of_media_are_dealt_out_in_order(loaded: Loaded) -> None:
    processor = loaded[1]
    videos = [noise_frames(2, seed=1), noise_frames(3, seed=2)]
    flat = processor(text=["<|video_pad|>a", "<|video_pad|>b"], videos=videos, padding=True, return_tensors="pt")
    nested = processor(
        text=["<|video_pad|>a", "<|video_pad|>b"], videos=[[v] for v in videos], padding=True, return_tensors="pt"
    )
    assert torch.equal(flat["input_ids"], nested["input_ids"])
    assert torch.equal(flat["pixel_values_videos"], nested["pixel_values_videos"])


def test_image_files_are_read_by_path(loaded: Loaded, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(IMAGE).save(tmp_path / "slide.png")
    by_path = encode(
        loaded[1], [{"role": "user", "content": [{"type": "image", "path": str(tmp_path / "slide.png")}]}]
    )
    assert torch.equal(by_path["pixel_values"], encode(loaded[1], [user(IMAGE)])["pixel_values"])


@pytest.mark.parametrize("name", ["none.png", "text.png"])
def test_an_image_that_cannot_be_read_is_named(loaded: Loaded, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    message = {"role": "user", "content": [{"type": "image", "path": str(tmp_path / name)}]}
    with pytest.raises(ValueError, match=f"image .*{name} cannot be read"):
        encode(loaded[1], [message])


def test_an_image_may_be_padded_to_one_tile_for_one_call(loaded: Loaded) -> None:
    model, processor = loaded
    inputs = encode(processor, [user(IMAGE, IMAGE, "Compare.")], image_aspect_ratio="pad")
    assert inputs["image_num_tiles"].tolist() == [1, 1]
    assert int((inputs["input_ids"] == processor.image_token_id).sum()) == 2 * (7 * 7 + 1)
    assert torch.isfinite(model(**inputs).logits).all()


def test_options_survive_saving(loaded: Loaded, tmp_path: Path) -> None:
    from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor

    loaded[1].save_pretrained(tmp_path)
    again = VideoPathLlavaProcessor.from_pretrained(tmp_path)
    assert again.layout() == loaded[1].layout()
    assert again.chat_template == loaded[1].chat_template
    assert again.tokenizer.padding_side == "left"
    assert np.isclose(again.video_processor.num_frames, 32)


def test_the_time_sentence_stands_between_the_video_and_the_question(
    loaded: Loaded, make_clip: Callable[..., Path]
) -> None:
    processor = loaded[1]
    with_times = encode(processor, [user(make_clip(25), "What is it?")], num_frames=3, time_sentence=True)
    text = processor.decode(with_times["input_ids"][0])
    assert text.count("<|video_pad|>") == 3 * 16 + 1
    assert (
        "<|video_pad|>\nThe video lasts for 2.50 seconds, and 3 frames are uniformly sampled from it. These frames "
        "are located at 0.00s,1.20s,2.40s.Please answer the following questions related to this video.\nWhat is it?"
    ) in text
    without = processor.decode(encode(processor, [user(make_clip(25), "What is it?")], num_frames=3)["input_ids"][0])
    assert "The video lasts" not in without


def test_the_time_sentence_needs_the_times_of_frames(loaded: Loaded) -> None:
    with pytest.raises(ValueError, match="frames given as pixels carry no time"):
        encode(loaded[1], [user(noise_frames(3), "What?")], time_sentence=True)
    known = {"total_num_frames": 3, "fps": 2.0}
    inputs = encode(loaded[1], [user(noise_frames(3), "What?")], time_sentence=True, video_metadata=[[known]])
    assert "lasts for 1.50 seconds, and 3 frames" in loaded[1].decode(inputs["input_ids"][0])


@pytest.mark.needs_shared
def test_the_time_sentence_is_the_published_one(loaded: Loaded, shared: Path) -> None:
    golden = json.loads((shared / "parity" / "video" / "sampling.json").read_text(encoding="utf-8"))
    compared = 0
    for case in golden["files"]:
        if "raises" in case or case["video_fps"] != 1:  # theirs names wrong times at other rates
            continue
        path = shared / "parity" / "video" / case["file"]
        strategy = "uniform" if case["force_sample"] else "fps"
        options = {"num_frames": case["frames_upbound"], "sampling": strategy, "time_sentence": True}
        text = loaded[1].decode(encode(loaded[1], [user(path, "What?")], **options)["input_ids"][0])
        assert f"<|video_pad|>\n{case['time_instruction']}\nWhat?" in text
        compared += 1
    assert compared


def test_a_session_says_the_times_too(loaded: Loaded, make_clip: Callable[..., Path]) -> None:
    model, processor = loaded
    processor.video_processor.time_sentence = True
    try:
        session = VideoSession(model, processor, [make_clip(25)])
        whole = encode(processor, [user(make_clip(25), "What is it?")])["input_ids"][0].tolist()
    finally:
        processor.video_processor.time_sentence = False
    assert session.prompt_ids("What is it?") == whole
    assert "The video lasts for 2.50 seconds" in processor.decode(whole)
