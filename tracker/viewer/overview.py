"""What the timeline shows of a whole run: its times, and of each track where it begins, ends and pauses."""

from __future__ import annotations

from typing import Any

import numpy as np

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
