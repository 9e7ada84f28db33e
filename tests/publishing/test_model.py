"""A model on a stand-in of the Hub: opened by everybody it is meant for, sent once, and nothing that should stay."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, snapshot_download
from typer.testing import CliRunner

from tests.hub import Fault, HubServer
from tests.hub.server import READER, WRITER
from tests.hub.store import Entry
from tests.modeling.test_remote_code import BLOCKED
from tests.publishing.conftest import LICENCE, Trained
from videopath_hf.cli.main import app
from videopath_hf.errors import UserError
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.modeling.conversion import convert
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.remote_code_videopath_llava import code_files
from videopath_hf.modeling.tiny import save_checkpoint
from videopath_hf.publishing.model import check_model, publish_model
from videopath_hf.publishing.settings import PublishModelSettings
from videopath_hf.settings import load_settings
from videopath_hf.training.recipe import Recipe
from videopath_hf.video.encode import write_clip

BASE = ("my-lab/base",)


def settings(**values: Any) -> PublishModelSettings:
    return PublishModelSettings(**{"timeout": 2, "patience": 20, "base_model": BASE, **values})


def shown(hub: HubServer, branch: str = "main", repo: str = "walker/m") -> dict[str, Entry]:
    """Files that a branch shows."""
    found = hub.store.repos["model", repo]
    return found.at(branch).files


def text_of(hub: HubServer, path: str, branch: str = "main", repo: str = "walker/m") -> str:
    return hub.store.content(shown(hub, branch, repo)[path].oid).read_text()


def in_a_process(code: str, *words: str | Path, hub: HubServer, home: Path) -> Any:
    """What a fresh process whose Hub is the stand-in prints last, as JSON."""
    environment = {**os.environ, **hub.environment(home / "home", READER), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    from tests.modeling.conftest import noise_frames

    write_clip(tmp_path / "clip.mp4", noise_frames(40), 10.0)
    return tmp_path / "clip.mp4"


def our_answer(folder: Path, clip: Path) -> str:
    return Answerer(*load_model(folder), "").ask([clip], "What?", max_new_tokens=8).answer


def python_blocks(card: str) -> list[str]:
    """The Python that a card shows, as it stands there."""
    return re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)


GENERATE = """
import json, sys
from transformers import AutoModelForImageTextToText, AutoProcessor
def answer(model, processor, **processing):
    content = [{"type": "video", "path": "clip.mp4"}, {"type": "text", "text": "What?"}]
    inputs = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=True,
        add_generation_prompt=True, return_dict=True, return_tensors="pt", processor_kwargs=processing)
    ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1]:]
    return processor.decode(ids, skip_special_tokens=True).strip()
"""
AFTER_THE_CARDS_BLOCK = """
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.modeling.loading import load_model
from_main = Answerer(*load_model("walker/m"), "").ask(["clip.mp4"], "What?", max_new_tokens=8).answer
print(json.dumps([type(model).__name__, answer(model, processor), from_main]))
"""
WITHOUT_PACKAGE = """
ours = [type(model).__name__, answer(model, processor)]
model, report = AutoModelForImageTextToText.from_pretrained("walker/m", output_loading_info=True)
assert not report["missing_keys"] and not report["unexpected_keys"], report
processor = AutoProcessor.from_pretrained("walker/m")
said = answer(model, processor, do_sample_frames=True, num_frames=32)
assert not [name for name in sys.modules if name == "videopath_hf"]
print(json.dumps([*ours, type(model).__name__, said]))
"""


@pytest.mark.slow
def test_both_layouts_open_in_fresh_processes_with_and_without_the_package(
    hub: HubServer, trained: Trained, clip: Path
) -> None:
    summary = publish_model(trained.merged, "m", settings())
    assert summary.revisions == {"main": "llava_onevision", "videopath": "videopath"}
    expected = our_answer(trained.merged, clip)
    with_package, without = python_blocks(text_of(hub, "README.md"))
    found = in_a_process(GENERATE + with_package + AFTER_THE_CARDS_BLOCK, hub=hub, home=clip.parent)
    assert found == ["VideoPathLlavaForConditionalGeneration", expected, expected]
    blocked = BLOCKED.split("import json")[0] + GENERATE + without + WITHOUT_PACKAGE
    ours, said, stock, stock_said = in_a_process(blocked, hub=hub, home=clip.parent)
    assert (ours, said) == ("VideoPathLlavaForConditionalGeneration", expected)
    assert stock == "LlavaOnevisionForConditionalGeneration"
    assert stock_said  # its pixels are a little off, see the card


AFTER_THE_ADAPTERS_BLOCK = """
words = processor.tokenizer("What?", return_tensors="pt")
with model.disable_adapter():
    before = model(**words).logits
