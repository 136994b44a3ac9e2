"""Invented people for the tests of the evaluation: a body of 15 joints, put where a test wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eval_posetrack.formats.files import Clip
from posetrail.similarity import keypoint_boxes
from posetrail.skeletons import POSETRACK_15

# Pixels from the middle of the hips; 1.8 heads of 50 px from nose to hip and so on.
BODY = {
    "right_ankle": (-20, 160),
    "right_knee": (-20, 80),
    "right_hip": (-20, 0),
    "left_hip": (20, 0),
    "left_knee": (20, 80),
    "left_ankle": (20, 160),
    "right_wrist": (-60, 10),
    "right_elbow": (-50, -40),
    "right_shoulder": (-30, -90),
    "left_shoulder": (30, -90),
    "left_elbow": (50, -40),
    "left_wrist": (60, 10),
    "neck": (0, -100),
    "nose": (0, -125),
    "head_top": (0, -150),
}
POSE = np.array([BODY[joint] for joint in POSETRACK_15.joints], float)  # (15, 2)
HEAD = np.array([-15, -150, 15, -110], float)  # diagonal 50: the head's size is 30 px, a match is within 15 px


def clip_of(
    poses: Sequence[np.ndarray],
    *,
    frames: Sequence[int] | None = None,
    ids: Sequence[int] | None = None,
    num_frames: int | None = None,
    **fields: Any,
) -> Clip:
    """A clip of these poses (15, 2), by default all in frame 0; every head is 30 px in size."""
    people = len(poses)
    frames = [0] * people if frames is None else frames
    num_frames = max(frames, default=0) + 1 if num_frames is None else num_frames
    keypoints = np.array(poses, float).reshape(-1, 15, 2)
    defaults: dict[str, Any] = {
        "name": "clip",
        "image_names": tuple(f"{t:06d}.jpg" for t in range(num_frames)),
        "frames": np.array(frames, int),
        "track_ids": np.arange(people) if ids is None else np.array(ids, int),
        "scores": np.full(people, 0.5),
        "keypoints": keypoints,
        "keypoint_scores": np.where(np.isnan(keypoints[:, :, 0]), np.nan, 0.5),
        "boxes": keypoint_boxes(keypoints),
        "head_boxes": np.tile(HEAD, (people, 1)),
        "ignore_regions": ((),) * num_frames,
        "labeled": np.ones(num_frames, bool),
    }
    return Clip(
        **defaults | {name: np.array(value) if isinstance(value, list) else value for name, value in fields.items()}
    )


def crowd(
    *,
    people: int,
    frames: int,
    seed: int = 0,
    shift: float = 0.0,
    noise: float = 0.0,
    shown: float = 1.0,
    joints_shown: float = 1.0,
    size: tuple[float, float] = (1.0, 1.0),
    scores: np.random.Generator | None = None,
) -> Clip:
    """People who walk on straight lines, ids 0, 1, ...; the same `seed`, the same people in the same places.

    Args:
        people: how many.
        frames: how many.
        seed: of where they walk.
        shift: pixels that all are moved aside.
        noise: pixels that every joint is off, standard deviation.
        shown: share of people in a frame that are there.
        joints_shown: share of their joints.
        size: smallest and largest size of a person.
        scores: draws scores for people and joints.
    """
    world, chance = np.random.default_rng(seed), np.random.default_rng((seed, 1))
    starts, steps = world.uniform(0, 1000, (100, 2)), world.normal(0, 4, (100, 2))
    sizes = world.uniform(*size, 100)
    t, i = (grid.ravel() for grid in np.meshgrid(np.arange(frames), np.arange(people), indexing="ij"))
    keypoints = POSE * sizes[i, None, None] + (starts[i] + steps[i] * t[:, None])[:, None] + shift
    keypoints += chance.normal(0, 1, keypoints.shape) * noise
    keypoints[chance.random(keypoints.shape[:2]) >= joints_shown] = np.nan
    kept = (chance.random(len(t)) < shown) & np.isfinite(keypoints[:, :, 0]).any(axis=1)
    fields: dict[str, Any] = {}
    if scores is not None:
        fields["scores"] = scores.random(kept.sum())
        drawn = scores.random((kept.sum(), 15))
        fields["keypoint_scores"] = np.where(np.isnan(keypoints[kept][:, :, 0]), np.nan, drawn)
    middle = (starts[i] + steps[i] * t[:, None])[kept] + shift
    return clip_of(
        list(keypoints[kept]),
        frames=t[kept].tolist(),
        ids=i[kept].tolist(),
        num_frames=frames,
        head_boxes=HEAD * sizes[i[kept], None] + np.tile(middle, 2),
        **fields,
    )
