"""Who is who, alone: the same poses given to our presets and to the trackers people use. No pixels, no networks.

    uv run python -m benchmarks.association                       # our presets and the peers that are installed
    uv run python -m benchmarks.association --suite dev --only perfect,default --easy

Worlds are invented (`benchmarks.worlds`), and so are the faults of the networks that look at them (`benchmarks.noise`).
Settings are chosen on the suite "dev"; figures are told of the suite "report", whose worlds come from other seeds and
from other ranges of people, speed and camera. Scores are of `eval_posetrack`, pooled over the sequences.
"""

from __future__ import annotations

import argparse
import time
from collections import abc
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.noise import LEVELS, Noise, Profile, observe, without_joints
from benchmarks.worlds import KINDS, Kind, World, make_world
from core.people import Poses, TrackedPoses
from core.skeletons import COCO_17, coco_to_posetrack
from eval_posetrack.average_precision import assign_poses
from eval_posetrack.clean import Scene, clean
from eval_posetrack.clip import Clip
from eval_posetrack.counts import Counts, count
from eval_posetrack.match import NearJoints, near_joints
from eval_posetrack.rules import DEFAULT
from tracker.pose_log import Carried, SeenFrame
from tracker.settings import PRESETS, FollowSettings
from tracker.tracker import Tracker

METRICS = ("MOT", "IDF1", "HOTA")


@dataclass(frozen=True, eq=False)
class Sequence:
    """A clip as a tracker gets it, and the truth it is scored by."""

    name: str
    frames: list[tuple[Poses, float]]  # poses and seconds
    truth: Clip
    camera: np.ndarray  # (T, 2, 3) moves the last frame's background points into this frame
    size: tuple[int, int]  # width, height in pixels
    joints: list[Poses]  # the same poses with their joints, also where `frames` has boxes alone


# Ids of one sequence: one TrackedPoses for each frame, its poses taken from the frame (in any order, some left out).
Follower = abc.Callable[[Sequence], list[TrackedPoses]]


@dataclass(frozen=True)
class Row:
    """One tracker's figures over all sequences."""

    mota: float  # of joints, by eval_posetrack, as all in this block
    hota: float
    idf1: float
    switches: float  # mean over joints: about the number of people who were mixed up
    idf1_people: float  # of people: a pose is assigned to a person as in PoseTrack's AP
    switches_people: int  # times that a person's id is another than the last one
    microseconds: float  # a frame
    people: int  # annotated people, summed over frames

    TITLES = ("MOTA", "HOTA", "IDF1", "switches", "IDF1 people", "switches people", "us/frame")

    def cells(self) -> tuple[str, ...]:
        """As texts, in the order of TITLES."""
        figures = (f"{value:.1f}" for value in (self.mota, self.hota, self.idf1, self.switches, self.idf1_people))
        return (*figures, str(self.switches_people), f"{self.microseconds:.0f}")


# How many of each kind, which profiles of scores: what PoseTrack's sequences look like, and a few from above a street.
_MIX = {"walk": 4, "group": 3, "sport": 7, "duel": 3, "dance": 5, "stand": 3, "crowd": 3, "street": 2}
_PROFILES: tuple[Profile, ...] = ("usual", "usual", "usual", "sure", "shy")
_SUITES = {"dev": 1, "report": 2}  # first number of every seed


def sequences(
    suite: str = "dev",
    seed: int = 0,
    *,
    level: str = "hard",
    people: int | None = None,
    frames: int | None = None,
    boxes_only: bool = False,
) -> list[Sequence]:
    """Thirty sequences, with about 8,000 people summed over frames.

    Args:
        suite: "dev" to choose settings by; "report" to tell figures of: other seeds, and other ranges of everything.
        seed: another one gives thirty others.
        level: of the noise, "easy" or "hard".
        people: so many in every sequence.
        frames: so many in every sequence.
        boxes_only: the tracker gets no joints; the scores are of the joints that belong to its boxes.
    """
    kinds = [name for name, many in _MIX.items() for _ in range(many)]
    made = []
    for number, name in enumerate(kinds):
        rng = np.random.default_rng([_SUITES[suite], seed, number])
        kind = KINDS[name] if suite == "dev" else _stretched(KINDS[name], rng)
        world = make_world(kind, rng, people=people, frames=frames)
        profile = _PROFILES[number % len(_PROFILES)]
        made.append(sequence(f"{number:02d}_{name}", world, LEVELS[level], profile, rng, boxes_only=boxes_only))
    return made


