"""Optimisers: which parameters are trained, how fast, and which of them decay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from posetrail.errors import InputError, unknown_name

Kind = Literal["adam", "adamw", "sgd", "rmsprop"]


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """An optimiser and its numbers.

    Raises:
        InputError: the kind is unknown, or a number is outside its range.
    """

    kind: Kind = "adam"
    lr: float = 1e-3  # for the whole batch over all processes
    weight_decay: float = 0.0
    decays_vectors: bool = True  # false: biases and the scales of norms do not decay
    momentum: float = 0.9  # sgd
    layer_decay: float | None = None  # factor on the rate for each layer of a transformer towards its input
    lr_factors: Mapping[str, float] = field(default_factory=dict)
    """Factors on the rate of parameters by a regular expression for the start of their names, the first that matches;
    0 freezes them."""

    def __post_init__(self) -> None:
        if self.kind not in _MAKERS:
            raise unknown_name("optimiser", self.kind, _MAKERS)
        if self.lr <= 0 or self.weight_decay < 0 or not all(factor >= 0 for factor in self.lr_factors.values()):
            raise InputError(f"optimiser: expected a learning rate above 0 and other numbers of 0 or more, got {self}")


_MAKERS: dict[str, Callable[[list[dict[str, Any]], Optimiser], torch.optim.Optimizer]] = {
    "adam": lambda groups, chosen: torch.optim.Adam(groups, chosen.lr),
    "adamw": lambda groups, chosen: torch.optim.AdamW(groups, chosen.lr),
    "sgd": lambda groups, chosen: torch.optim.SGD(groups, chosen.lr, momentum=chosen.momentum),
    "rmsprop": lambda groups, chosen: torch.optim.RMSprop(groups, chosen.lr, alpha=0.99, eps=1e-8),
}
_BLOCK = re.compile(r"^backbone\.(?:layers|blocks)\.(\d+)\.")  # of ViTPose, from its input on


def make_optimiser(network: nn.Module, chosen: Optimiser) -> torch.optim.Optimizer:
    """Create the optimiser of a network; parameters with a factor of 0 are frozen.

    The groups have a key `lr_factor`, by which `set_rate` sets their rates.

    Raises:
        InputError: an expression of `lr_factors` matches no parameter, or all parameters are frozen.
    """
    names = [name for name, _ in network.named_parameters()]
    for start in chosen.lr_factors:
        if not any(re.match(start, name) for name in names):
            raise InputError(f"lr_factors: expected the start of parameters such as {names[0]!r}, got {start!r}")
    num_blocks = 1 + max((int(block[1]) for name in names if (block := _BLOCK.match(name))), default=-1)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        factor = _factor(name, chosen, num_blocks)
        if factor == 0:
            parameter.requires_grad_(False)
        if not parameter.requires_grad:  # frozen here, or unused by the network
            continue
        decay = chosen.weight_decay if chosen.decays_vectors or parameter.ndim > 1 else 0.0
        group = groups.setdefault((factor, decay), {"params": [], "lr_factor": factor, "weight_decay": decay})
        group["params"].append(parameter)
    if not groups:
        raise InputError("lr_factors: expected a part of the network to train, got factors that freeze all of it")
    return _MAKERS[chosen.kind](list(groups.values()), chosen)


def set_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate, times the factor of each group."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["lr_factor"]


def set_train_mode(network: nn.Module) -> None:
    """Put a network into training mode, except for its frozen parts, whose batch statistics stay as they are."""
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(each.requires_grad for each in parameters):
            module.eval()


def _factor(name: str, chosen: Optimiser, num_blocks: int) -> float:
    factor = next((factor for start, factor in chosen.lr_factors.items() if re.match(start, name)), 1.0)
    if chosen.layer_decay is None or not name.startswith("backbone."):
        return factor
    block = _BLOCK.match(name)
    outside = 0 if "embed" in name else num_blocks + 1  # patches and positions, or the last norm
    layer = outside if block is None else int(block[1]) + 1
    return factor * chosen.layer_decay ** (num_blocks + 1 - layer)
