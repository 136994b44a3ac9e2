"""Poses to ids: what was seen becomes who was followed. No pixels, no network; thousands of frames a second.

The core is Simple Baselines' (Xiao, Wu, Wei, ECCV 2018, section 3.2): each pose is matched with the person whose last
pose, moved here by flow, it is most like. Beyond the paper, each a setting: confident poses choose before low and
carried ones (ByteTrack, Zhang et al., ECCV 2022), and a person unseen is remembered, expected where its motion leads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.people import Poses, TrackedPoses, sure_keypoints
from core.similarity import box_area, box_iou, oks
from core.skeletons import Skeleton
from tracker.association import associate
from tracker.pose_log import Carried, SeenFrame
from tracker.settings import FollowSettings

_VELOCITY_MEMORY_S = 0.3  # velocity is averaged over about so long: a few steps of noise, not a turn
_COAST_S = 2.0  # unseen people slow down over about so long: most stop or turn sooner or later
_WIDENING_PER_S = 3.0  # the spread of OKS grows by this share of itself for each second unseen


@dataclass(eq=False)
class _Track:
    """One person: where they were last seen, and how they moved."""

    track_id: int  # 0: not yet confirmed
    started_s: float
    places: deque[tuple[int, int]]  # (frame, row) of the last few poses, newest last: what flow can have carried
    time_s: float
    keypoints: np.ndarray  # (K, 2) sure joints when last seen
    box: np.ndarray  # (4,)
    velocity: np.ndarray  # (2,) pixels per second

    def see(self, place: tuple[int, int], time_s: float, keypoints: np.ndarray, box: np.ndarray) -> None:
        elapsed = time_s - self.time_s
        if elapsed > 0:
            measured = (_centre(box) - _centre(self.box)) / elapsed
            trust = 1 - np.exp(-elapsed / _VELOCITY_MEMORY_S)
            self.velocity = self.velocity + trust * (measured - self.velocity)
        self.places.append(place)
        self.time_s, self.keypoints, self.box = time_s, keypoints, box

    def shift(self, time_s: float) -> np.ndarray:
        """(2,) pixels this person has moved since last seen, coasting to a stop."""
        return self.velocity * _COAST_S * (1 - np.exp(-(time_s - self.time_s) / _COAST_S))


class Tracker:
    """Follows people through frames given in order; each frame's ids are final at once.

    Ids count from 1, are never used twice, and belong to this object alone.
    """

    def __init__(self, settings: FollowSettings, skeleton: Skeleton, *, queue_frames: int = 1) -> None:
        self._settings = settings
        self._sigmas = np.array(skeleton.oks_sigmas)
        self._queue_frames = queue_frames
        self._tracks: list[_Track] = []
        self._next_id = 1
        self._first_s = 0.0  # time of the first frame
        self._last_times: deque[float] = deque(maxlen=queue_frames)  # of the queue's frames, in seconds

    def update(self, seen: SeenFrame) -> TrackedPoses:
        """The same poses, those that are somebody, with ids.

        Raises:
            ValueError: a frame earlier than the last one.
        """
        if self._last_times and seen.time_s < self._last_times[-1]:
            raise ValueError(f"frames must come in order: got time {seen.time_s} s after {self._last_times[-1]} s")
        if self._last_times:
            self._forget(seen.time_s)
        else:
            self._first_s = seen.time_s
        self._last_times.append(seen.time_s)
        poses = seen.poses
        keypoints = sure_keypoints(poses, self._settings.match_joint_score)
        sure = (poses.quality >= self._settings.start_score) & ~poses.carried
        owners: list[_Track | None] = [None] * len(poses)
        similarity = self._similarity(seen, keypoints)
        for choosing in (np.flatnonzero(sure), np.flatnonzero(~sure)):
            self._match(seen, keypoints, similarity, choosing, owners)
        self._start(seen, keypoints, sure, owners)
        ids = np.array([self._id(track, seen.time_s) if track else 0 for track in owners], np.int64)
        return TrackedPoses(self._kept(poses[ids > 0]), ids[ids > 0])

    def _kept(self, poses: Poses) -> Poses:
        """The poses without the joints that are not to be told of."""
        keypoints = sure_keypoints(poses, self._settings.keep_joint_score)
        scores = np.where(np.isnan(keypoints[:, :, 0]), 0.0, poses.keypoint_scores)
        return replace(poses, keypoints=keypoints, keypoint_scores=scores)

    def _match(
        self,
        seen: SeenFrame,
        keypoints: np.ndarray,
        similarity: np.ndarray,
        choosing: np.ndarray,
        owners: list[_Track | None],
    ) -> None:
        """Give the rows `choosing` to people they are like and who have no pose of this frame yet."""
        free = np.flatnonzero([track.places[-1][0] != seen.index for track in self._tracks])
        alike = similarity[np.ix_(free, choosing)]
        for i, j in associate(alike, self._settings.min_similarity, self._settings.assignment):
            track, row = self._tracks[free[i]], int(choosing[j])
            track.see((seen.index, row), seen.time_s, keypoints[row], seen.poses.boxes[row])
            owners[row] = track

    def _start(self, seen: SeenFrame, keypoints: np.ndarray, sure: np.ndarray, owners: list[_Track | None]) -> None:
        """A sure pose that is nobody's, nor a second pose of somebody, starts a person."""
        owned = [row for row, track in enumerate(owners) if track]
        free = np.flatnonzero(sure & np.array([track is None for track in owners], bool))
        areas = box_area(seen.poses.boxes[owned])
        alike = oks(keypoints[free], keypoints[owned], areas, self._sigmas).max(axis=1, initial=0)
        for row in free[alike < self._settings.duplicate_oks]:
            places = deque([(seen.index, int(row))], maxlen=self._queue_frames)
            track = _Track(0, seen.time_s, places, seen.time_s, keypoints[row], seen.poses.boxes[row], np.zeros(2))
            self._tracks.append(track)
            owners[row] = track

    def _id(self, track: _Track, time_s: float) -> int:
        """The person's id, given once they are confirmed; 0 before."""
        there_from_the_first_frame = track.started_s == self._first_s
        long_enough = time_s - track.started_s >= self._settings.confirm_s
        if track.track_id == 0 and (there_from_the_first_frame or long_enough):
            track.track_id = self._next_id
            self._next_id += 1
        return track.track_id

    def _forget(self, time_s: float) -> None:
        """Drop people unseen for too long, the unconfirmed at once; who was seen in the queue's frames stays."""
        last, first = self._last_times[-1], self._last_times[0]
        oldest = min(first, time_s - self._settings.memory_s)
        self._tracks = [track for track in self._tracks if track.time_s >= (oldest if track.track_id else last)]

    def _similarity(self, seen: SeenFrame, keypoints: np.ndarray) -> np.ndarray:
        """How like each person (T,) each pose (N,) of this frame is: (T, N)."""
        if not self._tracks or not len(seen.poses):
            return np.zeros((len(self._tracks), len(seen.poses)))
        unseen_s = np.array([seen.time_s - track.time_s for track in self._tracks])
        shifts = np.array([track.shift(seen.time_s) for track in self._tracks])
        if not self._settings.motion:
            shifts, unseen_s = np.zeros_like(shifts), np.zeros_like(unseen_s)
        boxes = np.array([track.box for track in self._tracks]) + np.tile(shifts, 2)
        overlap = box_iou(boxes, seen.poses.boxes)
        if self._settings.similarity == "iou":
            return overlap
        expected = np.array([track.keypoints for track in self._tracks]) + shifts[:, None]
        alike = self._oks_after_flow(seen, keypoints, expected, box_area(boxes), unseen_s)
        # People without a sure joint are followed by their boxes.
        return np.where(_jointless(expected)[:, None] | _jointless(keypoints)[None], overlap, alike)

    def _oks_after_flow(
        self, seen: SeenFrame, keypoints: np.ndarray, expected: np.ndarray, areas: np.ndarray, unseen_s: np.ndarray
    ) -> np.ndarray:
        """OKS with the expected poses, or with where flow carried the person, if it did: the best of the queue."""
        sigmas = self._sigmas * (1 + _WIDENING_PER_S * unseen_s)[:, None]
        if self._settings.similarity == "oks":
            return oks(keypoints, expected, areas, sigmas).T
        flown = _where_flow_carried(self._tracks, seen.carried, 1 if self._settings.similarity == "flow_oks" else None)
        similarity = np.zeros((len(self._tracks), len(keypoints)))
        for track_rows, carried in flown:
            alike = oks(keypoints, carried, areas[track_rows], sigmas[track_rows]).T
            similarity[track_rows] = np.maximum(similarity[track_rows], alike)
        lost = np.ones(len(self._tracks), bool)
        for track_rows, _ in flown:
            lost[track_rows] = False
        similarity[lost] = oks(keypoints, expected[lost], areas[lost], sigmas[lost]).T
        return similarity


