"""How well on-screen text is gone from curated clips, and whether anything else was touched.

    python benchmarks/screen_text.py --video LECTURE --truth TRUTH.json [--curated DIR] [--json]

Without `--curated` the lecture is curated first, with the default settings and no transcript. The truth is a JSON file
whose `texts` have `text`, `box` (x0, y0, x1, y1 in pixels of the lecture), `start` and `end` in seconds. Every text is
read in every frame of the clips made while it is shown, in the lecture (the control) and in the clip: by tesseract,
which curation does not use, and by RapidOCR, which reads more. A text counts as gone if no reading of the clip is at
least half like it. PSNR is measured outside the painted boxes against a transcode of the same frames, not refined,
with the same encoder settings. It needs the program `tesseract`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.errors import UserError
from videopath_hf.files import read_json, read_records
from videopath_hf.records import Box, ClipRecord

_READABLE = 0.5  # likeness of a reading to the truth from which the words count as readable
_AROUND = 10  # pixels around a text that its readers are shown too
_LETTER = 48  # pixels a text is scaled up to, at which tesseract reads best
_INSET = 8  # pixels by which masks of presenters reach beyond their boxes
_MOVED = 16  # grey levels by which coding alone hardly moves a pixel


class Shown(NamedTuple):
    """A frame of a clip: as it was in the lecture, transcoded without refinement, and as the clip has it.

    All are of the lecture's size; what the clip cuts away is black in it.
    """

    time: float
    original: np.ndarray[Any, Any]
    transcoded: np.ndarray[Any, Any]
    refined: np.ndarray[Any, Any]


def measure_text(curated: Path, video: Path, truth: Path | dict[str, Any]) -> dict[str, Any]:
    """Measure the text of one lecture's clips.

    Args:
        curated (`Path`): what `videopath curate` has written.
        video (`Path`): the lecture.
        truth (`Path` or `dict`): its truth, see the top of this file.

    Returns:
        `dict`: `texts` (truth texts that are shown in clips), `gone_tesseract` and `gone_rapidocr` (share of them that
        no frame of a clip lets read), the same `_of_readable` (of those that could be read in the lecture), and by
        frame (`frames_...`); `left` (what can still be read); `psnr_outside` (dB, mean over clips, and `_worst` clip),
        `changed_outside` and `changed_inside` (share of pixels that differ from the transcode by more than 16 levels),
        `false_boxes` (painted texts that no truth text touches) and `painted_share` of the frame area.

    Raises:
        UserError: tesseract is not installed, or no clip of this lecture is in the folder.
    """
    if shutil.which("tesseract") is None:
        raise UserError("the program tesseract is not installed: apt-get install tesseract-ocr")
    texts = (truth if isinstance(truth, dict) else read_json(truth))["texts"]
    clips = [c for c in read_records(curated / "clips.jsonl", ClipRecord) if Path(c.source).name == video.name]
    if not clips:
        raise UserError(f"{curated / 'clips.jsonl'} has no clip of {video.name}")
    tally, pixels = _Tally(texts), _Pixels()
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            for shown in _frames(clip, curated, video, Path(folder)):
                tally.add(shown)
                pixels.add(clip, shown)
    boxes = [(text.box, text.start, text.end) for clip in clips for text in clip.removed_text]
    false = {box for box, start, end in boxes if not any(_meets(box, start, end, text) for text in texts)}
    return {**tally.figures(), **pixels.figures(), "false_boxes": len(false)}


def _frames(clip: ClipRecord, curated: Path, video: Path, folder: Path) -> Iterator[Shown]:
    from videopath_hf.video.decode import iter_frames
    from videopath_hf.video.encode import write_clip

    crf = read_json(curated / "run.json")["settings"]["clips"]["crf"]
    plain = folder / f"{clip.clip_id}.mp4"
    originals = [frame.image for frame in islice(iter_frames(video, clip.fps, clip.start), clip.frames)]
    write_clip(plain, originals, clip.fps, crf)
    pairs = zip(originals, iter_frames(plain), iter_frames(curated / clip.clip), strict=True)
    for number, (original, transcoded, refined) in enumerate(pairs):
        x0, y0, x1, y1 = _kept(clip, original)
        placed = np.zeros_like(original)
        placed[y0:y1, x0:x1] = refined.image
        yield Shown(clip.start + number / clip.fps, original, transcoded.image, placed)
    plain.unlink()


def _kept(clip: ClipRecord, original: np.ndarray[Any, Any]) -> Box:
    x, y = clip.crop[:2] if clip.crop else (0, 0)
    return x, y, min(x + clip.width, original.shape[1]), min(y + clip.height, original.shape[0])


class _Tally:
    """Which texts each reader can read, before and after."""

    def __init__(self, texts: Sequence[dict[str, Any]]) -> None:
        from videopath_hf.curation.ocr import RapidOcrReader

        self.texts = texts
        self.rapidocr = RapidOcrReader(736)
        self.frames = 0
        self.seen: set[int] = set()
        self.frame_hits = {(who, side): 0 for who in ("tesseract", "rapidocr") for side in ("before", "after")}
        self.read = {key: set[int]() for key in self.frame_hits}
        self.left: list[dict[str, Any]] = []

    def add(self, shown: Shown) -> None:
        for number, text in enumerate(self.texts):
            if not text["start"] <= shown.time < text["end"]:
                continue
            self.frames += 1
            self.seen.add(number)
            for side, image in (("before", shown.original), ("after", shown.refined)):
                crop = _crop(image, text["box"])
                for who, lines in (("tesseract", _tesseract(crop)), ("rapidocr", self._rapidocr(crop))):
                    if likeness(lines, text["text"]) < _READABLE:
                        continue
                    self.frame_hits[who, side] += 1
                    self.read[who, side].add(number)
                    if side == "after":
                        self.left.append({"time": round(shown.time, 3), "text": text["text"], "reader": who})

    def _rapidocr(self, crop: np.ndarray[Any, Any]) -> list[str]:
        return [line.text for line in self.rapidocr.read(crop)]

    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = {"texts": len(self.seen), "text_frames": self.frames}
        for who in ("tesseract", "rapidocr"):
            before, after = self.read[who, "before"], self.read[who, "after"]
            found[f"gone_{who}"] = _share(len(self.seen - after), len(self.seen))
            found[f"gone_{who}_of_readable"] = _share(len(before - after), len(before))
            found[f"readable_before_{who}"] = len(before)
            found[f"frames_readable_before_{who}"] = self.frame_hits[who, "before"]
            found[f"frames_readable_after_{who}"] = self.frame_hits[who, "after"]
        return {**found, "left": self.left}


class _Pixels:
    """What happened to the pixels inside and outside the painted boxes."""

    def __init__(self) -> None:
        self.errors: dict[str, list[float]] = {}
        self.moved = {True: 0, False: 0}
        self.total = {True: 0, False: 0}

    def add(self, clip: ClipRecord, shown: Shown) -> None:
        x0, y0, x1, y1 = _kept(clip, shown.original)
        height, width = shown.transcoded.shape[:2]
        inside = np.zeros((height, width), dtype=bool)
        for text in clip.removed_text:
            _fill(inside, text.box, 0)
        for person in clip.persons:
            _fill(inside, person.box, _INSET)
        for thumbnail in clip.thumbnails:
            _fill(inside, thumbnail, _INSET)
        inside = inside[y0:y1, x0:x1]
        difference = shown.refined[y0:y1, x0:x1].astype(np.int16) - shown.transcoded[y0:y1, x0:x1]
        moved = np.abs(difference).max(axis=2) > _MOVED
        self.errors.setdefault(clip.clip_id, []).append(float(np.square(difference[~inside].astype(float)).mean()))
        for side, mask in ((True, inside), (False, ~inside)):
            self.moved[side] += int(moved[mask].sum())
            self.total[side] += int(mask.sum())

    def figures(self) -> dict[str, Any]:
        psnr = [10 * np.log10(255**2 / max(1e-6, float(np.mean(errors)))) for errors in self.errors.values()]
        return {
            "psnr_outside": round(float(np.mean(psnr)), 2),
            "psnr_outside_worst": round(float(np.min(psnr)), 2),
            "changed_outside": _share(self.moved[False], self.total[False]),
            "changed_inside": _share(self.moved[True], self.total[True]),
            "painted_share": _share(self.total[True], self.total[True] + self.total[False]),
        }


def likeness(lines: Sequence[str], truth: str) -> float:
    """How like the truth the likest of the readings is, one line or all of them in a row; 1 is equal."""
    wanted = _plain(truth)
    readings = [*map(_plain, lines), _plain(" ".join(lines))]
    return max(SequenceMatcher(None, reading, wanted).ratio() if reading else 0.0 for reading in readings)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _tesseract(crop: np.ndarray[Any, Any]) -> list[str]:
    _, png = cv2.imencode(".png", crop[:, :, ::-1])
    lines: list[str] = []
    for mode in ("7", "6"):  # one line; one block
        command = ["tesseract", "stdin", "stdout", "--psm", mode]
        done = subprocess.run(command, input=png.tobytes(), capture_output=True, check=True, timeout=60)
        lines += [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines


def _crop(image: np.ndarray[Any, Any], box: Sequence[int]) -> np.ndarray[Any, Any]:
    x0, y0, x1, y1 = box
    crop = image[max(0, y0 - _AROUND) : y1 + _AROUND, max(0, x0 - _AROUND) : x1 + _AROUND]
    scale = max(1.0, _LETTER / (y1 - y0))
    return cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def _fill(mask: np.ndarray[Any, Any], box: Box, margin: int) -> None:
    x0, y0, x1, y1 = box
    mask[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin] = True


def _meets(box: Box, start: float, end: float, text: dict[str, Any]) -> bool:
    x0, y0, x1, y1 = text["box"]
    apart = box[0] >= x1 or box[2] <= x0 or box[1] >= y1 or box[3] <= y0
    return not apart and start < text["end"] and end > text["start"]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--curated", type=Path, help="a folder curated before")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        curated = given.curated
        if curated is None:
            from videopath_hf.curation.pipeline import curate
            from videopath_hf.curation.settings import CurateSettings
            from videopath_hf.settings import load_settings

            curated = Path(folder) / "curated"
            curate([given.video], curated, load_settings(CurateSettings, overrides=["transcript.backend=none"]))
        figures = measure_text(curated, given.video, given.truth)
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
