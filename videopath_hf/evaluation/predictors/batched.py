"""Any image-text-to-text model of transformers, in batches: frames as a video where it takes one, else as images."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import torch
from transformers.video_utils import VideoMetadata

from videopath_hf.errors import UserError
from videopath_hf.evaluation.identity import ModelIdentity
from videopath_hf.evaluation.predictors.base import Ask, Failed, Said, Shown, look, out_of_memory
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.videos_videopath_llava import VideoPathVideoMetadata
from videopath_hf.progress import note
from videopath_hf.video.sampling import Strategy

_Looked = tuple[Ask, "Shown | Failed"]


class BatchedPredictor:
    """A model and its own processor and chat template.

    While a batch is answered the media of the next one are decoded. Questions are put together only with others that
    show as many pictures, since not every processor can stack others.

    Args:
        model: of the class that `AutoModelForImageTextToText` gives, in evaluation mode.
        processor: its processor, with a chat template.
        identity (`ModelIdentity`): which one it is.
        batch_size (`int`): most questions at once.
        num_frames (`int`), sampling (`str`): which frames are taken.
        max_new_tokens (`int`): longest answer.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        identity: ModelIdentity,
        *,
        batch_size: int,
        num_frames: int,
        sampling: Strategy,
        max_new_tokens: int,
    ) -> None:
        self.model, self.processor, self.identity = model, processor, identity
        self.batch_size, self.num_frames, self.sampling = batch_size, num_frames, sampling
        self.max_new_tokens = max_new_tokens
        self.takes_video = takes_video(processor)
        processor.tokenizer.padding_side = "left"  # answers go on where prompts end
        ends = model.generation_config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends]) - {None}

    def answer(self, asks: Iterable[Ask]) -> Iterator[tuple[Ask, Said | Failed]]:
        """Answer batch by batch."""
        with ThreadPoolExecutor(1) as decoder:
            for looked in self._looked(iter(asks), decoder):
                groups: dict[tuple[Any, ...], list[tuple[Ask, Shown]]] = {}
                for ask, shown in looked:
                    if isinstance(shown, Failed):
                        yield ask, shown
                    else:
                        key = (tuple(shown.order), tuple(len(video.frames) for video in shown.videos))
                        groups.setdefault(key, []).append((ask, shown))
                for group in groups.values():
                    yield from zip((ask for ask, _ in group), self._answer(group), strict=True)

    def _looked(self, asks: Iterator[Ask], decoder: ThreadPoolExecutor) -> Iterator[list[_Looked]]:
        """Batches with their media decoded, one batch ahead."""
        waiting: Future[list[_Looked]] | None = None
        while batch := list(islice(asks, self.batch_size)):
            following = decoder.submit(self._look_at, batch)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()

    def _look_at(self, batch: Sequence[Ask]) -> list[_Looked]:
        found: list[_Looked] = []
        for ask in batch:
            try:
                if token := self._control_token(ask.question):
                    raise UserError(f"the question cannot be asked: it holds the placeholder {token}")
                found.append((ask, look(ask, self.num_frames, self.sampling)))
            except UserError as error:
                found.append((ask, Failed(str(error))))
        return found

    def _control_token(self, question: str) -> str | None:
        tokens = (getattr(self.processor, name, None) for name in ("image_token", "video_token"))
        return next((token for token in tokens if token and str(token) in question), None)

    def _answer(self, group: Sequence[tuple[Ask, Shown]]) -> list[Said | Failed]:
        try:
            return list(self._generate(group))
        except torch.OutOfMemoryError as error:
            if len(group) == 1:
                raise out_of_memory(group[0][0], error) from None
        except ValueError as error:  # e.g. of a processor whose pictures must not be so narrow
            if len(group) > 1:
                return [said for one in group for said in self._answer([one])]
            return [Failed(f"the model cannot be asked this: {' '.join(str(error).split())[:200]}")]
        torch.cuda.empty_cache()
        self.batch_size = max(1, len(group) // 2)
        note(f"{len(group)} questions at once do not fit into memory; going on with {self.batch_size}")
        half = len(group) // 2
        return self._answer(group[:half]) + self._answer(group[half:])

    def _generate(self, group: Sequence[tuple[Ask, Shown]]) -> Iterator[Said]:
        start = time.perf_counter()
        inputs = self._inputs(group).to(self.model.device)
        inputs = {
            name: value.to(self.model.dtype) if torch.is_tensor(value) and value.is_floating_point() else value
            for name, value in inputs.items()
        }
        prepared = time.perf_counter()
        with torch.inference_mode():
            output = self.model.generate(**inputs, do_sample=False, max_new_tokens=self.max_new_tokens)
        prompt = inputs["input_ids"]
        tokens = output[:, prompt.shape[1] :].tolist()
        done = time.perf_counter()
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        share = {"preprocess": (prepared - start) / len(group), "generate": (done - prepared) / len(group)}
        for (_, shown), row, length in zip(group, tokens, lengths, strict=True):
            ended = next((place + 1 for place, token in enumerate(row) if token in self._ends), None)
            said = row[:ended]
            yield Said(
                text=str(self.processor.tokenizer.decode(said, skip_special_tokens=True)).strip(),
                frame_times=shown.frame_times,
                frames=shown.pictures,
                tokens=len(said),
                tokens_in=int(length),
                cut=ended is None and len(said) >= self.max_new_tokens,
                seconds={name: round(value, 4) for name, value in {"decode": shown.seconds, **share}.items()},
            )

    def _inputs(self, group: Sequence[tuple[Ask, Shown]]) -> Any:
        options: dict[str, Any] = {"padding": True}
        metadata = [self._metadata(shown) for _, shown in group]
        if self.takes_video and any(metadata):
            options.update(do_sample_frames=False, video_metadata=metadata)
        return self.processor.apply_chat_template(
            [self._conversation(ask, shown) for ask, shown in group],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs=options,
        )

    def _conversation(self, ask: Ask, shown: Shown) -> list[dict[str, Any]]:
        videos, images = iter(shown.videos), iter(shown.images)
        blocks: list[dict[str, Any]] = []
        for kind in shown.order:
            if kind == "image":
                blocks.append({"type": "image", "image": next(images)})
            elif self.takes_video:
                blocks.append({"type": "video", "video": next(videos).frames})
            else:
                blocks += [{"type": "image", "image": frame} for frame in next(videos).frames]
        return [{"role": "user", "content": [*blocks, {"type": "text", "text": ask.question}]}]

    def _metadata(self, shown: Shown) -> list[VideoMetadata]:
        own = isinstance(self.processor, VideoPathLlavaProcessor)
        found: list[VideoMetadata] = []
        for video, (total, rate) in zip(shown.videos, shown.rates, strict=True):
            known = {"total_num_frames": total, "fps": rate, "duration": total / rate}
            known |= {"height": video.frames.shape[1], "width": video.frames.shape[2]}
            indices = video.indices.tolist()
            # Other families know no more than a steady rate.
            found.append(
                VideoPathVideoMetadata(**known, frames_indices=indices, times=video.times.tolist())
                if own
                else VideoMetadata(**known, frames_indices=indices)
            )
        return found


def takes_video(processor: Any) -> bool:
    """Whether a processor has a place for videos, and not for images alone."""
    return getattr(processor, "video_processor", None) is not None and bool(getattr(processor, "video_token", None))
