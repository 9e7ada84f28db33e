"""Many questions about the same media: these are decoded, encoded and read once; every question goes on from there."""

import copy
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from transformers import TextStreamer
from transformers.cache_utils import Cache, DynamicCache

if TYPE_CHECKING:
    from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
    from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor

STEPS = ("decode", "preprocess", "vision", "prefill", "generate")
"""What an answer's time is spent on: reading files; making inputs; the tower; up to the first token; the others."""

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class Reply(NamedTuple):
    """What a model answered.

    Args:
        text (`str`): without special tokens and surrounding blanks.
        tokens (`list[int]`): ids generated, the one that ended the answer included.
        seconds (`dict[str, float]`): by step of `STEPS`; 0 for a step that an earlier question has already paid for.
    """

    text: str
    tokens: list[int]
    seconds: dict[str, float]


class DecodedVideo(NamedTuple):
    """The frames of a video, chosen and decoded already: a session shows all of them, in their order.

    Args:
        frames (`np.ndarray`): uint8 [F, H, W, 3] RGB.
        metadata ([`~transformers.video_utils.VideoMetadata`]): of the video; its `times`, seconds, are those of the
            frames, and what a time sentence says of them.
    """

    frames: np.ndarray[Any, np.dtype[np.uint8]]
    metadata: Any


