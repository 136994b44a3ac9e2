"""People who were missed for a moment are put back: poses interpolated between the last one and the next.

Detectors miss people in bursts of a few frames, with no reason that could be seen; between two sure poses a few frames
apart nearly everybody is where a straight line says. Nobody is put where somebody else hides them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from posetrail.poses import Poses, TrackedPoses
from posetrail.similarity import box_area, box_intersection
from tracker.association.stabilisation import StillPicture, moved, undone
from tracker.frames import PoseFrame

_HIDDEN_SHARE = 0.8  # of whose box somebody else's covers so much is not seen
_SCORE_SHARE = 0.5  # interpolated poses are less sure than what they lie between


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A frame that may still be interpolated."""

    seen: PoseFrame
    people: TrackedPoses
    to_still: np.ndarray  # (2, 3)
    found: list[TrackedPoses]  # of people who were missed here


def interpolate_gaps(
    frames: Iterable[tuple[PoseFrame, TrackedPoses]], max_gap_s: float
) -> Iterator[tuple[PoseFrame, TrackedPoses]]:
    """The same frames, in order, with people put back where they were missed.

    No more frames are held than lie within `max_gap_s`.

    Args:
        frames: who was seen, in order.
        max_gap_s: from somebody's last pose to their next, in seconds; longer gaps stay.
    """
    still = StillPicture()
    waiting: deque[_Waiting] = deque()
    newest: dict[int, int] = {}  # in which of the waiting frames a person was last seen, all counted from 0
    done = 0  # so many frames have left
    for seen, people in frames:
        while waiting and seen.time_s - waiting[0].seen.time_s > max_gap_s + 1e-9:
            first = waiting.popleft()
            yield _finished(first)
            for person in first.people.track_ids.tolist():
                if newest[person] == done:
                    del newest[person]
            done += 1
        waiting.append(_Waiting(seen, people, still.add(seen.camera_motion), []))
        now = done + len(waiting) - 1
        for row, person in enumerate(people.track_ids.tolist()):
            before = newest.get(person, now)
            if before < now - 1:
                _fill([waiting[t - done] for t in range(before, now + 1)], row)
            newest[person] = now
    yield from map(_finished, waiting)


def _fill(gap: list[_Waiting], row: int) -> None:
    """Put a person into all frames but the first and last of `gap`; they are in `row` of the last one."""
    last = gap[-1].people[[row]]
    first = gap[0].people[gap[0].people.track_ids == last.track_ids[0]]
    begin, end = _in_still_picture(first.poses, gap[0]), _in_still_picture(last.poses, gap[-1])
    begin_s, end_s = gap[0].seen.time_s, gap[-1].seen.time_s
    by_boxes = bool(np.isnan(begin[0]).all() and np.isnan(end[0]).all())
    for frame in gap[1:-1]:
        share = (frame.seen.time_s - begin_s) / (end_s - begin_s) if end_s > begin_s else 0.5
        keypoints, corners, joint_scores, scores = (a + share * (b - a) for a, b in zip(begin, end, strict=True))
        there = np.isfinite(keypoints[:, :, 0])  # the joints that both poses have
        to_frame = undone(frame.to_still)
        poses = Poses(
            moved(keypoints, to_frame),
            np.where(there, _SCORE_SHARE * joint_scores, 0.0),
            moved(corners, to_frame).reshape(1, 4),
            _SCORE_SHARE * scores,
            np.zeros(1),
        )
        if (there.any() or by_boxes) and not _hidden(poses.boxes, frame.people.poses.boxes):
            frame.found.append(TrackedPoses(poses, last.track_ids, np.ones(1)))


def _in_still_picture(poses: Poses, frame: _Waiting) -> tuple[np.ndarray, ...]:
    """One person's joints (1, K, 2) and corners of the box (1, 2, 2); and the scores (1, K) and (1,)."""
    corners = poses.boxes.astype(float).reshape(-1, 2, 2)
    keypoints = poses.keypoints.astype(float)
    return moved(keypoints, frame.to_still), moved(corners, frame.to_still), poses.keypoint_scores, poses.scores


def _hidden(box: np.ndarray, others: np.ndarray) -> bool:
    """Whether a person in a box (1, 4) is behind one of the others (N, 4)."""
    return bool((box_intersection(box, others) > _HIDDEN_SHARE * box_area(box)).any())


def _finished(frame: _Waiting) -> tuple[PoseFrame, TrackedPoses]:
    if not frame.found:
        return frame.seen, frame.people
    found = sorted(frame.found, key=lambda one: int(one.track_ids[0]))
    return frame.seen, TrackedPoses.concatenate([frame.people, *found])
