import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.modeling.shards import Shard, Spec, num_bytes, weight_files, write_shard

WEIGHTS = {
    "odd": torch.arange(3, dtype=torch.float32).bfloat16(),
    "scalar": torch.tensor(2.5),
    "turned": torch.arange(12, dtype=torch.float32).view(3, 4).t(),
    "empty": torch.zeros(0, 4),
    "ids": torch.arange(5),
}


def test_what_is_written_tensor_by_tensor_is_a_plain_safetensors_file(tmp_path: Path) -> None:
    specs = {name: Spec(tuple(weight.shape), weight.dtype) for name, weight in WEIGHTS.items()}
    write_shard(tmp_path / "model.safetensors", specs, WEIGHTS.__getitem__)
    found = load_file(tmp_path / "model.safetensors")
    assert found.keys() == WEIGHTS.keys()
    for name, weight in WEIGHTS.items():
        assert found[name].dtype == weight.dtype and torch.equal(found[name], weight), name
    shard = Shard.of(tmp_path / "model.safetensors")
    assert shard.specs == specs
    assert sum(map(num_bytes, specs.values())) == sum(w.numel() * w.element_size() for w in WEIGHTS.values())


def test_a_tensor_is_cast_to_its_spec_and_must_have_its_shape(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    write_shard(file, {"x": Spec((2,), torch.bfloat16)}, lambda name: torch.tensor([1.0, 2.0]))
    assert load_file(file)["x"].dtype == torch.bfloat16
    with pytest.raises(CheckpointError, match="has shape"):
        write_shard(file, {"x": Spec((3,), torch.float32)}, lambda name: torch.ones(2))


@pytest.mark.parametrize("legacy", [False, True])
def test_bin_files_are_read_in_both_formats(tmp_path: Path, legacy: bool) -> None:
    torch.save(WEIGHTS, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    shard = Shard.of(tmp_path / "pytorch_model.bin")
    with shard.open() as read:
        assert all(torch.equal(read(name), weight) for name, weight in WEIGHTS.items())


def test_the_index_decides_which_files_there_are_and_leads_nowhere_else(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="lacks weights"):
        weight_files(tmp_path)
    save_file({"x": torch.ones(1)}, tmp_path / "model-00001-of-00001.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "model-00001-of-00001.safetensors"}}))
    assert weight_files(tmp_path) == [tmp_path / "model-00001-of-00001.safetensors"]
    (tmp_path / "inside").mkdir()
    save_file({"x": torch.ones(1)}, tmp_path / "outside.safetensors")
    index = tmp_path / "inside" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "../outside.safetensors"}}))
    with pytest.raises(CheckpointError, match="lacks outside"):
        weight_files(tmp_path / "inside")


def test_a_type_that_no_checkpoint_of_ours_has_is_named(tmp_path: Path) -> None:
    save_file({"x": torch.ones(1, dtype=torch.float8_e4m3fn)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="F8_E4M3"):
        Shard.of(tmp_path / "model.safetensors")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read in Linux's unit, and files are sparse there")
def test_a_checkpoint_of_true_7b_shapes_is_converted_in_the_memory_of_one_shard(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "conversion_memory.py"
    command = [sys.executable, str(script), "--layers", "1", "--shard-gb", "1.2", "--folder", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["bytes"] > 3 * found["largest_shard"]
    assert found["peak"] < found["limit"] == int(1.3 * found["largest_shard"] + 1e9) < found["bytes"]
