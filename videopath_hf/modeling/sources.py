"""A checkpoint in any of the three layouts, opened for reading: its settings as ours, its weights still on disk."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from videopath_hf.files import read_json
from videopath_hf.modeling.adapters import ReferenceAdapter
from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.layouts import Layout, our_name, recognise, unused
from videopath_hf.modeling.loading import quiet_transformers
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.reference_settings import reference_config, tower_config
from videopath_hf.modeling.shards import Shard, Spec, weight_files
from videopath_hf.modeling.stock_settings import config_from_stock
from videopath_hf.modeling.templates import CHATML_TEMPLATE

_HEAD, _EMBEDDINGS, _NEWLINE = "lm_head.weight", "model.language_model.embed_tokens.weight", "model.image_newline"
_PLACEHOLDERS = ("<|image_pad|>", "<|video_pad|>")


@dataclass
class Source:
    """A checkpoint to be converted or loaded.

    Args:
        folder (`Path`): where it is.
        layout (`str`): `videopath`, `llava_onevision` or `llava_next`.
        settings (`dict`): its config.json as it is.
        config ([`VideoPathLlavaConfig`]): the same in our terms.
        shards (`list[Shard]`): its files of weights.
        ours (`dict[str, str]`): its names of the weights the model needs, and ours.
        dropped (`dict[str, str]`): its names of the others, and why they are left out.
        added (`dict[str, str]`): our names of weights it lacks and does not need, and why.
        processor ([`VideoPathLlavaProcessor`]): ours, with its tokenizer.
    """

    folder: Path
    layout: Layout
    settings: dict[str, Any]
    config: VideoPathLlavaConfig
    shards: list[Shard]
    ours: dict[str, str]
    dropped: dict[str, str]
    added: dict[str, str]
    processor: VideoPathLlavaProcessor

    @cached_property
    def specs(self) -> dict[str, Spec]:
        """Shapes and types of the weights it holds, by our names."""
        return {
            self.ours[name]: spec for shard in self.shards for name, spec in shard.specs.items() if name in self.ours
        }

    def unexplained(self, names: Iterable[str]) -> set[str]:
        """Of weights that a model does not know, those there is no reason for."""
        return {name for name in names if name not in self.dropped and unused(name) is None}

    @cached_property
    def generation(self) -> GenerationConfig:
        """How it answers. Ids beyond the tokenizer are never produced: the published inference cuts those rows off."""
        file = self.folder / "generation_config.json"
        settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        settings.pop("transformers_version", None)
        tokenizer = self.processor.tokenizer
        settings.setdefault("eos_token_id", tokenizer.convert_tokens_to_ids("<|im_end|>"))
        settings.setdefault("pad_token_id", tokenizer.pad_token_id)
        if self.layout != "videopath":
            settings["suppress_tokens"] = list(range(len(tokenizer), self.config.text_config.vocab_size)) or None
        return GenerationConfig(**settings)


def open_source(
    folder: Path,
    adapter: ReferenceAdapter | None = None,
    vision_config: Mapping[str, Any] | None = None,
) -> Source:
    """Open a checkpoint and make sure that its weights are exactly those of a model of its settings.

    Args:
        folder (`Path`): config.json, weights and tokenizer.
        adapter ([`ReferenceAdapter`], *optional*): to be laid over it; of a checkpoint of the published
            implementation, the settings beside the adapter then count.
        vision_config (`Mapping`, *optional*): configuration of the vision tower, where the checkpoint has none.

    Raises:
        CheckpointError: for another kind of checkpoint, settings without a counterpart, weights that do not fit.
    """
    settings = read_settings(folder)
    layout = recognise(settings, folder)
    shards = [Shard.of(file) for file in weight_files(folder)]
    names = [name for shard in shards for name in shard.specs]
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise CheckpointError(f"{folder} holds {twice[0]} in two of its files of weights")
    if layout == "llava_next":
        beside = None if adapter is None or adapter.folder.is_file() else adapter.folder / "config.json"
        settings = read_settings(beside.parent) if beside is not None and beside.is_file() else settings
        config = reference_config(folder, settings, tower_config(folder, settings, vision_config), set(names))
    elif layout == "llava_onevision":
        config = config_from_stock(folder, settings)
    else:
        config = _own_config(folder)
    dropped = {name: why for name in names if (why := unused(name))}
    ours = {name: our_name(name, layout, folder) for name in names if name not in dropped}
    processor = _processor(folder, layout, config)
    source = Source(folder, layout, settings, config, shards, ours, dropped, {}, processor)
    _drop_tied_head(source)
    if config.patch_merge_type == "flat" and _NEWLINE not in ours.values():
        source.added[_NEWLINE] = "zeros; patch_merge_type is flat, so it is never used"
    if adapter is not None:
        adapter.check_targets(source.specs)
    _check_weights(source)
    return source


def read_settings(folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint; raises `CheckpointError` unless there is one."""
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} holds no config.json, so it is not a checkpoint")
    settings = read_json(folder / "config.json")
    if not isinstance(settings, dict):
        raise CheckpointError(f"{folder / 'config.json'} is not a configuration")
    return settings


