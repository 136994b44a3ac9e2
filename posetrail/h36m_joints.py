"""2-D joints of other skeletons as the 17 of Human3.6M, which lifters take.

By name, and as `posetrail.joint_mapping` computes pelvis, spine, thorax and head top, with two exceptions, as published
lifters are used: from Halpe's 26 joints, whose neck and pelvis are annotated, the thorax is the neck and the spine
the middle between neck and pelvis; from skeletons with neck and head top but no nose (AIC, CrowdPose, MPII, LSP), the
nose is 1/4 and the head 7/12 of the way from the neck to the head top.
"""

from __future__ import annotations

import numpy as np

from posetrail.joint_mapping import mapped
from posetrail.skeletons import H36M_17, Skeleton

_NOSE, _HEAD = 1 / 4, 7 / 12  # of the way from the neck to the head top


def to_h36m(
    keypoints: np.ndarray, keypoint_scores: np.ndarray, source: Skeleton, *, head_from_eyes: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Map joints (T, K, 2) and scores (T, K) of `source` to those of H36M_17, missing where unknown.

    Args:
        keypoints: pixels, NaN where missing.
        keypoint_scores: 0 where missing.
        source: skeleton of the K joints.
        head_from_eyes: take the middle of the eyes as the head, as MMPose does for COCO's joints; it is lower by a
            forehead.
    """
    if source == H36M_17:
        return keypoints, keypoint_scores
    out, scores = mapped(keypoints, keypoint_scores, source, H36M_17)

    def between(first: str, second: str, share: float) -> tuple[np.ndarray, np.ndarray]:
        a, b = source.index(first), source.index(second)
        present = np.isfinite(keypoints[:, [a, b]]).all(axis=(1, 2)) & (keypoint_scores[:, [a, b]] > 0).all(axis=1)
        place = keypoints[:, a] + share * (keypoints[:, b] - keypoints[:, a])
        score = (keypoint_scores[:, a] + keypoint_scores[:, b]) / 2
        return np.where(present[:, None], place, np.nan), np.where(present, score, 0)

    def put(joint: str, place: tuple[np.ndarray, np.ndarray]) -> None:
        k = H36M_17.index(joint)
        out[:, k], scores[:, k] = place

    names = set(source.joints)
    if source.name == "halpe_26":
        put("thorax", between("neck", "neck", 0))
        put("spine", between("neck", "pelvis", 0.5))
    elif {"neck", "head_top"} <= names and "nose" not in names:
        put("nose", between("neck", "head_top", _NOSE))
        put("head_top", between("neck", "head_top", _HEAD))
    if head_from_eyes:
        put("head_top", between("left_eye", "right_eye", 0.5))
    return out, scores
