"""PyraNet as wenbc21 wrote it for PyTorch, a top-down network: two hourglasses of pyramid modules.

Layers are named as in wenbc21/PyraNet, which has no licence file. It differs from the network of the paper's authors
(`pyranet`): all blocks are pyramid modules, their scales are resized to the nearest cell, and every shortcut has a
convolution.

Input: crops (N, 3, 256, 256), RGB; its normalisation is not known, and taken to be 0..1 without mean.
Outputs: a list of two heatmaps (N, 16, H/4, W/4) of MPII's joints, one per stack; the last is the result.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .pyranet import NormReluConv

_WIDTH = 256
_DEPTH = 4
_JOINTS = 16
_SCALES = 4
_MODULES = 2  # at each place


class PyramidModule(nn.Module):
    """Sum of the input at scales 2^-1 to 2^(-1/4), convolved and enlarged again, plus a convolved shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        for i in range(1, _SCALES + 1):
            self.add_module(f"branch{i}", NormReluConv(inputs, half, 1))
        self.branch5 = NormReluConv(inputs, outputs, 1)
        for i in range(1, _SCALES + 1):
            self.add_module(f"bottleneck{i}", NormReluConv(half, outputs, 3))
        self.smooth = NormReluConv(outputs, outputs, 1)
        for i in range(2, _SCALES + 1):  # in checkpoints, but unused: all scales begin with the first branch
            self.get_submodule(f"branch{i}").requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        reduced = self.get_submodule("branch1")(x)
        size = (x.shape[2], x.shape[3])
        scales = []
        for i in range(1, _SCALES + 1):
            small = F.interpolate(reduced, scale_factor=2 ** ((i - 1) / _SCALES - 1))
            scales.append(F.interpolate(self.get_submodule(f"bottleneck{i}")(small), size=size))
        return self.branch5(x) + self.smooth(sum(scales))


def _modules() -> nn.Sequential:
    return nn.Sequential(*(PyramidModule(_WIDTH, _WIDTH) for _ in range(_MODULES)))


class Hourglass(nn.Module):
    """Encoder and decoder with a shortcut at each resolution."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.up1_ = _modules()
        self.down1_ = _modules()
        self.inner = "down2" if depth > 1 else "down2_"
        self.add_module(self.inner, Hourglass(depth - 1) if depth > 1 else _modules())
        self.down3_ = _modules()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 256, H, W) -> the same shape; sides are multiples of 2^depth."""
        low = self.down3_(self.get_submodule(self.inner)(self.down1_(F.max_pool2d(x, 2))))
        return self.up1_(x) + F.interpolate(low, scale_factor=2.0)


class PyraNetWenbc21(nn.Module):
    """Stem to stride 4 and stacked hourglasses, by default for the 16 joints of MPII."""

    def __init__(self, stacks: int, *, joints: int = _JOINTS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 1, 2)
        self.prm1 = PyramidModule(64, 64)
        self.prm2 = PyramidModule(64, _WIDTH)
        self.hourglass = nn.ModuleList(Hourglass(_DEPTH) for _ in range(stacks))
        self.Residual = nn.ModuleList(PyramidModule(_WIDTH, _WIDTH) for _ in range(stacks * _MODULES))
        self.lin_ = nn.ModuleList(
            nn.Sequential(nn.Conv2d(_WIDTH, _WIDTH, 1), nn.BatchNorm2d(_WIDTH), nn.ReLU()) for _ in range(stacks)
        )
        self.tmpOut = nn.ModuleList(nn.Conv2d(_WIDTH, joints, 1) for _ in range(stacks))
        self.ll_ = nn.ModuleList(nn.Conv2d(_WIDTH, _WIDTH, 1) for _ in range(stacks - 1))
        self.tmpOut_ = nn.ModuleList(nn.Conv2d(joints, _WIDTH, 1) for _ in range(stacks - 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> one (N, joints, H/4, W/4) per stack."""
        x = self.prm2(F.max_pool2d(self.prm1(self.conv1(images)), 2))
        maps: list[Tensor] = []
        for i, hourglass in enumerate(self.hourglass):
            features = hourglass(x)
            for block in self.Residual[i * _MODULES : (i + 1) * _MODULES]:
                features = block(features)
            features = self.lin_[i](features)
            maps.append(self.tmpOut[i](features))
            if i < len(self.ll_):
                x = x + self.ll_[i](features) + self.tmpOut_[i](maps[i])
        return maps
