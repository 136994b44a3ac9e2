"""Published pose, appearance and lifting networks as torch modules, with the keys of the published checkpoints.

One file per family. A network is added by its file, a function in `estimators.makers` and a line in a table:
`estimators.recipes.TOP_DOWN`, `estimators.whole_image.GROUPED` for bottom-up networks, or for appearance and lifting
networks the one below. Importing this package does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from estimators import makers
from estimators.recipes import TOP_DOWN
from estimators.whole_image import GROUPED

if TYPE_CHECKING:
    from torch import nn

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{name: make for name, (_, make) in TOP_DOWN.items()},
    **{name: grouped.network for name, grouped in GROUPED.items()},
    # Landmarks in the image and in metres
    **{name: partial(makers.blazepose, name) for name in ("blazepose_lite", "blazepose_full", "blazepose_heavy")},
    # Refining poses
    "posefix_r50_256x192": partial(makers.posefix, 50),
    "posefix_r152_384x288": partial(makers.posefix, 152),
    # People's centres in the image
    "caffe_cpm_person": makers.person_cpm,
    # Appearance
    "osnet_x0_25": lambda: makers.osnet(0.25),
    "osnet_x0_5": lambda: makers.osnet(0.5),
    "osnet_x0_75": lambda: makers.osnet(0.75),
    "osnet_x1_0": lambda: makers.osnet(1.0),
    "osnet_ibn_x1_0": lambda: makers.osnet(1.0, norm=True),
    "osnet_ain_x1_0": makers.osnet_ain,
    # Lifting, from 2-D joints to 3-D joints
    "videopose3d_27_mmpose": partial(makers.videopose3d_mmpose, (3, 3, 3)),
    "videopose3d_81_mmpose": partial(makers.videopose3d_mmpose, (3, 3, 3, 3)),
    "videopose3d_243_mmpose": partial(makers.videopose3d_mmpose, (3, 3, 3, 3, 3)),
    "videopose3d_1_mmpose": partial(makers.videopose3d_mmpose, (1, 1, 1, 1, 1)),
    "simplebaseline3d_mmpose": partial(makers.videopose3d_mmpose, (1, 1, 1), joints_out=16, dropout=0.5),
    "motionbert_mmpose": makers.motionbert_mmpose,
    "motionbert": partial(makers.motionbert, 512, 2),
    "motionbert_lite": partial(makers.motionbert, 256, 4),
    "motionagformer_xs": partial(makers.motionagformer, 12, 64, 27),
    "videopose3d_27": partial(makers.videopose3d, (3, 3, 3)),
    "videopose3d_27_causal": partial(makers.videopose3d, (3, 3, 3), causal=True),
    "videopose3d_27_humaneva15": partial(makers.videopose3d, (3, 3, 3), joints=15, joints_out=15),
    "videopose3d_27_trajectory": partial(makers.videopose3d, (3, 3, 3), joints_out=1),
    "videopose3d_81": partial(makers.videopose3d, (3, 3, 3, 3)),
    "videopose3d_243": partial(makers.videopose3d, (3, 3, 3, 3, 3)),
}
"""Functions that build a network with random weights, by its name."""
