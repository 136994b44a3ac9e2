"""What the timeline shows of a whole run: its times, and of each track where it begins, ends and pauses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tracker.runs.corrected import Entry
from tracker.tracked_clip import TrackedClip


def track_summaries(clip: TrackedClip) -> list[dict[str, Any]]:
    """One dict for each track, in the order of ids: id, name, first, last, poses, mean_score, spans, interpolated.

    Spans are pairs of the first and last position of frames in which the track has a pose, or an interpolated one.
    """
    order = np.argsort(clip.track_ids, kind="stable")  # positions ascend within each track
    ids, begins = np.unique(clip.track_ids[order], return_index=True)
    positions = clip.positions
    summaries = []
    for track_id, rows in zip(ids.tolist(), np.split(order, begins[1:]), strict=False):
        at = positions[rows]
        summaries.append(
            {
                "id": track_id,
                "name": clip.names.get(track_id, ""),
                "first": int(at[0]),
                "last": int(at[-1]),
                "poses": len(rows),
                "mean_score": round(float(clip.poses.scores[rows].mean()), 4),
                "spans": spans(at),
                "interpolated": spans(at[clip.interpolated[rows]]),
            }
        )
    return summaries


def spans(positions: np.ndarray) -> list[list[int]]:
    """Ascending positions as pairs of the first and last of each run of successive ones.

    >>> spans(np.array([3, 4, 5, 9]))
    [[3, 5], [9, 9]]
    """
    if not len(positions):
        return []
    breaks = np.flatnonzero(np.diff(positions) > 1)
    firsts, lasts = positions[np.r_[0, breaks + 1]], positions[np.r_[breaks, len(positions) - 1]]
    return np.stack([firsts, lasts], axis=1).tolist()


def position_spans(frames: Sequence[tuple[int, int]], frame_indices: np.ndarray) -> list[list[int]]:
    """Pairs of first and last frames, as numbers in the video, as pairs of positions."""
    found = [
        [int(np.searchsorted(frame_indices, first)), int(np.searchsorted(frame_indices, last, side="right")) - 1]
        for first, last in frames
    ]
    return [span for span in found if span[0] <= span[1]]


def edits(entries: Iterable[Entry], clip: TrackedClip) -> list[dict[str, Any]]:
    """Where the timeline marks a correction that counts: its number, a position, and the id of its person there."""
    marks = []
    for entry in entries:
        name = None if entry.undone else _first_pose(entry)
        if name is None:
            continue
        position = int(np.searchsorted(clip.frame_indices, name[0]))
        if position < len(clip) and clip.frame_indices[position] == name[0]:
            people = clip.people(position)
            ids = people.track_ids[people.pose_rows == name[1]].tolist()
            marks.append({"number": entry.number, "position": position, "track": ids[0] if ids else None})
    return marks


def _first_pose(entry: Entry) -> tuple[int, int] | None:
    """Frame and row of the pose at which a correction begins to count; None for one that is about no pose."""
    match entry.operation:
        case {"links": [[_, [frame, row]], *_]} | {"apart": [[_, [frame, row]], *_]}:
            return frame, row
        case {"pose": [frame, row]} | {"poses": [[frame, row, *_], *_]}:
            return frame, row
        case {"op": "add", "frame": frame}:
            return frame, -1 - entry.number
    return None