change = float((model.eval()(**words).logits - before).abs().max())
print(json.dumps([model.peft_config["default"].revision, change, answer(model, processor)]))
"""


@pytest.mark.slow
def test_an_adapter_loads_with_peft_onto_its_base_at_a_commit(hub: HubServer, trained: Trained, clip: Path) -> None:
    publish_model(trained.stage1, "base", settings())
    summary = publish_model(trained.adapter, "a", settings(base_model=("walker/base",), base_revision="videopath"))
    assert (summary.kind, summary.revisions) == ("adapter", {"main": "adapter"})
    assert set(shown(hub, repo="walker/a")) == {
        *("README.md", "adapter_config.json", "adapter_model.safetensors", "base.json", "config.json"),
        *("training/stage1_image_sft.yaml", "training/stage3_video_sft.yaml"),
    }
    (block,) = python_blocks(text_of(hub, "README.md", repo="walker/a"))
    code = GENERATE + block + AFTER_THE_ADAPTERS_BLOCK
    revision, change, after = in_a_process(code, hub=hub, home=clip.parent)
    commit = hub.store.repos["model", "walker/base"].refs["videopath"]
    assert revision == commit
    assert change > 0
    assert after == our_answer(trained.merged, clip)
    card = ModelCard(text_of(hub, "README.md", repo="walker/a"))
    assert (card.data.library_name, card.data.base_model) == ("peft", ["walker/base"])
    assert card.data["base_model_relation"] == "adapter"
    assert f'revision="{commit}"' in card.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "revision", "words"),
    [
        ("walker/nowhere", None, "walker/nowhere is not on http://"),
        ("walker/a", "videopath", "walker/a has no branch, tag or commit 'videopath'"),
    ],
)
def test_a_base_that_the_hub_does_not_have_is_named(
    hub: HubServer, trained: Trained, base: str, revision: str | None, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        publish_model(trained.adapter, "a", settings(base_model=(base,), base_revision=revision))


def test_branches_hold_what_their_layout_needs_and_nothing_of_the_disk(
    hub: HubServer, trained: Trained, tmp_path: Path
) -> None:
    publish_model(trained.merged, "m", settings())
    common = {"README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    common |= {"tokenizer_config.json", "chat_template.jinja", "processor_config.json"}
    common |= {"training/stage1_image_sft.yaml", "training/stage3_video_sft.yaml"}
    assert set(shown(hub)) == common | {"handler.py", "requirements.txt", "example.jpg"}
    assert set(shown(hub, "videopath")) == common | set(code_files())
    types = [json.loads(text_of(hub, "config.json", branch))["model_type"] for branch in ("main", "videopath")]
    assert types == ["llava_onevision", "videopath_llava"]
    publish_model(trained.adapter, "a", settings(base_model=("walker/m",), base_revision="videopath"))
    config = json.loads(text_of(hub, "adapter_config.json", repo="walker/a"))
    commits = hub.store.repos["model", "walker/m"].refs
    assert (config["base_model_name_or_path"], config["revision"]) == ("walker/m", commits["videopath"])
    for branch, repo in (("main", "walker/m"), ("videopath", "walker/m"), ("main", "walker/a")):
        for path, entry in shown(hub, branch, repo).items():
            content = hub.store.content(entry.sha256 or entry.oid).read_bytes()
            assert str(trained.base.parent).encode() not in content, path
            assert WRITER.encode() not in content, path


def test_a_model_that_llava_onevision_cannot_express_is_published_in_ours_and_the_card_says_so(
    hub: HubServer, mine: Trained
) -> None:
    model, processor = load_model(mine.merged)
    model.config.video_newline_position = processor.video_newline_position = "grid"
    save_checkpoint(model, processor, mine.merged)
    summary = publish_model(mine.merged, "m", settings())
    assert summary.revisions == {"main": "videopath"}
    assert any("no plain llava_onevision" in note for note in summary.notes)
    assert set(code_files()) < set(shown(hub))
    card = text_of(hub, "README.md")
    assert "cannot express this model (video_newline_position = 'grid')" in card
    assert 'trust = {"trust_remote_code": True}' in card
    with pytest.raises(UserError, match=r"--layout llava_onevision is not possible: .* has video_newline_position"):
        publish_model(mine.merged, "m", settings(layout="llava_onevision"))


def test_a_stock_checkpoint_is_published_with_ours_beside_it_and_one_layout_where_one_is_asked_for(
    hub: HubServer, trained: Trained, tmp_path: Path
) -> None:
    convert(trained.merged, tmp_path / "stock", "llava_onevision")
    summary = publish_model(tmp_path / "stock", "m", settings())
    assert summary.revisions == {"main": "llava_onevision", "videopath": "videopath"}
    assert set(code_files()) < set(shown(hub, "videopath"))
    assert "stage3_video_sft.yaml" in text_of(hub, "README.md")  # followed through the conversion and the merge
    one = publish_model(trained.merged, "n", settings(layout="videopath"))
    assert one.revisions == {"main": "videopath"}
    assert list(hub.store.repos["model", "walker/n"].refs) == ["main"]


def test_the_card_tells_stages_data_results_and_licence_and_its_metadata_is_read_back(
    hub: HubServer, trained: Trained, tmp_path: Path
) -> None:
    results = settings(results=trained.scores, test_set="my-lab/lectures", datasets=("my-lab/lectures",))
    publish_model(trained.merged, "m", results)
    card = ModelCard(text_of(hub, "README.md"))
    data = card.data
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "cc-by-nc-4.0",
        "transformers",
        "image-text-to-text",
    )
    assert (data.base_model, data.datasets) == (list(BASE), ["my-lab/lectures"])
    assert {"pathology", "video-text-to-text", "research-only"} < set(data.tags)
    assert data["widget"][0]["src"] == f"{hub.url}/walker/m/resolve/main/example.jpg"
    columns = json.loads((trained.scores / "results.json").read_text())["variants"]["full"]["columns"]
    values = {result.metric_type: (result.dataset_name, result.metric_value) for result in data.eval_results}
    found = {name: round(column["value"], 4) for name, column in columns.items() if column["value"] is not None}
    assert values == {name: ("my-lab/lectures", value) for name, value in found.items()} and "rougeL" in found
    run = json.loads((trained.stage3 / "run.json").read_text())
    row = next(line for line in card.text.splitlines() if line.startswith("| [3 video_sft]"))
    assert f"| {run['samples']} | {run['steps']} |" in row
    assert "language model by LoRA (r 16, alpha 32)" in row
    assert f"| 3 | {run['records']} | [{LICENCE}]" in card.text
    assert "| Figure | full | blind | scored |" in card.text
    row = next(line for line in card.text.splitlines() if line.startswith("| rougeL |"))
    assert "](https://huggingface.co/datasets/my-lab/lectures)" in card.text and "no judge" in card.text
    assert row.split("|")[2].strip().startswith(f"{columns['rougeL']['value']:.3f}")
    assert "never advice for care" in card.text
    (tmp_path / "recipe.yaml").write_text(text_of(hub, "training/stage3_video_sft.yaml"))
    recipe = load_settings(Recipe, tmp_path / "recipe.yaml")
    assert (recipe.model, recipe.data.path, recipe.out) == (None, None, None)
    assert recipe.settings_hash() == Recipe.model_validate(run["recipe"]).settings_hash()


def test_the_card_names_judge_and_protocol_and_what_each_variant_lacks(mine: Trained) -> None:
    path = mine.scores / "results.json"
    found = json.loads(path.read_text())
    found["judge"] = {"model": "some-judge", "protocol": "diagnosis", "protocol_hash": "c0ffee", "settings": {}}
    found["variants"]["full"]["columns"]["rougeL"].update(low=0.1, high=0.25)
    found["data"]["split"] = "train"
    blind = found["variants"]["blind"]["columns"]
    blind["rougeL"]["scored"] -= 1
    del blind["bleu"]
    path.write_text(json.dumps(found))
    card = str(check_model(mine.merged, "m", settings(results=mine.scores, test_set="my | set"))["card"])
    assert {result.dataset_split for result in ModelCard(card).data.eval_results} == {"train"}
    assert "judge some-judge, protocol diagnosis (c0ffee)" in card
    assert "A judge's aspects are 0 to 5" in card
    rows = {line.split("|")[1].strip(): line for line in card.splitlines() if line.startswith("| ")}
    assert re.fullmatch(r"\| rougeL \| 0\.\d{3} \(0\.100 to 0\.250\) \| 0\.\d{3} \| 2 of 2, 1 of 2 \|", rows["rougeL"])
    assert rows["bleu"].endswith("| - | 2 of 2, - |")
    assert rows["encoder_f1"].endswith("| 2 of 2 |")


def test_a_card_that_the_hub_refuses_stops_before_anything_is_sent(hub: HubServer, trained: Trained) -> None:
    with pytest.raises(UserError, match=r"the Hub refuses the card: .*base_model.*not an id") as caught:
        publish_model(trained.merged, "m", settings(base_model=("not an id",)))
    assert "\n" not in str(caught.value)
    assert hub.uploads == []


def test_a_dry_run_shows_the_card_and_asks_the_hub_for_nothing(hub: HubServer, trained: Trained) -> None:
    before = sorted(trained.merged.iterdir())
    found = check_model(trained.merged, "walker/m", settings())
    assert found["revisions"] == {"main": "llava_onevision", "videopath": "videopath"}
    assert found["stages"] == ["1 image_sft", "3 video_sft"]
    assert str(found["card"]).startswith("---\nbase_model:\n- my-lab/base\n")
    assert hub.requests == []
    assert sorted(trained.merged.iterdir()) == before


def test_the_command_prints_the_card_and_what_would_be_sent(trained: Trained) -> None:
    words = ["push", "model", str(trained.merged), "my-lab/m", "--base-model", "my-lab/base", "--dry-run"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert 'revisions: {"main": "llava_onevision", "videopath": "videopath"}' in done.stdout
    assert "# m\n" in done.stdout
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert ModelCard(found["card"]).data.base_model == ["my-lab/base"]
    assert found["licence"] == "cc-by-nc-4.0"


FAULTS = {
    "the upload fails": Fault("status", "PUT", "/_upload/", 2, after=1),
    "the upload is cut": Fault("cut", "PUT", "/_upload/", 1),
    "the branch cannot be made at once": Fault("status", "POST", "/branch/", 1, status=503),
    "the answer to a commit is lost": Fault("cut_after", "POST", "/commit/", 1),
    "the limit of requests is reached": Fault(
        "status", "POST", "/preupload/", 2, status=429, headers={"Retry-After": "1"}
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_hub_that_fails_for_a_while_gets_everything_once(hub: HubServer, trained: Trained, fault: Fault) -> None:
    hub.faults.planned.append(Fault(**vars(fault)))
    publish_model(trained.merged, "m", settings())
    assert hub.faults.happened
    assert len(hub.uploads) == len(set(hub.uploads))
    assert {"model.safetensors", "README.md"} < set(shown(hub))
    assert {"model.safetensors", "README.md"} < set(shown(hub, "videopath"))


def test_a_run_that_was_cut_off_goes_on_and_a_finished_one_sends_nothing(hub: HubServer, mine: Trained) -> None:
    hub.faults.planned.append(Fault("status", "POST", "/commit/main", 99, status=403))
    with pytest.raises(UserError, match="may not write"):
        publish_model(mine.merged, "m", settings())
    sent = list(hub.uploads)
    assert "model.safetensors" not in shown(hub)  # main appears whole or not at all
    hub.faults.planned.clear()
    done = publish_model(mine.merged, "m", settings())
    assert hub.uploads == sent  # the weights were there already
    assert done.changed
    commits = len(hub.store.repos["model", "walker/m"].commits)
    again = publish_model(mine.merged, "m", settings())
    assert (again.changed, again.sent, again.removed) == (False, 0, 0)
    assert len(hub.store.repos["model", "walker/m"].commits) == commits
    assert hub.uploads == sent


def test_files_of_an_earlier_state_are_removed_and_those_of_others_stay(hub: HubServer, mine: Trained) -> None:
    publish_model(mine.merged, "m", settings(layout="videopath"))
    repo = hub.store.repos["model", "walker/m"]
    hub.store.commit(repo, "main", [{"key": "file", "value": {"path": "NOTES.txt", "content": "aGVsbG8="}}])
    summary = publish_model(mine.merged, "m", settings(layout="llava_onevision"))
    assert summary.removed == len(code_files())
    assert not set(code_files()) & set(shown(hub))
    assert "NOTES.txt" in shown(hub)


def test_a_card_of_somebody_else_and_a_public_repository_are_left_alone(hub: HubServer, trained: Trained) -> None:
    repo = hub.store.create("model", "walker/m", private=False)
    hub.store.commit(repo, "main", [{"key": "file", "value": {"path": "README.md", "content": "aGVsbG8="}}])
    with pytest.raises(UserError, match=r"has a README\.md that videopath did not write"):
        publish_model(trained.merged, "m", settings(layout="llava_onevision"))
    assert set(shown(hub)) == {"README.md"}
    with pytest.raises(UserError, match="exists and is public"):
        publish_model(trained.merged, "m", settings(private=True))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda m: (m.merged / "pytorch_model.bin").write_bytes(b"x"),
            {},
            "holds pytorch_model.bin: such files can run",
        ),
        (lambda m: (m.merged / "config.json").unlink(), {}, "holds neither config.json nor adapter_config.json"),
        (lambda m: (m.merged / "model.safetensors").write_bytes(b"x" * 9), {}, "model.safetensors"),
        (lambda m: None, {"results": "SCORES"}, "results need --test-set"),
        (lambda m: None, {"results": "DATA", "test_set": "x"}, "does not exist"),
        (lambda m: None, {"base_model": ()}, "no run.json tells how tiny was made"),
    ],
)
def test_what_cannot_be_published_is_found_before_the_hub_is_asked(
    hub: HubServer, mine: Trained, change: Callable[[Trained], Any], options: dict[str, Any], message: str
) -> None:
    change(mine)
    places = {"SCORES": mine.scores, "DATA": mine.data}
    given = {name: places.get(value, value) if isinstance(value, str) else value for name, value in options.items()}
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        publish_model(mine.merged, "m", settings(**given))
    assert "\n" not in str(caught.value)
    assert hub.requests == []


def test_other_folders_are_refused_with_what_to_do(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a stage's folder; publish .*merged or .*adapter"):
        check_model(trained.stage3, "m", settings())
    with pytest.raises(UserError, match=r"is an adapter for .*; publish that first, and give its one id"):
        check_model(trained.adapter, "m", settings(base_model=()))
    convert(trained.merged, tmp_path / "next", "llava_next")
    with pytest.raises(UserError, match=r"published code's layout.* videopath convert"):
        check_model(tmp_path / "next", "m", settings())
    with pytest.raises(UserError, match=r"is about .*, not about the model to be published"):
        check_model(trained.stage1, "m", settings(results=trained.scores, test_set="x"))


def test_data_that_forbid_publishing_stop_it(mine: Trained) -> None:
    run = json.loads((mine.stage3 / "run.json").read_text())
    run["data"]["licences"] = {"CC BY-NC-ND 3.0": 4}
    (mine.stage3 / "run.json").write_text(json.dumps(run))
    with pytest.raises(UserError, match=r"'CC BY-NC-ND 3\.0' went into this model"):
        check_model(mine.merged, "m", settings())
    found = check_model(mine.merged, "m", settings(permission="the authors"))
    assert "published by permission: the authors" in str(found["card"])
    del run["data"]
    (mine.stage3 / "run.json").write_text(json.dumps(run))
    with pytest.raises(UserError, match="stage 3 does not tell the licences of its data"):
        check_model(mine.merged, "m", settings())


def test_a_start_that_has_changed_is_not_followed(mine: Trained) -> None:
    run = json.loads((mine.stage3 / "run.json").read_text())
    run["recipe"]["model"] = "stages/stage1_image_sft"  # as typed in the folder above
    (mine.stage3 / "run.json").write_text(json.dumps(run))
    assert check_model(mine.merged, "m", settings())["stages"] == ["1 image_sft", "3 video_sft"]
    (mine.stage1 / "generation_config.json").write_text('{"max_new_tokens": 5}')
    with pytest.raises(UserError, match=r"stage1_image_sft is not what stage 3 \(video_sft\) started from any more"):
        check_model(mine.merged, "m", settings(base_model=()))


def test_an_adapter_whose_base_has_changed_is_refused(mine: Trained) -> None:
    config = json.loads((mine.adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(mine.stage1)
    (mine.adapter / "adapter_config.json").write_text(json.dumps(config))
    assert check_model(mine.adapter, "m", settings())["kind"] == "adapter"
    (mine.stage1 / "generation_config.json").write_text('{"max_new_tokens": 5}')
    with pytest.raises(UserError, match=r"is not the checkpoint that .*adapter was trained on: it has changed"):
        check_model(mine.adapter, "m", settings())


AS_AN_ENDPOINT = """
import base64, importlib.util, json, sys
folder, clip = sys.argv[1:]
spec = importlib.util.spec_from_file_location("handler", f"{folder}/handler.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
handler = module.EndpointHandler(folder)
video = base64.b64encode(open(clip, "rb").read()).decode()
asked = {"inputs": {"video": video, "question": "What?"}, "parameters": {"max_new_tokens": 8}}
print(json.dumps([handler(asked), handler({"inputs": {"video": "http://127.0.0.1:9/a.mp4"}})]))
"""


@pytest.mark.slow
@pytest.mark.needs_shared
def test_an_endpoint_that_has_the_pushed_folder_alone_answers_about_the_development_lecture(
    hub: HubServer, trained: Trained, shared: Path, tmp_path: Path
) -> None:
    publish_model(trained.merged, "m", settings())
    folder = snapshot_download("walker/m", local_dir=tmp_path / "repository")
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    lecture = shared / "lectures" / "dev" / "lecture.mp4"
    (tmp_path / "elsewhere").mkdir()
    answer, refused = in_a_process(AS_AN_ENDPOINT, folder, lecture, hub=hub, home=tmp_path / "elsewhere")
    assert answer["answer"] == our_answer(trained.merged, lecture)
    assert len(answer["frame_times"]) == 32
    assert "which is not a public address" in refused["error"]
