"""Errors in millimetres of lifted tracks of made-up people who are seen by a known camera.

    uv run python -m benchmarks.lift3d

The people are walkers made by code. Their projections go the way of every clip: pose log, association, `posetrail lift`
(stretches, resampling, translation), tracks3d.csv, and the metrics of `posetrail eval3d`. Two stand-ins take the
network's place:

- "true poses" knows the truth and answers with it: what is left is the error of everything but the network;
- "mean pose" answers with the scene's mean pose in every frame: what a network must beat to have learned anything.

The last column is the mean distance of the hips from where they are; all others are relative to the hips.

No figure here says how good a lifter with trained weights is: those of published ones cannot be had without the licence
of Human3.6M. BlazePose looks at pixels, which made-up people do not have.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from eval_posetrack.evaluation_3d import Errors3D, evaluate_3d
from tests.corrected_runs import make_run
from tests.mocap import SeenPeople, StandIn, still_camera, walker
from tracker.runs.lift import lift

FRAMES = 90


def worlds() -> dict[str, SeenPeople]:
    """Made-up scenes by name."""
    one = (walker(FRAMES),)
    pair = (walker(FRAMES), walker(FRAMES, start=(1.8, -1.5), speed=-1.1))
    return {
        "one walker from the side": SeenPeople(one, still_camera()),
        "two walkers who cross": SeenPeople(pair, still_camera()),
        "a walker towards the camera": SeenPeople(
            (walker(FRAMES, start=(0.0, -3.0), heading_deg=-60.0),), still_camera(8.0)
        ),
    }


def errors(people: SeenPeople, *, noise_px: float, knows_truth: bool) -> tuple[Errors3D, float]:
    """The errors of all people of a scene, lifted by a stand-in, and the mean error of their places in millimetres."""
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run", people.frames(noise_px=noise_px), size=people.camera.size)
        lifter = StandIn(people, knows_truth=knows_truth)
        tracks = lift(run, lifter=lifter, focal_px=people.camera.focal_px).tracks
        report = evaluate_3d(_truth(Path(folder) / "truth.npz", people), run)
    off = []
    for each in report.people:
        person, true = tracks.of(int(each.predicted)), people.camera_joints[int(each.person) - 1]
        off.append(np.linalg.norm(person.roots - true[person.frame_indices][:, [11, 12]].mean(axis=1), axis=1))
    return report.total, 1000 * float(np.concatenate(off).mean())


def _truth(path: Path, people: SeenPeople) -> Path:
    joints = people.camera_joints
    count = len(joints[0])
    np.savez(
        path,
        frame=np.tile(np.arange(count), len(joints)),
        track_id=np.repeat(np.arange(len(joints)) + 1, count),
        keypoints=np.concatenate(joints),
        joints=np.array(people.skeleton.joints),
    )
    return path


def main() -> None:
    """Print one line per scene, noise and stand-in."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("| scene | 2-D noise, px | lifter | frames | MPJPE, mm | P-MPJPE, mm | MPJVE, mm | PCK, % | place, mm |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, people in worlds().items():
        for noise_px in (0.0, 3.0):
            for knows_truth in (True, False):
                of, place_mm = errors(people, noise_px=noise_px, knows_truth=knows_truth)
                frames = f"{of.frames}/{of.ground_truth_frames}"
                values = (of.mpjpe_mm, of.p_mpjpe_mm, of.mpjve_mm_per_frame, of.pck_150mm, place_mm)
                figures = " | ".join(f"{value:.1f}" for value in values)
                lifter = "true poses" if knows_truth else "mean pose"
                print(f"| {name} | {noise_px:g} | {lifter} | {frames} | {figures} |")


if __name__ == "__main__":
    main()
