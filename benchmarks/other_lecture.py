"""Lectures unlike the development lecture, with their truth in the same form: is curation tuned to one recording?

    python benchmarks/other_lecture.py --out DIR [--style NAME ...] [--seed N] [--tissue DIR] [--portrait FILE]

Writes `<style>-<seed>.<container>` and `.json` for `benchmarks/curation.py --video FILE --truth FILE`. The styles are
in `other_lecture_plan.py`; the seed chooses slides, places and times. Slides are real ones, from a folder of crops
with `labels.json` (overview, x8, x2), the portrait is any square picture of a face. Speech needs espeak-ng.
"""

import argparse
import json
import random
import shutil
import sys
import textwrap
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from other_lecture_draw import Picture, Slide, between, box_of, place, viewer, wall, written
from other_lecture_plan import STYLES, Box, Scene, Style, View, Words, plan

from videopath_hf.files import write_json
from videopath_hf.samples.make_lecture import speak

_ARROW = ((0, 0), (0, 20), (5, 15), (9, 23), (12, 22), (8, 14), (14, 14))  # the pointer
_SOUND = 22050  # samples a second of espeak-ng
_LEAD, _PAUSE = 0.4, 0.3  # seconds before the first sentence of a scene and between two


class Sentence(NamedTuple):
    """What is said in a scene, in seconds of the lecture."""

    start: float
    end: float
    text: str
    scene: int
    samples: np.ndarray[Any, Any]


