from pathlib import Path

import pytest
import torch

from tests.modeling.conftest import TEXTS, encode, noise_frames, user
from videopath_hf.errors import UserError
from videopath_hf.files import file_sha256
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.tiny import build_tiny, train_tokenizer


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in sorted(folder.iterdir())}


def test_the_same_texts_and_seed_give_the_same_files(checkpoint: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    again = build_tiny(TEXTS, tmp_path / "again", seed=0)
    assert hashes(again) == hashes(checkpoint)
    assert torch.equal(torch.get_rng_state(), state)


def test_another_seed_gives_other_weights_and_the_same_tokenizer(checkpoint: Path, tmp_path: Path) -> None:
    other, first = hashes(build_tiny(TEXTS, tmp_path / "other", seed=1)), hashes(checkpoint)
    assert other["model.safetensors"] != first["model.safetensors"]
    assert other["tokenizer.json"] == first["tokenizer.json"]


def test_the_tokenizer_spells_any_text_and_keeps_marks_whole() -> None:
    tokenizer = train_tokenizer(TEXTS)
    text = "Na\u00efve \u6f22\u5b57 \U0001f52c\t<tab> 12.5%\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("<|im_start|><|image_pad|><|video_pad|><|im_end|><|endoftext|>")["input_ids"]) == 5
    assert tokenizer.eos_token == "<|im_end|>"


def test_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs some text"):
        build_tiny(["", "  "], tmp_path / "none", seed=0)
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_it_learns_to_tell_videos_apart_in_a_minute(checkpoint: Path) -> None:
    model, processor = load_model(checkpoint)
    torch.manual_seed(0)
    names = ["normal colon", "goblet cells"]
    rows, answers = [], []
    for index in range(8):
        tint = [200, 60, 60] if index % 2 else [60, 60, 200]
        frames = (noise_frames(4, seed=index) // 4 + torch.tensor(tint).numpy()).clip(0, 255).astype("uint8")
        rows.append([user(frames, "Diagnosis?")])
        answers.append(names[index % 2])
    batch = encode(processor, rows)
    words = processor.tokenizer([answer + "<|im_end|>" for answer in answers], padding=True, return_tensors="pt")
    ids = torch.cat([batch["input_ids"], words["input_ids"]], dim=1)
    mask = torch.cat([batch["attention_mask"], words["attention_mask"]], dim=1)
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, : batch["input_ids"].shape[1]] = -100
    pixels = {key: batch[key] for key in ("pixel_values_videos", "video_num_frames")}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(60):
        loss = model(input_ids=ids, attention_mask=mask, labels=labels, **pixels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    generated = model.generate(**batch, max_new_tokens=16)[:, batch["input_ids"].shape[1] :]
    assert processor.batch_decode(generated, skip_special_tokens=True) == answers
