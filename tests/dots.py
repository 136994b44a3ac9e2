"""Pictures with three dots, red, green and blue, and networks whose joints are the dots: places are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from estimators.recipes import Recipe

SIZE = (240, 200)  # width, height
BOX = np.array([90.0, 60, 122, 128])
DOTS = np.array([[99.3, 77.8], [110.6, 94.2], [104.1, 119.7]])  # of red, green, blue
_SPREAD_PX = 2.5


def picture(dots: np.ndarray | Sequence[Sequence[float]] = DOTS) -> np.ndarray:
    """(H, W, 3) uint8: black, with a dot of each colour at dots (3, 2)."""
    x, y = np.arange(SIZE[0]), np.arange(SIZE[1])[:, None]
    squared = [(x - dot[0]) ** 2 + (y - dot[1]) ** 2 for dot in np.asarray(dots)]
    return np.round(255 * np.exp(-np.stack(squared, axis=2) / (2 * _SPREAD_PX**2))).astype(np.uint8)


class DotNetwork(nn.Module):
    """Finds the dots in a crop and answers as a network of this recipe would: joint k is the dot of channel k mod 3."""

    def __init__(self, recipe: Recipe, stride: int = 4) -> None:
        super().__init__()
        self.recipe, self.stride = recipe, stride
        self.unused = nn.Parameter(torch.zeros(1))  # gives the network a device

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        recipe, (width, height) = self.recipe, self.recipe.input_size
        assert images.shape[1:] == (3 if recipe.centre_sigma_px is None else 4, height, width)
        places = dots_of(images[:, :3])[:, torch.arange(len(recipe.skeleton)) % 3]  # (N, K, 2)
        size = torch.tensor([width, height])
        if recipe.output == "coordinates":
            return places / size
        if recipe.output == "simcc":
            x, y = (gaussian(torch.arange(2 * side), 2 * places[..., i], 6) for i, side in enumerate((width, height)))
            return x, y
        cells = size // self.stride
        at = {
            "corner": places * cells / size,
            "middle": places * cells / size - 0.5,
            "ends": places * (cells - 1) / (size - 1),
        }[recipe.alignment]
        x, y = (gaussian(torch.arange(int(side)), at[..., i], 2) for i, side in enumerate(cells))
        maps = recipe.highest * y[..., None] * x[..., None, :]
        if recipe.centre_sigma_px is not None:  # such networks have a map of the background
            maps = torch.cat([maps, 1 - maps.amax(1, keepdim=True)], 1)
        return [torch.zeros_like(maps), maps]  # type: ignore[return-value] # the last counts


def dots_of(images: Tensor) -> Tensor:
    """Middles (N, 3, 2) x y of what is bright in each channel of (N, 3, H, W); the corner where nothing is."""
    bright = images - images.amin((2, 3), keepdim=True)
    bright = torch.relu(bright - bright.amax((2, 3), keepdim=True) / 2)
    share = bright / bright.sum((2, 3), keepdim=True).clamp(min=1e-9)
    x = (share.sum(2) * torch.arange(images.shape[3])).sum(2)
    y = (share.sum(3) * torch.arange(images.shape[2])).sum(2)
    return torch.stack([x, y], 2)


def gaussian(cells: Tensor, middles: Tensor, sigma: float) -> Tensor:
    """(N, K, cells) of height 1 around middles (N, K)."""
    return torch.exp(-((cells - middles[..., None]) ** 2) / (2 * sigma**2))
