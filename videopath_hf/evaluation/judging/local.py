"""A transformers model in this process as judge: chat template, greedy, one answer at a time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath_hf.errors import UserError
from videopath_hf.llm.client import NoReplyError
from videopath_hf.llm.completion import ChatReply, one_line
from videopath_hf.modeling.hashes import model_hash

if TYPE_CHECKING:
    from types import TracebackType

    from videopath_hf.evaluation.judging.settings import JudgeSettings

_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


def model_folder(model: str) -> Path:
    """The folder of a model: itself, or the snapshot of a Hub id, which is downloaded if it is not there.

    Raises:
        UserError: there is no such folder or Hub id.
    """
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=list(_FILES)))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"judge model {model!r} is no folder and cannot be had from the Hub: {one_line(error)}"
        ) from None


def weights_of(model: str) -> str:
    """What a model is known by: the hash of a folder's content, or the commit of a Hub id."""
    folder = model_folder(model)
    return model_hash(str(folder)) if Path(model).is_dir() else folder.name


class LocalModel:
    """Answers requests as a server does. The weights are loaded when the first one comes that is not in the log.

    One answer at a time: what a model says must not depend on which others are asked beside it. For many answers put
    a server of its own before the model (vLLM, `transformers serve`).

    Args:
        settings (`JudgeSettings`): `model`, `device`, `dtype`.
    """

    def __init__(self, settings: "JudgeSettings") -> None:
        self._settings = settings
        # A thread of its own: in the loop's, answers that wait would keep finished ones from being written to the log.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judge")
        self.sent = 0

    async def complete(self, request: dict[str, Any]) -> ChatReply:
        """The reply to one request.

        Raises:
            NoReplyError: it fails at this one.
            UserError: the model cannot be loaded, or has no chat template.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._complete, request)

    def _complete(self, request: dict[str, Any]) -> ChatReply:
        import torch

        self.sent += 1
        model, tokenizer = self._loaded
        inputs = self._tokens(tokenizer, request["messages"]).to(model.device)
        length = inputs["input_ids"].shape[1]
        try:
            with torch.inference_mode():
                output = model.generate(**inputs, generation_config=self._greedy(model, request["max_tokens"]))
        except RuntimeError as error:  # out of memory, above all
            raise NoReplyError(f"the model failed: {one_line(error)}") from None
        said = output[0, length:]
        ended = bool(set(said.tolist()) & _ends(model))
        text = tokenizer.decode(said, skip_special_tokens=True)
        finish = "stop" if ended or len(said) < request["max_tokens"] else "length"
        return ChatReply(text, None, finish, length, len(said), self._settings.label)

    @staticmethod
    def _greedy(model: Any, longest: int) -> Any:
        """Greedy whatever the checkpoint's own settings say, which may hold a penalty on repetitions."""
        from transformers import GenerationConfig

        ends = sorted(_ends(model))
        return GenerationConfig(
            max_new_tokens=longest,
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,
            eos_token_id=ends,
            pad_token_id=ends[0] if ends else 0,
        )

    @staticmethod
    def _tokens(tokenizer: Any, messages: list[dict[str, str]]) -> Any:
        from jinja2 import TemplateError

        options = {"add_generation_prompt": True, "return_dict": True, "return_tensors": "pt"}
        try:
            return tokenizer.apply_chat_template(messages, **options)
        except TemplateError:  # some templates know no system turn
            merged = [{"role": "user", "content": "\n\n".join(message["content"] for message in messages)}]
            return tokenizer.apply_chat_template(merged, **options)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from videopath_hf.modeling.loading import quiet_transformers
        from videopath_hf.modeling.placement import choose_device, choose_dtype

        name, folder = self._settings.model, model_folder(self._settings.model)
        device = choose_device(self._settings.device)
        dtype = choose_dtype(self._settings.dtype, device)
        try:
            with quiet_transformers():
                tokenizer = AutoTokenizer.from_pretrained(folder)
                model, report = AutoModelForCausalLM.from_pretrained(
                    folder, dtype=dtype, use_safetensors=True, output_loading_info=True
                )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise UserError(f"judge model {name!r} cannot be loaded as a language model: {one_line(error)}") from None
        if report["missing_keys"]:
            raise UserError(f"judge model {name!r} lacks weights: {', '.join(sorted(report['missing_keys'])[:3])}")
        if not tokenizer.chat_template:
            raise UserError(f"judge model {name!r} has no chat template; take one that was tuned for instructions")
        return model.to(device).eval(), tokenizer

    async def __aenter__(self) -> "LocalModel":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        pass


def _ends(model: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    return set(ends if isinstance(ends, list) else [ends] if ends is not None else [])
