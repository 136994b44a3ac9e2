"""Cascaded Inception of Inception, a top-down network: blocks of several fields, weighted by attention, joint by joint.

Paper: Liu et al. 2018, "A Cascaded Inception of Inception Network with Attention Modulated Feature Fusion for Human
Pose Estimation". Original weights: LiuwtWinter/Cascaded-Inception-of-Inception, a Caffe network without a licence file;
layers are named as there.

Input: crops (N, 4, 256, 256), BGR / 256 - 0.5 and a Gaussian of sigma 21 pixels at the centre of the crop. Outputs:
heatmaps (N, joints + 1, H/8, W/8) of the stages, stage2 and stage3; the last is the result, and the last map is the
background. The published joints are those of `posetrail.skeletons.MPI_14`.

Each stage predicts in three steps: all joints, of which it keeps the first group (head and neck); the others, of which
it keeps the second group (shoulders and hips); and the rest. Each step sees what was kept before.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_WIDTH = 128
_NARROW = 64
_FEATURES = 32  # channels of the image features of a stage
# In the authors' names, kernels have a multiplication sign.
_REDUCE, _INCREASE, _WEIGH = "conv_1\u00d71_reduce", "conv_1\u00d71_increase", "conv2_1\u00d71"
_CONV, _CONV2 = "conv_3\u00d73", "conv2_3\u00d73"
_FIELDS = "sml"  # small, medium and large: one, two and three units in a row
_SHARED_UNITS = ("conv3_1_stage2_res", "conv3_2_stage2_res")
_UNITS_OF_STAGE_2 = ("conv4_stage2_res", "conv4_1_stage2_res")
_UNITS_OF_STAGE_3 = ("conv1_stage3_res", "conv1_1_stage3_res", "conv1_2_stage3_res")
_RENAMED = {"conv1_4_stage2": "bn1_4_stage2", "conv2_stage2": "bn2_stage2"}  # norms that are named otherwise
_PUBLISHED_GROUPS: tuple[tuple[int, ...], tuple[int, ...]] = (
    (0, 1),
    (2, 5, 8, 11),
)  # of 14 joints: head and neck; shoulders and hips


def _norm_of(convolution: str) -> str:
    """The name of a convolution's norm."""
    return f"{_RENAMED.get(convolution, convolution)}/bn"


