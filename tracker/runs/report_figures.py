"""Figures of a run for its report: time in view, re-entries, scores and stretches of each person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.tracked_clip import TrackedClip

RE_ENTRY_S = 1.0
"""A person who returns after a longer time without a pose re-enters; shorter gaps are missed detections."""

Spans = tuple[tuple[int, int], ...]
"""Stretches of successive frames, as the positions of their first and last ones."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PersonFigures:
    """One person in a clip; frames are positions in the clip."""

    track_id: int
    name: str  # empty where the person has none
    rows: np.ndarray  # (P,) int64 rows of the person's poses in the clip, ascending
    positions: np.ndarray  # (P,) int64 frames of these poses
    spans: Spans  # in which the person has a pose
    interpolated: Spans  # in which the poses are interpolated
    first_s: float
    last_s: float
    in_view_s: float  # the time of all frames with a pose
    re_entries: int
    num_interpolated: int
    mean_score: float  # of the poses that are not interpolated, 0..1; NaN if there are none

    @property
    def label(self) -> str:
        """The person's id, with the name if there is one."""
        return f"{self.track_id} {self.name}" if self.name else str(self.track_id)


def spans_of(positions: np.ndarray) -> Spans:
    """The stretches of successive numbers among ascending positions (P,).

    >>> spans_of(np.array([2, 3, 4, 8]))
    ((2, 4), (8, 8))
    """
    if not len(positions):
        return ()
    ends = np.flatnonzero(np.diff(positions) > 1)
    firsts, lasts = positions[np.append(0, ends + 1)], positions[np.append(ends, len(positions) - 1)]
    return tuple(zip(firsts.tolist(), lasts.tolist(), strict=True))


def frame_durations(times_s: np.ndarray) -> np.ndarray:
    """How long each frame is shown (F,), in seconds: until the next one; the last one as long as most."""
    steps = np.diff(times_s)
    return np.append(steps, np.median(steps) if len(steps) else 0.0)[: len(times_s)]


def people_of(clip: TrackedClip) -> list[PersonFigures]:
    """The figures of all people, in the order of their ids."""
    durations, positions, scores = frame_durations(clip.times_s), clip.positions, clip.poses.quality
    order = np.argsort(clip.track_ids, kind="stable")
    ids, begins = np.unique(clip.track_ids[order], return_index=True)
    people = []
    for track_id, rows in zip(ids.tolist(), np.split(order, begins[1:]), strict=False):
        frames, interpolated = positions[rows], clip.interpolated[rows]
        times = clip.times_s[frames]
        gaps = times[1:] - (times + durations[frames])[:-1]  # from the end of a frame to the next one with a pose
        observed = scores[rows][~interpolated]
        person = PersonFigures(
            track_id=track_id,
            name=clip.names.get(track_id, ""),
            rows=rows,
            positions=frames,
            spans=spans_of(frames),
            interpolated=spans_of(frames[interpolated]),
            first_s=float(times[0]),
            last_s=float(times[-1]),
            in_view_s=float(durations[frames].sum()),
            re_entries=int((gaps > RE_ENTRY_S).sum()),
            num_interpolated=int(interpolated.sum()),
            mean_score=float(observed.mean()) if len(observed) else float("nan"),
        )
        people.append(person)
    return people


def places_of(clip: TrackedClip, rows: np.ndarray, hips: tuple[int, int] | None) -> np.ndarray:
    """Where people are in the image (R, 2): between the hips, or in the middle of the box without both of them.

    Args:
        clip: the poses.
        rows: (R,) of the clip.
        hips: positions of the hips among the joints, if the skeleton has them.
    """
    boxes = clip.poses.boxes[rows].astype(float)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    if hips is None:
        return middles
    between = clip.poses.keypoints[rows][:, list(hips)].mean(axis=1)
    return np.where(np.isfinite(between).all(axis=1, keepdims=True), between, middles)
