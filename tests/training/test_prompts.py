"""Prompts are those of answering, token by token; what cannot be one is named with its sample."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from videopath_hf.data.folder import read_instructions
from videopath_hf.modeling.templates import CHATML_TEMPLATE
from videopath_hf.records import InstructionRecord
from videopath_hf.training.collator import IGNORED, VideoPathCollator
from videopath_hf.training.prompts import Prompter, Rendered
from videopath_hf.training.reading import SampleError

WITH_FIRST = "{{- bos_token -}}" + CHATML_TEMPLATE


def said_between(data: Path) -> InstructionRecord:
    """Two clips and an image in three turns, so that what is trained on stands before, between and after media."""
    (clip,), (image,) = (read_instructions(data, [kind], "train")[:1] for kind in ("video", "image"))
    other = read_instructions(data, ["video"], "train")[1]
    again = {"role": "user", "content": [*other.messages[0]["content"], image.messages[0]["content"][0]]}
    messages = [*clip.messages, again, {"role": "assistant", "content": "The same, µ-fine \N{MICROSCOPE}."}]
    media = [*clip.media, *other.media, *image.media]
    return clip.model_copy(update={"id": "between", "messages": messages, "media": media})


@pytest.mark.parametrize("time_sentence", [False, True])
@pytest.mark.parametrize("chat_template", [CHATML_TEMPLATE, WITH_FIRST], ids=["plain start", "with a first token"])
def test_a_batch_has_the_tokens_and_the_mask_that_the_processor_makes_of_each_conversation(
    chat_template: str, time_sentence: bool, data: Path, processor: Any
) -> None:
    processor = copy.deepcopy(processor)
    processor.chat_template = chat_template
    tokenizer = processor.tokenizer
    tokenizer.bos_token = first = "<|endoftext|>"
    marks = [(first, tokenizer.convert_tokens_to_ids(first))]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{first} $A", special_tokens=marks)
    records = [said_between(data), *read_instructions(data, ["image", "video"], "train")[:3]]
    batch = VideoPathCollator(processor, data, num_frames=4, time_sentence=time_sentence).collate(records)
    for row, record in enumerate(records):
        messages = json.loads(json.dumps(record.messages))
        for message in messages:
            for block in message["content"] if isinstance(message["content"], list) else []:
                if "path" in block:
                    block["path"] = str(data / block["path"])
        alone = processor.apply_chat_template(
            [messages],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            return_assistant_tokens_mask=True,
            processor_kwargs={"num_frames": 4, "time_sentence": time_sentence},
        )
        assert (alone["input_ids"] == marks[0][1]).sum() == 1
        ids, said = alone["input_ids"][0], torch.as_tensor(alone["assistant_masks"][0]).bool()
        assert torch.equal(batch["input_ids"][row][: len(ids)], ids)
        assert torch.equal(batch["labels"][row][: len(ids)], ids.masked_fill(~said, IGNORED))
        assert (batch["labels"][row][len(ids) :] == IGNORED).all()
        assert batch["attention_mask"][row].tolist() == [1] * len(ids) + [0] * (batch["labels"].shape[1] - len(ids))


def test_a_token_is_trained_on_where_any_of_its_characters_is_said(processor: Any) -> None:
    prompter = Prompter(processor, CHATML_TEMPLATE)
    text = "tissue in this video"
    (whole,) = prompter.tokenize([Rendered(text, [(0, len(text))])])
    assert whole.trained.all()
    (last,) = prompter.tokenize([Rendered(text, [(len(text) - 1, len(text))])])
    assert last.trained.tolist() == [False] * (len(last.ids) - 1) + [True]
    (none,) = prompter.tokenize([Rendered(text, [(3, 3)])])
    assert not none.trained.any()


@pytest.mark.parametrize("token", ["<|image_pad|>", "<|video_pad|>"])
def test_a_placeholder_in_the_words_is_named_with_its_sample(token: str, data: Path, processor: Any) -> None:
    good, bad = read_instructions(data, ["video"], "train")[:2]
    words = [bad.messages[0], {"role": "assistant", "content": f"It shows {token} here."}]
    bad = bad.model_copy(update={"messages": words})
    with pytest.raises(SampleError, match=rf"sample {bad.id}: its prompt holds \d <\|.*must not stand in its"):
        VideoPathCollator(processor, data, num_frames=4).collate([good, bad])


def test_what_the_chat_template_refuses_is_named_with_its_sample(data: Path, processor: Any) -> None:
    good, bad = read_instructions(data, ["video"], "train")[:2]
    bad = bad.model_copy(update={"messages": [{"role": "user", "content": [{"type": "audio"}]}, bad.messages[1]]})
    prompter = Prompter(processor, CHATML_TEMPLATE)
    prompter.render(good.id, good.messages)
    with pytest.raises(SampleError, match=f"sample {bad.id}: the chat template refuses it: .*audio"):
        prompter.render(bad.id, bad.messages)
