import pytest
import torch

from videopath_hf.errors import UserError
from videopath_hf.modeling.placement import choose_device, choose_dtype

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int, bfloat16: bool = True) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)


def test_auto_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 0)
    assert choose_device("auto") == CPU
    pretend_gpus(monkeypatch, 1)
    assert choose_device("auto") == GPU
    assert choose_device("cpu") == CPU


def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 0)
    with pytest.raises(UserError, match="device is 'cuda', but torch finds 0 GPUs here; give --device cpu or auto"):
        choose_device("cuda")
    pretend_gpus(monkeypatch, 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(UserError, match="device is 'cuda:2', but torch finds 2 GPUs"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "CPU", ""])
def test_other_devices_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"device is {name!r}; accepted are auto, cpu, cuda and cuda:N"):
        choose_device(name)


def test_auto_precision_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 1)
    assert choose_dtype("auto", CPU) == torch.float32
    assert choose_dtype("auto", GPU) == torch.bfloat16
    pretend_gpus(monkeypatch, 1, bfloat16=False)
    assert choose_dtype("auto", GPU) == torch.float16
    assert choose_dtype("float32", GPU) == torch.float32


def test_other_precisions_are_refused() -> None:
    with pytest.raises(UserError, match="dtype is 'float64'; accepted are auto, float32, bfloat16, float16"):
        choose_dtype("float64", CPU)
