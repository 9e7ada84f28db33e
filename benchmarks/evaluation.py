"""Judging 242 answers on three aspects against a local server that takes 200 ms for a reply and fails 5% of the time,
32 requests at once, beside the ideal, a loop that asks one after the other, and a run whose replies are all kept.

python benchmarks/evaluation.py [--answers 242] [--serial 60] [--rounds 3] [--retry-after SECONDS]

The ideal is requests x 0.2 s / 32: nothing ever fails and a client costs nothing. Of the failures half are 429, at
once, and half 500, after 200 ms; with `--retry-after` the former ask for so long a wait, which a run cannot be over
before. The serial loop asks as the published evaluation does: the next request when the last one is answered, and 5 s
of sleep after a failure; it is run on a sample and extrapolated. The run with all replies kept is a process of its
own, imports included.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

from waiting_server import Answer, completion, serve

from videopath_hf.evaluation.judge import Judge, JudgeSample, JudgeSettings

LATENCY = 0.2
CONCURRENCY = 32
FAILS = 0.05
PAUSE = 5.0
ANSWER = "The crypts are straight and evenly spaced. The lamina propria holds a few plasma cells. " * 4
MARK = json.dumps({"reason": "Most findings of the reference are there.", "score": 3.5})

seen: Counter[bytes] = Counter()


def answer(retry_after: int | None, request: bytes) -> Answer:
    """One in twenty requests fails the first time it is seen."""
    digest = hashlib.sha256(request).digest()
    seen[digest] += 1
    if seen[digest] > 1 or digest[0] >= FAILS * 256:
        return Answer(LATENCY, body=completion(MARK, 400, 20))
    if digest[1] % 2:
        asked = b"" if retry_after is None else f"Retry-After: {retry_after}\r\n".encode()
        return Answer(0.0, b"429 Too Many Requests", asked)
    return Answer(LATENCY, b"500 Internal Server Error", b"")


def samples(count: int, name: str) -> list[JudgeSample]:
    """Answers of some length; another `name` makes others."""
    return [
        JudgeSample(f"{number}", "Describe the tissue.", ANSWER, f"{ANSWER} {name} {number}")
        for number in range(count)
    ]


def settings(url: str) -> JudgeSettings:
    """The judge."""
    return JudgeSettings(base_url=url, model="m", concurrency=CONCURRENCY)


def ours(url: str, answers: list[JudgeSample], log: Path) -> float:
    """Seconds of judging all answers, every reply kept on disk before it is used."""
    judge = Judge(settings(url), log)
    start = time.perf_counter()
    scores = judge.score(answers)
    seconds = time.perf_counter() - start
    assert judge.summarise(scores).coverage == 1
    return seconds


def one_by_one(url: str, answers: list[JudgeSample], count: int) -> float:
    """Seconds of a request, asked one after the other, as the mean of `count` of them."""
    import requests

    judge = Judge(settings(url))
    done, start = 0, time.perf_counter()
    for sample in answers:
        for aspect in judge.settings.aspects:
            if done == count:
                return (time.perf_counter() - start) / count
            body = judge.settings.chat_request(judge.protocol.messages(aspect, sample), judge.protocol.response_format)
            while (response := requests.post(f"{url}/chat/completions", json=body, timeout=60)).status_code != 200:
                time.sleep(PAUSE)
            json.loads(response.json()["choices"][0]["message"]["content"])
            done += 1
    return (time.perf_counter() - start) / max(1, done)


AGAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from evaluation import ours, samples
ours(sys.argv[2], samples(int(sys.argv[3]), sys.argv[4]), Path(sys.argv[5]))
"""


def again(url: str, count: int, name: str, log: Path) -> tuple[float, float]:
    """Wall and processor seconds of a process that finds every reply in the log."""
    before = os.times()
    start = time.perf_counter()
    command = [sys.executable, "-c", AGAIN, str(Path(__file__).parent), url, str(count), name, str(log)]
    subprocess.run(command, check=True)
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, busy


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=int, default=242)
    parser.add_argument("--serial", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--retry-after", type=int)
    arguments = parser.parse_args()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(sender, partial(answer, arguments.retry_after)), daemon=True
    )
    server.start()
    url = f"http://127.0.0.1:{receiver.recv()}/v1"
    requests = 3 * arguments.answers
    ideal = requests * LATENCY / CONCURRENCY
    full: list[float] = []
    kept: list[tuple[float, float]] = []
    serial: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        ours(url, samples(CONCURRENCY // 3, "warm-up"), Path(folder) / "warm-up.jsonl")
        for number in range(arguments.rounds):
            name, log = f"round {number}", Path(folder) / f"{number}.jsonl"
            full.append(ours(url, samples(arguments.answers, name), log))
            kept.append(again(url, arguments.answers, name, log))
            serial.append(one_by_one(url, samples(arguments.answers, f"serial {number}"), arguments.serial))
    server.terminate()
    server.join()
    middle, slow = statistics.median(full), statistics.median(serial) * requests
    wall, busy = min(kept)[0], min(busy for _, busy in kept)
    print(
        f"{requests} requests, {CONCURRENCY} at once, {LATENCY} s each, {FAILS:.0%} fail once; median of "
        f"{arguments.rounds}\n"
    )
    print("| way | seconds | ratio to the ideal | best ratio |\n| --- | --- | --- | --- |")
    print(f"| ideal | {ideal:.2f} | 1.00 | |")
    print(f"| videopath_hf | {middle:.2f} | {middle / ideal:.2f} | {min(full) / ideal:.2f} |")
    print(f"| one after the other ({arguments.serial} requests, extrapolated) | {slow:.0f} | {slow / ideal:.0f} | |")
    print(f"| videopath_hf again, a whole process, all replies kept (best) | {wall:.2f} | {wall / ideal:.2f} | |")
    print(f"\nprocessor seconds of the last: {busy:.2f}")


if __name__ == "__main__":
    main()
