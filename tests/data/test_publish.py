"""Publishing to a Hub that misbehaves: nothing lost, nothing twice, nothing half."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.hub import Fault, HubServer
from tests.hub.fixture import client_of_a_hub
from tests.hub.server import READER, WRITER
from tests.hub.store import Entry
from tests.plain import run_plain
from videopath_hf.data.publish import check_publishable, publish_dataset
from videopath_hf.data.publish_settings import PublishSettings, PublishSummary
from videopath_hf.data.publish_survey import survey_dataset
from videopath_hf.errors import UserError

SMALL = 0.01
"""Megabytes of a shard so small that the test's clips fill several."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with client_of_a_hub(tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def data(finished_dataset: Path, tmp_path: Path) -> Path:
    """A dataset folder with a licence, which a test may change."""
    shutil.copytree(finished_dataset, tmp_path / "data")
    rewrite(tmp_path / "data", "unknown: not to be published", "CC BY 4.0")
    return tmp_path / "data"


def rewrite(data: Path, old: str, new: str, count: int = -1) -> None:
    path = data / "instructions.jsonl"
    path.write_text(path.read_text().replace(old, new, count))


def settings(**values: Any) -> PublishSettings:
    return PublishSettings(**{"timeout": 2, "patience": 20, **values})


def shown(hub: HubServer, repo: str = "walker/d") -> dict[str, Entry]:
    """Files of the repository's last commit."""
    return hub.store.repos["dataset", repo].commits[-1].files


def commits(hub: HubServer, repo: str = "walker/d") -> int:
    return len(hub.store.repos["dataset", repo].commits) - 1


PLAIN_USER = """
import json, sys
from datasets import Video, load_dataset
repo, layout = sys.argv[1:]
raw = Video(decode=False)
test = load_dataset(repo, "default", split="test").cast_column("video", raw)
streamed = load_dataset(repo, "default", split="train", streaming=True)
streamed = streamed.cast_column("video", raw) if layout == "parquet" else streamed.decode(False)
images = {"name": "images"} if layout == "parquet" else {"data_dir": "images"}
image = load_dataset(repo, **images, split="train")[0]["image"]
clip = test[0]["video"]
data = clip["bytes"] or open(clip["path"], "rb").read()
import av, io
frames = sum(1 for _ in av.open(io.BytesIO(data)).decode(video=0))
print(json.dumps({"test": len(test), "train": sum(1 for _ in streamed), "frames": frames, "image": image.size,
                  **{name: test[0][name] for name in ("messages", "grounding", "id", "licence")}}))
"""


@pytest.mark.parametrize("layout", ["parquet", "folder"])
def test_plain_datasets_opens_what_is_published_without_this_package(
    hub: HubServer, data: Path, tmp_path: Path, layout: str
) -> None:
    publish_dataset(data, "d", settings(layout=layout))
    environment = hub.environment(tmp_path / "home")
    seen = json.loads(run_plain(PLAIN_USER, "walker/d", layout, cwd=tmp_path, environment=environment))
    assert (seen["test"], seen["train"], seen["frames"], seen["image"]) == (4, 27, 4, [64, 48])
    assert seen["licence"] == "CC BY 4.0"
    records = [json.loads(line) for line in (data / "instructions.jsonl").read_text().splitlines()]
    record = next(record for record in records if record["id"] == seen["id"])
    assert seen["messages"] == record["messages"]
    assert [item["text"] for item in seen["grounding"]] == [item["text"] for item in record["grounding"]] != []


