"""Which language-model server is asked, how hard, and for how much money."""

import os
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from videopath_hf.settings import Settings

HOW_IT_IS_FETCHED = frozenset(
    {
        "api_key_env",
        "concurrency",
        "max_retries",
        "max_wait",
        "max_failures",
        "timeout",
        "price_input",
        "price_output",
        "budget",
        "tokens_per_image",
        "tokens_per_video",
    }
)
"""Settings that change no reply: a run may be continued with others."""


class ServerSettings(Settings):
    """An OpenAI-compatible server.

    Args:
        base_url (`str`): address up to and including `/v1`; from the environment variable `<PREFIX>_BASE_URL` if
            omitted (`VIDEOPATH_WRITER`, `VIDEOPATH_JUDGE`).
        model (`str`): name of the model there; from `<PREFIX>_MODEL` if omitted.
        api_key_env (`str`): environment variable with the key; a server that wants none is asked without it.
        concurrency (`int`, defaults to 8): requests under way at once.
        max_retries (`int`, defaults to 5): further tries of a request on 408, 409, 429, 5xx, timeouts and lost
            connections, after the time of its Retry-After or else after exponentially longer waits with jitter.
        max_wait (`float`, defaults to 120.0): longest Retry-After that is waited for, in seconds.
        max_failures (`int`, defaults to 20): after so many requests in a row without a reply the run stops.
        timeout (`float`, defaults to 120.0): longest time for one whole reply, in seconds.
        max_tokens (`int`): longest reply.
        temperature (`float`, defaults to 0.0): 0 is greedy.
        structured (`str`, defaults to `"json_schema"`): how the form of the reply is enforced: `"json_schema"`,
            `"json_object"`, or `"none"` for servers that know neither. Every reply is validated in any case.
        request (`dict`, *optional*): further fields of every request; null removes one, e.g.
            `{max_tokens: null, max_completion_tokens: 2000}`.
        price_input (`float`, *optional*): price of a million input tokens, in any currency.
        price_output (`float`, *optional*): price of a million output tokens.
        budget (`float`, *optional*): most that all requests logged for one output may cost together; the run stops
            before a request that could exceed it. Needs both prices.
        tokens_per_image (`int`, defaults to 1500): what an attached image counts in estimates.
        tokens_per_video (`int`, defaults to 20000): what an attached clip counts in estimates.
    """

    environment: ClassVar[str] = "VIDEOPATH_LLM"

    base_url: str
    model: str
    api_key_env: str = "VIDEOPATH_LLM_API_KEY"
    concurrency: Annotated[int, Field(ge=1)] = 8
    max_retries: Annotated[int, Field(ge=0)] = 5
    max_wait: Annotated[float, Field(ge=0)] = 120.0
    max_failures: Annotated[int, Field(ge=1)] = 20
    timeout: Annotated[float, Field(gt=0)] = 120.0
    max_tokens: Annotated[int, Field(ge=1)] = 512
    temperature: Annotated[float, Field(ge=0)] = 0.0
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    request: dict[str, Any] = Field(default_factory=dict)
    price_input: Annotated[float, Field(ge=0)] | None = None
    price_output: Annotated[float, Field(ge=0)] | None = None
    budget: Annotated[float, Field(ge=0)] | None = None
    tokens_per_image: Annotated[int, Field(ge=0)] = 1500
    tokens_per_video: Annotated[int, Field(ge=0)] = 20_000

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for field in ("base_url", "model"):
            cls._fill(data, field)
        return data

    @classmethod
    def _fill(cls, data: dict[str, Any], field: str) -> None:
        variable = f"{cls.environment}_{field.upper()}"
        data[field] = data.get(field) or os.environ.get(variable)
        if not data[field]:
            raise ValueError(f"no server is named: set {field} or the environment variable {variable}")
        if field == "base_url" and not str(data[field]).startswith(("http://", "https://")):
            raise ValueError(f"base_url is {data[field]!r}; give an address such as http://localhost:8000/v1")

    @model_validator(mode="after")
    def _priced(self) -> "ServerSettings":
        if self.budget is not None and (self.price_input is None or self.price_output is None):
            raise ValueError("budget needs price_input and price_output, the prices of a million tokens")
        return self

    def identity(self) -> dict[str, Any]:
        """What decides a reply; the rest is only how it is fetched."""
        return self.model_dump(mode="json", exclude=set(HOW_IT_IS_FETCHED)) | {"base_url": self.address()}

    @property
    def begun(self) -> int:
        """Requests that may be begun at once: one that waits to be tried again leaves its place to another."""
        return 2 * self.concurrency

    def address(self) -> str:
        """Where requests go, the same however it is written."""
        return self.base_url.rstrip("/")

    def api_key(self) -> str | None:
        """The key that is sent, if there is one."""
        return os.environ.get(self.api_key_env)

    def key_help(self) -> str:
        """What to do where the key is refused."""
        return f"set the right one in ${self.api_key_env}"

    def price(self, tokens_in: int, tokens_out: int) -> float | None:
        """What so many tokens cost, or None where no prices are set."""
        if self.price_input is None or self.price_output is None:
            return None
        return (tokens_in * self.price_input + tokens_out * self.price_output) / 1e6

    def chat_request(
        self, messages: list[dict[str, Any]], response_format: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The body of a `chat/completions` request; `response_format` as `structured` allows."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        if response_format is not None and self.structured != "none":
            body["response_format"] = response_format if self.structured == "json_schema" else {"type": "json_object"}
        return {name: value for name, value in {**body, **self.request}.items() if value is not None}
