"""The network of AutoShot (Zhu et al., CVPR 2023 workshops; github.com/wentaozhu/AutoShot, MIT), for its weights.

A sibling of TransNetV2 that an architecture search found: six blocks of (2+1)D convolutions whose time part runs at
several dilations side by side, of which the second to fourth share their spatial part; beside them the similarity of
each frame to the 50 before and after it, by features and by colours. Names of modules are those of the published
checkpoint.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_REACH = 50  # frames before and after one with which it is compared
_WINDOW = 2 * _REACH + 1
_EPS = 1e-3


class AutoShot(nn.Module):
    """Tells for every frame whether a new shot starts there.

    Input: uint8 [B, T, 27, 48, 3] RGB. Output: float [B, T], logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Layer_0_3 = _Dilated(3, 16, middle=16, dilations=4)
        self.Layer_1_8 = _SharedDilated(64, 16, dilations=5)
        self.Layer_2_8 = _SharedDilated(64, 32, dilations=5)
        self.Layer_3_8 = _SharedDilated(128, 32, dilations=5)
        self.Layer_4_13 = _Dilated(128, 64, middle=192, dilations=5)
        self.Layer_5_12 = _Dilated(256, 64, middle=128, dilations=5)
        self.frame_sim_layer = _FrameSimilarity(64 + 128 + 256)
        self.color_hist_layer = _ColourSimilarity()
        self.fc1_0 = _Linear(256 * 3 * 6 + 2 * 128, 1024)
        self.cls_layer1 = _Linear(1024, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Logits, float [B, T]."""
        x = frames.permute(0, 4, 1, 2, 3).float() / 255.0
        stages = []
        for first, second in (
            (self.Layer_0_3, self.Layer_1_8),
            (self.Layer_2_8, self.Layer_3_8),
            (self.Layer_4_13, self.Layer_5_12),
        ):
            shortcut = first(x)
            x = F.avg_pool3d(shortcut + second(shortcut), (1, 2, 2))
            stages.append(x)
        flat = x.permute(0, 2, 3, 4, 1).flatten(2)
        joined = torch.cat([self.color_hist_layer(frames), self.frame_sim_layer(stages), flat], dim=2)
        logits: Tensor = self.cls_layer1(F.relu(self.fc1_0(joined)))[..., 0]
        return logits


class _Linear(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(x)
        return result


def _shares(channels: int, dilations: int) -> list[int]:
    """Output channels of each dilation; the last takes what division leaves over."""
    share = channels // dilations
    return [*[share] * (dilations - 1), channels - share * (dilations - 1)]


def _in_space(inputs: int, outputs: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, (1, 3, 3), padding=(0, 1, 1), bias=False)


def _in_time(inputs: int, outputs: int, dilation: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, (3, 1, 1), padding=(dilation, 0, 0), dilation=(dilation, 1, 1), bias=False)


class _Layers(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class _Dilated(nn.Module):
    """Every dilation has a spatial convolution of its own."""

    def __init__(self, inputs: int, filters: int, middle: int, dilations: int) -> None:
        super().__init__()
        self.conv_blocks = nn.ModuleList(
            _Layers(_in_space(inputs, middle), _in_time(middle, share, 2**number))
            for number, share in enumerate(_shares(4 * filters, dilations))
        )
        self.batch_norm = nn.BatchNorm3d(4 * filters, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.batch_norm(torch.cat([block(x) for block in self.conv_blocks], dim=1)))


class _SharedDilated(nn.Module):
    """One spatial convolution for all dilations."""

    def __init__(self, inputs: int, filters: int, dilations: int) -> None:
        super().__init__()
        self.share = _in_space(inputs, 4 * filters)
        self.conv_blocks = nn.ModuleList(
            _Layers(_in_time(4 * filters, share, 2**number))
            for number, share in enumerate(_shares(4 * filters, dilations))
        )
        self.batch_norm = nn.BatchNorm3d(4 * filters, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.share(x)
        return F.relu(self.batch_norm(torch.cat([block(x) for block in self.conv_blocks], dim=1)))


def _neighbours(features: Tensor) -> Tensor:
    """Products of every frame's features with those of its neighbours: [B, T, D] -> [B, T, 101], 0 beyond the ends."""
    products = F.pad(features @ features.transpose(1, 2), (_REACH, _REACH))
    time = torch.arange(features.shape[1], device=features.device)
    places = time[:, None] + torch.arange(_WINDOW, device=features.device)[None]
    return products.gather(2, places[None].expand(features.shape[0], -1, -1))


class _FrameSimilarity(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.projection = _Linear(inputs, 128)
        self.fc = _Linear(_WINDOW, 128)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        means = torch.cat([stage.mean(dim=(3, 4)) for stage in stages], dim=1).transpose(1, 2)
        return F.relu(self.fc(_neighbours(F.normalize(self.projection(means), dim=2))))


class _ColourSimilarity(nn.Module):
    """By histograms of 8x8x8 colours."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = _Linear(_WINDOW, 128)

    def forward(self, frames: Tensor) -> Tensor:
        batch, time = frames.shape[:2]
        bins = (frames.int() >> 5).reshape(batch * time, -1, 3)
        index = ((bins[..., 0] << 6) + (bins[..., 1] << 3) + bins[..., 2]).long()
        counts = torch.zeros(batch * time, 512, device=frames.device)
        counts.scatter_add_(1, index, torch.ones_like(index, dtype=counts.dtype))
        return F.relu(self.fc(_neighbours(F.normalize(counts, dim=1).reshape(batch, time, 512))))


def misfits(state: dict[str, Any]) -> list[str]:
    """What keeps a state dict from being this network's: missing names and wrong shapes; more names are no fault."""
    wanted = AutoShot().state_dict()
    found = []
    for name, value in wanted.items():
        if name not in state:
            found.append(f"{name} is missing")
        elif not isinstance(state[name], Tensor) or state[name].shape != value.shape:
            shape = tuple(state[name].shape) if isinstance(state[name], Tensor) else type(state[name]).__name__
            found.append(f"{name} has shape {shape}, not {tuple(value.shape)}")
    return found
