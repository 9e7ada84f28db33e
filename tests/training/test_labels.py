"""Masks of labels, apart from any model."""

from typing import Any

import pytest
import torch

from videopath_hf.errors import UserError
from videopath_hf.training.labels import IGNORED, label_spans, reference_blocks, reference_mask, shown_text

TEXT = (
    "<|im_start|>system\nYou are kind.<|im_end|>\n<|im_start|>user\nOne.\nTwo.<|im_end|>\n"
    "<|im_start|>assistant\nYes.\nNo.<|im_end|>\n"
)


def test_the_published_mask_is_the_whole_answer_and_marks_and_line_breaks_everywhere(processor: Any) -> None:
    tokenizer = processor.tokenizer
    ids = torch.tensor(tokenizer(TEXT)["input_ids"])
    words = [tokenizer.decode([token]) for token in ids.tolist()]
    answer = TEXT.index("Yes")
    ends = torch.tensor([len("".join(words[: number + 1])) for number in range(len(words))])
    said = (ends > answer) & (ends < len(TEXT))
    mask = reference_mask(ids, said, tokenizer)
    header = TEXT.index("<|im_start|>assistant")
    for word, end, trained in zip(words, ends.tolist(), mask.tolist(), strict=True):
        assert trained == (end > header or word in ("<|im_start|>", "<|im_end|>", "\n")), word


def test_a_tokenizer_that_splits_the_marks_cannot_have_the_published_mask() -> None:
    class Splitting:
        def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
            return {"input_ids": list(text.encode())}

    with pytest.raises(UserError, match=r"'<\|im_start\|>' to be one token, this tokenizer makes 12"):
        reference_mask(torch.arange(4), torch.zeros(4).bool(), Splitting())


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


VIDEO, IMAGE = {"type": "video", "path": "a.mp4"}, {"type": "image", "path": "a.png"}


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("Words.", [text("Words.")]),
        ([IMAGE, text("Words.")], [IMAGE, text("Words.")]),
        ([text("Is it "), IMAGE, text(" benign? ")], [IMAGE, text("Is it  benign?")]),
        ([text("Both:"), IMAGE, IMAGE], [text("Both:"), IMAGE, IMAGE]),
    ],
)
def test_the_one_medium_of_a_message_leads(content: Any, shown: Any) -> None:
    assert reference_blocks(content, time_sentence=False) == shown


def test_a_time_sentence_is_followed_by_an_empty_line() -> None:
    assert reference_blocks([VIDEO, text("What?")], time_sentence=True) == [VIDEO, text("\n"), text("What?")]


def test_spans_and_their_text_hold_every_token_once(processor: Any) -> None:
    tokenizer = processor.tokenizer
    words = tokenizer("The villi are flat.")["input_ids"]
    image, video = processor.image_token_id, processor.video_token_id
    ids = [image, image, video, *words, *words]
    labels = [IGNORED] * (3 + len(words)) + words
    spans = label_spans(ids, labels)
    assert spans == [(False, ids[: 3 + len(words)]), (True, words)]
    shown = shown_text(spans[0][1], tokenizer, {image: "image", video: "video"})
    assert shown == "[image: 2 tokens][video: 1 tokens]The villi are flat."
