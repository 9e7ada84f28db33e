"""From lectures to a published dataset, by the README's own commands: curated, written by both routes, checked, pushed
to a stand-in for the Hub, and played by a process that does not have this package."""

import json
import os
import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cli.conftest import Run
from tests.hub import HubServer
from tests.hub.fixture import client_of_a_hub
from tests.instructions import scripted_writer
from tests.llm.chat_server import Reply, serve, streamed
from tests.plain import run_plain
from videopath_hf.samples import lecture_path
from videopath_hf.samples.lecture_plan import DIAGNOSES
from videopath_hf.video.decode import iter_frames
from videopath_hf.video.encode import write_clip

pytestmark = pytest.mark.slow

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
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


def commands(*verbs: str) -> list[list[str]]:
    """The README's commands of some verbs about data, as they stand there."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines()
    typed = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("videopath ")]
    return [words for words in typed if words[0] in verbs and words[:2] != ["push", "model"]]


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


def write_release(root: Path) -> None:
    """What the authors release, in small, an image set, and a mixture of pictures."""
    (root / "release").mkdir()
    record = {"video_name": "case", "question": "Best diagnosis?", "answer": "Flat villi.\nDiagnosis: celiac disease"}
    with zipfile.ZipFile(root / "release/test.zip", "w") as archive:
        archive.write(root / "lectures/again.mp4", "Test_Videos/case.mp4")
        archive.writestr("test.json", json.dumps([record]))
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "Flat villi."}]
    entries = [{"id": str(n), "image": f"{n}.png", "conversations": turns} for n in range(4)]
    (root / "list.json").write_text(json.dumps(entries))
    (root / "mixture.yaml").write_text("datasets:\n  - {json_path: list.json, sampling_strategy: 'first:50%'}\n")
    (root / "images").mkdir()
    for number in range(4):
        Image.linear_gradient("L").rotate(90 * number).save(root / f"images/{number}.png")
    with zipfile.ZipFile(root / "quilt_vqa.zip", "w") as archive:
        archive.write(root / "images/0.png", "quilt_vqa/images/0.png")
    asked = {"from": "human", "value": "<image>\nIs it flat?"}
    entry = {
        "id": 0,
        "image": "0.png",
        "conversations": [asked],
        "answer": "Yes, it is.",
        "answer_type": "CLOSED",
        "yes_no_answer": "Yes",
    }
    (root / "quiltvqa_test_w_ans.json").write_text(json.dumps([entry]))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with client_of_a_hub(tmp_path / "stand_in", monkeypatch) as server:
        yield server


def play(repo: str, hub: HubServer, folder: Path) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(
        run_plain(PLAIN_USER, repo, cwd=folder, environment=hub.environment(folder / f"home_{os.path.basename(repo)}"))
    )
    assert seen["rows"] == seen["streamed"] >= 1
    assert seen["frames"] > 10
    assert seen["spread"] > 5  # a picture, and not one colour
    assert seen["same"] in (True, None)
    return seen


def test_the_readme_s_commands_lead_from_lectures_to_clips_that_play_elsewhere(
    hub: HubServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath_hf.modeling.tiny import build_tiny

    monkeypatch.chdir(tmp_path)
    (tmp_path / "lectures").mkdir()
    write_lectures(tmp_path / "lectures")
    write_release(tmp_path)
    build_tiny(["Flat villi. What?"], tmp_path / "merged", seed=0)
    monkeypatch.setattr(scripted_writer, "DIAGNOSES", tuple(name.lower() for name in DIAGNOSES.values()))

    def stream(request: dict[str, Any], _: int) -> Reply:
        return streamed(json.dumps(scripted_writer.reply_to(request)), pause=0.002)

    typed = [commands("curate")[0], *commands("instruct", "data", "push")]
    with serve(stream) as server:
        monkeypatch.setenv("VIDEOPATH_WRITER_BASE_URL", server.url)
        monkeypatch.setenv("VIDEOPATH_WRITER_MODEL", "my-model")
        for words in typed:
            code, out, err = run(*words)
            assert code == 0, (words, out, err)
    assert {words[0] for words in typed} == {"curate", "instruct", "data", "push"}
    assert len(typed) >= 9
    assert json.loads((tmp_path / "data/run.json").read_text())["writer"] == "template"
    assert len(json.loads((tmp_path / "mixture.json").read_text())) == 2
    assert (tmp_path / "vidrip/videos/test/case.mp4").exists()

    seen = play("my-lab/gi-lectures", hub, tmp_path)
    assert (seen["row"]["writer"], seen["row"]["licence"]) == ("template", "CC BY-NC 4.0")
    assert seen["row"]["diagnosis"] == DIAGNOSES[1]
    assert seen["row"]["answer"].endswith(f"\nDiagnosis: {DIAGNOSES[1]}")

    written = json.loads((tmp_path / "written/run.json").read_text())
    assert written["writer"] == "vidrip:my-model"
    assert len(server.requests) == written["server"]["requests_sent"] > 0
    assert any(block["type"] == "image_url" for block in server.requests[0]["messages"][1]["content"])
    assert run("data", "check", "written", "--out", "checked")[0] == 0
    code, _, err = run("push", "dataset", "written", "my-lab/written", "--licence", "CC BY 4.0", "--kinds", "video")
    assert code == 0, err
    row = play("my-lab/written", hub, tmp_path)["row"]
    assert (row["writer"], row["kind"]) == ("vidrip:my-model", "video")
    assert any(item.get("quote") for item in row["grounding"])
