"""A small instruction folder whose answers can only be told from pixels: brownish or bluish texture."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videopath_hf.files import write_records
from videopath_hf.records import InstructionRecord
from videopath_hf.training.recipe import Recipe
from videopath_hf.video.encode import write_clip
from videopath_hf.video.frame_index import frame_index

SIDE = 96
CASES = {
    "melanosis coli": (
        (150, 95, 60),
        "The crypts keep their shape. The lamina propria is full of macrophages with brown granules.",
    ),
    "celiac disease": (
        (95, 100, 175),
        "The villi are flat. The crypts are long and the surface is crowded with lymphocytes.",
    ),
}
DIAGNOSES = tuple(CASES)
QUESTION = "Describe the tissue in this {medium}, then name the best diagnosis."


def texture(diagnosis: str, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A field of soft blobs on a pale ground, 2 x SIDE wide, so that a clip can pan over it."""
    colour = np.array(CASES[diagnosis][0], dtype=np.float64) + rng.normal(0, 12, 3)
    coarse = rng.random((12, 24))
    blobs = np.asarray(Image.fromarray((coarse * 255).astype(np.uint8)).resize((2 * SIDE, SIDE), Image.BICUBIC)) / 255
    weight = np.clip((blobs - 0.3) * 2, 0, 1)[..., None]
    field = weight * colour + (1 - weight) * np.array([232, 222, 230]) + rng.normal(0, 8, (SIDE, 2 * SIDE, 3))
    return np.clip(field, 0, 255).astype(np.uint8)


def write_dataset(root: Path, clips: int = 12, held_out: int = 4, seed: int = 0) -> Path:
    """Write `clips` training and `held_out` test clips with two keyframes each, and their records, into `root`."""
    rng = np.random.default_rng(seed)
    records: list[InstructionRecord] = []
    for index in range(clips + held_out):
        diagnosis = DIAGNOSES[index % len(DIAGNOSES)]
        split = "train" if index < clips else "test"
        field = texture(diagnosis, rng)
        name = f"lecture_c{index:05d}"
        pan = np.linspace(0, SIDE, 8).astype(int)
        frames = [field[:, left : left + SIDE] for left in pan]
        video = f"videos/{split}/{name}.mp4"
        write_clip(root / video, frames, fps=2)
        records += [_record(name, "clip", video, diagnosis, split), _record(name, "video", video, diagnosis, split)]
        for shot in (0, 7):
            image = f"images/{split}/{name}_{shot:02d}.jpg"
            (root / image).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(frames[shot]).save(root / image, quality=92)
            records += [_record(name, kind, image, diagnosis, split, shot) for kind in ("caption", "image")]
    write_records(root / "instructions.jsonl", records)
    return root


def _record(clip: str, kind: str, path: str, diagnosis: str, split: str, shot: int = 0) -> InstructionRecord:
    medium = "video" if path.endswith(".mp4") else "image"
    description = CASES[diagnosis][1]
    question = "" if kind == "caption" else QUESTION.format(medium=medium)
    answer = description if kind == "caption" else f"{description}\nDiagnosis: {diagnosis}"
    shown: list[dict[str, Any]] = [{"type": medium, "path": path}]
    if question:
        shown.append({"type": "text", "text": question})
    return InstructionRecord.model_validate(
        {
            "id": f"{clip}-{kind}-{shot}",
            "kind": kind,
            "clip_id": clip,
            "video_id": "lecture",
            "media": [{"type": medium, "path": path}],
            "messages": [
                {"role": "user", "content": shown},
                {"role": "assistant", "content": [{"type": "text", "text": answer}]},
            ],
            "question": question,
            "answer": answer,
            "description": description,
            "diagnosis": None if kind == "caption" else diagnosis,
            "split": split,
            "source": "synthetic",
            "start": 0,
            "end": 4,
            "licence": "Apache-2.0",
            "writer": "synthetic",
            "prompt_hash": "0",
        }
    )


def break_clip(path: Path) -> None:
    """Damage a clip so that it is sound to look at, and only decoding finds out."""
    frames = len(frame_index(path).times)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    middle = start + (len(content) - start) // 2
    content[middle:] = bytes(len(content) - middle)
    path.write_bytes(content)
    assert len(frame_index(path).times) == frames


def short_recipe(model: Path, data: Path, out: Path, /, **changes: Any) -> Recipe:
    """A recipe of two steps; sections given as keywords are merged into it."""
    values: dict[str, Any] = {
        "stage": 3,
        "name": "video_sft",
        "model": str(model),
        "out": out,
        "data": {"path": data, "kinds": ["video"], "cache_mb": 100},
        "trainable": {"projector": True, "vision_tower": True, "language_model": "lora"},
        "lora": {"r": 4, "alpha": 8},
        "frames": {"num_frames": 4},
        "optimisation": {"learning_rate": 1e-3, "batch_size": 2, "max_steps": 2},
    }
    for key, value in changes.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) and key in values else value
    return Recipe.model_validate(values)


def texts() -> list[str]:
    """Everything that is said in the records, for the tokenizer."""
    words = [f"{description}\nDiagnosis: {name}" for name, (_, description) in CASES.items()]
    questions = [
        f"Describe the tissue in this {medium}, then name the best diagnosis." for medium in ("image", "video")
    ]
    return words + questions
