"""Pose estimators: joints of the person in each box (top-down), or of all people in a frame (bottom-up).

Published top-down networks have a line in `recipes.TOP_DOWN`, bottom-up networks one in `whole_image.GROUPED`; any ONNX
file can be given by its path. Importing this package imports neither torch nor scipy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from estimators import keypoint_rcnn
from estimators.blazepose import BlazePose
from estimators.movenet import MoveNet
from estimators.networks import NETWORKS as NETWORKS
from estimators.recipes import RECIPES
from estimators.whole_image import GROUPED
from posetrail.errors import unknown_name
from posetrail.options import ONNX_PREFIX, onnx_path, suited
from posetrail.protocols import BottomUp, Estimator
from posetrail.runtime import Runtime


def _top_down(name: str) -> Callable[..., Estimator]:
    from estimators.top_down import published

    return partial(published, name=name)


def _blazepose(name: str) -> Callable[..., Estimator]:
    return partial(BlazePose, name=name)


def _grouped(name: str) -> Callable[..., BottomUp]:
    from estimators.bottom_up import published

    return partial(published, name=name)


BUILT_IN: dict[str, type[MoveNet | BlazePose]] = {
    "movenet_thunder": MoveNet,
    "blazepose_full": BlazePose,
}
"""Estimators whose weights are in the package; `BUILT_IN[name].network.weights` describes them without loading them."""

ESTIMATORS: dict[str, Callable[[], Callable[..., Estimator]]] = {
    "movenet_thunder": lambda: MoveNet,
    "blazepose_full": lambda: BlazePose,
    **{name: partial(_blazepose, name) for name in ("blazepose_lite", "blazepose_heavy")},
    **{name: partial(_top_down, name) for name in RECIPES},
}
"""Top-down estimators by name, as functions that import and return what creates one."""

BOTTOM_UP: dict[str, Callable[[], Callable[..., BottomUp]]] = {
    **{name: partial(_grouped, name) for name in GROUPED},
    keypoint_rcnn.NAME: lambda: keypoint_rcnn.published,
}
"""Bottom-up networks by name, as functions that import and return what creates one."""


def create_estimator(name: str, *, runtime: Runtime, **options: Any) -> Estimator:
    """Create a top-down estimator by its name, with the options of its class or function.

    >>> create_estimator("rtmpose_t", runtime=runtime, weights="rtmpose_t.pth")
    >>> create_estimator("onnx:rtmpose-m.onnx", runtime=runtime)

    Raises:
        InputError: the name is unknown, an option is unknown or unusable, or the weights are missing or damaged.
    """
    make: Callable[..., Estimator]
    if path := onnx_path(name):
        from estimators.onnx_file import opened

        make = opened(path, runtime)
        return make(**suited(options, make, f"estimator {name}"))
    if name in ESTIMATORS:
        make = ESTIMATORS[name]()
    else:
        raise unknown_name("estimator", name, (*ESTIMATORS, *BOTTOM_UP, f"{ONNX_PREFIX}FILE"))
    return make(runtime, **suited(options, make, f"estimator {name}"))


def create_bottom_up(name: str, *, runtime: Runtime, **options: Any) -> BottomUp:
    """Create a bottom-up network by its name, with the options of its function.

    Raises:
        InputError: the name is unknown, an option is unknown or unusable, or the weights are missing or damaged.
    """
    if name not in BOTTOM_UP:
        raise unknown_name("bottom-up network", name, BOTTOM_UP)
    make = BOTTOM_UP[name]()
    return make(runtime, **suited(options, make, f"estimator {name}"))
