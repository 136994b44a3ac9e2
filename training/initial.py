"""Weights to start from: those of a trained network for other joints, its head mapped by the joints' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from estimators.refiner_recipes import REFINERS
from estimators.trained import Training
from posetrail.errors import InputError
from posetrail.joint_mapping import meaning

_IMAGE_CHANNELS = 3  # of the input of a refiner, in front of those of the joints
_FRESH_STD = 0.001  # of the last layer of heatmap networks, so that the first answer is nearly the empty map


@dataclass(frozen=True)
class Started:
    """What a network starts with, for the log."""

    taken: tuple[str, ...]  # joints whose channels were taken over
    fresh: tuple[str, ...]  # joints that start with random weights
    fresh_weights: tuple[str, ...]  # names of tensors that the given weights do not have, or in another shape


def start_from(network: nn.Module, state: Mapping[str, Tensor], before: Training, after: Training) -> Started:
    """Load weights that were trained for the joints of another skeleton.

    Channels of joints that both skeletons have are taken over by the name of the joint; others, and tensors that fit in
    no way, keep their random weights. So do those in which the place of the joints' channels among others is not known.

    Args:
        network: of `after`; changed in place.
        state: weights of the same architecture.
        before: what the weights were trained for.
        after: what the network will be trained for.

    Raises:
        InputError: less than half of the network's parameters have weights in `state`.
    """
    columns = {meaning(before.skeleton, joint): k for k, joint in enumerate(before.skeleton.joints)}
    source = torch.tensor([columns.get(meaning(after.skeleton, joint), -1) for joint in after.skeleton.joints])
    axes, own = joint_axes(after), network.state_dict()
    loaded, fresh = {}, []
    for name, value in own.items():
        given = state.get(name)
        if given is not None and name in axes and before.skeleton.joints != after.skeleton.joints:
            in_front = _IMAGE_CHANNELS if after.network in REFINERS and axes[name] == 1 else 0
            given = _with_joints(given, value, len(before.skeleton), source, axes[name], in_front)
        if given is not None and given.shape == value.shape:
            loaded[name] = given
        elif not name.endswith("num_batches_tracked"):
            fresh.append(name)
    if sum(own[name].numel() for name in fresh) > 0.5 * sum(value.numel() for value in own.values()):
        raise InputError(
            f"weights: expected weights of {after.network}, got others: {len(fresh)} of its {len(own)} tensors are not "
            f"in them, such as {fresh[0]}"
        )
    network.load_state_dict(loaded, strict=False)
    names = after.skeleton.joints
    if axes.keys() <= set(fresh):  # weights of a trunk only
        source = torch.full_like(source, -1)
    return Started(
        taken=tuple(name for name, k in zip(names, source.tolist(), strict=True) if k >= 0),
        fresh=tuple(name for name, k in zip(names, source.tolist(), strict=True) if k < 0),
        fresh_weights=tuple(fresh),
    )


def joint_axes(training: Training) -> dict[str, int]:
    """The axis of each tensor of a network whose length depends on the number of joints.

    Found by comparing the shapes of two networks with different numbers of joints, which have no memory for weights.
    """
    few, more = (
        replace(training.skeleton, joints=training.skeleton.joints[:1], limbs=(), oks_sigmas=(0.1,), mirror_pairs=()),
        replace(training.skeleton, joints=("a", "b"), limbs=(), oks_sigmas=(0.1, 0.1), mirror_pairs=()),
    )
    with torch.device("meta"):
        shapes = [
            {name: value.shape for name, value in replace(training, skeleton=each).make().state_dict().items()}
            for each in (few, more)
        ]
    return {
        name: next(axis for axis in range(len(shape)) if shape[axis] != shapes[1][name][axis])
        for name, shape in shapes[0].items()
        if shape != shapes[1][name]
    }


def _with_joints(
    given: Tensor, own: Tensor, joints_before: int, source: Tensor, axis: int, in_front: int = 0
) -> Tensor | None:
    """`given` with its channels of joints in the order of the network, and the network's own for new joints.

    All channels of a joint are next to each other. An output may have one more, the background, which comes last; an
    input may have `in_front` of them before the joints, which are taken over. None for tensors with further channels.
    """
    if given.ndim != own.ndim:
        return None
    if in_front:
        image, joints = given.narrow(axis, 0, in_front), given.narrow(axis, in_front, given.shape[axis] - in_front)
        fresh = own.narrow(axis, in_front, own.shape[axis] - in_front)
        mapped = _with_joints(joints, fresh, joints_before, source, axis)
        return None if mapped is None else torch.cat([image.to(mapped), mapped], dim=axis)
    each, others = divmod(own.shape[axis], len(source))
    if each > 1 and others == 0 and own.shape[axis] == len(source) + 1:  # one joint and the background
        each, others = 1, 1
    taken = each * joints_before
    if given.shape[axis] != taken + others or others > (axis == 0):
        return None
    channels = (source[:, None] * each + torch.arange(each)).flatten()
    result = own.clone().movedim(axis, 0)
    known = torch.nonzero(channels >= 0)[:, 0]
    result[known] = given.movedim(axis, 0)[channels[known]].to(result)
    if others:
        result[len(channels) :] = given.movedim(axis, 0)[taken:].to(result)
    return result.movedim(0, axis).contiguous()


def initialise_head(network: nn.Module) -> None:
    """Make the first answer of a heatmap network nearly empty: its last convolution is N(0, 0.001), as published."""
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    nn.init.normal_(last.weight, std=_FRESH_STD)
    if last.bias is not None:
        nn.init.zeros_(last.bias)