class Lecture:
    """A lecture of one style and seed.

    Args:
        style (`Style`): its form.
        seed (`int`): chooses the rest.
        tissue (`Path`): folder of slide crops with `labels.json`.
        portrait (`Path`): picture of a face.
    """

    def __init__(self, style: Style, seed: int, tissue: Path, portrait: Path) -> None:
        labels = json.loads((tissue / "labels.json").read_text(encoding="utf-8"))
        self.style, self.seed, self.tissue = style, seed, tissue
        self.cases, self.scenes = plan(style, seed, labels)
        self.slides = {case["case"]: Slide(tissue, case, style.dab) for case in self.cases}
        self.portrait = cv2.cvtColor(cv2.imread(str(portrait)), cv2.COLOR_BGR2RGB)
        self.times, self.firsts = self._clock()
        self.starts = [self.times[first] for first in self.firsts[:-1]]
        self.sentences = list(self._speech()) if shutil.which("espeak-ng") else []

    def _clock(self) -> tuple[list[float], list[int]]:
        """Time of each frame, of the end too, and the frame with which each scene begins."""
        rng = random.Random(self.seed)
        times, firsts, end = [0.0], [0], 0.0
        for scene in self.scenes:
            end += scene.seconds
            while times[-1] < end - 1e-6:
                step = 1 if self.style.steady else rng.choice((1, 1, 1, 2, 3))
                times.append(round(times[-1] + step / self.style.rate, 6))
            firsts.append(len(times) - 1)
        return times, firsts

    def _speech(self) -> Iterator[Sentence]:
        for number, (start, scene) in enumerate(zip(self.starts, self.scenes, strict=True)):
            at = start + _LEAD
            for text in scene.said:
                samples = speak(text, self.style.voice.split())
                yield Sentence(round(at, 3), round(at + len(samples) / _SOUND, 3), text, number, samples)
                at += len(samples) / _SOUND + _PAUSE

    def frames(self) -> Iterator[Picture]:
        """All pictures."""
        for number, scene in enumerate(self.scenes):
            for frame in range(self.firsts[number], self.firsts[number + 1]):
                at = self.times[frame] - self.starts[number]
                picture = self.picture(scene, at)
                if at < scene.overlap:
                    before = self.scenes[number - 1]
                    share = (at + 0.5 / self.style.rate) / scene.overlap
                    picture = cv2.addWeighted(picture, share, self.picture(before, before.seconds + at), 1 - share, 0)
                yield picture

    def picture(self, scene: Scene, at: float) -> Picture:
        """What is shown `at` seconds into a scene."""
        style = self.style
        image = np.full((style.size[1], style.size[0], 3), style.paper, dtype=np.uint8)
        if scene.case is not None:
            image = viewer(style).copy()
            left, top, right, bottom = style.view
            view = between(scene.views, at)
            image[top:bottom, left:right] = self.slides[scene.case].seen(view, (right - left, bottom - top))
            self._minimap(image, scene.case, view)
        elif scene.kind == "presenter":
            image = wall(style.size, self.seed)
        for case, (x0, y0, x1, y1) in scene.pictures:
            image[y0:y1, x0:x1] = self.slides[case].detail((x1 - x0, y1 - y0))
        for person in scene.persons:
            if person.start <= at < person.end:
                place(image, self.portrait, person, at)
        shown = [words for words in scene.words if words.start <= at < words.end]
        image = written(
            image, [*shown, *(words for words in self.standing(scene) if words.start <= at < words.end)], style.ink
        )
        if style.pointer and scene.kind != "presenter":
            x, y = (
                round(style.size[0] * (0.5 + 0.25 * np.sin(at))),
                round(style.size[1] * (0.5 + 0.2 * np.cos(0.7 * at))),
            )
            arrow = np.array([(x + a, y + b) for a, b in _ARROW])
            cv2.fillPoly(image, [arrow], (255, 255, 255))
            cv2.polylines(image, [arrow], True, (0, 0, 0), 1, cv2.LINE_AA)
        return image

    def _minimap(self, image: Picture, case: str, view: View) -> None:
        box = self.minimap(case)
        if box is None:
            return
        x0, y0, x1, y1 = box
        image[y0:y1, x0:x1] = self.slides[case].small((x1 - x0, y1 - y0))
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), (90, 90, 90), 1)
        scale = (x1 - x0) / self.slides[case].size[0]
        half = (
            np.array([(self.style.view[2] - self.style.view[0]), (self.style.view[3] - self.style.view[1])])
            * view.downsample
            / 2
        )
        a, b = ((np.array([view.x, view.y]) + sign * half) * scale + (x0, y0) for sign in (-1, 1))
        a, b = (np.clip(corner, (x0, y0), (x1 - 1, y1 - 1)).astype(int) for corner in (a, b))
        cv2.rectangle(image, tuple(a.tolist()), tuple(b.tolist()), (200, 30, 30), 1)

    def minimap(self, case: str) -> Box | None:
        """Where the whole slide is shown small."""
        if self.style.minimap is None:
            return None
        left, top, right, bottom = self.style.view
        width, height = self.slides[case].size
        scale = 0.2 * min((right - left) / width, (bottom - top) / height)
        wide, tall, gap = round(scale * width), round(scale * height), round(0.02 * (bottom - top))
        if self.style.minimap == "bottom left":
            return left + gap, bottom - gap - tall, left + gap + wide, bottom - gap
        return right - gap - wide, top + gap, right - gap, top + gap + tall

    def standing(self, scene: Scene) -> list[Words]:
        """Words that come with the recording: watermark, scale bar and subtitles."""
        style, number = self.style, self.scenes.index(scene)
        found = []
        left, top, right, bottom = style.view
        if style.watermark and scene.case is not None:
            found += [Words(0, scene.seconds, style.watermark, "watermark", 22, right - 170, top + 12, "faint")]
            found += [Words(0, scene.seconds, "200 µm", "scale", 16, left + 16, bottom - 90, "plate")]
        for sentence in self.sentences if style.subtitles else []:
            if sentence.scene == number:
                start, end = (
                    sentence.start - self.starts[number],
                    min(sentence.end - self.starts[number], scene.seconds),
                )
                text = textwrap.fill(sentence.text, 48)
                found.append(Words(start, end, text, "subtitles", 17, left + 20, bottom - 52, "dark"))
        return found

    def truth(self, name: str) -> dict[str, Any]:
        """What there is to find."""
        style = self.style
        truth: dict[str, Any] = {
            "video": name, "width": style.size[0], "height": style.size[1], "fps": style.rate,
            "frames": len(self.times) - 1, "duration": round(self.times[-1], 3), "synthetic": True,
            "narration": f"espeak-ng {style.voice}", "segments": [], "cuts": [], "texts": [], "persons": [],
            "overlays": [],
        }  # fmt: skip
        for number, scene in enumerate(self.scenes):
            start, end = (round(self.times[self.firsts[n]], 3) for n in (number, number + 1))
            if number:
                cut = {"time": start, "frame": self.firsts[number], "type": scene.into}
                truth["cuts"].append(cut | ({"ends": round(start + scene.overlap, 3)} if scene.overlap else {}))
            truth["segments"].append(self._segment(number, scene, start, end))
            for words in (*scene.words, *self.standing(scene)):
                times = {"start": round(start + words.start, 3), "end": round(min(end, start + words.end), 3)}
                text = {"text": " ".join(words.text.split()), "role": words.role, "size": words.size}
                truth["texts"].append({**times, **text, "box": box_of(words), "segment": number})
            for person in scene.persons:
                times = {"start": round(start + person.start, 3), "end": round(min(end, start + person.end), 3)}
                role = "full" if scene.kind == "presenter" else "inset"
                truth["persons"].append({**times, "role": role, "box": person.box, "segment": number})
            if scene.case is not None and (box := self.minimap(scene.case)) is not None:
                truth["overlays"].append(
                    {"start": start, "end": end, "role": "minimap", "box": box, "segment": number}
                )
        truth["transcript"] = [
            {"start": s.start, "end": s.end, "text": s.text, "segment": s.scene} for s in self.sentences
        ]
        spans = [(part.get("case"), [part["start"], part["end"]]) for part in truth["segments"]]
        truth["cases"] = [
            {
                "case": case["case"], "organ": case["organ"], "diagnosis": case["diagnosis"].split(" (")[0],
                "spans": [span for name, span in spans if name == case["case"]],
                "image_source": case["source"], "image_commit": case["commit"],
            }
            for case in self.cases
        ]  # fmt: skip
        return truth

    def _segment(self, number: int, scene: Scene, start: float, end: float) -> dict[str, Any]:
        found: dict[str, Any] = {"id": number, "kind": scene.kind, "start": start, "end": end}
        found["transition_in"] = scene.into if number else None
        if scene.case is not None:
            case = next(case for case in self.cases if case["case"] == scene.case)
            found |= {key: case[key] for key in ("case", "organ", "diagnosis")} | {"revisit": scene.revisit}
            found["tissue_box"] = list(self.style.view)
            found["camera"] = [
                {"t": round(start + view.at, 3), "x": view.x, "y": view.y, "downsample": view.downsample}
                for view in scene.views
            ]
            pairs = zip(scene.views, scene.views[1:], strict=False)
            found["still"] = [[round(start + a.at, 3), round(start + b.at, 3)] for a, b in pairs if a[1:] == b[1:]]
        return found


