"""What the stand-in answers to each call; any type of repository."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlencode

import yaml

from tests.hub.store import STORED_LARGE, Entry, Refused, Repo
from videopath_hf.files import file_sha256

if TYPE_CHECKING:
    from tests.hub.server import HubServer

DATE = "2026-01-01T00:00:00.000Z"
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}


@dataclass
class Call:
    """One request."""

    server: "HubServer"
    method: str
    path: str
    raw_path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    user: tuple[str, bool] | None
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, list[str]]:
        """The fields of a body in either of the forms that clients send."""
        if "json" in self.headers.get("Content-Type", ""):
            return {name: value if isinstance(value, list) else [value] for name, value in self.json().items()}
        return parse_qs(self.body.decode())

    def must_write(self) -> str:
        if self.user is None:
            raise Refused(401, "Invalid username or password.")
        if not self.user[1]:
            raise Refused(403, "Forbidden: you must use a write token.")
        return self.user[0]

    def repo(self, kind: str, name: str) -> Repo:
        repo = self.server.store.find(kind, name)
        if repo.private and self.user is None:
            raise Refused(401, "Repository not found", "RepoNotFound")
        return repo


@dataclass
class Reply:
    """One answer: bytes, or `length` bytes of a file from `start`."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    file: Path | None = None
    start: int = 0
    length: int = 0

    @classmethod
    def of(cls, value: Any, headers: dict[str, str] | None = None) -> "Reply":
        return cls(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def answer(call: Call) -> Reply:
    """Find what a call asks for and do it."""
    for method, pattern, action in _ROUTES:
        if re.fullmatch(method, call.method) and (match := re.fullmatch(pattern, call.raw_path)):
            return action(call, *(unquote(group or "") for group in match.groups()))
    raise Refused(404, f"the stand-in does not know {call.method} {call.path}")


def _whoami(call: Call) -> Reply:
    if call.user is None:
        raise Refused(401, "Invalid username or password.")
    role = "write" if call.user[1] else "read"
    token = {"displayName": "token", "role": role}
    orgs = [{"type": "org", "name": name} for name in call.server.organisations]
    return Reply.of({"type": "user", "name": call.user[0], "orgs": orgs, "auth": {"accessToken": token}})


def _create(call: Call) -> Reply:
    owner, asked = call.must_write(), call.json()
    name = f"{asked.get('organization') or owner}/{asked['name']}"
    if name.split("/")[0] not in (owner, *call.server.organisations):
        raise Refused(403, f"You don't have the rights to create a repository under the namespace {name}")
    private = bool(asked.get("private")) or asked.get("visibility") == "private"
    kind, store = asked.get("type") or "model", call.server.store
    with store.lock:
        known = store.repos.get((kind, name))
        repo = known or store.create(kind, name, private)
    reply = Reply.of({"url": _page(call, repo), "name": name, "id": name})
    if known:
        reply.status = 409
        reply.headers["X-Error-Message"] = f"You already created this {kind} repo"
    return reply


def _delete(call: Call) -> Reply:
    owner, asked = call.must_write(), call.json()
    call.server.store.delete(asked.get("type") or "model", f"{asked.get('organization') or owner}/{asked['name']}")
    return Reply()


def _validate(call: Call) -> Reply:
    """Some of the Hub's rules of a card's metadata."""
    match = re.match(r"---\n(.*?)\n---\n", call.json()["content"], re.DOTALL)
    if match is None:
        return Reply.of({"errors": [], "warnings": [{"message": "empty or missing yaml metadata"}]})
    data = yaml.safe_load(match[1])
    errors = []
    if not isinstance(data, dict):
        errors.append("the metadata is no mapping")
    else:
        known = {"mit", "apache-2.0", "other", "cc0-1.0", "odc-by", "odbl", "pddl"}
        licence = data.get("license")
        if not (licence in known or re.fullmatch(r"cc-by(-nc)?(-nd|-sa)?-\d\.\d", str(licence))):
            errors.append(f'"license" must be one of the known ones, not {licence}')
        if licence == "other" and not data.get("license_name"):
            errors.append('"license_name" is required where "license" is other')
        for base in data.get("base_model") or ():
            if not re.fullmatch(r"[\w.-]+/[\w.-]+", base):
                errors.append(f'"base_model" with value "{base}" is not valid')
        if call.json()["repoType"] == "model" and data.get("pipeline_tag") not in (None, "image-text-to-text"):
            errors.append(f'"pipeline_tag" {data["pipeline_tag"]} is not known')
    if errors:
        raise Refused(400, "; ".join(errors))
    return Reply.of({"errors": [], "warnings": []})


def _info(call: Call, kinds: str, name: str, revision: str) -> Reply:
    repo = call.repo(KINDS[kinds], name)
    commit = repo.at(revision or "main")
    siblings = [{"rfilename": path, **_file(path, entry)} for path, entry in sorted(commit.files.items())]
    return Reply.of(
        {
            "_id": hashlib.sha1(name.encode()).hexdigest()[:24],
            "id": name,
            "author": name.split("/")[0],
            "sha": commit.oid,
            "lastModified": DATE,
            "createdAt": DATE,
            "private": repo.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": siblings,
        }
    )


def _tree(call: Call, kinds: str, name: str, revision: str, folder: str) -> Reply:
    commit = call.repo(KINDS[kinds], name).at(revision)
    prefix = f"{folder}/" if folder else ""
    entries: dict[str, dict[str, Any]] = {}
    for path, entry in sorted(commit.files.items()):
        if not path.startswith(prefix):
            continue
        for parent in reversed(PurePosixPath(path).parents):
            if str(parent) != "." and str(parent).startswith(prefix):
                oid = hashlib.sha1(str(parent).encode()).hexdigest()
                entries.setdefault(str(parent), {"type": "directory", "oid": oid, "size": 0, "path": str(parent)})
        entries[path] = _file(path, entry)
    if folder and not entries:
        raise Refused(404, f"{folder} does not exist on {revision}", "EntryNotFound")
    if call.query.get("recursive", "").lower() not in ("true", "1"):
        entries = {path: entry for path, entry in entries.items() if "/" not in path.removeprefix(prefix)}
    found = sorted(entries.values(), key=lambda entry: str(entry["path"]))
    start, size = int(call.query.get("cursor", 0)), call.server.page_size
    headers = {}
    if start + size < len(found):
        query = urlencode({**call.query, "cursor": start + size})
        headers["Link"] = f'<{call.server.url}{call.raw_path}?{query}>; rel="next"'
    return Reply.of(found[start : start + size], headers)


def _paths_info(call: Call, kinds: str, name: str, revision: str) -> Reply:
    commit = call.repo(KINDS[kinds], name).at(revision)
    found = []
    for path in call.form().get("paths", []):
        if path in commit.files:
            found.append(_file(path, commit.files[path]))
        elif any(other.startswith(f"{path}/") for other in commit.files):
            found.append(
                {"type": "directory", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0, "path": path}
            )
    return Reply.of(found)


def _refs(call: Call, kinds: str, name: str) -> Reply:
    repo = call.repo(KINDS[kinds], name)
    refs = [{"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": oid} for ref, oid in repo.refs.items()]
    return Reply.of({"branches": refs, "converts": [], "tags": []})


def _commits(call: Call, kinds: str, name: str, revision: str) -> Reply:
    repo = call.repo(KINDS[kinds], name)
    last = repo.commits.index(repo.at(revision))
    return Reply.of(
        [
            {"id": commit.oid, "title": commit.title, "message": "", "authors": [], "date": DATE}
            for commit in reversed(repo.commits[: last + 1])
        ]
    )


def _branch(call: Call, kinds: str, name: str, branch: str) -> Reply:
    call.must_write()
    repo = call.repo(KINDS[kinds], name)
    if branch in repo.refs:
        raise Refused(409, f"Reference {branch} already exists")
    start = json.loads(call.body or b"{}").get("startingPoint", "main")
    repo.refs[branch] = repo.at(start).oid
    return Reply()


def _preupload(call: Call, kinds: str, name: str, revision: str) -> Reply:
    call.must_write()
    commit = call.repo(KINDS[kinds], name).at(revision)
    files = []
    for asked in call.json()["files"]:
        path = asked["path"]
        large = path.lower().endswith(STORED_LARGE) or asked["size"] > 10_000_000
        known = commit.files.get(path)
        oid = (known.sha256 or known.oid) if known else None
        files.append({"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid})
    return Reply.of({"files": files})


def _lfs_batch(call: Call, kinds: str, name: str) -> Reply:
    call.must_write()
    call.repo(KINDS[kinds or "models"], name)
    objects = []
    for asked in call.json()["objects"]:
        found: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"]}
        if not call.server.store.content(asked["oid"]).is_file():
            found["actions"] = _upload_actions(call, asked["oid"], asked["size"])
        objects.append(found)
    return Reply.of({"transfer": "basic", "objects": objects})


def _upload_actions(call: Call, oid: str, size: int) -> dict[str, Any]:
    base, part = call.server.url, call.server.part_size
    verify = {"href": f"{base}/_verify", "header": {}}
    if part is None or size <= part:
        return {"upload": {"href": f"{base}/_upload/{oid}", "header": {}}, "verify": verify}
    count = -(-size // part)
    header = {str(number): f"{base}/_upload/{oid}/{number}" for number in range(1, count + 1)}
    return {"upload": {"href": f"{base}/_complete", "header": {"chunk_size": str(part), **header}}, "verify": verify}


def receive(call: Call, received: Path, name: str, size: int) -> Reply:
    """Keep the uploaded content, or part, that lies in the file `received`."""
    if not call.path.startswith("/_upload/"):
        received.unlink()
        raise Refused(404, f"the stand-in does not know PUT {call.path}")
    digest = file_sha256(received)
    if re.fullmatch(r"\w+", name):
        if digest != name:
            received.unlink()
            raise Refused(400, f"{size} bytes received are not the file {name}")
        call.server.uploads.append(name)
    received.replace(call.server.store.content(name))
    return Reply(headers={"ETag": f'"{digest}"'})


def _complete(call: Call) -> Reply:
    asked, store = call.json(), call.server.store
    parts = [store.content(f"{asked['oid']}.{part['partNumber']}") for part in asked["parts"]]
    whole = store.content(f"{asked['oid']}.whole")
    with whole.open("wb") as stream:
        for part in parts:
            stream.write(part.read_bytes())
            part.unlink()
    if file_sha256(whole) != asked["oid"]:
        whole.unlink()
        raise Refused(400, "the parts are not the file")
    whole.replace(store.content(asked["oid"]))
    call.server.uploads.append(asked["oid"])
    return Reply.of({})


def _verify(call: Call) -> Reply:
    asked = call.json()
    path = call.server.store.content(asked["oid"])
    if not path.is_file() or path.stat().st_size != asked["size"]:
        raise Refused(404, "the object is not there")
    return Reply.of({})


def _commit(call: Call, kinds: str, name: str, branch: str) -> Reply:
    call.must_write()
    repo = call.repo(KINDS[kinds], name)
    lines = [json.loads(line) for line in call.body.splitlines() if line.strip()]
    commit = call.server.store.commit(repo, branch, lines)
    url = f"{_page(call, repo)}/commit/{commit.oid}"
    return Reply.of({"success": True, "commitOid": commit.oid, "commitUrl": url})


def _resolve(call: Call, kinds: str, name: str, revision: str, path: str) -> Reply:
    commit = call.repo(KINDS[kinds.rstrip("/") or "models"], name).at(revision)
    if path not in commit.files:
        raise Refused(404, f"{path} does not exist", "EntryNotFound")
    entry = commit.files[path]
    headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
    if entry.sha256 is None:
        return _content(call, entry.oid, {**headers, "ETag": f'"{entry.oid}"'})
    headers |= {"X-Linked-ETag": f'"{entry.sha256}"', "X-Linked-Size": str(entry.size), "ETag": f'"{entry.oid}"'}
    return Reply(302, b"", {**headers, "Location": f"{call.server.storage_url}/_large/{entry.sha256}"})


def _large(call: Call, sha256: str) -> Reply:
    return _content(call, sha256, {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"})


def _content(call: Call, oid: str, headers: dict[str, str]) -> Reply:
    path = call.server.store.content(oid)
    if not path.is_file():
        raise Refused(404, "no such object")
    size = path.stat().st_size
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("Range", ""))
    if match is None:
        return Reply(200, headers=headers, file=path, length=size)
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last), size - 1) if first and last else size - 1
    if start > stop:
        return Reply(416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers = {**headers, "Content-Range": f"bytes {start}-{stop}/{size}"}
    return Reply(206, headers=headers, file=path, start=start, length=stop - start + 1)


def _file(path: str, entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
    if entry.sha256 is not None:
        found["lfs"] = {"oid": entry.sha256, "sha256": entry.sha256, "size": entry.size, "pointerSize": 130}
    return found


def _page(call: Call, repo: Repo) -> str:
    prefix = "" if repo.kind == "model" else f"{repo.kind}s/"
    return f"{call.server.url}/{prefix}{quote(repo.name)}"


_API = r"/api/(models|datasets|spaces)/([^/]+/[^/]+)"
_ROUTES: list[tuple[str, str, Callable[..., Reply]]] = [
    ("GET", r"/api/whoami-v2", _whoami),
    ("POST", r"/api/repos/create", _create),
    ("DELETE", r"/api/repos/delete", _delete),
    ("POST", r"/api/validate-yaml", _validate),
    ("GET", _API + r"(?:/revision/([^/]+))?", _info),
    ("GET", _API + r"/tree/([^/]+)(?:/(.+))?", _tree),
    ("POST", _API + r"/paths-info/([^/]+)", _paths_info),
    ("GET", _API + r"/refs", _refs),
    ("GET", _API + r"/commits/([^/]+)", _commits),
    ("POST", _API + r"/(?:branch|tag)/([^/]+)", _branch),
    ("POST", _API + r"/preupload/([^/]+)", _preupload),
    ("POST", _API + r"/commit/([^/]+)", _commit),
    ("POST", r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", _lfs_batch),
    ("POST", r"/_verify", _verify),
    ("POST", r"/_complete", _complete),
    ("GET|HEAD", r"/_large/(\w+)", _large),
    ("GET|HEAD", r"/((?:datasets|spaces)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", _resolve),
]
