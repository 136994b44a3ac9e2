"""Counts of all metrics for one scene, which add up over sequences, and the figures computed from any sum of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from eval_posetrack.metrics import average_precision, hota, identity, mota, oks_ap, pck, people_oks
from eval_posetrack.metrics.clean import Scene
from eval_posetrack.metrics.hota import HotaCounts
from eval_posetrack.metrics.identity import IdentityCounts
from eval_posetrack.metrics.match import NearJoints, near_joints
from eval_posetrack.metrics.rules import DEFAULT, Rules
from posetrail.skeletons import POSETRACK_15

GROUPS = {
    "Head": ("head_top", "neck", "nose"),
    "Shou": ("left_shoulder", "right_shoulder"),
    "Elb": ("left_elbow", "right_elbow"),
    "Wri": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ankl": ("left_ankle", "right_ankle"),
}
_ROWS = {name: [POSETRACK_15.index(joint) for joint in joints] for name, joints in GROUPS.items()}
_MOT_COUNTS = ("misses", "false_positives", "switches", "fragmentations")
_OKS_NAMES = {"idf1": "IDF1", "idp": "IDP", "idr": "IDR", "hota": "HOTA", "deta": "DetA", "assa": "AssA"}
_HOTA_NAMES = {
    "hota": "HOTA",
    "deta": "DetA",
    "assa": "AssA",
    "loca": "LocA",
    "detre": "DetRe",
    "detpr": "DetPr",
    "assre": "AssRe",
    "asspr": "AssPr",
    "rhota": "RHOTA",
    "fraga": "FragA",
    "fa_hota": "FA-HOTA",
    "fa_rhota": "FA-RHOTA",
    "hota_0": "HOTA(0)",
    "loca_0": "LocA(0)",
    "hotaloca_0": "HOTALocA(0)",
}


@dataclass(frozen=True, eq=False)
class Figure:
    """One metric: a value for each joint, for each group of joints in the benchmark's table, and in total."""

    per_joint: np.ndarray  # (15,) in the order of POSETRACK_15, NaN where undefined
    groups: dict[str, float]
    total: float

    @classmethod
    def mean(cls, per_joint: np.ndarray, total: float | None = None) -> Figure:
        """Groups and total are means over joints, NaN left out."""
        groups = {name: _mean(per_joint[rows]) for name, rows in _ROWS.items()}
        return cls(per_joint, groups, _mean(per_joint) if total is None else total)

    @classmethod
    def of_people(cls, total: float) -> Figure:
        """A figure that counts people and has no values per joint."""
        return cls.mean(np.full(len(POSETRACK_15), np.nan), float(total))

    @classmethod
    def sum(cls, per_joint: np.ndarray) -> Figure:
        """Groups and total are sums over joints."""
        groups = {name: float(per_joint[rows].sum()) for name, rows in _ROWS.items()}
        return cls(per_joint, groups, float(per_joint.sum()))


