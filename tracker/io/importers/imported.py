"""What the readers of all formats share: imported frames and people, their pose log, scores, boxes and times."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from eval_posetrack.formats.clip import NO_SCORE
from posetrail.files import written_whole
from posetrail.poses import Poses
from posetrail.similarity import grown_boxes, keypoint_boxes
from posetrail.skeletons import Skeleton
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.io.pose_log import LogEnd, PoseLogHeader, PoseLogWriter

KEPT_RATIO = 10  # see kept_frames; a frame without people takes nearly as long as one with people, about a millisecond

_BOX_MARGIN = 0.25  # around joints: heads and feet reach beyond
_LEAST_SIDE = 4.0  # pixels, of a box around a joint or two


@dataclass(frozen=True, eq=False, kw_only=True)
class ImportedPoses:
    """Checked poses of another program, and a function that writes their pose log."""

    header: PoseLogHeader
    write_log: Callable[[Path], LogEnd]
    formats: tuple[str, ...]  # file formats that suit them
    notes: tuple[str, ...] = ()  # one line each: what was assumed
    cut_off: bool = False  # whether a pose log has no end mark


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """The content of a file: T frames, and the people of all frames as P rows in frame order."""

    name: str
    skeleton: Skeleton
    indices: np.ndarray  # (T,) int64, increasing
    names: tuple[str, ...]  # (T,) of the images
    times: np.ndarray  # (T,) seconds
    fps: float
    frames: np.ndarray  # (P,) position in `indices`, not decreasing
    poses: Poses  # (P,)

    def pose_frames(self) -> Iterator[PoseFrame]:
        """The frames with their people."""
        ends = np.searchsorted(self.frames, np.arange(len(self.names) + 1))
        none_propagated = PropagatedPoses.empty(len(self.skeleton))
        for t, name in enumerate(self.names):
            people = self.poses[ends[t] : ends[t + 1]]
            yield PoseFrame(int(self.indices[t]), float(self.times[t]), name, people, none_propagated)

    def size(self) -> tuple[int, int]:
        """Width and height that contain all people."""
        corners = self.poses.boxes.reshape(-1, 2)
        width, height = np.ceil(corners.max(axis=0, initial=1)).astype(int).tolist()
        return width, height


def imported(path: Path, found: Found, formats: tuple[str, ...], notes: Iterable[str]) -> ImportedPoses:
    """The result of a reader: a header for the pose log, and a function that writes it."""
    width, height = found.size()
    header = PoseLogHeader(
        skeleton=found.skeleton,
        fps=found.fps,
        width=width,
        height=height,
        source=found.name,
        source_fingerprint=hashlib.sha256(path.read_bytes()).hexdigest(),
        inference_settings={},
        models=[],
        posetrail_version=version("posetrail"),
    )
    prefixed = tuple(f"{path}: {note}" for note in notes)
    return ImportedPoses(header=header, write_log=partial(_write, header, found), formats=formats, notes=prefixed)


def _write(header: PoseLogHeader, found: Found, to: Path) -> LogEnd:
    with written_whole(to) as beside, PoseLogWriter(beside, header) as log:
        for frame in found.pose_frames():
            log.append(frame)
    return log.place.log_end


def unit_scores(scores: np.ndarray) -> np.ndarray:
    """Scores (P,) of any range mapped to 0..1 in the same order; missing ones, and all if they are equal, become 1."""
    present = np.isfinite(scores) & (scores != NO_SCORE)
    if not (scores[present & (scores != -1)] < 0).any():
        present &= scores != -1
    out, given = np.ones(len(scores)), scores[present]
    if len(given) and given.min() < given.max():
        fits = given.min() >= 0 and given.max() <= 1
        out[present] = given if fits else np.searchsorted(np.sort(given), given, side="right") / len(given)
    return out


def note_on_scores(what: str, before: np.ndarray, after: np.ndarray) -> list[str]:
    """One line if `unit_scores` changed scores (P,): how; empty if it did not."""
    before, after = before[np.isfinite(before)], after[np.isfinite(before)]
    if (before == after).all():
        return []
    if (after == 1).all():
        return [f"{what} are all equal or missing; all become 1"]
    return [f"{what} range from {before.min():g} to {before.max():g}; they are replaced by their ranks"]


def boxes_of(boxes: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Boxes (P, 4): the given one if it contains at least half of the joints, else the joints' own; NaN without both.

    Args:
        boxes: (P, 4), NaN if missing.
        keypoints: (P, K, 2), NaN if missing.
    """
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    held = ((keypoints >= low) & (keypoints <= high)).all(axis=2).sum(axis=1)
    joints = np.isfinite(keypoints).all(axis=2).sum(axis=1)
    good = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (2 * held >= joints)
    around = grown_boxes(keypoint_boxes(keypoints), _BOX_MARGIN)
    middle, half = (around[:, 2:] + around[:, :2]) / 2, np.maximum((around[:, 2:] - around[:, :2]) / 2, _LEAST_SIDE / 2)
    return np.where(good[:, None], boxes, np.concatenate([middle - half, middle + half], axis=1))
