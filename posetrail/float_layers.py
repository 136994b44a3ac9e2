"""Choice of the layers that stay in float32 when a network is quantised: those that lose most in int8.

The layers are split in the order of the graph into groups of similar cost. Each group is left in float32 alone, and the
error of the outputs is measured. Then groups are added greedily, the most useful first. A group is added if it lowers
the error by a larger share than its share of the multiply-adds, until a quarter of the multiply-adds are in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posetrail.quantisation import Calibrated, Layer, quantised

if TYPE_CHECKING:
    import onnx

GROUPS = 12
_COST_SHARE = 1 / 4
_LEAST_GAIN = 0.02  # of the error all in int8; less is noise


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Layers to leave in float32."""

    weights: frozenset[str]
    """Names of their weights."""
    cost_share: float
    """Their share of the multiply-adds (0..1)."""
    error: float
    """Of the network with these layers in float32."""
    int8_error: float
    """Of the network all in int8."""


def choose_float_layers(
    calibrated: Calibrated,
    error: Callable[[onnx.ModelProto], float],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Choice:
    """Choose the layers that stay in float32.

    Args:
        calibrated: the network.
        error: of the outputs of a quantised network, 0 or more.
        on_progress: called with the number of groups measured and their total.
    """

    def measured(layers: Sequence[Layer]) -> float:
        names = {layer.weights for layer in layers}
        return error(quantised(calibrated, is_float=names.__contains__))

    groups = groups_of(calibrated.layers)
    total = sum(layer.multiply_adds for layer in calibrated.layers)
    int8_error = measured(())
    alone = []
    for i, group in enumerate(groups):
        alone.append(measured(group))
        on_progress(i + 1, len(groups))
    chosen: list[Layer] = []
    least = int8_error
    for i in sorted(range(len(groups)), key=alone.__getitem__):
        share = cost(groups[i]) / max(total, 1)
        needed = max(share, _LEAST_GAIN) * int8_error
        if alone[i] > int8_error - needed or cost(more := [*chosen, *groups[i]]) > _COST_SHARE * total:
            continue
        found = measured(more) if chosen else alone[i]
        if found < least - needed:
            chosen, least = more, found
    return Choice(
        weights=frozenset(layer.weights for layer in chosen),
        cost_share=cost(chosen) / max(total, 1),
        error=least,
        int8_error=int8_error,
    )


def groups_of(layers: Sequence[Layer], count: int = GROUPS) -> list[list[Layer]]:
    """Split layers in their order into at most `count` groups, similar in number of layers and in multiply-adds."""
    total = max(cost(layers), 1)
    groups: dict[int, list[Layer]] = {}
    before = 0.0
    for layer in layers:
        share = (layer.multiply_adds / total + 1 / len(layers)) / 2
        groups.setdefault(int((before + share / 2) * count), []).append(layer)
        before += share
    return list(groups.values())


def cost(layers: Sequence[Layer]) -> int:
    """Multiply-adds of layers for one sample."""
    return sum(layer.multiply_adds for layer in layers)
