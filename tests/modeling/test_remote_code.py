"""A saved folder where this package was never installed: its import is blocked in these processes."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.modeling.conftest import encode, user
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.remote_code_videopath_llava import AUTO_MAP, PROCESSOR_CLASSES, code_files, copy_code

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "videopath_hf":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
import json
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageTextToText
from transformers import AutoModelForMultimodalLM, AutoProcessor, AutoVideoProcessor, pipeline
path, clip, out = sys.argv[1:]
trust = {"trust_remote_code": True}
messages = [{"role": "user", "content": [{"type": "video", "path": clip}, {"type": "text", "text": "What?"}]}]
def ask(path):
    model = AutoModelForImageTextToText.from_pretrained(path, **trust)
    processor = AutoProcessor.from_pretrained(path, **trust)
    inputs = processor.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=4)[0, inputs["input_ids"].shape[1]:].tolist()
    return model, processor, ids
"""
CLASSES = """
model, processor, ids = ask(path)
model.save_pretrained(out)
processor.save_pretrained(out)
names = {auto.__name__: type(auto.from_pretrained(path, **trust)).__name__ for auto in (
    AutoConfig, AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoProcessor, AutoImageProcessor,
    AutoVideoProcessor)}
print(json.dumps({"names": names, "ids": ids, "again": ask(out)[2]}))
"""
PIPELINES = """
answers = {task: pipeline(task, model=path, **trust)(text=messages, max_new_tokens=4, return_full_text=False)
           for task in ("image-text-to-text", "any-to-any")}
print(json.dumps({task: answer[0]["generated_text"] for task, answer in answers.items()}))
"""


def run_without_the_package(code: str, *arguments: Path, cache: Path) -> dict:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cache.parent,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def import_lines(text: str) -> list[tuple[str, bool]]:
    """Each import of a file, and whether it stands within `try:`."""
    tree = ast.parse(text)
    optional = {id(node) for attempt in ast.walk(tree) if isinstance(attempt, ast.Try) for node in ast.walk(attempt)}
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return [(ast.unparse(node), id(node) in optional) for node in imports]


def our_answer(checkpoint: Path, clip: Path) -> list[int]:
    model, processor = load_model(checkpoint)
    inputs = encode(processor, [user(clip, "What?")])
    return model.generate(**inputs, max_new_tokens=4)[0, inputs["input_ids"].shape[1] :].tolist()


def test_the_copied_files_import_nothing_of_the_package_and_only_one_another(tmp_path: Path) -> None:
    files = code_files()
    assert {value.split(".")[0] + ".py" for value in AUTO_MAP.values()} <= set(files)
    for name, text in files.items():
        for line, optional in import_lines(text):
            assert optional or "videopath_hf" not in line, (name, line)
            if line.startswith("from ."):
                assert line.split()[1].removeprefix(".") + ".py" in files, (name, line)
    assert sorted(path.name for path in copy_code(tmp_path)) == sorted(path.name for path in tmp_path.iterdir())


def test_settings_name_the_classes_of_all_auto_classes(checkpoint: Path) -> None:
    assert json.loads((checkpoint / "config.json").read_text())["auto_map"] == AUTO_MAP
    processor = json.loads((checkpoint / "processor_config.json").read_text())
    for part in (processor, processor["image_processor"], processor["video_processor"]):
        assert part["auto_map"] == PROCESSOR_CLASSES
    for place in AUTO_MAP.values():
        module, name = place.split(".")
        assert f"class {name}(" in (checkpoint / f"{module}.py").read_text()


@pytest.mark.slow
def test_a_saved_folder_answers_about_a_video_without_the_package_and_can_be_saved_again(
    checkpoint: Path, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = make_clip(5)
    found = run_without_the_package(CLASSES, checkpoint, clip, tmp_path / "again", cache=tmp_path / "modules")
    assert found["names"] == {auto: place.split(".")[1] for auto, place in AUTO_MAP.items()}
    assert found["ids"] == found["again"] == our_answer(checkpoint, clip)
    assert {path.name for path in (tmp_path / "again").glob("*.py")} == set(code_files())


@pytest.mark.slow
def test_pipelines_answer_about_a_video_without_the_package(
    checkpoint: Path, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = make_clip(5)
    answers = run_without_the_package(PIPELINES, checkpoint, clip, tmp_path, cache=tmp_path / "modules")
    _, processor = load_model(checkpoint)
    assert set(answers.values()) == {processor.tokenizer.decode(our_answer(checkpoint, clip))}


def test_pipelines_answer_about_a_video_with_the_package(checkpoint: Path, make_clip: Callable[..., Path]) -> None:
    from transformers import pipeline

    clip = make_clip(5)
    _, processor = load_model(checkpoint)
    expected = processor.tokenizer.decode(our_answer(checkpoint, clip))
    for task in ("image-text-to-text", "any-to-any"):
        answer = pipeline(task, model=str(checkpoint))(
            text=[user(clip, "What?")], max_new_tokens=4, return_full_text=False
        )
        assert answer[0]["generated_text"] == expected
