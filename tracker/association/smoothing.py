"""Everybody's path made smooth: the functions of smoothing.py put on tracks, block by block, in flat memory.

Only what was seen is smoothed, and only by what was seen: poses put in between stay out of it, and whoever was away for
longer than `smoothing.MAX_GAP_S` begins anew.
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

_BLOCK_S = 20.0
_PEOPLE_AT_ONCE = 16  # bounds the memory; smoothing several at once costs hardly more than one
_LEAST_STEP_S = 1e-6  # two frames of the same time are this far apart


def steady(followed: Iterable[FrameWithTracks], settings: AssociationSettings) -> Iterator[FrameWithTracks]:
    """The same people with joints and boxes on smooth paths, by associate_offline; frames come out `OVERLAP_S` later.

    Args:
        followed: frames in order, without poses put in between.
        settings: their `smoothing` "kalman" or "butterworth" (others: nothing happens), and `smooth_hz`.
    """
    methods: dict[str, _Smooth] = {
        "kalman": partial(smooth_kalman, size_px=1.0),
        "butterworth": lambda paths, times_s, _: smooth_butterworth(paths, times_s, cutoff_hz=settings.smooth_hz),
    }
    smooth = methods.get(settings.smoothing)
    if smooth is None:
        yield from followed
        return
    window: list[FrameWithTracks] = []
    begin_s: float | None = None  # of the frames not given yet
    for frame in followed:
        begin_s = frame[0].time_s if begin_s is None else begin_s
        window.append(frame)
        if frame[0].time_s >= begin_s + _BLOCK_S + OVERLAP_S:
            end_s = begin_s + _BLOCK_S
            yield from _between(_smoothed(window, smooth), begin_s, end_s)
            window = [each for each in window if each[0].time_s >= end_s - OVERLAP_S]
            begin_s = end_s
    if window and begin_s is not None:
        yield from _between(_smoothed(window, smooth), begin_s, np.inf)


class OnlineSmoothing:
    """The same people on paths smoothed by the past alone: a one-euro filter for each, frame by frame."""

    def __init__(self) -> None:
        self._filters: dict[int, tuple[OneEuro, float]] = {}  # with the time of their last poses, the oldest first

    def __call__(self, people: TrackedPoses, time_s: float) -> TrackedPoses:
        """The people of the next frame; times never decrease."""
        if not len(people):
            return people
        points, size = _points(people.poses), _sizes(people.poses)
        for row, track_id in enumerate(people.track_ids.tolist()):
            smooth, _ = self._filters.pop(track_id, (OneEuro(), 0.0))
            points[row] = smooth(points[row], time_s, float(size[row]))
            self._filters[track_id] = smooth, time_s
        self._forget(time_s)
        return _with_points(people, points)

    def _forget(self, time_s: float) -> None:
        """The filters of people away for so long that they begin anew are kept no longer."""
        oldest_s = next(iter(self._filters.values()))[1]
        if time_s - oldest_s > MAX_GAP_S:
            self._filters = {each: kept for each, kept in self._filters.items() if time_s - kept[1] <= MAX_GAP_S}


def _between(frames: list[FrameWithTracks], begin_s: float, end_s: float) -> list[FrameWithTracks]:
    return [frame for frame in frames if begin_s <= frame[0].time_s < end_s]


def _smoothed(window: list[FrameWithTracks], smooth: _Smooth) -> list[FrameWithTracks]:
    """All frames of a window with everybody's paths smooth over it."""
    counts = [len(people) for _, people in window]
    frames = np.repeat(np.arange(len(window)), counts)
    if not len(frames):
        return window
    times_s = np.maximum.accumulate([seen.time_s for seen, _ in window]) + _LEAST_STEP_S * np.arange(len(window))
    together = Poses.concatenate([people.poses for _, people in window])
    points, scores, sizes = _points(together), _scores(together), _sizes(together)
    ids, track = np.unique(np.concatenate([people.track_ids for _, people in window]), return_inverse=True)
    for first in range(0, len(ids), _PEOPLE_AT_ONCE):
        rows = np.flatnonzero((track >= first) & (track < first + _PEOPLE_AT_ONCE))
        many = min(_PEOPLE_AT_ONCE, len(ids) - first)
        size = np.array([np.median(sizes[track == first + i]) for i in range(many)])[:, None, None]
        where = frames[rows], track[rows] - first
        paths = np.full((len(window), many, *points.shape[1:]), np.nan)
        trust = np.zeros(paths.shape[:3])
        paths[where], trust[where] = points[rows], scores[rows]
        flat = len(window), -1
        smoothed = smooth((paths / size).reshape(*flat, 2), times_s, trust.reshape(flat)).reshape(paths.shape)
        points[rows] = (smoothed * size)[where]
    parts = np.split(points, np.cumsum(counts)[:-1])
    return [(seen, _with_points(people, part)) for (seen, people), part in zip(window, parts, strict=True)]


def _points(poses: Poses) -> np.ndarray:
    """(N, K + 2, 2) float64: the joints, and two corners of the box."""
    return np.concatenate([poses.keypoints, poses.boxes.reshape(-1, 2, 2)], axis=1).astype(float)


def _scores(poses: Poses) -> np.ndarray:
    """(N, K + 2): of the joints, and of the box."""
    return np.concatenate([poses.keypoint_scores, np.repeat(poses.scores[:, None], 2, axis=1)], axis=1)


def _sizes(poses: Poses) -> np.ndarray:
    """(N,) pixels: about how tall each person is."""
    boxes = poses.boxes
    return np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=1.0), 1.0).astype(float)


def _with_points(people: TrackedPoses, points: np.ndarray) -> TrackedPoses:
    poses = replace(people.poses, keypoints=points[:, :-2], boxes=points[:, -2:].reshape(-1, 4))
    return replace(people, poses=poses)
