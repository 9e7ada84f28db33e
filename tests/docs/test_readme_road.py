"""The README's commands, all and in order: lectures curated, questions written by both routes, checked, pushed to a
stand-in for the Hub and played by a process without this package; a model trained, scored, asked, pushed."""

import json
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.docs.conftest import Tutorial
from tests.docs.pages import ROOT
from tests.docs.props import SERVER, run_block
from tests.docs.running import prepare, printed_by, run_videopath, steps
from tests.evaluation.judging import scripted_judge
from tests.hub import HubServer
from tests.instructions import scripted_writer
from tests.llm.chat_server import Reply, serve, streamed
from tests.plain import run_plain
from videopath_hf.files import read_json
from videopath_hf.samples import lecture_path
from videopath_hf.samples.lecture_plan import DIAGNOSES
from videopath_hf.video.decode import iter_frames
from videopath_hf.video.encode import write_clip

pytestmark = pytest.mark.slow

LECTURES = {"colon": (8.0, 26.0, False), "again": (13.0, 26.0, True)}
"""Two lectures about one case of the sample: from which second to which, and whether mirrored."""

# What the README says of the published dataset, and a clip decoded.
PLAIN_USER = """
import io, json, sys
import av
from datasets import Video, load_dataset
repo = sys.argv[1]
test = load_dataset(repo, "default", split="test").cast_column("video", Video(decode=False))
streamed = load_dataset(repo, "default", split="test", streaming=True).cast_column("video", Video(decode=False))
row = test[0]
with av.open(io.BytesIO(row["video"]["bytes"])) as clip:
    pictures = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
try:
    from torchcodec.decoders import VideoDecoder
    same = len(VideoDecoder(row["video"]["bytes"])) == len(pictures)
except (ImportError, RuntimeError):
    same = None
del row["video"]
print(json.dumps({"row": row, "rows": len(test), "streamed": sum(1 for _ in streamed), "frames": len(pictures),
                  "spread": float(pictures[0].std()), "same": same}))
"""


def seconds(stamp: str) -> float:
    hours, minutes, rest = stamp.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def write_lectures(folder: Path) -> None:
    subtitles = re.findall(r"(\S+) --> (\S+)\n(.+)", lecture_path().with_suffix(".srt").read_text(encoding="utf-8"))
    for name, (start, end, mirrored) in LECTURES.items():
        frames = iter_frames(lecture_path(), fps=10, start=start, end=end, width=960)
        images = (frame.image[:, ::-1] if mirrored else frame.image for frame in frames)
        write_clip(folder / f"{name}.mp4", images, fps=10)
        lines = []
        for first, last, words in subtitles:
            if start <= seconds(first) and seconds(last) <= end:
                stamps = [f"00:00:{seconds(stamp) - start:06.3f}" for stamp in (first, last)]
                lines.append(f"{len(lines) + 1}\n{' --> '.join(stamps).replace('.', ',')}\n{words}\n")
        (folder / f"{name}.srt").write_text("\n".join(lines), encoding="utf-8")


def play(repo: str, hub: HubServer, folder: Path) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(
        run_plain(PLAIN_USER, repo, cwd=folder, environment=hub.environment(folder / f"home_{os.path.basename(repo)}"))
    )
    assert seen["rows"] == seen["streamed"] >= 1
    assert seen["frames"] > 10
    assert seen["spread"] > 5  # a picture, and not one colour
    assert seen["same"] in (True, None)
    return seen


def writer_or_judge(request: dict[str, Any], seen: int) -> Reply:
    if "candidate_answer" in str(request["messages"][1]["content"]):
        return scripted_judge.good(request, seen)
    return streamed(json.dumps(scripted_writer.reply_to(request)), pause=0.002)


def test_the_readme_s_commands_lead_from_lectures_to_answers_and_to_clips_that_play_elsewhere(
    tutorial: Tutorial, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(prepare(folder))
    (folder / "lectures").mkdir()
    write_lectures(folder / "lectures")
    shutil.copytree(tutorial.folder, folder / "demo_out", symlinks=True)  # what `make demo` leaves, or as good as that
    (folder / "demo_out" / "stage3_video_sft").symlink_to("stages/stage3_video_sft")
    monkeypatch.setattr(scripted_writer, "DIAGNOSES", tuple(name.lower() for name in DIAGNOSES.values()))
    with serve(writer_or_judge) as server:
        for step in steps(ROOT / "README.md"):
            block = step.block._replace(text=step.block.text.replace(SERVER, server.url))
            run_block(block, hub, monkeypatch.setenv)
    assert read_json(folder / "data/run.json")["writer"] == "template"
    assert len(read_json(folder / "mixture.json")) == 2
    assert (folder / "vidrip/videos/test/case.mp4").exists()
    assert read_json(folder / "qwen/results.json")["coverage"] == 1
    assert (folder / "converted/model.safetensors").exists()

    seen = play("my-lab/gi-lectures", hub, tmp_path)
    assert (seen["row"]["writer"], seen["row"]["licence"]) == ("template", "CC BY-NC 4.0")
    assert seen["row"]["diagnosis"] == DIAGNOSES[1]
    assert seen["row"]["answer"].endswith(f"\nDiagnosis: {DIAGNOSES[1]}")

    written = read_json(folder / "written/run.json")
    assert written["writer"] == "vidrip:my-model"
    asked = [request for request in server.requests if "candidate_answer" not in str(request["messages"])]
    assert len(asked) == written["server"]["requests_sent"] > 0
    assert any(block["type"] == "image_url" for block in asked[0]["messages"][1]["content"])
    run_videopath(["videopath", "data", "check", "written", "--out", "written_checked"])
    push = "videopath push dataset written my-lab/written --licence 'CC BY 4.0' --kinds video"
    printed_by(shlex.split(push), folder, **hub.environment(tmp_path / "hub_home"))
    row = play("my-lab/written", hub, tmp_path)["row"]
    assert (row["writer"], row["kind"]) == ("vidrip:my-model", "video")
    assert any(item.get("quote") for item in row["grounding"])
