"""OpenPose's networks for a hand or a face, top-down: six stages of a convolutional pose machine on features of VGG-19.

Papers: Simon et al. 2017, "Hand Keypoint Detection in Single Images using Multiview Bootstrapping"; Wei et al. 2016,
"Convolutional Pose Machines". Original code and weights: CMU-Perceptual-Computing-Lab/openpose, Caffe networks, for
non-commercial use only (CMU); layers are named as in Caffe.

Input: square crops (N, 3, 368, 368), BGR / 256 - 0.5, of a face or of a left hand; right hands are mirrored. Output:
heatmaps of the joints (N, K + 1, 46, 46), the background last: 21 joints of a hand, or 68 points of a face (300-W) with
the right and the left pupil.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_VGG = ((2, 64), (2, 128), (4, 256), (4, 512), (2, 512))  # (convolutions, width) of the blocks of VGG-19
_FEATURES = 128
_STAGES = range(2, 7)  # the input of stage 1 are the features alone


class OpenPosePart(nn.Module):
    """Features to stride 8, then six stages.

    Args:
        joints: number of joints; the background has a map, too.
    """

    def __init__(self, *, joints: int) -> None:
        super().__init__()
        inputs, heatmaps = 3, joints + 1
        for block, (count, width) in enumerate(_VGG, 1):
            inputs = self._row(inputs, [(f"conv{block}_{i}", width, 3) for i in range(1, count + 1)])
        self._row(inputs, [("conv5_3_CPM", _FEATURES, 3)])
        self._row(_FEATURES, [("conv6_1_CPM", 512, 1), ("conv6_2_CPM", heatmaps, 1)])
        shapes = [(128, 7)] * 5 + [(128, 1), (heatmaps, 1)]
        for stage in _STAGES:
            self._row(heatmaps + _FEATURES, [(f"Mconv{i}_stage{stage}", *shape) for i, shape in enumerate(shapes, 1)])

    def _row(self, inputs: int, layers: list[tuple[str, int, int]]) -> int:
        """Add consecutive convolutions (name, outputs, kernel); return the number of output channels of the last."""
        for name, outputs, kernel in layers:
            self.add_module(name, nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))
            inputs = outputs
        return inputs

    def _relu(self, x: Tensor, name: str) -> Tensor:
        return F.relu(self.get_submodule(name)(x))

    def stages(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> heatmaps of the six stages, each as of `forward`; all are supervised in training."""
        x = images
        for block, (count, _) in enumerate(_VGG, 1):
            x = F.max_pool2d(x, 2) if 2 <= block <= 4 else x
            for i in range(1, count + 1):
                x = self._relu(x, f"conv{block}_{i}")
        features = self._relu(x, "conv5_3_CPM")
        outputs = [self.get_submodule("conv6_2_CPM")(self._relu(features, "conv6_1_CPM"))]
        for stage in _STAGES:
            x = torch.cat([outputs[-1], features], 1)
            for i in range(1, 7):
                x = self._relu(x, f"Mconv{i}_stage{stage}")
            outputs.append(self.get_submodule(f"Mconv7_stage{stage}")(x))
        return outputs

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> heatmaps (N, K + 1, H/8, W/8) of the last stage."""
        return self.stages(images)[-1]
