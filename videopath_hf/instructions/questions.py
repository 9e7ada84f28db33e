"""Question wordings: several paraphrases for each kind of record and organ, chosen by seed."""

import random
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from videopath_hf.errors import UserError
from videopath_hf.files import content_hash
from videopath_hf.instructions.prompts import PROMPTS
from videopath_hf.settings import Settings, load_settings

Medium = Literal["image", "clip", "video"]
QUESTIONS_PER_MEDIUM = 6
"""How many differently worded questions there are about one medium of any organ, in the file that ships."""


_FIELDS = ("medium", "tissue", "ending")


def _check_wordings(wordings: tuple[str, ...], fields: tuple[str, ...] = _FIELDS) -> tuple[str, ...]:
    for wording in wordings:
        try:
            wording.format(**dict.fromkeys(fields, ""))
        except (KeyError, IndexError, ValueError):
            known = ", ".join(f"{{{name}}}" for name in fields)
            raise ValueError(f"{wording!r} may hold {known} only") from None
    if len(set(wordings)) < len(wordings):
        raise ValueError("a wording stands there twice")
    return wordings


def _check_featured(wordings: tuple[str, ...]) -> tuple[str, ...]:
    return _check_wordings(wordings, (*_FIELDS, "features"))


class OrganWordings(Settings):
    """What is asked about one organ beside the general questions; `also` are further names of it, `features` what is
    looked at in it."""

    also: tuple[str, ...] = ()
    features: str = ""
    diagnostic: tuple[str, ...] = ()
    descriptive: tuple[str, ...] = ()

    _wordings = field_validator("diagnostic", "descriptive")(_check_wordings)


class Wordings(Settings):
    """A file of question wordings, see `prompts/questions.yaml`."""

    version: int
    ending: str
    diagnostic: tuple[str, ...] = Field(min_length=1)
    descriptive: tuple[str, ...] = Field(min_length=1)
    featured_diagnostic: tuple[str, ...] = ()
    featured_descriptive: tuple[str, ...] = ()
    organs: dict[str, OrganWordings] = Field(default_factory=dict)

    _wordings = field_validator("diagnostic", "descriptive")(_check_wordings)
    _featured = field_validator("featured_diagnostic", "featured_descriptive")(_check_featured)

    @model_validator(mode="after")
    def _one_organ_a_name(self) -> "Wordings":
        names = [name.casefold() for organ, own in self.organs.items() for name in (organ, *own.also)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"organ name {name!r} stands there twice")
        return self

    def of(self, kind: Literal["diagnostic", "descriptive"], organ: str | None) -> tuple[str, ...]:
        """All wordings of a kind: the organ's own and those with its features, where it is known, and the general
        ones."""
        name = (organ or "").casefold().strip()
        general: tuple[str, ...] = getattr(self, kind)
        for known, own in self.organs.items():
            if name in (known.casefold(), *(other.casefold() for other in own.also)):
                featured: tuple[str, ...] = getattr(self, f"featured_{kind}") if own.features else ()
                shown = [wording.replace("{features}", own.features) for wording in featured]
                return tuple(dict.fromkeys((*getattr(own, kind), *shown, *general)))
        return general


def load_wordings(path: Path | None = None) -> Wordings:
    """The wordings of a file, by default the one that ships; raises `UserError` for a file that cannot be used."""
    return load_settings(Wordings, path) if path is not None else _shipped()


@cache
def _shipped() -> Wordings:
    return load_settings(Wordings, PROMPTS / "questions.yaml")


def write_questions(
    medium: Medium,
    count: int,
    key: str,
    seed: int,
    organ: str | None = None,
    diagnosis: bool = True,
    wordings: Wordings | None = None,
) -> list[str]:
    """Choose `count` different wordings.

    Args:
        medium (`str`): images and videos are asked for a diagnosis, description first; clips for a description.
        count (`int`): how many, at most `QUESTIONS_PER_MEDIUM` of the shipped file.
        key (`str`): what the question is about; with `seed` it decides which wordings are taken.
        seed (`int`): seed of the choice.
        organ (`str`, *optional*): named in the question; without it the words are "tissue" alone.
        diagnosis (`bool`, defaults to `True`): whether the answer to a clip's question ends with a diagnosis.
        wordings (`Wordings`, *optional*): the shipped ones if omitted.

    Raises:
        UserError: there are fewer wordings than that.
    """
    wordings = wordings or _shipped()
    templates = wordings.of("descriptive" if medium == "clip" else "diagnostic", organ)
    if count > len(templates):
        raise UserError(f"{count} questions are wanted of {len(templates)} wordings; add some to the file `questions`")
    chosen = random.Random(f"{seed}:{medium}:{key}").sample(templates, count)
    return [fill_wording(template, medium, organ, wordings.ending if diagnosis else "") for template in chosen]


def fill_wording(wording: str, medium: Medium, organ: str | None, ending: str = "") -> str:
    """A wording with what it is about."""
    named = (organ or "").casefold().endswith("tissue")
    tissue = organ if organ and named else f"{organ or ''} tissue".strip()
    return wording.format(medium=medium, tissue=tissue, ending=ending)


def templates_hash(wordings: Wordings | None = None) -> str:
    """Hash of all wordings: with the settings it tells which questions a record was written from."""
    return content_hash(wordings or _shipped())
