"""Smoothing of tracks: the filters of filters.py applied to joints and boxes, block by block in constant memory.

Only measured poses are smoothed, before gaps are interpolated. A track that was without poses for longer than
`filters.MAX_GAP_S` is filtered anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from posetrail.poses import Poses, TrackedPoses
from tracker.association.filters import MAX_GAP_S, OVERLAP_S, OneEuro, smooth_butterworth, smooth_kalman
from tracker.frames import FrameWithTracks
from tracker.settings import AssociationSettings

_Smooth = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""positions (T, P, 2), times_s (T,), scores (T, P) -> smoothed positions (T, P, 2)."""

_BLOCK_S = 20.0
_TRACKS_AT_ONCE = 16  # bounds the memory; smoothing several at once takes hardly longer than one
_MIN_STEP_S = 1e-6  # two frames of the same time are set this far apart


def smooth_tracks(frames: Iterable[FrameWithTracks], settings: AssociationSettings) -> Iterator[FrameWithTracks]:
    """The same frames with smoothed joints and boxes, each given `OVERLAP_S` after it was read.

    Args:
        frames: in order, without interpolated poses.
        settings: `smoothing` is "kalman" or "butterworth" (with others the frames stay as they are); `smooth_hz`.
    """
    methods: dict[str, _Smooth] = {
        "kalman": partial(smooth_kalman, size_px=1.0),
        "butterworth": lambda paths, times_s, _: smooth_butterworth(paths, times_s, cutoff_hz=settings.smooth_hz),
    }
    smooth = methods.get(settings.smoothing)
    if smooth is None:
        yield from frames
        return
    window: list[FrameWithTracks] = []
    begin_s: float | None = None  # time of the first frame that was not given yet
    for frame in frames:
        begin_s = frame[0].time_s if begin_s is None else begin_s
        window.append(frame)
        if frame[0].time_s >= begin_s + _BLOCK_S + OVERLAP_S:
            end_s = begin_s + _BLOCK_S
            yield from _between(_smoothed(window, smooth), begin_s, end_s)
            window = [each for each in window if each[0].time_s >= end_s - OVERLAP_S]
            next_s = next(each[0].time_s for each in window if each[0].time_s >= end_s)
            begin_s = end_s + _BLOCK_S * np.floor((next_s - end_s) / _BLOCK_S)  # blocks without frames are skipped
    if window and begin_s is not None:
        yield from _between(_smoothed(window, smooth), begin_s, np.inf)


class OnlineSmoothing:
    """Smooths tracks frame by frame: a one-euro filter for each track, which uses the past alone."""

    def __init__(self) -> None:
        self._filters: dict[int, tuple[OneEuro, float]] = {}  # with the time of their last poses, the oldest first

    def __call__(self, tracked: TrackedPoses, time_s: float) -> TrackedPoses:
        """The tracked poses of the next frame, smoothed; times never decrease."""
        if not len(tracked):
            return tracked
        points, sizes = _points(tracked.poses), _heights(tracked.poses)
        for row, track_id in enumerate(tracked.track_ids.tolist()):
            smooth, _ = self._filters.pop(track_id, (OneEuro(), 0.0))
            points[row] = smooth(points[row], time_s, float(sizes[row]))
            self._filters[track_id] = smooth, time_s
        self._drop_old(time_s)
        return _with_points(tracked, points)

    def _drop_old(self, time_s: float) -> None:
        """Drop the filters of tracks that were without poses for so long that they would start anew."""
        oldest_s = next(iter(self._filters.values()))[1]
        if time_s - oldest_s > MAX_GAP_S:
            self._filters = {each: kept for each, kept in self._filters.items() if time_s - kept[1] <= MAX_GAP_S}


def _between(frames: list[FrameWithTracks], begin_s: float, end_s: float) -> list[FrameWithTracks]:
    return [frame for frame in frames if begin_s <= frame[0].time_s < end_s]


def _smoothed(window: list[FrameWithTracks], smooth: _Smooth) -> list[FrameWithTracks]:
    """All frames of a window with the tracks smoothed over it."""
    counts = [len(tracked) for _, tracked in window]
    frames = np.repeat(np.arange(len(window)), counts)
    if not len(frames):
        return window
    times_s = np.maximum.accumulate([frame.time_s for frame, _ in window]) + _MIN_STEP_S * np.arange(len(window))
    poses = Poses.concatenate([tracked.poses for _, tracked in window])
    points, scores, sizes = _points(poses), _scores(poses), _heights(poses)
    ids, track = np.unique(np.concatenate([tracked.track_ids for _, tracked in window]), return_inverse=True)
    for first in range(0, len(ids), _TRACKS_AT_ONCE):
        rows = np.flatnonzero((track >= first) & (track < first + _TRACKS_AT_ONCE))
        number = min(_TRACKS_AT_ONCE, len(ids) - first)
        size = np.array([np.median(sizes[track == first + i]) for i in range(number)])[:, None, None]
        place = frames[rows], track[rows] - first
        paths = np.full((len(window), number, *points.shape[1:]), np.nan)
        path_scores = np.zeros(paths.shape[:3])
        paths[place], path_scores[place] = points[rows], scores[rows]
        flat = len(window), -1
        smoothed = smooth((paths / size).reshape(*flat, 2), times_s, path_scores.reshape(flat)).reshape(paths.shape)
        points[rows] = (smoothed * size)[place]
    parts = np.split(points, np.cumsum(counts)[:-1])
    return [(frame, _with_points(tracked, part)) for (frame, tracked), part in zip(window, parts, strict=True)]


def _points(poses: Poses) -> np.ndarray:
    """(N, K + 2, 2) float64: the joints and two corners of the box."""
    return np.concatenate([poses.keypoints, poses.boxes.reshape(-1, 2, 2)], axis=1).astype(float)


def _scores(poses: Poses) -> np.ndarray:
    """(N, K + 2): of the joints and of the box's corners."""
    return np.concatenate([poses.keypoint_scores, np.repeat(poses.scores[:, None], 2, axis=1)], axis=1)


def _heights(poses: Poses) -> np.ndarray:
    """(N,) pixels: roughly each person's height, the longer side of the box."""
    boxes = poses.boxes
    return np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=1.0), 1.0).astype(float)


def _with_points(tracked: TrackedPoses, points: np.ndarray) -> TrackedPoses:
    poses = replace(tracked.poses, keypoints=points[:, :-2], boxes=points[:, -2:].reshape(-1, 4))
    return replace(tracked, poses=poses)
