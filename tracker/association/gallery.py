"""Re-identification: which tracks, seconds or minutes apart, are of one person, decided by appearance alone.

Tracks that overlap in time are certainly of different people, and two halves of a track are of one person. The
similarities of both calibrate, for the clip at hand, what a similarity between two other tracks tells: the log odds of
the distribution of similarities of one person to that of different people. The odds are bounded by how many pairs of
different people were seen, because people who look alike may be among those who were never seen together.

Tracks are then clustered: in each round, those pairs become one identity that are each other's most probable partners
and probable enough. The probability counts the alternatives: if another track looks like one of the two, but overlaps
in time with the other, at most one of the two joins is right. So people in the same shirts stay apart.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from posetrail.errors import InputError
from posetrail.similarity import box_area, box_intersection
from tracker.frames import PoseFrame

_MAX_COVERED = 0.25  # a pose whose box is covered more than this by another box may show that person
_PARTS = 8  # parts of a track for which a mean embedding is kept
_PART_POSES = 4  # poses of a part, until a track has more than _PARTS parts; then it doubles
MIN_POSES = 8  # a track with fewer clean poses is not compared
_MAX_TRACKS = 2000  # those with the most clean poses are compared; more would take minutes

_MAX_COSINE = 0.999
_PRIOR_SPREAD, _PRIOR_COUNT = 0.15, 4.0  # of similarities between halves of a track, before any was seen
_LOSS, _LOSS_SPREAD = 0.3, 0.2  # what a re-entry costs of the similarity above that of other people, and how it varies
_MIN_TOGETHER_S = 2.0  # two tracks that overlap for less may be of one person who was lost and found
_SAME_SHARE, _MIN_PAIRS = 0.02, 15  # of more than so many pairs, the most similar share may be of one person, too
_UNSEEN_COUNT = 0.3  # pairs of different people assumed beside those seen; their similarities may be anything
_GRID = 200
MIN_PROBABILITY = 0.7


@dataclass(frozen=True, eq=False)
class TrackParts:
    """Parallel arrays, one row per part of a track; parts of a track are in order of time."""

    tracks: np.ndarray  # (C,) int64 number of the track
    embeddings: np.ndarray  # (C, E) float64 sum of the clean poses' embeddings
    counts: np.ndarray  # (C,) int64 number of clean poses

    def __getitem__(self, rows: np.ndarray) -> TrackParts:
        return TrackParts(*(getattr(self, each.name)[rows] for each in fields(self)))

    @classmethod
    def concatenate(cls, parts: list[TrackParts]) -> TrackParts:
        """All parts, one after the other."""
        return cls(*(np.concatenate([getattr(each, f.name) for each in parts]) for f in fields(cls)))

    def renumbered(self, numbers: np.ndarray) -> TrackParts:
        """The parts of tracks that got new numbers (T,), which several may share; negative ones are left out."""
        order = np.argsort(self.tracks, kind="stable")
        tracks = numbers[self.tracks[order]]
        kept = tracks >= 0
        return TrackParts(tracks[kept], self.embeddings[order[kept]], self.counts[order[kept]])


class AppearanceRecorder:
    """Collects the appearance of tracks, frame by frame: a few embeddings of each, of successive parts."""

    def __init__(self) -> None:
        self._parts: dict[int, list[tuple[np.ndarray, int]]] = {}
        self._part_poses: dict[int, int] = {}
        self._size = 0

    def add(self, frame: PoseFrame, tracks: np.ndarray, confident: np.ndarray) -> None:
        """Add the clean poses of the next frame: confident, detected, and hardly covered by other boxes.

        Args:
            frame: with appearance embeddings.
            tracks: (N,) number of each pose's track, negative for none.
            confident: (N,) bool.

        Raises:
            InputError: the poses have no embeddings.
        """
        self._size = frame.appearance.shape[1]
        if self._size == 0 and len(tracks):
            raise InputError(
                "max_reid_gap_s: expected poses with appearance embeddings, got none; "
                "estimate them with --appearance colour_layout, or leave out --max-reid-gap-s"
            )
        clean = (tracks >= 0) & confident & ~frame.poses.propagated & frame.appearance.any(axis=1)
        if clean.any():
            clean &= _covered_share(frame.poses.boxes, tracks >= 0) <= _MAX_COVERED
        for row in np.flatnonzero(clean).tolist():
            self._add_pose(int(tracks[row]), frame.appearance[row].astype(float))

    def _add_pose(self, track: int, embedding: np.ndarray) -> None:
        parts = self._parts.setdefault(track, [])
        full = self._part_poses.setdefault(track, _PART_POSES)
        if parts and parts[-1][1] < full:
            total, count = parts[-1]
            parts[-1] = total + embedding, count + 1
            return
        if len(parts) == _PARTS:
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts[:] = [(a + b, count + more) for (a, count), (b, more) in pairs]
            self._part_poses[track] = 2 * full
        parts.append((embedding, 1))

    def poses(self, track: int) -> int:
        """Number of clean poses of a track."""
        return sum(count for _, count in self._parts.get(track, ()))

    def forget(self, track: int) -> None:
        """Drop what is known of a track."""
        self._parts.pop(track, None)
        self._part_poses.pop(track, None)

    def parts(self) -> TrackParts:
        """The parts of all tracks."""
        return self._as_arrays(list(self._parts))

    def parts_of(self, track: int) -> TrackParts:
        """The parts of one track."""
        return self._as_arrays([track])

    def _as_arrays(self, chosen: list[int]) -> TrackParts:
        rows = [(track, *part) for track in chosen for part in self._parts[track]]
        tracks, embeddings, counts = zip(*rows, strict=True) if rows else ((), (), ())
        return TrackParts(np.array(tracks, int), np.array(embeddings).reshape(-1, self._size), np.array(counts, int))


def reidentify(parts: TrackParts, first_s: np.ndarray, last_s: np.ndarray, max_gap_s: float) -> np.ndarray:
    """The identity (T,) of each track: the lowest number of the tracks of the same person.

    Tracks of an identity never overlap in time.

    Args:
        parts: appearance of the tracks, which are numbered from 0.
        first_s: (T,) time of each track's first pose.
        last_s: (T,) time of its last pose.
        max_gap_s: seconds; longest time that a person may be away.
    """
    identities = np.arange(len(first_s))
    tracks = _comparable(parts, len(first_s))
    of_track = [parts[parts.tracks == track] for track in tracks.tolist()]
    centres = np.array([centre(each) for each in of_track])
    gap_s = time_between(first_s[tracks], last_s[tracks])
    odds = Odds.of_clip(centres, gap_s, of_track) if len(tracks) else None
    overlap, groups = gap_s <= 0, [[row] for row in range(len(tracks))]
    while odds is not None:
        pairs = _mutually_best(join_probability(odds.of(similarity(centres, centres)), overlap, gap_s, max_gap_s))
        if not len(pairs):
            break
        for a, b in pairs.tolist():
            groups[a] = sorted(groups[a] + groups[b])
            centres[a] = centre(TrackParts.concatenate([of_track[row] for row in groups[a]]))
            for matrix, combined in ((overlap, np.logical_or), (gap_s, np.minimum)):
                matrix[a] = matrix[:, a] = combined(matrix[a], matrix[b])
        kept = np.setdiff1d(np.arange(len(groups)), pairs[:, 1])
        groups = [groups[row] for row in kept.tolist()]
        centres, overlap, gap_s = centres[kept], overlap[np.ix_(kept, kept)], gap_s[np.ix_(kept, kept)]
    for group in groups:
        identities[tracks[group]] = tracks[group[0]]
    return identities


def time_between(first_s: np.ndarray, last_s: np.ndarray) -> np.ndarray:
    """(T, T) seconds from the end of one track to the start of another; negative where they overlap in time."""
    return np.maximum(first_s[:, None] - last_s, first_s - last_s[:, None])


def join_probability(odds: np.ndarray, overlap: np.ndarray, gap_s: np.ndarray, max_gap_s: float) -> np.ndarray:
    """The probability (G, G) that two groups of tracks are of one person.

    Args:
        odds: (G, G) of the similarities of their appearance.
        overlap: (G, G) bool, whether they overlap in time; true on the diagonal.
        gap_s: (G, G) seconds between the nearest tracks of both.
        max_gap_s: seconds; longest time that a person may be away.
    """
    possible = ~overlap & (gap_s <= max_gap_s)
    candidates = np.maximum(possible.sum(axis=1), 1)
    odds = np.where(possible, odds, 0.0) / np.maximum(candidates[:, None], candidates)
    others = overlap & ~np.eye(len(overlap), dtype=bool)
    alternatives = odds @ others  # of a, for b: all that overlap with b, so at most one of them is the person of a
    return odds / (1 + odds + alternatives + alternatives.T)


@dataclass(frozen=True, eq=False)
class Odds:
    """How much more probable similarities are between tracks of one person than of two; calibrated in the clip."""

    similarities: np.ndarray  # (G,) increasing
    odds: np.ndarray  # (G,) of them, never falling

    @classmethod
    def of_clip(cls, centres: np.ndarray, gap_s: np.ndarray, parts: list[TrackParts]) -> Odds | None:
        """Calibrate with tracks that overlap in time and with halves of tracks; None if they tell nothing.

        Args:
            centres: (T, E) embeddings of the tracks.
            gap_s: (T, T) seconds between them, negative where they overlap.
            parts: of each track.
        """
        together = np.triu(gap_s <= -_MIN_TOGETHER_S, 1)
        different = np.sort(similarity(centres, centres)[together])
        different = different[: len(different) - int(np.ceil(_SAME_SHARE * (len(different) - _MIN_PAIRS)).clip(0))]
        halves = np.array([_similarity_of_halves(each) for each in parts])
        halves = halves[np.isfinite(halves)]
        if not len(different) or not len(halves):
            return None
        within, between = float(np.median(halves)), float(different.mean())
        if within <= between:
            return None
        deviation = 1.48 * float(np.median(np.abs(halves - within)))
        spread_within = (_PRIOR_COUNT * _PRIOR_SPREAD + len(halves) * deviation) / (_PRIOR_COUNT + len(halves))
        spread = float(np.hypot(spread_within, _LOSS_SPREAD * (within - between)))
        mean = within - _LOSS * (within - between)

        similarities = np.linspace(between, mean, _GRID)
        bandwidth = max(1.06 * float(different.std()) * len(different) ** -0.2, spread_within / 2)
        seen = _normal(similarities[:, None], np.minimum(different, mean), bandwidth).sum(axis=1)
        unseen = _UNSEEN_COUNT * _normal(similarities, between, mean - between + spread)
        odds = _normal(similarities, mean, spread) * (len(different) + _UNSEEN_COUNT) / (seen + unseen)
        # If people who differ are often very similar, those who are a little less similar differ, too.
        return cls(similarities, np.minimum.accumulate(odds[::-1])[::-1])

    def of(self, similarity: np.ndarray) -> np.ndarray:
        """Odds of similarities of any shape."""
        return np.interp(similarity, self.similarities, self.odds)


def _mutually_best(probability: np.ndarray) -> np.ndarray:
    """Pairs (L, 2) of rows, the lower one first, that are each other's most probable and probable enough."""
    best = probability.argmax(axis=1)
    rows = np.arange(len(best))
    good = (best[best] == rows) & (rows < best) & (probability[rows, best] >= MIN_PROBABILITY)
    return np.column_stack([rows, best])[good]


