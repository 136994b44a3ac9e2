"""OSNet, an appearance network: an embedding of 512 numbers that identifies the same person in other frames.

Papers: Zhou et al. 2019, "Omni-Scale Feature Learning for Person Re-Identification"; Zhou et al. 2021, "Learning
Generalisable Omni-Scale Representations for Person Re-Identification" (AIN). Original code and weights:
KaiyangZhou/deep-person-reid, MIT; layers are named as there.

Input: crops (N, 3, H, W) of a person resized to 128 x 256 (W x H; other sizes work), RGB / 255, ImageNet's mean and
standard deviation. Outputs: a dict, see `OSNet.forward`. Embeddings are not normalised; compare them by cosine
similarity. The `classifier` of a published checkpoint has one row per person of its training set, such as 751 for
Market-1501, and is used in training only.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posetrail.layers import ConvBnAct

_WIDTHS = (64, 256, 384, 512)
_SCALES = 4  # streams of a block, with receptive fields of 3, 5, 7 and 9 cells
_FEATURES = 512

_Linear = partial(ConvBnAct, kernel=1, activation=None)
_InstanceNorm = partial(nn.InstanceNorm2d, affine=True)


class LightConv(nn.Module):
    """1x1 convolution, 3x3 depthwise convolution, batch norm and ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        return F.relu(self.bn(self.conv2(self.conv1(x))))


class Gate(nn.Module):
    """Channel weights computed from the channel means; the streams of a block share one gate (2019, section 3.3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, width // 16, 1)
        self.fc2 = nn.Conv2d(width // 16, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        means = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(means))))


def _streams(width: int) -> list[nn.Sequential]:
    return [nn.Sequential(*(LightConv(width) for _ in range(depth))) for depth in range(1, _SCALES + 1)]


class OSBlock(nn.Module):
    """Omni-scale block: four streams with different receptive fields, gated and summed, and a shortcut.

    Args:
        inputs: number of input channels.
        outputs: number of output channels; the streams have a quarter of them.
        norm: whether instance norm follows the sum with the shortcut, which removes colour casts ("ibn").
    """

    def __init__(self, inputs: int, outputs: int, *, norm: bool = False) -> None:
        super().__init__()
        width = outputs // 4
        self.conv1 = ConvBnAct(inputs, width, 1)
        (self.conv2a,), self.conv2b, self.conv2c, self.conv2d = _streams(width)
        self.gate = Gate(width)
        self.conv3 = _Linear(width, outputs)
        self.downsample = nn.Identity() if inputs == outputs else _Linear(inputs, outputs)
        self.IN = _InstanceNorm(outputs) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        y = self.conv1(x)
        y = (
            self.gate(self.conv2a(y))
            + self.gate(self.conv2b(y))
            + self.gate(self.conv2c(y))
            + self.gate(self.conv2d(y))
        )
        return F.relu(self.IN(self.conv3(y) + self.downsample(x)))


class SearchedBlock(nn.Module):
    """OSBlock with its streams in a list and, optionally, instance norm instead of the batch norm of conv3 ("ain")."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool) -> None:
        super().__init__()
        width = outputs // 4
        self.conv1 = ConvBnAct(inputs, width, 1)
        self.conv2 = nn.ModuleList(nn.Sequential(OrderedDict(layers=stream)) for stream in _streams(width))
        self.gate = Gate(width)
        self.conv3 = _Linear(width, outputs)
        self.downsample = nn.Identity() if inputs == outputs else _Linear(inputs, outputs)
        self.IN: nn.Module = nn.Identity()
        if norm:
            self.conv3.bn, self.IN = nn.Identity(), _InstanceNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        y = self.conv1(x)
        y = torch.stack([self.gate(stream(y)) for stream in self.conv2]).sum(0)
        return F.relu(self.IN(self.conv3(y)) + self.downsample(x))


def _halved(width: int) -> list[nn.Module]:
    return [ConvBnAct(width, width, 1), nn.AvgPool2d(2)]


class OSNet(nn.Module):
    """OSNet of 2019.

    Args:
        widen: factor on the number of channels.
        norm: whether the first layers have instance norm, for cameras that differ from the training set ("ibn").
        classes: number of people in the training set.
    """

    def __init__(self, widen: float = 1, *, norm: bool = False, classes: int = 1000) -> None:
        super().__init__()
        stem, a, b, c = (int(width * widen) for width in _WIDTHS)
        self.conv1 = _stem(stem, norm=norm)
        self.conv2 = nn.Sequential(OSBlock(stem, a, norm=norm), OSBlock(a, a, norm=norm), nn.Sequential(*_halved(a)))
        self.conv3 = nn.Sequential(OSBlock(a, b), OSBlock(b, b), nn.Sequential(*_halved(b)))
        self.conv4 = nn.Sequential(OSBlock(b, c), OSBlock(c, c))
        self.conv5 = ConvBnAct(c, c, 1)
        self.fc = _embedding(c)
        self.classifier = nn.Linear(_FEATURES, classes)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> feature (N, 512) >= 0, featuremap (N, C, H/16, W/16), logits (N, classes)."""
        x = F.max_pool2d(self.conv1(images), 3, 2, 1)
        return _outputs(self, self.conv5(self.conv4(self.conv3(self.conv2(x)))))


class OSNetAIN(nn.Module):
    """OSNet-AIN of 2021, in which an architecture search placed the instance norms.

    Args:
        classes: number of people in the training set.
    """

    def __init__(self, *, classes: int = 1000) -> None:
        super().__init__()
        stem, a, b, c = _WIDTHS
        self.conv1 = _stem(stem, norm=True)
        self.conv2 = nn.Sequential(SearchedBlock(stem, a, norm=True), SearchedBlock(a, a, norm=True))
        self.pool2 = nn.Sequential(*_halved(a))
        self.conv3 = nn.Sequential(SearchedBlock(a, b, norm=False), SearchedBlock(b, b, norm=True))
        self.pool3 = nn.Sequential(*_halved(b))
        self.conv4 = nn.Sequential(SearchedBlock(b, c, norm=True), SearchedBlock(c, c, norm=False))
        self.conv5 = ConvBnAct(c, c, 1)
        self.fc = _embedding(c)
        self.classifier = nn.Linear(_FEATURES, classes)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> feature (N, 512) >= 0, featuremap (N, C, H/16, W/16), logits (N, classes)."""
        x = F.max_pool2d(self.conv1(images), 3, 2, 1)
        x = self.pool3(self.conv3(self.pool2(self.conv2(x))))
        return _outputs(self, self.conv5(self.conv4(x)))


def _stem(width: int, *, norm: bool) -> ConvBnAct:
    stem = ConvBnAct(3, width, 7, 2)
    if norm:
        stem.bn = _InstanceNorm(width)
    return stem


def _embedding(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, _FEATURES), nn.BatchNorm1d(_FEATURES), nn.ReLU())


def _outputs(network: OSNet | OSNetAIN, featuremap: Tensor) -> dict[str, Tensor]:
    feature = network.fc(featuremap.mean((2, 3)))
    return {"feature": feature, "featuremap": featuremap, "logits": network.classifier(feature)}
