"""Poses and boxes of other programs as a pose log, which is then associated like any other.

- PoseTrack files, 2017, 2018 and 2021, joints in the order of POSETRACK_15. Their ids are ignored.
- MOTChallenge text: one box a line, frame, id, left, top, width, height, score and whatever else; frames and pixels
  count from 1. Boxes have no joints: all are missing, and people are followed by their boxes. Of a ground truth (nine
  columns) only the lines that count are read. A seqinfo.ini beside the file, or in the folder above, is used.
- A pose log, that of a killed run included.

Conventions:

- Scores within 0..1 are kept. Other scores are replaced by the share of the file's scores that are not greater. This
  keeps their order, is the same for logits and probabilities, and is robust to outliers. A missing score (none, -1 if
  no other is negative, -9999) becomes 1; so do all scores if they are equal.
- A frame's number is the number at the end of its name, if these numbers increase; frames that are left out of the file
  are then gaps in time. Otherwise frames are numbered by position. Frames of MOT without a box have no people; if a
  file numbers far more frames than it has boxes, long stretches of such frames are left out (posetrail/sparse.py).
- Times are those of the file, or else number / fps.
- Person boxes that contain less than half of their joints are placeholders of programs without boxes. They are replaced
  by the enlarged bounding box of the joints, as are missing boxes.
- These files do not hold the size of the images; it is estimated from the extent of the people.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Iterable, Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np

from eval_posetrack.formats.clip import NO_SCORE
from eval_posetrack.formats.files import read_clip
from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.mot import COLUMNS, LARGEST_FRAME, read_mot
from posetrail.poses import Poses
from posetrail.similarity import grown_boxes, keypoint_boxes
from posetrail.skeletons import COCO_17, POSETRACK_15, Skeleton
from posetrail.sparse import kept_frames
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.io.pose_log import LogEnd, PoseLogHeader, PoseLogWriter, is_complete, last_place, read_pose_log
from tracker.io.video import ASSUMED_FPS
from tracker.io.writers import default_formats

_DIGITS = len(str(LARGEST_FRAME)) + 5  # leading zeros and all
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


def read_poses(path: Path, *, fps: float | None = None) -> ImportedPoses:
    """Poses or boxes of one clip: .json of PoseTrack, .txt or .csv of MOTChallenge, poses.arrow of a run.

    Args:
        path: the file.
        fps: frames per second; replaces the times in the file. Without both it is 30, with a note.

    Raises:
        InputError: it cannot be read or used.
    """
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InputError(f"fps: expected frames per second, more than 0, got {fps}")
    readers = {".json": _read_posetrack, ".txt": _read_mot, ".csv": _read_mot, ".arrow": _read_log}
    reader = readers.get(path.suffix.lower())
    if not path.is_file() or reader is None:
        came = "a file of another kind" if path.is_file() else "a folder without them" if path.is_dir() else "nothing"
        raise InputError(
            f"{path}: expected the folder of a finished run, a PoseTrack .json, a MOTChallenge .txt or a poses.arrow, "
            f"got {came}"
        )
    return reader(path, fps)


# A pose log -----------------------------------------------------------------------------------------------------------


def _read_log(path: Path, fps: float | None) -> ImportedPoses:
    if fps is not None:
        raise InputError(f"{path}: has its own times; leave out --fps")
    header, frames = read_pose_log(path)
    if next(frames, None) is None:
        raise InputError(f"{path}: expected a whole frame, got none; track again")
    formats = default_formats(header.skeleton)
    return ImportedPoses(header=header, write_log=partial(_copy, path), formats=formats, cut_off=not is_complete(path))


def _copy(path: Path, to: Path) -> LogEnd:
    if path.resolve() != to.resolve():
        with written_whole(to) as beside:
            shutil.copyfile(path, beside)
    return last_place(to).log_end


# Files of others ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class _Found:
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


def _imported(path: Path, found: _Found, formats: tuple[str, ...], notes: Iterable[str]) -> ImportedPoses:
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


def _write(header: PoseLogHeader, found: _Found, to: Path) -> LogEnd:
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


def _note_on_scores(what: str, before: np.ndarray, after: np.ndarray) -> list[str]:
    before, after = before[np.isfinite(before)], after[np.isfinite(before)]
    if (before == after).all():
        return []
    if (after == 1).all():
        return [f"{what} are all equal or missing; all become 1"]
    return [f"{what} range from {before.min():g} to {before.max():g}; they are replaced by their ranks"]


# PoseTrack ------------------------------------------------------------------------------------------------------------


def _read_posetrack(path: Path, fps: float | None) -> ImportedPoses:
    clip = read_clip(path)
    if not clip.num_frames:
        raise InputError(f"{path}: expected frames, got none")
    notes = []
    if clip.interpolated.any():
        notes.append(f"{clip.interpolated.sum()} interpolated poses are left out")
    clip = clip.with_people(~clip.interpolated)
    boxes = _boxes(clip.boxes, clip.keypoints)
    there = np.isfinite(boxes).all(axis=1)
    if not there.all():
        notes.append(f"{(~there).sum()} people with neither joints nor a box are left out")
    clip, boxes = clip.with_people(there), boxes[there]

    missing = np.isnan(clip.keypoints).any(axis=2)
    scores, joint_scores = unit_scores(clip.scores.astype(float)), np.zeros(missing.shape)
    joint_scores[~missing] = unit_scores(clip.keypoint_scores[~missing])
    notes += _note_on_scores("scores of people", clip.scores, scores.astype(np.float32))
    notes += _note_on_scores("scores of joints", clip.keypoint_scores[~missing], joint_scores[~missing])

    indices = _numbers(clip.image_names)
    times, rate = clip.times, fps or ASSUMED_FPS
    if times is None or fps is not None:
        times = indices / rate
        if fps is None:
            notes.append(f"has no times; {rate:g} frames per second are assumed, --fps sets another rate")
    elif (np.diff(times) < 0).any():
        t = int((np.diff(times) < 0).argmax()) + 1
        raise InputError(f"{path}: frame {t} at {times[t]:g} s comes after {times[t - 1]:g} s; times must not decrease")
    elif times[-1] > times[0]:
        rate = float((indices[-1] - indices[0]) / (times[-1] - times[0]))
    found = _Found(
        name=path.stem,
        skeleton=POSETRACK_15,
        indices=indices,
        names=clip.image_names,
        times=times,
        fps=rate,
        frames=clip.frames,
        poses=Poses(clip.keypoints, joint_scores, boxes, scores, np.zeros(len(clip))),
    )
    return _imported(path, found, default_formats(POSETRACK_15), notes)


def _boxes(boxes: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
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


def _numbers(names: tuple[str, ...]) -> np.ndarray:
    """Numbers of the frames (T,): the digits at the end of their names, or their positions."""
    stems = [PurePosixPath(name.replace("\\", "/")).stem for name in names]
    ends = [stem[len(stem.rstrip("0123456789")) :] for stem in stems]  # a regular expression would search for minutes
    numbers = [int(end) for end in ends if 0 < len(end) <= _DIGITS]
    rise = all(a < b for a, b in pairwise(numbers))
    if len(numbers) == len(names) and rise and numbers[-1] <= LARGEST_FRAME:
        return np.array(numbers, np.int64)
    return np.arange(len(names))


# MOTChallenge ---------------------------------------------------------------------------------------------------------


def _read_mot(path: Path, fps: float | None) -> ImportedPoses:
    rows = read_mot(path)
    sequence = _sequence(path)
    notes = []
    small = (rows.boxes[:, 2:] <= rows.boxes[:, :2]).any(axis=1)
    if small.any():
        notes.append(f"{small.sum()} boxes without an area are left out")
    rows = rows[~small]
    rows = rows[np.argsort(rows.frames, kind="stable")]
    if not len(rows):
        raise InputError(f"{path}: expected boxes, one per line of {COLUMNS} with commas between, got none")
    scores = unit_scores(rows.scores)
    notes += _note_on_scores("scores", rows.scores, scores)
    rate = fps or sequence.get("framerate")
    if rate is None:
        rate = ASSUMED_FPS
        notes.append(f"has no times; {rate:g} frames per second are assumed, --fps sets another rate")
    P, K = len(rows), len(COCO_17)
    indices, left_out = kept_frames(rows.frames, int(max(rows.frames[-1] + 1, sequence.get("seqlength", 0))))
    notes += left_out
    found = _Found(
        name=path.stem,
        skeleton=COCO_17,
        indices=indices,
        names=tuple(f"{number:06d}.jpg" for number in (indices + 1).tolist()),
        times=indices / rate,
        fps=rate,
        frames=np.searchsorted(indices, rows.frames),
        poses=Poses(np.full((P, K, 2), np.nan), np.zeros((P, K)), rows.boxes, scores, np.zeros(P)),
    )
    return _imported(path, found, ("mot",), notes)


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