def _stretched(kind: Kind, rng: np.random.Generator) -> Kind:
    """The same kind with every range moved a little: nothing that was chosen on dev can fit it exactly."""

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
    """A world as it is seen through this noise."""
    joints = observe(world, noise, profile, rng)
    shown = [without_joints(poses) for poses in joints] if boxes_only else joints
    times = world.times.tolist()
    return Sequence(
        name, list(zip(shown, times, strict=True)), truth_clip(name, world), world.camera, world.size, joints
    )


def truth_clip(name: str, world: World) -> Clip:
    """The annotation: people of whom enough shows, with the joints that show or can be guessed."""
    people = world.people[world.people.annotated.any(axis=1)]
    shown = people.annotated
    whole, _ = coco_to_posetrack(people.keypoints, np.ones(shown.shape))
    _, there = coco_to_posetrack(people.keypoints, shown.astype(float))
    inside = (whole >= 0).all(axis=2) & (whole < world.size).all(axis=2)
    keypoints = np.where(((there > 0) & inside)[..., None], whole, np.nan)
    rows = np.isfinite(keypoints).any(axis=(1, 2))
    people = people[rows]
    return _clip(
        name, world.times, people.frames, people.ids, keypoints[rows], None, people.boxes, head_boxes=people.head_boxes
    )


def found_clip(sequence: Sequence, tracked: abc.Sequence[TrackedPoses]) -> Clip:
    """What a tracker says, as PoseTrack clip; boxes without joints get the joints that were found in them."""
    poses = [
        _with_joints(frame.poses, joints) if np.isnan(frame.poses.keypoints).all() else frame.poses
        for frame, joints in zip(tracked, sequence.joints, strict=True)
    ]
    frames = np.repeat(np.arange(len(tracked)), [len(each) for each in poses])
    together = Poses.concatenate([*poses, Poses.empty(len(COCO_17))])
    keypoints, scores = coco_to_posetrack(together.keypoints, together.keypoint_scores)
    scores = np.where(np.isnan(keypoints[..., 0]), np.nan, scores)
    ids = np.concatenate([[], *(frame.track_ids for frame in tracked)])
    times = np.array([time_s for _, time_s in sequence.frames])
    return _clip(sequence.name, times, frames, ids, keypoints, scores, together.boxes, together.scores)


def _with_joints(poses: Poses, joints: Poses) -> Poses:
    """Poses whose boxes stand among those of `joints`, with the joints found there."""
    if not len(poses):
        return poses
    apart = np.abs(poses.boxes[:, None] - joints.boxes[None]).max(axis=2)
    rows = apart.argmin(axis=1)
    there = apart.min(axis=1) < 1
    return replace(joints[rows], keypoints=np.where(there[:, None, None], joints.keypoints[rows], np.nan))


