"""What went wrong, one by one: switches, bursts of misses and false tracks, worst first."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path

import numpy as np

from eval_posetrack.clean import Scene
from eval_posetrack.match import JOINTS, NearJoints, near_joints
from eval_posetrack.mota import Tracking, track
from posetrail.skeletons import POSETRACK_15

MIN_BURST_FRAMES = 3
FALSE_SHARE = 0.5  # a track is false when more than this share of its joints matches nobody


@dataclass(frozen=True)
class Event:
    """One fault of a tracker; joints that fail together are one event."""

    kind: str  # "switch", "miss" or "false track"
    clip: str
    first_frame: int  # position in the file
    last_frame: int
    time_s: float | None  # of the first frame, where the ground truth has times
    truth_id: int | None  # the person of the ground truth
    found_id: int | None  # the predicted id: the new one of a switch
    previous_id: int | None  # the predicted id before a switch
    joints: str  # names, or "all"
    joint_errors: int  # how many joints it costs, over its frames


def events(scenes: Iterable[Scene], *, min_burst_frames: int = MIN_BURST_FRAMES) -> list[Event]:
    """Every switch, every burst of misses of at least so many labelled frames, every false track; costliest first."""

    def of_scene(scene: Scene) -> Iterator[Event]:
        near = near_joints(scene)
        tracking = track(scene, near)
        yield from _switches(scene, near, tracking)
        yield from _bursts(scene, near, tracking, min_burst_frames)
        yield from _false_tracks(scene, near, tracking)

    found = list(chain.from_iterable(map(of_scene, scenes)))
    return sorted(found, key=lambda event: (-event.joint_errors, event.clip, event.first_frame, event.kind))


def write_events(found: Mapping[str, list[Event]], path: Path | str) -> None:
    """The events of several predictions, by name, as a CSV file: one a line, in their order."""
    names = [field.name for field in fields(Event)]
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["predictions", *names])
        for label, of_label in found.items():
            writer.writerows([label, *(getattr(event, name) for name in names)] for event in of_label)


def _switches(scene: Scene, near: NearJoints, tracking: Tracking) -> Iterator[Event]:
    rows = np.flatnonzero(tracking.switched)
    people, ids = near.truth_rows[rows], scene.found.ids[near.found_rows[rows]]
    table = np.stack([scene.truth.frames[people], scene.truth.ids[people], ids, tracking.previous_ids[rows]], axis=1)
    for (frame, truth_id, found_id, before), joints in _together(table, near.joints[rows]):
        ids_of = {"truth_id": truth_id, "found_id": found_id, "previous_id": before}
        yield _event(scene, "switch", frame, frame, joints, len(joints), **ids_of)


def _bursts(scene: Scene, near: NearJoints, tracking: Tracking, min_frames: int) -> Iterator[Event]:
    people, joints = np.nonzero(np.isfinite(scene.truth.keypoints[:, :, 0]))
    matched = np.zeros((len(scene.truth), JOINTS), bool)
    matched[near.truth_rows[tracking.matched], near.joints[tracking.matched]] = True
    along = np.lexsort((scene.truth.frames[people], joints, scene.truth.ids[people]))
    people, joints = people[along], joints[along]
    state = np.stack([scene.truth.ids[people], joints, matched[people, joints]], axis=1)
    new = np.ones(len(state), bool)  # a run ends where the track, the joint, or what became of it changes
    new[1:] = np.any(np.diff(state, axis=0) != 0, axis=1)
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(state))[: len(starts)]
    long_misses = (state[starts, 2] == 0) & (ends - starts >= min_frames)
    starts, ends = starts[long_misses], ends[long_misses]
    frames = scene.truth.frames[people]
    table = np.stack([frames[starts], frames[ends - 1], scene.truth.ids[people[starts]], ends - starts], axis=1)
    for (first, last, truth_id, length), of_run in _together(table, joints[starts]):
        yield _event(scene, "miss", first, last, of_run, length * len(of_run), truth_id=truth_id)


def _false_tracks(scene: Scene, near: NearJoints, tracking: Tracking) -> Iterator[Event]:
    there = np.isfinite(scene.found.keypoints[:, :, 0])
    matched = np.zeros_like(there)
    matched[near.found_rows[tracking.matched], near.joints[tracking.matched]] = True
    for found_id in np.unique(scene.found.ids):
        rows = scene.found.ids == found_id
        wrong = (there & ~matched)[rows]
        if wrong.sum() > FALSE_SHARE * there[rows].sum():
            frames = scene.found.frames[rows]
            joints = np.flatnonzero(wrong.any(axis=0))
            yield _event(scene, "false track", frames[0], frames[-1], joints, int(wrong.sum()), found_id=found_id)


def _together(table: np.ndarray, joints: np.ndarray) -> Iterator[tuple[list[int], np.ndarray]]:
    """Equal rows of a table (N, C) once, with the joints (N,) of all of them."""
    rows, which, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    joints = joints[np.argsort(which, kind="stable")]
    for row, first, end in zip(rows.tolist(), (ends - counts).tolist(), ends.tolist(), strict=True):
        yield row, joints[first:end]


def _event(
    scene: Scene,
    kind: str,
    first: int,
    last: int,
    joints: np.ndarray,
    joint_errors: int,
    *,
    truth_id: int | None = None,
    found_id: int | None = None,
    previous_id: int | None = None,
) -> Event:
    names = [POSETRACK_15.joints[k] for k in np.unique(joints)]
    return Event(
        kind=kind,
        clip=scene.name,
        first_frame=int(scene.frames[first]),
        last_frame=int(scene.frames[last]),
        time_s=None if scene.times is None else float(scene.times[first]),
        truth_id=truth_id,
        found_id=None if found_id is None else int(found_id),
        previous_id=previous_id,
        joints="all" if len(names) == JOINTS else " ".join(names),
        joint_errors=int(joint_errors),
    )
