"""HOTA per joint: detection, association and localisation in one figure, over 19 thresholds of similarity.

Luiten et al., "HOTA: a higher order metric for evaluating multi-object tracking", IJCV 2021; on joints as in
PoseTrack21 (Döring et al. 2022): the similarity of two joints is 1 - d / 0.5001, d their PCKh distance.

PoseTrack21 adds figures that mind fragments. A fragment is a run of the matches of an annotated joint's track, all with
the same predicted track: another partner ends it, a miss does not. FragA is AssA with |fragment| / (TPA + FNA + FPA)
for every true positive, so the two differ where a track returns to a former id. FA-HOTA and FA-RHOTA are HOTA and RHOTA
with sqrt(AssA x FragA) in the place of AssA. We inferred these definitions from the figures that the kit prints for
three sequences; they give every digit of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from eval_posetrack.assignment import best_pairs
from eval_posetrack.clean import Scene
from eval_posetrack.match import JOINTS, NEAR_DISTANCE, NearJoints
from eval_posetrack.mota import joints_per_frame
from eval_posetrack.rules import Rules

THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # (19,)
_BY_SEQUENCE = ("assa", "assre", "asspr", "fraga", "loca")  # what PoseTrack21's total weights by sequences


@dataclass(frozen=True, eq=False)
class HotaCounts:
    """Counts per threshold and joint that add up over sequences; associations are summed over true positives."""

    true_positives: np.ndarray  # (19, 15)
    misses: np.ndarray  # (19, 15)
    false_positives: np.ndarray  # (19, 15)
    association: np.ndarray  # (19, 15) sum over true positives of TPA / (TPA + FNA + FPA)
    association_recall: np.ndarray  # (19, 15) sum over true positives of TPA / (TPA + FNA)
    association_precision: np.ndarray  # (19, 15) sum over true positives of TPA / (TPA + FPA)
    fragments: np.ndarray  # (19, 15) sum over true positives of |fragment| / (TPA + FNA + FPA)
    similarity: np.ndarray  # (19, 15) sum over true positives
    official: np.ndarray  # (5, 19) of _BY_SEQUENCE: means over joints times all true positives of a sequence

    def __add__(self, other: HotaCounts) -> HotaCounts:
        return HotaCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @classmethod
    def none(cls) -> HotaCounts:
        """Nothing seen yet."""
        shape = (len(THRESHOLDS), JOINTS)
        return cls(**{f.name: np.zeros(shape) for f in fields(cls)} | {"official": _none_official()})

    def curves(self) -> dict[str, np.ndarray]:
        """Percentages (19, 15) over the thresholds by name; NaN for joints that are neither annotated nor predicted."""
        tp, fn, fp = self.true_positives, self.misses, self.false_positives
        some = np.maximum(tp, 1)
        curves = {
            "deta": tp / np.maximum(tp + fn + fp, 1),
            "detre": tp / np.maximum(tp + fn, 1),
            "detpr": tp / np.maximum(tp + fp, 1),
            "assa": self.association / some,
            "assre": self.association_recall / some,
            "asspr": self.association_precision / some,
            "fraga": self.fragments / some,
            "loca": np.where(tp > 0, self.similarity / some, 1.0),  # nothing located is nothing located badly
        }
        absent = tp + fn + fp == 0
        return _with_geometric_means({name: np.where(absent, np.nan, 100 * curve) for name, curve in curves.items()})

    def figures(self) -> dict[str, np.ndarray]:
        """Percentages (15,) by name: the means over the thresholds, and some values at the first threshold."""
        return _summary(self.curves())

    def official_totals(self) -> dict[str, float]:
        """The last column of PoseTrack21's summary: detections pooled over joints, the rest weighted by sequences."""
        tp, fn, fp = (counts.sum(axis=1) for counts in (self.true_positives, self.misses, self.false_positives))
        totals = dict(zip(_BY_SEQUENCE, self.official / np.maximum(tp, 1), strict=True))
        totals["deta"] = 100 * tp / np.maximum(tp + fn + fp, 1)
        totals["detre"] = 100 * tp / np.maximum(tp + fn, 1)
        totals["detpr"] = 100 * tp / np.maximum(tp + fp, 1)
        return {name: float(value) for name, value in _summary(_with_geometric_means(totals)).items()}


