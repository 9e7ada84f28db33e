"""Questions to pick from, by organ: the wordings that the models are trained on."""

from functools import cache
from typing import Literal

from videopath_hf.instructions.questions import fill_wording, load_wordings

ANY_ORGAN = "any organ"
Medium = Literal["video", "image"]
_MEDIA: tuple[Medium, ...] = ("video", "image")


@cache
def organs() -> tuple[str, ...]:
    """Organs that have questions of their own, after `ANY_ORGAN`."""
    return (ANY_ORGAN, *sorted(load_wordings().organs))


@cache
def questions(organ: str, medium: Medium) -> tuple[str, ...]:
    """Questions about an organ, its own first: for a diagnosis, then for a description."""
    wordings = load_wordings()
    named = None if organ == ANY_ORGAN else organ
    return tuple(
        fill_wording(wording, medium, named)
        for kind in ("diagnostic", "descriptive")
        for wording in wordings.of(kind, named)
    )


def is_one(question: str) -> bool:
    """Whether a question was picked, not written."""
    return any(question in questions(organ, medium) for organ in organs() for medium in _MEDIA)
