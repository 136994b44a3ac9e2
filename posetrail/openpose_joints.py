"""Joints of OpenPose's network for whole bodies, BODY_135 (Hidalgo et al., ICCV 2019), beyond COCO's 17, and of faces.

Hands lack the root, which is the wrist of the body. Faces have the pupils after the 68 points of 300-W.
"""

from __future__ import annotations

from posetrail import wholebody

_SIDES = ("left", "right")
_PUPILS = ("right_pupil", "left_pupil")
_FIRST_OF_FINGERS = tuple(f"{finger}_1" for finger in ("thumb", "index", "middle", "ring", "little"))
_FINGERS = wholebody.HAND_JOINTS[1:]
_FACE_SIGMAS = dict(zip(wholebody.FACE_JOINTS, wholebody.FACE_SIGMAS, strict=True))

FACE_JOINTS = (*wholebody.FACE_JOINTS, *_PUPILS)
"""(70,)"""
FACE_LIMBS = (
    *wholebody.FACE_LIMBS,
    *((f"{side}_eye_{end}", f"{side}_pupil") for side in _SIDES for end in ("inner", "outer")),
)
FACE_SIGMAS = (
    *wholebody.FACE_SIGMAS,
    *((_FACE_SIGMAS[f"{side}_eye_inner"] + _FACE_SIGMAS[f"{side}_eye_outer"]) / 2 for side in ("right", "left")),
)

HAND_JOINTS = {side: wholebody.of_side(side, _FINGERS) for side in _SIDES}
"""(20,) of each hand."""
JOINTS = (
    *("neck", "head_top"),
    *wholebody.FOOT_JOINTS,
    *HAND_JOINTS["left"],
    *HAND_JOINTS["right"],
    *FACE_JOINTS,
)
"""(118,) after COCO's 17."""
LIMBS = (
    *(("nose", "neck"), ("neck", "head_top")),
    *((f"{side}_ankle", f"{side}_{part}") for side in _SIDES for part in ("big_toe", "small_toe", "heel")),
    *FACE_LIMBS,
    *((f"{side}_wrist", f"{side}_{joint}") for side in _SIDES for joint in _FIRST_OF_FINGERS),
    *((f"{side}_{a}", f"{side}_{b}") for side in _SIDES for a, b in wholebody.HAND_LIMBS if a != wholebody.HAND_ROOT),
)
_NECK_SIGMA = 0.079  # the shoulder's
OKS_SIGMAS = (
    *(_NECK_SIGMA, _NECK_SIGMA),
    *wholebody.OKS_SIGMAS[: len(wholebody.FOOT_JOINTS)],
    *wholebody.HAND_SIGMAS[1:],
    *wholebody.HAND_SIGMAS[1:],
    *FACE_SIGMAS,
)
"""(118,) as posetrail.skeletons.Skeleton has them."""
