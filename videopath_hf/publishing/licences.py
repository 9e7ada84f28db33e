"""What a model may be published under: it inherits what the licences of its data ask for."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from videopath_hf.data.licences import read_licence
from videopath_hf.errors import UserError

_CC = re.compile(r"licenses/([a-z-]+)/(\d\.\d)/")


class ModelLicence(NamedTuple):
    """A model's licence.

    Args:
        hub (`str`): its name on the Hub, or `"other"`.
        text (`str`): as people read it.
        url (`str`, *optional*): where it can be read.
        notes (`list[str]`): sentences that a reader must know.
    """

    hub: str
    text: str
    url: str | None
    notes: list[str]


def inherited_licence(
    data: Iterable[str], unknown: Iterable[str], stated: str | None, permission: str | None
) -> ModelLicence:
    """The licence of a model made from data of these licences.

    Of Creative Commons licences it has every term that one of them has. Whether a model is a derivative of its data is
    not settled; here it counts as one, as published records do, so NoDerivatives needs a permission.

    Args:
        data (`Iterable[str]`): licences of the records it was trained on, as they are written there.
        unknown (`Iterable[str]`): sentences about data whose licence nobody wrote down.
        stated (`str`, *optional*): the model's licence, given by whoever publishes it.
        permission (`str`, *optional*): what allows publishing although a licence does not.

    Raises:
        UserError: a licence is unknown and none is stated; one forbids publishing and there is no permission; the
            stated one leaves out a term that the data's have.
    """
    data, gaps = sorted(set(data)), [*unknown]
    read = {text: read_licence(text) for text in data}
    gaps += [f"licence {text!r}: {found.reason}" for text, found in read.items() if found.verdict == "unknown"]
    forbidden = [text for text, found in read.items() if found.verdict == "forbidden"]
    if forbidden and not permission:
        raise UserError(
            f"data under {', '.join(map(repr, forbidden))} went into this model, which forbids publishing what is "
            "made from it; leave that data out, or say with --permission who allowed it (it is printed on the card)"
        )
    if gaps and stated is None:
        raise UserError(
            f"the model's licence cannot be told: {'; '.join(gaps)}; state it with --licence, e.g. 'CC BY-NC 4.0', if "
            "you hold the rights"
        )
    terms, version = _terms(read[text].url for text in data)
    notes = (
        [f"Of data under {', '.join(forbidden)}, published by permission: {permission}"]
        if forbidden and permission
        else []
    )
    if gaps:
        notes.append(f"Stated by whoever publishes it, since of some data it is not known: {'; '.join(gaps)}")
    if stated is not None:
        return _stated(stated, terms, notes)
    if not terms and len({found.hub for found in read.values()}) == 1:
        found = read[data[0]]
        return ModelLicence(found.hub, data[0], found.url, notes)
    if not terms:
        return ModelLicence("other", "see the licences of the data below", None, notes)
    for wanted in (version, "4.0"):
        text = f"CC {'-'.join(terms).upper()} {wanted}"
        found = read_licence(text)
        if found.hub != "other":
            break
    return ModelLicence(found.hub, text, found.url, notes)


def _stated(stated: str, terms: list[str], notes: list[str]) -> ModelLicence:
    found = read_licence(stated)
    if found.verdict != "allowed" and found.url is None:
        raise UserError(f"--licence {stated!r} cannot be a model's ({found.reason}); give one such as 'CC BY-NC 4.0'")
    kept, _ = _terms([found.url])
    missing = [term for term in terms if term not in ("by", *kept)]
    if missing:
        raise UserError(
            f"--licence {stated!r} leaves out {', '.join(missing).upper()}, which licences of the data ask for; give "
            f"one with it, such as 'CC {'-'.join(terms).upper()} 4.0'"
        )
    return ModelLicence(found.hub, stated, found.url, notes)


def _terms(urls: Iterable[str | None]) -> tuple[list[str], str]:
    """The terms that Creative Commons licences have together, without NoDerivatives, and the latest version."""
    found = [match for url in urls if url and (match := _CC.search(url))]
    terms = {term for match in found for term in match[1].split("-")} - {"nd"}
    return [term for term in ("by", "nc", "sa") if term in terms], max((match[2] for match in found), default="4.0")
