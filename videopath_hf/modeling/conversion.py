"""From the published implementation's checkpoints to ours: other names for the same weights, nothing computed anew."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from videopath_hf.files import atomic_dir, file_sha256, read_json, write_json
from videopath_hf.modeling.adapters import ReferenceAdapter
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.loading import CheckpointError, quiet_transformers
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.reference_settings import reference_config, tower_config
from videopath_hf.modeling.templates import CHATML_TEMPLATE

RULES = (
    (re.compile(r"^model\.vision_tower\.vision_tower\.vision_model\."), "model.vision_tower."),
    (re.compile(r"^model\.mm_projector\.0\."), "model.multi_modal_projector.linear_1."),
    (re.compile(r"^model\.mm_projector\.2\."), "model.multi_modal_projector.linear_2."),
    (re.compile(r"^model\.(layers\.|embed_tokens\.|norm\.)"), r"model.language_model.\1"),
    (re.compile(r"^(model\.image_newline|lm_head\.weight)$"), r"\1"),
)
"""Their names of weights and ours; the first rule that fits is applied."""

_PLACEHOLDERS = ("<|image_pad|>", "<|video_pad|>")


def convert_reference(
    src: str | Path, dst: str | Path, adapter: str | Path | None = None, vision_config: Mapping[str, Any] | None = None
) -> Path:
    """Write a checkpoint of the published implementation in our layout.

    One file of weights is read and written at a time. The result is built on the meta device first: unless each of
    its weights is found, in its shape, and none is left over, nothing is written. `conversion.json` in `dst` lists
    what became of every weight.

    Args:
        src (`str` or `Path`): folder with config.json (its `mm_*` keys are the mark of that layout), one or more
            safetensors files and the tokenizer.
        dst (`str` or `Path`): folder to write; replaced if it exists.
        adapter (`str` or `Path`, *optional*): folder of its LoRA output, made on `src`: settings are then read from
            there, its full weights replace those of `src` and its low-rank ones are merged, in float32.
        vision_config (`Mapping`, *optional*): configuration of the vision tower as its own repository has it, for a
            tower that is neither SigLIP so400m/14 at 384 pixels nor described in `src`/vision_tower_config.

    Returns:
        `Path`: `dst`.

    Raises:
        CheckpointError: for another kind of checkpoint, settings that have no counterpart, or weights that do not fit.
    """
    src, dst = Path(src), Path(dst)
    low_rank = None if adapter is None else ReferenceAdapter.open(adapter)
    settings = read_json(Path(adapter or src) / "config.json")
    files = weight_files(src)
    names = {name: file for file in files for name in _names(file)}
    config = reference_config(src, settings, tower_config(src, settings, vision_config), names)
    tokenizer = _tokenizer(src, config)
    mapped = {name: our_name(name, src) for name in names}
    dropped = {}
    if config.tie_word_embeddings and mapped.pop("lm_head.weight", None):
        dropped["lm_head.weight"] = "tied to the embeddings"
    if low_rank is not None:
        low_rank.check_targets(set(names))
    _check_weights(src, config, files, mapped)
    with atomic_dir(dst) as folder:
        written = _write_weights(folder, files, mapped, low_rank)
        config.dtype = getattr(torch, written["dtype"])
        config.architectures = [VideoPathLlavaForConditionalGeneration.__name__]
        config.save_pretrained(folder)
        _generation_config(src, config, tokenizer).save_pretrained(folder)
        VideoPathLlavaProcessor.from_config(config, tokenizer, CHATML_TEMPLATE).save_pretrained(folder)
        sources = [*files, *(low_rank.files if low_rank is not None else [])]
        write_json(
            folder / "conversion.json",
            {
                "source": str(src),
                "source_model_type": settings.get("model_type"),
                "adapter": None if adapter is None else str(adapter),
                "sha256": {f"{file.parent.name}/{file.name}": file_sha256(file) for file in sources},
                "mapped": mapped,
                "dropped": dropped,
                **written,
            },
        )
    return dst


def our_name(name: str, src: Path) -> str:
    """Our name of one of their weights; raises `CheckpointError` for a name that no rule fits."""
    for pattern, replacement in RULES:
        if pattern.search(name):
            return pattern.sub(replacement, name)
    raise CheckpointError(f"{src} holds weight {name}, which has no place in our model")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint; raises `CheckpointError` where one is missing or there are none."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
    else:
        files = [folder / "model.safetensors"]
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"{folder} lacks {file.name}: the weights must be in safetensors files")
    return files


def _names(file: Path) -> list[str]:
    try:
        with safe_open(file, framework="pt") as weights:
            return list(weights.keys())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read: {' '.join(str(error).split())}") from None


def _check_weights(src: Path, config: VideoPathLlavaConfig, files: list[Path], mapped: dict[str, str]) -> None:
    """Raise `CheckpointError` unless the weights are exactly those of a model of `config`, in their shapes."""
    with torch.device("meta"):
        model = VideoPathLlavaForConditionalGeneration(config)
    wanted = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    if config.tie_word_embeddings:
        wanted = {name: shape for name, shape in wanted.items() if name != "lm_head.weight"}
    found = {mapped[name]: shape for name, shape in _shapes(files) if name in mapped}
    for fault, names in (
        ("lacks", sorted(set(wanted) - set(found))),
        ("holds, but the model does not know,", sorted(set(found) - set(wanted))),
        ("holds in another shape", sorted(name for name in set(found) & set(wanted) if found[name] != wanted[name])),
    ):
        if names:
            raise CheckpointError(f"{src} {fault} {len(names)} weights, e.g. {names[0]}")


def _shapes(files: list[Path]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for file in files:
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - it is not a dict
                yield name, tuple(weights.get_slice(name).get_shape())


def _write_weights(
    folder: Path, files: list[Path], mapped: dict[str, str], adapter: ReferenceAdapter | None
) -> dict[str, Any]:
    change: Callable[[str, torch.Tensor], torch.Tensor] = (
        (lambda name, weight: weight) if adapter is None else adapter.apply
    )
    total, weight_map, shapes, dtypes = 0, {}, {}, set()
    for file in files:
        with safe_open(file, framework="pt") as weights:
            kept = [name for name in weights.keys() if name in mapped]  # noqa: SIM118 - it is not a dict
            ours = {mapped[name]: change(name, weights.get_tensor(name)).contiguous() for name in kept}
        save_file(ours, folder / file.name, metadata={"format": "pt"})
        for name, weight in ours.items():
            weight_map[name], shapes[name] = file.name, list(weight.shape)
            total += math.prod(weight.shape) * weight.element_size()
            dtypes.add(str(weight.dtype).removeprefix("torch."))
    if len(files) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        write_json(folder / "model.safetensors.index.json", index)
    dtype = dtypes.pop() if len(dtypes) == 1 else "float32"
    return {"shapes": shapes, "dtype": dtype, "bytes": total}


def _tokenizer(src: Path, config: VideoPathLlavaConfig) -> PreTrainedTokenizerBase:
    """The source's tokenizer with both placeholders; sets their ids in `config`."""
    try:
        with quiet_transformers():  # it warns of their model types, which it need not know
            tokenizer = AutoTokenizer.from_pretrained(src)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"the tokenizer of {src} cannot be opened: {' '.join(str(error).split())}") from None
    new = [
        token for token in _PLACEHOLDERS if tokenizer.convert_tokens_to_ids(token) in (None, tokenizer.unk_token_id)
    ]
    if new:
        tokenizer.add_tokens(new, special_tokens=True)
    rows = config.text_config.vocab_size
    if len(tokenizer) > rows:
        raise CheckpointError(f"{src} has {rows} rows of embeddings, too few for the {len(tokenizer)} tokens needed")
    tokenizer.padding_side = "left"
    tokenizer.chat_template = CHATML_TEMPLATE
    config.image_token_id, config.video_token_id = (tokenizer.convert_tokens_to_ids(token) for token in _PLACEHOLDERS)
    return tokenizer


def _generation_config(
    src: Path, config: VideoPathLlavaConfig, tokenizer: PreTrainedTokenizerBase
) -> GenerationConfig:
    """The source's, never producing an id beyond the tokenizer (their inference cuts those rows off)."""
    file = src / "generation_config.json"
    settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    settings.pop("transformers_version", None)
    settings.setdefault("eos_token_id", tokenizer.convert_tokens_to_ids("<|im_end|>"))
    settings.setdefault("pad_token_id", tokenizer.pad_token_id)
    beyond = list(range(len(tokenizer), config.text_config.vocab_size))
    return GenerationConfig(**settings, suppress_tokens=beyond or None)