def _clip(
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


def score(sequences: abc.Sequence[Sequence], follower: Follower) -> Row:
    """The figures of a tracker over all sequences together.

    A follower that knows how long its updates alone took says so in its attribute `seconds`, which only grows;
    otherwise the whole call is timed.
    """
    joints, people, seconds = [], [], 0.0
    for one in sequences:
        before, started = getattr(follower, "seconds", 0.0), time.perf_counter()
        tracked = follower(one)
        passed = time.perf_counter() - started
        seconds += getattr(follower, "seconds", before + passed) - before
        scene = clean(one.truth, found_clip(one, tracked))
        near = near_joints(scene)
        joints.append(count(scene, DEFAULT, METRICS, near))
        people.append(count_people(scene, near))
    total = Counts.join(joints).figures(DEFAULT, pooled=True)
    right, annotated, found, switches = np.sum(people, axis=0)
    frames = sum(len(one.frames) for one in sequences)
    return Row(
        mota=total["MOTA"].total,
        hota=total["HOTA"].total,
        idf1=total["IDF1"].total,
        switches=float(total["switches"].per_joint.mean()),
        idf1_people=200 * right / (annotated + found),
        switches_people=int(switches),
        microseconds=1e6 * seconds / frames,
        people=int(annotated),
    )


def count_people(scene: Scene, near: NearJoints) -> tuple[int, int, int, int]:
    """People instead of joints: followed by the partner of their track, annotated, found; and switches."""
    assigned = assign_poses(scene, near, DEFAULT)
    mine = np.flatnonzero(assigned >= 0)
    theirs = assigned[mine]
    truth_tracks, truth_track = np.unique(scene.truth.ids, return_inverse=True)
    found_tracks, found_track = np.unique(scene.found.ids, return_inverse=True)
    together = np.zeros((len(truth_tracks), len(found_tracks)), int)
    np.add.at(together, (truth_track[theirs], found_track[mine]), 1)
    right = together[linear_sum_assignment(together, maximize=True)].sum()

    order = np.lexsort((scene.truth.frames[theirs], truth_track[theirs]))
    owner, track = truth_track[theirs][order], found_track[mine][order]
    switches = ((np.diff(owner) == 0) & (np.diff(track) != 0)).sum()
    return int(right), len(scene.truth), len(scene.found), int(switches)


def perfect(sequence: Sequence, *, keep_false: bool = False) -> list[TrackedPoses]:
    """Every pose has the id of the person it is assigned to; the others are left out, or get ids of their own."""
    numbered, out = 0, []
    everything = []
    for poses in sequence.joints:
        everything.append(TrackedPoses(poses, numbered + np.arange(len(poses))))
        numbered += len(poses)
    scene = clean(sequence.truth, found_clip(sequence, everything))
    assigned = assign_poses(scene, near_joints(scene), DEFAULT)
    owner = np.full(numbered, -1)
    owner[scene.found.ids] = np.where(assigned >= 0, scene.truth.ids[assigned], -1)
    for frame, (poses, _) in zip(everything, sequence.frames, strict=True):
        whose = owner[frame.track_ids]
        ids = np.where(whose >= 0, whose, 10_000 + frame.track_ids)
        rows = slice(None) if keep_false else whose >= 0
        out.append(TrackedPoses(poses[rows], ids[rows]))
    return out


class Ours:
    """Our tracker with these settings, frame by frame."""

    def __init__(self, settings: FollowSettings, *, camera: bool = True) -> None:
        """`camera`: tell it of the camera's motion, as the stage before it would."""
        self.settings, self.camera, self.seconds = settings, camera, 0.0

    def __call__(self, sequence: Sequence) -> list[TrackedPoses]:
        """The ids of one sequence."""
        tracker, out = Tracker(self.settings, COCO_17), []
        for t, (poses, time_s) in enumerate(sequence.frames):
            camera = sequence.camera[t] if self.camera else np.eye(2, 3)
            seen = SeenFrame(t, time_s, f"{t:06d}.jpg", poses, Carried.empty(len(COCO_17)), camera)
            started = time.perf_counter()
            out.append(tracker.update_seen(seen))
            self.seconds += time.perf_counter() - started
        return out


def trackers() -> dict[str, Follower]:
    """Everything that can be compared here, by name."""
    known: dict[str, Follower] = {
        "perfect": perfect,
        "perfect, false kept": lambda sequence: perfect(sequence, keep_false=True),
    }
    known |= {name: Ours(settings.follow) for name, settings in PRESETS.items()}
    known["default, camera unknown"] = Ours(PRESETS["default"].follow, camera=False)
    return known


def print_table(title: str, rows: dict[str, Row]) -> None:
    """Print one line per tracker."""
    print(f"\n{title}\n\n| tracker | {' | '.join(Row.TITLES)} |\n| --- |{' ---: |' * len(Row.TITLES)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(row.cells())} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=list(_SUITES), default="report")
    parser.add_argument("--level", choices=list(LEVELS), default="hard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=lambda text: text.split(","), help="names of trackers")
    options = parser.parse_args()
    known = trackers()
    chosen = {name: known[name] for name in options.only or known}
    made = sequences(options.suite, options.seed, level=options.level)
    rows = {name: score(made, follower) for name, follower in chosen.items()}
    people = next(iter(rows.values())).people
    print_table(f"{options.suite}, {options.level}: {len(made)} sequences, {people} people in frames", rows)


if __name__ == "__main__":
    main()
