"""ResNet as a body: torchvision's, without its classifier, so that it gives its four levels under torchvision's keys.

Papers: He et al. 2016, "Deep Residual Learning for Image Recognition"; Hu et al. 2018, "Squeeze-and-Excitation
Networks", for the gate.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.resnet import ResNet as Classifier

_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # per layer, by depth


class ResNet(Classifier):  # type: ignore[misc] # torchvision has no types
    """The four levels of a ResNet.

    Args:
        depth: 18, 50, 101 or 152 layers.
        block: what it is built of; by default two 3x3 convolutions up to depth 18, else a bottleneck.
        caffe: halve in the first convolution of a bottleneck, as in the paper, instead of in its 3x3.
    """

    def __init__(self, depth: int, *, block: type[nn.Module] | None = None, caffe: bool = False) -> None:
        super().__init__(block or (BasicBlock if depth < 50 else Bottleneck), _BLOCKS[depth])
        del self.avgpool, self.fc
        if caffe:
            for layer in (self.layer2, self.layer3, self.layer4):
                layer[0].conv1.stride, layer[0].conv2.stride = layer[0].conv2.stride, layer[0].conv1.stride

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, 3, H, W) -> strides 4, 8, 16, 32 with 256, 512, 1024, 2048 channels; at depth 18 a quarter of them."""
        x1 = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(images)))))
        x2 = self.layer2(x1)
        x3 = self.layer3(x2)
        return x1, x2, x3, self.layer4(x3)


class Gate(nn.Module):
    """Channels weighted by what their means say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same."""
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class GatedBottleneck(Bottleneck):  # type: ignore[misc]
    """A bottleneck that is gated before the shortcut is added, but only where the shortcut has a convolution."""

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
