"""Interpolation of short gaps: poses between the last pose before a gap and the first one after it.

Detectors miss people for a few frames in a row without a visible reason; over such gaps a straight line in
camera-stabilised coordinates is close to the truth. No pose is interpolated where another person's box hides it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from posetrail.poses import Poses, TrackedPoses
from posetrail.similarity import covered_share
from tracker.association.stabilisation import Stabiliser, inverted, transformed
from tracker.frames import FrameWithTracks, PoseFrame

_HIDDEN_SHARE = 0.8  # a pose is hidden if another person's box covers this share of its box
SCORE_SHARE = 0.5
"""Scores of interpolated poses, as a share of those between which they lie."""


@dataclass(frozen=True, eq=False)
class _BufferedFrame:
    """A frame into which poses may still be interpolated."""

    frame: PoseFrame
    tracked: TrackedPoses
    to_first: np.ndarray  # (2, 3) from this frame's pixels to camera-stabilised coordinates
    interpolated: list[TrackedPoses]


def interpolate_gaps(frames: Iterable[FrameWithTracks], max_gap_s: float) -> Iterator[FrameWithTracks]:
    """The same frames with poses interpolated in the gaps of tracks.

    Only the frames of the last `max_gap_s` are held in memory.

    Args:
        frames: in order, with their tracked poses.
        max_gap_s: seconds from the last pose before a gap to the first one after it; longer gaps stay.
    """
    stabiliser = Stabiliser()
    buffer: deque[_BufferedFrame] = deque()
    last_seen: dict[int, int] = {}  # track id -> number of the frame of its last pose, for frames in the buffer
    done = 0  # number of frames that have left the buffer
    for frame, tracked in frames:
        while buffer and frame.time_s - buffer[0].frame.time_s > max_gap_s + 1e-9:
            oldest = buffer.popleft()
            yield _finished(oldest)
            for track_id in oldest.tracked.track_ids.tolist():
                if last_seen[track_id] == done:
                    del last_seen[track_id]
            done += 1
        buffer.append(_BufferedFrame(frame, tracked, stabiliser.add(frame.camera_motion), []))
        now = done + len(buffer) - 1
        for row, track_id in enumerate(tracked.track_ids.tolist()):
            before = last_seen.get(track_id, now)
            if before < now - 1:
                _interpolate([buffer[number - done] for number in range(before, now + 1)], row)
            last_seen[track_id] = now
    yield from map(_finished, buffer)


def _interpolate(frames: list[_BufferedFrame], row: int) -> None:
    """Interpolate one track in all `frames` but the first and the last, where it has its pose in `row`."""
    last = frames[-1].tracked[[row]]
    first = frames[0].tracked[frames[0].tracked.track_ids == last.track_ids[0]]
    begin, end = _stabilised(first.poses, frames[0]), _stabilised(last.poses, frames[-1])
    begin_s, end_s = frames[0].frame.time_s, frames[-1].frame.time_s
    boxes_alone = bool(np.isnan(begin[0]).all() and np.isnan(end[0]).all())
    for each in frames[1:-1]:
        share = (each.frame.time_s - begin_s) / (end_s - begin_s) if end_s > begin_s else 0.5
        keypoints, corners, joint_scores, scores = (a + share * (b - a) for a, b in zip(begin, end, strict=True))
        present = np.isfinite(keypoints[:, :, 0])  # the joints that both poses have
        to_frame = inverted(each.to_first)
        poses = Poses(
            transformed(keypoints, to_frame),
            np.where(present, SCORE_SHARE * joint_scores, 0.0),
            transformed(corners, to_frame).reshape(1, 4),
            SCORE_SHARE * scores,
            np.zeros(1),
        )
        if (present.any() or boxes_alone) and covered_share(poses.boxes, each.tracked.poses.boxes)[0] <= _HIDDEN_SHARE:
            each.interpolated.append(TrackedPoses(poses, last.track_ids, np.ones(1)))


def _stabilised(poses: Poses, frame: _BufferedFrame) -> tuple[np.ndarray, ...]:
    """One person's joints (1, K, 2) and box corners (1, 2, 2), stabilised; scores (1, K) and (1,)."""
    corners = poses.boxes.astype(float).reshape(-1, 2, 2)
    keypoints = poses.keypoints.astype(float)
    to_first = frame.to_first
    return transformed(keypoints, to_first), transformed(corners, to_first), poses.keypoint_scores, poses.scores


def _finished(buffered: _BufferedFrame) -> FrameWithTracks:
    if not buffered.interpolated:
        return buffered.frame, buffered.tracked
    interpolated = sorted(buffered.interpolated, key=lambda one: int(one.track_ids[0]))
    return buffered.frame, TrackedPoses.concatenate([buffered.tracked, *interpolated])
