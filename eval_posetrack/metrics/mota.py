"""CLEAR MOT per joint: MOTA, MOTP, precision, recall, switches, fragmentations.

Bernardin and Stiefelhagen, "Evaluating multiple object tracking performance: the CLEAR MOT metrics", 2008; each joint
is scored separately as in PoseTrack (Andriluka et al. 2018). An annotated track keeps its last predicted track as long
as that is near; the others are assigned anew, as many as possible and then as near as possible. A switch is a match
with another predicted track than the last one, however long ago that was.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from eval_posetrack.metrics.assignment import most_then_nearest
from eval_posetrack.metrics.clean import Scene
from eval_posetrack.metrics.match import JOINTS, MATCH_DISTANCE, NearJoints, joints_per_frame
from eval_posetrack.metrics.rules import Rules


@dataclass(frozen=True, eq=False)
class Tracking:
    """Counts for each frame and joint, and the matches they come from."""

    objects: np.ndarray  # (F, 15) int64: annotated joints
    predictions: np.ndarray  # (F, 15) int64: predicted joints
    matches: np.ndarray  # (F, 15) int64
    switches: np.ndarray  # (F, 15) int64
    fragmentations: np.ndarray  # (F, 15) int64: matches that follow a gap in their track
    distance: np.ndarray  # (F, 15): sum over the matches
    matched: np.ndarray  # (N,) bool: near pairs that are matches
    switched: np.ndarray  # (N,) bool: matches that are switches
    previous_ids: np.ndarray  # (N,) int64: predicted id of the previous match of the annotated joint, -1 for none


@dataclass(frozen=True, eq=False)
class MotCounts:
    """Counts per joint that add up over sequences."""

    objects: np.ndarray  # (15,)
    misses: np.ndarray  # (15,)
    false_positives: np.ndarray  # (15,)
    switches: np.ndarray  # (15,)
    fragmentations: np.ndarray  # (15,)
    matches: np.ndarray  # (15,)
    distance: np.ndarray  # (15,) sum of the distances of the matches

    def __add__(self, other: MotCounts) -> MotCounts:
        return MotCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @classmethod
    def none(cls) -> MotCounts:
        """Zero counts."""
        return cls(*(np.zeros(JOINTS) for _ in fields(cls)))

    def figures(self, rules: Rules) -> dict[str, np.ndarray]:
        """Percentages (15,) by name: mota, motp (50..100), precision, recall; NaN where undefined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = self.misses + self.false_positives + self.switches
            figures = {
                "mota": 1 - errors / self.objects,
                "motp": 1 - self.distance / self.matches,
                "precision": self.matches / (self.matches + self.false_positives),
                "recall": self.matches / self.objects,
            }
        figures["mota"][self.objects == 0] = np.nan  # not minus infinity: MOTA is undefined without annotated joints
        if rules.absent_joints_score_zero:
            figures["motp"][self.matches == 0] = 0.0
        return {name: 100 * values for name, values in figures.items()}


