"""The built-in networks as ONNX files that rtmlib runs: the detector as a YOLOX, the estimator as an RTMPose.

Both files take one image (1, 3, H, W) float32 BGR, 0..255, and contain the network with its weights and the decoding
that rtmlib does not know. So rtmlib finds the same people with the same networks, with its own preprocessing, crops and
tracking.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from detectors.nanodet import NETWORK as NANODET
from estimators.movenet import NETWORK as MOVENET
from posetrail.export import export_onnx

if TYPE_CHECKING:
    from posetrail.runtime import Network

CROP_PX = 256
_CELL_PX = 4  # pixels of the crop per cell of MoveNet's maps
_NEARNESS = 1.8  # cells, as in estimators/decode.py
_BINS_PER_PIXEL = 2  # of rtmlib's SimCC vectors


class AsYOLOX(nn.Module):
    """NanoDet with the output of a YOLOX of one class without decoding."""

    def __init__(self, network: nn.Module, bins: int = 11) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("distances", torch.arange(bins, dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, cells, 6): centre and logarithm of the size in cells, score, and 1 for the class."""
        levels = self.network(_as_built_in(images))
        return torch.cat([self._level(level) for level in levels], dim=1)

    def _level(self, level: Tensor) -> Tensor:
        B, _, H, W = level.shape
        cells = level.permute(0, 2, 3, 1).reshape(B, H * W, -1)
        score = cells[..., :1].sigmoid()
        sides = cells[..., 1:].reshape(B, H * W, 4, -1).softmax(dim=3) @ self.distances  # left, top, right, bottom
        centre = 0.5 + (sides[..., 2:] - sides[..., :2]) / 2
        size = (sides[..., 2:] + sides[..., :2]).clamp(min=1e-3).log()
        return torch.cat([centre, size, score, torch.ones_like(score)], dim=2)


class AsRTMPose(nn.Module):
    """MoveNet with its decoding and the outputs of an RTMPose: SimCC vectors with one value above 0."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, 256, 256) -> simcc_x and simcc_y (B, 17, 512)."""
        heat, centre, regress, offset = self.network(_as_built_in(crops))
        B, K, H, W = heat.shape
        y = torch.arange(H, dtype=torch.float32)[:, None]
        x = torch.arange(W, dtype=torch.float32)
        near_middle = centre[:, 0] / (((y - H // 2) ** 2 + (x - W // 2) ** 2).sqrt() + _NEARNESS)
        at = near_middle.reshape(B, 1, 1, H * W).argmax(dim=3, keepdim=True)  # (B, 1, 1, 1)
        guess = _values_at(regress.reshape(B, K, 2, H * W), at)
        guess_y, guess_x = guess[:, :, :1, None] + at // W, guess[:, :, 1:, None] + at % W  # (B, K, 1, 1)
        near_guess = heat / (((y - guess_y) ** 2 + (x - guess_x) ** 2).sqrt() + _NEARNESS)
        at = near_guess.reshape(B, K, 1, H * W).argmax(dim=3, keepdim=True)  # (B, K, 1, 1)
        within = _values_at(offset.reshape(B, K, 2, H * W), at)
        score = _values_at(heat.reshape(B, K, 1, H * W), at)  # (B, K, 1)
        joint_y, joint_x = within[:, :, :1] + at[..., 0] // W, within[:, :, 1:] + at[..., 0] % W
        bins = torch.arange(CROP_PX * _BINS_PER_PIXEL)
        places = [(joint * _CELL_PX * _BINS_PER_PIXEL).round() for joint in (joint_x, joint_y)]
        simcc_x, simcc_y = ((bins == place.clamp(0, len(bins) - 1)) * score for place in places)
        return simcc_x, simcc_y


def export_detector(path: Path, size: tuple[int, int]) -> None:
    """Write the built-in detector for inputs of this height and width, multiples of 32.

    Raises:
        InputError: onnx and onnxscript are not installed, or the weights are damaged.
    """
    export_onnx(AsYOLOX(_loaded(NANODET)), size, path)


def export_estimator(path: Path) -> None:
    """Write the built-in estimator; raises as `export_detector`."""
    export_onnx(AsRTMPose(_loaded(MOVENET)), (CROP_PX, CROP_PX), path)


def _loaded(network: Network) -> nn.Module:
    module = network.module()
    module.load_state_dict({name: torch.from_numpy(value) for name, value in network.weights.load().items()})
    return module.eval()


def _as_built_in(images: Tensor) -> Tensor:
    """BGR (B, 3, H, W) as the RGB (B, H, W, 3) of the built-in networks."""
    return images.flip(1).permute(0, 2, 3, 1)


def _values_at(maps: Tensor, at: Tensor) -> Tensor:
    """Values (B, K, C) of maps (B, K, C, cells) at the cells (B, 1 or K, 1, 1)."""
    B, K, C, _ = maps.shape
    return maps.gather(3, at.expand(B, K, C, 1))[..., 0]
