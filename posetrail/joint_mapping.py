"""Maps the joints of one skeleton to another: by name, and by computing some that the source does not have.

Computed joints, if the source has none of its own (`f` is the centre of the face, the score-weighted mean of nose, eyes
and ears; `s` the middle of the shoulders, `h` that of the hips):

    thorax     s
    pelvis     h
    spine      (s + h) / 2
    neck       s + 0.3 (f - s)
    head_top   s + 1.6 (f - s)

The two factors were measured on annotated images: relative to the shoulders, head_top is about 1.6 times as high as the
centre of the face, the neck 0.3 times. They are biased for people seen from above or below and for heads turned far
aside. A joint is computed only if all its parts are present (of the face, at least one joint); its score is their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from posetrail.skeletons import Skeleton

_MEANT = {
    ("posetrack_18", "head_bottom"): "neck",
    ("body_25", "neck"): "thorax",  # computed from the shoulders in OpenPose, too
    ("openpose_18", "neck"): "thorax",
}
"""Names of joints whose position differs from that of the joint of the same name elsewhere."""

_NECK_PER_FACE_HEIGHT = 0.3
_HEAD_TOP_PER_FACE_HEIGHT = 1.6
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")


def mapped(
    keypoints: np.ndarray, keypoint_scores: np.ndarray, source: Skeleton, target: Skeleton
) -> tuple[np.ndarray, np.ndarray]:
    """Map joints of `source` to `target`: equal names are copied, some others computed, the rest are missing.

    >>> keypoints, scores = mapped(keypoints, scores, BODY_25, H36M_17)

    Args:
        keypoints: (N, K, 2) pixels or (N, K, 3) metres, NaN where missing.
        keypoint_scores: (N, K) 0..1, 0 where missing.
        source: skeleton of the K joints.
        target: skeleton of the M joints returned.

    Returns:
        keypoints (N, M, 2 or 3) and scores (N, M) of the same kinds.
    """
    columns = {meaning(source, joint): k for k, joint in enumerate(source.joints)}
    body = _Body(keypoints, keypoint_scores, columns)
    out = np.full((len(keypoints), len(target), keypoints.shape[2]), np.nan, keypoints.dtype)
    scores = np.zeros((len(keypoints), len(target)), keypoint_scores.dtype)
    for k, joint in enumerate(target.joints):
        place = meaning(target, joint)
        if place in columns:
            out[:, k], scores[:, k] = keypoints[:, columns[place]], keypoint_scores[:, columns[place]]
        elif place in _MADE:
            out[:, k], scores[:, k] = _MADE[place](body)
    return out, scores


def meaning(skeleton: Skeleton, joint: str) -> str:
    """The name of a joint where it differs between skeletons: the head_bottom of PoseTrack is the neck elsewhere."""
    return _MEANT.get((skeleton.name, joint), joint)


class _Body:
    """The given joints that the skeleton has."""

    def __init__(self, keypoints: np.ndarray, scores: np.ndarray, columns: dict[str, int]) -> None:
        self._keypoints, self._scores, self._columns = keypoints, scores, columns
        self._seen = np.isfinite(keypoints).all(axis=2) & (scores > 0)

    def between(self, *joints: str) -> tuple[np.ndarray, np.ndarray]:
        """The mean (N, D) of joints and their mean score (N,); NaN and 0 unless all are present."""
        if not set(joints) <= set(self._columns):
            return np.full((len(self._keypoints), self._keypoints.shape[2]), np.nan), np.zeros(len(self._keypoints))
        rows = [self._columns[joint] for joint in joints]
        whole = self._seen[:, rows].all(axis=1)
        middle = self._keypoints[:, rows].mean(axis=1)
        return np.where(whole[:, None], middle, np.nan), np.where(whole, self._scores[:, rows].mean(axis=1), 0.0)

    def face(self) -> tuple[np.ndarray, np.ndarray]:
        """The score-weighted mean (N, D) of the joints of the face that are present, and their mean score (N,)."""
        rows = [self._columns[joint] for joint in _FACE if joint in self._columns]
        seen = self._seen[:, rows]
        weights = np.where(seen, self._scores[:, rows], 0.0)
        places = np.where(seen[:, :, None], self._keypoints[:, rows], 0.0)
        total = weights.sum(axis=1)
        centre = (places * weights[:, :, None]).sum(axis=1) / np.where(total > 0, total, np.nan)[:, None]
        return centre, weights.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)


def _along_the_head(per_face_height: float) -> Callable[[_Body], tuple[np.ndarray, np.ndarray]]:
    def make(body: _Body) -> tuple[np.ndarray, np.ndarray]:
        shoulders, shoulder_score = body.between("left_shoulder", "right_shoulder")
        face, face_score = body.face()
        place = shoulders + per_face_height * (face - shoulders)
        whole = np.isfinite(place).all(axis=1)
        return place, np.where(whole, (shoulder_score + face_score) / 2, 0.0)

    return make


_MADE: dict[str, Callable[[_Body], tuple[np.ndarray, np.ndarray]]] = {
    "thorax": lambda body: body.between("left_shoulder", "right_shoulder"),
    "pelvis": lambda body: body.between("left_hip", "right_hip"),
    "spine": lambda body: body.between("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    "neck": _along_the_head(_NECK_PER_FACE_HEIGHT),
    "head_top": _along_the_head(_HEAD_TOP_PER_FACE_HEIGHT),
}
