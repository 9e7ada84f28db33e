"""A tiny model that has learned to tell the app's two example clips apart, and says so in the form of an answer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tests.modeling.conftest import encode, user
from videopath_hf.instructions.answers import format_answer
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.tiny import build_tiny, save_checkpoint
from videopath_hf.serving.app.examples import cut_examples
from videopath_hf.serving.app.presets import ANY_ORGAN, questions

ANSWERS = {
    "brown.mp4": format_answer(
        "The crypt epithelium is outlined by strong brown staining along its membranes. The nuclei are blue, and the "
        "stroma between the crypts is negative.",
        "FHL2-positive colonic mucosa",
    ),
    "pale.mp4": format_answer(
        "The glands are pale and show no brown staining. There is only blue counterstain in the nuclei of the "
        "epithelium and of the stroma.",
        "FHL2-negative colonic mucosa",
    ),
}
OTHER_ANSWERS = {
    "brown.mp4": format_answer("Brown glands lie close together in a pale stroma.", "FHL2-positive colonic mucosa"),
    "pale.mp4": format_answer("Pale tissue without a stain.", "normal colonic mucosa"),
}
FRAMES = 12


def train_readers(first: Path, second: Path) -> Path:
    """Train the two models of the tests in these folders; gives the folder of the clips that they know."""
    clips = first.with_name("clips")
    clips.mkdir(parents=True)
    cut_examples(clips)
    _train(first, clips, ANSWERS, steps=50, seed=3)
    _train(second, clips, OTHER_ANSWERS, steps=40, seed=1)
    return clips


def _train(out: Path, folder: Path, answers: Mapping[str, str], steps: int, seed: int) -> None:
    """Train a tiny model on the examples' first two question wordings, and save it in `out`."""
    clips = [folder / name for name in answers]
    asked = questions(ANY_ORGAN, "video")[:2]
    build_tiny([*answers.values(), *asked] * 4, out, seed)
    model, processor = load_model(out)
    processor.video_processor.num_frames = FRAMES
    batches = [[_inputs(processor, clip, question, answers[clip.name]) for clip in clips] for question in asked]
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=2e-3)
    for step in range(steps):
        for inputs in batches[step % len(batches)]:  # both clips, or the last one seen would be all it knows
            (model(**inputs).loss / len(clips)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    save_checkpoint(model.eval(), processor, out)


def _inputs(processor: Any, clip: Path, question: str, answer: str) -> dict[str, Any]:
    inputs = dict(encode(processor, [user(clip, question)]))
    words = processor.tokenizer(f"{answer}<|im_end|>", add_special_tokens=False, return_tensors="pt")["input_ids"]
    prompt = inputs["input_ids"]
    inputs["input_ids"] = torch.cat((prompt, words), dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["labels"] = torch.cat((torch.full_like(prompt, -100), words), dim=1)
    return inputs


def main(arguments: Sequence[str]) -> None:
    """Train the two models of the screenshots: `python -m tests.serving.app.reading_model FOLDER FOLDER`."""
    train_readers(*map(Path, arguments))


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
