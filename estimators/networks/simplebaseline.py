"""Simple Baselines: a ResNet and three deconvolutions.

Paper: Xiao et al. 2018, "Simple Baselines for Human Pose Estimation and Tracking". Original code:
microsoft/human-pose-estimation.pytorch, MIT; keys as there (training checkpoints hold them under `state_dict` with
`module.` in front).

Input: one person, 256 x 192 or 384 x 288 (H x W) for COCO, 256 x 256 or 384 x 384 for MPII, the box 1.25 times as
large. The published networks saw images in the order BGR, /255, yet less the ImageNet mean and over the deviation in
the order RGB: 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225. Output: a heatmap per joint at stride 4, with no activation.
"""

from __future__ import annotations

from torch import Tensor, nn

from estimators.networks.deconvolution import deconvolutions
from estimators.networks.resnet import ResNet


class SimpleBaseline(ResNet):
    """A ResNet with deconvolutions behind it.

    Args:
        depth: of the ResNet.
        joints: 17 for COCO, 16 for MPII.
        caffe: the kind of bottleneck, see ResNet; keys and shapes are the same, numbers are not.
    """

    def __init__(self, depth: int, *, joints: int = 17, caffe: bool = False) -> None:
        super().__init__(depth, caffe=caffe)
        self.deconv_layers = deconvolutions(512 if depth < 50 else 2048, 256, 256, 256)
        self.final_layer = nn.Conv2d(256, joints, 1)

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override] # the keys want the body at the top
        """(N, 3, H, W) -> heatmaps (N, joints, H / 4, W / 4)."""
        return self.final_layer(self.deconv_layers(super().forward(images)[-1]))
