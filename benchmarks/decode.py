"""Decoding of the shipped lecture: ours beside decord and a plain PyAV loop, and the floor of pure decoding.

python benchmarks/decode.py [VIDEO]
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import decord
import numpy as np

from videopath_hf.samples import lecture_path
from videopath_hf.video.decode import iter_frames, read_frames
from videopath_hf.video.frame_index import _frame_index

ROUNDS = 5


def plain_loop(path: Path) -> None:
    """Two frames a second the way scripts do it: convert every frame, keep some, shrink with Pillow."""
    with av.open(str(path)) as container:
        due = 0.0
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24")
            if frame.time >= due:
                np.asarray(av.VideoFrame.from_ndarray(image).to_image().resize((320, 180)))
                due += 0.5


def pure_decode(path: Path) -> None:
    """The floor: decode every frame with threads, convert none."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            pass


def ours_32(path: Path, indices: list[int]) -> None:
    """Ours without the remembered index, as a first call is."""
    _frame_index.cache_clear()
    read_frames(path, indices)


def medians(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, the rounds interleaved so that a slow moment of the machine hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def print_table(title: str, works: dict[str, Callable[[], object]]) -> None:
    """Print one table; the first row is ours."""
    results = medians(works)
    ours = next(iter(results.values()))
    print(f"\n{title}\n\n| way | seconds | ratio to ours |\n| --- | --- | --- |")
    for name, value in results.items():
        print(f"| {name} | {value:.3f} | {value / ours:.2f} |")


def main() -> None:
    """Print both tables."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else lecture_path()
    total = len(decord.VideoReader(str(path)))
    indices = np.linspace(0, total - 1, 32, dtype=int).tolist()
    print_table(
        "Two frames a second at 320 pixels, the whole lecture (what curation looks at)",
        {
            "videopath_hf iter_frames": lambda: list(iter_frames(path, fps=2, width=320)),
            "plain PyAV loop, Pillow resize": lambda: plain_loop(path),
            "pure decode, no conversion (floor)": lambda: pure_decode(path),
        },
    )
    print_table(
        "32 evenly spaced frames at full size (what a model sees)",
        {
            "videopath_hf read_frames": lambda: ours_32(path, indices),
            "decord get_batch": lambda: decord.VideoReader(str(path)).get_batch(indices).asnumpy(),
        },
    )


if __name__ == "__main__":
    main()
