"""The published protocol of Video-ChatGPT (arXiv 2306.05424), as the installed `lmms-eval` package carries it.

Its prompts are taken from that package when a judge is made; none of them stand here.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.evaluation.judging.protocol import ALL_ASPECTS, PUBLISHED, Aspect, JudgeSample
from videopath_hf.files import content_hash
from videopath_hf.runs import installed_versions

TRIED = "0.7.3"
_TASKS: dict[Aspect, str] = {
    "correctness": "correctness",
    "detail": "detailed_orientation",
    "context": "context",
    "temporal": "temporal",
}
_LONGEST_REPLY = 64  # only for the call: what is sent is as long as the judge's own settings allow


class VideoChatGPT:
    """The published prompts: question and answers stand in them as they are, and an integer score is asked for.

    The published reading of replies, which makes 0 of what it cannot read and drops fractions, is not used.

    Raises:
        MissingExtraError: `lmms-eval` is not installed.
        UserError: what is installed does not have these prompts.
    """

    name = PUBLISHED
    response_format: dict[str, Any] | None = None

    def __init__(self) -> None:
        self._sent: list[Any] = []
        self._module = _load()
        self.source = _installed()
        try:
            self._module.requests = SimpleNamespace(post=self._post, exceptions=self._module.requests.exceptions)
        except AttributeError as error:
            raise self._unlike(error) from None

    @cached_property
    def hash(self) -> str:
        """Of the prompts that were obtained, with marks in place of question and answers."""
        question, reference, first, again, second = (f"\ue000{number}\ue000" for number in range(5))
        marks = JudgeSample("", question, reference, first, again, second)
        return content_hash(self.name, {aspect: self.messages(aspect, marks) for aspect in ALL_ASPECTS})

    def messages(self, aspect: Aspect, sample: JudgeSample) -> list[dict[str, str]]:
        """The request about one aspect of one answer."""
        first = sample.prediction or ""
        self._sent.clear()
        try:
            if aspect == "consistency":
                second = sample.second_question or "", sample.reference, first, sample.second_prediction or ""
                self._module.get_eval_consistency(sample.question, *second, _LONGEST_REPLY)
            else:
                material = (sample.question, sample.reference, first, _TASKS[aspect])
                self._module.get_eval_generic(*material, _LONGEST_REPLY)
            messages: list[dict[str, str]] = self._sent[-1]["messages"]
        except (AttributeError, IndexError, KeyError, TypeError, UnboundLocalError) as error:
            raise self._unlike(error) from None
        return messages

    def _unlike(self, error: Exception) -> UserError:
        return UserError(
            f"the installed {self.source} does not give the published prompts ({type(error).__name__}: {error}); "
            f"protocol=videochatgpt was tried with {TRIED}: pip install lmms-eval=={TRIED}"
        )

    def _post(self, *_: Any, json: dict[str, Any] | None = None, **__: Any) -> SimpleNamespace:
        """Stands where the package would send a request: keeps it, and sends nothing."""
        self._sent.append(json)
        reply = {"choices": [{"message": {"content": "kept"}}], "model": ""}
        return SimpleNamespace(raise_for_status=lambda: None, json=lambda: reply)


def _installed() -> str:
    return f"lmms-eval {installed_versions(['lmms-eval'])['lmms-eval'] or 'of an unknown version'}"


def _load() -> Any:
    """A copy of the module of our own: another user of the package in this process keeps its transport."""
    package = find_spec("lmms_eval")
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError("lmms_eval", "lmms-eval", "protocol=videochatgpt, the published prompts,")
    tasks = Path(package.submodule_search_locations[0]) / "tasks"
    path = tasks / PUBLISHED / "utils.py"
    spec = spec_from_file_location("_videopath_published_protocol", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UserError(f"the installed {_installed()} has no task {PUBLISHED}; pip install lmms-eval=={TRIED}")
    module = module_from_spec(spec)
    try:
        with _light_package(tasks):
            spec.loader.exec_module(module)
    except ImportError as error:
        raise MissingExtraError(error.name or str(error), "lmms-eval", "protocol=videochatgpt") from None
    return module


@contextmanager
def _light_package(tasks: Path) -> Iterator[None]:
    """Importing `lmms_eval.tasks` takes all that evaluating models takes, for seconds; the prompts need none of it.

    The module also wants HF_HOME set, for videos that are not looked at here.
    """
    names = set(sys.modules)
    home = os.environ.get("HF_HOME")
    if "lmms_eval.tasks" not in names:
        stand_in = ModuleType("lmms_eval.tasks")
        stand_in.__path__ = [str(tasks)]
        sys.modules["lmms_eval.tasks"] = stand_in
    os.environ["HF_HOME"] = home or str(tasks)
    try:
        yield
    finally:
        if home is None:
            del os.environ["HF_HOME"]
        for name in set(sys.modules) - names:
            if name.startswith("lmms_eval.tasks"):
                del sys.modules[name]
