"""Maps joints of other tools to those of PoseTrack, by name.

Tools that name their joints are read by these names; for others, the number of joints decides between published orders
(`LAYOUTS`). The neck and the head top of PoseTrack are rare elsewhere: if the source lacks them,
`posetrail.skeletons.coco_to_posetrack` derives them from the face and the shoulders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from eval_posetrack.formats.columns import shown
from posetrail.errors import InputError, unknown_name
from posetrail.skeletons import COCO_17, POSETRACK_15, POSETRACK_18, SKELETONS, coco_to_posetrack

_NECK_AND_ARMS = (
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)
_LEGS = ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
# Published orders, from the documentation of the tools and the papers of the data sets they are trained on.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "coco_17": COCO_17.joints,
    "coco_133": (*COCO_17.joints, *(f"body_{k}" for k in range(17, 133))),  # COCO-WholeBody: feet, face, hands follow
    "halpe_26": SKELETONS["halpe_26"].joints,
    "halpe_136": (*SKELETONS["halpe_26"].joints, *(f"body_{k}" for k in range(26, 136))),  # face and hands follow
    "body_25": SKELETONS["body_25"].joints,
    "openpose_18": SKELETONS["openpose_18"].joints,
    "openpose_15": ("head_top", *_NECK_AND_ARMS, *_LEGS, "chest"),  # trained on MPII, whose head joint is the head top
    "mpii_16": SKELETONS["mpii_16"].joints,
    "crowdpose_14": SKELETONS["crowdpose_14"].joints,
    "aic_14": SKELETONS["aic_14"].joints,
    "posetrack_15": POSETRACK_15.joints,
    "posetrack_17": POSETRACK_18.joints,
}


def layout(name: str) -> tuple[str, ...]:
    """The joints of a published order, for a source that does not name them.

    Raises:
        InputError: the layout is unknown.
    """
    if name not in LAYOUTS:
        raise unknown_name("joint order", name, LAYOUTS)
    return LAYOUTS[name]


def joints_named(
    count: int | None, *, order: str | None, named: Sequence[str] | None, by_count: Iterable[str], where: object
) -> tuple[str, ...]:
    """The names of a source's joints.

    Args:
        count: number of joints; None without people.
        order: a name of `LAYOUTS`, which takes precedence.
        named: names given by the source, used without `order`.
        by_count: layouts that the number of joints decides between, used without names.
        where: the source, for error messages.

    Raises:
        InputError: the number of joints differs from that of the names, or no layout has it.
    """
    layouts = {len(LAYOUTS[name]): LAYOUTS[name] for name in by_count}
    names = layout(order) if order else tuple(named) if named else None
    if names is None:
        names = COCO_17.joints if count is None else layouts.get(count)
    elif count is not None and len(names) != count:
        raise InputError(f"{where}: expected {len(names)} joints ({order or 'as the file names them'}), got {count}")
    if names is None:
        counts = ", ".join(map(str, sorted(layouts)))
        raise InputError(
            f"{where}: expected {counts} joints, got {count}; give their order with --joints ({', '.join(LAYOUTS)})"
        )
    return names


def posetrack_joint(name: str) -> str | None:
    """The name in PoseTrack or COCO of a joint called `name` elsewhere; None if there is no such joint.

    >>> posetrack_joint("LShoulder"), posetrack_joint("knee_r"), posetrack_joint("tail")
    ('left_shoulder', 'right_knee', None)

    "Head" alone is not mapped, because some tools mean the middle of the head by it.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    return _SPELLINGS.get(re.sub(r"[^a-z0-9]+", "_", spaced.lower()))


def _spellings() -> dict[str, str]:
    joints = dict.fromkeys(("head_top", "headtop", "top_head", "tophead", "top_of_head"), "head_top")
    joints |= dict.fromkeys(("neck", "head_bottom", "headbottom", "upper_neck", "upperneck"), "neck")
    joints["nose"] = "nose"
    for joint in COCO_17.joints[1:]:
        side, part = joint.split("_")
        spellings = (joint, f"{part}_{side}", side + part, part + side, f"{side[0]}_{part}", f"{part}_{side[0]}")
        joints |= dict.fromkeys(spellings, joint)
    return joints


_SPELLINGS = _spellings()


def to_posetrack(
    names: Sequence[str], keypoints: np.ndarray, scores: np.ndarray, *, where: object
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Convert joints of a source to the 15 of PoseTrack, in the order of POSETRACK_15.

    Args:
        names: (K,) the source's joints, in any spelling.
        keypoints: (P, K, 2) pixels, NaN where missing.
        scores: (P, K), NaN where missing or not given.
        where: the source, for error messages.

    Returns:
        keypoints (P, 15, 2), scores (P, 15), and the names that are not mapped.

    Raises:
        InputError: no joint is known, or two names mean the same joint.
    """
    columns: dict[str, int] = {}
    unknown = []
    for k, name in enumerate(names):
        joint = posetrack_joint(name)
        if joint is None:
            unknown.append(name)
        elif joint in columns:
            both = f"{shown(names[columns[joint]])} and {shown(name)}"
            raise InputError(f"{where}: expected every joint once, got {both}, which are both the {joint}")
        else:
            columns[joint] = k
    if not columns.keys() & set(POSETRACK_15.joints):
        raise InputError(f"{where}: expected joints of people such as nose or left_knee, got {_listed(names)}")

    coco, coco_scores = _taken(columns, COCO_17.joints, keypoints, scores)
    there = np.isfinite(coco).all(axis=2)
    weights = np.where(there, np.where(np.isnan(coco_scores), 1.0, coco_scores), 0.0)
    made, made_scores = coco_to_posetrack(coco, weights)
    scored = np.isfinite(coco_scores).any(axis=1, keepdims=True)
    made_scores = np.where(scored & np.isfinite(made[:, :, 0]), made_scores, np.nan)

    own, own_scores = _taken(columns, POSETRACK_15.joints, keypoints, scores)
    has_own = np.array([joint in columns for joint in POSETRACK_15.joints])
    return (
        np.where(has_own[:, None], own, made),
        np.where(has_own, own_scores, made_scores),
        tuple(unknown),
    )


def _taken(
    columns: dict[str, int], joints: Sequence[str], keypoints: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """These joints of the source, NaN for those that it lacks."""
    of_source = [columns[joint] for joint in joints if joint in columns]
    here = [k for k, joint in enumerate(joints) if joint in columns]
    places = np.full((len(keypoints), len(joints), 2), np.nan)
    their_scores = np.full((len(keypoints), len(joints)), np.nan)
    places[:, here], their_scores[:, here] = keypoints[:, of_source], scores[:, of_source]
    return places, their_scores


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(shown(name) for name in names[:most]) or "none") + more
