"""The paths of the joints of each person of a run, filtered for angles and speeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from posetrail.errors import InputError
from tracker.association.filters import smooth_butterworth
from tracker.lifting.angle_settings import AngleSettings
from tracker.lifting.angle_table import PersonPath
from tracker.tracked_clip import TrackedClip
from tracker.tracks3d import Tracks3D


def paths_2d(
    clip: TrackedClip, ids: Sequence[int], names: Mapping[int, str], settings: AngleSettings
) -> Iterator[PersonPath]:
    """The people of a clip with these ids, from their first to their last frames; filtered, as the settings say.

    Raises:
        InputError: the cut-off is not below half the frame rate.
    """
    positions = clip.positions
    for track_id in ids:
        rows = np.flatnonzero(clip.track_ids == track_id)
        first, last = positions[rows[[0, -1]]]
        place, count = positions[rows] - first, last - first + 1
        keypoints = np.full((count, *clip.poses.keypoints.shape[1:]), np.nan)
        scores, flags = np.zeros(keypoints.shape[:2]), np.zeros((2, count), bool)
        keypoints[place], scores[place] = clip.poses.keypoints[rows], clip.poses.keypoint_scores[rows]
        flags[0, place], flags[1, place] = True, clip.interpolated[rows]
        span = slice(first, last + 1)
        name, times_s = names.get(track_id, ""), clip.times_s[span]
        seen = scores >= settings.min_joint_score
        keypoints = filtered(np.where(seen[..., None], keypoints, np.nan), times_s, settings.filter_hz)
        yield PersonPath(track_id, name, clip.frame_indices[span], times_s, keypoints, *flags)


def paths_3d(
    tracks: Tracks3D, clip: TrackedClip, ids: Sequence[int], names: Mapping[int, str], settings: AngleSettings
) -> Iterator[PersonPath]:
    """The same of 3-D joints, in metres; people of the clip without any are left out.

    Joints are not chosen by their scores: where they were not seen, the lifter has made them from the others.
    """
    for track_id in ids:
        person = tracks.of(track_id)
        if not len(person):
            continue
        positions = np.searchsorted(clip.frame_indices, person.frame_indices)
        first, last = positions[[0, -1]]
        place, count = positions - first, last - first + 1
        keypoints, flags = np.full((count, len(tracks.skeleton), 3), np.nan), np.zeros((2, count), bool)
        keypoints[place], flags[0, place], flags[1, place] = person.keypoints, True, person.interpolated
        span = slice(first, last + 1)
        times_s, name = clip.times_s[span], names.get(track_id, "")
        smooth = filtered(keypoints, times_s, settings.filter_hz)
        yield PersonPath(track_id, name, clip.frame_indices[span], times_s, smooth, *flags)


def filtered(keypoints: np.ndarray, times_s: np.ndarray, filter_hz: float) -> np.ndarray:
    """Paths of joints after a zero-lag Butterworth filter of fourth order, see `smooth_butterworth`.

    Args:
        keypoints: (T, K, 2 or 3), NaN where missing; missing joints stay missing.
        times_s: (T,) seconds; steps may differ.
        filter_hz: cut-off; 0 for none.

    Raises:
        InputError: the cut-off is not below half the frame rate.
    """
    if filter_hz == 0 or len(times_s) < 2:
        return keypoints
    pairs = np.concatenate([keypoints[:, :, :2], keypoints[:, :, -2:]], axis=1)  # the filter takes two axes at a time
    try:
        pairs = smooth_butterworth(pairs, times_s, cutoff_hz=filter_hz)
    except InputError as error:
        raise InputError(str(error).replace("cutoff_hz", "filter_hz", 1)) from None
    first, last = np.split(pairs, 2, axis=1)
    return np.concatenate([first, last[:, :, 4 - keypoints.shape[2] :]], axis=2)
