"""The formats by name, and which of them a file is in."""

from collections.abc import Mapping
from typing import Any

from videopath_hf.data.formats.base import Format
from videopath_hf.data.formats.captions import CAPTIONS, PATHCAP, QUILT_1M
from videopath_hf.data.formats.image_sets import PATHVQA, PMC_VQA, QUILT_VQA
from videopath_hf.data.formats.llava import LLAVA, PATHASST, QUILT_LLAVA, VIDRIP_TRAIN
from videopath_hf.data.formats.videopath import VIDEOPATH
from videopath_hf.data.formats.vidrip import VIDRIP_TEST
from videopath_hf.errors import UserError

FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        VIDEOPATH, QUILT_VQA, LLAVA, VIDRIP_TRAIN, VIDRIP_TEST, QUILT_LLAVA, PATHASST, QUILT_1M, PATHCAP, PMC_VQA,
        PATHVQA, CAPTIONS,
    )
}  # fmt: skip
"""Of formats that look alike, the first is recognised; the others must be named."""


def format_named(name: str) -> Format:
    """The format of a name; raises `UserError` for an unknown one."""
    if name not in FORMATS:
        raise UserError(f"unknown format {name!r}; known: {', '.join(FORMATS)}")
    return FORMATS[name]


def recognise(entry: Any) -> Format | None:
    """The format that an entry looks like."""
    if not isinstance(entry, Mapping):
        return None
    return next((form for form in FORMATS.values() if form.recognises(entry)), None)
