"""Who is who with associate_offline: the whole clip is read before the first id is given.

Twice over the frames. First one tracker follows them forwards and another, block by block, backwards; where the two
agree, poses are a tracklet of somebody (tracklets.py), and tracklets are linked to people over the whole clip
(linking.py). Of a person with too little evidence nothing is kept. Then, frame by frame, everybody gets their id from
the first pose on, and who was missed for a moment is put back (filling.py).

An hour of video is not held in memory: of each pose four bytes stay, of each tracklet, until it is linked, its two
ends.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from posetrail.poses import TrackedPoses
from posetrail.skeletons import Skeleton
from tracker.association.interpolation import interpolate_gaps
from tracker.association.linking import link
from tracker.association.score_scale import ScoreScale
from tracker.association.smoothing import steady
from tracker.association.stabilisation import undone
from tracker.association.tracker import Tracker, without_low_score_joints
from tracker.association.tracklets import TrackletRecorder, Tracklets
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings

_BLOCK_FRAMES = 600  # that the backward tracker follows at a time ...
_LEAD_FRAMES = 150  # ... beginning so many frames later, so that it knows everybody when the block ends
_DOUBTFUL_SHARE = 0.9  # of new_track_score: a pose so sure says neither that it is somebody nor that it is nobody
_FULL_EVIDENCE_FRAMES = 10  # a shorter clip asks for less evidence: it has no room for more


def associate_offline(
    frames: Callable[[], Iterable[PoseFrame]],
    settings: AssociationSettings,
    skeleton: Skeleton,
    queue_frames: int = 1,
) -> Callable[[], Iterator[tuple[PoseFrame, TrackedPoses]]]:
    """Decides who is who, once; then gives every frame with its people, in order, each time it is called.

    Ids count from 1 in the order in which people appear.

    Args:
        frames: gives the frames from the first one on, each time it is called.
        settings: of the two trackers, of the links, of what is put back in between, and of smoothing.
        skeleton: of the poses.
        queue_frames: how many earlier frames' poses the log carries by flow.
    """
    person_of_pose = _who_is_who(frames(), settings, skeleton, queue_frames)

    def followed() -> Iterator[tuple[PoseFrame, TrackedPoses]]:
        people = steady(_named(frames(), person_of_pose, settings), settings)
        return (
            interpolate_gaps(people, settings.max_interpolation_gap_s)
            if settings.max_interpolation_gap_s > 0
            else people
        )

    return followed


def _who_is_who(
    frames: Iterable[PoseFrame], settings: AssociationSettings, skeleton: Skeleton, queue_frames: int
) -> np.ndarray:
    """The person (M,) int32 of each pose of the clip, frame by frame; -1 for those who were nobody."""
    settings = replace(settings, smooth="none", smooth_hz=AssociationSettings.smooth_hz)  # of the ids' trackers
    recorder = TrackletRecorder(settings.min_match_joint_score)
    evidence = _Evidence(settings)
    piece_of_pose = array("i")  # one flat array that grows: an array for each frame would take ten times as much
    num_frames = 0
    for seen, forward, backward in _both_ways(frames, settings, skeleton, queue_frames):
        piece_of_pose.extend(recorder.add(seen, forward, backward, evidence.of(seen)).tolist())
        num_frames += 1
    person_of_piece = _people(recorder.tracklets(), num_frames, skeleton, settings)
    return np.append(person_of_piece, -1).astype(np.int32)[np.array(piece_of_pose, np.intc)]  # tracklet -1 is nobody's


def _both_ways(
    frames: Iterable[PoseFrame], settings: AssociationSettings, skeleton: Skeleton, queue_frames: int
) -> Iterator[tuple[PoseFrame, np.ndarray, np.ndarray]]:
    """Every frame with the serials (N,) of a tracker that follows forwards and of one that follows backwards."""
    tracker = Tracker(settings, skeleton, queue_frames=queue_frames)
    backward = _BackwardSerials(settings, skeleton)
    waiting: list[tuple[PoseFrame, np.ndarray]] = []
    for seen in frames:
        waiting.append((seen, tracker.assign(seen)[0]))
        if len(waiting) == _BLOCK_FRAMES + _LEAD_FRAMES:
            serials = backward.of([each for each, _ in waiting], _BLOCK_FRAMES)
            for (each, forward), back in zip(waiting[:_BLOCK_FRAMES], serials, strict=True):
                yield each, forward, back
            waiting = waiting[_BLOCK_FRAMES:]
    serials = backward.of([each for each, _ in waiting], len(waiting))
    for (each, forward), back in zip(waiting, serials, strict=True):
        yield each, forward, back


class _BackwardSerials:
    """Follows frames backwards, block by block; a track that two blocks share keeps its serial."""

    def __init__(self, settings: AssociationSettings, skeleton: Skeleton) -> None:
        self._settings, self._skeleton = settings, skeleton
        self._next = 1
        self._seam: np.ndarray | None = None  # serials of the next block's first frame, as the last block knew them

    def of(self, frames: list[PoseFrame], num_frames: int) -> list[np.ndarray]:
        """The serials (N,) of the first `num_frames` frames; the others are the lead-in, and the next block's first."""
        tracker = Tracker(self._settings, self._skeleton)
        serials = [tracker.assign(seen)[0] for seen in _reversed(frames)][::-1]
        if not serials:
            return []
        names: dict[int, int] = {0: 0}
        if self._seam is not None:
            known = zip(serials[0].tolist(), self._seam.tolist(), strict=True)
            names |= {here: before for here, before in known if here and before}
        for serial in np.unique(np.concatenate(serials)).tolist():
            if serial not in names:
                names[serial] = self._next
                self._next += 1
        renamed = [np.array([names[serial] for serial in each.tolist()], np.int64) for each in serials]
        self._seam = renamed[num_frames] if num_frames < len(renamed) else None
        return renamed[:num_frames]


