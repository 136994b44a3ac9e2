"""HOTA per joint: detection, association and localisation accuracy over 19 thresholds of similarity.

Luiten et al., "HOTA: a higher order metric for evaluating multi-object tracking", IJCV 2021; on joints as in
PoseTrack21 (Döring et al. 2022): the similarity of two joints is 1 - d / 0.5001, d their PCKh distance.

PoseTrack21 adds figures that penalise fragmentation. A fragment is a run of matches of an annotated joint's track with
the same predicted track; a match with another predicted track ends it, a miss does not. FragA is AssA with
|fragment| / (TPA + FNA + FPA) for each true positive, so the two differ where a track returns to an earlier id. FA-HOTA
and FA-RHOTA are HOTA and RHOTA with sqrt(AssA x FragA) in place of AssA. These definitions were inferred from the
figures that the official kit prints for three sequences, of which they reproduce every digit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from eval_posetrack.metrics.assignment import best_pairs
from eval_posetrack.metrics.clean import Scene
from eval_posetrack.metrics.match import JOINTS, NEAR_DISTANCE, NearJoints, joints_per_frame
from eval_posetrack.metrics.rules import Rules

THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # (19,)
_BY_SEQUENCE = ("assa", "assre", "asspr", "fraga", "loca")  # figures that PoseTrack21's total averages over sequences


@dataclass(frozen=True, eq=False)
class HotaCounts:
    """Counts per threshold and joint that add up over sequences; associations are sums over true positives."""

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
        """Zero counts."""
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
            "loca": np.where(
                tp > 0, self.similarity / some, 1.0
            ),  # as in TrackEval: without a match, localisation is perfect
        }
        absent = tp + fn + fp == 0
        return _with_geometric_means({name: np.where(absent, np.nan, 100 * curve) for name, curve in curves.items()})

    def figures(self) -> dict[str, np.ndarray]:
        """Percentages (15,) by name: means over the thresholds, and some values at the first threshold."""
        return _summary(self.curves())

    def official_totals(self) -> dict[str, float]:
        """The last column of PoseTrack21's summary: detection pooled over joints, the rest averaged over sequences."""
        tp, fn, fp = (counts.sum(axis=1) for counts in (self.true_positives, self.misses, self.false_positives))
        totals = dict(zip(_BY_SEQUENCE, self.official / np.maximum(tp, 1), strict=True))
        totals["deta"] = 100 * tp / np.maximum(tp + fn + fp, 1)
        totals["detre"] = 100 * tp / np.maximum(tp + fn, 1)
        totals["detpr"] = 100 * tp / np.maximum(tp + fp, 1)
        return {name: float(value) for name, value in _summary(_with_geometric_means(totals)).items()}


