"""Publishing a dataset and reading it back, against a stand-in for the Hub on this machine.

python benchmarks/data_publish.py [--part publish|stream] [--records N ...]

`publish`: the publishing process's CPU seconds and peak memory for growing numbers of records, few small clips shown
by all of them.
`stream`: rows a second of each layout, with frames decoded, through this package and through plain `datasets` +
torchcodec (which needs FFmpeg; its rows are left out where it does not load).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.hub import HubServer, serve_hub
from videopath_hf.files import write_records
from videopath_hf.records import InstructionRecord, Media
from videopath_hf.samples import lecture_path
from videopath_hf.video.decode import iter_frames
from videopath_hf.video.encode import write_clip

CLIPS = 64
FRAMES = 8
TURNS = 3

_PUBLISH = """
import json, sys, time
from videopath_hf.data.publish import publish_dataset
from videopath_hf.data.publish_settings import PublishSettings
from videopath_hf.runs import peak_memory
import datasets, huggingface_hub, pyarrow
base, start = peak_memory(), time.process_time()
summary = publish_dataset(sys.argv[1], sys.argv[2], PublishSettings(layout=sys.argv[3]))
print(json.dumps([time.process_time() - start, base, peak_memory(), summary.files, summary.bytes, summary.sent]))
"""

_READ = {
    "videopath_hf.load_instruct, undecoded": """
from videopath_hf import load_instruct
rows = load_instruct(repo, kinds=["video"])
def use(row): return row["messages"]
""",
    "videopath_hf.load_instruct + its sampler": """
from videopath_hf import load_instruct
from videopath_hf.video.sampling import sample_video
import tempfile, pathlib
rows = load_instruct(repo, kinds=["video"])
held = pathlib.Path(tempfile.mkdtemp()) / "clip.mp4"
def use(row):
    block = row["messages"][0]["content"][0]
    path = block.get("path")
    if path is None:
        held.write_bytes(block["video"])
        path = held
    return sample_video(path, num_frames=FRAMES).frames
""",
    "datasets, undecoded": """
from datasets import load_dataset
rows = load_dataset(repo, "default", split="train", streaming=True).decode(False)
def use(row): return row["video"]
""",
    "datasets + torchcodec": """
from datasets import load_dataset
import numpy as np
rows = load_dataset(repo, "default", split="train", streaming=True)
def use(row):
    video = row["video"]
    return video.get_frames_at(np.linspace(0, len(video) - 1, FRAMES, dtype=int).tolist()).data
""",
}
_TIMED = """
count, start, busy = 0, None, 0.0
for row in rows:
    use(row)
    if start is None:  # opening is not counted
        start, busy = time.perf_counter(), time.process_time()
    count += 1
