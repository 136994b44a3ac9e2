"""What a training starts from: a recipe, and weights with a description of what they were trained for."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from estimators.movenet import NETWORK as MOVENET_NETWORK
from estimators.recipes import RECIPES as ESTIMATORS
from estimators.refiner_recipes import REFINERS
from estimators.trained import MOVENET, Training, read_training
from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.errors import InputError, unknown_name
from posetrail.skeletons import COCO_17
from training.initial import joint_axes
from training.recipes import RECIPES, TrainingRecipe, fine_tuned

_FINE_TUNING_EPOCHS = 20


@dataclass(frozen=True, eq=False)
class Start:
    """A recipe, and the weights to start from."""

    recipe: TrainingRecipe
    before: Training | None  # what the weights were trained for; None for random weights
    state: dict[str, Tensor]  # by the names of the network; empty for random weights


def chosen_start(
    recipe: str | None,
    network: str | None,
    weights: Path | str | None,
    *,
    default: str = "hrnet_w32",
    epochs: float | None = None,
) -> Start:
    """Read the weights to start from, and choose the recipe for them.

    Args:
        recipe: its name; None for that of the network or the weights.
        network: a name of a recipe or a network, whose weights are the start.
        weights: a file of `posetrail train`, a checkpoint of the network, or the name of published weights; those of
            `network` if not given.
        default: recipe if nothing else is given.
        epochs: of fine-tuning, if not 20.

    Raises:
        InputError: a name is unknown, the weights cannot be read or are of another network, or there are none for a
            recipe of fine-tuning.
    """
    for option, each in (("recipe", recipe), ("from", network)):
        if each is not None and each not in RECIPES:
            raise unknown_name("recipe" if option == "recipe" else "network to start from", each, RECIPES)
    if network is not None and weights is None and RECIPES[network].network != MOVENET:
        weights = RECIPES[network].network
    before = None if weights is None else read_training(Path(weights))
    name = recipe or network
    if name is None:
        name = before.network if before is not None and before.network in RECIPES else default
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    chosen = RECIPES[name]
    for other in (before.network if before is not None else None, network and RECIPES[network].network):
        if other is not None and other != chosen.network:
            raise InputError(f"weights: expected weights of {chosen.network}, got those of {other}")
    state: dict[str, Tensor] = {}
    if before is not None:
        state = load_checkpoint(Path(str(weights)))
    elif chosen.network == MOVENET and weights is None:  # its weights are in the package
        state = {key: torch.from_numpy(value) for key, value in MOVENET_NETWORK.weights.load().items()}
        before = Training(network=MOVENET, skeleton=COCO_17, input_size=(256, 256))
    elif weights is not None:
        before, state = _published(chosen.network, weights)
    if state:
        chosen = fine_tuned(chosen, epochs=epochs or _FINE_TUNING_EPOCHS)
    elif chosen.needs_weights:
        raise InputError(
            f"weights: expected weights to start from for the recipe {name}, got none; give --weights FILE"
        )
    return Start(chosen, before, state)


def _published(network: str, weights: Path | str) -> tuple[Training, dict[str, Tensor]]:
    """Weights with the keys of their authors, and what they were trained for.

    The file must fit the network, or have the weights of its trunk without a head, such as those of ImageNet.
    """
    from estimators.published import PUBLISHED

    if network == MOVENET:
        raise InputError(f"weights {weights}: expected a file of `posetrail train` for {MOVENET}, got another")
    path = given_weights(network, weights, source="given by the user", table=PUBLISHED).path
    known = REFINERS.get(network) or ESTIMATORS[network]
    before = Training(network=network, skeleton=known.skeleton, input_size=known.input_size)
    state, module = load_checkpoint(path), before.make()
    try:
        load_into(module, state, path)
    except InputError:
        if _is_trunk(state, module, set(joint_axes(before))):
            return before, state
        raise
    return before, module.state_dict()


def _is_trunk(state: Mapping[str, Tensor], network: nn.Module, head: Set[str]) -> bool:
    """Whether weights are most of a network's parameters, without those of its joints."""
    own = dict(network.named_parameters())
    fitting = [name for name, value in state.items() if name in own and value.shape == own[name].shape]
    share = sum(own[name].numel() for name in fitting) / sum(value.numel() for value in own.values())
    return share > 0.5 and not head & set(state)