def _reversed(frames: list[PoseFrame]) -> Iterator[PoseFrame]:
    """The frames from the last to the first, as if filmed so; what flow propagated forwards is left out."""
    for i, seen in enumerate(reversed(frames)):
        camera_motion = undone(frames[-i].camera_motion) if i else np.eye(2, 3)
        nothing = PropagatedPoses.empty(seen.poses.keypoints.shape[1])
        yield replace(seen, index=i, time_s=-seen.time_s, propagated=nothing, camera_motion=camera_motion)


class _Evidence:
    """How much poses say that they are somebody: their quality above what is doubtful, on the scale of the clip."""

    def __init__(self, settings: AssociationSettings) -> None:
        self._doubtful = _DOUBTFUL_SHARE * settings.new_track_score
        self._scale = ScoreScale(adapt=settings.calibrate_scores)

    def of(self, seen: PoseFrame) -> np.ndarray:
        """(N,) of the next frame's poses; all the same where no score is asked for."""
        quality = self._scale.add(seen.poses, seen.time_s)
        here = self._scale.score(self._doubtful)
        return self._doubtful * (quality / here - 1) if here > 0 else np.ones(len(quality))


def _people(tracklets: Tracklets, num_frames: int, skeleton: Skeleton, settings: AssociationSettings) -> np.ndarray:
    """The person (P,) of each tracklet, -1 for those who were nobody."""
    people = link(tracklets, np.array(skeleton.oks_sigmas), settings.max_link_gap_s)
    evidence = np.bincount(people, tracklets.evidence) if len(people) else np.zeros(0)
    wanted = settings.min_track_evidence * min(1.0, (num_frames - 1) / _FULL_EVIDENCE_FRAMES)
    return np.where(evidence[people] >= wanted, people, -1)


def _named(
    frames: Iterable[PoseFrame], person_of_pose: np.ndarray, settings: AssociationSettings
) -> Iterator[tuple[PoseFrame, TrackedPoses]]:
    """Every frame with those of its poses that are somebody."""
    ids: dict[int, int] = {}
    begin = 0
    for seen in frames:
        people = person_of_pose[begin : begin + len(seen.poses)]
        begin += len(seen.poses)
        rows = np.flatnonzero(people >= 0)
        track_ids = [ids.setdefault(person, len(ids) + 1) for person in people[rows].tolist()]
        yield seen, TrackedPoses(without_low_score_joints(seen.poses[rows], settings), np.array(track_ids, np.int64))