seconds, busy = time.perf_counter() - start, time.process_time() - busy
print(json.dumps([(count - 1) / seconds, 1000 * busy / (count - 1)]))
"""


def make_clips(root: Path, width: int, seconds: float) -> list[str]:
    """Clips of the lecture that ships, at 5 frames a second, all different; their paths relative to `root`."""
    names = []
    for number in range(CLIPS):
        name = f"videos/train/clip_{number:03d}.mp4"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        start = 0.75 * number
        frames = iter_frames(lecture_path(), fps=5, start=start, end=start + seconds, width=width)
        write_clip(root / name, (frame.image for frame in frames), 5.0)
        names.append(name)
    return names


def synthetic(count: int, names: list[str]) -> Iterator[InstructionRecord]:
    """Records of the length of real ones, all different."""
    words = "The villi are short and blunted and the crypts are crowded with mitoses at this magnification. " * 6
    for number in range(count):
        name = names[number * len(names) // count]
        question, answer = (
            f"Clip {number}: describe the tissue, then name the diagnosis.",
            f"{words}\nDiagnosis: D{number % 90}",
        )
        shown = [{"type": "video", "path": name}, {"type": "text", "text": question}]
        yield InstructionRecord(
            id=f"r{number}",
            kind="video",
            clip_id=f"c{number}",
            video_id=f"v{number // 30}",
            media=[Media(type="video", path=name)],
            messages=[
                {"role": "user", "content": shown},
                {"role": "assistant", "content": [{"type": "text", "text": answer}]},
            ],
            question=question,
            answer=answer,
            description=words,
            diagnosis=f"D{number % 90}",
            organ="colon",
            split="train",
            source=f"lecture_{number // 30}.mp4",
            start=0,
            end=5,
            licence="CC BY 4.0",
            writer="template",
            prompt_hash="0" * 16,
        )


def run(hub: HubServer, folder: Path, code: str, *arguments: str, python: str = sys.executable) -> list[float] | None:
    """What a fresh process prints; None where a library it needs does not load."""
    environment = {**os.environ, **hub.environment(folder / f"home{time.monotonic_ns()}")}
    environment |= {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(
        [python, "-c", code, *arguments], env=environment, cwd=folder, capture_output=True, text=True
    )
    if done.returncode != 0:
        if "torchcodec" in done.stderr:
            return None
        raise RuntimeError(done.stderr)
    return [float(value) for value in json.loads(done.stdout.strip().splitlines()[-1])]


def publish(folder: Path, counts: list[int], layouts: list[str]) -> None:
    """Print the table of publishing."""
    print(
        "| layout | records | CPU seconds | records a CPU second | memory over the imports, MB | files "
        "| again, CPU seconds |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for layout in layouts:
        for count in counts:
            root = folder / f"{layout}_{count}"
            write_records(root / "instructions.jsonl", synthetic(count, make_clips(root, 64, 1)))
            with serve_hub(folder / f"hub_{layout}_{count}") as hub:
                first = run(hub, folder, _PUBLISH, str(root), "d", layout)
                again = run(hub, folder, _PUBLISH, str(root), "d", layout)
            assert first and again and again[5] == 0
            seconds, base, peak, files = first[:4]
            print(
                f"| {layout} | {count:,} | {seconds:.1f} | {count / seconds:,.0f} | {(peak - base) / 1e6:.0f} | "
                f"{files:.0f} | {again[0]:.1f} |",
                flush=True,
            )


def stream(folder: Path, records: int, python: str) -> None:
    """Print the table of reading; ways take turns."""
    root = folder / "stream"
    write_records(root / "instructions.jsonl", synthetic(records, make_clips(root, 640, 5)))
    print(f"\n{records} rows, {CLIPS} clips of 640x360, 5 s at 5 frames a second; {FRAMES} frames decoded\n")
    print("| layout | way | rows a second | processor ms a row |\n| --- | --- | --- | --- |")
    head = f"import json, sys, time\nrepo, FRAMES = sys.argv[1], {FRAMES}\n"
    with serve_hub(folder / "hub_stream") as hub:
        for layout in ("parquet", "folder"):
            run(hub, folder, _PUBLISH, str(root), layout, layout)
            found: dict[str, list[list[float]]] = {way: [] for way in _READ}
            for _ in range(TURNS):
                for way, code in _READ.items():
                    if (
                        figures := run(hub, folder, head + code + _TIMED, f"walker/{layout}", python=python)
                    ) is not None:
                        found[way].append(figures)
            for way, turns in found.items():
                middle = [sorted(values)[len(values) // 2] for values in zip(*turns, strict=True)]
                shown = f"{middle[0]:.0f} | {middle[1]:.1f}" if middle else "torchcodec does not load |"
                print(f"| {layout} | {way} | {shown} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["publish", "stream"])
    parser.add_argument("--records", type=int, nargs="+", default=[14_000, 35_000, 70_000, 140_000])
    parser.add_argument("--layouts", nargs="+", default=["parquet", "folder"])
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter that reads, if another has torchcodec"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.part != "stream":
            publish(Path(name), arguments.records, arguments.layouts)
        if arguments.part != "publish":
            stream(Path(name), 2 * CLIPS, arguments.python)


if __name__ == "__main__":
    main()
