"""JSON lines of a live source: one object for each frame and each event. docs/reference/live.md describes them."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import orjson

from posetrail.skeletons import Skeleton
from tracker.io.live_source import LiveEvent, LiveSource, iso_time
from tracker.runs.live import LiveFrame

VERSION = 1
_PIXEL_DECIMALS, _SCORE_DECIMALS, _TIME_DECIMALS = 2, 3, 4


def started_line(source: LiveSource, skeleton: Skeleton) -> bytes:
    """The first line: what the others are about."""
    return _line(
        event="started",
        version=VERSION,
        source=str(source.address),
        started_at=iso_time(source.started_at),
        skeleton=skeleton.name,
        joints=skeleton.joints,
    )


def event_line(event: LiveEvent) -> bytes:
    """The line of an event."""
    return _line(event=event.kind, time_s=round(event.time_s, _TIME_DECIMALS), **event.values)


def frame_line(frame: LiveFrame, arrival: datetime | None = None) -> bytes:
    """The line of a frame.

    Args:
        frame: the frame.
        arrival: time of day of its arrival, if the line is to have it.
    """
    poses = frame.people.poses
    joints = np.concatenate([poses.keypoints, poses.keypoint_scores[:, :, None]], axis=2).astype(np.float64)
    joints[..., :2] = joints[..., :2].round(_PIXEL_DECIMALS)
    joints[..., 2] = joints[..., 2].round(_SCORE_DECIMALS)
    boxes = poses.boxes.astype(np.float64).round(_PIXEL_DECIMALS).tolist()
    scores = poses.scores.astype(np.float64).round(_SCORE_DECIMALS).tolist()
    people = zip(frame.people.track_ids.tolist(), boxes, scores, joints.tolist(), strict=True)
    return _line(
        event="frame",
        frame=frame.frame.index,
        time_s=round(frame.frame.time_s, _TIME_DECIMALS),
        **({} if arrival is None else {"arrival": iso_time(arrival)}),
        delay_s=None if frame.delay_s is None else round(frame.delay_s, _TIME_DECIMALS),
        dropped=frame.counts.dropped,
        people=[dict(zip(("id", "box", "score", "keypoints"), person, strict=True)) for person in people],
    )


def _line(**values: object) -> bytes:
    """One line of JSON; numbers that are missing (NaN) become null."""
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
