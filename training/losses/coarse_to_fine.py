"""Losses of CPN and MSPN: broad targets for coarse outputs, narrow ones for fine outputs, and the hardest joints last.

The target is that of `targets.blurred.blurred_maps`: one map per joint and level, and the visibility of the joints: 0
not labelled or outside, 1 occluded, 2 visible. In the authors' code, coarse outputs learn an empty map for every joint
that is not visible, while the finest output learns all labelled joints; `invisible_as_empty` does that, where published
scores must be reached. It is off by default: data sets differ in what is not labelled.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.losses.heatmaps import ohkm_mse, weighted_mse
from training.losses.stages import outputs_of

_VISIBLE = 1.1  # above the number of an occluded joint


def cpn_loss(
    outputs: Any,
    target: Tensor,
    visibility: Tensor,
    *,
    hardest: int = 8,
    invisible_as_empty: bool = False,
    coarse_factor: float = 0.5,
) -> Tensor:
    """Squared errors of the pyramid's levels, and of the hardest joints of the refined maps.

    Chen et al. 2018, "Cascaded Pyramid Network", as in GengDavid/pytorch-cpn.

    Args:
        outputs: as of `stages.outputs_of`: the levels, coarsest first, and the refined maps.
        target: (B, levels, K, H, W); the last is the target of the refined maps too.
        visibility: (B, K).
        hardest: as of `heatmaps.ohkm_mse`.
        invisible_as_empty: see the module.
        coarse_factor: factor on the losses of the levels; 0.125 in the authors' TensorFlow code.
    """
    *levels, refined = outputs_of(outputs)
    losses = [
        coarse_factor * _coarse(each, target[:, i], visibility, invisible_as_empty) for i, each in enumerate(levels)
    ]
    losses.append(ohkm_mse(refined, target[:, len(levels) - 1], _labelled(visibility), hardest=hardest))
    return torch.stack(losses).sum()


def mspn_loss(
    outputs: Any,
    target: Tensor,
    visibility: Tensor,
    *,
    levels: int = 4,
    hardest: int | None = 8,
    finer_last: bool = True,
    invisible_as_empty: bool = False,
) -> Tensor:
    """Squared errors of all stages and levels; at the finest level, of the hardest joints.

    Li et al. 2019, "Rethinking on Multi-Stage Networks for Human Pose Estimation", sections 3.3 and 4, and published
    code.

    Args:
        outputs: as of `stages.outputs_of`: the levels of each stage, coarsest first.
        target: (B, levels + 1, K, H, W), or at least `levels` without `finer_last`.
        visibility: (B, K).
        levels: outputs of a stage.
        hardest: as of `heatmaps.ohkm_mse`; None to count all joints at the finest level too.
        finer_last: whether the last stage is trained with the next narrower targets.
        invisible_as_empty: see the module.
    """
    each = outputs_of(outputs)
    last_stage = len(each) - levels
    losses = []
    for i, maps in enumerate(each):
        level = i % levels
        labels = target[:, level + (finer_last and i >= last_stage)]
        if level < levels - 1:
            losses.append(_coarse(maps, labels, visibility, invisible_as_empty) / 4)
        elif hardest is None:
            losses.append(_coarse(maps, labels, visibility, invisible_as_empty))
        else:
            losses.append(ohkm_mse(maps, labels, _labelled(visibility), hardest=hardest))
    return torch.stack(losses).sum()


def _coarse(outputs: Tensor, target: Tensor, visibility: Tensor, invisible_as_empty: bool) -> Tensor:
    if not invisible_as_empty:
        return weighted_mse(outputs, target, _labelled(visibility))
    shown = target * (visibility > _VISIBLE)[..., None, None]
    return weighted_mse(outputs, shown, torch.ones_like(visibility))


def _labelled(visibility: Tensor) -> Tensor:
    return (visibility > 0).float()
