"""One question to one model, and everything about how the answer came to be."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from videopath_hf.errors import UserError
from videopath_hf.instructions.answers import parse_answer
from videopath_hf.records import Answer
from videopath_hf.video.sampling import sample_video

if TYPE_CHECKING:
    from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
    from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class Answerer:
    """Asks one model.

    Args:
        model (`VideoPathLlavaForConditionalGeneration`): the model, where and in the precision it is to run.
        processor (`VideoPathLlavaProcessor`): its processor; its video processor says which frames are taken.
        name (`str`): what answers call the model.
    """

    def __init__(
        self, model: "VideoPathLlavaForConditionalGeneration", processor: "VideoPathLlavaProcessor", name: str
    ) -> None:
        self.model = model
        self.processor = processor
        self.name = name

    def ask(
        self,
        media: Sequence[Path],
        question: str,
        *,
        id: str = "",
        zero_frames: bool = False,
        max_new_tokens: int = 1024,
        reference: str | None = None,
        reference_diagnosis: str | None = None,
    ) -> Answer:
        """Ask one question about media, greedily decoded.

        Args:
            media (`Sequence[Path]`): videos and images (told apart by suffix), shown before the question, in order.
            question (`str`): the question.
            id (`str`, *optional*): id of the record, for the answer.
            zero_frames (`bool`, defaults to `False`): show as many black pictures of the same size in their place:
                what the model answers from words alone.
            max_new_tokens (`int`, defaults to 1024): longest answer; the paper's setting.
            reference (`str`, *optional*): the right answer, kept beside the model's.
            reference_diagnosis (`str`, *optional*): the right diagnosis.

        Returns:
            `Answer`: with the seconds in the video of every frame shown, tokens generated and seconds by step.

        Raises:
            UserError: a medium is missing or cannot be decoded.
        """
        start = time.perf_counter()
        blocks, times = self._load(media, zero_frames)
        loaded = time.perf_counter()
        messages = [{"role": "user", "content": [*blocks, {"type": "text", "text": question}]}]
        inputs = self.processor.apply_chat_template(
            messages,
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"do_sample_frames": False},
        ).to(self.model.device, dtype=self.model.dtype)
        prepared = time.perf_counter()
        with torch.inference_mode():
            output = self.model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
        tokens = output[0, inputs["input_ids"].shape[1] :]
        text = self.processor.decode(tokens, skip_special_tokens=True).strip()
        done = time.perf_counter()
        steps = {"decode": loaded - start, "preprocess": prepared - loaded, "generate": done - prepared}
        parsed = parse_answer(text)
        return Answer(
            id=id,
            question=question,
            answer=text,
            description=parsed.description,
            diagnosis=parsed.diagnosis,
            reference=reference,
            reference_diagnosis=reference_diagnosis,
            media=[str(path) for path in media],
            frame_times=times,
            frames_zeroed=zero_frames,
            model=self.name,
            revision=getattr(self.model.config, "_commit_hash", None),
            tokens=len(tokens),
            seconds={name: round(seconds, 4) for name, seconds in steps.items()},
        )

    def _load(self, media: Sequence[Path], zero_frames: bool) -> tuple[list[dict[str, Any]], list[float]]:
        """Content blocks with pixels, and the times of all video frames among them."""
        blocks: list[dict[str, Any]] = []
        times: list[float] = []
        for path in media:
            if path.suffix.lower() in IMAGE_SUFFIXES:
                pixels = _read_image(path)
                blocks.append({"type": "image", "image": _black(pixels) if zero_frames else pixels})
                continue
            video = self.processor.video_processor
            sample = sample_video(path, video.num_frames, video.sampling, video.decoder, video.fps or 1.0)
            blocks.append({"type": "video", "video": _black(sample.frames) if zero_frames else sample.frames})
            times += [round(float(seconds), 3) for seconds in sample.times]
        return blocks, times


def _read_image(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give an image or video file") from None
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{path} cannot be read as an image: {' '.join(str(error).split())}") from None


def _black(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.zeros_like(pixels)
