"""Instruction data: mixtures at the size of ClipPath-Instruct, and clips streamed for training.

python benchmarks/data.py [--part mixture|stream|published|publish] [--records 140000] [--clips 48]

mixture: constant memory and linear time. Every size runs in a process of its own: a mixture of a LLaVA list, LLaVA
lines and a table of captions, all of it and half of it at random, is read, checked and written as LLaVA JSON. No media
are needed. The peers are what the published way does, `json.load` of the list and `json.dump` of what was taken,
without a check of any record, and `datasets`.

stream: rows of a dataset folder, each with 32 evenly spaced frames of its clip, one after the other, beside `datasets`
with torchcodec; and the rows alone. Ways take turns.

published: the same of what was published to a stand-in for the Hub, as parquet shards and as a folder.

publish: to the stand-in, a quarter of the records and all of them; `data_publish.py` has more to choose.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from videopath_hf.runs import peak_memory

WORDS = "At higher power the crypts are straight and evenly spaced, with a few plasma cells between them. "


def conversation(number: int) -> dict[str, object]:
    """One entry as long as those of ClipPath-Instruct."""
    answer = f"{WORDS * 6}It is clip {number}.\nDiagnosis: melanosis coli"
    turns = [{"from": "human", "value": "<image>\nDescribe the clip."}, {"from": "gpt", "value": answer}]
    return {
        "id": f"clip_{number:07d}",
        "video": f"videos/{number % 997}/clip_{number:07d}.mp4",
        "conversations": turns,
    }


def write_sources(root: Path, records: int) -> None:
    """A list, lines and a table, half of which is taken: so many records together; and the mixture of them."""
    quarter = records // 4  # of the table, half is taken
    with (root / "list.json").open("w") as stream:
        stream.write("[")
        for number in range(2 * quarter):
            stream.write(("," if number else "") + json.dumps(conversation(number)))
        stream.write("]")
    with (root / "lines.jsonl").open("w") as stream:
        stream.writelines(json.dumps(conversation(number)) + "\n" for number in range(quarter))
    with (root / "table.csv").open("w") as stream:
        stream.write("image,caption\n")
        stream.writelines(f'images/{number}.jpg,"{WORDS}{number}"\n' for number in range(2 * quarter))
    entries = ["list.json", "lines.jsonl", "table.csv, sampling_strategy: 'random:50%'"]
    (root / "mix.yaml").write_text("datasets:\n" + "".join(f"  - {{json_path: {entry}}}\n" for entry in entries))


def ours(root: Path) -> int:
    """The mixture through this package."""
    from videopath_hf.data.convert import convert
    from videopath_hf.data.formats.registry import format_named
    from videopath_hf.data.sources import open_source

    summary = convert(open_source(root / "mix.yaml"), root / "ours.json", format_named("llava"))
    assert not summary.rejects, summary.rejects
    return sum(sum(counts.values()) for counts in summary.records.values())


def published(root: Path) -> int:
    """The same data as the published way takes them: whole files in memory, nothing checked."""
    import csv
    import random

    taken = json.loads((root / "list.json").read_text())
    taken += [json.loads(line) for line in (root / "lines.jsonl").open()]
    rows = list(csv.DictReader((root / "table.csv").open()))
    random.shuffle(rows)
    taken += rows[: len(rows) // 2]
    with (root / "published.json").open("w") as stream:
        json.dump(taken, stream)
    return len(taken)


def with_datasets(root: Path) -> int:
    """The same data through `datasets`, nothing checked: three Arrow caches, then JSON lines."""
    from datasets import concatenate_datasets, load_dataset

    cache = str(root / "cache")
    parts = [
        load_dataset("json", data_files=str(root / name), split="train", cache_dir=cache)
        for name in ("list.json", "lines.jsonl")
    ]
    table = load_dataset("csv", data_files=str(root / "table.csv"), split="train", cache_dir=cache).shuffle(seed=0)
    parts.append(table.select(range(len(table) // 2)))
    joined = concatenate_datasets(parts)
    joined.to_json(root / "datasets.jsonl")
    return len(joined)


WAYS: dict[str, Callable[[Path], int]] = {
    "videopath_hf": ours,
    "whole files in memory, nothing checked": published,
    "datasets, nothing checked": with_datasets,
}


def measure(way: str, root: Path) -> None:
    """In a process of its own: print records, seconds, processor seconds and peak bytes."""
    start, busy = time.perf_counter(), time.process_time()
    count = WAYS[way](root)
    print(json.dumps([count, time.perf_counter() - start, time.process_time() - busy, peak_memory()]))


def mixture(most: int) -> None:
    """Print the table of mixture building."""
    print("| way | records | seconds | processor seconds | peak memory, MB |\n| --- | --- | --- | --- | --- |")
    for way in WAYS:
        for records in (most // 4, most // 2, most):
            with tempfile.TemporaryDirectory() as folder:
                write_sources(Path(folder), records)
                command = [sys.executable, __file__, "--measure", way, folder]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            count, seconds, busy, peak = json.loads(done.stdout.splitlines()[-1])
            print(f"| {way} | {count:,} | {seconds:.1f} | {busy:.1f} | {peak / 1e6:.0f} |", flush=True)


def write_clips(root: Path, clips: int) -> None:
    """A dataset folder of clips as `videopath curate` cuts them: 20 s, 5 frames a second, 640 pixels wide."""
    import numpy as np

    from videopath_hf.data.convert import convert
    from videopath_hf.data.formats.registry import format_named
    from videopath_hf.data.sources import open_source
    from videopath_hf.video.encode import write_clip

    rng = np.random.default_rng(0)
    field = np.kron(rng.integers(60, 255, (90, 120, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    source = root / "source"
    entries = []
    for number in range(clips):
        entry = conversation(number)
        pans = np.linspace(0, 320, 100).astype(int)
        write_clip(source / str(entry["video"]), [field[number : number + 360, x : x + 640] for x in pans], fps=5)
        entries.append(entry)
    (source / "in.json").write_text(json.dumps(entries))
    convert(open_source(source / "in.json"), root / "data", format_named("videopath"))


def stream_ours(root: Path, frames: bool) -> int:
    """Records of the folder, and their clips' frames as training takes them."""
    from videopath_hf.data.folder import read_instructions
    from videopath_hf.data.media import media_paths
    from videopath_hf.video.sampling import sample_video

    count = 0
    for record in read_instructions(root, ["clip", "video"], "train"):
        count += len(sample_video(media_paths(root, record)[0], 32).frames) == 32 if frames else 1
    return count