@dataclass(frozen=True, eq=False)
class Counts:
    """The counts of one sequence or of several together; None for metrics that were not asked for."""

    ap: average_precision.ApCounts | None = None
    mot: mota.MotCounts | None = None
    identity: identity.IdentityCounts | None = None
    hota: hota.HotaCounts | None = None
    oks: oks_ap.OksCounts | None = None
    pck: pck.PckCounts | None = None
    identity_oks: IdentityCounts | None = None  # of people by OKS, where the ground truth has no head boxes
    hota_oks: HotaCounts | None = None

    @classmethod
    def join(cls, parts: Sequence[Counts]) -> Counts:
        """The counts of one or more sequences together."""

        def together(of_metric: list[Any]) -> Any:
            if of_metric[0] is None:
                return None
            kind = type(of_metric[0])
            return kind.join(of_metric) if hasattr(kind, "join") else reduce(add, of_metric)

        return cls(*(together([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def figures(self, rules: Rules, *, pooled: bool = False) -> dict[str, Figure]:
        """Every metric by name: percentages, and numbers of misses, false positives, switches and fragmentations.

        Args:
            rules: the deviations in force; some change figures rather than counts.
            pooled: whether these are counts of all sequences, of which PoseTrack21's kit has another total HOTA.
        """
        out: dict[str, Figure] = {}
        if self.ap:
            values = self.ap.figures(rules)
            out |= {"AP": Figure.mean(values["ap"])}
            out |= {f"AP_{name}": Figure.mean(values[name]) for name in ("precision", "recall")}
        if self.mot:
            values = self.mot.figures(rules)
            out |= {"MOTA": Figure.mean(values["mota"]), "MOTP": Figure.mean(values["motp"])}
            out |= {f"MOT_{name}": Figure.mean(values[name]) for name in ("precision", "recall")}
            out |= {name: Figure.sum(getattr(self.mot, name)) for name in _MOT_COUNTS}
        if self.identity:
            out |= {name.upper(): Figure.mean(value) for name, value in self.identity.figures().items()}
        if self.hota:
            totals = self.hota.official_totals() if pooled and rules.hota_total_pools_joints else {}
            values = self.hota.figures()
            out |= {name: Figure.mean(values[key], totals.get(key)) for key, name in _HOTA_NAMES.items()}
        if self.pck:
            values = self.pck.figures()
            out |= {f"PCKh@{pck.PCKH_THRESHOLD}": Figure.mean(values["pckh"])}
            out |= {f"PCK@{pck.PCK_THRESHOLD}": Figure.mean(values["pck"])}
        values = self.identity_oks.figures() if self.identity_oks else {}
        values |= self.hota_oks.figures() if self.hota_oks else {}
        out |= {f"{name} (OKS)": Figure.of_people(values[key][0]) for key, name in _OKS_NAMES.items() if key in values}
        return out


def count(scene: Scene, rules: Rules, metrics: Collection[str], near: NearJoints | None = None) -> Counts:
    """The counts of one scene for the metrics asked for."""
    near = near_joints(scene) if near is None else near
    official = rules.ties_by_file_order
    assigned = average_precision.assign_poses(scene, near, rules) if {"AP", "PCK"} & set(metrics) else None
    return Counts(
        ap=average_precision.count(scene, near, assigned) if "AP" in metrics and assigned is not None else None,
        mot=mota.count(mota.track(scene, near, official=official), rules) if "MOT" in metrics else None,
        identity=identity.count(scene, near) if "IDF1" in metrics else None,
        hota=hota.count(scene, near, rules) if "HOTA" in metrics else None,
        oks=oks_ap.count(scene) if "OKS" in metrics else None,
        pck=pck.count(scene, assigned) if "PCK" in metrics and assigned is not None else None,
    )


def count_without_heads(scene: Scene, metrics: Collection[str]) -> Counts:
    """The counts of one scene whose ground truth has no head boxes: people matched by OKS."""
    return Counts(
        oks=oks_ap.count(scene) if "OKS" in metrics else None,
        identity_oks=people_oks.count_identity(scene) if "IDF1" in metrics else None,
        hota_oks=people_oks.count_hota(scene) if "HOTA" in metrics else None,
    )


def count_with_deviations(scene: Scene, metrics: Collection[str]) -> tuple[Counts, dict[str, Counts]]:
    """The counts of the default mode, and those with each deviation of the official kits, by its name."""
    near = near_joints(scene)
    tracking = mota.track(scene, near) if "MOT" in metrics else None
    counts = count(scene, DEFAULT, set(metrics) - {"MOT"}, near)
    if tracking:
        counts = replace(counts, mot=mota.count(tracking, DEFAULT))
    with_deviation = {}
    for name in ("leave_out_last_frame", "empty_frames_count_one_miss_and_one_false_positive"):
        with_deviation[name] = replace(counts, mot=mota.count(tracking, DEFAULT.plus(name))) if tracking else counts
    with_deviation["absent_joints_score_zero"] = with_deviation["hota_total_pools_joints"] = counts
    with_deviation["ties_by_file_order"] = counts
    if counts.ap:
        name = "ties_by_file_order"
        assigned = average_precision.assign_poses(scene, near, DEFAULT.plus(name))
        with_deviation[name] = replace(counts, ap=average_precision.count(scene, near, assigned))
    with_deviation["empty_frames_miss_the_whole_sequence"] = with_deviation["joints_at_the_edge_are_missing"] = counts
    if counts.hota:
        missed = hota.with_whole_sequence_missed(counts.hota, scene)
        with_deviation["empty_frames_miss_the_whole_sequence"] = replace(counts, hota=missed)
        if hota.has_joints_at_the_edge(scene):
            name = "joints_at_the_edge_are_missing"
            with_deviation[name] = replace(counts, hota=hota.count(scene, near, DEFAULT.plus(name)))
    return counts, with_deviation


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
