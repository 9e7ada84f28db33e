"""What in a video or image an answer rests on: parts are greyed out, and the change of its probability is measured.

This is occlusion sensitivity (Zeiler and Fergus, arXiv 1311.2901). The frames of a video show much the same, so that
hardly one is ever missed; a frame is therefore measured twice, greyed out alone and shown alone. The mean of both, of
the first and the last contribution to the whole, stands for its Shapley value. It tells what this model's answer
depends on, not whether the answer is right.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, DynamicCache

from videopath_hf.modeling.packing_videopath_llava import num_video_tokens
from videopath_hf.modeling.session import VideoSession

METHOD = "occlusion"

_IMAGES_AT_ONCE = 4  # whole pictures, of which each may be large

Drops = list[float | None]
"""Falls of a log-probability in nats: exp of one is how many times less likely something becomes, below 0 more likely.
None stands for what was not measured."""


@dataclass(frozen=True)
class Evidence:
    """How much the probability of an answer depends on the parts of what was shown.

    Args:
        log_prob (`float`): natural logarithm of the target's probability, with everything shown.
        blind (`float`): the same with all of it grey: what the model would have said from words alone.
        without (`Drops`): by frame, with the frame grey, against all shown; empty for an image.
        alone (`Drops`): by frame, with all grey, against the frame shown alone; empty for an image.
        regions (`dict[int, list[Drops]]`): rows of a grid. By frame number, with a region of it grey, against the
            frame shown alone; of an image, under 0, against all shown.
        measured (`int`): parts measured so far.
        total (`int`): parts that are to be measured.
        seconds (`float`): spent so far.
    """

    log_prob: float
    blind: float
    without: Drops = field(default_factory=list)
    alone: Drops = field(default_factory=list)
    regions: dict[int, list[Drops]] = field(default_factory=dict)
    measured: int = 0
    total: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether all that was to be measured was."""
        return self.measured == self.total

    @property
    def frames(self) -> Drops:
        """By frame, the mean of `without` and `alone`."""
        pairs = zip(self.without, self.alone, strict=True)
        return [None if a is None or b is None else (a + b) / 2 for a, b in pairs]

    @property
    def strongest(self) -> list[int]:
        """Numbers of the measured frames, the one that the answer depends on most first."""
        known = [(drop, -number) for number, drop in enumerate(self.frames) if drop is not None]
        return [-number for _, number in sorted(known, reverse=True)]


@torch.inference_mode()
def occlude(
    session: VideoSession,
    question: str,
    tokens: Sequence[int],
    target: slice | None = None,
    *,
    top: int = 3,
    grid: int = 4,
    max_seconds: float | None = None,
    batch_tokens: int = 8192,
) -> Iterator[Evidence]:
    """Measure what an answer rests on, part by part.

    Frames come in an order that covers the clip ever more densely, so that what is measured when time runs out says
    something about all of it. What stands before the first changed frame is read from a cache, and several parts are
    measured at once.

    Args:
        session ([`VideoSession`]): about one video or image, made with `keep_shown=True`.
        question (`str`): what was asked.
        tokens (`Sequence[int]`): ids of the answer.
        target (`slice`, *optional*): of `tokens`, whose probability is measured; all of them if omitted.
        top (`int`, defaults to 3): how many of the strongest frames are looked at region by region.
        grid (`int`, defaults to 4): regions along each side of a frame; an image gets twice as many.
        max_seconds (`float`, *optional*): no part is begun after that.
        batch_tokens (`int`, defaults to 8192): most tokens that pass through the language model at once, at least one
            sequence.

    Yields:
        `Evidence`: after each batch, all that is known by then.

    Raises:
        ValueError: the session keeps no or more than one medium, or the target has no token.
    """
    if len(session.shown) != 1:
        raise ValueError(f"evidence is measured of one medium that the session kept, not of {len(session.shown)}")
    if not len(range(len(tokens))[target or slice(None)]):
        raise ValueError("the target holds no token of the answer")
    began = time.monotonic()
    shown = session.shown[0]
    scorer = _Scorer(session, question, list(tokens), target or slice(None), batch_tokens)
    steps = _of_video(scorer, shown, top, grid) if scorer.is_video else _of_image(scorer, np.asarray(shown), 2 * grid)
    for found in steps:
        yield replace(found, seconds=time.monotonic() - began)
        if max_seconds is not None and time.monotonic() - began >= max_seconds:
            return