def _own_config(folder: Path) -> VideoPathLlavaConfig:
    try:
        return VideoPathLlavaConfig.from_pretrained(folder)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise CheckpointError(f"{folder}/config.json: {' '.join(str(error).split())}") from None


def _drop_tied_head(source: Source) -> None:
    """Leave out a head that is tied to the embeddings, provided that it is the same."""
    theirs = {ours: name for name, ours in source.ours.items()}
    if not source.config.tie_word_embeddings or _HEAD not in theirs or _EMBEDDINGS not in theirs:
        return
    if not torch.equal(_read(source, theirs[_HEAD]), _read(source, theirs[_EMBEDDINGS])):
        raise CheckpointError(
            f"{source.folder}: config.json ties the head to the embeddings (tie_word_embeddings), but "
            f"{theirs[_HEAD]} and {theirs[_EMBEDDINGS]} differ"
        )
    del source.ours[theirs[_HEAD]]
    source.dropped[theirs[_HEAD]] = "tied to the embeddings, and the same"


def _read(source: Source, name: str) -> torch.Tensor:
    shard = next(shard for shard in source.shards if name in shard.specs)
    with shard.open() as read:
        return read(name)


def _check_weights(source: Source) -> None:
    """Raise `CheckpointError` unless the weights are exactly those of a model of its configuration."""
    wanted = model_shapes(source.config)
    found = {name: spec.shape for name, spec in source.specs.items()}
    theirs = {ours: name for name, ours in source.ours.items()}
    for fault, names in (
        ("lacks", sorted(set(wanted) - set(found) - set(source.added))),
        ("holds, but the model does not know,", sorted(set(found) - set(wanted))),
        ("holds in another shape", sorted(name for name in set(found) & set(wanted) if found[name] != wanted[name])),
    ):
        if names:
            raise CheckpointError(
                f"{source.folder} {fault} {len(names)} weights, e.g. {theirs.get(names[0], names[0])}"
            )


def model_shapes(config: VideoPathLlavaConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of a model, made without any memory for them."""
    with torch.device("meta"):
        model = VideoPathLlavaForConditionalGeneration(config)
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    if config.tie_word_embeddings:
        shapes.pop(_HEAD)
    return shapes


def _processor(folder: Path, layout: Layout, config: VideoPathLlavaConfig) -> VideoPathLlavaProcessor:
    """The processor that goes with it; sets the ids of the placeholders in `config` to those of the tokenizer."""
    try:
        with quiet_transformers():  # it warns of their model types, which it need not know
            if layout == "videopath":
                return VideoPathLlavaProcessor.from_pretrained(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"the tokenizer of {folder} cannot be opened: {' '.join(str(error).split())}") from None
    image, video = _placeholders(tokenizer, layout, config)
    rows, tokens = config.text_config.vocab_size, len(tokenizer)
    if tokens > rows:
        raise CheckpointError(f"{folder} has {rows} rows of embeddings, too few for the {tokens} tokens needed")
    tokenizer.padding_side = "left"
    template = CHATML_TEMPLATE.replace(_PLACEHOLDERS[0], image).replace(_PLACEHOLDERS[1], video)
    tokenizer.chat_template = template
    config.image_token_id, config.video_token_id = (tokenizer.convert_tokens_to_ids(token) for token in (image, video))
    return VideoPathLlavaProcessor.from_config(config, tokenizer, template, image_token=image, video_token=video)


def _placeholders(tokenizer: PreTrainedTokenizerBase, layout: Layout, config: VideoPathLlavaConfig) -> tuple[str, str]:
    """What stands for an image and for a video; Qwen2.5's tokens are added to a tokenizer that lacks them."""
    if layout == "llava_onevision":
        image, video = tokenizer.convert_ids_to_tokens([config.image_token_id, config.video_token_id])
        if image is not None and video is not None:
            return image, video
    known = tokenizer.get_vocab()
    tokenizer.add_tokens([token for token in _PLACEHOLDERS if token not in known], special_tokens=True)
    return _PLACEHOLDERS