def joint_groups(joints: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The joints of the three steps; for another number than the published one, a third of them in each."""
    thirds = tuple(range(joints // 3)), tuple(range(joints // 3, 2 * joints // 3))
    first, second = _PUBLISHED_GROUPS if joints == 14 else thirds
    return first, second, tuple(k for k in range(joints) if k not in (*first, *second))


class CascadedIOI(nn.Module):
    """Trunk with dense blocks and Inception units, and two stages of three steps.

    The names of its layers are those of Caffe, in which `/` divides what would be modules here.
    """

    def __init__(self, *, joints: int = 14) -> None:
        super().__init__()
        self.groups = joint_groups(joints)
        maps = joints + 1
        self._add("conv1_stage2", 3, _WIDTH, 5, stride=2)
        self._add_dense("conv1", 3)
        self._add("conv1_4_stage2", _WIDTH + 3 * _NARROW, _WIDTH, 1)
        self._add("conv2_stage2", _WIDTH, _WIDTH, 3, stride=2)
        self._add_dense("conv2", 4)
        self._add("conv2_5_stage2", _WIDTH + 4 * _NARROW, _WIDTH, 1)
        self._add("conv2_6_stage2", _WIDTH, _WIDTH, 3, stride=2)
        for name in _SHARED_UNITS + _UNITS_OF_STAGE_2:
            self._add_unit(name, _WIDTH, _WIDTH)
        self._add_unit("conv4_2_stage2_res", _WIDTH, _FEATURES, projected=True)
        self._add_stage("stage2", _FEATURES + 1, maps)
        for name in _UNITS_OF_STAGE_3:
            self._add_unit(name, _WIDTH, _WIDTH)
        self._add_stage("stage3", _WIDTH + maps + 1, maps)

    def _add(self, name: str, inputs: int, outputs: int, kernel: int, *, stride: int = 1, norm: bool = True) -> None:
        self.add_module(name, nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2))
        if norm:
            self.add_module(_norm_of(name), nn.BatchNorm2d(outputs))

    def _add_dense(self, name: str, blocks: int) -> None:
        for i in range(1, blocks + 1):
            self._add(f"{name}_{i}_stage2/bc1/conv", _WIDTH + (i - 1) * _NARROW, _WIDTH, 1)
            self._add(f"{name}_{i}_stage2/composite/conv", _WIDTH, _NARROW, 3)

    def _add_unit(
        self, name: str, inputs: int, outputs: int, *, narrow: int = _NARROW, projected: bool = False
    ) -> None:
        self._add(f"{name}/branch1/{_REDUCE}", inputs, narrow, 1)
        self._add(f"{name}/branch2/{_REDUCE}", inputs, narrow, 1)
        self._add(f"{name}/branch2/{_CONV}", narrow, narrow, 3)
        self._add(f"{name}/branch3/{_REDUCE}", inputs, narrow, 1)
        self._add(f"{name}/branch3/{_CONV}", narrow, narrow, 3)
        self._add(f"{name}/branch3/{_CONV2}", narrow, narrow, 3)
        self._add(f"{name}/branch5/{_INCREASE}", 3 * narrow, outputs, 1)
        if projected:
            self._add(f"{name}/branch6/{_INCREASE}", inputs, outputs, 1)

    def _add_block(self, name: str, inputs: int, narrow: int, *, projected: bool) -> None:
        for length, field in enumerate(_FIELDS, 1):
            self._add_unit(f"{name}/branch{field}_1", inputs, _WIDTH, narrow=narrow, projected=projected)
            for i in range(2, length + 1):
                self._add_unit(f"{name}/branch{field}_{i}", _WIDTH, _WIDTH)
            self._add(f"{name}/branch{field}/{_REDUCE}", _WIDTH, _NARROW, 1, norm=False)
        weights = len(_FIELDS) * _NARROW
        self._add(f"{name}/branchsml_1/{_CONV}", len(_FIELDS) * _WIDTH, weights, 3, stride=2)
        self._add(f"{name}/branchsml_2/{_CONV}", weights, weights, 3)
        self._add(f"{name}/branchsml_d/{_CONV}", len(_FIELDS) * _WIDTH, weights, 3)
        self._add(f"{name}/branchsml_3/{_CONV}", weights, weights, 3)
        self._add(f"{name}/branchsml/{_WEIGH}", weights, weights, 1, norm=False)
        self.add_module(f"{name}/weighted_all/bn", nn.BatchNorm2d(_NARROW))
        self._add(f"{name}/branch5/{_INCREASE}", _NARROW, _WIDTH, 1)
        if projected:
            self._add(f"{name}/branch6/{_INCREASE}", inputs, _WIDTH, 1)

    def _add_stage(self, stage: str, features: int, maps: int) -> None:
        first, second, _ = map(len, self.groups)
        narrow = max(_NARROW, features // 2)
        wider = max(_NARROW, (features + maps) // 2)
        self._add_block(f"Mconv1_{stage}_res", features, narrow, projected=True)
        self._add_scores("Mconv1", stage, maps)
        self._add_block(f"Mconv2_1_{stage}_res", features + maps, wider, projected=True)
        self._add_block(f"Mconv2_2_{stage}_res", _WIDTH, _NARROW, projected=False)
        self._add_scores("Mconv2", stage, maps - first)
        self._add_block(f"Mconv3_1_{stage}_res", features + first + second, wider, projected=True)
        for i in (2, 3):
            self._add_block(f"Mconv3_{i}_{stage}_res", _WIDTH, _NARROW, projected=False)
        self._add_scores("Mconv3", stage, maps - first - second)

    def _add_scores(self, name: str, stage: str, maps: int) -> None:
        self._add(f"{name}_1_{stage}", _WIDTH, _WIDTH, 1, norm=False)
        self._add(f"{name}_2_{stage}", _WIDTH, maps, 1, norm=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(N, 4, H, W) -> stage2, stage3: each (N, joints + 1, H/8, W/8)."""
        image, centre = x[:, :3], F.avg_pool2d(x[:, 3:], 9, 8, ceil_mode=True)
        x = self._dense("conv1", 3, self._conv("conv1_stage2", image))
        x = self._dense("conv2", 4, self._conv("conv2_stage2", self._conv("conv1_4_stage2", x)))
        shared = self._units(_SHARED_UNITS, self._conv("conv2_6_stage2", self._conv("conv2_5_stage2", x)))
        features = self._unit("conv4_2_stage2_res", self._units(_UNITS_OF_STAGE_2, shared))
        steps = self._stage("stage2", torch.cat([features, centre], 1))
        by_step = torch.cat(steps, 1)
        features = self._units(_UNITS_OF_STAGE_3, shared)
        last = torch.cat(self._stage("stage3", torch.cat([features, by_step, centre], 1)), 1)
        return {"stage2": by_step, "stage3": last[:, self._order()]}

    def _order(self) -> list[int]:
        """Where the map of each joint is among those by step; the background stays last."""
        by_step = [k for group in self.groups for k in group]
        return [*(by_step.index(k) for k in range(len(by_step))), len(by_step)]

    def _conv(self, name: str, x: Tensor, *, relu: bool = True) -> Tensor:
        """Convolution, its norm where it has one, and ReLU."""
        x = self.get_submodule(name)(x)
        if _norm_of(name) in self._modules:
            x = self.get_submodule(_norm_of(name))(x)
        return F.relu(x) if relu else x

    def _dense(self, name: str, blocks: int, x: Tensor) -> Tensor:
        for i in range(1, blocks + 1):
            inner = self._conv(f"{name}_{i}_stage2/bc1/conv", x)
            x = torch.cat([x, self._conv(f"{name}_{i}_stage2/composite/conv", inner)], 1)
        return x

    def _units(self, names: tuple[str, ...], x: Tensor) -> Tensor:
        for name in names:
            x = self._unit(name, x)
        return x

    def _unit(self, name: str, x: Tensor) -> Tensor:
        """Residual unit with branches of no, one and two 3x3 convolutions."""
        one = self._conv(f"{name}/branch1/{_REDUCE}", x, relu=False)
        two = self._conv(f"{name}/branch2/{_REDUCE}", x)
        two = self._conv(f"{name}/branch2/{_CONV}", two, relu=False)
        three = self._conv(f"{name}/branch3/{_REDUCE}", x)
        three = self._conv(f"{name}/branch3/{_CONV}", three)
        three = self._conv(f"{name}/branch3/{_CONV2}", three, relu=False)
        return self._with_shortcut(name, F.relu(torch.cat([one, two, three], 1)), x)

    def _with_shortcut(self, name: str, inner: Tensor, x: Tensor) -> Tensor:
        shortcut = f"{name}/branch6/{_INCREASE}"
        x = self._conv(shortcut, x, relu=False) if shortcut in self._modules else x
        return F.relu(self._conv(f"{name}/branch5/{_INCREASE}", inner, relu=False) + x)

    def _block(self, name: str, x: Tensor) -> Tensor:
        """Inception of Inception: fields of three sizes, weighted by attention and added up (sections 3.2 and 3.3)."""
        fields, reduced = [], []
        for length, field in enumerate(_FIELDS, 1):
            fields.append(self._units(tuple(f"{name}/branch{field}_{i}" for i in range(1, length + 1)), x))
            reduced.append(self._conv(f"{name}/branch{field}/{_REDUCE}", fields[-1], relu=False))
        together = torch.cat(fields, 1)
        coarse = self._conv(f"{name}/branchsml_1/{_CONV}", together)
        coarse = self._conv(f"{name}/branchsml_2/{_CONV}", coarse, relu=False)
        size = (together.shape[2], together.shape[3])
        coarse = F.interpolate(coarse, size=size, mode="bilinear", align_corners=True)
        merged = F.relu(coarse + self._conv(f"{name}/branchsml_d/{_CONV}", together, relu=False))
        merged = self._conv(f"{name}/branchsml_3/{_CONV}", merged)
        weights = torch.sigmoid(self._conv(f"{name}/branchsml/{_WEIGH}", merged, relu=False))
        weighted = torch.unflatten(torch.cat(reduced, 1) * weights, 1, (len(_FIELDS), _NARROW)).sum(1)
        return self._with_shortcut(name, F.relu(self.get_submodule(f"{name}/weighted_all/bn")(weighted)), x)

    def _stage(self, stage: str, x: Tensor) -> list[Tensor]:
        """Maps of the first, the second and the third group of joints; those of the background come last."""
        first, second, _ = self.groups
        left = [k for k in range(sum(map(len, self.groups))) if k not in first]
        all_maps = self._scores("Mconv1", stage, self._block(f"Mconv1_{stage}_res", x))
        kept = all_maps[:, list(first)]
        inner = self._block(f"Mconv2_1_{stage}_res", torch.cat([x, all_maps], 1))
        maps = self._scores("Mconv2", stage, self._block(f"Mconv2_2_{stage}_res", inner))
        kept_next = maps[:, [left.index(k) for k in second]]
        inner = self._block(f"Mconv3_1_{stage}_res", torch.cat([x, kept, kept_next], 1))
        for i in (2, 3):
            inner = self._block(f"Mconv3_{i}_{stage}_res", inner)
        return [kept, kept_next, self._scores("Mconv3", stage, inner)]

    def _scores(self, name: str, stage: str, x: Tensor) -> Tensor:
        return self._conv(f"{name}_2_{stage}", self._conv(f"{name}_1_{stage}", x), relu=False)
