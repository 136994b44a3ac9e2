"""Skeletons: joint names in order, limbs, mirror pairs, OKS sigmas; and the one place where COCO becomes PoseTrack."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """The joints of one annotation convention, in the order of its files.

    Raises:
        ValueError: sigmas do not match the joints, or a limb names an unknown joint.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...]
    oks_sigmas: tuple[float, ...]  # the k_i / 2 of COCO's OKS: exp(-d^2 / (2 area (2 sigma)^2))

    def __post_init__(self) -> None:
        if len(self.oks_sigmas) != len(self.joints):
            raise ValueError(f"{self.name}: {len(self.joints)} joints but {len(self.oks_sigmas)} OKS sigmas")
        unknown = {joint for limb in self.limbs for joint in limb} - set(self.joints)
        if unknown:
            raise ValueError(f"{self.name}: limbs name unknown joints {sorted(unknown)}")

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Position of a joint; ValueError names the skeleton when it has no such joint."""
        try:
            return self.joints.index(joint)
        except ValueError:
            raise ValueError(
                f"skeleton {self.name} has no joint {joint!r} (joints: {', '.join(self.joints)})"
            ) from None

    @cached_property
    def limb_indices(self) -> np.ndarray:  # (L, 2) int
        """Limbs as pairs of joint positions."""
        return np.array([[self.index(a), self.index(b)] for a, b in self.limbs], dtype=int).reshape(-1, 2)

    @cached_property
    def mirror(self) -> np.ndarray:  # (K,) int
        """For every joint, the position of its mirror image (itself when it has none)."""
        swap = {"left": "right", "right": "left"}
        names = []
        for joint in self.joints:
            side, _, rest = joint.partition("_")
            mirrored = f"{swap[side]}_{rest}" if side in swap else joint
            names.append(mirrored if mirrored in self.joints else joint)
        return np.array([self.index(name) for name in names], dtype=int)


_LIMBS_OF_THE_BODY = (
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
)

# Published with COCO. Neck and head top are not in COCO: they take the shoulder's.
_SIGMAS = {
    "nose": 0.026,
    "left_eye": 0.025,
    "right_eye": 0.025,
    "left_ear": 0.035,
    "right_ear": 0.035,
    "left_shoulder": 0.079,
    "right_shoulder": 0.079,
    "left_elbow": 0.072,
    "right_elbow": 0.072,
    "left_wrist": 0.062,
    "right_wrist": 0.062,
    "left_hip": 0.107,
    "right_hip": 0.107,
    "left_knee": 0.087,
    "right_knee": 0.087,
    "left_ankle": 0.089,
    "right_ankle": 0.089,
    "neck": 0.079,
    "head_top": 0.079,
    "head_bottom": 0.079,
}


def _skeleton(name: str, joints: tuple[str, ...], head: tuple[tuple[str, str], ...]) -> Skeleton:
    sigmas = tuple(_SIGMAS[joint] for joint in joints)
    return Skeleton(name=name, joints=joints, limbs=head + _LIMBS_OF_THE_BODY, oks_sigmas=sigmas)


COCO_17 = _skeleton(
    "coco_17",
    (
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    (("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear")),
)

POSETRACK_15 = _skeleton(
    "posetrack_15",  # the order of the 2017 files and of the official evaluation
    (
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "neck",
        "nose",
        "head_top",
    ),
    (("head_top", "nose"), ("nose", "neck")),
)

POSETRACK_18 = _skeleton(
    "posetrack_18",  # the 17 slots of the 2018 files; the ears are never annotated; head_bottom is the neck
    (
        "nose",
        "head_bottom",
        "head_top",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    (("head_top", "nose"), ("nose", "head_bottom")),
)

SKELETONS = {skeleton.name: skeleton for skeleton in (COCO_17, POSETRACK_15, POSETRACK_18)}

# head_top lies about 1.6 times as far above the shoulders as the face's centre does, the neck 0.3 times: both read off
# annotated images. The bias that remains: people seen from above or below, and heads turned far to a side.
_NECK_PER_FACE_HEIGHT = 0.3
_HEAD_TOP_PER_FACE_HEIGHT = 1.6


def coco_to_posetrack(keypoints: np.ndarray, keypoint_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """COCO 17 joints as PoseTrack 15, in the 2017 order: the only place where neck and head top are made.

    Thirteen joints are the same in both. The other two lie on the line from the shoulders' midpoint `m` to the
    face's centre `f` (score-weighted mean of nose, eyes and ears): neck = m + 0.3 (f - m), head_top = m + 1.6 (f - m).
    Their score is the mean over the shoulders and the seen face joints; without both shoulders or any
    face joint they are missing.

    Args:
        keypoints: (N, 17, 2) pixels, NaN where missing.
        keypoint_scores: (N, 17) 0..1, 0 where missing.

    Returns:
        keypoints (N, 15, 2) and scores (N, 15) of the same kinds.
    """
    face = [COCO_17.index(joint) for joint in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]
    shoulders = [COCO_17.index(joint) for joint in ("left_shoulder", "right_shoulder")]
    seen = np.isfinite(keypoints).all(axis=2) & (keypoint_scores > 0)

    weights = np.where(seen[:, face], keypoint_scores[:, face], 0.0)
    places = np.where(seen[:, face, None], keypoints[:, face], 0.0)
    total = weights.sum(axis=1, keepdims=True)
    face_centre = (places * weights[:, :, None]).sum(axis=1) / np.where(total > 0, total, np.nan)
    shoulder_middle = keypoints[:, shoulders].mean(axis=1)
    up = face_centre - shoulder_middle
    whole = seen[:, shoulders].all(axis=1) & (total[:, 0] > 0)
    face_score = weights.sum(axis=1) / np.maximum(seen[:, face].sum(axis=1), 1)
    head_score = np.where(whole, (keypoint_scores[:, shoulders].mean(axis=1) + face_score) / 2, 0.0)

    made = {
        "neck": shoulder_middle + _NECK_PER_FACE_HEIGHT * up,
        "head_top": shoulder_middle + _HEAD_TOP_PER_FACE_HEIGHT * up,
    }
    out = np.full((len(keypoints), len(POSETRACK_15), 2), np.nan, keypoints.dtype)
    scores = np.zeros((len(keypoints), len(POSETRACK_15)), keypoint_scores.dtype)
    for k, joint in enumerate(POSETRACK_15.joints):
        if joint in made:
            out[:, k] = np.where(whole[:, None], made[joint], np.nan)
            scores[:, k] = head_score
        else:
            out[:, k] = keypoints[:, COCO_17.index(joint)]
            scores[:, k] = keypoint_scores[:, COCO_17.index(joint)]
    return out, scores
