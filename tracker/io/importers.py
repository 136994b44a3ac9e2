"""Poses and boxes that other programs found, as a pose log: from there on they are followed like any others.

- PoseTrack files, 2017, 2018 and 2021, joints in the order of POSETRACK_15. The ids in them are not looked at.
- MOTChallenge text: one box a line, frame, id, left, top, width, height, score and whatever else; frames and pixels
  count from 1. Boxes have no joints: all are missing, and people are followed by their boxes. Of a ground truth (nine
  columns) only the lines that count are read. A seqinfo.ini beside the file, or in the folder above, is believed.
- A pose log, as a run leaves it that was killed.

What was decided here:

- Scores may lie in any range. Within 0..1 they stay; otherwise a score becomes the share of the file's scores that are
  no greater. That keeps their order, is the same for a network's logits as for its probabilities, and no outlier
  squeezes the others together. No score (none, -1 where no other is negative, -9999) counts as 1; so do all if equal.
- A frame's number is the one its name ends with, as long as these rise; then frames left out of the file are gaps in
  time. Without such names frames follow each other. Frames of MOT without a box are frames with nobody;
  of files that number far more frames than they have boxes, long stretches of those are left out (posetrail/sparse.py).
- Times are the file's own, or else number / fps.
- Person boxes that hold less than half of their joints are dummies, which programs write for want of a box: the joints'
  own bounding box, a little larger, takes their place, as it does where there is none.
- The size of the pictures is not in these files: it is as far as people reach.
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

from eval_posetrack.clip import NO_SCORE
from eval_posetrack.files import read_clip
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
class Foreign:
    """Poses from elsewhere, checked, and how to make a pose log of them."""

    header: PoseLogHeader
    write_log: Callable[[Path], LogEnd]
    formats: tuple[str, ...]  # formats that suit them
    notes: tuple[str, ...] = ()  # one line each: what was assumed
    cut_off: bool = False  # a pose log that nobody ended


def read_poses(path: Path, *, fps: float | None = None) -> Foreign:
    """Poses or boxes of one clip: .json of PoseTrack, .txt or .csv of MOTChallenge, poses.arrow of a run.

    Args:
        path: the file.
        fps: frames per second; replaces times that the file tells. 30 when nobody tells, and a note says so.

    Raises:
        InputError: it cannot be read or used.
    """
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InputError(f"fps must be frames per second, more than 0; got {fps}")
    readers = {".json": _read_posetrack, ".txt": _read_mot, ".csv": _read_mot, ".arrow": _read_log}
    reader = readers.get(path.suffix.lower())
    if not path.is_file() or reader is None:
        came = "a file of another kind" if path.is_file() else "a folder without them" if path.is_dir() else "nothing"
        raise InputError(
            f"{path}: wanted the folder of a finished run, PoseTrack .json, a MOTChallenge .txt or a poses.arrow, "
            f"found {came}"
        )
    return reader(path, fps)


# A pose log -----------------------------------------------------------------------------------------------------------


def _read_log(path: Path, fps: float | None) -> Foreign:
    if fps is not None:
        raise InputError(f"{path}: has times of its own; leave out --fps")
    header, frames = read_pose_log(path)
    if next(frames, None) is None:
        raise InputError(f"{path}: there is no whole frame in it; track again")
    formats = default_formats(header.skeleton)
    return Foreign(header=header, write_log=partial(_copy, path), formats=formats, cut_off=not is_complete(path))


def _copy(path: Path, to: Path) -> LogEnd:
    if path.resolve() != to.resolve():
        with written_whole(to) as beside:
            shutil.copyfile(path, beside)
    return last_place(to).log_end


# Files of others ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class _Found:
    """What a file tells: T frames, and the people of all frames as P rows in frame order."""

    name: str
    skeleton: Skeleton
    indices: np.ndarray  # (T,) int64, rising
    names: tuple[str, ...]  # (T,) of the images
    times: np.ndarray  # (T,) seconds
    fps: float
    frames: np.ndarray  # (P,) position in `indices`, never falling
    poses: Poses  # (P,)

    def seen(self) -> Iterator[PoseFrame]:
        """Frame by frame."""
        ends = np.searchsorted(self.frames, np.arange(len(self.names) + 1))
        nobody = PropagatedPoses.empty(len(self.skeleton))
        for t, name in enumerate(self.names):
            people = self.poses[ends[t] : ends[t + 1]]
            yield PoseFrame(int(self.indices[t]), float(self.times[t]), name, people, nobody)

    def size(self) -> tuple[int, int]:
        """Width and height of the pictures, as far as people reach."""
        corners = self.poses.boxes.reshape(-1, 2)
        width, height = np.ceil(corners.max(axis=0, initial=1)).astype(int).tolist()
        return width, height


def _foreign(path: Path, found: _Found, formats: tuple[str, ...], notes: Iterable[str]) -> Foreign:
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
    told = tuple(f"{path}: {note}" for note in notes)
    return Foreign(header=header, write_log=partial(_write, header, found), formats=formats, notes=told)


def _write(header: PoseLogHeader, found: _Found, to: Path) -> LogEnd:
    with written_whole(to) as beside, PoseLogWriter(beside, header) as log:
        for frame in found.seen():
            log.append(frame)
    return log.place.log_end


def unit_scores(scores: np.ndarray) -> np.ndarray:
    """Scores (P,) of any range as 0..1 in the same order; 1 for those that are none, and for all if all are equal."""
    known = np.isfinite(scores) & (scores != NO_SCORE)
    if not (scores[known & (scores != -1)] < 0).any():
        known &= scores != -1
    out, told = np.ones(len(scores)), scores[known]
    if len(told) and told.min() < told.max():
        stay = told.min() >= 0 and told.max() <= 1
        out[known] = told if stay else np.searchsorted(np.sort(told), told, side="right") / len(told)
    return out


def _note_on_scores(what: str, before: np.ndarray, after: np.ndarray) -> list[str]:
    before, after = before[np.isfinite(before)], after[np.isfinite(before)]
    if (before == after).all():
        return []
    if (after == 1).all():
        return [f"{what} tell nothing; all are 1"]
    return [f"{what} run from {before.min():g} to {before.max():g}; their ranks take their place"]


# PoseTrack ------------------------------------------------------------------------------------------------------------


def _read_posetrack(path: Path, fps: float | None) -> Foreign:
    clip = read_clip(path)
    if not clip.num_frames:
        raise InputError(f"{path}: wanted frames, found none")
    notes = []
    if clip.interpolated.any():
        notes.append(f"{clip.interpolated.sum()} poses that a tracker put in between are left out")
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
            notes.append(f"tells no times; taken as {rate:g} frames a second, --fps says otherwise")
    elif (np.diff(times) < 0).any():
        t = int((np.diff(times) < 0).argmax()) + 1
        raise InputError(f"{path}: frame {t} at {times[t]:g} s comes after {times[t - 1]:g} s; wanted times that rise")
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
    return _foreign(path, found, default_formats(POSETRACK_15), notes)


def _boxes(boxes: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """(P, 4) the boxes given, where they hold at least half of the joints, or else around the joints; NaN for neither.

    Args:
        boxes: (P, 4), NaN where not given.
        keypoints: (P, K, 2), NaN where missing.
    """
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    held = ((keypoints >= low) & (keypoints <= high)).all(axis=2).sum(axis=1)
    joints = np.isfinite(keypoints).all(axis=2).sum(axis=1)
    good = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (2 * held >= joints)
    around = grown_boxes(keypoint_boxes(keypoints), _BOX_MARGIN)
    middle, half = (around[:, 2:] + around[:, :2]) / 2, np.maximum((around[:, 2:] - around[:, :2]) / 2, _LEAST_SIDE / 2)
    return np.where(good[:, None], boxes, np.concatenate([middle - half, middle + half], axis=1))


def _numbers(names: tuple[str, ...]) -> np.ndarray:
    """The frames' numbers (T,): what the names end with, or their positions."""
    stems = [PurePosixPath(name.replace("\\", "/")).stem for name in names]
    ends = [stem[len(stem.rstrip("0123456789")) :] for stem in stems]  # a regular expression would search for minutes
    numbers = [int(end) for end in ends if 0 < len(end) <= _DIGITS]
    rise = all(a < b for a, b in pairwise(numbers))
    if len(numbers) == len(names) and rise and numbers[-1] <= LARGEST_FRAME:
        return np.array(numbers, np.int64)
    return np.arange(len(names))


