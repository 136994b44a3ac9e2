"""Tracks scored person by person on OKS: for ground truth without head boxes, by which PoseTrack measures distances.

A person is one thing to be matched, not 15 joints. The similarity of two people is their OKS; IDF1 pairs tracks by the
frames in which it is at least 0.5, HOTA at its usual 19 thresholds. These are not the benchmark's figures.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eval_posetrack import hota, identity
from eval_posetrack.clean import People, Scene
from eval_posetrack.hota import HotaCounts
from eval_posetrack.identity import IdentityCounts
from eval_posetrack.match import NEAR_DISTANCE, NearJoints, same_frame_pairs
from eval_posetrack.oks_ap import object_keypoint_similarity, person_areas
from eval_posetrack.rules import DEFAULT

MATCH_OKS = 0.5


def count_identity(scene: Scene) -> IdentityCounts:
    """IDF1's counts of one sequence; those of people stand in the place of joint 0."""
    near = _near_people(scene)
    return identity.count(_as_points(scene), near[near.distances <= (1 - MATCH_OKS) * NEAR_DISTANCE])


def count_hota(scene: Scene) -> HotaCounts:
    """HOTA's counts of one sequence; those of people stand in the place of joint 0."""
    return hota.count(_as_points(scene), _near_people(scene), DEFAULT)


def _near_people(scene: Scene) -> NearJoints:
    """All pairs of people of a frame that are at all alike, at the distance whose similarity in HOTA is their OKS."""
    areas = person_areas(scene.truth)
    parts = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    for g, p in same_frame_pairs(scene.truth.frames, scene.found.frames, scene.num_frames):
        alike = object_keypoint_similarity(scene.truth.keypoints[g], scene.found.keypoints[p], areas[g])
        some = alike > 0
        parts.append((g[some], p[some], (1 - alike[some]) * NEAR_DISTANCE))
    g, p, distances = (np.concatenate(column) for column in zip(*parts, strict=True))
    return NearJoints(g, p, np.zeros(len(g), int), distances)


def _as_points(scene: Scene) -> Scene:
    """The scene with people who have joint 0 alone."""

    def point(people: People) -> People:
        keypoints = np.full_like(people.keypoints, np.nan)
        keypoints[:, 0] = 0.0
        return replace(people, keypoints=keypoints)

    return replace(scene, truth=point(scene.truth), found=point(scene.found))
