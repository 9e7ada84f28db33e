"""One repository of the Hub: what it holds, commits that appear whole, and errors as sentences."""

import copy
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from videopath_hf.data.patience import HubError, Patience, transient_fault
from videopath_hf.errors import UserError

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd

BLOB_DIGITS = 40
"""Digits of what git calls a file; a SHA-256 has more."""

_LOGIN = "log in with `hf auth login` or set HF_TOKEN to a token with write access (huggingface.co/settings/tokens)"


class HubRepo:
    """A repository that files are published to, in commits that appear whole.

    Args:
        name (`str`): `name`, for one's own account, or `owner/name`.
        kind (`str`): `"dataset"` or `"model"`.
        timeout (`float`, defaults to 60.0): seconds to wait for any single answer.
        patience (`float`, defaults to 900.0): seconds for which a Hub that fails or limits is tried again.

    Raises:
        UserError: a name that cannot be, no login, no network.
    """

    def __init__(
        self, name: str, kind: Literal["dataset", "model"], timeout: float = 60.0, patience: float = 900.0
    ) -> None:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id

        try:
            validate_repo_id(name)
        except HFValidationError:
            raise UserError(
                f"{name!r} cannot name a repository; give NAME or OWNER/NAME of letters, digits, dots, dashes and "
                "underscores, e.g. my-lab/gi-lectures"
            ) from None
        self.name, self.kind = name, kind
        self.branch = "main"
        self.head: str | None = None
        self._api = HfApi()
        self._patience = Patience(timeout, patience)

    @contextmanager
    def connected(self, private: bool = False) -> Iterator["HubRepo"]:
        """Log in and make sure the repository is there; within the block, calls are patient and errors are sentences.

        Raises:
            HubError: no login, no right to write, no network, or `private` was asked for and the repository is public.
        """
        from huggingface_hub import set_client_factory
        from huggingface_hub.utils import (
            _http,
            are_progress_bars_disabled,
            disable_progress_bars,
            enable_progress_bars,
        )

        usual = _http._GLOBAL_CLIENT_FACTORY  # whoever set one has a proxy or certificates to think of
        set_client_factory(lambda: self._patience.client(usual))
        quiet = not sys.stderr.isatty() and not are_progress_bars_disabled()
        if quiet:
            disable_progress_bars()
        try:
            with self._sentences():
                user = self._api.whoami()["name"]
                if "/" not in self.name:
                    self.name = f"{user}/{self.name}"
                self._api.create_repo(self.name, repo_type=self.kind, private=private or None, exist_ok=True)
                if private and not self._api.repo_info(self.name, repo_type=self.kind).private:
                    raise HubError(
                        f"{self.name} exists and is public; make it private in its settings or give another"
                    )
                yield self
        finally:
            set_client_factory(usual)
            if quiet:
                enable_progress_bars()

    def on_branch(self, branch: str) -> "HubRepo":
        """The same repository on another branch, which is made if it is not there; within `connected`, as this one."""
        other = copy.copy(self)
        self._api.create_branch(self.name, branch=branch, repo_type=self.kind, exist_ok=True)
        other.branch, other.head = branch, None
        return other

    def commit_of(self, name: str, revision: str | None = None) -> str:
        """The commit that a revision of any repository of this kind stands for now.

        Raises:
            HubError: there is no such repository, or no such revision in it.
        """
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        try:
            return str(self._api.repo_info(name, repo_type=self.kind, revision=revision).sha)
        except RepositoryNotFoundError:
            raise HubError(f"{name} is not on {self._api.endpoint}; publish it first, or name another") from None
        except RevisionNotFoundError:
            raise HubError(f"{name} has no branch, tag or commit {revision!r}; name one that it has") from None

    @property
    def url(self) -> str:
        """Where people look at it."""
        return f"{self._api.endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{self.name}"

    def files(self) -> dict[str, str]:
        """What the repository holds now: the SHA-256 of large files, the git blob of others, by path."""
        from huggingface_hub.hf_api import RepoFile

        self.head = self._api.repo_info(self.name, repo_type=self.kind, revision=self.branch).sha
        tree = self._api.list_repo_tree(self.name, recursive=True, repo_type=self.kind, revision=self.head)
        return {
            item.path: item.lfs.sha256 if item.lfs else item.blob_id for item in tree if isinstance(item, RepoFile)
        }

    def read(self, path: str) -> str:
        """The text of a file."""
        local = self._api.hf_hub_download(self.name, path, repo_type=self.kind, revision=self.head)
        return Path(local).read_text(encoding="utf-8")

    def check_card(self, before: Mapping[str, str], mark: str) -> None:
        """Raise `UserError` if the repository, which holds `before`, has a card without our tag: somebody wrote it."""
        if "README.md" in before and not re.search(rf"^- {mark}$", self.read("README.md"), re.MULTILINE):
            raise UserError(
                f"{self.name} has a README.md that videopath did not write; publish to a new repository, or delete "
                "that file on the Hub if nobody needs it"
            )

    def store(self, files: Sequence[tuple[str, Path | bytes]]) -> list["CommitOperationAdd"]:
        """Send files so that a later `commit` shows them at their paths; what the Hub has stored is not sent again."""
        from huggingface_hub import CommitOperationAdd

        additions = [CommitOperationAdd(path, content) for path, content in files]
        # Hashed now, while the files are there; equal ones would be sent once each, at the same time.
        different = list({addition.upload_info.sha256: addition for addition in additions}.values())
        attempt = 0
        while True:
            try:
                for some in (different, additions):
                    self._api.preupload_lfs_files(
                        self.name, some, repo_type=self.kind, revision=self.branch, free_memory=False
                    )
                return additions
            except Exception as error:
                fault = transient_fault(error)
                if fault is None and isinstance(error, RuntimeError) and error.__cause__ is None:
                    said = " ".join(str(error).split())[:300]  # of hf_xet, which sends by itself
                    raise HubError(f"{self._api.endpoint} did not take files ({said}); run this again") from error
                if fault is None:
                    raise
            self._patience.wait(attempt, None, f"{self._api.endpoint} {fault}")
            attempt += 1

    def commit(self, additions: Sequence["CommitOperationAdd"], deletions: Sequence[str], message: str) -> bool:
        """Show stored files and remove others, in one step; returns whether anything changed.

        Raises:
            HubError: someone else changed the repository since `files` was called.
        """
        from huggingface_hub import CommitOperationDelete
        from huggingface_hub.errors import HfHubHTTPError

        operations: list[Any] = [*additions, *(CommitOperationDelete(path) for path in deletions)]
        before = self.head
        try:
            done = self._api.create_commit(
                self.name,
                operations,
                commit_message=message,
                repo_type=self.kind,
                revision=self.branch,
                parent_commit=before,
            )
        except HfHubHTTPError as error:
            # A commit whose answer was lost is sent again, and then has itself as the change that came in between.
            if error.response.status_code not in (409, 412) or not self._shows(additions, deletions):
                raise
            return True
        self.head = done.oid
        return done.oid != before

    def _shows(self, additions: Sequence["CommitOperationAdd"], deletions: Sequence[str]) -> bool:
        files = self.files()
        return not any(path in files for path in deletions) and all(
            _is_at(files.get(addition.path_in_repo), addition) for addition in additions
        )

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

        try:
            yield
        except LocalTokenNotFoundError:
            raise HubError(f"publishing to {self._api.endpoint} needs a login: {_LOGIN}") from None
        except OfflineModeIsEnabled:
            raise HubError("HF_HUB_OFFLINE is set, so nothing can be published; unset it") from None
        except HfHubHTTPError as error:
            raise HubError(self._sentence(error)) from None
        except (RuntimeError, UserError) as error:
            # The client wraps what happens to a single file.
            cause = error.__cause__
            if isinstance(cause, HfHubHTTPError):
                raise HubError(self._sentence(cause)) from None
            if isinstance(cause, HubError):
                raise cause from None
            raise

    def _sentence(self, error: Any) -> str:
        status = error.response.status_code
        if status == 401:
            return f"{self._api.endpoint} refuses the login (401): {_LOGIN}"
        if status == 403:
            return (
                f"the token in use may not write to {self.name} (403): give a repository of your own or of an "
                f"organisation you may write to, or {_LOGIN}"
            )
        if status in (409, 412):
            return f"{self.name} was changed by someone else while this ran; run the same command again"
        said = " ".join(str(error.server_message or "").split())[:300]
        return f"{self._api.endpoint} answered {status} about {self.name}{f': {said}' if said else ''}"


def _is_at(digest: str | None, addition: "CommitOperationAdd") -> bool:
    """Whether what the Hub has under this digest is the added file: large ones are known by their SHA-256."""
    if digest is None or len(digest) != BLOB_DIGITS:
        return digest == addition.upload_info.sha256.hex()
    data = addition.path_or_fileobj
    return digest == blob_hash(data if isinstance(data, bytes) else Path(str(data)).read_bytes())


def blob_hash(data: bytes) -> str:
    """What git calls a file of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
