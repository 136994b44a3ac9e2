"""Weights to start from: those of a trained network for other joints, its head mapped by the joints' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from posetrail.errors import InputError
from posetrail.joint_mapping import meaning
from posetrail.skeletons import Skeleton

_FRESH_STD = 0.001  # of the last layer of heatmap networks, so that the first answer is nearly the empty map


@dataclass(frozen=True)
class Started:
    """What a network starts with, for the log."""

    taken: tuple[str, ...]  # joints whose channels were taken over
    fresh: tuple[str, ...]  # joints that start with random weights
    fresh_weights: tuple[str, ...]  # names of tensors that the given weights do not have, or in another shape


def start_from(network: nn.Module, state: Mapping[str, Tensor], trained_for: Skeleton, skeleton: Skeleton) -> Started:
    """Load weights that were trained for the joints of another skeleton.

    Channels of joints that both skeletons have are taken over by the name of the joint; others, and tensors that fit in
    no way, keep their random weights.

    Args:
        network: for the joints of `skeleton`; changed in place.
        state: of the same architecture.
        trained_for: the skeleton of `state`.
        skeleton: of the network.

    Raises:
        InputError: less than half of the network's parameters have weights in `state`.
    """
    columns = {meaning(trained_for, joint): k for k, joint in enumerate(trained_for.joints)}
    source = [columns.get(meaning(skeleton, joint), -1) for joint in skeleton.joints]
    own = network.state_dict()
    loaded, fresh = {}, []
    for name, value in own.items():
        given = state.get(name)
        fitted = None if given is None else _fitted(given, value, len(trained_for), source)
        if fitted is None and name.endswith("num_batches_tracked"):
            continue
        if fitted is None:
            fresh.append(name)
        else:
            loaded[name] = fitted
    if sum(own[name].numel() for name in fresh) > 0.5 * sum(value.numel() for value in own.values()):
        raise InputError(
            f"--from: expected weights of {type(network).__name__}, got others: {len(fresh)} of its {len(own)} tensors "
            f"are not in them, such as {fresh[0]}"
        )
    network.load_state_dict(loaded, strict=False)
    names = skeleton.joints
    return Started(
        taken=tuple(name for name, k in zip(names, source, strict=True) if k >= 0),
        fresh=tuple(name for name, k in zip(names, source, strict=True) if k < 0),
        fresh_weights=tuple(fresh),
    )


def _fitted(given: Tensor, own: Tensor, joints_before: int, source: list[int]) -> Tensor | None:
    """`given` with its channels of joints in the order of the network; None if it does not fit.

    Channels of a joint are next to each other: K or a multiple of K of them along one axis.
    """
    if given.ndim != own.ndim:
        return None
    same_joints = source == list(range(joints_before))
    if given.shape == own.shape and same_joints:
        return given
    axes = [axis for axis in range(own.ndim) if given.shape[axis] != own.shape[axis]]
    if not axes and given.shape == own.shape:
        # The same number of joints in another order: the head is recognised by a side of K or a multiple up to 4 K.
        axes = [a for a in range(min(own.ndim, 2)) if own.shape[a] in {m * joints_before for m in (1, 2, 4)}][:1]
        if not axes:
            return given
    if len(axes) != 1:
        return None
    axis = axes[0]
    each, rest = divmod(given.shape[axis], joints_before)
    if rest or own.shape[axis] != each * len(source):
        return None
    before = given.movedim(axis, 0).unflatten(0, (joints_before, each))
    after = own.clone().movedim(axis, 0).unflatten(0, (len(source), each))
    rows = torch.tensor(source)
    after[rows >= 0] = before[rows[rows >= 0]].to(after)
    return after.flatten(0, 1).movedim(0, axis).contiguous()


def initialise_head(network: nn.Module) -> None:
    """Make the first answer of a heatmap network nearly empty: its last convolution is N(0, 0.001), as published."""
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    nn.init.normal_(last.weight, std=_FRESH_STD)
    if last.bias is not None:
        nn.init.zeros_(last.bias)
