"""Models of this package in lmms-eval: asked as `videopath evaluate` asks them."""

from collections.abc import Sequence
from typing import Literal

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms

from videopath_hf.errors import UserError
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.evaluation.lmms.messages import cut, read_messages
from videopath_hf.modeling.loading import load_model
from videopath_hf.progress import track

_GREEDY = {"do_sample": (False, None), "temperature": (0, 0.0, None), "num_beams": (1, None)}


class VideoPath(lmms):
    """A checkpoint that this package opens, greedily decoded, one question at a time.

    Args:
        pretrained (`str`): folder or Hub id.
        num_frames (`int`, defaults to 32): most frames taken of a video; the paper's setting.
        sampling (`str`, defaults to `"uniform"`): or `"fps"`, one a second up to `num_frames`.
        device (`str`, defaults to `"auto"`): `"auto"`, `"cpu"`, `"cuda"` or `"cuda:N"`.
        dtype (`str`, defaults to `"auto"`): `"auto"`, `"float32"`, `"bfloat16"` or `"float16"`.
        batch_size (`int`, defaults to 1): only 1; lmms-eval passes it.
        max_batch_size (`int`, *optional*): ignored, as that of a batch size of 1.

    Raises:
        UserError: there is no such checkpoint, or another batch size is asked for.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str,
        num_frames: int = 32,
        sampling: Literal["uniform", "fps"] = "uniform",
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if str(batch_size) != "1":
            raise UserError(f"batch_size is {batch_size}; model videopath answers one question at a time, give 1")
        loaded, processor = load_model(pretrained, dtype, device)
        processor.video_processor.num_frames = num_frames
        processor.video_processor.sampling = sampling
        self._answerer = Answerer(loaded, processor, pretrained)

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """The answers to requests, in their order; questions about the same media share the work of looking at them.

        Raises:
            UserError: a medium cannot be decoded, or a task asks for anything but greedy answers to one user's turn.
        """
        answers = []
        for request in track(requests, "Answering", total=len(requests)):
            _, to_messages, options, number, task, split = request.args
            media, question = read_messages(to_messages(self.task_dict[task][split][number]))
            for name, accepted in _GREEDY.items():
                if options.get(name) not in accepted:
                    raise UserError(f"task {task} asks for {name} {options[name]}; model videopath answers greedily")
            answer = self._answerer.ask(media, question, max_new_tokens=options.get("max_new_tokens", 1024))
            answers.append(cut(answer.answer, options.get("until") or ()))
        return answers

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Not offered."""
        raise UserError("model videopath generates answers; tasks that compare likelihoods are not for it")

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        """Not offered."""
        raise UserError("model videopath answers single questions; tasks of several rounds are not for it")
