"""Instruction writing against a local server that takes 200 ms for a reply, 64 requests at once, beside the ideal and
the `openai` client where it is installed.

python benchmarks/instruct.py [--clips 1280] [--rounds 3]

The ideal is clips x 0.2 s / 64: a server that is never waited for and a client that costs nothing. Every run writes
the descriptions of all clips, one request each, and keeps each reply on disk before it is used.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from waiting_server import Answer, completion, serve

from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.instructions.writing import write_descriptions
from videopath_hf.records import ClipRecord, Sentence

LATENCY = 0.2
CONCURRENCY = 64
REPLY = {"description": "The crypts are straight. " * 12, "quality": 4}


ANSWER = Answer(LATENCY, body=completion(json.dumps(REPLY), 900, 100))


def answer(_: bytes) -> Answer:
    """The same to every request."""
    return ANSWER


def clips(count: int) -> list[ClipRecord]:
    """Clips with words of their own and no media."""
    words = "At higher power the crypts are straight and evenly spaced, with a few plasma cells between them."
    return [
        ClipRecord(
            clip_id=f"c{number:06d}",
            video_id="lecture",
            source="lecture.mp4",
            start=number * 10,
            end=number * 10 + 10,
            fps=25,
            frames=250,
            width=1280,
            height=720,
            clip=f"clips/c{number:06d}.mp4",
            sha256=f"{number:064x}",
            transcript=[
                Sentence(start=number * 10 + part, end=number * 10 + part + 1, text=words) for part in range(5)
            ],
            text=words,
        )
        for number in range(count)
    ]


def ours(url: str, records: list[ClipRecord], out: Path) -> float:
    """Seconds of a whole run."""
    server = {"base_url": url, "model": "m", "concurrency": CONCURRENCY}
    start = time.perf_counter()
    writing = write_descriptions(out, out, records, InstructSettings(writer="clippath", server=server))
    seconds = time.perf_counter() - start
    assert len(writing.described) == len(records), writing.rejects[:1]
    return seconds


def with_openai(url: str, bodies: list[dict[str, Any]]) -> float:
    """Seconds for the same requests through AsyncOpenAI, replies parsed and not kept."""
    from openai import AsyncOpenAI

    async def run() -> float:
        queue = iter(bodies)

        async def worker(client: AsyncOpenAI) -> None:
            for body in queue:
                reply = await client.chat.completions.create(**body)
                json.loads(reply.choices[0].message.content or "")

        start = time.perf_counter()
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            await asyncio.gather(*(worker(client) for _ in range(CONCURRENCY)))
        return time.perf_counter() - start

    return asyncio.run(run())


def measured(run: Callable[[], float]) -> tuple[float, float]:
    """Wall and processor seconds of a run; the latter do not depend on what else the machine does."""
    before = time.process_time()
    return run(), time.process_time() - before


def request_bodies(records: list[ClipRecord]) -> list[dict[str, Any]]:
    """What `ours` sends, for the peer."""
    from videopath_hf.instructions.clippath import Caption, ClipPathRoute
    from videopath_hf.instructions.material import as_json, words_of
    from videopath_hf.llm.structured import response_format

    settings = InstructSettings(writer="clippath", server={"base_url": "http://localhost/v1", "model": "m"})
    assert settings.server is not None
    prompts = ClipPathRoute(settings, frozenset(), "m").prompts
    bodies = []
    for clip in records:
        variables = {"material": as_json(clip, words_of(clip)), "media": "nothing"}
        texts = {"system": prompts.render("system", variables), "user": prompts.render("detailed", variables)}
        messages = [{"role": role, "content": text} for role, text in texts.items()]
        bodies.append(settings.server.chat_request(messages, response_format(Caption, "caption")))
    return bodies


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=1280)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(sender, answer), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{receiver.recv()}/v1"
    records = clips(arguments.clips)
    ideal = arguments.clips * LATENCY / CONCURRENCY
    names = ("videopath_hf", "videopath_hf, again (all replies kept)", "openai client, replies not kept")
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    bodies = request_bodies(records) if find_spec("openai") else []
    with tempfile.TemporaryDirectory() as folder:
        ours(url, records[:CONCURRENCY], Path(folder) / "warm-up")
        for number in range(arguments.rounds):
            out = Path(folder) / str(number)
            runs[names[0]].append(measured(lambda out=out: ours(url, records, out)))
            runs[names[1]].append(measured(lambda out=out: ours(url, records, out)))
            if bodies:
                runs[names[2]].append(measured(lambda: with_openai(url, bodies)))
    server.terminate()
    server.join()
    print(f"{arguments.clips} clips, {CONCURRENCY} requests at once, {LATENCY} s each; median of {arguments.rounds}\n")
    print("| way | seconds | ratio to the ideal | best ratio | processor ms a clip |\n| --- | --- | --- | --- | --- |")
    print(f"| ideal | {ideal:.2f} | 1.00 | | |")
    for name, done in runs.items():
        if done:
            middle = statistics.median(seconds for seconds, _ in done)
            best, busy = min(done)[0], statistics.median(busy for _, busy in done) / arguments.clips * 1000
            print(f"| {name} | {middle:.2f} | {middle / ideal:.2f} | {best / ideal:.2f} | {busy:.2f} |")


if __name__ == "__main__":
    main()
