"""People drawn into a picture: limbs in the colour of their id, the id beside the head, the way they came as a trail.

The left side of the body is lighter than the right, unsure limbs fade, near people cover far ones, and what stands over
everything else are the ids. A carried person has a hollow label. Everything scales with the picture.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from core.people import Image, TrackedPoses
from core.skeletons import Skeleton

Colour = tuple[int, int, int]  # red, green, blue, 0..255

_SUBPIXEL_BITS = 4  # OpenCV draws at sixteenths of a pixel, so that slow limbs glide rather than jump
_SURE = 0.25  # a limb is opaque when its score is so far above the threshold, and fades to nothing below
_TRAIL_OPACITY = 0.7
_TRAIL_JOINT_SCORE = 0.2


class Trails:
    """Where everybody's hips were during the last seconds."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._points: dict[int, deque[tuple[float, np.ndarray]]] = {}
        self._now = 0.0

    def add(self, time_s: float, people: TrackedPoses, skeleton: Skeleton) -> None:
        """Remember where these people are, and forget what is too long ago."""
        self._now = time_s
        for track_id, point in zip(people.track_ids.tolist(), _hip_centres(people, skeleton), strict=True):
            if np.isfinite(point).all():
                self._points.setdefault(track_id, deque()).append((time_s, point))
        for track_id, points in list(self._points.items()):
            while points and points[0][0] < time_s - self._seconds:
                points.popleft()
            if not points:
                del self._points[track_id]

    def of(self, track_id: int) -> tuple[np.ndarray, np.ndarray]:
        """A person's points (P, 2), oldest first, and how fresh each is (P,): 1 now, 0 about to be forgotten."""
        points = self._points.get(track_id, ())
        places = np.array([point for _, point in points]).reshape(-1, 2)
        ages = self._now - np.array([time_s for time_s, _ in points])
        return places, 1 - ages / self._seconds


def _hip_centres(people: TrackedPoses, skeleton: Skeleton) -> np.ndarray:
    """(N, 2) middle of the hips, NaN where one is not sure; the middle of the box's bottom if the skeleton has none."""
    if not {"left_hip", "right_hip"} <= set(skeleton.joints):
        boxes = people.poses.boxes
        return np.stack([boxes[:, [0, 2]].mean(axis=1), boxes[:, 3]], axis=1)
    hips = [skeleton.index("left_hip"), skeleton.index("right_hip")]
    sure = (people.poses.keypoint_scores[:, hips] >= _TRAIL_JOINT_SCORE).all(axis=1, keepdims=True)
    return np.where(sure, people.poses.keypoints[:, hips].mean(axis=1), np.nan)


def draw_people(
    image: Image,
    people: TrackedPoses,
    skeleton: Skeleton,
    *,
    trails: Trails | None = None,
    min_joint_score: float = 0.2,
) -> Image:
    """A new picture (H, W, 3) uint8 RGB with the people in it; `image` stays as it is.

    Args:
        image: (H, W, 3) uint8 RGB.
        people: who is where in it.
        skeleton: their joints.
        trails: which way they came, this frame included.
        min_joint_score: joints below it are not drawn (0..1).
    """
    drawn = image.copy()
    near_last = np.argsort(people.poses.boxes[:, 3], kind="stable")
    for row in near_last:
        ink = _ink(int(people.track_ids[row]))
        points, scores = people.poses.keypoints[row], people.poses.keypoint_scores[row]
        for a, b in skeleton.limb_indices:
            if min(scores[a], scores[b]) >= min_joint_score:
                cv2.line(drawn, points[a].astype(int).tolist(), points[b].astype(int).tolist(), ink, 2, cv2.LINE_AA)
    return drawn


def _ink(track_id: int) -> Colour:
    return (255, track_id * 97 % 256, 0)
