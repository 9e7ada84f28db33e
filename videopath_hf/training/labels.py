"""Which tokens are trained on: the assistant's words, or what the published implementation trains on."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch

from videopath_hf.errors import UserError

IGNORED = -100
"""Label of a token that is not trained on."""

LabelMask = Literal["assistant", "reference"]

_MARKS = ("<|im_start|>", "<|im_end|>", "\n")


def reference_mask(ids: torch.Tensor, trained: torch.Tensor, tokenizer: Any) -> torch.Tensor:
    """The tokens the published implementation trains on (its `preprocess_qwen` at commit 9e75a9d).

    These are every message of the assistant with its header and the line break behind it, and the tokens
    `<|im_start|>`, `<|im_end|>` and line break wherever they stand, in the system's and the user's turns too.

    Args:
        ids (`torch.Tensor` of shape `(T,)`): a conversation in ChatML.
        trained (`torch.Tensor` of shape `(T,)`): where the assistant's words are.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): it must know each mark as one token.

    Returns:
        `torch.Tensor`: bool of shape `(T,)`.
    """
    marks = torch.tensor([_single_token(tokenizer, mark) for mark in _MARKS])
    message = (ids == marks[0]).cumsum(0)  # 0 before the first mark, then the number of the message
    spoken = torch.zeros(int(message.max()) + 1, dtype=torch.bool)
    spoken[message[trained]] = True
    return spoken[message] | torch.isin(ids, marks)


def _single_token(tokenizer: Any, text: str) -> int:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise UserError(f"label_mask = reference needs {text!r} to be one token, this tokenizer makes {len(ids)}")
    return int(ids[0])


def reference_blocks(content: Any, time_sentence: bool) -> list[dict[str, Any]]:
    """A message's blocks as the published implementation trains on them.

    The medium, where there is but one, leads; with a time sentence, an empty line parts it from the words.
    """
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    media = [block for block in content if block["type"] != "text"]
    if len(media) == 1 and content[0] is not media[0]:
        words = "".join(block["text"] for block in content if block["type"] == "text").strip()
        content = [*media, {"type": "text", "text": words}]
    gap = [{"type": "text", "text": "\n"}] if time_sentence else []
    return [part for block in content for part in ([block, *gap] if block["type"] == "video" else [block])]


def label_spans(ids: Sequence[int], labels: Sequence[int]) -> list[tuple[bool, list[int]]]:
    """Runs of tokens that are trained on, or not: `[(trained, ids), ...]` in order."""
    spans: list[tuple[bool, list[int]]] = []
    for token, label in zip(ids, labels, strict=True):
        trained = label != IGNORED
        if not spans or spans[-1][0] != trained:
            spans.append((trained, []))
        spans[-1][1].append(token)
    return spans


def shown_text(ids: Sequence[int], tokenizer: Any, media: Mapping[int, str]) -> str:
    """A run of tokens as text; each run of a placeholder as its name and how many tokens it is."""
    parts: list[str] = []
    words: list[int] = []
    run: list[int] = []

    def close() -> None:
        if words:
            parts.append(tokenizer.decode(words))
            words.clear()
        if run:
            parts.append(f"[{media[run[0]]}: {len(run)} tokens]")
            run.clear()

    for token in ids:
        if token in media:
            if words or (run and run[0] != token):
                close()
            run.append(token)
        else:
            if run:
                close()
            words.append(token)
    close()
    return "".join(parts)
