"""Poses to ids: what was seen becomes who was followed, each frame's ids final at once. No pixels, no network.

The core is Simple Baselines' (Xiao, Wu, Wei, ECCV 2018, section 3.2): a pose belongs to the person it is most like.
What trackers have learned since is added, each a setting: people are compared where their motion leads (motion.py) and
their boxes count beside their joints; the confident choose first, weak poses only continue somebody (ByteTrack, Zhang
et al., ECCV 2022); who is unseen is remembered for seconds; what is explained by people already followed starts nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from posetrail.assignment import associate
from posetrail.errors import InputError
from posetrail.poses import Poses, TrackedPoses, confident_keypoints
from posetrail.similarity import joint_similarity, keypoint_boxes, mean_joint_similarity
from posetrail.skeletons import Skeleton, skeleton_of_size
from tracker.association.common_motion import common_shift
from tracker.association.duplicates import duplicate_poses, explained
from tracker.association.motion import Tracks
from tracker.association.pairs import box_overlap, plausible_pairs
from tracker.association.score_scale import ScoreScale
from tracker.association.smoothing import OnlineSmoothing
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings, Settings

_UNCONFIRMED_MEMORY_S = 0.15  # somebody without an id yet may be missed for so long
_CROWD = 3  # so many people tell how all of them moved
_FEW = 0.7  # where less than this share of them are found again, all may have moved at once
_LEAST_JOINTS = 0.05  # share of the joints' weights that must agree for them to tell where somebody is
_LONG_UNSEEN_S = 0.5  # from about then on, looks count
_NOTHING_MOVED = np.eye(2, 3)


class Tracker:
    """Follows people through frames given in order.

    Ids count from 1, are never used twice, and belong to this object alone.

    Args:
        settings: who is who; of the smoothing, "one_euro" alone works frame by frame.
        skeleton: of the poses; told from their number of joints when not given.
        queue_frames: how many earlier frames' poses the log carries by flow.

    Raises:
        InputError: `settings.smooth` names a smoother that needs the whole clip.
    """

    def __init__(
        self,
        settings: AssociationSettings | Settings = AssociationSettings(),
        skeleton: Skeleton | None = None,
        *,
        queue_frames: int = 1,
    ) -> None:
        self._settings = settings.association if isinstance(settings, Settings) else settings
        smooth = self._settings.smooth
        if smooth not in ("auto", "one_euro", "none"):
            raise InputError(
                f"smooth: {smooth} needs the whole clip and does nothing in a Tracker, which has the frames so far; "
                "take auto, none, or one_euro with offline=False, or follow the clip at once"
            )
        self._smooth = OnlineSmoothing() if smooth == "one_euro" else None
        self._skeleton = skeleton
        self._scale = ScoreScale(adapt=self._settings.calibrate_scores)
        self._tracks: Tracks  # from the first frame on, which tells how many joints there are
        self._next_serial = self._next_id = 1
        self._frames = 0
        self._first_s = self._last_s = 0.0
        self._queue_s: deque[float] = deque(maxlen=queue_frames)  # times of the frames whose poses flow may carry

    def update(self, poses: Poses, time_s: float) -> TrackedPoses:
        """The same poses, those that are somebody, with ids.

        Args:
            poses: of the next frame.
            time_s: its time, in seconds.

        Raises:
            ValueError: a frame earlier than the last one, or poses of another skeleton.
        """
        if self._frames == 0:
            self._no_flow = PropagatedPoses.empty(poses.keypoints.shape[1])
        return self.update_frame(PoseFrame(self._frames, time_s, "", poses, self._no_flow))

    def update_frame(self, seen: PoseFrame) -> TrackedPoses:
        """As `update`, with all that the pose log knows of the frame: flow, the camera's motion, appearance."""
        _, ids = self.assign(seen)
        people = TrackedPoses(without_low_score_joints(seen.poses[ids > 0], self._settings), ids[ids > 0])
        return self._smooth(people, seen.time_s) if self._smooth else people

    def assign(self, seen: PoseFrame) -> tuple[np.ndarray, np.ndarray]:
        """Whose each pose is: serial numbers of the tracks (N,), and their ids (N,) as far as they are confirmed.

        Serials count from 1 and stay with a track; 0 is nobody. A track whose first poses had id 0 may get one later.
        """
        settings, poses = self._settings, seen.poses
        tracks = self._expect(seen)
        quality = self._scale.add(poses, seen.time_s)
        keypoints = confident_keypoints(poses, settings.min_match_joint_score).astype(float)
        boxes = _boxes(poses)
        usable = np.isfinite(boxes).all(axis=1)
        sure = (quality >= self._scale.score(settings.new_track_score)) & ~poses.propagated
        if settings.track_nms_oks < 1 and len(poses) > 1:
            usable &= ~duplicate_poses(keypoints, boxes, quality, self._joint_var, settings.track_nms_oks)

        turns = (usable & sure, usable & ~sure)  # the confident choose first
        owner = self._owners(seen, keypoints, boxes, turns)
        if (
            settings.common_motion_compensation
            and self._lost_the_crowd(owner, turns[0])
            and self._shift_crowd(boxes[usable])
        ):
            owner = self._owners(seen, keypoints, boxes, turns)
        self._see(seen, keypoints, boxes, owner)
        self._start(seen, keypoints, boxes, np.flatnonzero(usable & sure & (owner < 0)), owner)
        self._confirm(seen.time_s)

        owned = owner >= 0
        serials, ids = np.zeros(len(poses), np.int64), np.zeros(len(poses), np.int64)
        serials[owned], ids[owned] = tracks.serials[owner[owned]], tracks.ids[owner[owned]]
        self._forget(seen.time_s)
        return serials, ids

    def _expect(self, seen: PoseFrame) -> Tracks:
        """Everybody, where they should be by the time of this frame."""
        if self._frames == 0:
            self._begin(seen)
        elapsed_s = seen.time_s - self._last_s
        if elapsed_s < 0:
            raise ValueError(f"frames must come in order: got time {seen.time_s} s after {self._last_s} s")
        if seen.poses.keypoints.shape[1] != len(self._joint_var):
            raise ValueError(f"wanted poses of {len(self._joint_var)} joints, got {seen.poses.keypoints.shape[1]}")
        self._last_s = seen.time_s
        self._elapsed_s = elapsed_s
        self._queue_s.append(seen.time_s)
        self._frames += 1
        if self._settings.camera_motion_compensation and not np.array_equal(seen.camera_motion, _NOTHING_MOVED):
            self._tracks.move_camera(seen.camera_motion)
        if self._settings.motion_model:
            self._tracks.predict(elapsed_s)
        return self._tracks

    def _begin(self, seen: PoseFrame) -> None:
        num_joints = seen.poses.keypoints.shape[1]
        skeleton = self._skeleton or skeleton_of_size(num_joints)
        self._joint_var = (2 * np.array(skeleton.oks_sigmas)) ** 2
        self._tracks = Tracks.nobody(num_joints, self._queue_s.maxlen or 1, seen.appearance.shape[1])
        self._first_s = self._last_s = seen.time_s

    def _similarity(self, seen: PoseFrame, keypoints: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """How like each person (T,) each pose (N,) of this frame is: (T, N)."""
        tracks, settings = self._tracks, self._settings
        similarity = np.zeros((len(tracks), len(boxes)))
        if not similarity.size:
            return similarity
        size = tracks.size
        place_var = tracks.place_var if settings.motion_model else np.zeros(len(tracks))
        guesses, expected = self._guesses(seen.propagated)
        rows, columns = plausible_pairs(expected, size, np.sqrt(place_var), boxes)
        alike = box_overlap(expected[rows], boxes[columns])
        if settings.similarity != "iou" and settings.box_iou_share < 1:
            areas, variances = (size**2)[rows], self._joint_var + place_var[rows, None]
            weights = seen.poses.keypoint_scores[columns].astype(float)
            by_joints = np.full(len(rows), np.nan)
            for guess in guesses:
                likeness = joint_similarity(keypoints[columns] - guess[rows], areas, variances)
                by_joints = np.fmax(by_joints, mean_joint_similarity(likeness, weights))
            mixed = settings.box_iou_share * alike + (1 - settings.box_iou_share) * by_joints
            alike = np.where(np.isnan(by_joints), np.where(alike >= settings.min_match_box_iou, alike, 0.0), mixed)
        if settings.appearance_share > 0 and tracks.appearance.shape[1]:
            alike = self._with_looks(alike, seen, rows, columns)
        similarity[rows, columns] = alike
        return similarity

    def _guesses(self, propagated: PropagatedPoses) -> tuple[list[np.ndarray], np.ndarray]:
        """Where all tracks may be now: joints (T, K, 2), one or more guesses, and boxes (T, 4).

        Flow is believed where it propagated somebody, motion where it did not.
        """
        by_motion, boxes = self._tracks.keypoints, self._tracks.boxes
        if self._settings.similarity in ("iou", "oks") or not len(propagated):
            return [by_motion], boxes
        newest_alone = self._settings.similarity == "flow_oks"
        by_flow, found = _flown(self._tracks.sources[:, :1] if newest_alone else self._tracks.sources, propagated)
        lost = ~found.any(axis=1)
        by_flow[lost, 0] = by_motion[lost]
        return list(by_flow.swapaxes(0, 1)), boxes + np.tile(_middle_shift(by_flow[:, 0] - by_motion), 2)

    def _with_looks(self, alike: np.ndarray, seen: PoseFrame, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Likeness (P,) of pairs in which looks count the more, the longer somebody was not seen."""
        one, other = self._tracks.appearance[rows], seen.appearance[columns].astype(float)
        known = one.any(axis=1) & other.any(axis=1)
        unseen_s = seen.time_s - self._tracks.seen_s[rows]
        share = self._settings.appearance_share * known * unseen_s / (unseen_s + _LONG_UNSEEN_S)
        return (1 - share) * alike + share * np.maximum(np.einsum("pe,pe->p", one, other), 0) * (alike > 0)

    def _owners(
        self, seen: PoseFrame, keypoints: np.ndarray, boxes: np.ndarray, turns: tuple[np.ndarray, ...]
    ) -> np.ndarray:
        """The row of the track that each pose (N,) belongs to, -1 for none; `turns` (N,) say who chooses when."""
        owner = np.full(len(boxes), -1)
        similarity = self._similarity(seen, keypoints, boxes)
        for choosing in turns:
            self._match(similarity, np.flatnonzero(choosing), owner)
        return owner

    def _match(self, similarity: np.ndarray, choosing: np.ndarray, owner: np.ndarray) -> None:
        """Give the poses `choosing` to people they are like and who have no pose of this frame yet."""
        if not len(choosing):
            return
        free = np.ones(len(similarity), bool)
        free[owner[owner >= 0]] = False
        rows = np.flatnonzero(free)
        if len(rows):
            alike = similarity[np.ix_(rows, choosing)]
            pairs = associate(alike, self._settings.min_match_similarity, self._settings.assignment)
            owner[choosing[pairs[:, 1]]] = rows[pairs[:, 0]]

    def _lost_the_crowd(self, owner: np.ndarray, sure: np.ndarray) -> bool:
        """Whether few of those seen in the last frame are found, though there are poses to find them by."""
        there = self._tracks.seen_s >= self._last_s - self._elapsed_s
        there &= self._tracks.ids > 0
        findable = min(np.count_nonzero(there), np.count_nonzero(sure))
        found = np.count_nonzero(there[owner[owner >= 0]])
        return bool(findable >= _CROWD and found < _FEW * findable)

    def _shift_crowd(self, boxes: np.ndarray) -> bool:
        """Move everybody as most people moved at once; whether they did."""
        tracks, expected = self._tracks, self._tracks.boxes
        there = tracks.seen_s >= self._last_s - self._elapsed_s
        middle, seen_middle = (expected[:, :2] + expected[:, 2:]) / 2, (boxes[:, :2] + boxes[:, 2:]) / 2
        seen_sizes = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1).clip(1))
        shift = common_shift(middle[there], tracks.size[there], seen_middle, seen_sizes)
        tracks.place += shift
        return bool(shift.any())

    def _see(self, seen: PoseFrame, keypoints: np.ndarray, boxes: np.ndarray, owner: np.ndarray) -> None:
        """Everybody found is where they were seen."""
        tracks, poses = self._tracks, np.flatnonzero(owner >= 0)
        rows = owner[poses]
        if not len(rows):
            return
        if self._settings.motion_model:
            off, by_joints = self._moved(rows, keypoints[poses], boxes[poses], seen.poses.keypoint_scores[poses])
            known = tracks.hits[rows] > 1
            tracks.see(rows, seen.time_s, keypoints[poses], boxes[poses], off, by_joints)
            if self._settings.common_motion_compensation and len(rows) < len(tracks) and known.sum() >= _CROWD:
                unseen = np.ones(len(tracks), bool)
                unseen[rows] = False
                tracks.place[unseen] += _median(off[known])
        else:
            tracks.put(rows, seen.time_s, keypoints[poses], boxes[poses])
        self._note(rows, seen, poses)

    def _moved(
        self, rows: np.ndarray, keypoints: np.ndarray, boxes: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """How far (M, 2) from where they were expected people were seen, in pixels; (M,) whether joints told it.

        The mean of their joints' ways, of which those count that are like the others': a joint that jumped, or that
        belongs to whoever stands before them, does not drag them along. Where no joints agree, their boxes tell.
        """
        tracks = self._tracks
        off = keypoints - tracks.keypoints[rows]
        likeness = joint_similarity(off, tracks.size[rows] ** 2, self._joint_var + tracks.place_var[rows, None])
        missing = np.isnan(likeness)
        weights = np.where(missing, 0.0, likeness * scores)
        total = weights.sum(axis=1)
        by_joints = total > _LEAST_JOINTS * len(self._joint_var)
        joints_off = np.einsum("mk,mkd->md", weights, np.where(missing[..., None], 0.0, off))
        boxes_off = boxes - tracks.boxes[rows]
        middle_off = (boxes_off[:, :2] + boxes_off[:, 2:]) / 2
        return np.where(by_joints[:, None], joints_off / np.maximum(total, 1e-9)[:, None], middle_off), by_joints

    def _start(
        self, seen: PoseFrame, keypoints: np.ndarray, boxes: np.ndarray, free: np.ndarray, owner: np.ndarray
    ) -> None:
        """Sure poses that are nobody's, nor explained by those that are somebody's, start people."""
        limit = self._settings.new_track_max_oks
        if limit < 1 and len(free):
            owned = owner >= 0
            told = explained(keypoints[free], boxes[free], keypoints[owned], boxes[owned], self._joint_var, limit)
            free = free[~told]
        if len(free):
            owner[free] = len(self._tracks) + np.arange(len(free))
            serials = self._next_serial + np.arange(len(free))
            self._next_serial += len(free)
            self._tracks.add(serials, seen.time_s, keypoints[free], boxes[free])
            self._note(owner[free], seen, free)

    def _note(self, rows: np.ndarray, seen: PoseFrame, poses: np.ndarray) -> None:
        """By which poses people were seen, for those who look where flow propagated them, and what they look like."""
        sources = self._tracks.sources
        sources[rows, 1:] = sources[rows, :-1]
        sources[rows, 0, 0], sources[rows, 0, 1] = seen.index, poses
        if seen.appearance.shape[1]:
            mean = 0.9 * self._tracks.appearance[rows] + 0.1 * seen.appearance[poses]
            length = np.linalg.norm(mean, axis=1, keepdims=True)
            self._tracks.appearance[rows] = mean / np.where(length > 0, length, 1)

    def _confirm(self, time_s: float) -> None:
        """People seen for long enough get their ids; in a clip's first frame at once."""
        tracks, confirmation_s = self._tracks, self._settings.confirmation_s
        for row in np.flatnonzero(tracks.ids == 0).tolist():
            started_s = tracks.started_s[row]
            long_enough = time_s - started_s >= confirmation_s and (tracks.hits[row] > 1 or confirmation_s == 0)
            if tracks.seen_s[row] == time_s and (long_enough or started_s == self._first_s):
                tracks.ids[row] = self._next_id
                self._next_id += 1

    def _forget(self, time_s: float) -> None:
        """Drop people unseen for too long; who was seen in the queue's frames stays."""
        tracks = self._tracks
        track_buffer_s = max(self._settings.track_buffer_s, time_s - self._queue_s[0])
        limit = np.where(tracks.ids > 0, track_buffer_s, min(_UNCONFIRMED_MEMORY_S, track_buffer_s))
        known = time_s - tracks.seen_s <= limit
        if not known.all():
            tracks.keep(known)


def without_low_score_joints(poses: Poses, settings: AssociationSettings) -> Poses:
    """The poses without the joints that are not to be told of."""
    if settings.min_output_joint_score <= 0:
        return poses
    keypoints = confident_keypoints(poses, settings.min_output_joint_score)
    scores = np.where(np.isnan(keypoints[:, :, 0]), 0.0, poses.keypoint_scores)
    return replace(poses, keypoints=keypoints, keypoint_scores=scores)


def _boxes(poses: Poses) -> np.ndarray:
    """Boxes (N, 4) float64 of all poses; where a file had none, those of their joints."""
    boxes = poses.boxes.astype(float)
    known = np.isfinite(boxes).all(axis=1)
    return boxes if known.all() else np.where(known[:, None], boxes, keypoint_boxes(poses.keypoints))


def _median(off: np.ndarray) -> np.ndarray:
    """The median (2,) of shifts (M, 2), as np.median gives it, in a fifth of the time for few."""
    ordered = np.sort(off, axis=0)
    middle = len(off) // 2
    return (ordered[middle] + ordered[-middle - 1]) / 2


def _middle_shift(off: np.ndarray) -> np.ndarray:
    """The median shift (T, 2) of people whose joints lie `off` (T, K, 2) away; 0 where that says nothing."""
    known = ~np.isnan(off).all(axis=(1, 2))
    shift = np.zeros((len(off), 2))
    if known.any():
        shift[known] = np.nanmedian(off[known], axis=1)
    return shift


def _flown(sources: np.ndarray, propagated: PropagatedPoses) -> tuple[np.ndarray, np.ndarray]:
    """Where flow propagated the poses `sources` (T, Q, 2): joints (T, Q, K, 2), NaN where it lost them; found (T,
    Q)."""
    places = zip(propagated.source_frames.tolist(), propagated.source_rows.tolist(), strict=True)
    at = {place: i for i, place in enumerate(places)}
    entries = np.array([at.get((frame, row), -1) for frame, row in sources.reshape(-1, 2).tolist()], int)
    entries = entries.reshape(sources.shape[:2])
    keypoints = propagated.keypoints[entries].astype(float)
    keypoints[entries < 0] = np.nan
    return keypoints, entries >= 0


def follow(
    seen: Iterable[PoseFrame], settings: AssociationSettings, skeleton: Skeleton | None = None, *, queue_frames: int = 1
) -> Iterator[tuple[PoseFrame, TrackedPoses]]:
    """Every frame with its people's ids, in order."""
    tracker = Tracker(settings, skeleton, queue_frames=queue_frames)
    for frame in seen:
        yield frame, tracker.update_frame(frame)