# MOTChallenge ---------------------------------------------------------------------------------------------------------


def _read_mot(path: Path, fps: float | None) -> Foreign:
    rows = read_mot(path)
    sequence = _sequence(path)
    notes = []
    small = (rows.boxes[:, 2:] <= rows.boxes[:, :2]).any(axis=1)
    if small.any():
        notes.append(f"{small.sum()} boxes without an area are left out")
    rows = rows[~small]
    rows = rows[np.argsort(rows.frames, kind="stable")]
    if not len(rows):
        raise InputError(f"{path}: expected boxes, one per line of {COLUMNS} with commas between, found none")
    scores = unit_scores(rows.scores)
    notes += _note_on_scores("scores", rows.scores, scores)
    rate = fps or sequence.get("framerate")
    if rate is None:
        rate = ASSUMED_FPS
        notes.append(f"tells no times; taken as {rate:g} frames a second, --fps says otherwise")
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
    return _foreign(path, found, ("mot",), notes)


def _sequence(path: Path) -> dict[str, float]:
    """Frame rate and length as MOTChallenge's seqinfo.ini tells them; nothing where there is none."""
    for folder in path.resolve().parents[:2]:
        file = folder / "seqinfo.ini"
        if file.is_file():
            parser = ConfigParser()
            try:
                parser.read(file, encoding="utf-8")
                told = {key: parser.getfloat("Sequence", key) for key in ("framerate", "seqlength")}
            except (ConfigError, ValueError, OSError) as error:
                raise InputError(
                    f"{file}: wanted frameRate and seqLength of the clip ({' '.join(str(error).split())})"
                ) from error
            if not (0 < told["framerate"] < math.inf and 0 <= told["seqlength"] <= LARGEST_FRAME):
                raise InputError(f"{file}: wanted a frameRate and seqLength that can be, got {told}")
            return told
    return {}
