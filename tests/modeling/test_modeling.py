import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.modeling.conftest import assistant, encode, noise_frames, user
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration, VideoPathLlavaModel
from videopath_hf.modeling.packing_videopath_llava import pack_video
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.templates import CHATML_TEMPLATE
from videopath_hf.modeling.tiny import random_model, save_checkpoint, tiny_config

Loaded = tuple[Any, Any]
IMAGE = noise_frames(1, seed=7)[0]


def logits(model: Any, inputs: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(**inputs).logits


def test_the_same_words_about_two_videos_give_two_results(loaded: Loaded) -> None:
    model, processor = loaded
    first, second = (encode(processor, [user(noise_frames(4, seed=seed), "What is it?")]) for seed in (1, 2))
    assert torch.equal(first["input_ids"], second["input_ids"])
    assert (logits(model, first) - logits(model, second)).abs().max() > 1e-4


def test_the_order_of_frames_matters(loaded: Loaded) -> None:
    model, processor = loaded
    frames = noise_frames(4, seed=1)
    forwards, backwards = (encode(processor, [user(video, "What?")]) for video in (frames, frames[::-1].copy()))
    assert (logits(model, forwards) - logits(model, backwards)).abs().max() > 1e-4


def test_a_mixed_batch_equals_its_rows_alone(loaded: Loaded, make_clip: Callable[..., Path]) -> None:
    model, processor = loaded
    rows = [
        [user(make_clip(40), "What is the best diagnosis?")],
        [user(IMAGE, "Stain?")],
        [user("Hello")],
        [user(noise_frames(3), IMAGE, noise_frames(2, seed=5), "Compare all three of these.")],
    ]
    batch = encode(processor, rows)
    together = logits(model, batch)
    generated = model.generate(**batch, max_new_tokens=6, min_new_tokens=6)[:, -6:]
    for index, row in enumerate(rows):
        inputs = encode(processor, row)
        alone = logits(model, inputs)[0]
        assert (together[index, -len(alone) :] - alone).abs().max() < 1e-5
        assert torch.equal(model.generate(**inputs, max_new_tokens=6, min_new_tokens=6)[0, -6:], generated[index])


def test_filling_up_is_never_seen(loaded: Loaded) -> None:
    model, processor = loaded
    inputs = encode(
        processor, [[user(noise_frames(2), "a")], [user(noise_frames(5), IMAGE, IMAGE.swapaxes(0, 1), "b")]]
    )
    expected = logits(model, inputs)
    inputs["pixel_values_videos"][0, 2:] = 7.0
    for image, count in enumerate(inputs["image_num_tiles"].tolist()):
        inputs["pixel_values"][image, count:] = 7.0
    assert torch.equal(logits(model, inputs), expected)


def test_beams_and_several_answers_keep_each_sample_with_its_media(loaded: Loaded) -> None:
    model, processor = loaded
    rows = [[user(noise_frames(2), noise_frames(3, seed=3), "a")], [user("no media here")], [user(IMAGE, "b")]]
    batch = encode(processor, rows)
    kwargs = {"max_new_tokens": 4, "min_new_tokens": 4, "num_beams": 2}
    together = model.generate(**batch, **kwargs, num_return_sequences=2)[:, -4:]
    for index, row in enumerate(rows):
        alone = model.generate(**encode(processor, row), **kwargs, num_return_sequences=2)[:, -4:]
        assert torch.equal(together[2 * index : 2 * index + 2], alone)


def test_placeholders_that_do_not_fit_name_their_sample(loaded: Loaded) -> None:
    model, processor = loaded
    inputs = encode(processor, [[user(IMAGE, "a")], [user(IMAGE, "b")]])
    place = (inputs["input_ids"][1] == processor.image_token_id).nonzero()[0]
    inputs["input_ids"][1, place] = processor.tokenizer.pad_token_id
    with pytest.raises(ValueError, match="sample 1 has"):
        model(**inputs)


def test_generation_stops_at_the_end_of_the_message(loaded: Loaded) -> None:
    model, processor = copy.deepcopy(loaded[0]), loaded[1]
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    head = model.lm_head.weight.data
    inputs = encode(processor, [user("Hi")])
    with torch.no_grad():
        state = model.model(**inputs).last_hidden_state[0, -1]
        head[end] = 1e3 * state  # this word is now the likeliest
    answer = model.generate(**inputs)[0, inputs["input_ids"].shape[1] :]
    assert answer.tolist() == [end]
    assert model.generation_config.do_sample is False


def test_training_reaches_every_part(loaded: Loaded) -> None:
    model, processor = copy.deepcopy(loaded[0]), loaded[1]
    inputs = processor.apply_chat_template(
        [[user(noise_frames(3), IMAGE, "What?"), assistant("Colonic crypts.")]],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        return_assistant_tokens_mask=True,
    )
    labels = inputs["input_ids"].masked_fill(inputs.pop("assistant_masks") == 0, -100)
    model(**inputs, labels=labels).loss.backward()
    without = sorted(name for name, weight in model.named_parameters() if weight.grad is None)
    assert without == ["model.vision_tower.post_layernorm.bias", "model.vision_tower.post_layernorm.weight"]
    assert model.model.image_newline.grad.abs().sum() > 0


def test_the_base_model_alone_sees_the_pixels(loaded: Loaded) -> None:
    model, processor = loaded
    states = []
    for seed in (1, 2):
        inputs = encode(processor, [user(noise_frames(4, seed=seed), "What?")])
        states.append(model.base_model(**inputs).last_hidden_state)
    assert not torch.allclose(states[0], states[1])


def test_embeddings_in_place_of_ids_give_the_same(loaded: Loaded) -> None:
    model, processor = loaded
    inputs = encode(processor, [user(noise_frames(2), "What?")])
    expected = logits(model, inputs)
    embeddings = model.get_input_embeddings()(inputs.pop("input_ids"))
    assert torch.allclose(logits(model, {**inputs, "inputs_embeds": embeddings}), expected, atol=1e-5)


def test_a_saved_model_reloads_whole_even_after_a_conversion_on_load(loaded: Loaded, tmp_path: Path) -> None:
    model, processor = loaded
    renamed = {name.replace("model.", "other.", 1): value.clone() for name, value in model.state_dict().items()}
    from safetensors.torch import save_file

    model.config.save_pretrained(tmp_path / "old")
    save_file(renamed, tmp_path / "old" / "model.safetensors", metadata={"format": "pt"})
    converted = VideoPathLlavaForConditionalGeneration.from_pretrained(
        tmp_path / "old", key_mapping={"^other\\.": "model."}
    )
    converted.save_pretrained(tmp_path / "new")
    again, report = VideoPathLlavaForConditionalGeneration.from_pretrained(tmp_path / "new", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    inputs = encode(processor, [user(IMAGE, "What?")])
    assert torch.equal(logits(again, inputs), logits(model, inputs))


def test_the_base_model_opens_from_a_whole_checkpoint(loaded: Loaded, checkpoint: Path) -> None:
    base, report = VideoPathLlavaModel.from_pretrained(checkpoint, output_loading_info=True)
    assert not report["missing_keys"]
    assert torch.equal(base.image_newline, loaded[0].model.image_newline)


def test_pipelines_answer_about_an_mp4_path(checkpoint: Path, make_clip: Callable[..., Path]) -> None:
    from transformers import pipeline

    for task in ("image-text-to-text", "any-to-any"):
        answer = pipeline(task, model=str(checkpoint), device="cpu")
        result = answer(text=[user(make_clip(5), "What is it?")], max_new_tokens=3)
        assert result[0]["generated_text"][-1]["role"] == "assistant"


TOWERS = {
    "dinov2": {"model_type": "dinov2", "hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4},
    "clip": {
        "model_type": "clip_vision_model",
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
    },
}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}


@pytest.mark.parametrize("tower", TOWERS)
def test_other_towers_and_decoders_work_and_reload(tower: str, loaded: Loaded, tmp_path: Path) -> None:
    """A middle layer of a tower with a class token, under a Llama with tied embeddings."""
    tokenizer = loaded[1].tokenizer
    config = tiny_config(
        tokenizer,
        vision_config={**TOWERS[tower], "image_size": 98, "patch_size": 14},
        text_config={**LLAMA, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id},
        vision_feature_layer=2,
        vision_feature_select_strategy="default",
    )
    model = random_model(config, tokenizer, seed=0)
    processor = VideoPathLlavaProcessor.from_config(config, tokenizer, CHATML_TEMPLATE)
    save_checkpoint(model, processor, tmp_path)
    again, processor = load_model(tmp_path)
    inputs = encode(processor, [user(noise_frames(3), IMAGE, "What?")])
    assert torch.equal(logits(again, inputs), logits(model, inputs))
    frames = inputs["pixel_values_videos"][0]
    states = again.model.vision_tower(frames, output_hidden_states=True).hidden_states
    pooled = again.model.get_video_features(inputs["pixel_values_videos"]).pooler_output[0]
    expected = pack_video(
        again.model.multi_modal_projector(states[2][:, 1:]), again.model.image_newline, config.layout
    )
    assert torch.allclose(pooled, expected, atol=1e-6)


def test_the_repetition_penalty_does_not_see_the_prompt(loaded: Loaded) -> None:
    model, processor = loaded
    inputs = encode(processor, [user("Colonic crypts with goblet cells.")])
    common = {"max_new_tokens": 8, "min_new_tokens": 8}
    penalised = model.generate(**inputs, **common, repetition_penalty=1000.0)[0, inputs["input_ids"].shape[1] :]
    plain = model.generate(**inputs, **common)[0, inputs["input_ids"].shape[1] :]
    assert penalised[0] == plain[0]  # nothing was generated before the first token
    assert len(set(penalised.tolist())) == 8
    embeddings = model.get_input_embeddings()(inputs["input_ids"])
    from_embeddings = model.generate(
        inputs_embeds=embeddings, attention_mask=inputs["attention_mask"], **common, repetition_penalty=1000.0
    )
    assert torch.equal(from_embeddings[0], penalised)


def test_half_precision_answers_and_keeps_its_type(checkpoint: Path) -> None:
    model, processor = load_model(checkpoint, dtype="bfloat16")
    inputs = encode(processor, [user(noise_frames(3), IMAGE, "What?")])
    assert logits(model, inputs).dtype == torch.bfloat16
    assert model.generate(**inputs, max_new_tokens=2, min_new_tokens=2).shape[1] == inputs["input_ids"].shape[1] + 2
