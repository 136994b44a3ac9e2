"""One camera's joints for 4D association (Zhang et al., CVPR 2020), which matches people of several cameras.

Its text file begins with the type of skeleton and the number of frames; then, for each frame and joint of BODY_25, the
number n of candidates and their x (n), y (n) and scores (n), and for each limb a matrix of how well each candidate of
its first joint fits each of its second one. Here the candidates are the joints of tracked people: a pair of one person
has the geometric mean of its two scores, one of two people 0. Limbs are in the order of the field maps of OpenPose's
BODY_25. Coordinates are divided by width - 1 and height - 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from estimators.limb_layouts import LAYOUTS
from posetrail.skeletons import BODY_25
from tracker.io.handover.openpose_json import joints_of
from tracker.io.handover.people import Handover
from tracker.io.writers.base import by_id

_TYPE = 4  # of BODY_25 among that program's skeletons
_LAYOUT = LAYOUTS["limbs_25"]
LIMBS = _LAYOUT.limbs[np.argsort(_LAYOUT.fields)]
"""(26, 2) joints of BODY_25."""


def write_candidates(path: Path, tracks: Handover) -> None:
    """Write the file of one camera, with all frames of the video from 0 to the last one of the run."""
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(f"{_TYPE} {tracks.num_frames}\n")
        for frame in range(tracks.num_frames):
            people = by_id(tracks.people(frame)).poses
            joints = joints_of(people.keypoints, people.keypoint_scores, tracks.info.skeleton, BODY_25)
            joints[:, :, :2] /= (max(tracks.info.width - 1, 1), max(tracks.info.height - 1, 1))
            file.writelines(f"{line}\n" for line in _lines(joints))


def _lines(joints: np.ndarray) -> Iterator[str]:
    """The lines of a frame with people (N, 25, 3)."""
    seen = [np.flatnonzero(np.isfinite(joints[:, k, 0])) for k in range(len(BODY_25))]
    for k, people in enumerate(seen):
        yield str(len(people))
        yield from (" ".join(f"{value:.6f}" for value in joints[people, k, part]) for part in range(3))
    for a, b in LIMBS:
        same = seen[a][:, None] == seen[b]
        fields = np.where(same, np.sqrt(joints[seen[a], a, 2][:, None] * joints[seen[b], b, 2]), 0.0)
        yield from (" ".join(f"{value:.4f}" for value in row) for row in fields)


def write_times(path: Path, tracks: Handover) -> None:
    """Write a table of the frames: the number in the video and the time in seconds of those that the run has."""
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write("frame,time_s\n")
        for frame, time_s in zip(tracks.clip.frame_indices.tolist(), tracks.clip.times_s.tolist(), strict=True):
            file.write(f"{frame},{time_s:.6f}\n")