def stream_datasets(root: Path, frames: bool) -> int:
    """The same through plain `datasets`, streaming."""
    import numpy as np
    from datasets import Video, load_dataset

    rows = load_dataset(str(root), split="train", streaming=True)
    if not frames:
        return sum(1 for _ in rows.cast_column("video", Video(decode=False)))
    count = 0
    for row in rows:
        decoder = row["video"]
        indices = np.linspace(0, decoder.metadata.num_frames - 1, 32, dtype=int).tolist()
        count += len(decoder.get_frames_at(indices).data) == 32
    return count


def stream(clips: int) -> None:
    """Print the table of streaming; clips are made anew."""
    ways: dict[str, tuple[Callable[[Path, bool], int], bool]] = {
        "videopath_hf, 32 frames a clip": (stream_ours, True),
        "datasets and torchcodec, 32 frames a clip": (stream_datasets, True),
        "videopath_hf, rows alone": (stream_ours, False),
        "datasets, rows alone": (stream_datasets, False),
    }
    if find_spec("torchcodec") is None:
        del ways["datasets and torchcodec, 32 frames a clip"]
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        write_clips(Path(folder), clips)
        for turn in range(4):  # the first warms up
            for way, (run, frames) in ways.items():
                start, busy = time.perf_counter(), time.process_time()
                assert run(Path(folder) / "data", frames) == clips
                if turn:
                    seconds[way].append((time.perf_counter() - start, time.process_time() - busy))
    print("| way | rows a second | processor ms a row |\n| --- | --- | --- |")
    for way, runs in seconds.items():
        wall, busy = (sorted(values)[len(values) // 2] for values in zip(*runs, strict=True))
        print(f"| {way} | {clips / wall:,.0f} | {1000 * busy / clips:.1f} |")


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=["mixture", "stream", "published", "publish"])
    parser.add_argument("--records", type=int, default=140_000)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--measure", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure[0], Path(arguments.measure[1]))
        return
    if arguments.part in (None, "mixture"):
        mixture(arguments.records)
    if arguments.part in (None, "stream"):
        stream(arguments.clips)
    if arguments.part in (None, "published"):
        import data_publish

        with tempfile.TemporaryDirectory() as name:
            data_publish.stream(Path(name), 2 * data_publish.CLIPS, sys.executable)
    if arguments.part in (None, "publish"):
        from data_publish import publish

        with tempfile.TemporaryDirectory() as name:
            publish(Path(name), [arguments.records // 4, arguments.records], ["parquet", "folder"])


if __name__ == "__main__":
    main()
