"""SimpleBaseline, a top-down network: a ResNet and three deconvolutions.

Paper: Xiao et al. 2018, "Simple Baselines for Human Pose Estimation and Tracking". Original code and weights:
microsoft/human-pose-estimation.pytorch, MIT; layers are named as there. Training checkpoints contain the weights under
`state_dict`, with the prefix `module.`.

Input: crops (N, 3, H, W) of 192 x 256 or 288 x 384 (W x H) for COCO, 256 x 256 or 384 x 384 for MPII; the box is
enlarged by 1.25. The published networks were trained with BGR / 255 normalised with ImageNet's mean (0.485, 0.456,
0.406) and standard deviation (0.229, 0.224, 0.225) of RGB.
Output: heatmaps (N, 17, H/4, W/4) for COCO, (N, 16, H/4, W/4) for MPII, without activation.
"""

from __future__ import annotations

from torch import Tensor, nn

from estimators.networks.deconvolution import deconvolutions
from estimators.networks.resnet import ResNet


class SimpleBaseline(ResNet):
    """SimpleBaseline.

    Args:
        depth: number of layers of the ResNet.
        joints: number of joints: 17 for COCO, 16 for MPII.
        caffe: position of the stride in bottlenecks, see ResNet; keys and shapes are the same, values differ.
    """

    def __init__(self, depth: int, *, joints: int = 17, caffe: bool = False) -> None:
        super().__init__(depth, caffe=caffe)
        self.deconv_layers = deconvolutions(512 if depth < 50 else 2048, 256, 256, 256)
        self.final_layer = nn.Conv2d(256, joints, 1)

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override] # the checkpoints have the backbone at the top level
        """(N, 3, H, W) -> heatmaps (N, joints, H/4, W/4)."""
        return self.final_layer(self.deconv_layers(super().forward(images)[-1]))
