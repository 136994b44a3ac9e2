"""The tracks of a clip as chains of poses, and the evidence that links two ends of them.

The evidence is that of offline linking (linking.py): log odds that the poses after a link are of the same person as
those before it, by motion and size and by the shape of the body. Here every pose of a track can be such an end, not
only the ends of tracklets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posetrail.similarity import joint_similarity, mean_joint_similarity
from tracker.association.suspect_poses import LoggedPoses
from tracker.association.tracklet_motion import Motion, motion_at_end, motion_at_start, motion_evidence

WINDOW = 12
"""Poses on either side of a link from which motion is estimated."""
_SHAPE_POSES = 3
_SHAPE, _TYPICAL_OKS, _SHAPE_MEMORY_S, _JOINT_NOISE = 3.0, 0.5, 1.0, 0.02  # as in linking.py
MAX_GAP_S = 3.0
"""Longest gap between two poses that are looked at as one person's."""
_NEAR, _FAST = 2.0, 6.0  # body sizes, and body sizes per second: poses farther apart are not compared
_AT_A_TIME = 20_000


@dataclass(frozen=True, eq=False)
class Chains:
    """The poses that belong to tracks, track by track and in order of time: T of them."""

    poses: LoggedPoses
    ids: np.ndarray  # (M,) int64 track of each pose of the log; -1 for none
    joint_variances: np.ndarray  # (K,) (2 sigma)^2 of each joint

    @cached_property
    def order(self) -> np.ndarray:
        """The poses (T,) by track, then by time."""
        tracked = np.flatnonzero(self.ids >= 0)
        return tracked[np.argsort(self.ids[tracked], kind="stable")]

    @cached_property
    def track_ids(self) -> np.ndarray:
        """The track (T,) of each."""
        return self.ids[self.order]

    @cached_property
    def place(self) -> np.ndarray:
        """The place (M,) of each pose of the log in `order`; -1 for poses without a track."""
        place = np.full(len(self.ids), -1)
        place[self.order] = np.arange(len(self.order))
        return place

    @cached_property
    def positions(self) -> np.ndarray:
        """The position (T,) of the frame of each."""
        return self.poses.positions[self.order]

    @cached_property
    def times_s(self) -> np.ndarray:
        """The time (T,) of each."""
        return self.poses.times_s[self.positions]

    @cached_property
    def links(self) -> np.ndarray:
        """The places (L,) whose next place is of the same track."""
        return np.flatnonzero(self.track_ids[1:] == self.track_ids[:-1])

    @cached_property
    def bounds(self) -> np.ndarray:
        """(N + 1,) places: the n-th track is bounds[n] to bounds[n + 1]."""
        return np.append(np.flatnonzero(np.diff(self.track_ids, prepend=-1)), len(self.order))

    @cached_property
    def track(self) -> np.ndarray:
        """The number 0..N-1 of the track of each place (T,)."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    @cached_property
    def typical_score(self) -> float:
        """The median score of the tracked poses."""
        return max(float(np.median(self.poses.scores[self.order])), 1e-6) if len(self.order) else 1.0

    def are_near(self, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        """Whether (P,) a person could get from one place to the other in time."""
        a, b = self.order[earlier], self.order[later]
        gap_s = self.times_s[later] - self.times_s[earlier]
        distance = np.abs(self.poses.stabilised[b] - self.poses.stabilised[a]).max(axis=1)
        reach = np.maximum(self.poses.stabilised_sizes[a], self.poses.stabilised_sizes[b]) * (_NEAR + _FAST * gap_s)
        return (gap_s > 0) & (gap_s <= MAX_GAP_S) & (distance < reach)

    def first_from(self, tracks: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """The first place (P,) of each of these tracks (P,) at or after a position (P,); of another track if none."""
        return np.searchsorted(self._keys, tracks * self._stride + positions)

    @cached_property
    def _stride(self) -> int:
        return len(self.poses.times_s) + 1

    @cached_property
    def _keys(self) -> np.ndarray:
        """Ascending numbers (T,) of track and position."""
        return self.track * self._stride + self.positions

    def around(self, places: np.ndarray, before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
        """Places (P, before + 1 + after) of the same track around each, and whether there is one (else clipped)."""
        around = places[:, None] + np.arange(-before, after + 1)
        first, last = self.bounds[self.track[places]], self.bounds[self.track[places] + 1] - 1
        inside = (around >= first[:, None]) & (around <= last[:, None])
        return np.clip(around, first[:, None], last[:, None]), inside

    def motion_before(self, places: np.ndarray) -> Motion:
        """The motion at each of these places (P,), from its pose and those before it."""
        around, inside = self.around(places, WINDOW - 1, 0)
        return motion_at_end(self._measured(around, inside))

    def motion_after(self, places: np.ndarray) -> Motion:
        """The motion at each of these places (P,), backward in time, from its pose and those after it."""
        around, inside = self.around(places, 0, WINDOW - 1)
        return motion_at_start(self._measured(around, inside))

    def _measured(self, around: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Time, position and size (P, WINDOW, 4) of poses; NaN where there is none."""
        poses = self.order[around]
        centres, sizes = self.poses.stabilised[poses], self.poses.stabilised_sizes[poses]
        measured = np.concatenate([self.times_s[around][..., None], centres, sizes[..., None]], axis=2)
        return np.where(inside[..., None], measured, np.nan)

    def mean_shapes(self, places: np.ndarray, *, after: bool) -> np.ndarray:
        """The mean body (P, K, 2) of the poses up to each place, or from it on, in body sizes from the centre."""
        reach = (0, _SHAPE_POSES - 1) if after else (_SHAPE_POSES - 1, 0)
        around, inside = self.around(places, *reach)
        shapes = self.poses.shapes(self.order[around]).astype(float)
        present = np.isfinite(shapes) & inside[..., None, None]
        count = present.sum(axis=1)
        total = np.where(present, shapes, 0.0).sum(axis=1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def evidence(self, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        """Log odds (2, P), by motion and by shape, that the track up to one place goes on at another place (P,)."""
        starts = range(0, max(len(earlier), 1), _AT_A_TIME)
        parts = [self._evidence(earlier[k : k + _AT_A_TIME], later[k : k + _AT_A_TIME]) for k in starts]
        return np.concatenate(parts, axis=1)

    def _evidence(self, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        if not len(earlier):
            return np.zeros((2, 0))
        before, place_before = np.unique(earlier, return_inverse=True)
        after, place_after = np.unique(later, return_inverse=True)
        ahead, back = self.motion_before(before)[place_before], self.motion_after(after)[place_after]
        gap_s = np.maximum(self.times_s[later] - self.times_s[earlier], 0.0)
        shapes = self.mean_shapes(after, after=True)[place_after] - self.mean_shapes(before, after=False)[place_before]
        shared = np.isfinite(shapes)
        count = shared.sum(axis=1)
        mean = np.where(count >= 3, np.where(shared, shapes, 0.0).sum(axis=1) / np.maximum(count, 1), 0.0)
        size = np.sqrt(ahead.size * back.size)
        by_motion = motion_evidence(ahead, back, gap_s, mean * size[:, None])
        similarity = joint_similarity(
            shapes - mean[:, None], np.full(len(mean), 1.0), self.joint_variances + _JOINT_NOISE**2, min_area_px=0.0
        )
        oks = mean_joint_similarity(similarity, none_shared=_TYPICAL_OKS)
        return np.stack([by_motion, _SHAPE * (oks - _TYPICAL_OKS) * np.exp(-gap_s / _SHAPE_MEMORY_S)])
