"""BlazePose beside MoveNet: joints on annotated images, jitter and lengths of limbs on the tracks of a run.

    uv run python -m benchmarks.landmarks --data FOLDER [FOLDER ...]
    uv run python -m benchmarks.landmarks --run RUN --clip CLIP

Images: mean OKS of all people with annotated boxes, and the share above 0.5, with the sigmas of the data set. `joints`
are regions of interest from MoveNet's joints, `box` those from the box, with a second pass from the landmarks found
there.

Clips: of each track of at least 30 frames, the jitter of the joints from shoulders to ankles, as the median length of
the second difference over three consecutive frames in thousandths of the longer side of the box; and the coefficient of
variation of the lengths of limbs in metres. Times are process times on one thread, as a ratio to MoveNet's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.annotated import read_annotated
from benchmarks.estimators import find_people
from estimators import create_estimator
from estimators.blazepose import BlazePose
from posetrail.frame import Frame
from posetrail.joint_mapping import mapped
from posetrail.poses import Poses, TrackedPoses
from posetrail.protocols import Estimator
from posetrail.runtime import Runtime
from posetrail.similarity import oks
from posetrail.skeletons import BLAZEPOSE_33, COCO_17, Skeleton
from tracker.io.video import open_source
from tracker.runs.draw_selection import run_tracks
from tracker.runs.record import read_record

LIMBS = {"thigh": ("hip", "knee"), "shank": ("knee", "ankle"), "upper arm": ("shoulder", "elbow")}
LEAST_FRAMES = 30


class FromJoints:
    """BlazePose in regions that follow from another estimator's joints."""

    def __init__(self, first: Estimator, second: BlazePose) -> None:
        self._first, self._second = first, second

    @property
    def skeleton(self) -> Skeleton:
        """That of BlazePose."""
        return self._second.skeleton

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        """One Poses per frame, row i of it for box i."""
        found = self._second.landmarks(frames, self._first(frames, boxes), self._first.skeleton)
        return [each.poses for each in found]


def estimators(runtime: Runtime, heavy: Path | None) -> dict[str, Estimator]:
    """The ways to compare, by name."""
    movenet = create_estimator("movenet_thunder", runtime=runtime)
    ways: dict[str, Estimator] = {"movenet_thunder": movenet}
    names = {"blazepose_full": {}, **({"blazepose_heavy": {"weights": heavy}} if heavy else {})}
    for name, options in names.items():
        for flip_test in (False, True):
            estimator = create_estimator(name, runtime=runtime, flip_test=flip_test, **options)
            assert isinstance(estimator, BlazePose)
            ways[f"{name}, box" + ", flip test" * flip_test] = estimator
            ways[f"{name}, joints" + ", flip test" * flip_test] = FromJoints(movenet, estimator)
    return ways


def similarities(folder: Path, estimator: Estimator) -> np.ndarray:
    """OKS of each person of a data set."""
    data = read_annotated(folder)
    predictions = find_people(data, estimator)
    values = []
    for i, poses in enumerate(predictions):
        rows = np.flatnonzero((data.image_rows == i) & data.usable)
        if len(rows):
            sigmas = data.skeleton.oks_sigmas
            values.append(np.diag(oks(poses.keypoints, data.keypoints[rows], data.oks_areas[rows], sigmas)))
    labelled = np.isfinite(data.keypoints[data.usable]).all(axis=2).any(axis=1)
    return np.concatenate(values)[labelled[np.argsort(data.image_rows[data.usable], kind="stable")]]


def compare_on_images(folders: Sequence[Path], runtime: Runtime, heavy: Path | None) -> None:
    """Print a table of similarities."""
    print(f"| way | {' | '.join(folder.name for folder in folders)} | all | OKS > 0.5 |")
    print("| --- |" + " ---: |" * (len(folders) + 2))
    for name, estimator in estimators(runtime, heavy).items():
        found = [similarities(folder, estimator) for folder in folders]
        together = np.concatenate(found)
        figures = [f"{each.mean():.3f} ({len(each)})" for each in (*found, together)]
        print(f"| {name} | {' | '.join(figures)} | {100 * (together > 0.5).mean():.0f} % |", flush=True)


