"""How long `videopath --help` and a completion take as whole processes, beside an empty Python and other commands.

python benchmarks/startup.py
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 7


def seconds(command: list[str], **environment: str) -> float:
    """Median wall time of `RUNS` whole processes, after one that is not counted."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        variables = {**os.environ, **environment}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=variables)
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
    completing = {"_VIDEOPATH_COMPLETE": "complete_bash", "COMP_WORDS": "videopath se", "COMP_CWORD": "1"}
    times["videopath se<TAB>"] = seconds([str(folder / "videopath")], **completing)
    ours = times["videopath --help"]
    print("| command | seconds | ratio to videopath --help |\n| --- | --- | --- |")
    for name, value in times.items():
        print(f"| {name} | {value:.3f} | {value / ours:.2f} |")


if __name__ == "__main__":
    main()