def _where_flow_carried(
    tracks: list[_Track], carried: Carried, newest: int | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For the last pose of each person, the last but one, ...: whose it is (rows of `tracks`) and where it is now."""
    at = {
        place: i
        for i, place in enumerate(zip(carried.source_frames.tolist(), carried.source_rows.tolist(), strict=True))
    }
    depth = max((len(track.places) for track in tracks), default=0)
    layers = []
    for back in range(min(depth, newest or depth)):
        found = [
            (row, at[track.places[-1 - back]])
            for row, track in enumerate(tracks)
            if back < len(track.places) and track.places[-1 - back] in at
        ]
        if found:
            rows, entries = np.array(found).T
            layers.append((rows, carried.keypoints[entries]))
    return layers


def _jointless(keypoints: np.ndarray) -> np.ndarray:
    return np.isnan(keypoints).all(axis=(1, 2))


def _centre(box: np.ndarray) -> np.ndarray:
    return (box[:2] + box[2:]) / 2


def follow(
    seen: Iterable[SeenFrame], settings: FollowSettings, skeleton: Skeleton, *, queue_frames: int = 1
) -> Iterator[tuple[SeenFrame, TrackedPoses]]:
    """Every frame with its people's ids, in order."""
    tracker = Tracker(settings, skeleton, queue_frames=queue_frames)
    for frame in seen:
        yield frame, tracker.update(frame)
