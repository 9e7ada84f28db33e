"""From a lecture to an answer, beside peers in one run: video to pixel values, second questions, stock's model.

python benchmarks/inference.py [VIDEO] [--part pixels|session|model]

Each table interleaves its ways round by round and gives their fastest round: a busy machine only ever adds time.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import decord
import numpy as np
import torch
from PIL import Image
from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, LlavaOnevisionVideoProcessor

from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.session import VideoSession
from videopath_hf.modeling.templates import CHATML_TEMPLATE
from videopath_hf.modeling.tiny import random_model, tiny_config, train_tokenizer
from videopath_hf.modeling.video_processing_videopath_llava import VideoPathLlavaVideoProcessor
from videopath_hf.samples import lecture_path
from videopath_hf.video.backends import _split, cpus, unusable
from videopath_hf.video.container import open_video
from videopath_hf.video.frame_index import FrameIndex, _frame_index, frame_index
from videopath_hf.video.shown import decode_at

FRAMES, SIDE = 32, 384
# Qwen2.5-0.5B's decoder. The tower is far smaller than SigLIP so400m, which makes the cold time, and so the aim of the
# session, harder to beat, and the table quick to make.
DECODER = {
    "model_type": "qwen2",
    "vocab_size": 151936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
}
TOWER = {
    "model_type": "siglip_vision_model",
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "image_size": SIDE,
    "patch_size": 14,
    "vision_use_head": False,
}


def fastest(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Fastest seconds of each way."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def print_table(title: str, seconds: dict[str, float]) -> None:
    """One table; ratios are to the first row, which is ours."""
    ours = next(iter(seconds.values()))
    print(f"\n{title}\n\n| way | seconds | ratio to ours |\n| --- | --- | --- |")
    for name, value in seconds.items():
        print(f"| {name} | {value:.3f} | {value / ours:.2f} |")


def reference_pixels(path: Path) -> torch.Tensor:
    """The published way: decord on one thread, Pillow frame by frame."""
    reader = decord.VideoReader(str(path), num_threads=1)
    frames = reader.get_batch(np.linspace(0, len(reader) - 1, FRAMES, dtype=int).tolist()).asnumpy()
    values = []
    for frame in frames:
        pixels = np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        scaled = (pixels.astype(np.float64) * (1 / 255)).astype(np.float32)
        values.append(((scaled - np.float32(0.5)) / np.float32(0.5)).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(values))


def pure_decode(path: Path) -> None:
    """The floor: decode up to the frames needed, with all cores, converting nothing."""
    index = frame_index(path)
    assert index.pts is not None
    numbers = np.linspace(0, len(index.times) - 1, FRAMES, dtype=int).tolist()
    with ThreadPoolExecutor(cpus()) as pool:
        list(pool.map(lambda part: _reach(path, index, part), _split(index, numbers, len(numbers))))


def _reach(path: Path, index: FrameIndex, numbers: list[int]) -> None:
    assert index.pts is not None
    wanted = {int(index.pts[number]) for number in numbers}
    with open_video(path) as source:
        source.stream.codec_context.thread_count = 1
        for shown in decode_at(source, index, numbers[0], wanted):
            if shown.index == numbers[-1]:
                return


def compare_pixels(path: Path) -> None:
    """Video to pixel values."""
    size = {"height": SIDE, "width": SIDE}
    ours, stock = VideoPathLlavaVideoProcessor(size=size), LlavaOnevisionVideoProcessor(size=size)

    def our_pixels() -> torch.Tensor:
        _frame_index.cache_clear()  # as a first call is
        values: torch.Tensor = ours([path], return_tensors="pt")["pixel_values_videos"][0]
        return values

    ways: dict[str, Callable[[], object]] = {"videopath_hf": our_pixels}
    fault = unusable("torchcodec")
    if fault is None:
        ways["transformers' processor, torchcodec"] = lambda: stock(
            [str(path)], do_sample_frames=True, num_frames=FRAMES, return_tensors="pt"
        )
    ways["published way: decord, one thread, Pillow"] = lambda: reference_pixels(path)
    ways["pure decode of the frames needed (floor)"] = lambda: pure_decode(path)
    same = torch.equal(our_pixels(), reference_pixels(path))
    results = fastest(ways, rounds=5)
    print_table(f"Video to pixel values, {FRAMES} frames of {path.name}, {cpus()} cores", results)
    print(f"\nOurs and the published way's are bitwise {'equal' if same else 'DIFFERENT'}.")
    if fault is not None:
        print(f"transformers' processor was not run: {fault}.")


def random_pair(layers: int) -> tuple[VideoPathLlavaForConditionalGeneration, VideoPathLlavaProcessor]:
    """A random model of Qwen2.5-0.5B's width, and with 24 layers of its size."""
    tokenizer = train_tokenizer(["Describe the tissue.", "Which diagnosis fits best?"] * 4)
    grid = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE]]
    config = tiny_config(
        tokenizer,
        text_config={**DECODER, "num_hidden_layers": layers},
        vision_config=TOWER,
        image_grid_pinpoints=grid,
        tie_word_embeddings=True,
    )
    model = random_model(config, tokenizer, seed=0)
    return model, VideoPathLlavaProcessor.from_config(config, tokenizer, CHATML_TEMPLATE)