def _comparable(parts: TrackParts, num_tracks: int) -> np.ndarray:
    """Tracks with enough clean poses, in order; those with the most if there are too many."""
    poses = np.bincount(parts.tracks, parts.counts, num_tracks)
    most = np.argsort(-poses, kind="stable")[:_MAX_TRACKS]
    return np.sort(most[poses[most] >= MIN_POSES])


def _similarity_of_halves(parts: TrackParts) -> float:
    """Similarity between the first and the second half of a track; NaN if it is too short."""
    middle = np.searchsorted(np.cumsum(parts.counts), parts.counts.sum() / 2, side="right")
    halves = np.arange(len(parts.counts)) < max(middle, 1), np.arange(len(parts.counts)) >= max(middle, 1)
    if min(parts.counts[half].sum() for half in halves) < MIN_POSES / 2:
        return np.nan
    first, second = (centre(parts[half]) for half in halves)
    return float(similarity(first[None], second[None])[0, 0])


def centre(parts: TrackParts) -> np.ndarray:
    """(E,) embedding of unit length; parts that differ from the others, as after an identity switch, weigh less."""
    means = parts.embeddings / parts.counts[:, None]
    weights = parts.counts.astype(float)
    for _ in range(3):  # Weiszfeld's steps towards the geometric median
        centre = weights @ means / weights.sum()
        weights = parts.counts / np.maximum(np.linalg.norm(means - centre, axis=1), 0.05)
    return centre / max(float(np.linalg.norm(centre)), 1e-9)


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(A, B): Fisher's transformation of the cosines of unit vectors; its spread depends little on its mean."""
    return np.arctanh(np.clip(a @ b.T, -_MAX_COSINE, _MAX_COSINE))


def _covered_share(boxes: np.ndarray, tracked: np.ndarray) -> np.ndarray:
    """(N,) largest share of each box that is covered by one other box of a tracked person."""
    boxes = boxes.astype(float)
    intersection = np.where(tracked & ~np.eye(len(boxes), dtype=bool), box_intersection(boxes, boxes), 0.0)
    return intersection.max(axis=1) / np.maximum(box_area(boxes), 1.0)


def _normal(x: np.ndarray, mean: np.ndarray | float, spread: float) -> np.ndarray:
    """Density of the normal distribution."""
    return np.exp(-0.5 * ((x - mean) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