class VideoSession:
    """Videos and images that a model has seen, ready for questions.

    The key-value cache of everything before the question is kept (6,720 tokens for 32 frames with grid newlines), so
    that a second question costs its own words and its answer only. Answers are those of a fresh session: each question
    starts from the same cache, which no question changes. A session serves one question at a time.

    Args:
        model ([`VideoPathLlavaForConditionalGeneration`]): in evaluation mode, where it is to run.
        processor ([`VideoPathLlavaProcessor`]): its processor; its video processor says which frames are taken.
        media (`Sequence`): at least one, shown in this order. Paths and addresses are images or videos by suffix; PIL
            images and uint8 arrays [H, W, 3] are images; arrays [F, H, W, 3], lists of frames and bytes are videos,
            and so is a `DecodedVideo`, of which no frame is left out.
        blind (`bool`, defaults to `False`): show as many black pictures in their place: what the model answers from
            words alone.
        keep_shown (`bool`, defaults to `False`): keep what the model was shown in `shown`, for
            [`~videopath_hf.modeling.evidence.occlude`]: 14 MB for 32 frames of 384 pixels.

    Raises:
        VideoError: a video cannot be decoded.
        ValueError: an image cannot be read, or `media` is empty.

    Example:

    ```python
    >>> session = VideoSession(model, processor, ["clip.mp4"])
    >>> session.ask("What is the best diagnosis?").text
    >>> session.ask("Is there necrosis?").text  # starts to answer at once
    ```
    """

    def __init__(
        self,
        model: "VideoPathLlavaForConditionalGeneration",
        processor: "VideoPathLlavaProcessor",
        media: Sequence[Any],
        blind: bool = False,
        keep_shown: bool = False,
    ) -> None:
        if not len(media):
            raise ValueError("a session needs at least one video or image")
        self.model = model
        self.processor = processor
        self.frame_times: list[float] = []
        self.shown: list[Any] = []
        self._spent = dict.fromkeys(STEPS, 0.0)
        self._blocks: list[dict[str, str]] = []
        with self._clock("decode"):
            images, videos, metadata = self._load(media, blind)
        if keep_shown:
            self.shown = [*images, *videos]
        with self._clock("preprocess"):
            self._inputs, self._expand = self._prepare(images, videos, metadata)
        self._prefix: torch.Tensor | None = None
        self._cache: Cache | None = None

    def ask(
        self,
        question: str,
        max_new_tokens: int = 1024,
        on_text: Callable[[str], None] | None = None,
        **generation: Any,
    ) -> Reply:
        """Answer one question.

        Args:
            question (`str`): without placeholders.
            max_new_tokens (`int`, defaults to 1024): longest answer; the paper's setting.
            on_text (`Callable[[str], None]`, *optional*): given the answer piece by piece as it is generated.
            generation: of [`~transformers.GenerationMixin.generate`]; answers are greedy by default.

        Raises:
            ValueError: for a question that holds a placeholder.
        """
        with self._clock("preprocess"):
            ids = self._tokenize(question).to(self.model.device)
        with torch.inference_mode():
            self._read_media(ids)
            start = time.perf_counter()
            stream = _Stream(self.processor.tokenizer, on_text)
            output = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                cache=_branch(self._cache),
                streamer=stream,
                **{"do_sample": False, "max_new_tokens": max_new_tokens, **generation},
            )
        done = time.perf_counter()
        first = stream.first_token_at or done
        self._spent["prefill"] += first - start
        self._spent["generate"] += done - first
        tokens = output[0, ids.shape[1] :].tolist()
        seconds = {name: round(value, 4) for name, value in self._spent.items()}
        self._spent = dict.fromkeys(STEPS, 0.0)
        return Reply(self.processor.decode(tokens, skip_special_tokens=True).strip(), tokens, seconds)

    def stream(self, question: str, max_new_tokens: int = 1024, **generation: Any) -> Generator[str, None, Reply]:
        """Pieces of the answer to one question as they are generated; joined and stripped they are `Reply.text`.

        Whoever stops iterating stops the generation. What `ask` would return is the generator's return value.

        Args:
            question (`str`): without placeholders.
            max_new_tokens (`int`, defaults to 1024): longest answer.
            generation: as for `ask`.

        Raises:
            ValueError: for a question that holds a placeholder.
        """
        pieces: Queue[str | None] = Queue()
        stopped = threading.Event()
        given = generation.pop("stopping_criteria", None) or []
        criteria = [*given, lambda ids, _: torch.full((len(ids),), stopped.is_set(), device=ids.device)]

        def answer() -> Reply:
            try:
                return self.ask(question, max_new_tokens, pieces.put, stopping_criteria=criteria, **generation)
            finally:
                pieces.put(None)

        with ThreadPoolExecutor(1) as worker:
            reply = worker.submit(answer)
            try:
                while (piece := pieces.get()) is not None:
                    yield piece
            finally:
                stopped.set()
            return reply.result()

    def prompt_ids(self, question: str) -> list[int]:
        """Ids of the whole prompt of a question, every placeholder as often as its medium has tokens."""
        ids: list[int] = self._tokenize(question)[0].tolist()
        return ids

    def _load(self, media: Sequence[Any], blind: bool) -> tuple[list[Any], list[Any], list[Any]]:
        images, videos, metadata = [], [], []
        for medium in media:
            if is_image(medium):
                (image,) = self.processor.read_images([medium])
                images.append(np.zeros_like(np.asarray(image)) if blind else image)
                self._blocks.append({"type": "image"})
                continue
            chosen = medium if isinstance(medium, DecodedVideo) else None
            frames, known = chosen or self.processor.video_processor.sample_video(medium)
            videos.append(np.zeros_like(frames) if blind else frames)
            metadata.append(known)
            times = getattr(known, "times", None) or []
            self.frame_times += [round(float(seconds), 3) for seconds in times]
            self._blocks.append({"type": "video"})
        return images, videos, metadata

    def _prepare(self, images: list[Any], videos: list[Any], metadata: list[Any]) -> tuple[dict[str, Any], Any]:
        """Pixel values of everything, and what turns a prompt's placeholders into as many as there are tokens."""
        inputs, image_texts, video_texts = self.processor.process_media(images, videos, metadata)

        def expand(prompt: str) -> str:
            (text,), _ = self.processor.get_text_with_replacements([prompt], image_texts, video_texts)
            return str(text)

        return inputs, expand

    def _tokenize(self, question: str) -> torch.Tensor:
        for token in (self.processor.image_token, self.processor.video_token):
            if token in question:
                raise ValueError(f"the question holds the placeholder {token}; media are given to the session")
        content = [*self._blocks, {"type": "text", "text": question}]
        prompt = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        ids = self.processor.tokenizer(self._expand(prompt), return_tensors="pt")["input_ids"]
        return torch.as_tensor(ids)

    def _read_media(self, ids: torch.Tensor) -> None:
        """Run the model over everything up to the last medium, unless that was done."""
        visual = (ids[0] == self.processor.image_token_id) | (ids[0] == self.processor.video_token_id)
        prefix = ids[:, : int(visual.nonzero()[-1]) + 1]
        if self._prefix is not None:
            if not torch.equal(prefix, self._prefix):
                raise ValueError(
                    "the chat template shows the question before the media; a session needs it after them"
                )
            return
        with self._clock("vision"):
            encoded = self._encode()
        with self._clock("prefill"):
            self._cache = DynamicCache(config=self.model.config.get_text_config())
            self.model.model(input_ids=prefix, mm_encoder_outputs=encoded, cache=self._cache, use_cache=True)
            _wait(self.model.device)
        self._prefix = prefix
        self._inputs = {}

    def _encode(self) -> dict[str, Any]:
        device, dtype = self.model.device, self.model.dtype
        given = {
            name: value.to(device, dtype) if value.is_floating_point() else value.to(device)
            for name, value in self._inputs.items()
        }
        encoded: dict[str, Any] = {}
        if "pixel_values" in given:
            names = ("pixel_values", "image_sizes", "image_num_tiles")
            encoded["image"] = self.model.model.get_image_features(**{name: given[name] for name in names})
        if "pixel_values_videos" in given:
            pixels, counts = given["pixel_values_videos"], given["video_num_frames"]
            encoded["video"] = self.model.model.get_video_features(pixels, counts)
        _wait(device)
        return encoded

    @contextmanager
    def _clock(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._spent[step] += time.perf_counter() - start


class _Stream(TextStreamer):
    """Notes when the first token came, and passes finished words on."""

    def __init__(self, tokenizer: Any, on_text: Callable[[str], None] | None) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.first_token_at: float | None = None
        self._on_text = on_text
        self._prompts = 0

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt, then one token at a time."""
        self._prompts += 1
        if self._prompts == 2:
            self.first_token_at = time.perf_counter()
        if self._on_text is not None:
            super().put(value)

    def end(self) -> None:
        """Pass on what is left."""
        if self._on_text is not None:
            super().end()

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Pass on whole words; the last piece may be empty."""
        if self._on_text is not None and text:
            self._on_text(text)


def is_image(medium: Any) -> bool:
    """Whether a medium is an image: by suffix for a path or address, by type and shape for pixels."""
    if isinstance(medium, (str, Path)):
        text = str(medium)
        return text.startswith("data:image/") or Path(text.split("?")[0]).suffix.lower() in IMAGE_SUFFIXES
    return isinstance(medium, Image.Image) or (isinstance(medium, (np.ndarray, torch.Tensor)) and medium.ndim < 4)


def _branch(cache: Cache | None) -> Cache:
    """A cache to go on from `cache` without changing it; nothing is copied, since layers replace their tensors."""
    assert cache is not None
    branch = copy.copy(cache)
    branch.layers = [copy.copy(layer) for layer in cache.layers]
    return branch


def _wait(device: torch.device) -> None:
    """Until an accelerator has done its work, so that a clock may be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
