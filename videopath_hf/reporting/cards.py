"""What a notebook shows of a record: its words, escaped, and small pictures inside the HTML itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError
from videopath_hf.files import resolve_inside
from videopath_hf.records import Answer, ClipRecord
from videopath_hf.reporting.page import render

_MOST_ROWS = 12
_FRAMES = {"most": 8, "a_row": 4}
_IMAGES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def clip_card(clip: ClipRecord, folder: Path | None) -> str:
    """A clip as HTML.

    Args:
        folder (`Path`, *optional*): the curated folder that the clip's paths are relative to; without it, its key
            frames are not shown.
    """
    strip, missing = _keyframes(clip, folder, len(clip.keyframes))
    return render("clip_card.html", clip=clip, strip=strip, missing=missing)


def clip_list(clips: Sequence[ClipRecord], folder: Path) -> str:
    """The first clips of a curated folder as HTML, each with one key frame."""
    rows = [{"clip": clip, "strip": _keyframes(clip, folder, 1)[0]} for clip in clips[:_MOST_ROWS]]
    return render("clip_list.html", rows=rows, total=len(clips), folder=str(folder))


def answer_card(answer: Answer, folder: Path | None) -> str:
    """An answer as HTML, with the frames that the model saw.

    Args:
        folder (`Path`, *optional*): what the paths of its media are relative to; where they are told from otherwise.
            Media at an address are named, not fetched.
    """
    media = [_medium(answer, name, folder) for name in answer.media]
    return render("answer_card.html", answer=answer, media=media, notice=RESEARCH_NOTICE)


def _keyframes(clip: ClipRecord, folder: Path | None, most: int) -> tuple[str | None, str]:
    from videopath_hf.reporting.frames import image_strip

    if folder is None:
        return None, "Its key frames lie in the curated folder: videopath_hf.load_clips shows them."
    try:
        pictures = [Image.open(resolve_inside(folder, name)) for name in clip.keyframes[:most]]
        return (image_strip(*pictures), "") if pictures else (None, "It has no key frames.")
    except (UserError, OSError, ValueError, Image.DecompressionBombError) as error:
        return None, f"Its key frames cannot be shown: {error}"


def _medium(answer: Answer, name: str, folder: Path | None) -> dict[str, Any]:
    if answer.frames_zeroed:
        return {"name": name, "strip": None, "caption": f"{name}: the model saw black pictures in its place"}
    if name.startswith(("http://", "https://", "data:")):
        return {"name": name, "strip": None, "caption": name[:120]}
    try:
        path = Path(name) if folder is None else resolve_inside(folder, name)
        strip, caption = _pictures(answer, path)
        return {"name": name, "strip": strip, "caption": f"{name}: {caption}"}
    except (UserError, OSError, ValueError, Image.DecompressionBombError) as error:
        return {"name": name, "strip": None, "caption": f"{name} cannot be shown: {error}"}


def _pictures(answer: Answer, path: Path) -> tuple[str, str]:
    from videopath_hf.reporting.frames import image_strip, video_strip

    if path.suffix.lower() in _IMAGES:
        with Image.open(path) as picture:
            return image_strip(picture), "an image"
    # The times of several videos stand one behind the other, and nothing tells where one ends.
    seen = answer.frame_times if len(answer.media) == 1 else []
    strip, times = video_strip(path, seen, **_FRAMES)
    shown = ", ".join(f"{time:g}" for time in times)
    if not seen:
        return strip, f"frames at {shown} s"
    share = "" if len(times) == len(seen) else f"{len(times)} of "
    return strip, f"{share}the {len(seen)} frames that the model saw, at {shown} s"
