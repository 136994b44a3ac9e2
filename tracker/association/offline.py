"""Offline association: the whole clip is read before the first id is given.

The frames are read twice. First, one tracker runs forward and another, block by block, backward in time; where both
agree, poses form a tracklet (tracklets.py). Tracklets are linked over the whole clip (linking.py), and tracks with too
little evidence are dropped. On request, tracks of a person who left and returned are joined (gallery.py). Then ids are
given frame by frame, from each person's first pose on, joints are smoothed (smoothing.py) and short gaps are
interpolated (interpolation.py).

Memory: twelve bytes per pose and, per tracklet until it is linked, its first and last poses; so an hour of video fits.
Re-identification adds up to eight embeddings per tracklet.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from posetrail.poses import TrackedPoses
from posetrail.skeletons import Skeleton
from tracker.association.candidates import Candidates
from tracker.association.constraints import Constraints
from tracker.association.edited_poses import EditedFrames
from tracker.association.gallery import AppearanceRecorder, TrackParts, reidentify
from tracker.association.interpolation import interpolate_gaps
from tracker.association.linking import link
from tracker.association.preparation import Preparation, body_sigmas
from tracker.association.smoothing import smooth_tracks
from tracker.association.stabilisation import inverted
from tracker.association.statements import Statements
from tracker.association.tracker import Tracker, without_low_score_joints
from tracker.association.tracklets import TrackletRecorder, Tracklets
from tracker.frames import FrameWithTracks, PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings

_BLOCK_FRAMES = 600  # the backward tracker gives serials for so many frames at a time ...
_LEAD_FRAMES = 150  # ... and starts so many frames later, so that its tracks are established when the block ends
_FULL_EVIDENCE_FRAMES = 10  # shorter clips need proportionally less evidence


def associate_offline(
    frames: Callable[[], Iterable[PoseFrame]],
    settings: AssociationSettings,
    skeleton: Skeleton,
    queue_frames: int = 1,
    said: Statements | None = None,
) -> Callable[[], Iterator[FrameWithTracks]]:
    """Associate a whole clip; ids count from 1 in order of appearance.

    Args:
        frames: returns the frames from the first one on, each time it is called.
        settings: of the two trackers, of linking, interpolation and smoothing.
        skeleton: of the poses.
        queue_frames: number of earlier frames whose poses optical flow propagates into each frame.
        said: what corrections state; the overlay (overlay.py) has to follow.

    Returns:
        A function that returns every frame with its tracked poses, in order, each time it is called.
    """
    track_of_pose = offline_tracks(frames(), settings, skeleton, queue_frames, said).tracks
    edited = EditedFrames(said, skeleton) if said else None

    def tracked_frames() -> Iterator[FrameWithTracks]:
        with_ids = _with_ids(edited(frames()) if edited else frames(), track_of_pose, settings)
        tracked = smooth_tracks(with_ids, settings)
        if edited:
            tracked = edited.with_exact_joints(tracked)
        if settings.max_interpolation_gap_s > 0:
            tracked = interpolate_gaps(tracked, settings.max_interpolation_gap_s)
        return edited.named(tracked) if edited else tracked

    return tracked_frames


@dataclass(frozen=True, eq=False)
class OfflineTracks:
    """The tracks of all poses of a clip, in the order of the pose log: parallel arrays, one row per pose."""

    tracks: np.ndarray  # (M,) int32 counted from 0; -1 for poses left out
    forward: np.ndarray  # (M,) int32 serial of the track of a tracker that ran forward in time; 0: none
    backward: np.ndarray  # (M,) int32 the same of one that ran backward


def offline_tracks(
    frames: Iterable[PoseFrame],
    settings: AssociationSettings,
    skeleton: Skeleton,
    queue_frames: int = 1,
    said: Statements | None = None,
) -> OfflineTracks:
    """The track of each pose of a clip, before ids are given; arguments as for `associate_offline`.

    Poses that corrections add follow the others of their frame.
    """
    max_reid_gap_s = settings.max_reid_gap_s
    settings = replace(settings, smooth="none", smooth_hz=AssociationSettings.smooth_hz, max_reid_gap_s=0.0)
    recorder = TrackletRecorder()
    appearances = AppearanceRecorder() if max_reid_gap_s > 0 else None
    tracklet_of_pose, forward_of_pose, backward_of_pose = (array("i") for _ in range(3))  # flat: small for each frame
    num_frames = 0
    edited = EditedFrames(said, skeleton) if said else None
    constraints = Constraints(said) if said else None
    for candidates, forward, backward in _both_directions(frames, settings, skeleton, queue_frames, edited):
        if edited and constraints:
            keys = edited.keys(candidates.frame)
            forward, backward = constraints.serials(keys, forward, backward)
        tracklets_of_frame = recorder.add(candidates, forward, backward)
        if edited and constraints:
            constraints.record(keys, tracklets_of_frame)
        if appearances is not None:
            appearances.add(candidates.frame, tracklets_of_frame, candidates.evidence > 0)
        tracklet_of_pose.extend(tracklets_of_frame.tolist())
        forward_of_pose.extend(forward.tolist())
        backward_of_pose.extend(backward.tolist())
        num_frames += 1
    tracklets = recorder.tracklets()
    track_of_tracklet = _tracks_of_tracklets(tracklets, num_frames, skeleton, settings, constraints)
    if appearances is not None:
        track_of_tracklet = _reidentified(track_of_tracklet, tracklets, appearances.parts(), max_reid_gap_s)
    with_none = np.append(track_of_tracklet, -1).astype(np.int32)  # tracklet -1 belongs to no track
    tracklet, forward, backward = (
        np.array(each, np.int32) for each in (tracklet_of_pose, forward_of_pose, backward_of_pose)
    )
    return OfflineTracks(with_none[tracklet], forward, backward)


def _both_directions(
    frames: Iterable[PoseFrame],
    settings: AssociationSettings,
    skeleton: Skeleton,
    queue_frames: int,
    edited: EditedFrames | None = None,
) -> Iterator[tuple[Candidates, np.ndarray, np.ndarray]]:
    """The poses of every frame with their tracks (N,): serials of a forward tracker and of a backward one."""
    prepare = Preparation(settings, skeleton)
    forward_tracker = Tracker(settings, skeleton, queue_frames=queue_frames)
    backward_tracker = _BackwardTracker(settings, skeleton)
    waiting: list[tuple[Candidates, np.ndarray]] = []
    for frame in edited(frames) if edited else frames:
        candidates = prepare(frame)
        if edited:
            candidates = _with_pinned(candidates, edited)
        waiting.append((candidates, forward_tracker.assign_candidates(candidates)[0]))
        if len(waiting) == _BLOCK_FRAMES + _LEAD_FRAMES:
            serials = backward_tracker.serials([each for each, _ in waiting], _BLOCK_FRAMES)
            for (each, forward), backward in zip(waiting[:_BLOCK_FRAMES], serials, strict=True):
                yield each, forward, backward
            waiting = waiting[_BLOCK_FRAMES:]
    serials = backward_tracker.serials([each for each, _ in waiting], len(waiting))
    for (each, forward), backward in zip(waiting, serials, strict=True):
        yield each, forward, backward


def _with_pinned(candidates: Candidates, edited: EditedFrames) -> Candidates:
    """The same candidates; poses about which corrections state something may start tracks and are no duplicates."""
    pinned = edited.are_pinned(edited.keys(candidates.frame)) & np.isfinite(candidates.boxes).all(axis=1)
    if not pinned.any():
        return candidates
    return replace(candidates, usable=candidates.usable | pinned, confident=candidates.confident | pinned)


class _BackwardTracker:
    """Tracks block after block backward in time; a track that spans several blocks keeps its serial number."""

    def __init__(self, settings: AssociationSettings, skeleton: Skeleton) -> None:
        self._settings, self._skeleton = settings, skeleton
        self._next = 1
        self._seam: np.ndarray | None = None  # serials that the last block gave to the first frame of the next one

    def serials(self, frames: list[Candidates], num_frames: int) -> list[np.ndarray]:
        """The serials (N,) of the first `num_frames` frames; the other frames overlap with the next block."""
        tracker = Tracker(self._settings, self._skeleton)
        serials = [tracker.assign_candidates(frame)[0] for frame in _time_reversed(frames)][::-1]
        if not serials:
            return []
        renamed: dict[int, int] = {0: 0}
        if self._seam is not None:
            at_seam = zip(serials[0].tolist(), self._seam.tolist(), strict=True)
            renamed |= {here: before for here, before in at_seam if here and before}
        for serial in np.unique(np.concatenate(serials)).tolist():
            if serial not in renamed:
                renamed[serial] = self._next
                self._next += 1
        result = [np.array([renamed[serial] for serial in each.tolist()], np.int64) for each in serials]
        self._seam = result[num_frames] if num_frames < len(result) else None
        return result[:num_frames]


def _time_reversed(frames: list[Candidates]) -> Iterator[Candidates]:
    """The frames from the last to the first with inverse camera motion, without what flow propagated forward."""
    for i, candidates in enumerate(reversed(frames)):
        frame = candidates.frame
        camera_motion = inverted(frames[-i].frame.camera_motion) if i else np.eye(2, 3)
        nothing = PropagatedPoses.empty(frame.poses.keypoints.shape[1])
        frame = replace(frame, index=i, time_s=-frame.time_s, propagated=nothing, camera_motion=camera_motion)
        yield replace(candidates, frame=frame)


def _tracks_of_tracklets(
    tracklets: Tracklets,
    num_frames: int,
    skeleton: Skeleton,
    settings: AssociationSettings,
    constraints: Constraints | None,
) -> np.ndarray:
    """The track (P,) of each tracklet, -1 for tracks with too little evidence, unless a correction names them."""
    tracks = link(tracklets, body_sigmas(skeleton), settings.max_link_gap_s, constraints)
    evidence = np.bincount(tracks, tracklets.evidence) if len(tracks) else np.zeros(0)
    needed = settings.min_track_evidence * min(1.0, (num_frames - 1) / _FULL_EVIDENCE_FRAMES)
    kept = evidence[tracks] >= needed
    if constraints:
        kept |= np.isin(tracks, tracks[constraints.stated(len(tracklets))])
    return np.where(kept, tracks, -1)


def _reidentified(tracks: np.ndarray, tracklets: Tracklets, parts: TrackParts, max_gap_s: float) -> np.ndarray:
    """The track (P,) of each tracklet after those of one person were joined; -1 stays -1."""
    number = tracks.max(initial=-1) + 1
    first_s, last_s = np.full(number, np.inf), np.full(number, -np.inf)
    kept = tracks >= 0
    np.minimum.at(first_s, tracks[kept], tracklets.starts[kept, 0, 0])
    np.maximum.at(last_s, tracks[kept], tracklets.ends[kept, -1, 0])
    identities = reidentify(parts.renumbered(tracks), first_s, last_s, max_gap_s)
    return np.append(identities, -1)[tracks]


def _with_ids(
    frames: Iterable[PoseFrame], track_of_pose: np.ndarray, settings: AssociationSettings
) -> Iterator[FrameWithTracks]:
    """Every frame with those of its poses that belong to a track."""
    ids: dict[int, int] = {}
    begin = 0
    for frame in frames:
        tracks = track_of_pose[begin : begin + len(frame.poses)]
        begin += len(frame.poses)
        rows = np.flatnonzero(tracks >= 0)
        track_ids = [ids.setdefault(track, len(ids) + 1) for track in tracks[rows].tolist()]
        poses = without_low_score_joints(frame.poses[rows], settings)
        yield frame, TrackedPoses(poses, np.array(track_ids, np.int64), pose_rows=rows)
