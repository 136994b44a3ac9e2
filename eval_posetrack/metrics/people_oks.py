"""IDF1 and HOTA of people matched by OKS, for ground truth without head boxes, PoseTrack's unit of distances.

People are matched as a whole instead of joint by joint. The similarity of two people is their OKS; IDF1 counts frames
in which it is at least 0.5, HOTA uses its usual 19 thresholds. These are not the benchmark's figures.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eval_posetrack.metrics import hota, identity
from eval_posetrack.metrics.clean import People, Scene
from eval_posetrack.metrics.hota import HotaCounts
from eval_posetrack.metrics.identity import IdentityCounts
from eval_posetrack.metrics.match import NEAR_DISTANCE, NearJoints, same_frame_pairs
from eval_posetrack.metrics.oks_ap import object_keypoint_similarity, person_areas
from eval_posetrack.metrics.rules import DEFAULT

MATCH_OKS = 0.5


def count_identity(scene: Scene) -> IdentityCounts:
    """The counts of IDF1 for one sequence; people are counted as joint 0."""
    near = _near_people(scene)
    return identity.count(_as_points(scene), near[near.distances <= (1 - MATCH_OKS) * NEAR_DISTANCE])


def count_hota(scene: Scene) -> HotaCounts:
    """The counts of HOTA for one sequence; people are counted as joint 0."""
    return hota.count(_as_points(scene), _near_people(scene), DEFAULT)


def _near_people(scene: Scene) -> NearJoints:
    """All pairs of people of a frame with OKS above 0, at the distance whose similarity in HOTA is their OKS."""
    areas = person_areas(scene.ground_truth)
    parts = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    for g, p in same_frame_pairs(scene.ground_truth.frames, scene.predictions.frames, scene.num_frames):
        oks = object_keypoint_similarity(scene.ground_truth.keypoints[g], scene.predictions.keypoints[p], areas[g])
        positive = oks > 0
        parts.append((g[positive], p[positive], (1 - oks[positive]) * NEAR_DISTANCE))
    g, p, distances = (np.concatenate(column) for column in zip(*parts, strict=True))
    return NearJoints(g, p, np.zeros(len(g), int), distances)


def _as_points(scene: Scene) -> Scene:
    """The scene with people reduced to joint 0."""

    def point(people: People) -> People:
        keypoints = np.full_like(people.keypoints, np.nan)
        keypoints[:, 0] = 0.0
        return replace(people, keypoints=keypoints)

    return replace(scene, ground_truth=point(scene.ground_truth), predictions=point(scene.predictions))
