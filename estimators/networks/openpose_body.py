"""OpenPose's later bottom-up networks: BODY_25, and BODY_135 for bodies with feet, hands and faces.

Papers: Cao et al. 2021, "OpenPose: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields" (TPAMI);
Hidalgo et al. 2019, "Single-Network Whole-Body Pose Estimation". Original code and weights:
CMU-Perceptual-Computing-Lab/openpose and openpose_train, Caffe networks, for non-commercial use only (CMU); layers are
named as in Caffe.

Unlike the network of 2017 (`openpose`), the stages for fields come before those for heatmaps, and a 7x7 convolution is
replaced by three of 3x3 whose outputs are concatenated.

Input: (N, 3, H, W), BGR / 256 - 0.5; sides are multiples of 16, the height about 368 (BODY_25) or 480 (BODY_135).
Output: (N, 78, H/8, W/8): 25 joints, background, x and y of 26 limbs; or (N, 439, H/8, W/8): 135 joints, x and y of 152
limbs. Joints and limbs are those of `estimators.limb_layouts`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_VGG = ((2, 64), (2, 128), (4, 256), (2, 512))  # (convolutions, width) of the blocks of VGG-19
_FEATURES = 128


class Trunk(nn.Module):
    """The start of VGG-19 to stride 8, and two convolutions; the last three have a PReLU."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 3
        for block, (count, width) in enumerate(_VGG, 1):
            for i in range(1, count + 1):
                self.add_module(f"conv{block}_{i}", nn.Conv2d(inputs, width, 3, padding=1))
                inputs = width
        self.conv4_3_CPM = nn.Conv2d(inputs, 256, 3, padding=1)
        self.conv4_4_CPM = nn.Conv2d(256, _FEATURES, 3, padding=1)
        for name, width in (("4_2", 512), ("4_3_CPM", 256), ("4_4_CPM", _FEATURES)):
            self.add_module(f"prelu{name}", nn.PReLU(width))

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 128, H/8, W/8)."""
        x = images
        for block, (count, _) in enumerate(_VGG, 1):
            x = x if block == 1 else F.max_pool2d(x, 2)
            for i in range(1, count + 1):
                x = self.get_submodule(f"conv{block}_{i}")(x)
                x = self.get_submodule("prelu4_2")(x) if (block, i) == (4, 2) else F.relu(x)
        x = self.get_submodule("prelu4_3_CPM")(self.conv4_3_CPM(x))
        return self.get_submodule("prelu4_4_CPM")(self.conv4_4_CPM(x))


class OpenPoseBody(Trunk):
    """BODY_25 or BODY_135: four stages for the fields (L2), then those for the heatmaps (L1).

    Args:
        fields: number of maps of fields, two for each limb.
        heatmaps: number of heatmaps, with the background if it has one.
        field_blocks: blocks of a stage for the fields.
        field_widths: width of the blocks of each stage for the fields.
        heatmap_widths: of each stage for the heatmaps, its blocks' width and its last layer's.
    """

    def __init__(
        self,
        *,
        fields: int,
        heatmaps: int,
        field_blocks: int,
        field_widths: tuple[int, ...],
        heatmap_widths: tuple[tuple[int, int], ...],
    ) -> None:
        super().__init__()
        self._stages: list[tuple[str, int, bool]] = []  # branch and stage, blocks, whether for heatmaps
        inputs = _FEATURES
        for stage, width in enumerate(field_widths):
            self._add_stage(f"stage{stage}_L2", inputs, field_blocks, width, 512 if stage else 256, fields)
            inputs = _FEATURES + fields
        for stage, (width, last) in enumerate(heatmap_widths):
            self._add_stage(f"stage{stage}_L1", inputs, 5, width, last, heatmaps)
            inputs = _FEATURES + heatmaps + fields

    def _add_stage(self, stage: str, inputs: int, blocks: int, width: int, last: int, outputs: int) -> None:
        """Add blocks of three 3x3 convolutions and two 1x1 convolutions; all but the last layer have a PReLU."""
        for block in range(1, blocks + 1):
            for i, (before, after) in enumerate(pairwise((inputs, width, width, width))):
                self.add_module(f"Mconv{block}_{stage}_{i}", nn.Conv2d(before, after, 3, padding=1))
                self.add_module(f"Mprelu{block}_{stage}_{i}", nn.PReLU(after))
            inputs = 3 * width
        self.add_module(f"Mconv{blocks + 1}_{stage}", nn.Conv2d(inputs, last, 1))
        self.add_module(f"Mprelu{blocks + 1}_{stage}", nn.PReLU(last))
        self.add_module(f"Mconv{blocks + 2}_{stage}", nn.Conv2d(last, outputs, 1))
        self._stages.append((stage, blocks, stage.endswith("L1")))

    def _stage(self, x: Tensor, stage: str, blocks: int) -> Tensor:
        for block in range(1, blocks + 1):
            row = []
            for i in range(3):
                x = self._activated(x, f"{block}_{stage}_{i}")
                row.append(x)
            x = torch.cat(row, 1)
        x = self._activated(x, f"{blocks + 1}_{stage}")
        return self.get_submodule(f"Mconv{blocks + 2}_{stage}")(x)

    def _activated(self, x: Tensor, name: str) -> Tensor:
        return self.get_submodule(f"Mprelu{name}")(self.get_submodule(f"Mconv{name}")(x))

    def stages(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(N, 3, H, W) -> fields of every stage, and heatmaps of every stage; all are supervised in training."""
        features = self.features(images)
        fields: list[Tensor] = []
        heatmaps: list[Tensor] = []
        for stage, blocks, is_for_heatmaps in self._stages:
            x = torch.cat([features, *heatmaps[-1:], *fields[-1:]], 1)
            (heatmaps if is_for_heatmaps else fields).append(self._stage(x, stage, blocks))
        return fields, heatmaps

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> heatmaps and fields of the last stages (N, heatmaps + fields, H/8, W/8)."""
        fields, heatmaps = self.stages(images)
        return torch.cat([heatmaps[-1], fields[-1]], 1)


def openpose_body25() -> OpenPoseBody:
    """BODY_25: 25 joints, background, 26 limbs."""
    return OpenPoseBody(
        fields=52,
        heatmaps=26,
        field_blocks=5,
        field_widths=(96, 128, 128, 128),
        heatmap_widths=((96, 256), (128, 512)),
    )


def openpose_body135() -> OpenPoseBody:
    """BODY_135: 135 joints, 152 limbs, no background."""
    return OpenPoseBody(
        fields=304,
        heatmaps=135,
        field_blocks=8,
        field_widths=(128, 128, 128, 256),
        heatmap_widths=((256, 512),),
    )
