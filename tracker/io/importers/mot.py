"""MOTChallenge files as imported poses: boxes without joints."""

from __future__ import annotations

import math
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path

import numpy as np

from posetrail.errors import InputError
from posetrail.mot import COLUMNS, read_mot
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17
from posetrail.sparse import LARGEST_FRAME, kept_frames
from tracker.io.importers.imported import (
    KEPT_RATIO,
    Found,
    ImportedPoses,
    imported,
    note_on_scores,
    unit_scores,
)
from tracker.io.video import ASSUMED_FPS


def read_mot_file(path: Path, fps: float | None) -> ImportedPoses:
    """Boxes of a MOTChallenge file."""
    rows, left_out = read_mot(path)
    sequence = _sequence(path)
    notes = list(left_out)
    small = (rows.boxes[:, 2:] <= rows.boxes[:, :2]).any(axis=1)
    if small.any():
        notes.append(f"{small.sum()} boxes without an area are left out")
    rows = rows[~small]
    rows = rows[np.argsort(rows.frames, kind="stable")]
    if not len(rows):
        why = f" ({'; '.join(notes)})" if notes else ""
        raise InputError(f"{path}: expected boxes, one per line of {COLUMNS} with commas between, got none{why}")
    scores = unit_scores(rows.scores)
    notes += note_on_scores("scores", rows.scores, scores)
    rate = fps or sequence.get("framerate")
    if rate is None:
        rate = ASSUMED_FPS
        notes.append(f"has no times; {rate:g} frames per second are assumed, --fps sets another rate")
    P, K = len(rows), len(COCO_17)
    count = int(max(rows.frames[-1] + 1, sequence.get("seqlength", 0)))
    indices, gaps = kept_frames(rows.frames, count, ratio=KEPT_RATIO)
    notes += gaps
    found = Found(
        name=path.stem,
        skeleton=COCO_17,
        indices=indices,
        names=tuple(f"{number:06d}.jpg" for number in (indices + 1).tolist()),
        times=indices / rate,
        fps=rate,
        frames=np.searchsorted(indices, rows.frames),
        poses=Poses(np.full((P, K, 2), np.nan), np.zeros((P, K)), rows.boxes, scores, np.zeros(P)),
    )
    return imported(path, found, ("mot",), notes)


def _sequence(path: Path) -> dict[str, float]:
    """Frame rate and length from MOTChallenge's seqinfo.ini; empty if there is none."""
    for folder in path.resolve().parents[:2]:
        file = folder / "seqinfo.ini"
        if file.is_file():
            parser = ConfigParser()
            try:
                parser.read(file, encoding="utf-8")
                values = {key: parser.getfloat("Sequence", key) for key in ("framerate", "seqlength")}
            except (ConfigError, ValueError, OSError) as error:
                raise InputError(
                    f"{file}: expected frameRate and seqLength of the clip ({' '.join(str(error).split())})"
                ) from error
            if not (0 < values["framerate"] < math.inf and 0 <= values["seqlength"] <= LARGEST_FRAME):
                raise InputError(
                    f"{file}: expected frameRate > 0 and seqLength from 0 to {LARGEST_FRAME}, got {values}"
                )
            return values
    return {}
