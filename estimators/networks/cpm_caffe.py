"""Convolutional pose machines as their authors published them, without norms and with a map of the person's centre.

Paper: Wei et al. 2016, "Convolutional Pose Machines". Original code and weights:
shihenw/convolutional-pose-machines-release, Caffe networks, for non-commercial use only (CMU); layers are named as in
Caffe. `cpm` is MMPose's variant.

`CentredCPM` finds the joints of the person in the middle of a crop. Input: (N, 4, 368, 368), BGR / 256 - 0.5 and a
Gaussian of sigma 21 pixels at the centre of the crop. Outputs: heatmaps (N, joints + 1, H/8, W/8) of each stage, by its
name; the last is the result, and the last map is the background. For MPII and LSP: the joints of
`posetrail.skeletons.MPI_14` and six stages. For FLIC: nine joints and four stages.

`PersonCPM` finds people in an image. Input: (N, 3, H, W), BGR / 256 - 0.5. Outputs: a map (N, 1, H/8, W/8) of people's
centres of each stage; the last is the result. The estimators here are given boxes by a detector and do not use it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_WIDTH = 128
_FEATURES = 32  # channels of the image features that are concatenated with the heatmaps
_PERSON_FEATURES = 128
_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512))  # (convolutions, width) of the trunk of PersonCPM


def _add_row(network: nn.Module, inputs: int, layers: list[tuple[str, int, int]]) -> int:
    """Add consecutive convolutions (name, outputs, kernel); return the number of output channels of the last."""
    for name, outputs, kernel in layers:
        network.add_module(name, nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))
        inputs = outputs
    return inputs


def _row(network: nn.Module, x: Tensor, *names: str) -> Tensor:
    """Apply consecutive convolutions, with a ReLU after each."""
    for name in names:
        x = F.relu(network.get_submodule(name)(x))
    return x


class CentredCPM(nn.Module):
    """Stages over image features, the heatmaps of the stage before and the map of the centre.

    Args:
        stages: number of them; the first has the image alone.
        joints: without the background.
    """

    def __init__(self, stages: int = 6, *, joints: int = 14) -> None:
        super().__init__()
        maps = joints + 1
        self.later = range(2, stages + 1)
        trunk = [(f"conv{i}_stage1", _WIDTH, 9) for i in (1, 2, 3)] + [("conv4_stage1", _FEATURES, 5)]
        scores = [("conv5_stage1", 512, 9), ("conv6_stage1", 512, 1), ("conv7_stage1", maps, 1)]
        _add_row(self, 3, trunk + scores)
        for stage in self.later:
            if stage == 2:
                shared = _add_row(self, 3, [(f"conv{i}_stage2", _WIDTH, 9) for i in (1, 2, 3)])
            features = _add_row(self, shared, [(_features_of(stage), _FEATURES, 5)])
            refining = [(f"Mconv{i}_stage{stage}", _WIDTH, 11) for i in (1, 2, 3)]
            scores = [(f"Mconv4_stage{stage}", _WIDTH, 1), (f"Mconv5_stage{stage}", maps, 1)]
            _add_row(self, features + maps + 1, refining + scores)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(N, 4, H, W) -> stage1, stage2, ...: each (N, joints + 1, H/8, W/8)."""
        image, centre = x[:, :3], F.avg_pool2d(x[:, 3:], 9, 8, ceil_mode=True)
        features = _row(self, self._pooled(image, 1), *(f"conv{i}_stage1" for i in (4, 5, 6)))
        maps = {"stage1": self.get_submodule("conv7_stage1")(features)}
        shared = self._pooled(image, 2)
        for stage in self.later:
            parts = [_row(self, shared, _features_of(stage)), maps[f"stage{stage - 1}"], centre]
            refined = _row(self, torch.cat(parts, 1), *(f"Mconv{i}_stage{stage}" for i in range(1, 5)))
            maps[f"stage{stage}"] = self.get_submodule(f"Mconv5_stage{stage}")(refined)
        return maps

    def _pooled(self, x: Tensor, stage: int) -> Tensor:
        """Image features at stride 8; Caffe's pooling has windows that hang over the border."""
        for i in (1, 2, 3):
            x = F.max_pool2d(_row(self, x, f"conv{i}_stage{stage}"), 3, 2, ceil_mode=True)
        return x


def _features_of(stage: int) -> str:
    """The convolution from the shared image features to those of a stage."""
    return "conv4_stage2" if stage == 2 else f"conv1_stage{stage}"


class PersonCPM(nn.Module):
    """Four stages over the features of VGG-19 and the map of the stage before."""

    later = range(2, 5)

    def __init__(self) -> None:
        super().__init__()
        inputs = 3
        for block, (count, width) in enumerate(_BLOCKS, 1):
            inputs = _add_row(self, inputs, [(f"conv{block}_{i}", width, 3) for i in range(1, count + 1)])
        features = _add_row(self, inputs, [("conv5_1", 512, 3), ("conv5_2_CPM", _PERSON_FEATURES, 3)])
        _add_row(self, features, [("conv6_1_CPM", 512, 1), ("conv6_2_CPM", 1, 1)])
        for stage in self.later:
            refining = [(f"Mconv{i}_stage{stage}", 128, 7) for i in range(1, 6)]
            _add_row(self, features + 1, [*refining, (f"Mconv6_stage{stage}", 128, 1), (f"Mconv7_stage{stage}", 1, 1)])

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> stage1 to stage4: each (N, 1, H/8, W/8)."""
        x = images
        for block, (count, _) in enumerate(_BLOCKS, 1):
            x = x if block == 1 else F.max_pool2d(x, 2, ceil_mode=True)
            x = _row(self, x, *(f"conv{block}_{i}" for i in range(1, count + 1)))
        features = _row(self, x, "conv5_1", "conv5_2_CPM")
        maps = {"stage1": self.get_submodule("conv6_2_CPM")(_row(self, features, "conv6_1_CPM"))}
        for stage in self.later:
            joined = torch.cat([maps[f"stage{stage - 1}"], features], 1)
            refined = _row(self, joined, *(f"Mconv{i}_stage{stage}" for i in range(1, 7)))
            maps[f"stage{stage}"] = self.get_submodule(f"Mconv7_stage{stage}")(refined)
        return maps
