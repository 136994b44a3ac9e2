"""ResNet of torchvision as a backbone: returns its four levels instead of class scores; layers keep their names.

Papers: He et al. 2016, "Deep Residual Learning for Image Recognition"; Hu et al. 2018, "Squeeze-and-Excitation
Networks", for the gate. Code: torchvision, BSD-3-Clause. Input: (N, 3, H, W), normalised as the network that uses it
requires.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.resnet import ResNet as Classifier

_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # blocks per level, by depth


class ResNet(Classifier):  # type: ignore[misc] # torchvision has no types
    """ResNet backbone.

    Args:
        depth: number of layers: 18, 50, 101 or 152.
        block: class of the blocks; by default BasicBlock at depth 18, else Bottleneck.
        caffe: whether the first convolution of a bottleneck has stride 2, as in the paper, instead of the 3x3.
    """

    def __init__(self, depth: int, *, block: type[nn.Module] | None = None, caffe: bool = False) -> None:
        super().__init__(block or (BasicBlock if depth < 50 else Bottleneck), _BLOCKS[depth])
        del self.avgpool, self.fc
        if caffe:
            for layer in (self.layer2, self.layer3, self.layer4):
                layer[0].conv1.stride, layer[0].conv2.stride = layer[0].conv2.stride, layer[0].conv1.stride

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, 3, H, W) -> maps at strides 4, 8, 16, 32 with 256, 512, 1024, 2048 channels; a quarter at depth 18."""
        x1 = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(images)))))
        x2 = self.layer2(x1)
        x3 = self.layer3(x2)
        return x1, x2, x3, self.layer4(x3)


class Gate(nn.Module):
    """Channel weights computed from the channel means (squeeze and excitation)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class GatedBottleneck(Bottleneck):  # type: ignore[misc]
    """Bottleneck with a gate before the sum with the shortcut, but only where the shortcut has a convolution."""

    def __init__(
        self, inputs: int, width: int, stride: int = 1, downsample: nn.Module | None = None, *rest: Any, **options: Any
    ):
        super().__init__(inputs, width, stride, downsample, *rest, **options)
        self.se = nn.Identity() if downsample is None else Gate(width * self.expansion)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 4 width, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.se(self.bn3(self.conv3(y)))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))
