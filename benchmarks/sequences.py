"""Suites of synthetic sequences: the poses that a tracker is given, and the ground truth it is scored against.

Settings are chosen on the suite "dev"; figures are reported for the suite "report", whose worlds have other seeds and
other ranges of size, speed and camera motion.
"""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.noise import LEVELS, Noise, Profile, observe_with_owners, without_joints
from benchmarks.worlds import KINDS, Kind, Seen, World, make_world
from eval_posetrack.formats.clip import Clip
from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import coco_to_posetrack


@dataclass(frozen=True, eq=False)
class Sequence:
    """A clip as given to a tracker, and its ground truth."""

    name: str
    frames: list[tuple[Poses, float]]  # poses and seconds
    ground_truth: Clip
    camera: np.ndarray  # (T, 2, 3) moves the last frame's background points into this frame
    size: tuple[int, int]  # width, height in pixels
    joints: list[Poses]  # the same poses with joints, also if `frames` has only boxes
    owners: list[np.ndarray] = field(default_factory=list)  # (N,) id of the person of each pose, -1 for none
    people: Seen | None = None  # the people of the world, in every frame


SequenceTracker = abc.Callable[[Sequence], list[TrackedPoses]]
"""Gives the tracked poses of each frame: poses of that frame in any order, all or some of them."""


# Numbers of worlds by kind and profiles of scores: scenes like those of PoseTrack, and a street view from above.
_MIX = {
    "walk": 4,
    "group": 3,
    "sport": 5,
    "sprint": 3,
    "duel": 3,
    "overlap": 3,
    "dance": 4,
    "stand": 3,
    "crowd": 1,
    "street": 1,
}
_PROFILES: tuple[Profile, ...] = ("usual", "usual", "usual", "high", "low")
_CALM = {"walk": 8, "group": 4, "dance": 6, "stand": 8, "street": 4}
_CROWD = {"crush": 4}
SUITES = {
    "dev": (1, _MIX),
    "report": (2, _MIX),
    "crowd": (3, _CROWD),
    "calm": (4, _CALM),
}  # first number of each seed; numbers of worlds by kind


def sequences(
    suite: str = "dev",
    seed: int = 0,
    *,
    level: str = "hard",
    people: int | None = None,
    frames: int | None = None,
    profile: Profile | None = None,
    boxes_only: bool = False,
) -> list[Sequence]:
    """The sequences of a suite: thirty of most, with about 8,000 people summed over frames.

    Args:
        suite: "dev" for choosing settings; "report" for reporting figures, with other seeds and other ranges; "calm"
            for scenes without fast motion, long overlaps and moving cameras; "crowd" for four sequences of twenty
            people close together.
        seed: each seed gives other sequences.
        level: of the noise, "easy" or "hard".
        people: number of people in each sequence; drawn when not given.
        frames: number of frames in each sequence; drawn when not given.
        profile: the scale of the scores, "usual", "high" or "low"; three of five sequences are "usual" when not given.
        boxes_only: give the tracker no joints; it is scored by the joints that belong to its boxes.
    """
    first, mix = SUITES[suite]
    kinds = [name for name, many in mix.items() for _ in range(many)]
    made = []
    for number, name in enumerate(kinds):
        rng = np.random.default_rng([first, seed, number])
        kind = _stretched(KINDS[name], rng) if suite == "report" else KINDS[name]
        world = make_world(kind, rng, people=people, frames=frames)
        scale = profile or _PROFILES[number % len(_PROFILES)]
        made.append(sequence(f"{number:02d}_{name}", world, LEVELS[level], scale, rng, boxes_only=boxes_only))
    return made


def _stretched(kind: Kind, rng: np.random.Generator) -> Kind:
    """The same kind with all ranges changed, so that settings chosen on "dev" do not fit it exactly."""

    def moved(low: float, high: float) -> tuple[float, float]:
        factor = np.exp(rng.uniform(-0.2, 0.25))
        return low * factor, high * factor

    return replace(
        kind,
        height_px=moved(*kind.height_px),
        speed=moved(*kind.speed),
        pan=moved(*kind.pan),
        turn_every_s=kind.turn_every_s * rng.uniform(0.7, 1.4),
        inertia_s=kind.inertia_s * rng.uniform(0.7, 1.4),
        room_m=kind.room_m * rng.uniform(0.8, 1.2),
    )


def sequence(
    name: str, world: World, noise: Noise, profile: Profile, rng: np.random.Generator, *, boxes_only: bool = False
) -> Sequence:
    """A world as observed with this noise."""
    observed = observe_with_owners(world, noise, profile, rng)
    joints = [poses for poses, _ in observed]
    shown = [without_joints(poses) for poses in joints] if boxes_only else joints
    times = world.times.tolist()
    owners = [owner for _, owner in observed]
    frames = list(zip(shown, times, strict=True))
    return Sequence(name, frames, annotate(name, world), world.camera, world.size, joints, owners, world.people)


def annotate(name: str, world: World) -> Clip:
    """The ground truth of a world: people who are visible enough, with joints that are visible or can be inferred."""
    people = world.people[world.people.annotated.any(axis=1)]
    shown = people.annotated
    whole, _ = coco_to_posetrack(people.keypoints, np.ones(shown.shape))
    _, there = coco_to_posetrack(people.keypoints, shown.astype(float))
    inside = (whole >= 0).all(axis=2) & (whole < world.size).all(axis=2)
    keypoints = np.where(((there > 0) & inside)[..., None], whole, np.nan)
    rows = np.isfinite(keypoints).any(axis=(1, 2))
    people = people[rows]
    return posetrack_clip(
        name, world.times, people.frames, people.ids, keypoints[rows], None, people.boxes, head_boxes=people.head_boxes
    )


def posetrack_clip(
    name: str,
    times: np.ndarray,
    frames: np.ndarray,
    ids: np.ndarray,
    keypoints: np.ndarray,
    keypoint_scores: np.ndarray | None,
    boxes: np.ndarray,
    scores: np.ndarray | None = None,
    *,
    head_boxes: np.ndarray | None = None,
) -> Clip:
    """A clip of T frames at the given times with people as rows; scores and boxes that are None are missing."""
    N, T = len(frames), len(times)
    return Clip(
        name=name,
        image_names=tuple(f"images/{name}/{t:06d}.jpg" for t in range(T)),
        frames=frames,
        track_ids=ids,
        scores=np.full(N, np.nan) if scores is None else scores,
        keypoints=keypoints,
        keypoint_scores=np.full(keypoints.shape[:2], np.nan) if keypoint_scores is None else keypoint_scores,
        boxes=boxes,
        head_boxes=np.full((N, 4), np.nan) if head_boxes is None else head_boxes,
        ignore_regions=((),) * T,
        labeled=np.ones(T, bool),
        times=times,
    )