def timed(call: Callable[[], object], repeats: int = 15) -> float:
    """Median process time of a call, seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return float(np.median(times))


def compare_on_clip(run: Path, clip: Path, runtime: Runtime) -> None:
    """Print a table of jitter and of limbs for each track of a run."""
    record = read_record(run)
    people = {each.index: each.people for each in run_tracks(run, record, at_once=False).tracks()}
    movenet = create_estimator("movenet_thunder", runtime=runtime)
    blazepose, with_flip = BlazePose(runtime), BlazePose(runtime, flip_test=True)
    rows: dict[int, list[tuple[int, float, dict[str, np.ndarray]]]] = {}
    for frame in open_source(clip).frames():
        found = people.get(frame.index, TrackedPoses.empty(len(COCO_17)))
        found = found[~found.interpolated]
        if len(found) == 0:
            continue
        [joints] = movenet([frame], [found.poses.boxes])
        [box] = blazepose([frame], [found.poses.boxes])
        [here], [there] = (each.landmarks([frame], [joints], COCO_17) for each in (blazepose, with_flip))
        for i, track in enumerate(found.track_ids.tolist()):
            places = {"movenet": joints.keypoints[i], "box": as_coco(box)[i], "joints": as_coco(here.poses)[i]}
            places |= {"world": here.world[i], "world, flip test": there.world[i]}
            side = float((found.poses.boxes[i, 2:] - found.poses.boxes[i, :2]).max())
            rows.setdefault(track, []).append((frame.index, side, places))
    frame = next(open_source(clip).frames())
    boxes = [np.array([[0, 0, frame.image.shape[1], frame.image.shape[0]]], float)]
    [first] = movenet([frame], boxes)
    ratio = timed(lambda: blazepose.landmarks([frame], [first], COCO_17)) / timed(lambda: movenet([frame], boxes))
    print("| track | frames | jitter: movenet | blazepose, box | blazepose, joints | way | thigh | shank | upper arm |")
    print("| --- |" + " ---: |" * 4 + " --- |" + " ---: |" * 3)
    for track, seen in sorted(rows.items()):
        if len(seen) < LEAST_FRAMES:
            continue
        jitters = " | ".join(f"{1000 * jitter(seen, way):.1f}" for way in ("movenet", "box", "joints"))
        for way in ("world", "world, flip test"):
            world = np.stack([places[way] for _, _, places in seen])
            limbs = " | ".join(f"{100 * variation(world, *ends):.1f} %" for ends in LIMBS.values())
            print(f"| {track} | {len(seen)} | {jitters} | {way} | {limbs} |")
    print(f"\nOne pass of BlazePose takes {ratio:.2f} times as long as MoveNet.")


def as_coco(poses: Poses) -> np.ndarray:
    """Keypoints (N, 17, 2) of poses with BlazePose's joints."""
    return mapped(poses.keypoints, poses.keypoint_scores, BLAZEPOSE_33, COCO_17)[0]


def jitter(seen: Sequence[tuple[int, float, dict[str, np.ndarray]]], way: str) -> float:
    """Median second difference of the joints from shoulders to ankles, relative to the box."""
    changes = []
    for before, now, after in zip(seen, seen[1:], seen[2:], strict=False):
        if after[0] - before[0] == 2:
            change = before[2][way] - 2 * now[2][way] + after[2][way]
            changes.append(np.linalg.norm(change[5:], axis=1) / now[1])
    return float(np.nanmedian(changes)) if changes else np.nan


def variation(world: np.ndarray, start: str, end: str) -> float:
    """Coefficient of variation of the length of a limb over frames, mean of both sides."""
    sides = []
    for side in ("left", "right"):
        ends = [world[:, BLAZEPOSE_33.index(f"{side}_{joint}")] for joint in (start, end)]
        lengths = np.linalg.norm(ends[0] - ends[1], axis=1)
        sides.append(np.nanstd(lengths) / np.nanmean(lengths))
    return float(np.mean(sides))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", type=Path, default=[], help="folders of annotated images")
    parser.add_argument("--run", type=Path, help="folder of a run of `posetrail track`")
    parser.add_argument("--clip", type=Path, help="the clip of the run")
    parser.add_argument("--heavy", type=Path, help="weights of blazepose_heavy, to compare it too")
    options = parser.parse_args()
    with Runtime("cpu", threads=1) as runtime:
        if options.data:
            compare_on_images(options.data, runtime, options.heavy)
        if options.run:
            compare_on_clip(options.run, options.clip, runtime)


if __name__ == "__main__":
    main()
