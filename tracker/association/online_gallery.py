"""Re-identification online: a new track gets the id of a person who left, by appearance alone, or never.

Ids are final as soon as they are given, so a new track is compared once, before its confirmation. A few poses tell
little about appearance: while the person may be one of those who left, confirmation waits for enough clean poses, for
`_MAX_WAIT_S` at most. Otherwise as in gallery.py, calibrated with what was seen so far.
"""

from __future__ import annotations

import numpy as np

from tracker.association.gallery import (
    MIN_POSES,
    MIN_PROBABILITY,
    AppearanceRecorder,
    Odds,
    centre,
    join_probability,
    similarity,
    time_between,
)
from tracker.frames import PoseFrame

_MAX_WAIT_S = 1.0
_MIN_GLIMPSE, _MIN_ODDS = 4, 1.0  # with so many clean poses, a track that fits no person who left is new
_MAX_TRACKS = 300  # remembered; then the oldest are forgotten
_RECALIBRATED_S = 1.0  # the odds are calibrated again after this time
_NEW = 0  # the id of a person who was not seen before


class OnlineGallery:
    """Remembers the appearance of tracks and finds the id that a new track continues.

    Args:
        max_gap_s: seconds; longest time that a person may be away.
    """

    def __init__(self, max_gap_s: float) -> None:
        self._max_gap_s = max_gap_s
        self._recorder = AppearanceRecorder()
        self._first_s: dict[int, float] = {}  # by serial, in order of the tracks' starts
        self._last_s: dict[int, float] = {}
        self._ids: dict[int, int] = {}  # of confirmed tracks
        self._alive: set[int] = set()
        self._centres: dict[int, tuple[int, np.ndarray]] = {}  # with the number of poses they were computed of
        self._odds: Odds | None = None
        self._calibrated_s = -np.inf

    def add(self, frame: PoseFrame, serials: np.ndarray, confident: np.ndarray, alive: np.ndarray) -> None:
        """Add the poses of the next frame.

        Args:
            frame: with appearance embeddings.
            serials: (N,) number of each pose's track, 0 for none.
            confident: (N,) bool.
            alive: (T,) numbers of all tracks that are kept, with or without a pose in this frame.
        """
        self._alive = set(alive.tolist())
        for serial in serials[serials > 0].tolist():
            self._first_s.setdefault(serial, frame.time_s)
            self._last_s[serial] = frame.time_s
        self._recorder.add(frame, np.where(serials > 0, serials, -1), confident)

    def id_of(self, serial: int, time_s: float) -> int | None:
        """The id of the person of a new track, 0 for one who was not seen before; None if that is still undecided."""
        self._forget(time_s)
        poses = self._recorder.poses(serial)
        waits = time_s - self._first_s[serial] < _MAX_WAIT_S
        present = {track_id for each, track_id in self._ids.items() if each in self._alive}
        if not set(self._ids.values()) - present:
            return _NEW
        if poses < _MIN_GLIMPSE:
            return None if waits else _NEW
        probability, odds, ids = self._compared(serial, time_s)
        away = ~np.isin(ids, list(present))
        if not away.any() or odds[away].max() < _MIN_ODDS:
            return _NEW
        if poses < MIN_POSES:
            return None if waits else _NEW
        best = int(np.where(away, probability, 0.0).argmax())
        return int(ids[best]) if probability[best] >= MIN_PROBABILITY and away[best] else _NEW

    def confirm(self, serial: int, track_id: int) -> None:
        """Remember the id that was given to a track."""
        self._ids[serial] = track_id

    def _compared(self, serial: int, time_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probabilities (G,) and odds (G,) that a track is of the persons with the ids (G,); empty without odds."""
        others = [each for each in self._first_s if each in self._ids and self._recorder.poses(each) >= MIN_POSES]
        tracks = [*others, serial]
        centres = np.array([self._centre(each) for each in tracks])
        first_s, last_s = (np.array([times[each] for each in tracks]) for times in (self._first_s, self._last_s))
        gap_s = time_between(first_s, last_s)
        if time_s - self._calibrated_s >= _RECALIBRATED_S:
            parts = [self._recorder.parts_of(each) for each in others]
            self._odds = Odds.of_clip(centres[:-1], gap_s[:-1, :-1], parts) if others else None
            self._calibrated_s = time_s
        if self._odds is None:
            return np.zeros(0), np.zeros(0), np.zeros(0, int)
        ids, group = np.unique([self._ids[each] for each in others], return_inverse=True)
        members = np.zeros((len(ids) + 1, len(tracks)), bool)
        members[np.append(group, len(ids)), np.arange(len(tracks))] = True
        together = np.array([_mean(centres[rows]) for rows in members])
        overlap = members.astype(int) @ (gap_s <= 0) @ members.T.astype(int) > 0
        nearest_s = np.array([[gap_s[np.ix_(a, b)].min() for b in members] for a in members])
        odds = self._odds.of(similarity(together, together))
        probability = join_probability(odds, overlap, nearest_s, self._max_gap_s)[-1, :-1]
        return probability, np.where(overlap[-1, :-1], 0.0, odds[-1, :-1]), ids

    def _centre(self, serial: int) -> np.ndarray:
        poses = self._recorder.poses(serial)
        known = self._centres.get(serial)
        if known is None or poses > 1.25 * known[0]:
            known = self._centres[serial] = poses, centre(self._recorder.parts_of(serial))
        return known[1]

    def _forget(self, time_s: float) -> None:
        """Drop tracks that ended too long ago, and the oldest if there are too many."""
        excess = len(self._first_s) - _MAX_TRACKS
        for place, serial in enumerate(list(self._first_s)):
            ended = serial not in self._alive
            if ended and (place < excess or time_s - self._last_s[serial] > self._max_gap_s or serial not in self._ids):
                self._recorder.forget(serial)
                for known in (self._first_s, self._last_s, self._ids, self._centres):
                    known.pop(serial, None)


def _mean(centres: np.ndarray) -> np.ndarray:
    """(E,) mean of unit vectors (T, E), of unit length."""
    total = centres.sum(axis=0)
    return total / max(float(np.linalg.norm(total)), 1e-9)
