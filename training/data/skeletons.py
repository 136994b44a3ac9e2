"""The skeleton of a file that names its joints: a known one, or one with the limbs of the file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from posetrail.skeleton_files import default_sigmas
from posetrail.skeletons import SKELETONS, Skeleton

_KNOWN = {skeleton.joints: skeleton for skeleton in SKELETONS.values()}
_OTHER_NAMES = {"head": "head_top", "top_head": "head_top"}  # of CrowdPose's files
_SIDES = {"left": "right", "l": "r"}


def known_skeleton(joints: Sequence[str]) -> Skeleton | None:
    """The known skeleton with these joints in this order, spelled like left_knee or Left Knee; None if unknown."""
    spelled = tuple(joint.strip().lower().replace(" ", "_") for joint in joints)
    return _KNOWN.get(spelled) or _KNOWN.get(tuple(_OTHER_NAMES.get(joint, joint) for joint in spelled))


def new_skeleton(joints: Sequence[str], limbs: Sequence[tuple[str, str]], name: str = "") -> Skeleton:
    """A skeleton of these joints and limbs; mirror pairs follow from the names, OKS sigmas are COCO's or 0.08.

    Raises:
        ValueError: two joints have one name, or a limb names no joint.
    """
    return Skeleton(
        name=name or f"{len(joints)}_joints",
        joints=tuple(joints),
        limbs=tuple(limbs),
        oks_sigmas=default_sigmas(joints),
        mirror_pairs=mirror_pairs(joints),
    )


def mirror_pairs(joints: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of joints whose names differ in the side only, left first.

    >>> mirror_pairs(["L_Eye", "nose", "R_Eye", "kneeLeft", "kneeRight"])
    (('L_Eye', 'R_Eye'), ('kneeLeft', 'kneeRight'))
    """
    words = {tuple(_words(joint)): joint for joint in joints}
    pairs = []
    for own, joint in words.items():
        mirrored = tuple(_SIDES.get(word, word) for word in own)
        if mirrored != own and mirrored in words:
            pairs.append((joint, words[mirrored]))
    return tuple(pairs)


def _words(joint: str) -> list[str]:
    """The words of a name in lower case: "LShoulder" is l, shoulder."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", joint)
    return re.findall(r"[^\W_]+", spaced.lower())
