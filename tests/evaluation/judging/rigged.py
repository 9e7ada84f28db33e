"""A language model of a few weights that is really loaded and decoded, and says one thing whatever it is asked."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }} <|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}" + TEMPLATE


def rigged_model(folder: Path, says: list[str], template: str | None = TEMPLATE, ends: bool = True) -> Path:
    """Write a checkpoint whose greedy answer is `says`, piece by piece: each token has one token that follows it.

    The embedding is the identity, attention and MLP add nothing, and the head holds what follows what.
    """
    words = ["<unk>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", *says]
    number = {word: index for index, word in enumerate(words)}
    backend = Tokenizer(WordLevel(number, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="<|end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": words[1:5]})
    tokenizer.chat_template = template
    size = len(words) + len(words) % 2
    shape = {"hidden_size": size, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1}
    config = LlamaConfig(
        vocab_size=len(words),
        intermediate_size=2,
        tie_word_embeddings=False,
        **shape,
        eos_token_id=1,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    follows = torch.zeros(len(words), size)
    for word, after in zip(["<|assistant|>", *says], [*says, "<|end|>" if ends else says[-1]], strict=True):
        follows[number[after], number[word]] = 10
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(len(words), size))
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        model.lm_head.weight.copy_(follows)
    model.generation_config.repetition_penalty = 1000.0  # which a judge must not heed
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
