"""Where the official kits are odd, as switches: `EXACT` has all of them on, `DEFAULT` none.

Each was found by running the kits. If one of them would change a figure of the default mode, the report says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from posetrail.errors import InputError, unknown_name

METRICS = ("AP", "MOT", "IDF1", "HOTA", "OKS", "PCK")
WITHOUT_HEADS = ("IDF1", "HOTA", "OKS")
"""What can be scored where the ground truth has no head boxes: by OKS."""

_FIGURES = {"MOTA": "MOT", "MOTP": "MOT", "IDP": "IDF1", "IDR": "IDF1", "DETA": "HOTA", "ASSA": "HOTA", "PCKH": "PCK"}
"""The metric that counts a figure, by the figure's name in capitals."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The oddities of the official evaluation that are to be reproduced."""

    leave_out_last_frame: bool = False  # tracking never sees the last labelled frame of a sequence
    one_miss_and_one_false_positive_for_empty_frames: bool = False  # whatever was really there, for every joint
    absent_joints_score_zero: bool = False  # AP and MOTP of a joint that nobody has count as 0 in the total
    first_in_the_list_wins: bool = False  # among equally matched poses, and among equal scores
    empty_frames_miss_the_whole_sequence: bool = False  # HOTA: a frame without prediction misses all joints of the clip
    hota_total_pools_joints: bool = False  # HOTA of several sequences: the total is not the mean over joints
    joints_at_the_edge_are_missing: bool = False  # HOTA: x <= 0 or y <= 0 is no joint, predicted or not

    def plus(self, name: str) -> Rules:
        """These rules and one more oddity."""
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
        raise InputError(f"unknown mode {mode!r}; known are {', '.join(MODES)}")
    return MODES[mode]


def metrics_of(names: Iterable[str]) -> tuple[str, ...]:
    """The metrics of these names, which may be those of their figures (MOTA), in capitals or not.

    Raises:
        InputError: an unknown name, or none.
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


IN_WORDS = {
    "leave_out_last_frame": "the official kit leaves the last labelled frame of every sequence out of tracking",
    "one_miss_and_one_false_positive_for_empty_frames": (
        "the official kit counts one miss and one false positive per joint in frames without predictions "
        "or with everybody ignored, whatever is there"
    ),
    "absent_joints_score_zero": "the official kit counts joints that nobody has as 0 in the mean over joints",
    "first_in_the_list_wins": (
        "the official kit lets the order of people in the file decide between equal poses and equal scores"
    ),
    "empty_frames_miss_the_whole_sequence": (
        "the official kit's HOTA misses every joint of the whole sequence in each frame without predictions"
    ),
    "hota_total_pools_joints": (
        "the official kit's total HOTA pools the joints of all sequences, instead of the mean over joints"
    ),
    "joints_at_the_edge_are_missing": "the official kit's HOTA takes joints at x <= 0 or y <= 0 for missing",
}