def encode(lecture: Lecture, path: Path) -> None:
    """Write the video; sound goes a second ahead of the pictures."""
    style = lecture.style
    track = np.zeros(round(lecture.times[-1] * _SOUND), dtype=np.float32)
    for sentence in lecture.sentences:
        first = round(sentence.start * _SOUND)
        part = track[first : first + len(sentence.samples)]
        part += sentence.samples[: len(part)]
    options = dict(option.split("=", 1) for option in style.options.split())
    with av.open(str(path), "w") as container:
        video = container.add_stream(style.codec, rate=Fraction(style.rate).limit_denominator(1001), options=options)
        video.width, video.height, video.pix_fmt = *style.size, "yuv420p"
        tick = Fraction(1, 30000)
        video.codec_context.time_base = tick
        audio = None
        if lecture.sentences:
            codec, rate = ("libopus", 48000) if path.suffix == ".webm" else ("aac", _SOUND)
            audio = container.add_stream(codec, rate=rate, layout="mono")
            resampler = av.AudioResampler(
                "flt" if codec == "libopus" else "fltp", "mono", rate, audio.codec_context.frame_size or 960
            )
        heard = 0
        for number, picture in enumerate(lecture.frames()):
            while audio is not None and heard < len(track) and heard / _SOUND < lecture.times[number] + 1:
                sound = av.AudioFrame.from_ndarray(track[None, heard : heard + 1024], format="fltp", layout="mono")
                sound.rate, sound.pts, sound.time_base = _SOUND, heard, Fraction(1, _SOUND)
                for piece in resampler.resample(sound):
                    container.mux(audio.encode(piece))
                heard += 1024
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(lecture.times[number] / tick), tick
            container.mux(video.encode(frame))
        if audio is not None:
            container.mux(audio.encode(None))
        container.mux(video.encode(None))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--style", action="append", choices=sorted(STYLES), help="all if omitted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tissue", type=Path, default=Path("../shared/tissue"))
    parser.add_argument("--portrait", type=Path, default=Path("../shared/people/astronaut.png"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.style or STYLES:
        lecture = Lecture(STYLES[name], given.seed, given.tissue, given.portrait)
        path = given.out / f"{name}-{given.seed}.{lecture.style.file}"
        encode(lecture, path)
        write_json(path.with_suffix(".json"), lecture.truth(path.name))
        print(path)


if __name__ == "__main__":
    main()
