"""A network small enough to learn drawn figures in seconds: encoder to stride 16, decoder to stride 4."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.layers import ConvBnAct, FromBytes
from posetrail.preprocessing import IMAGENET

_WIDTHS = (16, 32, 64, 96)
_TOP = {"heatmaps": 40, "simcc": 64, "coordinates": 16}


class SmallNetwork(nn.Module):
    """Heatmaps (N, 17, H/4, W/4), two vectors per joint with two bins per pixel, or x y as shares of the crop."""

    def __init__(self, output: Literal["heatmaps", "simcc", "coordinates"], size: tuple[int, int] = (72, 96)) -> None:
        super().__init__()
        width, height = size
        self.output, top = output, _TOP[output]
        inputs = (3, *_WIDTHS[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(ConvBnAct(a, b, 3, 2), *([ConvBnAct(b, b, 3)] if i else []))
            for i, (a, b) in enumerate(zip(inputs, _WIDTHS, strict=True))
        )
        self.lateral = nn.ModuleList(nn.Conv2d(each, top, 1) for each in _WIDTHS[1:])
        self.smooth = nn.ModuleList(ConvBnAct(top, top, 3) for _ in range(2))
        self.heat = nn.Conv2d(top, 17, 1)
        cells = (width // 4) * (height // 4)
        self.x, self.y = nn.Linear(cells, 2 * width), nn.Linear(cells, 2 * height)
        features = -(-width // 16) * -(-height // 16) * _WIDTHS[-1]
        self.places = nn.Sequential(nn.Linear(features, 128), nn.ReLU(), nn.Linear(128, 34))
        nn.init.normal_(self.heat.weight, std=0.001)
        nn.init.zeros_(self.heat.bias)  # type: ignore[arg-type]
        unused = {"heatmaps": [self.x, self.y, self.places], "simcc": [self.places]}.get(
            output, [self.x, self.y, self.heat, self.lateral, self.smooth]
        )
        for each in unused:
            each.requires_grad_(False)

    def forward(self, crops: Tensor) -> Any:
        levels = []
        for layer in self.down:
            levels.append(layer(levels[-1] if levels else crops))
        if self.output == "coordinates":
            return torch.sigmoid(self.places(levels[-1].flatten(1))).unflatten(1, (17, 2))
        x = self.lateral[2](levels[3])
        for i in (1, 0):
            x = self.smooth[i](self.lateral[i](levels[i + 1]) + F.interpolate(x, levels[i + 1].shape[2:]))
        maps = self.heat(x)
        if self.output == "heatmaps":
            return maps
        vectors = 10 * F.normalize(maps.flatten(2), dim=2)
        return self.x(vectors), self.y(vectors)


def small_network(output: Literal["heatmaps", "simcc", "coordinates"]) -> nn.Module:
    """The network with random weights that are always the same; it takes crops (N, H, W, 3) uint8."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return FromBytes(SmallNetwork(output), IMAGENET)