def compare_questions(path: Path, frames: int = 4) -> None:
    """First and second question through a session."""
    model, processor = random_pair(layers=24)
    processor.video_processor.num_frames = frames
    start = time.perf_counter()
    session = VideoSession(model, processor, [path])
    cold_reply = session.ask("Which diagnosis fits the tissue best?", max_new_tokens=1)
    cold = time.perf_counter() - start
    second = min(_timed(lambda: session.ask("Is there necrosis anywhere in it?", max_new_tokens=1)) for _ in range(3))
    print(
        f"\nFirst token, {frames} frames, {len(session.prompt_ids('?'))} tokens, random model of 0.5B size, float32\n"
    )
    print("| question | seconds | of the cold time |\n| --- | --- | --- |")
    print(f"| first (cold) | {cold:.2f} | 100% |\n| second | {second:.3f} | {100 * second / cold:.1f}% |")
    print(f"\nThe cold one by step: {cold_reply.seconds}")


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare_models(frames: int = 4, new_tokens: int = 8) -> None:
    """Prefill and generation beside stock LlavaOnevision with the same weights."""
    model, processor = random_pair(layers=4)
    fields = model.config.to_dict()
    names = ("vision_config", "text_config", "image_grid_pinpoints", "image_token_index", "video_token_index")
    stock_config = LlavaOnevisionConfig(
        **{name: fields[name] for name in names},
        vision_feature_layer=model.config.vision_feature_layer,
        vision_feature_select_strategy=model.config.vision_feature_select_strategy,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        stock = LlavaOnevisionForConditionalGeneration(stock_config)
    stock.load_state_dict(model.state_dict(), assign=True)
    _restore_buffers(stock, model)
    stock.generation_config = model.generation_config
    pixels = np.random.default_rng(0).integers(0, 256, (frames, SIDE, SIDE, 3), dtype=np.uint8)
    content = [{"type": "video", "video": pixels}, {"type": "text", "text": "Which diagnosis fits best?"}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    theirs = {name: value for name, value in inputs.items() if name != "video_num_frames"}
    options = {"do_sample": False, "max_new_tokens": new_tokens, "min_new_tokens": new_tokens}
    with torch.inference_mode():
        gap = (model(**inputs, logits_to_keep=1).logits - stock.eval()(**theirs, logits_to_keep=1).logits).abs().max()
        prefill = {
            "videopath_hf": lambda: model(**inputs, logits_to_keep=1),
            "stock LlavaOnevision": lambda: stock(**theirs, logits_to_keep=1),
        }
        print_table(
            f"Prefill of {inputs['input_ids'].shape[1]} tokens (4 layers of the 0.5B model's width, float32)",
            fastest(prefill, 4),
        )
        whole = {
            "videopath_hf": lambda: model.generate(**inputs, **options),
            "stock LlavaOnevision": lambda: stock.generate(**theirs, **options),
        }
        print_table(f"Prefill and {new_tokens} new tokens", fastest(whole, 4))
    print(f"\nLargest difference of their logits: {gap:.1e}")


def _restore_buffers(stock: Any, model: Any) -> None:
    """Buffers that no checkpoint holds (rotary frequencies, positions) from the model of the same shape."""
    ours = dict(model.named_buffers())
    for name, _ in list(stock.named_buffers()):
        owner, _, leaf = name.rpartition(".")
        setattr(stock.get_submodule(owner), leaf, ours[name])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", nargs="?", type=Path, default=lecture_path())
    parser.add_argument("--part", choices=("pixels", "session", "model"))
    arguments = parser.parse_args()
    if arguments.part in (None, "pixels"):
        compare_pixels(arguments.video)
    if arguments.part in (None, "session"):
        compare_questions(arguments.video)
    if arguments.part in (None, "model"):
        compare_models()


if __name__ == "__main__":
    main()
