"""The 2-D tracks of a clip to 3-D tracks, by metric landmarks that a network found in every frame.

Such a network looks at one frame and one person at a time: its depths jump, and it is wrong where the crop was. Its
joints are therefore smoothed along the identity. Those that disagree with the tracked 2-D joints get little weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.skeletons import Skeleton
from tracker.lifting.lift import Lifted, LiftedPart, Scene, joints_of, person_stretches, placed_people
from tracker.lifting.people import RelativePoses
from tracker.tracked_clip import TrackedClip

SMOOTH_HZ = 4.0
_AGREE_SHARE = 0.08  # of the person's size: distance of a landmark from the tracked joint at which its weight falls
_LEAST_WEIGHT = 0.01
_GUESS_WEIGHT = 0.3  # of the place of a landmark in the picture, beside that of a tracked joint


@dataclass(frozen=True, eq=False)
class ClipLandmarks:
    """The landmarks of all T poses of a clip, in their order; NaN where the network gave none."""

    keypoints: np.ndarray  # (T, K, 2) pixels
    keypoint_scores: np.ndarray  # (T, K)
    world: np.ndarray  # (T, K, 3) metres, camera axes, origin in the middle of the hips
    flag: np.ndarray  # (T,) 0..1 whether there is a person


def lift_landmarks(
    clip: TrackedClip, skeleton: Skeleton, landmarks: ClipLandmarks, landmark_skeleton: Skeleton, scene: Scene
) -> Lifted:
    """Place and smooth the landmarks of all people of a clip; arguments as for `tracker.lifting.lift.lift_clip`."""
    tracked, tracked_scores = joints_of(clip, skeleton, landmark_skeleton)
    weights = landmark_weights(tracked, landmarks, person_sizes(clip))
    known = np.isfinite(tracked).all(axis=2)
    pixels = np.where(known[..., None], tracked, landmarks.keypoints)
    guesses = np.where(np.isfinite(landmarks.keypoints).all(axis=2), _GUESS_WEIGHT * weights, 0.0)
    pixel_weights = np.where(known, tracked_scores, guesses)
    parts = []
    for track_id, stretch in person_stretches(clip, pixels, pixel_weights):
        has_pose = stretch.rows >= 0
        world = np.full((len(stretch), len(landmark_skeleton), 3), np.nan)
        world[has_pose] = landmarks.world[stretch.rows[has_pose]]
        part_weights = np.zeros(world.shape[:2])
        part_weights[has_pose] = weights[stretch.rows[has_pose]]
        part_weights = np.where(np.isfinite(world).all(axis=2), part_weights, 0.0)
        if not (part_weights > 0).any():
            continue
        poses = RelativePoses(
            stretch.times_s, world, part_weights, stretch.keypoints, stretch.scores, smooth_hz=SMOOTH_HZ
        )
        parts.append(LiftedPart(track_id, stretch, poses))
    return placed_people(clip, parts, landmark_skeleton, scene)


def person_sizes(clip: TrackedClip) -> np.ndarray:
    """The size (T,) of each person in pixels: the longer side of the box, or of the joints where there is no box."""
    boxes = clip.poses.boxes.astype(float)
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    keypoints = np.where(np.isfinite(clip.poses.keypoints), clip.poses.keypoints, np.nan).astype(float)
    low = np.nan_to_num(keypoints, nan=np.inf).min(axis=1, initial=np.inf)
    high = np.nan_to_num(keypoints, nan=-np.inf).max(axis=1, initial=-np.inf)
    of_joints = np.where(np.isfinite(high - low), high - low, 0.0).max(axis=1, initial=0.0)
    return np.maximum(np.where(np.isfinite(sides) & (sides > 0), sides, of_joints), 1.0)


def landmark_weights(tracked: np.ndarray, landmarks: ClipLandmarks, sizes: np.ndarray) -> np.ndarray:
    """How far each landmark (T, K) can be trusted, 0..1: its score, the flag, and its distance from the tracked joint.

    A landmark without a tracked joint takes the mean agreement of the others of its frame.

    Args:
        tracked: (T, K, 2) joints of the track in the skeleton of the landmarks, NaN where missing.
        landmarks: of the same poses.
        sizes: (T,) of the people, pixels.
    """
    distance = np.linalg.norm(tracked - landmarks.keypoints, axis=2) / (_AGREE_SHARE * sizes[:, None])
    both = np.isfinite(distance)
    agreement = np.where(both, 1 / (1 + np.nan_to_num(distance) ** 2), 0.0)
    number = both.sum(axis=1, keepdims=True)
    mean = np.where(number > 0, agreement.sum(axis=1, keepdims=True) / np.maximum(number, 1), 1.0)
    scores = np.nan_to_num(landmarks.keypoint_scores) * np.nan_to_num(landmarks.flag)[:, None]
    weights = np.maximum(scores * np.where(both, agreement, 1.0) * mean, _LEAST_WEIGHT)
    return np.where(np.isfinite(landmarks.world).all(axis=2), weights, 0.0)
