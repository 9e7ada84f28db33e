"""How long `videopath --help` takes as a whole process, beside the floor of an empty Python and the peers' commands.

python benchmarks/startup.py
"""

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 7


def seconds(command: list[str]) -> float:
    """Median wall time of `RUNS` whole processes, after one that is not counted."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print the table."""
    folder = Path(sys.executable).parent
    rows = {
        "videopath --help": [str(folder / "videopath"), "--help"],
        "videopath --version": [str(folder / "videopath"), "--version"],
        "python -c pass (floor)": [sys.executable, "-c", "pass"],
    }
    for peer in ("hf", "accelerate", "trl"):
        if (path := shutil.which(peer, path=str(folder))) is not None:
            rows[f"{peer} --help"] = [path, "--help"]
    times = {name: seconds(command) for name, command in rows.items()}
    ours = times["videopath --help"]
    print("| command | seconds | ratio to videopath --help |\n| --- | --- | --- |")
    for name, value in times.items():
        print(f"| {name} | {value:.3f} | {value / ours:.2f} |")


if __name__ == "__main__":
    main()
