"""Online association: each frame's track ids are final as soon as they are given. No pixels, no networks.

The basis is the tracker of Simple Baselines (Xiao, Wu, Wei, ECCV 2018, section 3.2), which assigns each pose to the
track with the most similar one. Later methods are added, each with a setting: poses are compared with the prediction of
a motion model (motion.py), boxes count beside joints, confident poses are matched first and weak ones only continue
tracks (ByteTrack, Zhang et al., ECCV 2022), tracks without poses are kept for seconds, and poses that tracked people
explain start no tracks (duplicates.py).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from posetrail.errors import InputError
from posetrail.poses import Poses, TrackedPoses, confident_keypoints
from posetrail.similarity import median_offsets
from posetrail.skeletons import Skeleton
from tracker.association.candidates import Candidates
from tracker.association.common_motion import common_shift
from tracker.association.duplicates import explained_poses
from tracker.association.matching import match
from tracker.association.motion import Tracks
from tracker.association.online_gallery import OnlineGallery
from tracker.association.preparation import Preparation
from tracker.association.smoothing import OnlineSmoothing
from tracker.frames import FrameWithTracks, PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings, Settings

_UNCONFIRMED_BUFFER_S = 0.15  # an unconfirmed track is kept for this long without a pose
_MIN_COMMON_TRACKS = 3  # common motion is estimated from so many tracks or more ...
_MIN_MATCHED_SHARE = 0.7  # ... if fewer than this share of those in the last frame are matched in their place ...
_IN_PLACE = 0.25  # ... body sizes from where they were expected
_APPEARANCE_GAIN = 0.1  # weight of a new pose in the running mean of a track's embeddings
_NO_CAMERA_MOTION = np.eye(2, 3)


class Tracker:
    """Assigns track ids to poses frame by frame; each frame's ids are final at once.

    Ids count from 1 in order of confirmation. An id is used again only for a person who returns, if the settings
    ask for re-identification. A tracker holds all of its state itself, so several can run side by side. For a clip
    that is available as a whole, `follow` is more accurate: it also links tracklets across gaps.

    Args:
        settings: how poses are matched with tracks. Settings of the offline stages (linking, interpolation) are not
            used; of the smoothing methods only "one_euro" works frame by frame.
        skeleton: of the poses; chosen by their number of joints if not given (17: COCO, 15: PoseTrack).
        queue_frames: number of earlier frames whose poses optical flow propagates into each frame, as in
            `InferenceSettings`; matters for frames of a pose log only.

    Raises:
        InputError: `settings.smooth` names a method that needs the whole clip.

    Examples:
        A person who walks to the right:

        >>> import numpy as np
        >>> import posetrail as pt
        >>> tracker = pt.Tracker()
        >>> for frame in range(3):
        ...     keypoints = np.array([[[100 + 5 * frame, 50 + 10 * joint] for joint in range(17)]])
        ...     poses = pt.Poses(
        ...         keypoints=keypoints,  # (N, K, 2) pixels
        ...         keypoint_scores=np.full((1, 17), 0.9),
        ...         boxes=np.array([[80 + 5 * frame, 40, 120 + 5 * frame, 220]]),  # (N, 4) x1 y1 x2 y2
        ...         scores=np.array([0.95]),
        ...         propagated=np.array([False]),
        ...     )
        ...     tracked = tracker.update(poses, time_s=frame / 30)
        ...     print(tracked.track_ids, tracked.poses.keypoints[0, 0])
        [1] [100.  50.]
        [1] [105.  50.]
        [1] [110.  50.]
    """

    def __init__(
        self,
        settings: AssociationSettings | Settings = AssociationSettings(),
        skeleton: Skeleton | None = None,
        *,
        queue_frames: int = 1,
    ) -> None:
        self._settings = association_settings(settings)
        smooth = self._settings.smooth
        if smooth not in ("auto", "one_euro", "none"):
            raise InputError(
                f"smooth: expected a method that works frame by frame, got {smooth}, which needs the whole clip; "
                "use auto, none, or one_euro with offline=False, or call follow on the whole clip"
            )
        if queue_frames < 1:
            raise ValueError(f"queue_frames: expected 1 or more, got {queue_frames}")
        self._smooth = OnlineSmoothing() if smooth == "one_euro" else None
        max_gap_s = self._settings.max_reid_gap_s
        self._gallery = OnlineGallery(max_gap_s) if max_gap_s > 0 else None
        self._prepare = Preparation(self._settings, skeleton)
        self._tracks: Tracks  # from the first frame on, which gives the number of joints
        self._next_serial = self._next_id = 1
        self._frames = 0
        self._last_s = self._elapsed_s = 0.0
        self._queue_s: deque[float] = deque(maxlen=queue_frames)  # times of the frames whose poses may be propagated
        self._no_propagated = PropagatedPoses.empty(0)

    def update(self, poses: Poses, time_s: float) -> TrackedPoses:
        """Assign track ids to the poses of the next frame.

        Args:
            poses: of the next frame; frames without people are updates too (`Poses.empty`).
            time_s: time of the frame in seconds, not before that of the last frame.

        Returns:
            The poses that belong to confirmed tracks, with their ids. Duplicates, weak poses that continue no track
            and poses of tracks that are not confirmed yet are left out.

        Raises:
            ValueError: the time is before that of the last frame, or the number of joints differs.
        """
        num_joints = poses.keypoints.shape[1]
        if self._no_propagated.keypoints.shape[1] != num_joints:
            self._no_propagated = PropagatedPoses.empty(num_joints)
        return self.update_frame(PoseFrame(self._frames, time_s, "", poses, self._no_propagated))

    def update_frame(self, frame: PoseFrame) -> TrackedPoses:
        """`update` for a frame of a pose log, with its optical flow, camera motion and appearance embeddings."""
        _, ids = self.assign(frame)
        rows = np.flatnonzero(ids)
        poses = without_low_score_joints(frame.poses[rows], self._settings)
        tracked = TrackedPoses(poses, ids[rows], pose_rows=rows)
        return self._smooth(tracked, frame.time_s) if self._smooth else tracked

    def assign(self, frame: PoseFrame) -> tuple[np.ndarray, np.ndarray]:
        """The track of each pose of the next frame: serial numbers (N,) of the tracks, and their ids (N,).

        Serial numbers count from 1 and never change; 0 means that the pose belongs to no track. The id is 0 until the
        track is confirmed.
        """
        return self.assign_candidates(self._prepare(frame))

    def assign_candidates(self, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
        """`assign` of a frame whose poses were prepared already, by this or by another tracker."""
        frame = candidates.frame
        tracks = self._predict(frame)
        track_of_pose = self._match(candidates)
        self._correct(candidates, track_of_pose)
        track_of_pose = self._start(candidates, track_of_pose)
        tracked = track_of_pose >= 0
        serials, ids = np.zeros((2, len(frame.poses)), np.int64)
        serials[tracked] = tracks.serials[track_of_pose[tracked]]
        if self._gallery:
            self._gallery.add(frame, serials, candidates.confident, tracks.serials)
        self._confirm(frame.time_s)
        ids[tracked] = tracks.ids[track_of_pose[tracked]]
        self._drop_old(frame.time_s)
        return serials, ids

    def _predict(self, frame: PoseFrame) -> Tracks:
        """The tracks, moved to where they are expected at the time of this frame."""
        if self._frames == 0:
            self._begin(frame)
        self._check(frame)
        self._elapsed_s = frame.time_s - self._last_s
        self._last_s = frame.time_s
        self._queue_s.append(frame.time_s)
        self._frames += 1
        moved = not np.array_equal(frame.camera_motion, _NO_CAMERA_MOTION)
        if self._settings.camera_motion_compensation and moved:
            self._tracks.move_with_camera(frame.camera_motion)
        if self._settings.motion_model:
            self._tracks.predict(self._elapsed_s)
        return self._tracks

    def _begin(self, frame: PoseFrame) -> None:
        num_joints = frame.poses.keypoints.shape[1]
        self._tracks = Tracks.empty(num_joints, self._queue_s.maxlen or 1, frame.appearance.shape[1])
        self._last_s = frame.time_s

    def _check(self, frame: PoseFrame) -> None:
        if not math.isfinite(frame.time_s):
            raise ValueError(f"time_s: expected the frame's time in seconds, got {frame.time_s}")
        if frame.time_s < self._last_s:
            raise ValueError(
                f"time_s: expected frames in order of time, got {frame.time_s} s after {self._last_s} s; sort them"
            )
        appearance_size = frame.appearance.shape[1]
        if appearance_size != self._tracks.appearance.shape[1]:
            raise ValueError(
                f"appearance: expected embeddings of {self._tracks.appearance.shape[1]} numbers as in the first frame, "
                f"got {appearance_size}"
            )

    def _match(self, candidates: Candidates) -> np.ndarray:
        """The row of the track that each pose (N,) belongs to, -1 for none.

        If few tracks are matched where they were expected, all are moved by their common shift to the poses and matched
        again.
        """
        settings = self._settings
        track_of_pose = match(self._tracks, candidates, settings)
        if settings.common_motion_compensation and self._few_in_place(candidates, track_of_pose):
            shift = self._common_shift(candidates.boxes[candidates.usable])
            if shift.any():
                self._tracks.position += shift
                track_of_pose = match(self._tracks, candidates, settings)
        return track_of_pose

    def _few_in_place(self, candidates: Candidates, track_of_pose: np.ndarray) -> bool:
        """Whether few confirmed tracks of the last frame have a pose where they were expected, though poses exist."""
        tracks = self._tracks
        recent = (tracks.seen_s >= self._last_s - self._elapsed_s) & (tracks.ids > 0)
        possible = min(np.count_nonzero(recent), np.count_nonzero(candidates.usable & candidates.confident))
        if possible < _MIN_COMMON_TRACKS:
            return False
        poses = np.flatnonzero(track_of_pose >= 0)
        rows = track_of_pose[poses]
        moved = candidates.boxes[poses] - tracks.boxes[rows]
        in_place = np.abs(moved[:, :2] + moved[:, 2:]).max(axis=1) < 2 * _IN_PLACE * tracks.size[rows]
        return bool(np.count_nonzero(recent[rows] & in_place) < _MIN_MATCHED_SHARE * possible)

    def _common_shift(self, boxes: np.ndarray) -> np.ndarray:
        """The shift (2,) in pixels from the tracks of the last frame to poses with these boxes (N, 4)."""
        recent = self._tracks.seen_s >= self._last_s - self._elapsed_s
        predicted = self._tracks.boxes
        positions, pose_positions = ((each[:, :2] + each[:, 2:]) / 2 for each in (predicted, boxes))
        pose_sizes = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1).clip(1))
        return common_shift(positions[recent], self._tracks.size[recent], pose_positions, pose_sizes)

    def _correct(self, candidates: Candidates, track_of_pose: np.ndarray) -> None:
        """Correct the matched tracks by their poses, and move the others by what those had in common."""
        tracks, frame, poses = self._tracks, candidates.frame, np.flatnonzero(track_of_pose >= 0)
        rows = track_of_pose[poses]
        if not len(rows):
            return
        keypoints, boxes = candidates.keypoints[poses], candidates.boxes[poses]
        tracks.evidence[rows] += candidates.evidence[poses]
        if self._settings.motion_model:
            offsets, by_joints = tracks.measure(rows, keypoints, boxes)
            has_velocity = tracks.hits[rows] > 1
            tracks.correct(rows, frame.time_s, keypoints, boxes, offsets, by_joints)
            enough = len(rows) < len(tracks) and has_velocity.sum() >= _MIN_COMMON_TRACKS
            if self._settings.common_motion_compensation and enough:
                unmatched = np.ones(len(tracks), bool)
                unmatched[rows] = False
                tracks.position[unmatched] += median_offsets(offsets[None, has_velocity])[0][0]
        else:
            tracks.replace(rows, frame.time_s, keypoints, boxes)
        self._record_poses(rows, frame, poses)

    def _start(self, candidates: Candidates, track_of_pose: np.ndarray) -> np.ndarray:
        """Start tracks at confident poses that belong to no track and that no tracked pose explains."""
        new = np.flatnonzero(candidates.usable & candidates.confident & (track_of_pose < 0))
        keypoints, boxes, max_oks = candidates.keypoints, candidates.boxes, self._settings.new_track_max_oks
        if max_oks < 1 and len(new):
            tracked = track_of_pose >= 0
            others = keypoints[tracked], boxes[tracked]
            new = new[~explained_poses(keypoints[new], boxes[new], *others, candidates.joint_variances, max_oks)]
        if not len(new):
            return track_of_pose
        serials = self._next_serial + np.arange(len(new))
        self._next_serial += len(new)
        with_new = track_of_pose.copy()
        with_new[new] = len(self._tracks) + np.arange(len(new))
        self._tracks.add(serials, candidates.frame.time_s, keypoints[new], boxes[new], candidates.evidence[new])
        self._record_poses(with_new[new], candidates.frame, new)
        return with_new

    def _record_poses(self, rows: np.ndarray, frame: PoseFrame, poses: np.ndarray) -> None:
        """Record the poses of the tracks `rows` as sources of optical flow, and their appearance."""
        sources, appearance = self._tracks.sources, self._tracks.appearance
        sources[rows, 1:] = sources[rows, :-1]
        sources[rows, 0, 0], sources[rows, 0, 1] = frame.index, poses
        if appearance.shape[1]:
            mean = (1 - _APPEARANCE_GAIN) * appearance[rows] + _APPEARANCE_GAIN * frame.appearance[poses]
            length = np.linalg.norm(mean, axis=1, keepdims=True)
            appearance[rows] = mean / np.where(length > 0, length, 1)

    def _confirm(self, time_s: float) -> None:
        """Give ids to the tracks of this frame whose poses are evidence enough, in order of their start."""
        tracks = self._tracks
        enough = tracks.evidence >= self._settings.confirmation_evidence - 1e-9
        for row in np.flatnonzero((tracks.ids == 0) & enough & (tracks.seen_s == time_s)).tolist():
            self._give_id(row, time_s)

    def _give_id(self, row: int, time_s: float) -> None:
        """Give a new id to a track, or that of a person who left; none yet if the gallery has not decided."""
        serial, track_id = int(self._tracks.serials[row]), self._next_id
        if self._gallery:
            known = self._gallery.id_of(serial, time_s)
            if known is None:
                return
            track_id = known or track_id
            self._gallery.confirm(serial, track_id)
        self._tracks.ids[row] = track_id
        self._next_id = max(self._next_id, track_id + 1)

    def _drop_old(self, time_s: float) -> None:
        """Drop tracks without a pose for too long, but none with a pose in the frames that flow propagates from."""
        tracks = self._tracks
        track_buffer_s = max(self._settings.track_buffer_s, time_s - self._queue_s[0])
        limit = np.where(tracks.ids > 0, track_buffer_s, min(_UNCONFIRMED_BUFFER_S, track_buffer_s))
        recent = time_s - tracks.seen_s <= limit
        if not recent.all():
            tracks.keep(recent)


def associate_online(
    frames: Iterable[PoseFrame],
    settings: AssociationSettings,
    skeleton: Skeleton | None = None,
    *,
    queue_frames: int = 1,
) -> Iterator[FrameWithTracks]:
    """Every frame with its tracked poses, in order: `Tracker.update_frame` over a stream of frames."""
    tracker = Tracker(settings, skeleton, queue_frames=queue_frames)
    for frame in frames:
        yield frame, tracker.update_frame(frame)


def association_settings(settings: AssociationSettings | Settings) -> AssociationSettings:
    """The association settings of `settings`, which may be those of all stages.

    Raises:
        ValueError: `settings` is something else.
    """
    chosen = settings.association if isinstance(settings, Settings) else settings
    if not isinstance(chosen, AssociationSettings):
        raise ValueError(f"settings: expected AssociationSettings or Settings, got {settings!r:.80}; see PRESETS")
    return chosen


def without_low_score_joints(poses: Poses, settings: AssociationSettings) -> Poses:
    """The poses with joints below `min_output_joint_score` marked as missing."""
    if settings.min_output_joint_score <= 0:
        return poses
    keypoints = confident_keypoints(poses, settings.min_output_joint_score)
    scores = np.where(np.isnan(keypoints[:, :, 0]), 0.0, poses.keypoint_scores)
    return replace(poses, keypoints=keypoints, keypoint_scores=scores)