@pytest.mark.parametrize("layout", ["parquet", "folder"])
def test_the_published_croissant_file_finds_every_row_and_its_medium(
    hub: HubServer, data: Path, tmp_path: Path, layout: str
) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed (extra `dev`)")
    publish_dataset(data, "d", settings(layout=layout, shard_mb=SMALL))
    for path, entry in shown(hub).items():
        (tmp_path / "copy" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(hub.store.content(entry.sha256 or entry.oid), tmp_path / "copy" / path)
    described = json.loads((tmp_path / "copy/croissant.json").read_text())
    assert described["license"] == ["https://creativecommons.org/licenses/by/4.0/"]
    dataset = mlcroissant.Dataset(jsonld=described, mapping={"repo": str(tmp_path / "copy")})
    assert not dataset.metadata.ctx.issues.errors
    given = [json.loads(line) for line in (data / "instructions.jsonl").read_text().splitlines()]
    for name, kind in (("default", "video"), ("images", "image")):
        rows = {row[f"{name}/id"].decode(): row for row in dataset.records(record_set=name)}
        assert set(rows) == {record["id"] for record in given if record["media"][0]["type"] == kind}
        record = next(record for record in given if record["id"] in rows)
        row, medium = rows[record["id"]], record["media"][0]["path"]
        assert row[f"{name}/answer"].decode() == record["answer"]
        if layout == "folder":
            assert medium.endswith(row[f"{name}/file_name"].decode())
        elif kind == "video":
            assert row["default/video"] == (data / medium).read_bytes()
        else:
            assert row["images/image"].size == (64, 48)


@pytest.mark.parametrize("layout", ["parquet", "folder"])
def test_the_same_call_again_sends_and_commits_nothing(hub: HubServer, data: Path, layout: str) -> None:
    first = publish_dataset(data, "d", settings(layout=layout, shard_mb=SMALL))
    sent, made = list(hub.uploads), commits(hub)
    assert (first.changed, first.sent, made) == (True, first.files, 1)
    again = publish_dataset(data, "d", settings(layout=layout, shard_mb=SMALL))
    assert (again.changed, again.sent, again.removed) == (False, 0, 0)
    assert again.written == (0 if layout == "parquet" else 4)  # only the metadata are made anew
    shutil.rmtree(data / ".publish")
    without_notes = publish_dataset(data, "d", settings(layout=layout, shard_mb=SMALL))
    assert (without_notes.changed, without_notes.sent) == (False, 0)
    assert without_notes.written == first.files
    assert (hub.uploads, commits(hub)) == (sent, made)


def test_equal_records_give_equal_shards_with_small_row_groups_and_each_clip_once(
    hub: HubServer, data: Path, tmp_path: Path
) -> None:
    shutil.copytree(data, tmp_path / "copy")
    publish_dataset(data, "d", settings())
    publish_dataset(tmp_path / "copy", "e", settings())
    assert {path: entry.sha256 for path, entry in shown(hub).items() if entry.sha256} == {
        path: entry.sha256 for path, entry in shown(hub, "walker/e").items() if entry.sha256
    }
    publish_dataset(data, "f", settings(group_mb=0.005))
    entry = shown(hub, "walker/f")["data/train-00000-of-00001.parquet"]
    file = pq.ParquetFile(hub.store.content(str(entry.sha256)))
    clips = {row["path"]: len(row["bytes"]) for row in file.read(["video"])["video"].to_pylist()}
    assert file.metadata.num_rows == 27
    assert file.metadata.num_row_groups > 5
    held = [
        sum(len(row["bytes"]) for row in file.read_row_group(group, ["video"])["video"].to_pylist())
        for group in range(file.metadata.num_row_groups)
    ]
    assert max(held) <= max(5000, *clips.values())
    whole = shown(hub)["data/train-00000-of-00001.parquet"]
    stored = pq.read_metadata(hub.store.content(str(whole.sha256))).row_group(0).column(0)
    assert sum(clips.values()) < stored.total_compressed_size < 1.2 * sum(clips.values())


FAULTS = {
    "the limit of requests is reached": Fault(
        "status", "POST", "/preupload/", 2, status=429, headers={"Retry-After": "1"}
    ),
    "storage is limited": Fault("status", "PUT", "/_upload/", 2, status=429, headers={"Retry-After": "0"}),
    "the upload fails": Fault("status", "PUT", "/_upload/", 2, after=1),
    "the upload is cut": Fault("cut", "PUT", "/_upload/", 1, after=1),
    "the answer to an upload is lost": Fault("cut_after", "PUT", "/_upload/", 1, after=1),
    "the batch call fails": Fault("status", "POST", "/objects/batch", 1, status=503),
    "the listing breaks off": Fault("cut", "GET", "/tree/", 2),
    "creating fails": Fault("status", "POST", "/repos/create", 1, status=502),
    "the answer to creating is lost": Fault("cut_after", "POST", "/repos/create", 1),
    "the check of the card fails": Fault("status", "POST", "/validate-yaml", 1),
    "the commit fails": Fault("status", "POST", "/commit/", 1),
    "the commit is cut": Fault("cut", "POST", "/commit/", 1),
    "the answer to the commit is lost": Fault("cut_after", "POST", "/commit/", 1),
    "the commit hangs": Fault("hang", "POST", "/commit/", 1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_lose_nothing_and_publish_nothing_twice(hub: HubServer, data: Path, name: str) -> None:
    hub.faults.planned.append(fault := FAULTS[name])
    summary = publish_dataset(data, "d", settings(shard_mb=SMALL, kinds=["video"]))
    assert fault.times == 0
    assert (summary.changed, commits(hub)) == (True, 1)
    paths = {path for path in shown(hub) if path.endswith(".parquet")}
    assert len(paths) == summary.files > 2
    assert {"README.md", "croissant.json"} < set(shown(hub))
    if fault.kind != "cut_after":
        assert len(hub.uploads) == len(set(hub.uploads)) == summary.files
    assert not list((data / ".publish").glob("tmp*"))


def test_a_shard_ends_after_so_many_rows_however_small_they_are(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = survey_dataset(data, ("video",), None, 10**9)
    assert all(len(part.shards) == 1 for part in whole.parts)
    monkeypatch.setattr("videopath_hf.data.publish_survey._SHARD_ROWS", 2)
    parted = survey_dataset(data, ("video",), None, 10**9)
    for part in parted.parts:
        rows = [shard.rows for shard in part.shards]
        assert max(rows) <= 2 and sum(rows) == len(part.offsets)
    assert any(len(part.shards) > 1 for part in parted.parts)


def test_killed_between_shards_and_run_again_nothing_is_sent_twice(hub: HubServer, data: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from videopath_hf.cli.main import main; main()",
        "push",
        "dataset",
        str(data),
        "d",
    ]
    command += ["--set", f"shard_mb={SMALL}", "--json"]
    environment = {**os.environ, **hub.environment(tmp_path / "home")}
    hub.faults.planned.append(Fault("hang", "PUT", after=2))
    process = subprocess.Popen(command, env=environment, cwd=tmp_path)
    while not hub.faults.happened:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (len(hub.uploads), commits(hub)) == (2, 0)  # stored, and shown to nobody
    assert set(shown(hub)) == set()
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = PublishSummary.model_validate_json(done.stdout)
    assert len(hub.uploads) == len(set(hub.uploads)) == summary.files > 4
    assert commits(hub) == 1
    publish_dataset(data, "whole", settings(shard_mb=SMALL))
    assert {path: entry.sha256 for path, entry in shown(hub).items() if entry.sha256} == {
        path: entry.sha256 for path, entry in shown(hub, "walker/whole").items() if entry.sha256
    }
    assert not list((data / ".publish").glob("tmp*"))


def test_a_changed_dataset_replaces_the_old_one_in_one_commit(hub: HubServer, data: Path) -> None:
    publish_dataset(data, "d", settings(shard_mb=SMALL))
    before = set(shown(hub))
    sent = len(hub.uploads)
    rewrite(data, "Look at this clip", "Watch this clip", 1)
    summary = publish_dataset(data, "d", settings(shard_mb=SMALL))
    assert (set(shown(hub)), summary.sent, len(hub.uploads)) == (before, 1, sent + 1)
    one = publish_dataset(data, "d", settings(kinds=["video"]))
    assert {path for path in shown(hub) if path.endswith("parquet")} == {
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
    }
    assert one.removed == len(before) - 2
    assert commits(hub) == 3
    publish_dataset(data, "d", settings(layout="folder"))
    assert not [path for path in shown(hub) if re.match(r"(data|images)/(train|test)-", path)]


def test_what_others_put_into_the_repository_stays(hub: HubServer, data: Path) -> None:
    from huggingface_hub import HfApi

    publish_dataset(data, "d", settings(kinds=["video"]))
    api = HfApi()
    api.upload_file(path_or_fileobj=b"x", path_in_repo="notes.txt", repo_id="walker/d", repo_type="dataset")
    publish_dataset(data, "d", settings(kinds=["video", "clip"]))
    assert "notes.txt" in shown(hub)
    api.create_repo("walker/theirs", repo_type="dataset")
    api.upload_file(path_or_fileobj=b"# Mine", path_in_repo="README.md", repo_id="walker/theirs", repo_type="dataset")
    with pytest.raises(UserError, match=r"README\.md that videopath did not write"):
        publish_dataset(data, "theirs", settings())
    assert set(shown(hub, "walker/theirs")) == {"README.md"}


def test_a_change_by_someone_else_in_between_is_not_overwritten(
    hub: HubServer, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    from videopath_hf.data.hub import HubRepo

    commit = HubRepo.commit

    def interfered(repo: HubRepo, *arguments: Any) -> bool:
        HfApi().upload_file(path_or_fileobj=b"x", path_in_repo="a.txt", repo_id="walker/d", repo_type="dataset")
        return commit(repo, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(HubRepo, "commit", interfered)
        with pytest.raises(UserError, match="changed by someone else while this ran; run the same command again"):
            publish_dataset(data, "d", settings(kinds=["video"]))
    assert set(shown(hub)) == {"a.txt"}
    assert publish_dataset(data, "d", settings(kinds=["video"])).changed


def test_private_is_private_or_an_error(hub: HubServer, data: Path) -> None:
    publish_dataset(data, "secret", settings(kinds=["video"], private=True))
    assert hub.store.repos["dataset", "walker/secret"].private
    publish_dataset(data, "open", settings(kinds=["video"]))
    with pytest.raises(UserError, match="walker/open exists and is public"):
        publish_dataset(data, "open", settings(private=True))


@pytest.mark.parametrize(
    ("token", "repo", "sentence"),
    [
        ("hf_expired_token", "d", r"refuses the login \(401\): log in with `hf auth login`"),
        (READER, "walker/d", r"may not write to walker/d \(403\)"),
        (WRITER, "someone/d", r"may not write to someone/d \(403\)"),
        (WRITER, "a/b/c", "'a/b/c' cannot name a repository"),
        (WRITER, "bad name!", "cannot name a repository"),
        ("", "d", "needs a login: log in with"),
    ],
)
def test_who_may_not_publish_is_told_how_and_no_token_is_shown(
    hub: HubServer, data: Path, monkeypatch: pytest.MonkeyPatch, token: str, repo: str, sentence: str
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(data / "no-token"))
    with pytest.raises(UserError, match=sentence) as caught:
        publish_dataset(data, repo, settings())
    assert not token or token not in str(caught.value)
    assert not hub.store.repos
    assert hub.uploads == []


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault("status", "POST", "/preupload/", 1e9, status=429), "answers 429, and patience=1.5 seconds are used up"),
        (Fault("status", "POST", "/preupload/", 1, status=429, headers={"Retry-After": "3600"}), "answers 429"),
        (Fault("status", "GET", "/tree/", 1, status=429, headers={"RateLimit": '"api";r=0;t=900'}), "answers 429"),
        (Fault("hang", "POST", "/objects/batch", 1e9), "does not answer in time"),
        (Fault("hang", "PUT", "/_upload/", 1e9), "does not answer in time while a file is sent"),
        (Fault("status", "GET", "/tree/", 1e9, status=500), "answers 500"),
        (Fault("cut", "POST", "/commit/", 1e9), "breaks off the connection"),
    ],
)
def test_a_hub_that_never_recovers_ends_the_run_and_a_later_one_goes_on(
    hub: HubServer, data: Path, fault: Fault, sentence: str
) -> None:
    hub.faults.planned.append(Fault(**vars(fault)))
    with pytest.raises(UserError, match=sentence):
        publish_dataset(data, "d", settings(kinds=["video"], timeout=0.5, patience=1.5))
    hub.faults.planned.clear()
    assert publish_dataset(data, "d", settings(kinds=["video"])).changed
    assert len(hub.uploads) == len(set(hub.uploads))


def test_no_network_is_one_sentence(hub: HubServer, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants, utils

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    utils.close_session()
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9 cannot be reached; check the network and HF_ENDPOINT"):
        publish_dataset(data, "d", settings())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        publish_dataset(data, "d", settings())


def test_the_command_says_in_one_line_what_is_wrong(data: Path, tmp_path: Path, hub: HubServer) -> None:
    command = [sys.executable, "-c", "from videopath_hf.cli.main import main; main()", "push", "dataset", str(data)]
    environment = {**os.environ, **hub.environment(tmp_path / "home", token="hf_expired_token")}
    done = subprocess.run([*command, "d"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"videopath: error: .* refuses the login \(401\): .*\n", done.stderr)
    assert "hf_expired_token" not in done.stderr
    dry = subprocess.run([*command, "d", "--dry-run", "--json"], env=environment, capture_output=True, text=True)
    assert json.loads(dry.stdout)["files"] == 4, dry.stderr
    assert hub.uploads == []


BAD = {
    "id 'lecture_c00000_k0_c' stands there twice": lambda data: (data / "instructions.jsonl").write_text(
        (data / "instructions.jsonl").read_text() * 2
    ),
    "`answer` is empty": lambda data: (data / "instructions.jsonl").write_text(
        re.sub(r'"answer":"[^"]*"', '"answer":" "', (data / "instructions.jsonl").read_text(), count=1)
    ),
    r"records .* show media that are missing or empty: videos/train/lecture": lambda data: next(
        (data / "videos" / "train").glob("*.mp4")
    ).write_bytes(b""),
    r"1 records .* may not be published \(licence 'CC BY-NC-ND 3.0', NoDerivatives": lambda data: rewrite(
        data, "CC BY 4.0", "CC BY-NC-ND 3.0", 1
    ),
    "2 records .* may not be published .*unknown": lambda data: rewrite(data, "CC BY 4.0", "who knows", 2),
    r"instructions\.jsonl:58: not a InstructionRecord": lambda data: (
        (data / "instructions.jsonl").open("a").write("{half\n")
    ),
    "leads out of": lambda data: (data / "instructions.jsonl").write_text(
        (data / "instructions.jsonl").read_text().replace("videos/test/", "../../videos/test/")
    ),
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_dataset_that_must_not_be_published_is_refused_before_the_hub_is_asked(
    hub: HubServer, data: Path, sentence: str
) -> None:
    BAD[sentence](data)
    for refuse in (lambda: publish_dataset(data, "d", settings()), lambda: check_publishable(data, settings())):
        with pytest.raises(UserError, match=sentence):
            refuse()
    assert hub.requests == []


def test_an_unknown_licence_can_be_stated_and_a_forbidding_one_cannot(hub: HubServer, data: Path) -> None:
    rewrite(data, "CC BY 4.0", "unknown", 3)
    summary = publish_dataset(data, "d", settings(licence="CC BY-NC 4.0"))
    assert summary.notes == ["licence 'CC BY-NC 4.0' is stated for 3 records whose own is unknown"]
    card = hub.store.content(shown(hub)["README.md"].oid).read_text()
    assert "license: other" in card
    assert "| [CC BY-NC 4.0](https://creativecommons.org/licenses/by-nc/4.0/) | 3 |" in card
    with pytest.raises(UserError, match="does not allow to publish"):
        publish_dataset(data, "d", settings(licence="CC BY-ND 4.0"))
    rewrite(data, '"unknown"', '"CC BY-NC-ND 4.0"')
    with pytest.raises(UserError, match="3 records"):
        publish_dataset(data, "d", settings(licence="CC BY-NC 4.0"))


def test_large_files_in_parts_and_long_listings_are_published_too(data: Path, hub: HubServer) -> None:
    hub.part_size = 1500
    publish_dataset(data, "d", settings(layout="folder"))
    sent = len(hub.uploads)
    assert publish_dataset(data, "d", settings(layout="folder")).sent == 0
    assert len(hub.uploads) == sent
