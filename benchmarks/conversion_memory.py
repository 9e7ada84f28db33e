"""Memory and time of converting a checkpoint of true 7B shapes; its weights are holes in sparse files, all zeros.

python benchmarks/conversion_memory.py [--layers 28] [--shard-gb 5] [--layout videopath] [--folder FOLDER] [--json]

With 28 layers, in 5 GB shards, the peak was 1.92 GB (0.82 GB of it the libraries) for 16.06 GB of weights.
The result is written in full: with 28 layers that takes 16 GB of disk in FOLDER (a temporary one by default). Linux.
"""

import argparse
import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GB = 1e9
SETTINGS = {
    "architectures": ["LlavaQwenForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "mm_projector_type": "mlp2x_gelu",
    "mm_patch_merge_type": "spatial_unpad",
    "mm_newline_position": "one_token",
    "mm_vision_tower": "google/siglip-so400m-patch14-384",
    "image_aspect_ratio": "anyres_max_9",
}


def make_checkpoint(folder: Path, layers: int, shard_bytes: float) -> int:
    """Write a sparse bfloat16 checkpoint in the published layout; returns the bytes of its largest shard."""
    from videopath_hf.modeling.layouts import name_in
    from videopath_hf.modeling.reference_settings import KNOWN_TOWERS, reference_config
    from videopath_hf.modeling.sources import model_shapes
    from videopath_hf.modeling.tiny import train_tokenizer

    settings = {**SETTINGS, "num_hidden_layers": layers}
    last = ["model.vision_tower.vision_tower.vision_model.encoder.layers.25.layer_norm1.bias"]
    config = reference_config(folder, settings, KNOWN_TOWERS["siglip-so400m-patch14-384"], last)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(settings))
    train_tokenizer(["A tokenizer of its own."]).save_pretrained(folder)
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    for name, shape in model_shapes(config).items():
        if shards[-1] and num_bytes([*shards[-1].values(), shape]) > shard_bytes:
            shards.append({})
        shards[-1][name_in("llava_next", name)] = shape
    files = {f"model-{i:05}-of-{len(shards):05}.safetensors": shard for i, shard in enumerate(shards, start=1)}
    for file, shard in files.items():
        write_sparse(folder / file, shard)
    index = {"weight_map": {name: file for file, shard in files.items() for name in shard}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return max(num_bytes(list(shard.values())) for shard in shards)


def num_bytes(shapes: list[tuple[int, ...]]) -> int:
    """Bytes of bfloat16 tensors."""
    total = 0
    for shape in shapes:
        size = 2
        for side in shape:
            size *= side
        total += size
    return total


def write_sparse(file: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A safetensors file whose header is written and whose data is a hole."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + num_bytes([shape])
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + end)


def convert_here(src: Path, dst: Path, layout: str) -> None:
    """Convert in this process and print what it took."""
    from videopath_hf.modeling.conversion import convert

    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start = time.perf_counter()
    report = convert(src, dst, layout)  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"libraries": loaded, "peak": peak, "seconds": seconds, "bytes": report.bytes}))


def main() -> None:
    """Make the checkpoint, convert it in a process of its own, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--shard-gb", type=float, default=5.0)
    parser.add_argument("--layout", default="videopath")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--convert", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.convert:
        convert_here(*options.convert, options.layout)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        source = Path(temporary) / "source"
        largest = make_checkpoint(source, options.layers, options.shard_gb * GB)
        command = [sys.executable, __file__, "--layout", options.layout, "--convert", source, Path(temporary) / "out"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    found = {**json.loads(done.stdout.splitlines()[-1]), "largest_shard": largest, "limit": int(1.3 * largest + GB)}
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>14}: {value:.1f} s" if name == "seconds" else f"{name:>14}: {value / GB:.2f} GB")


if __name__ == "__main__":
    main()