def track(scene: Scene, near: NearJoints, *, official: bool = False) -> Tracking:
    """Match the joints of all frames of a scene in order.

    Args:
        scene: F frames.
        near: its near joints.
        official: if two annotated tracks had the same predicted track before, it goes to the first in the file;
            otherwise to the nearer.
    """
    matched = _clear_matches(scene, near, official)
    previous, fragments = _history(scene, near, matched)
    switched = np.zeros(len(near), bool)
    predicted_ids = scene.predictions.ids[near.predicted_rows]
    switched[matched] = (previous[matched] >= 0) & (previous[matched] != predicted_ids[matched])

    cells = scene.ground_truth.frames[near.ground_truth_rows] * JOINTS + near.joints
    shape = (scene.num_frames, JOINTS)

    def table(chosen: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(cells[chosen], weights, minlength=scene.num_frames * JOINTS).reshape(shape)

    return Tracking(
        objects=joints_per_frame(scene.ground_truth.frames, scene.ground_truth.keypoints, scene.num_frames),
        predictions=joints_per_frame(scene.predictions.frames, scene.predictions.keypoints, scene.num_frames),
        matches=table(matched),
        switches=table(switched),
        fragmentations=table(fragments),
        distance=table(matched, near.distances[matched]),
        matched=matched,
        switched=switched,
        previous_ids=previous,
    )


def count(tracking: Tracking, rules: Rules) -> MotCounts:
    """The sums over the frames of one sequence."""
    misses = tracking.objects - tracking.matches
    false_positives = tracking.predictions - tracking.matches
    objects = tracking.objects
    if rules.empty_frames_count_one_miss_and_one_false_positive:
        empty = ~np.any(tracking.objects, axis=1) | ~np.any(tracking.predictions, axis=1)
        objects, misses, false_positives = (
            np.where(empty[:, None], 1, values) for values in (objects, misses, false_positives)
        )
    frames = slice(None, -1 if rules.leave_out_last_frame else None)
    of_frames = (
        objects,
        misses,
        false_positives,
        tracking.switches,
        tracking.fragmentations,
        tracking.matches,
        tracking.distance,
    )
    return MotCounts(*(values[frames].sum(axis=0).astype(float) for values in of_frames))


def _clear_matches(scene: Scene, near: NearJoints, official: bool) -> np.ndarray:
    """(N,) bool: the pairs of CLEAR MOT.

    Two joints that are near each other and no other joint match, whatever happened before. Frames are therefore
    processed in order only where there is a choice.
    """
    matched = np.zeros(len(near), bool)
    possible = np.flatnonzero(near.distances <= MATCH_DISTANCE)
    if not len(possible):
        return matched
    joints, distances = near.joints[possible], near.distances[possible]
    ground_truth_nodes = near.ground_truth_rows[possible] * JOINTS + joints
    predicted_nodes = near.predicted_rows[possible] * JOINTS + joints
    predicted_ids = scene.predictions.ids[near.predicted_rows[possible]]
    tracks = _track_numbers(scene)[near.ground_truth_rows[possible]] * JOINTS + joints
    chosen = (np.bincount(ground_truth_nodes)[ground_truth_nodes] == 1) & (
        np.bincount(predicted_nodes)[predicted_nodes] == 1
    )

    memory = np.full(tracks.max() + 1, -1)  # whom every joint of every track was matched to last
    ground_truth_taken, predicted_taken = (
        np.zeros(ground_truth_nodes.max() + 1, bool),
        np.zeros(predicted_nodes.max() + 1, bool),
    )
    frames = scene.ground_truth.frames[near.ground_truth_rows[possible]]
    seen = 0
    for t in np.unique(frames[~chosen]):
        start, end = np.searchsorted(frames, [t, t + 1])
        before = seen + np.flatnonzero(chosen[seen:start])
        memory[tracks[before]] = predicted_ids[before]  # with several in a frame, the last one counts
        seen = start

        contested = start + np.flatnonzero(~chosen[start:end])
        kept = contested[memory[tracks[contested]] == predicted_ids[contested]]
        if not official:
            kept = kept[np.argsort(distances[kept], kind="stable")]
        kept = kept[np.unique(predicted_nodes[kept], return_index=True)[1]]
        ground_truth_taken[ground_truth_nodes[kept]] = predicted_taken[predicted_nodes[kept]] = True
        free = contested[
            ~ground_truth_taken[ground_truth_nodes[contested]] & ~predicted_taken[predicted_nodes[contested]]
        ]
        chosen[kept] = True
        if len(free):
            chosen[free] = most_then_nearest(ground_truth_nodes[free], predicted_nodes[free], distances[free])
    matched[possible] = chosen
    return matched


def _history(scene: Scene, near: NearJoints, matched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each match, the predicted id of its joint's previous match (N,), and whether a gap is between (N,) bool."""
    people, joints = np.nonzero(np.isfinite(scene.ground_truth.keypoints[:, :, 0]))
    tracks = _track_numbers(scene)[people] * JOINTS + joints
    along_tracks = np.argsort(tracks, kind="stable")  # rows are in frame order already
    position = np.empty(len(scene.ground_truth) * JOINTS, int)
    position[people[along_tracks] * JOINTS + joints[along_tracks]] = np.arange(len(people))

    matches = np.flatnonzero(matched)
    place = position[near.ground_truth_rows[matches] * JOINTS + near.joints[matches]]
    matches, place = matches[np.argsort(place)], np.sort(place)
    same_track = np.diff(tracks[along_tracks][place], prepend=-1) == 0
    ids = scene.predictions.ids[near.predicted_rows[matches]]

    previous, after_gap = np.full(len(near), -1), np.zeros(len(near), bool)
    previous[matches] = np.where(same_track, np.roll(ids, 1), -1)
    after_gap[matches] = same_track & (np.diff(place, prepend=0) > 1)
    return previous, after_gap


def _track_numbers(scene: Scene) -> np.ndarray:
    """(P,) the number 0, 1, ... of the track of each annotated person."""
    return np.unique(scene.ground_truth.ids, return_inverse=True)[1]
