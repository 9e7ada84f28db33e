"""Question wordings: several paraphrases for each kind of record, chosen by seed."""

import random
from typing import Literal

from videopath_hf.files import content_hash

Medium = Literal["image", "clip", "video"]

_DIAGNOSTIC = (
    "Which diagnosis fits the {tissue} in this {medium} best? Describe what can be seen first.",
    "Describe the features of the {tissue} shown in this {medium}, then name the best diagnosis.",
    "Look at the {tissue} in this {medium}. What are the findings, and what is the most fitting diagnosis?",
    "First put into words what this {medium} of {tissue} shows, then state the diagnosis it supports best.",
    "Here is a {medium} of {tissue}. Give a description of it and, at the end, the best diagnosis.",
    "What do you observe in the {tissue} of this {medium}, and which diagnosis follows from it?",
)
_DESCRIPTIVE = (
    "Describe what this {medium} of {tissue} shows{ending}.",
    "What can be seen in the {tissue} of this {medium}? Write a description{ending}.",
    "Look at this {medium} of {tissue} and describe it{ending}.",
    "Put the findings in this {medium} of {tissue} into words{ending}.",
    "Write a description of the {tissue} that this {medium} shows{ending}.",
    "Go through this {medium} of {tissue} and report the visible features{ending}.",
)
_ENDING = " and close with a diagnosis"
QUESTIONS_PER_MEDIUM = min(len(_DIAGNOSTIC), len(_DESCRIPTIVE))
"""How many differently worded questions there are about one medium."""


def write_questions(
    medium: Medium, count: int, key: str, seed: int, organ: str | None = None, diagnosis: bool = True
) -> list[str]:
    """Choose `count` different wordings.

    Args:
        medium (`str`): images and videos are asked for a diagnosis, description first; clips for a description.
        count (`int`): how many, at most `QUESTIONS_PER_MEDIUM`.
        key (`str`): what the question is about; with `seed` it decides which wordings are taken.
        seed (`int`): seed of the choice.
        organ (`str`, *optional*): named in the question; without it the words are "tissue" alone.
        diagnosis (`bool`, defaults to `True`): whether the answer to a clip's question ends with a diagnosis.
    """
    templates = _DESCRIPTIVE if medium == "clip" else _DIAGNOSTIC
    chosen = random.Random(f"{seed}:{medium}:{key}").sample(templates, count)
    tissue = f"{organ} tissue" if organ else "tissue"
    return [template.format(medium=medium, tissue=tissue, ending=_ENDING if diagnosis else "") for template in chosen]


def templates_hash() -> str:
    """Hash of all wordings: with the settings it tells which questions a record was written from."""
    return content_hash(_DIAGNOSTIC, _DESCRIPTIVE, _ENDING)
