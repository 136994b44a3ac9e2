"""Runs to correct, made of the poses of synthetic worlds, and random requests to correct them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from posetrail.skeletons import COCO_17
from tests.pose_frames import missed_in, pose_frames
from tests.worlds import Walker, World, line
from tracker.frames import PoseFrame
from tracker.io.pose_log import PoseLogHeader, PoseLogWriter
from tracker.runs.follow import follow_poses
from tracker.settings import AssociationSettings
from tracker.tracked_clip import TrackedClip

WALKERS = World(
    (
        Walker(line((20, 60), (90, 0)), missed=missed_in((20, 24))),
        Walker(line((500, 75), (-90, 0))),
        Walker(line((300, 10), (0, 60)), missed=missed_in((0, 10), (50, 60))),
    ),
    num_frames=60,
)
"""Three people; two cross, one is missed for four frames and another comes late and leaves early."""


def write_log(folder: Path, frames: Sequence[PoseFrame], size: tuple[int, int] = (640, 360)) -> Path:
    """A pose log of these frames of a size in a new folder."""
    header = PoseLogHeader(
        skeleton=COCO_17,
        fps=30.0,
        width=size[0],
        height=size[1],
        source="world.mp4",
        source_fingerprint="sha256:00",
        inference_settings={},
        models=[],
        posetrail_version="0",
    )
    folder.mkdir(parents=True)
    with PoseLogWriter(folder / "poses.arrow", header) as log:
        for frame in frames:
            log.append(frame)
    return folder


def make_run(
    folder: Path,
    frames: Sequence[PoseFrame] | None = None,
    settings: AssociationSettings = AssociationSettings(),
    size: tuple[int, int] = (640, 360),
) -> Path:
    """A run of these frames, or of `WALKERS`."""
    write_log(folder, pose_frames(WALKERS, shuffle=3) if frames is None else frames, size)
    follow_poses(folder, settings)
    return folder


def random_request(random: Random, clip: TrackedClip, revision: int) -> dict[str, Any]:
    """A request that may or may not be met."""

    def pose() -> list[int]:
        filled = np.flatnonzero(np.diff(clip.begins)).tolist()
        position = random.choice(filled) if filled else 0
        number = int(clip.begins[position + 1] - clip.begins[position])
        return [position, random.randrange(number) if number else 0]

    def pair() -> tuple[list[int], list[int]]:
        a = pose()
        number = int(clip.begins[a[0] + 1] - clip.begins[a[0]])
        return a, [a[0], random.randrange(max(number, 1))] if random.random() < 0.7 else pose()

    joint, a_b = random.choice(COCO_17.joints), pair()
    place = [random.uniform(0, 640), random.uniform(0, 360)]
    return random.choice(
        [
            {"op": "swap", "a": a_b[0], "b": a_b[1], "only_here": random.random() < 0.3},
            {"op": "swap", "a": a_b[0], "b": a_b[1]},
            {"op": "join", "a": pose(), "b": pose()},
            {"op": "split", "pose": pose()},
            {"op": "name", "pose": pose(), "name": random.choice(["Ada", "Ben", "Cy", ""])},
            {"op": "remove", "pose": pose(), "scope": random.choice(["here", "here", "onwards", "track"])},
            {"op": "move", "pose": pose(), "joint": joint, "xy": place},
            {"op": "hide", "pose": pose(), "joint": joint},
            {
                "op": "flip",
                "pose": pose(),
                "to": random.randrange(len(clip)),
                "part": random.choice(["all", "arms", "legs", "face"]),
            },
            {
                "op": "add",
                "frame": random.randrange(len(clip)),
                "joints": {joint: place, "nose": [3.5, 4]},
                "like": pose() if random.random() < 0.7 else None,
            },
            {"op": "fine", "suspect": "link:3.1-4.0"},
            {"op": "checked", "from": random.randrange(len(clip)), "to": random.randrange(len(clip))},
            {"op": "undo", "of": random.randint(1, max(revision, 1))},
        ]
    )
