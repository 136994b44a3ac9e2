"""Deviations of the official evaluation kits from the definitions of their metrics, as switches.

`DEFAULT` has all of them off, `EXACT` all of them on. Each was observed by running the kits. Where one of them would
change a total of the default mode, the report says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from posetrail.errors import InputError, unknown_name

METRICS = ("AP", "MOT", "IDF1", "HOTA", "OKS", "PCK")
WITHOUT_HEADS = ("IDF1", "HOTA", "OKS")
"""Metrics that can be computed, by OKS, where the ground truth has no head boxes."""

_FIGURES = {"MOTA": "MOT", "MOTP": "MOT", "IDP": "IDF1", "IDR": "IDF1", "DETA": "HOTA", "ASSA": "HOTA", "PCKH": "PCK"}
"""The metric that a figure belongs to, by the figure's name in capitals."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The deviations of the official kits that are reproduced."""

    leave_out_last_frame: bool = False  # CLEAR MOT: the last labelled frame of a sequence
    empty_frames_count_one_miss_and_one_false_positive: bool = False  # per joint, whatever is in the frame
    absent_joints_score_zero: bool = False  # AP, MOTP: joints that never occur count as 0 in the mean
    ties_by_file_order: bool = False  # AP: between equally matched poses and between equal scores
    empty_frames_miss_the_whole_sequence: bool = False  # HOTA: a frame without predictions
    hota_total_pools_joints: bool = False  # HOTA of several sequences: not the mean over joints
    joints_at_the_edge_are_missing: bool = False  # HOTA: joints at x <= 0 or y <= 0, on both sides

    def plus(self, name: str) -> Rules:
        """These rules and one more deviation."""
        return replace(self, **{name: True})


DEFAULT = Rules()
EXACT = Rules(**{field.name: True for field in fields(Rules)})

MODES = {"default": DEFAULT, "exact": EXACT}


def rules_of(mode: str) -> Rules:
    """The rules of a mode, "default" or "exact".

    Raises:
        InputError: another mode.
    """
    if mode not in MODES:
        raise InputError(f"mode: expected {' or '.join(MODES)}, got {mode!r}")
    return MODES[mode]


def metrics_of(names: Iterable[str]) -> tuple[str, ...]:
    """The metrics with these names, in any case; names of their figures (MOTA for MOT) are taken, too.

    Raises:
        InputError: a name is unknown, or there is none.
    """
    metrics: dict[str, None] = {}
    for name in names:
        metric = _FIGURES.get(name.strip().upper(), name.strip().upper())
        if metric not in METRICS:
            raise unknown_name("metric", name, ["MOTA" if known == "MOT" else known for known in METRICS])
        metrics[metric] = None
    if not metrics:
        raise InputError("metrics: expected at least one, such as MOTA, got none")
    return tuple(metrics)


DEVIATIONS = {
    "leave_out_last_frame": "the official kit ignores the last labelled frame of every sequence in tracking metrics",
    "empty_frames_count_one_miss_and_one_false_positive": (
        "the official kit counts one miss and one false positive per joint in frames without predictions or with all "
        "people in ignore regions, whatever is annotated there"
    ),
    "absent_joints_score_zero": "the official kit counts joints that are never annotated as 0 in the mean over joints",
    "ties_by_file_order": (
        "the official kit breaks ties between poses and between scores by the order of people in the file"
    ),
    "empty_frames_miss_the_whole_sequence": (
        "the official kit's HOTA counts all joints of the sequence as missed in each frame without predictions"
    ),
    "hota_total_pools_joints": (
        "the official kit's total HOTA pools all joints instead of taking the mean over joints"
    ),
    "joints_at_the_edge_are_missing": "the official kit's HOTA treats joints at x <= 0 or y <= 0 as missing",
}
