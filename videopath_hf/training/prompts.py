"""Conversations in tokens: one placeholder for each medium, and which tokens the assistant says."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from videopath_hf.training.reading import SampleError

Array = np.ndarray[Any, Any]


class Rendered(NamedTuple):
    """A conversation as text, and the characters that the assistant says: [(start, end), ...]."""

    text: str
    spans: list[tuple[int, int]]


class Prompt(NamedTuple):
    """A conversation in tokens.

    Args:
        ids (`np.ndarray`): int64 [T].
        trained (`np.ndarray`): bool [T], the tokens that hold a character which the assistant says.
    """

    ids: Array
    trained: Array

    def expanded(self, counts: Mapping[int, Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask with each placeholder as often as its medium has tokens: `counts` by the placeholder's id."""
        repeats = np.ones_like(self.ids)
        for token, times in counts.items():
            repeats[self.ids == token] = times
        return torch.from_numpy(self.ids.repeat(repeats)), torch.from_numpy(self.trained.repeat(repeats))


class Prompter:
    """Makes prompts of conversations, many at once: one call of a tokenizer takes a fraction of one call each.

    Args:
        processor ([`VideoPathLlavaProcessor`]): its tokenizer and placeholders.
        chat_template (`str`): Jinja template that marks the assistant's words by `{% generation %}`.
    """

    def __init__(self, processor: Any, chat_template: str) -> None:
        self.tokenizer = processor.tokenizer
        self.placeholders = {"image": processor.image_token, "video": processor.video_token}
        self.ids = {"image": processor.image_token_id, "video": processor.video_token_id}
        self.chat_template = chat_template
        self._variables = self.tokenizer.special_tokens_map

    def render(self, sample: str, messages: Sequence[Any], sentences: Sequence[str] = ()) -> Rendered:
        """A conversation as text, with what is said of each of its videos behind the video's placeholder.

        Raises:
            SampleError: the template refuses the conversation, or does not show each of its media once.
        """
        try:
            (text,), (spans,) = render_jinja_template(
                [messages],
                chat_template=self.chat_template,
                return_assistant_tokens_mask=True,
                **self._variables,
            )
        except TemplateError as error:
            raise SampleError(sample, f"the chat template refuses it: {error}") from None
        shown = [block["type"] for message in messages for block in message["content"]]
        for kind, placeholder in self.placeholders.items():
            if text.count(placeholder) != shown.count(kind):
                raise SampleError(
                    sample,
                    f"its prompt holds {text.count(placeholder)} {placeholder} for {shown.count(kind)} {kind}s: a "
                    "placeholder must not stand in its words, and the chat template must show each medium once",
                )
        return _with_sentences(Rendered(text, list(spans)), self.placeholders["video"], sentences)

    def tokenize(self, rendered: Sequence[Rendered]) -> list[Prompt]:
        """Prompts of conversations; as in answering, a template's own first token is not doubled."""
        texts = [conversation.text for conversation in rendered]
        first = self.tokenizer.bos_token
        found = self.tokenizer(
            texts,
            add_special_tokens=first is None or not texts[0].startswith(first),
            return_offsets_mapping=True,
            return_attention_mask=False,
        )
        return [
            Prompt(np.asarray(ids, dtype=np.int64), _said(offsets, conversation.spans))
            for ids, offsets, conversation in zip(found["input_ids"], found["offset_mapping"], rendered, strict=True)
        ]


def _said(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> Array:
    """Which tokens share a character with a span."""
    starts, ends = np.asarray(offsets, dtype=np.int64).reshape(-1, 2).T
    said = np.zeros(len(starts), dtype=bool)
    for start, end in spans:
        said |= np.maximum(starts, start) < np.minimum(ends, end)
    return said


def _with_sentences(rendered: Rendered, placeholder: str, sentences: Sequence[str]) -> Rendered:
    """The text with a line break and a sentence behind each placeholder, its spans moved along."""
    text, spans = rendered
    end = 0
    for sentence in sentences:
        end = text.index(placeholder, end) + len(placeholder)
        added = f"\n{sentence}"
        text = text[:end] + added + text[end:]
        spans = [(start + len(added) * (start >= end), stop + len(added) * (stop > end)) for start, stop in spans]
    return Rendered(text, spans)
