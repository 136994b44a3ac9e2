"""Skeletons of the public data sets: joint names in order, limbs, mirror pairs, OKS sigmas.

The order of the joints is that of each data set's own files. Joints of the same name are at the same place of the body
in all skeletons, except for those in `posetrail.joint_mapping._MEANT`; that module also maps poses from one skeleton to
another. The file has more than 400 lines because most of it is a table, one joint per line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posetrail import face106, openpose_joints, wholebody
from posetrail.joint_mapping import mapped as mapped

UNKNOWN_SIGMA = 0.08  # OKS sigma of joints without a published one: about the mean of COCO's


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """The joints of one annotation format, in the order of its files.

    Raises:
        ValueError: two joints have one name, sigmas do not match the joints or are not positive, a limb or a mirror
            pair names an unknown joint, or a joint has two mirror images.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...]
    oks_sigmas: tuple[float, ...]  # the k_i / 2 of COCO's OKS: exp(-d^2 / (2 area (2 sigma)^2))
    mirror_pairs: tuple[tuple[str, str], ...] = ()  # default: every left_NAME with its right_NAME

    def __post_init__(self) -> None:
        if not self.mirror_pairs:
            names = [joint.removeprefix("left_") for joint in self.joints if joint.startswith("left_")]
            pairs = tuple((f"left_{name}", f"right_{name}") for name in names if f"right_{name}" in self.joints)
            object.__setattr__(self, "mirror_pairs", pairs)
        if len(set(self.joints)) != len(self.joints):
            raise ValueError(f"{self.name}: two joints have one name")
        if len(self.oks_sigmas) != len(self.joints):
            raise ValueError(f"{self.name}: {len(self.joints)} joints but {len(self.oks_sigmas)} OKS sigmas")
        if not all(0 < sigma < math.inf for sigma in self.oks_sigmas):
            raise ValueError(f"{self.name}: OKS sigmas must be more than 0 and finite")
        for what, pairs in (("limbs", self.limbs), ("mirror pairs", self.mirror_pairs)):
            if unknown := {joint for pair in pairs for joint in pair} - set(self.joints):
                raise ValueError(f"{self.name}: {what} name unknown joints {sorted(unknown)}")
        mirrored = [joint for pair in self.mirror_pairs for joint in pair]
        if len(set(mirrored)) != len(mirrored):
            raise ValueError(f"{self.name}: a joint has two mirror images")

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Position of a joint in `joints`; raises ValueError if the skeleton has no such joint."""
        try:
            return self.joints.index(joint)
        except ValueError:
            raise ValueError(
                f"skeleton {self.name} has no joint {joint!r} (joints: {', '.join(self.joints)})"
            ) from None

    @cached_property
    def limb_indices(self) -> np.ndarray:  # (L, 2) int
        """Limbs as pairs of joint indices."""
        return np.array([[self.index(a), self.index(b)] for a, b in self.limbs], dtype=int).reshape(-1, 2)

    @cached_property
    def body(self) -> np.ndarray:  # (B,) int
        """Indices of the joints by which poses are compared and judged: all but the points of faces and of hands.

        Those are many, close together and hard to see, and would outweigh the rest. A skeleton of a hand or a face
        has no other joints; then it is all of them.
        """
        return np.flatnonzero(self.part == 0) if (self.part == 0).any() else np.arange(len(self))

    @cached_property
    def part(self) -> np.ndarray:  # (K,) int
        """1 for the joints of a left hand, 2 of a right hand, 3 for points of a face, 0 for others."""
        part = np.zeros(len(self), int)
        for number, joints in _DENSE_PARTS:
            if set(joints) <= set(self.joints):
                part[np.isin(self.joints, joints)] = number
        return part

    @cached_property
    def mirror(self) -> np.ndarray:  # (K,) int
        """For every joint, the position of its mirror image, or its own if it has none."""
        mirror = np.arange(len(self))
        for left, right in self.mirror_pairs:
            mirror[[self.index(left), self.index(right)]] = self.index(right), self.index(left)
        return mirror


_DENSE_PARTS = (
    (1, openpose_joints.HAND_JOINTS["left"]),
    (1, wholebody.of_side("left")),
    (2, openpose_joints.HAND_JOINTS["right"]),
    (2, wholebody.of_side("right")),
    (3, wholebody.FACE_JOINTS),
    (3, openpose_joints.FACE_JOINTS),
    (3, face106.JOINTS),
)

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

_ARMS_AND_LEGS = tuple(
    (f"{side}_{start}", f"{side}_{end}")
    for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
    for side in ("left", "right")
)
_TO_SHOULDERS, _TO_HIPS = ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")
_FACE = (("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"))
_FEET = tuple(
    (f"{side}_ankle", f"{side}_{part}") for side in ("left", "right") for part in ("big_toe", "small_toe", "heel")
)

# Published with COCO; those of the feet with COCO-WholeBody. Joints that neither has take those of a joint nearby:
# neck, thorax, head and head top the shoulder's, pelvis and spine the hip's.
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
    "head": 0.079,
    "thorax": 0.079,
    "pelvis": 0.107,
    "spine": 0.107,
    "left_big_toe": 0.068,
    "left_small_toe": 0.066,
    "left_heel": 0.066,
    "right_big_toe": 0.092,
    "right_small_toe": 0.094,
    "right_heel": 0.094,
}


Limbs = tuple[tuple[str, str], ...]


def _skeleton(name: str, joints: tuple[str, ...], head: Limbs, body: Limbs = _LIMBS_OF_THE_BODY) -> Skeleton:
    sigmas = tuple(_SIGMAS[joint] for joint in joints)
    return Skeleton(name=name, joints=joints, limbs=head + body, oks_sigmas=sigmas)


def _from(joint: str, *others: str) -> Limbs:
    return tuple((joint, other) for other in others)


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
    _FACE,
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

COCO_WHOLEBODY_133 = Skeleton(
    name="coco_wholebody_133",  # Jin et al., ECCV 2020: COCO's joints, feet, 68 points of the face, 21 of each hand
    joints=COCO_17.joints + wholebody.JOINTS,
    limbs=COCO_17.limbs + wholebody.LIMBS,
    oks_sigmas=COCO_17.oks_sigmas + wholebody.OKS_SIGMAS,
)

HAND_21 = Skeleton(
    name="hand_21",  # one hand, whichever: joints and sigmas of COCO-WholeBody, without left_ or right_
    joints=wholebody.HAND_JOINTS,
    limbs=wholebody.HAND_LIMBS,
    oks_sigmas=wholebody.HAND_SIGMAS,
)

FACE_68 = Skeleton(
    name="face_68",  # 300-W (Sagonas et al., ICCVW 2013), sigmas of COCO-WholeBody
    joints=wholebody.FACE_JOINTS,
    limbs=wholebody.FACE_LIMBS,
    oks_sigmas=wholebody.FACE_SIGMAS,
)

FACE_106 = Skeleton(
    name="face_106",  # LaPa (Liu et al., AAAI 2020), sigmas after COCO-WholeBody's
    joints=face106.JOINTS,
    limbs=face106.LIMBS,
    oks_sigmas=face106.OKS_SIGMAS,
)

FACE_70 = Skeleton(
    name="face_70",  # OpenPose's: 300-W with the pupils
    joints=openpose_joints.FACE_JOINTS,
    limbs=openpose_joints.FACE_LIMBS,
    oks_sigmas=openpose_joints.FACE_SIGMAS,
)

HALPE_26 = _skeleton(
    "halpe_26",  # Fang et al., TPAMI 2022 (AlphaPose): the body of Halpe-FullBody
    (
        *COCO_17.joints,
        "head_top",
        "neck",
        "pelvis",
        "left_big_toe",
        "right_big_toe",
        "left_small_toe",
        "right_small_toe",
        "left_heel",
        "right_heel",
    ),
    (*_FACE, ("head_top", "nose"), ("nose", "neck")),
    (*_from("neck", *_TO_SHOULDERS, "pelvis"), *_from("pelvis", *_TO_HIPS), *_ARMS_AND_LEGS, *_FEET),
)

BODY_25 = _skeleton(
    "body_25",  # OpenPose's default; its neck is the middle of the shoulders
    (
        "nose",
        "neck",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "pelvis",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_eye",
        "left_eye",
        "right_ear",
        "left_ear",
        "left_big_toe",
        "left_small_toe",
        "left_heel",
        "right_big_toe",
        "right_small_toe",
        "right_heel",
    ),
    (*_FACE, ("nose", "neck")),
    (*_from("neck", *_TO_SHOULDERS, "pelvis"), *_from("pelvis", *_TO_HIPS), *_ARMS_AND_LEGS, *_FEET),
)

OPENPOSE_18 = _skeleton(
    "openpose_18",  # OpenPose's COCO model, Cao et al., CVPR 2017; its neck is the middle of the shoulders
    (*(joint for joint in BODY_25.joints[:15] if joint != "pelvis"), *BODY_25.joints[15:19]),
    (*_FACE, ("nose", "neck")),
    (*_from("neck", *_TO_SHOULDERS, *_TO_HIPS), *_ARMS_AND_LEGS),
)

OPENPOSE_MPI_15 = _skeleton(
    "openpose_mpi_15",  # OpenPose's MPII model; "spine" is the middle of MPII's thorax and pelvis
    ("head_top", "neck", *(joint for joint in OPENPOSE_18.joints[2:14]), "spine"),
    (("head_top", "neck"),),
    (*_from("neck", *_TO_SHOULDERS, "spine"), *_from("spine", *_TO_HIPS), *_ARMS_AND_LEGS),
)

BODY_135 = Skeleton(
    name="body_135",  # OpenPose's network for whole bodies, Hidalgo et al., ICCV 2019
    joints=COCO_17.joints + openpose_joints.JOINTS,
    limbs=COCO_17.limbs + openpose_joints.LIMBS,
    oks_sigmas=COCO_17.oks_sigmas + openpose_joints.OKS_SIGMAS,
)

MPII_16 = _skeleton(
    "mpii_16",  # Andriluka et al., CVPR 2014; its "upper neck" is the neck here
    (
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
        "thorax",
        "neck",
        "head_top",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
    ),
    (("head_top", "neck"), ("neck", "thorax")),
    (*_from("thorax", *_TO_SHOULDERS, "pelvis"), *_from("pelvis", *_TO_HIPS), *_ARMS_AND_LEGS),
)

_NECK_AND_BOX = _from("neck", "head_top", *_TO_SHOULDERS)

CROWDPOSE_14 = _skeleton(
    "crowdpose_14",  # Li et al., CVPR 2019
    (*COCO_17.joints[5:], "head_top", "neck"),
    _NECK_AND_BOX,
)

LSP_14 = _skeleton(
    "lsp_14",  # Johnson and Everingham, BMVC 2010
    (*MPII_16.joints[:6], *MPII_16.joints[10:], "neck", "head_top"),
    _NECK_AND_BOX,
)

MPI_14 = _skeleton(
    "mpi_14",  # MPII without thorax and pelvis, in the order of Convolutional Pose Machines (Wei et al., CVPR 2016)
    (
        *("head_top", "neck"),
        *(f"{side}_{joint}" for side in ("right", "left") for joint in ("shoulder", "elbow", "wrist")),
        *(f"{side}_{joint}" for side in ("right", "left") for joint in ("hip", "knee", "ankle")),
    ),
    _NECK_AND_BOX,
)

FLIC_9 = _skeleton(
    "flic_9",  # Sapp and Taskar, CVPR 2013: upper bodies
    (
        *(f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist")),
        *("left_hip", "right_hip", "head"),
    ),
    _from("head", *_TO_SHOULDERS),
    tuple(limb for limb in _LIMBS_OF_THE_BODY if not any("knee" in joint or "ankle" in joint for joint in limb)),
)

AIC_14 = Skeleton(
    name="aic_14",  # AI Challenger, Wu et al. 2017: its sigmas are much smaller, measured by its own annotators
    joints=(
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_hip",
        "left_knee",
        "left_ankle",
        "head_top",
        "neck",
    ),
    limbs=_NECK_AND_BOX + _LIMBS_OF_THE_BODY,
    oks_sigmas=(
        *(0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144, 0.03909642),
        *(0.03686941, 0.01981803, 0.03843971, 0.03412318, 0.02415081, 0.01291456, 0.01236173),
    ),
)

H36M_17 = _skeleton(
    "h36m_17",  # Human3.6M as Martinez et al. (ICCV 2017) and VideoPose3D take it; its "neck/nose" is the nose here
    (
        "pelvis",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_hip",
        "left_knee",
        "left_ankle",
        "spine",
        "thorax",
        "nose",
        "head_top",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
    ),
    (("head_top", "nose"), ("nose", "thorax")),
    (*_from("thorax", *_TO_SHOULDERS, "spine"), *_from("pelvis", *_TO_HIPS, "spine"), *_ARMS_AND_LEGS),
)

_SIDES_OF_THE_FACE = (("eye_inner", "eye"), ("eye", "eye_outer"), ("eye_outer", "ear"))
_SIDES_OF_THE_LIMBS = (
    *(("wrist", part) for part in ("thumb", "index", "little")),
    *(("index", "little"), ("ankle", "heel"), ("ankle", "big_toe"), ("heel", "big_toe")),
)

BLAZEPOSE_33 = Skeleton(
    name="blazepose_33",  # Bazarevsky et al. 2020; index and little are knuckles; the foot index is the big toe here
    joints=(
        "nose",
        "left_eye_inner",
        "left_eye",
        "left_eye_outer",
        "right_eye_inner",
        "right_eye",
        "right_eye_outer",
        "left_ear",
        "right_ear",
        "left_mouth",
        "right_mouth",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_little",
        "right_little",
        "left_index",
        "right_index",
        "left_thumb",
        "right_thumb",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
        "left_heel",
        "right_heel",
        "left_big_toe",
        "right_big_toe",
    ),
    limbs=(
        *_from("nose", "left_eye_inner", "right_eye_inner", "left_mouth", "right_mouth"),
        ("left_mouth", "right_mouth"),
        *(
            (f"{side}_{start}", f"{side}_{end}")
            for start, end in (*_SIDES_OF_THE_FACE, *_SIDES_OF_THE_LIMBS)
            for side in ("left", "right")
        ),
        *_LIMBS_OF_THE_BODY,
    ),
    oks_sigmas=(
        *(0.026, 0.025, 0.025, 0.025, 0.025, 0.025, 0.025, 0.035, 0.035),
        *(0.026, 0.026),  # mouth: the nose's
        *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.062, 0.062, 0.062, 0.062, 0.062, 0.062),  # hands: the wrist's
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
        *(0.066, 0.094, 0.068, 0.092),
    ),
)

HUMANEVA_15 = _skeleton(
    "humaneva_15",  # HumanEva-I as VideoPose3D takes it
    (
        "pelvis",
        "thorax",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_hip",
        "right_knee",
        "right_ankle",
        "head",
    ),
    (("head", "thorax"),),
    (*_from("thorax", *_TO_SHOULDERS, "pelvis"), *_from("pelvis", *_TO_HIPS), *_ARMS_AND_LEGS),
)

SKELETONS = {
    skeleton.name: skeleton
    for skeleton in (
        COCO_17,
        POSETRACK_15,
        POSETRACK_18,
        COCO_WHOLEBODY_133,
        HALPE_26,
        BODY_25,
        OPENPOSE_18,
        OPENPOSE_MPI_15,
        BODY_135,
        MPII_16,
        CROWDPOSE_14,
        AIC_14,
        LSP_14,
        MPI_14,
        FLIC_9,
        H36M_17,
        HAND_21,
        FACE_68,
        FACE_70,
        FACE_106,
        BLAZEPOSE_33,
        HUMANEVA_15,
    )
}

PARTS = (HAND_21, FACE_68, FACE_70, FACE_106)
"""Skeletons of a part of the body: their networks take boxes of hands or faces."""


def coco_to_posetrack(keypoints: np.ndarray, keypoint_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map COCO's 17 joints to PoseTrack's 15 in the order of 2017; see `posetrail.joint_mapping` for neck and head top.

    Args:
        keypoints: (N, 17, 2) pixels, NaN where missing.
        keypoint_scores: (N, 17) 0..1, 0 where missing.

    Returns:
        keypoints (N, 15, 2) and keypoint scores (N, 15).
    """
    return mapped(keypoints, keypoint_scores, COCO_17, POSETRACK_15)


