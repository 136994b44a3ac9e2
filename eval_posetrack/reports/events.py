"""Lists a tracker's individual errors: switches, bursts of misses and false tracks, most costly first."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path

import numpy as np

from eval_posetrack.metrics.clean import Scene
from eval_posetrack.metrics.match import JOINTS, NearJoints, near_joints
from eval_posetrack.metrics.mota import Tracking, track
from posetrail.skeletons import POSETRACK_15

MIN_BURST_FRAMES = 3
FALSE_SHARE = 0.5  # a track is false if more than this share of its joints has no match


@dataclass(frozen=True)
class Event:
    """One error of a tracker; joints that fail together are one event."""

    kind: str  # "switch", "miss" or "false track"
    clip: str
    first_frame: int  # position in the file
    last_frame: int
    time_s: float | None  # of the first frame, where the ground truth has times
    ground_truth_id: int | None  # track id of the annotated person
    predicted_id: int | None  # predicted track id; of a switch, the new one
    previous_predicted_id: int | None  # predicted track id before a switch
    joints: str  # names separated by spaces, or "all"
    joint_errors: int  # number of wrong joints over all its frames


def events(scenes: Iterable[Scene], *, min_burst_frames: int = MIN_BURST_FRAMES) -> list[Event]:
    """All switches, false tracks, and misses of `min_burst_frames` labelled frames or more; most joint errors first."""

    def of_scene(scene: Scene) -> Iterator[Event]:
        near = near_joints(scene)
        tracking = track(scene, near)
        yield from _switches(scene, near, tracking)
        yield from _bursts(scene, near, tracking, min_burst_frames)
        yield from _false_tracks(scene, near, tracking)

    errors = list(chain.from_iterable(map(of_scene, scenes)))
    return sorted(errors, key=lambda event: (-event.joint_errors, event.clip, event.first_frame, event.kind))


def write_events(errors: Mapping[str, list[Event]], path: Path | str) -> None:
    """Write the events of several predictions, by name, as a CSV file with one line per event, in the given order."""
    names = [field.name for field in fields(Event)]
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["predictions", *names])
        for label, of_label in errors.items():
            writer.writerows([label, *(getattr(event, name) for name in names)] for event in of_label)


def _switches(scene: Scene, near: NearJoints, tracking: Tracking) -> Iterator[Event]:
    rows = np.flatnonzero(tracking.switched)
    people, ids = near.ground_truth_rows[rows], scene.predictions.ids[near.predicted_rows[rows]]
    table = np.stack(
        [scene.ground_truth.frames[people], scene.ground_truth.ids[people], ids, tracking.previous_ids[rows]], axis=1
    )
    for (frame, ground_truth_id, predicted_id, previous_id), joints in _together(table, near.joints[rows]):
        ids_of = {
            "ground_truth_id": ground_truth_id,
            "predicted_id": predicted_id,
            "previous_predicted_id": previous_id,
        }
        yield _event(scene, "switch", frame, frame, joints, len(joints), **ids_of)


def _bursts(scene: Scene, near: NearJoints, tracking: Tracking, min_frames: int) -> Iterator[Event]:
    people, joints = np.nonzero(np.isfinite(scene.ground_truth.keypoints[:, :, 0]))
    matched = np.zeros((len(scene.ground_truth), JOINTS), bool)
    matched[near.ground_truth_rows[tracking.matched], near.joints[tracking.matched]] = True
    along = np.lexsort((scene.ground_truth.frames[people], joints, scene.ground_truth.ids[people]))
    people, joints = people[along], joints[along]
    state = np.stack([scene.ground_truth.ids[people], joints, matched[people, joints]], axis=1)
    new = np.ones(len(state), bool)  # a run ends where the track, the joint, or whether it is matched changes
    new[1:] = np.any(np.diff(state, axis=0) != 0, axis=1)
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(state))[: len(starts)]
    long_misses = (state[starts, 2] == 0) & (ends - starts >= min_frames)
    starts, ends = starts[long_misses], ends[long_misses]
    frames = scene.ground_truth.frames[people]
    table = np.stack([frames[starts], frames[ends - 1], scene.ground_truth.ids[people[starts]], ends - starts], axis=1)
    for (first, last, ground_truth_id, length), of_run in _together(table, joints[starts]):
        yield _event(scene, "miss", first, last, of_run, length * len(of_run), ground_truth_id=ground_truth_id)


def _false_tracks(scene: Scene, near: NearJoints, tracking: Tracking) -> Iterator[Event]:
    there = np.isfinite(scene.predictions.keypoints[:, :, 0])
    matched = np.zeros_like(there)
    matched[near.predicted_rows[tracking.matched], near.joints[tracking.matched]] = True
    for predicted_id in np.unique(scene.predictions.ids):
        rows = scene.predictions.ids == predicted_id
        wrong = (there & ~matched)[rows]
        if wrong.sum() > FALSE_SHARE * there[rows].sum():
            frames = scene.predictions.frames[rows]
            joints = np.flatnonzero(wrong.any(axis=0))
            yield _event(
                scene, "false track", frames[0], frames[-1], joints, int(wrong.sum()), predicted_id=predicted_id
            )


def _together(table: np.ndarray, joints: np.ndarray) -> Iterator[tuple[list[int], np.ndarray]]:
    """The distinct rows of a table (N, C), each with the joints (N,) of all rows equal to it."""
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
    ground_truth_id: int | None = None,
    predicted_id: int | None = None,
    previous_predicted_id: int | None = None,
) -> Event:
    names = [POSETRACK_15.joints[k] for k in np.unique(joints)]
    return Event(
        kind=kind,
        clip=scene.name,
        first_frame=int(scene.frames[first]),
        last_frame=int(scene.frames[last]),
        time_s=None if scene.times is None else float(scene.times[first]),
        ground_truth_id=ground_truth_id,
        predicted_id=None if predicted_id is None else int(predicted_id),
        previous_predicted_id=previous_predicted_id,
        joints="all" if len(names) == JOINTS else " ".join(names),
        joint_errors=int(joint_errors),
    )
