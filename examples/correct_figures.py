"""Correct the tracks of walk.mp4 as a person does in the viewer: in some frames, put wrong joints into place.

python examples/correct_figures.py tracks/walk
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from stick_figures import walkers

from tracker.runs.corrected import CorrectedRun
from tracker.runs.follow import associate_again

TOLERANCE_PX = 4.0


def main() -> None:
    """Correct every tenth frame, mark it as checked, and assign identities again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--every", type=int, default=10, help="frames from one corrected frame to the next one")
    parser.add_argument("--seed", type=int, default=0, help="that of stick_figures.py")
    arguments = parser.parse_args()
    moved = 0
    with CorrectedRun(arguments.run, by="tutorial") as run:
        truth = walkers("walk", len(run.clip), arguments.seed)
        positions = range(0, len(run.clip), arguments.every)
        for position in positions:
            moved += correct_frame(run, position, truth[position])
            run.apply({"op": "checked", "from": position, "to": position})
        associate_again(run)
    print(f"{moved} joints moved in {len(positions)} frames")


def correct_frame(run: CorrectedRun, position: int, truth: np.ndarray) -> int:
    """Move the joints of a frame that are not where they were drawn (2, 17, 2); the number of them."""
    joints, number = run.header.skeleton.joints, 0
    for row, found in enumerate(run.clip.people(position).poses.keypoints.copy()):
        drawn = truth[np.nanmean(np.linalg.norm(truth - found, axis=2), axis=1).argmin()]
        for joint, place, xy in zip(joints, found, drawn, strict=True):
            if not np.linalg.norm(place - xy) <= TOLERANCE_PX:  # true where the joint is missing
                run.apply({"op": "move", "pose": [position, row], "joint": joint, "xy": xy.round(2).tolist()})
                number += 1
    return number


if __name__ == "__main__":
    main()