def skeleton_of_size(num_joints: int) -> Skeleton:
    """The skeleton of poses without a named one: COCO's (17), PoseTrack's (15), or one with unnamed joints."""
    known = {len(skeleton): skeleton for skeleton in (COCO_17, POSETRACK_15)}
    if num_joints in known:
        return known[num_joints]
    return _of_unknown_joints(tuple(f"joint_{k}" for k in range(num_joints)))


def skeleton_with(joints: tuple[str, ...]) -> Skeleton:
    """The skeleton of poses known by the names of their joints, some of which may have been seen nowhere.

    It is the known skeleton with these joints in this order, or else in another one; otherwise COCO_17 if it has all of
    them, or the smallest known skeleton that has; otherwise one of these joints, without limbs.

    Raises:
        ValueError: two joints have one name.
    """
    known = [skeleton for skeleton in SKELETONS.values() if set(joints) <= set(skeleton.joints)]
    if not known:
        return _of_unknown_joints(joints)
    in_order = [skeleton for skeleton in known if skeleton.joints == joints]
    return min(in_order or known, key=lambda each: (len(each) > len(joints), each is not COCO_17, len(each)))


def _of_unknown_joints(joints: tuple[str, ...]) -> Skeleton:
    name = f"{len(joints)}_joints"
    return Skeleton(name=name, joints=joints, limbs=(), oks_sigmas=(UNKNOWN_SIGMA,) * len(joints))