def _of_video(scorer: "_Scorer", frames: np.ndarray[Any, Any], top: int, grid: int) -> Iterator[Evidence]:
    top, count = min(top, len(frames)), len(frames)
    seen = scorer.tokens([frames])[0]
    grey = scorer.tokens([np.broadcast_to(scorer.grey, frames.shape)])[0]
    whole, blind = scorer.scene(seen), scorer.scene(grey)
    empty: Drops = [None] * count
    found = Evidence(whole.log_prob, blind.log_prob, empty, empty, total=2 * count + top * grid * grid)
    yield found
    spans = [slice(number * scorer.per_frame, (number + 1) * scorer.per_frame) for number in range(count)]
    for numbers in _covering(count, scorer.room(whole, 0)):
        without, alone = list(found.without), list(found.alone)
        starts = [spans[number].start for number in numbers]
        missed = scorer.log_probs(whole, starts, torch.stack([grey[spans[number]] for number in numbers]))
        shown = scorer.log_probs(blind, starts, torch.stack([seen[spans[number]] for number in numbers]))
        for place, number in enumerate(numbers):
            without[number] = whole.log_prob - missed[place]
            alone[number] = shown[place] - blind.log_prob
        found = replace(found, without=without, alone=alone, measured=found.measured + 2 * len(numbers))
        yield found
    for number in found.strongest[:top]:
        start = spans[number].start
        (base,) = scorer.log_probs(blind, [start], seen[spans[number]][None])
        for batch in _chunks(_cells(frames.shape[1:3], grid), scorer.room(blind, start)):
            masked = scorer.tokens([_greyed(frames[number], box, scorer.grey)[None] for _, box in batch])
            replaced = torch.stack([tokens[: scorer.per_frame] for tokens in masked])
            kept = scorer.log_probs(blind, [start] * len(batch), replaced)
            found = _with_regions(found, number, grid, batch, [base - log_prob for log_prob in kept])
            yield found


def _of_image(scorer: "_Scorer", image: np.ndarray[Any, Any], grid: int) -> Iterator[Evidence]:
    whole = scorer.scene(scorer.tokens([image])[0])
    blind = scorer.scene(scorer.tokens([np.broadcast_to(scorer.grey, image.shape)])[0])
    found = Evidence(whole.log_prob, blind.log_prob, total=grid * grid)
    yield found
    for batch in _chunks(_cells(image.shape[:2], grid), min(_IMAGES_AT_ONCE, scorer.room(whole, 0))):
        masked = torch.stack(scorer.tokens([_greyed(image, box, scorer.grey) for _, box in batch]))
        kept = scorer.log_probs(whole, [0] * len(batch), masked)
        found = _with_regions(found, 0, grid, batch, [whole.log_prob - log_prob for log_prob in kept])
        yield found


@dataclass(frozen=True)
class _Scene:
    """A prompt and its answer with certain visual tokens: embeddings [T, dim], what was read of it, and how probable
    the target is."""

    embeds: torch.Tensor
    cache: Cache
    log_prob: float


