"""PoseTrack files as imported poses."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np

from eval_posetrack.formats.files import read_clip
from posetrail.errors import InputError
from posetrail.poses import Poses
from posetrail.skeletons import POSETRACK_15
from tracker.io.importers.imported import Found, ImportedPoses, boxes_of, imported, note_on_scores, unit_scores
from tracker.io.video import ASSUMED_FPS
from tracker.io.writers import default_formats

_LARGEST_NUMBER = 10**7  # at the end of a name: four days at 30 frames per second; 20260131 is a date
_DIGITS = len(str(_LARGEST_NUMBER)) + 5  # leading zeros and all


def read_posetrack(path: Path, fps: float | None) -> ImportedPoses:
    """Poses of a PoseTrack file."""
    clip = read_clip(path)
    if not clip.num_frames:
        raise InputError(f"{path}: expected frames, got none")
    notes = []
    if clip.interpolated.any():
        notes.append(f"{clip.interpolated.sum()} interpolated poses are left out")
    clip = clip.with_people(~clip.interpolated)
    boxes = boxes_of(clip.boxes, clip.keypoints)
    there = np.isfinite(boxes).all(axis=1)
    if not there.all():
        notes.append(f"{(~there).sum()} people with neither joints nor a box are left out")
    clip, boxes = clip.with_people(there), boxes[there]

    missing = np.isnan(clip.keypoints).any(axis=2)
    scores, joint_scores = unit_scores(clip.scores.astype(float)), np.zeros(missing.shape)
    joint_scores[~missing] = unit_scores(clip.keypoint_scores[~missing])
    notes += note_on_scores("scores of people", clip.scores, scores.astype(np.float32))
    notes += note_on_scores("scores of joints", clip.keypoint_scores[~missing], joint_scores[~missing])

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
    found = Found(
        name=path.stem,
        skeleton=POSETRACK_15,
        indices=indices,
        names=clip.image_names,
        times=times,
        fps=rate,
        frames=clip.frames,
        poses=Poses(clip.keypoints, joint_scores, boxes, scores, np.zeros(len(clip))),
    )
    return imported(path, found, default_formats(POSETRACK_15), notes)


def _numbers(names: tuple[str, ...]) -> np.ndarray:
    """Numbers of the frames (T,): the digits at the end of their names, or their positions."""
    stems = [PurePosixPath(name.replace("\\", "/")).stem for name in names]
    ends = [stem[len(stem.rstrip("0123456789")) :] for stem in stems]  # a regular expression would search for minutes
    numbers = [int(end) for end in ends if 0 < len(end) <= _DIGITS]
    rise = all(a < b for a, b in pairwise(numbers))
    if len(numbers) == len(names) and rise and numbers[-1] <= _LARGEST_NUMBER:
        return np.array(numbers, np.int64)
    return np.arange(len(names))