def _with_geometric_means(curves: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The percentages, and those that are geometric means of them."""
    deta, detre, assa = curves["deta"], curves["detre"], curves["assa"]
    both = np.sqrt(assa * curves["fraga"])
    return curves | {
        "hota": np.sqrt(deta * assa),
        "rhota": np.sqrt(detre * assa),
        "fa_hota": np.sqrt(deta * both),
        "fa_rhota": np.sqrt(detre * both),
    }


def _summary(curves: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Means of percentages over the thresholds (19, ...), and as in TrackEval HOTA and LocA at the first of them."""
    hota, loca = curves["hota"][0], curves["loca"][0]
    first = {"hota_0": hota, "loca_0": loca, "hotaloca_0": hota * loca / 100}
    return {name: curve.mean(axis=0) for name, curve in curves.items()} | first


def count(scene: Scene, near: NearJoints, rules: Rules) -> HotaCounts:
    """The counts of one sequence."""
    if rules.joints_at_the_edge_are_missing:
        scene, near = without_joints_at_the_edge(scene, near)
    truth_joints = np.isfinite(scene.truth.keypoints[:, :, 0])
    found_joints = np.isfinite(scene.found.keypoints[:, :, 0])
    truth_counts, truth_tracks = _joints_of_tracks(scene.truth.ids, truth_joints)
    found_counts, found_tracks = _joints_of_tracks(scene.found.ids, found_joints)

    similarity = 1 - near.distances / NEAR_DISTANCE
    above = similarity > 0
    near, similarity = near[above], similarity[above]
    truth_nodes, found_nodes = near.truth_rows * JOINTS + near.joints, near.found_rows * JOINTS + near.joints
    # Every pair of a track and a predicted track that are ever near in some joint, numbered.
    pair_keys = (
        truth_tracks[near.truth_rows] * len(found_counts) + found_tracks[near.found_rows]
    ) * JOINTS + near.joints
    keys, pair = np.unique(pair_keys, return_inverse=True)
    joint = keys % JOINTS
    of_truth = truth_counts[keys // JOINTS // max(len(found_counts), 1), joint]
    of_found = found_counts[keys // JOINTS % max(len(found_counts), 1), joint]

    # PoseTrack21 pairs the joints of a frame by their similarity alone, without the paper's alignment over the whole
    # sequence.
    chosen = best_pairs(truth_nodes, found_nodes, similarity)

    truth_track = truth_tracks[near.truth_rows[chosen]] * JOINTS + near.joints[chosen]
    pair, similarity = pair[chosen], similarity[chosen]
    passed = np.searchsorted(THRESHOLDS - np.finfo(float).eps, similarity, side="right")
    levels = len(THRESHOLDS) + 1
    matches = _at_least(np.bincount(pair * levels + passed, minlength=len(keys) * levels).reshape(-1, levels))
    located = _at_least(np.bincount(pair * levels + passed, similarity, len(keys) * levels).reshape(-1, levels))

    def per_joint(of_pairs: np.ndarray) -> np.ndarray:
        """(keys, 19) summed over the track pairs of every joint, as (19, 15)."""
        return np.stack([np.bincount(joint, column, minlength=JOINTS) for column in of_pairs.T])

    either = np.maximum(of_truth + of_found, 1)[:, None] - matches
    true_positives = per_joint(matches)
    counts = HotaCounts(
        true_positives=true_positives,
        misses=truth_joints.sum(axis=0) - true_positives,
        false_positives=found_joints.sum(axis=0) - true_positives,
        association=per_joint(matches**2 / either),
        association_recall=per_joint(matches**2 / of_truth[:, None]),
        association_precision=per_joint(matches**2 / of_found[:, None]),
        fragments=per_joint(_squares_of_fragments(truth_track, pair, passed, len(keys)) / either),
        similarity=per_joint(located),
        official=_none_official(),
    )
    curves = counts.curves()
    means = np.stack([np.nan_to_num(curves[name]).mean(axis=1) for name in _BY_SEQUENCE])
    counts = replace(counts, official=means * true_positives.sum(axis=1))
    return with_whole_sequence_missed(counts, scene) if rules.empty_frames_miss_the_whole_sequence else counts


def with_whole_sequence_missed(counts: HotaCounts, scene: Scene) -> HotaCounts:
    """The counts of PoseTrack21's kit: a frame without prediction misses the joints of all frames, not its own."""
    annotated = joints_per_frame(scene.truth.frames, scene.truth.keypoints, scene.num_frames)
    predicted = joints_per_frame(scene.found.frames, scene.found.keypoints, scene.num_frames)
    empty = ~np.any(predicted, axis=1)
    more = empty.sum() * annotated.sum(axis=0) - annotated[empty].sum(axis=0)
    return replace(counts, misses=counts.misses + more)


def _at_least(by_level: np.ndarray) -> np.ndarray:
    """(keys, levels) sums of what passed exactly so many thresholds, as (keys, 19) sums of what passed each."""
    return np.cumsum(by_level[:, ::-1], axis=1)[:, ::-1][:, 1:]


def _squares_of_fragments(truth_track: np.ndarray, pair: np.ndarray, passed: np.ndarray, n_pairs: int) -> np.ndarray:
    """(n_pairs, 19) the squared lengths of the fragments of every pair of tracks, summed.

    Args:
        truth_track: (N,) the annotated track of every match, the matches in frame order.
        pair: (N,) its pair of tracks, 0..n_pairs - 1.
        passed: (N,) how many thresholds it passes.
        n_pairs: how many pairs there are.
    """
    squares = np.zeros((n_pairs, len(THRESHOLDS)))
    along_tracks = np.argsort(truth_track, kind="stable")
    pair, passed = pair[along_tracks], passed[along_tracks]
    for level in range(len(THRESHOLDS)):
        pair, passed = pair[passed > level], passed[passed > level]
        starts = np.flatnonzero(np.diff(pair, prepend=-1))
        lengths = np.diff(starts, append=len(pair))
        squares[:, level] = np.bincount(pair[starts], lengths**2, minlength=n_pairs)
    return squares


def _none_official() -> np.ndarray:
    return np.zeros((len(_BY_SEQUENCE), len(THRESHOLDS)))


def _joints_of_tracks(ids: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each track has each joint (tracks, 15), and the number of the track of every person (P,)."""
    names, tracks = np.unique(ids, return_inverse=True)
    counts = np.zeros((len(names), JOINTS), int)
    np.add.at(counts, tracks, joints)
    return counts, tracks


def has_joints_at_the_edge(scene: Scene) -> bool:
    """Whether any joint stands at x <= 0 or y <= 0."""
    return any(bool(np.any(people.keypoints <= 0)) for people in (scene.truth, scene.found))


def without_joints_at_the_edge(scene: Scene, near: NearJoints) -> tuple[Scene, NearJoints]:
    """Only joints with x > 0 and y > 0 on both sides."""
    with np.errstate(invalid="ignore"):
        truth_in = np.all(scene.truth.keypoints > 0, axis=2)
        found_in = np.all(scene.found.keypoints > 0, axis=2)
    kept = truth_in[near.truth_rows, near.joints] & found_in[near.found_rows, near.joints]
    truth, found = (
        replace(people, keypoints=np.where(there[:, :, None], people.keypoints, np.nan))
        for people, there in ((scene.truth, truth_in), (scene.found, found_in))
    )
    return replace(scene, truth=truth, found=found), near[kept]
