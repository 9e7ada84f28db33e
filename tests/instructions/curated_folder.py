"""A small curated folder, as `videopath curate` leaves it: real mp4 clips, key frames, clips.jsonl."""

from pathlib import Path

import numpy as np
from PIL import Image

from videopath_hf.files import file_sha256, write_records
from videopath_hf.records import ClipRecord, Evidence, RemovedText, Sentence
from videopath_hf.video.encode import write_clip

CELIAC = ("duodenum", "Celiac disease")
MELANOSIS = ("colon", "melanosis coli")
SPOKEN = {
    CELIAC: [
        "Welcome to this short lecture on gastrointestinal pathology.",
        "Let us zoom in on this fragment.",
        "The villi are short and blunted, and the crypts are crowded.",
        "There are lymphocytes inside the surface epithelium.",
        "Villous blunting and lymphocytes support the diagnosis of celiac disease.",
    ],
    MELANOSIS: [
        "At higher power we find brown granular pigment in the lamina propria.",
        "The pigment lies inside macrophages, between the crypts.",
        "This is melanosis coli, a benign condition.",
    ],
}


def sentences(*texts: str) -> list[Sentence]:
    """Spoken sentences, two seconds each."""
    return [Sentence(start=2.0 * index, end=2.0 * index + 2, text=text) for index, text in enumerate(texts)]


def shown(*texts: str) -> list[RemovedText]:
    """On-screen texts that were painted out."""
    return [RemovedText(text=text, box=(0, 0, 20, 5), start=0, end=4) for text in texts]


def make_clip(
    root: Path,
    clip_id: str,
    case: tuple[str, str] | None,
    spoken: list[str] | None = None,
    labels: tuple[str, ...] = (),
    video_id: str = "lecture",
    keyframes: int = 2,
) -> ClipRecord:
    """Render a clip of four frames of noise of its own, tinted by its case, and describe it."""
    frames = list(np.random.default_rng(list(clip_id.encode())).integers(0, 200, (4, 48, 64, 3), np.uint8))
    for frame in frames:
        frame[..., 0] = 255 if case == CELIAC else 0
    path = root / "clips" / f"{clip_id}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(path, frames, 2.0)
    names = [f"keyframes/{clip_id}_{index:02d}.jpg" for index in range(keyframes)]
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(frames[0]).save(root / name)
    if spoken is None:
        spoken = SPOKEN.get(case, []) if case else []
    words = sentences(*spoken)
    return ClipRecord(
        clip_id=clip_id,
        video_id=video_id,
        source=f"{video_id}.mp4",
        start=0,
        end=2,
        fps=2.0,
        frames=4,
        width=64,
        height=48,
        clip=f"clips/{clip_id}.mp4",
        sha256=file_sha256(path),
        transcript=words,
        text=" ".join(sentence.text for sentence in words),
        case=None if case is None else 1 + (case == MELANOSIS),
        organ=Evidence(value=case[0], source="transcript", start=0, end=2) if case else None,
        diagnosis=Evidence(value=case[1], source="transcript", start=0, end=2) if case else None,
        removed_text=shown(*labels),
        keyframes=names,
    )


def make_curated(root: Path, per_case: int = 3) -> list[ClipRecord]:
    """Two cases with `per_case` clips each, one clip without a diagnosis; returns the records."""
    clips = [
        make_clip(root, f"lecture_c{index:05d}", case)
        for index, case in enumerate([CELIAC] * per_case + [MELANOSIS] * per_case)
    ]
    clips.append(make_clip(root, "lecture_c00099", None, ["The surface is smooth."]))
    write_records(root / "clips.jsonl", clips)
    return clips
