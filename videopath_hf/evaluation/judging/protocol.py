"""Protocols of judging: what a judge is told and asked, as data with a hash."""

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Protocol, get_args

from pydantic import Field

from videopath_hf.errors import UserError
from videopath_hf.evaluation.judging.marks import MAX_SCORE
from videopath_hf.files import content_hash
from videopath_hf.settings import Settings, load_settings

Aspect = Literal["correctness", "detail", "context", "temporal", "consistency"]
ALL_ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
PAPER_ASPECTS: tuple[Aspect, ...] = ("correctness", "detail", "context")
"""The paper's three aspects (arXiv 2505.04192), each scored 0 to 5; their mean is its Avg."""

PUBLISHED = "videochatgpt"
_FILES = Path(__file__).parent / "protocols"
_Text = Annotated[str, Field(min_length=1)]


class JudgeSample(NamedTuple):
    """An answer to be judged; one that does not exist (`prediction` is None) scores null, an empty one is judged.

    `second_question` and `second_prediction` are the same question in other words and its answer, which only the
    aspect `consistency` uses. A sample with another `repeat` is asked anew, to see how well a judge repeats itself.
    """

    id: str
    question: str
    reference: str
    prediction: str | None
    second_question: str | None = None
    second_prediction: str | None = None
    repeat: int = 0

    def missing(self, aspect: Aspect) -> str | None:
        """Why this sample cannot be judged in an aspect, if it cannot."""
        if self.prediction is None:
            return "there is no answer"
        if aspect == "consistency" and self.second_question is None:
            return "there is no second question"
        if aspect == "consistency" and self.second_prediction is None:
            return "there is no answer to the second question"
        return None


class JudgeProtocol(Protocol):
    """What a judge is asked."""

    @property
    def name(self) -> str:
        """What scores by it are filed under."""
        ...

    @property
    def source(self) -> str:
        """Where its words are from, with a version."""
        ...

    @property
    def hash(self) -> str:
        """Of everything that is sent beside the answers themselves."""
        ...

    @property
    def response_format(self) -> dict[str, Any] | None:
        """The form of the reply that is enforced, if any."""
        ...

    def messages(self, aspect: Aspect, sample: JudgeSample) -> list[dict[str, str]]:
        """The request about one aspect of one answer."""
        ...


class PromptProtocol(Settings):
    """A protocol of prompts in a YAML file; question and answers follow them as one JSON object.

    Args:
        name (`str`): what scores by it are filed under.
        version (`int`): for people; what tells two protocols apart is their hash.
        role (`str`): who the judge is and what it gets.
        aspects (`dict[str, str]`): what is marked, of each aspect it knows.
        scale (`str`): what the marks mean and how the reply is written.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    version: int
    role: _Text
    aspects: Annotated[dict[Aspect, _Text], Field(min_length=1)]
    scale: _Text

    @property
    def source(self) -> str:
        """Where its words are from."""
        return f"{self.name} {self.version}"

    @property
    def response_format(self) -> dict[str, Any]:
        """One sentence, then the score: the reason comes first so that the score follows from it."""
        return _RESPONSE_FORMAT

    @cached_property
    def hash(self) -> str:
        """Of everything that is sent beside the answers themselves."""
        empty = [_material(aspect, JudgeSample("", "", "", "", "", "")) for aspect in ALL_ASPECTS]
        return content_hash(self.model_dump(mode="json"), empty, _RESPONSE_FORMAT)

    def messages(self, aspect: Aspect, sample: JudgeSample) -> list[dict[str, str]]:
        """The request about one aspect of one answer; question and answers travel as JSON, quoted and escaped."""
        system = f"{self.role}\n\n{self.aspects[aspect]}\n\n{self.scale}"
        return [
            {"role": "system", "content": system},
            {"role": "user", "content": as_data(_material(aspect, sample))},
        ]


_RESPONSE_FORMAT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "mark",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "reason": {"type": "string", "description": "one sentence"},
                "score": {"type": "number", "minimum": 0, "maximum": MAX_SCORE},
            },
            "required": ["reason", "score"],
            "additionalProperties": False,
        },
    },
}
# What chat templates of common models write as tokens of their own: <|im_end|>, </s>, <start_of_turn>, [INST].
_CONTROL = re.compile(r"<(?=[|/_a-zA-Z\uff5c])|\[(?=/?[A-Z]{3,}[\]_])")


def as_data(material: dict[str, str]) -> str:
    """Texts as one JSON object, in which none of them can be taken for a control token of a chat template."""
    text = json.dumps(material, ensure_ascii=False, indent=1)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _material(aspect: Aspect, sample: JudgeSample) -> dict[str, str]:
    answers = {"candidate_answer": sample.prediction or ""}
    questions = {"question": sample.question}
    if aspect == "consistency":
        questions = {"first_question": sample.question, "second_question": sample.second_question or ""}
        answers = {
            "first_candidate_answer": sample.prediction or "",
            "second_candidate_answer": sample.second_prediction or "",
        }
    return {**questions, "reference_answer": sample.reference, **answers}


def load_protocol(name: str) -> JudgeProtocol:
    """The protocol of a name, or of a file.

    Args:
        name (`str`): `"videopath"`, `"videochatgpt"`, or a YAML file of prompts.

    Raises:
        MissingExtraError: `lmms-eval`, which the published protocol is taken from, is not installed.
        UserError: there is no such protocol, or its file cannot be used.
    """
    if name == PUBLISHED:
        from videopath_hf.evaluation.judging.published import VideoChatGPT

        return VideoChatGPT()
    path = _FILES / f"{name}.yaml"
    if re.fullmatch(r"\w+", name) and path.is_file():
        return load_settings(PromptProtocol, path)
    if Path(name).suffix in (".yaml", ".yml"):
        return load_settings(PromptProtocol, name)
    known = sorted({PUBLISHED, *(file.stem for file in _FILES.glob("*.yaml"))})
    raise UserError(f"protocol is {name!r}; accepted are {', '.join(known)}, and a .yaml file of prompts")
