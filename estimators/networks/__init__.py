"""Published pose networks as bare torch modules: one family per file, keys as published.

Those that see one person stand in `recipes.TOP_DOWN`, a line each with their recipe; the others here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from estimators.recipes import TOP_DOWN
from posetrail.lazy import lazily

NETWORKS: dict[str, Callable[[], Any]] = {
    **{name: make for name, (_, make) in TOP_DOWN.items()},
    # Bottom-up
    "caffe_openpose_coco": lazily("estimators.networks.openpose", "OpenPose"),
    "ae_hourglass_4stack": lazily("estimators.networks.hourglass", "associative_hourglass", stacks=4),
    "higherhrnet_w32": lazily("estimators.networks.hrnet", "HigherHRNet", width=32),
    # Appearance
    "osnet_x0_25": lazily("estimators.networks.osnet", "OSNet", widen=0.25),
    "osnet_x0_5": lazily("estimators.networks.osnet", "OSNet", widen=0.5),
    "osnet_x0_75": lazily("estimators.networks.osnet", "OSNet", widen=0.75),
    "osnet_x1_0": lazily("estimators.networks.osnet", "OSNet"),
    "osnet_ibn_x1_0": lazily("estimators.networks.osnet", "OSNet", norm=True),
    "osnet_ain_x1_0": lazily("estimators.networks.osnet", "OSNetAIN"),
}
"""Makers of networks by name; `NETWORKS[name]()` builds one with random numbers, torch is imported then."""
