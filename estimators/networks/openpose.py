"""OpenPose for COCO and MPII, bottom-up networks: heatmaps of all people's joints, part affinity fields along limbs.

Paper: Cao et al. 2017, "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields". Original code and
weights: ZheC/Realtime_Multi-Person_Pose_Estimation, Caffe networks, for non-commercial use only (CMU); layers are named
as in Caffe.

Input: (N, 3, H, W), BGR / 256 - 0.5; the image is scaled to a height of about 368 and padded to multiples of 8.
Outputs: fields (N, 38, H/8, W/8), x and y for each of 19 limbs; heatmaps (N, 19, H/8, W/8), the background last. The
joints are those of `posetrail.skeletons.OPENPOSE_18`. For MPII: 28 fields and 16 heatmaps, the joints of
OPENPOSE_MPI_15.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_VGG = (
    (2, 64),
    (2, 128),
    (4, 256),
    (2, 512),
)  # (convolutions, width) of the blocks of VGG-19, with max pooling between them
_STAGES = range(2, 7)  # the input of stage 1 are the features alone


class OpenPose(nn.Module):
    """Features of VGG-19, then six stages with two branches: L1 for the fields, L2 for the heatmaps.

    Args:
        limbs: number of limbs; each has two fields.
        joints: number of joints; the background has a map, too.
    """

    def __init__(self, *, limbs: int = 19, joints: int = 18) -> None:
        super().__init__()
        inputs, fields, heatmaps = 3, 2 * limbs, joints + 1
        for block, (count, width) in enumerate(_VGG, 1):
            inputs = self._row(inputs, [(f"conv{block}_{i}", width, 3) for i in range(1, count + 1)])
        features = self._row(inputs, [("conv4_3_CPM", 256, 3), ("conv4_4_CPM", 128, 3)])
        for branch, outputs in (("L1", fields), ("L2", heatmaps)):
            shapes = [(128, 3)] * 3 + [(512, 1), (outputs, 1)]
            self._row(features, [(f"conv5_{i}_CPM_{branch}", *shape) for i, shape in enumerate(shapes, 1)])
            shapes = [(128, 7)] * 5 + [(128, 1), (outputs, 1)]
            for stage in _STAGES:
                names = [(f"Mconv{i}_stage{stage}_{branch}", *shape) for i, shape in enumerate(shapes, 1)]
                self._row(fields + heatmaps + features, names)

    def _row(self, inputs: int, layers: list[tuple[str, int, int]]) -> int:
        """Add consecutive convolutions (name, outputs, kernel); return the number of output channels of the last."""
        for name, outputs, kernel in layers:
            self.add_module(name, nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))
            inputs = outputs
        return inputs

    def _features(self, images: Tensor) -> Tensor:
        x = images
        for block, (count, _) in enumerate(_VGG, 1):
            x = x if block == 1 else F.max_pool2d(x, 2)
            for i in range(1, count + 1):
                x = F.relu(self.get_submodule(f"conv{block}_{i}")(x))
        return F.relu(self.get_submodule("conv4_4_CPM")(F.relu(self.get_submodule("conv4_3_CPM")(x))))

    def _branch(self, x: Tensor, name: str, layers: int) -> Tensor:
        for i in range(1, layers):
            x = F.relu(self.get_submodule(name.format(i))(x))
        return self.get_submodule(name.format(layers))(x)

    def stages(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(N, 3, H, W) -> fields and heatmaps of the six stages, each as of `forward`; all are supervised."""
        features = self._features(images)
        fields, heatmaps = (self._branch(features, f"conv5_{{}}_CPM_{branch}", 5) for branch in ("L1", "L2"))
        outputs = [(fields, heatmaps)]
        for stage in _STAGES:
            x = torch.cat([*outputs[-1], features], 1)
            fields, heatmaps = (self._branch(x, f"Mconv{{}}_stage{stage}_{branch}", 7) for branch in ("L1", "L2"))
            outputs.append((fields, heatmaps))
        return outputs

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> fields (N, 38, H/8, W/8), heatmaps (N, 19, H/8, W/8) of the last stage."""
        return self.stages(images)[-1]
