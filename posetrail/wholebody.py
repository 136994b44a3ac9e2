"""Joints of COCO-WholeBody beyond COCO's 17: feet, face and hands (Jin et al., ECCV 2020), in the order of its files.

The 68 points of the face are those of 300-W (Sagonas et al., ICCVW 2013). Left and right are those of the person;
numbers count from the ear to the chin, from the temple to the nose, and from the wrist to the fingertip.
"""

from __future__ import annotations

from itertools import pairwise

_SIDES = ("left", "right")
_FOOT = ("big_toe", "small_toe", "heel")
HAND_ROOT = "hand_root"
_FINGERS = ("thumb", "index", "middle", "ring", "little")


def _counted(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}_{k}" for k in range(1, count + 1))


_JAW = (*_counted("right_jaw", 8), "chin", *reversed(_counted("left_jaw", 8)))
_BROWS = (_counted("right_brow", 5), tuple(reversed(_counted("left_brow", 5))))
_BRIDGE = _counted("nose_bridge", 4)
_NOSTRILS = (*_counted("right_nostril", 2), "nose_base", *reversed(_counted("left_nostril", 2)))
_EYES = (
    tuple(
        f"right_eye_{place}" for place in ("outer", "upper_outer", "upper_inner", "inner", "lower_inner", "lower_outer")
    ),
    tuple(
        f"left_eye_{place}" for place in ("inner", "upper_inner", "upper_outer", "outer", "lower_outer", "lower_inner")
    ),
)
LIPS = (
    "right_lip_corner",
    "right_lip_upper_outer",
    "right_lip_upper_inner",
    "lip_upper",
    "left_lip_upper_inner",
    "left_lip_upper_outer",
    "left_lip_corner",
    "left_lip_lower_outer",
    "left_lip_lower_inner",
    "lip_lower",
    "right_lip_lower_inner",
    "right_lip_lower_outer",
)
MOUTH = (
    "right_mouth_corner",
    "right_mouth_upper",
    "mouth_upper",
    "left_mouth_upper",
    "left_mouth_corner",
    "left_mouth_lower",
    "mouth_lower",
    "right_mouth_lower",
)

FOOT_JOINTS = tuple(f"{side}_{part}" for side in _SIDES for part in _FOOT)
"""(6,)"""
FACE_JOINTS = (*_JAW, *_BROWS[0], *_BROWS[1], *_BRIDGE, *_NOSTRILS, *_EYES[0], *_EYES[1], *LIPS, *MOUTH)
"""(68,)"""
HAND_JOINTS = (HAND_ROOT, *(joint for finger in _FINGERS for joint in _counted(finger, 4)))
"""(21,) of one hand, without its side."""


def of_side(side: str, joints: tuple[str, ...] = HAND_JOINTS) -> tuple[str, ...]:
    """The names of a hand's joints with its side, left or right."""
    return tuple(f"{side}_{joint}" for joint in joints)


JOINTS = (*FOOT_JOINTS, *FACE_JOINTS, *of_side("left"), *of_side("right"))
"""(116,) after COCO's 17."""


def rings(*lines: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Limbs along lines that end where they begin."""
    return tuple(limb for line in lines for limb in pairwise((*line, line[0])))


def paths(*lines: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Limbs along lines."""
    return tuple(limb for line in lines for limb in pairwise(line))


FACE_LIMBS = (*paths(_JAW, *_BROWS, (*_BRIDGE, "nose_base"), _NOSTRILS), *rings(*_EYES, LIPS, MOUTH))
HAND_LIMBS = paths(*((HAND_ROOT, *_counted(finger, 4)) for finger in _FINGERS))

LIMBS = (
    *((f"{side}_ankle", f"{side}_{part}") for side in _SIDES for part in _FOOT),
    *FACE_LIMBS,
    *((f"{side}_wrist", f"{side}_{HAND_ROOT}") for side in _SIDES),
    *((f"{side}_{a}", f"{side}_{b}") for side in _SIDES for a, b in HAND_LIMBS),
)

# Published with the data set's evaluation.
HAND_SIGMAS = (
    *(0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024),
    *(0.022, 0.026, 0.017, 0.021, 0.021, 0.032, 0.02, 0.019, 0.022, 0.031),
)
FACE_SIGMAS = (
    *(0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020, 0.023, 0.029, 0.032, 0.037, 0.038, 0.043),  # jaw
    *(0.041, 0.045, 0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015),  # brows
    *(0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010),  # nose
    *(0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034),  # eyes
    *(0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009, 0.007),  # lips
    *(0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.01, 0.008),  # mouth
)
OKS_SIGMAS = (*(0.068, 0.066, 0.066, 0.092, 0.094, 0.094), *FACE_SIGMAS, *HAND_SIGMAS, *HAND_SIGMAS)  # feet first
"""(116,) as posetrail.skeletons.Skeleton has them."""
