"""What a user can set about a judge."""

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from videopath_hf.errors import UserError
from videopath_hf.evaluation.judging.protocol import (
    PAPER_ASPECTS,
    Aspect,
    JudgeProtocol,
    PromptProtocol,
    load_protocol,
)
from videopath_hf.llm.settings import ServerSettings

_HUB = "huggingface.co"


class JudgeSettings(ServerSettings):
    """Which judge, and how it is asked: the fields of `ServerSettings`, with `base_url` and `model` from the
    environment variables `VIDEOPATH_JUDGE_BASE_URL` and `VIDEOPATH_JUDGE_MODEL` if omitted.

    Args:
        backend (`str`, defaults to `"server"`): `"server"` is any OpenAI-compatible address; `"hub"` the inference
            providers of the Hub, `model` being a Hub id, `org/name` or `org/name:provider`; `"transformers"` a model
            in this process, `model` being a folder or a Hub id, with a chat template, decoded greedily one answer at a
            time.
        protocol (`str`, defaults to `"videopath"`): what is asked: `"videopath"`, `"videochatgpt"` (the published
            prompts, from the installed `lmms-eval`), or a YAML file of prompts.
        aspects (`list[str]`): what is marked: correctness, detail and context by default, the paper's three; also
            temporal, and consistency, which needs a second question and answer.
        api_key_env (`str`, defaults to `"VIDEOPATH_JUDGE_API_KEY"`): environment variable that holds the key; a
            server that wants none is asked without it. With `backend=hub` the Hub's own login is used where it is
            not set.
        device (`str`, defaults to `"auto"`), dtype (`str`, defaults to `"auto"`): where a model in this process runs,
            and in what precision.
    """

    environment: ClassVar[str] = "VIDEOPATH_JUDGE"

    base_url: str = ""
    api_key_env: str = "VIDEOPATH_JUDGE_API_KEY"
    backend: Literal["server", "hub", "transformers"] = "server"
    protocol: str = "videopath"
    aspects: Annotated[tuple[Aspect, ...], Field(min_length=1)] = PAPER_ASPECTS
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    @classmethod
    def _fill(cls, data: dict[str, Any], field: str) -> None:
        backend = data.get("backend", "server")
        if field == "base_url" and backend == "transformers":
            if data.get(field):
                raise ValueError("base_url is given and backend=transformers asks no server: leave it out")
            data.pop(field, None)
            return
        if field == "base_url" and backend == "hub" and not data.get(field):
            from huggingface_hub.constants import INFERENCE_PROXY_TEMPLATE

            data[field] = INFERENCE_PROXY_TEMPLATE.format(provider="v1")
        super()._fill(data, field)

    @field_validator("aspects")
    @classmethod
    def _each_once(cls, aspects: tuple[Aspect, ...]) -> tuple[Aspect, ...]:
        if len(set(aspects)) < len(aspects):
            raise ValueError("an aspect is named twice")
        return aspects

    @model_validator(mode="after")
    def _greedy_in_this_process(self) -> "JudgeSettings":
        if self.backend == "transformers" and (self.temperature or self.request):
            raise ValueError("temperature and request are a server's; backend=transformers decodes greedily")
        if self.backend != "transformers" and (self.device, self.dtype) != ("auto", "auto"):
            raise ValueError(f"device and dtype are for backend=transformers, and this is backend={self.backend}")
        return self

    def check_protocol(self, protocol: JudgeProtocol) -> None:
        """Raise `UserError` if a protocol does not have an aspect that is asked for."""
        if isinstance(protocol, PromptProtocol):
            for aspect in self.aspects:
                if aspect not in protocol.aspects:
                    raise UserError(
                        f"protocol {protocol.name} has no aspect {aspect!r}; it has {', '.join(protocol.aspects)}"
                    )

    def identity(self) -> dict[str, Any]:
        """What decides a score: the protocol by its hash, a model in this process by its weights."""
        return super().identity() | {"protocol": load_protocol(self.protocol).hash}

    def address(self) -> str:
        """Where requests go; of a model in this process its weights, whatever folder they lie in."""
        return f"transformers:{self._weights}:{self.dtype}" if self.backend == "transformers" else super().address()

    @property
    def label(self) -> str:
        """What scores are filed under: the model's name, of one in this process with what its weights are known by."""
        return f"{Path(self.model).name}@{self._weights}" if self.backend == "transformers" else self.model

    def chat_request(
        self, messages: list[dict[str, Any]], response_format: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The body of a request; a model in this process stands in it by its weights, and no form is enforced."""
        if self.backend != "transformers":
            return super().chat_request(messages, response_format)
        return super().chat_request(messages) | {"model": self._weights}

    @cached_property
    def _weights(self) -> str:
        from videopath_hf.evaluation.judging.local import weights_of

        return weights_of(self.model)

    def api_key(self) -> str | None:
        """The key that is sent. The Hub's login goes to the Hub alone, whatever `base_url` says."""
        key = os.environ.get(self.api_key_env)
        if key is None and self.backend == "hub" and f".{urlsplit(self.base_url).hostname}".endswith(f".{_HUB}"):
            from huggingface_hub import get_token

            key = get_token()
        return key

    def key_help(self) -> str:
        """What to do where the key is refused."""
        return super().key_help() + (", or log in: hf auth login" if self.backend == "hub" else "")
