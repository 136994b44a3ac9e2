"""Image and boxes to joints: a network per file, and how each is fed and read; crops and decoding beside them.

MoveNet travels with its weights. For the others the user has them: `recipes.RECIPES` place joints in boxes,
`BOTTOM_UP` finds people by itself, and any ONNX file can be named by its path.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from estimators import keypoint_rcnn
from estimators.movenet import MoveNet
from estimators.networks import NETWORKS as NETWORKS
from estimators.recipes import RECIPES
from posetrail.errors import unknown_name
from posetrail.options import ONNX_PREFIX, onnx_path, suited
from posetrail.protocols import BottomUp, Estimator
from posetrail.runtime import Runtime

ESTIMATORS = {
    "movenet_thunder": MoveNet,
}
"""Estimators by name; `ESTIMATORS[name].weights` tells where its numbers come from, without loading them."""

BOTTOM_UP = ("higherhrnet_w32", "ae_hourglass_4stack", "caffe_openpose_coco", keypoint_rcnn.NAME)
"""Networks that find people and their joints in whole images, by name; see `create_bottom_up`."""

BRING_WEIGHTS = (*RECIPES, *BOTTOM_UP)
"""Estimators whose weights the user has, as a file: the option `weights` of each."""


def create_estimator(name: str, *, runtime: Runtime, **options: Any) -> Estimator:
    """An estimator by its name; the options are those of its class or function.

    >>> create_estimator("rtmpose_t", runtime=runtime, weights="rtmpose_t.pth")
    >>> create_estimator("onnx:rtmpose-m.onnx", runtime=runtime)

    Raises:
        InputError: no estimator has this name, an option is not one of its own or has an unusable value, or the weights
            are missing or damaged.
    """
    make = _maker(name)
    return make(runtime, **suited(options, make, f"estimator {name}"))


def create_bottom_up(name: str, *, runtime: Runtime, **options: Any) -> BottomUp:
    """Create a bottom-up network by its name, with the options of its function.

    Raises:
        InputError: the name is unknown, an option is unknown or unusable, or the weights are missing or damaged.
    """
    make: Callable[..., BottomUp]
    if name == keypoint_rcnn.NAME:
        make = keypoint_rcnn.published
    elif name in BOTTOM_UP:
        from estimators import bottom_up

        make = partial(bottom_up.published, name=name)
    else:
        raise unknown_name("bottom-up network", name, BOTTOM_UP)
    return make(runtime, **suited(options, make, f"estimator {name}"))


def _maker(name: str) -> Callable[..., Estimator]:
    """What makes an estimator; what it needs is imported only now: decoding needs scipy, most of a second."""
    if name in ESTIMATORS:
        return ESTIMATORS[name]
    if name in RECIPES:
        from estimators import top_down

        return partial(top_down.published, name=name)
    if path := onnx_path(name):
        from estimators.onnx_file import OnnxEstimator

        return partial(OnnxEstimator, path=path)
    raise unknown_name("estimator", name, (*ESTIMATORS, *BRING_WEIGHTS, f"{ONNX_PREFIX}FILE"))
