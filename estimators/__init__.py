"""Image and boxes to joints: one network per file, one line in ESTIMATORS; crops and decoding beside them."""

from __future__ import annotations

from typing import Any

from core.errors import unknown_name
from core.people import Estimator
from core.runtime import Runtime
from estimators.movenet import MoveNet
from estimators.networks import NETWORKS as NETWORKS

ESTIMATORS = {
    "movenet_thunder": MoveNet,
}
"""Estimators by name; `ESTIMATORS[name].weights` tells where its numbers come from, without loading them."""


def create_estimator(name: str, *, runtime: Runtime, **options: Any) -> Estimator:
    """An estimator by its name; the options are those of its class.

    Raises:
        InputError: no estimator has this name, an option has an unusable value, or the weights are damaged.
    """
    if name not in ESTIMATORS:
        raise unknown_name("estimator", name, ESTIMATORS)
    return ESTIMATORS[name](runtime, **options)
