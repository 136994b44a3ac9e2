"""Published pose networks as bare torch modules: one family per file, one line each in NETWORKS, keys as published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.lazy import lazily

NETWORKS: dict[str, Callable[[], Any]] = {
    # ResNets with deconvolutions
    "simplebaseline_r18": lazily("estimators.networks.simplebaseline", "SimpleBaseline", depth=18),
    "simplebaseline_r50": lazily("estimators.networks.simplebaseline", "SimpleBaseline", depth=50),
    "simplebaseline_r50_mpii": lazily("estimators.networks.simplebaseline", "SimpleBaseline", depth=50, joints=16),
    "simplebaseline_r50_caffe": lazily("estimators.networks.simplebaseline", "SimpleBaseline", depth=50, caffe=True),
    "simplebaseline_r101": lazily("estimators.networks.simplebaseline", "SimpleBaseline", depth=101),
    "simplebaseline_r152": lazily("estimators.networks.simplebaseline", "SimpleBaseline", depth=152),
    "mobilenetv2_simple": lazily("estimators.networks.mobilenetv2_simple", "MobileNetV2Simple"),
    "deeppose_r50": lazily("estimators.networks.deeppose", "DeepPose"),
    "deeppose_r50_rle": lazily("estimators.networks.deeppose", "DeepPose", rle=True),
    "fastpose_r50": lazily("estimators.networks.fastpose", "FastPose", depth=50),
    "fastpose_r152_duc256": lazily("estimators.networks.fastpose", "FastPose", depth=152, width=256),
    "cpn_r50_256x192": lazily("estimators.networks.cpn", "CPN", depth=50),
    "cpn_r50_384x288": lazily("estimators.networks.cpn", "CPN", depth=50),
    "cpn_r101_384x288": lazily("estimators.networks.cpn", "CPN", depth=101),
    "mspn_r50_1stg": lazily("estimators.networks.mspn", "MSPN", stages=1),
    "mspn_r50_2stg": lazily("estimators.networks.mspn", "MSPN", stages=2),
    "mspn_r50_4stg": lazily("estimators.networks.mspn", "MSPN", stages=4),
    # High resolution
    "hrnet_w32": lazily("estimators.networks.hrnet", "HRNet", width=32),
    "hrnet_w48": lazily("estimators.networks.hrnet", "HRNet", width=48),
    "litehrnet_18": lazily("estimators.networks.litehrnet", "LiteHRNet", modules=(2, 4, 2)),
    "litehrnet_30": lazily("estimators.networks.litehrnet", "LiteHRNet", modules=(3, 8, 3)),
    # Hourglasses and cascades
    "hourglass_2stack": lazily("estimators.networks.hourglass", "stacked_hourglass", stacks=2),
    "hourglass_8stack": lazily("estimators.networks.hourglass", "stacked_hourglass", stacks=8),
    "softgated_4stack": lazily("estimators.networks.softgated", "softgated", stacks=4),
    "cpm_mmpose": lazily("estimators.networks.cpm", "CPM"),
    # Transformers and coordinate classification
    "rtmpose_t": lazily("estimators.networks.rtmpose", "RTMPose", deepen=0.167, widen=0.375),
    "rtmpose_s": lazily("estimators.networks.rtmpose", "RTMPose", deepen=0.33, widen=0.5),
    "rtmpose_m": lazily("estimators.networks.rtmpose", "RTMPose", deepen=0.67, widen=0.75),
    "rtmpose_l": lazily("estimators.networks.rtmpose", "RTMPose", deepen=1, widen=1),
    "vitpose_s_mmpose": lazily("estimators.networks.vitpose", "vitpose_mmpose", width=384),
    "vitpose_b_mmpose": lazily("estimators.networks.vitpose", "vitpose_mmpose", width=768),
    "vitpose_s_vitae": lazily("estimators.networks.vitpose", "vitpose_vitae", width=384),
    "vitpose_b_vitae": lazily("estimators.networks.vitpose", "vitpose_vitae", width=768),
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
