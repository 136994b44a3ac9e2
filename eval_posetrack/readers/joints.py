"""Joints of other tools as PoseTrack's: by name, never by guess.

A tool that names its joints is read by its names; one that only counts them, by the published order of that many
joints (`LAYOUTS`). Two of PoseTrack's joints are rare elsewhere, the neck and the head top: a source that has one of
its own keeps it, otherwise `posetrail.skeletons.coco_to_posetrack` makes it from the face and the shoulders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from eval_posetrack.columns import shown
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
# Published orders: the tools' own documentation, and the papers of the datasets they are trained on.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "coco_17": COCO_17.joints,
    "coco_133": (*COCO_17.joints, *(f"body_{k}" for k in range(17, 133))),  # COCO-WholeBody: feet, face, hands follow
    "halpe_26": SKELETONS["halpe_26"].joints,
    "halpe_136": (*SKELETONS["halpe_26"].joints, *(f"body_{k}" for k in range(26, 136))),  # face and hands follow
    "body_25": SKELETONS["body_25"].joints,
    "openpose_18": SKELETONS["openpose_18"].joints,
    "openpose_15": ("head_top", *_NECK_AND_ARMS, *_LEGS, "chest"),  # trained on MPII, whose head is its top
    "mpii_16": SKELETONS["mpii_16"].joints,
    "crowdpose_14": SKELETONS["crowdpose_14"].joints,
    "aic_14": SKELETONS["aic_14"].joints,
    "posetrack_15": POSETRACK_15.joints,
    "posetrack_17": POSETRACK_18.joints,
}


def layout(name: str) -> tuple[str, ...]:
    """The joints of a published order, for a source that does not name them.

    Raises:
        InputError: no such layout.
    """
    if name not in LAYOUTS:
        raise unknown_name("joint order", name, LAYOUTS)
    return LAYOUTS[name]


def joints_named(
    count: int | None, *, order: str | None, named: Sequence[str] | None, by_count: Iterable[str], where: object
) -> tuple[str, ...]:
    """The names of a source's joints.

    Args:
        count: how many it has; None where it has no people.
        order: a name of `LAYOUTS`, which goes first.
        named: names that the source itself gives, which go second.
        by_count: layouts of which the count tells; nobody means another one by the same count.
        where: the source, for error lines.

    Raises:
        InputError: another count than the names have, or one of which nobody knows the names.
    """
    layouts = {len(LAYOUTS[name]): LAYOUTS[name] for name in by_count}
    names = layout(order) if order else tuple(named) if named else None
    if names is None:
        names = COCO_17.joints if count is None else layouts.get(count)
    elif count is not None and len(names) != count:
        raise InputError(f"{where}: wanted {len(names)} joints ({order or 'as the file names them'}), got {count}")
    if names is None:
        counts = ", ".join(map(str, sorted(layouts)))
        raise InputError(f"{where}: wanted {counts} joints, got {count}; name their order ({', '.join(LAYOUTS)})")
    return names


def posetrack_joint(name: str) -> str | None:
    """PoseTrack's or COCO's name of a joint called `name` elsewhere; None where there is no such joint.

    >>> posetrack_joint("LShoulder"), posetrack_joint("knee_r"), posetrack_joint("tail")
    ('left_shoulder', 'right_knee', None)

    "Head" alone is no joint here: some mean its middle by it.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    return _SPELLINGS.get(re.sub(r"[^a-z0-9]+", "_", spaced.lower()))


def _spellings() -> dict[str, str]:
    found = dict.fromkeys(("head_top", "headtop", "top_head", "tophead", "top_of_head"), "head_top")
    found |= dict.fromkeys(("neck", "head_bottom", "headbottom", "upper_neck", "upperneck"), "neck")
    found["nose"] = "nose"
    for joint in COCO_17.joints[1:]:
        side, part = joint.split("_")
        spellings = (joint, f"{part}_{side}", side + part, part + side, f"{side[0]}_{part}", f"{part}_{side[0]}")
        found |= dict.fromkeys(spellings, joint)
    return found


_SPELLINGS = _spellings()


def to_posetrack(
    names: Sequence[str], keypoints: np.ndarray, scores: np.ndarray, *, where: object
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """A source's joints as PoseTrack's 15, in the 2017 order.

    Args:
        names: (K,) the source's joints, in any spelling.
        keypoints: (P, K, 2) pixels, NaN where missing.
        scores: (P, K), NaN where missing or not given.
        where: the source, for error lines.

    Returns:
        keypoints (P, 15, 2), scores (P, 15), and the names that belong to no joint.

    Raises:
        InputError: no joint is known, or two are the same.
    """
    columns: dict[str, int] = {}
    unknown = []
    for k, name in enumerate(names):
        joint = posetrack_joint(name)
        if joint is None:
            unknown.append(name)
        elif joint in columns:
            both = f"{shown(names[columns[joint]])} and {shown(name)}"
            raise InputError(f"{where}: wanted every joint once, got {both}, both of which are the {joint}")
        else:
            columns[joint] = k
    if not columns.keys() & set(POSETRACK_15.joints):
        raise InputError(f"{where}: wanted joints of people such as nose or left_knee, got {_listed(names)}")

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
    """These joints of the source, NaN where it has none."""
    of_source = [columns[joint] for joint in joints if joint in columns]
    here = [k for k, joint in enumerate(joints) if joint in columns]
    places = np.full((len(keypoints), len(joints), 2), np.nan)
    their_scores = np.full((len(keypoints), len(joints)), np.nan)
    places[:, here], their_scores[:, here] = keypoints[:, of_source], scores[:, of_source]
    return places, their_scores


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(shown(name) for name in names[:most]) or "none") + more