class _Scorer:
    """How probable the target is with these or those visual tokens."""

    def __init__(
        self, session: VideoSession, question: str, tokens: list[int], target: slice, batch_tokens: int
    ) -> None:
        self.model, self.processor = session.model, session.processor
        shown = session.shown[0]
        self.is_video = isinstance(shown, np.ndarray) and shown.ndim == 4
        layout = self.processor.layout()
        self.per_frame = num_video_tokens(2, layout) - num_video_tokens(1, layout)
        self.grey = np.array([round(255 * mean) for mean in self.processor.video_processor.image_mean], np.uint8)
        prompt = session.prompt_ids(question)
        self._ids = torch.tensor(prompt + tokens[:-1], device=self.model.device)
        token = self.processor.video_token_id if self.is_video else self.processor.image_token_id
        self._placeholders = self._ids == token
        self._first = int(self._placeholders.nonzero()[0])
        places = range(len(prompt) - 1, len(prompt) - 1 + len(tokens))[target]
        self._places = torch.tensor(list(places), device=self.model.device)
        self._wanted = torch.tensor(tokens[target], device=self.model.device)
        self._batch_tokens = batch_tokens

    def tokens(self, media: Sequence[np.ndarray[Any, Any]]) -> list[torch.Tensor]:
        """Visual tokens [tokens, dim] of each video, uint8 [F, S, S, 3], or image, uint8 [H, W, 3]."""
        device, dtype = self.model.device, self.model.dtype
        if self.is_video:
            made = self.processor.video_processor(list(media), do_sample_frames=False, return_tensors="pt")
            pixels = made["pixel_values_videos"].to(device, dtype)
            seen = self.model.model.get_video_features(pixels, made["video_num_frames"])
        else:
            made, _, _ = self.processor.process_media(list(media), [], [])
            pixels = made["pixel_values"].to(device, dtype)
            seen = self.model.model.get_image_features(pixels, made["image_sizes"], made["image_num_tiles"])
        return list(seen.pooler_output)

    def scene(self, visual: torch.Tensor) -> _Scene:
        """Read everything with these visual tokens."""
        embeds = self.model.get_input_embeddings()(self._ids)
        embeds[self._placeholders] = visual.to(embeds)
        cache = DynamicCache()  # of plain layers, which can be read up to any place
        (log_prob,) = self._read(embeds[None], 0, cache)
        return _Scene(embeds, cache, log_prob)

    def room(self, scene: _Scene, start: int) -> int:
        """How many sequences may be read at once from a visual token on."""
        return max(1, self._batch_tokens // (len(scene.embeds) - self._first - start))

    def log_probs(self, scene: _Scene, starts: Sequence[int], visual: torch.Tensor) -> list[float]:
        """The target's, for each of N scenes like `scene` but for visual tokens [N, n, dim] from N places on."""
        start = self._first + min(starts)
        embeds = scene.embeds[start:].repeat(len(starts), 1, 1)
        for row, place in enumerate(starts):
            changed = place - min(starts)
            embeds[row, changed : changed + visual.shape[1]] = visual[row].to(embeds)
        cache = DynamicCache()
        for index, layer in enumerate(scene.cache.layers):
            kept = [values[:, :, :start].expand(len(starts), -1, -1, -1) for values in (layer.keys, layer.values)]
            cache.update(*kept, index)
        return self._read(embeds, start, cache)

    def _read(self, embeds: torch.Tensor, start: int, cache: Cache) -> list[float]:
        output = self.model.model.language_model(inputs_embeds=embeds, cache=cache, use_cache=True)
        hidden = output.last_hidden_state[:, self._places - start]
        scores = self.model.lm_head(hidden).float().log_softmax(-1)
        return [float(row) for row in scores.gather(-1, self._wanted.expand(len(embeds), -1)[..., None]).sum((1, 2))]


def _covering(frames: int, size: int) -> list[list[int]]:
    """Frame numbers in batches of neighbours, the batches in an order that covers the clip ever more densely."""
    batches = list(_chunks(range(frames), size))
    bits = max(1, (len(batches) - 1).bit_length())
    return [batches[at] for at in sorted(range(len(batches)), key=lambda at: f"{at:0{bits}b}"[::-1])]


def _chunks(items: Sequence[Any], size: int) -> Iterator[Any]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _cells(size: Sequence[int], grid: int) -> list[tuple[tuple[int, int], tuple[slice, slice]]]:
    """(row, column) and pixels of every cell of a grid over a picture of (height, width)."""
    edges = [np.linspace(0, side, grid + 1).round().astype(int).tolist() for side in size]
    spans = [[slice(*pair) for pair in pairwise(line)] for line in edges]
    return [((row, column), (spans[0][row], spans[1][column])) for row in range(grid) for column in range(grid)]


def _greyed(
    picture: np.ndarray[Any, Any], box: tuple[slice, slice], grey: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    masked = picture.copy()
    masked[box] = grey
    return masked


def _with_regions(found: Evidence, frame: int, grid: int, batch: Sequence[Any], drops: Sequence[float]) -> Evidence:
    rows = [list(row) for row in found.regions.get(frame, [[None] * grid] * grid)]
    for ((row, column), _), drop in zip(batch, drops, strict=True):
        rows[row][column] = drop
    return replace(found, regions={**found.regions, frame: rows}, measured=found.measured + len(batch))