def _with_geometric_means(curves: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The percentages and their geometric means: HOTA, RHOTA, FA-HOTA, FA-RHOTA."""
    deta, detre, assa = curves["deta"], curves["detre"], curves["assa"]
    both = np.sqrt(assa * curves["fraga"])
    return curves | {
        "hota": np.sqrt(deta * assa),
        "rhota": np.sqrt(detre * assa),
        "fa_hota": np.sqrt(deta * both),
        "fa_rhota": np.sqrt(detre * both),
    }


def _summary(curves: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Means of percentages (19, ...) over the thresholds, and HOTA and LocA at the first one as in TrackEval."""
    hota, loca = curves["hota"][0], curves["loca"][0]
    first = {"hota_0": hota, "loca_0": loca, "hotaloca_0": hota * loca / 100}
    return {name: curve.mean(axis=0) for name, curve in curves.items()} | first


def count(scene: Scene, near: NearJoints, rules: Rules) -> HotaCounts:
    """The counts of one sequence."""
    if rules.joints_at_the_edge_are_missing:
        scene, near = without_joints_at_the_edge(scene, near)
    ground_truth_joints = np.isfinite(scene.ground_truth.keypoints[:, :, 0])
    predicted_joints = np.isfinite(scene.predictions.keypoints[:, :, 0])
    ground_truth_counts, ground_truth_tracks = _joints_of_tracks(scene.ground_truth.ids, ground_truth_joints)
    predicted_counts, predicted_tracks = _joints_of_tracks(scene.predictions.ids, predicted_joints)

    similarity = 1 - near.distances / NEAR_DISTANCE
    above = similarity > 0
    near, similarity = near[above], similarity[above]
    ground_truth_nodes, predicted_nodes = (
        near.ground_truth_rows * JOINTS + near.joints,
        near.predicted_rows * JOINTS + near.joints,
    )
    # Number all pairs of an annotated and a predicted track that are near in some joint in some frame.
    pair_keys = (
        ground_truth_tracks[near.ground_truth_rows] * len(predicted_counts) + predicted_tracks[near.predicted_rows]
    ) * JOINTS + near.joints
    keys, pair = np.unique(pair_keys, return_inverse=True)
    joint = keys % JOINTS
    of_truth = ground_truth_counts[keys // JOINTS // max(len(predicted_counts), 1), joint]
    of_predictions = predicted_counts[keys // JOINTS % max(len(predicted_counts), 1), joint]

    # PoseTrack21 matches the joints of a frame by their similarity alone, without the global alignment of the paper.
    chosen = best_pairs(ground_truth_nodes, predicted_nodes, similarity)

    ground_truth_track = ground_truth_tracks[near.ground_truth_rows[chosen]] * JOINTS + near.joints[chosen]
    pair, similarity = pair[chosen], similarity[chosen]
    passed = np.searchsorted(THRESHOLDS - np.finfo(float).eps, similarity, side="right")
    levels = len(THRESHOLDS) + 1
    matches = _at_least(np.bincount(pair * levels + passed, minlength=len(keys) * levels).reshape(-1, levels))
    located = _at_least(np.bincount(pair * levels + passed, similarity, len(keys) * levels).reshape(-1, levels))

    def per_joint(of_pairs: np.ndarray) -> np.ndarray:
        """Sum (keys, 19) over the pairs of tracks of each joint: (19, 15)."""
        return np.stack([np.bincount(joint, column, minlength=JOINTS) for column in of_pairs.T])

    either = np.maximum(of_truth + of_predictions, 1)[:, None] - matches
    true_positives = per_joint(matches)
    counts = HotaCounts(
        true_positives=true_positives,
        misses=ground_truth_joints.sum(axis=0) - true_positives,
        false_positives=predicted_joints.sum(axis=0) - true_positives,
        association=per_joint(matches**2 / either),
        association_recall=per_joint(matches**2 / of_truth[:, None]),
        association_precision=per_joint(matches**2 / of_predictions[:, None]),
        fragments=per_joint(_squares_of_fragments(ground_truth_track, pair, passed, len(keys)) / either),
        similarity=per_joint(located),
        official=_none_official(),
    )
    curves = counts.curves()
    means = np.stack([np.nan_to_num(curves[name]).mean(axis=1) for name in _BY_SEQUENCE])
    counts = replace(counts, official=means * true_positives.sum(axis=1))
    return with_whole_sequence_missed(counts, scene) if rules.empty_frames_miss_the_whole_sequence else counts


def with_whole_sequence_missed(counts: HotaCounts, scene: Scene) -> HotaCounts:
    """The counts of PoseTrack21's kit, in which a frame without predictions misses the joints of all frames."""
    annotated = joints_per_frame(scene.ground_truth.frames, scene.ground_truth.keypoints, scene.num_frames)
    predicted = joints_per_frame(scene.predictions.frames, scene.predictions.keypoints, scene.num_frames)
    empty = ~np.any(predicted, axis=1)
    more = empty.sum() * annotated.sum(axis=0) - annotated[empty].sum(axis=0)
    return replace(counts, misses=counts.misses + more)


def _at_least(by_level: np.ndarray) -> np.ndarray:
    """Sums (keys, 19) over matches that pass each threshold, from sums by the number of passed ones (keys, levels)."""
    return np.cumsum(by_level[:, ::-1], axis=1)[:, ::-1][:, 1:]


def _squares_of_fragments(
    ground_truth_track: np.ndarray, pair: np.ndarray, passed: np.ndarray, n_pairs: int
) -> np.ndarray:
    """(n_pairs, 19) sums of the squared lengths of the fragments of each pair of tracks.

    Args:
        ground_truth_track: (N,) the annotated track of each match, in frame order.
        pair: (N,) the pair of tracks of each match, 0..n_pairs - 1.
        passed: (N,) number of thresholds that each match passes.
        n_pairs: number of pairs of tracks.
    """
    squares = np.zeros((n_pairs, len(THRESHOLDS)))
    along_tracks = np.argsort(ground_truth_track, kind="stable")
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
    """(tracks, 15) number of frames in which each track has each joint, and (P,) the track of each person."""
    names, tracks = np.unique(ids, return_inverse=True)
    counts = np.zeros((len(names), JOINTS), int)
    np.add.at(counts, tracks, joints)
    return counts, tracks


def has_joints_at_the_edge(scene: Scene) -> bool:
    """Whether any joint is at x <= 0 or y <= 0."""
    return any(bool(np.any(people.keypoints <= 0)) for people in (scene.ground_truth, scene.predictions))


def without_joints_at_the_edge(scene: Scene, near: NearJoints) -> tuple[Scene, NearJoints]:
    """The scene and its near joints with only joints at x > 0 and y > 0."""
    with np.errstate(invalid="ignore"):
        ground_truth_in = np.all(scene.ground_truth.keypoints > 0, axis=2)
        predicted_in = np.all(scene.predictions.keypoints > 0, axis=2)
    kept = ground_truth_in[near.ground_truth_rows, near.joints] & predicted_in[near.predicted_rows, near.joints]
    ground_truth, predictions = (
        replace(people, keypoints=np.where(there[:, :, None], people.keypoints, np.nan))
        for people, there in ((scene.ground_truth, ground_truth_in), (scene.predictions, predicted_in))
    )
    return replace(scene, ground_truth=ground_truth, predictions=predictions), near[kept]
