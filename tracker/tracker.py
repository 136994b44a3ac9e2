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

from core.people import Poses, TrackedPoses, sure_keypoints
from core.similarity import box_iou
from core.skeletons import COCO_17, POSETRACK_15, Skeleton
from tracker.association import associate, box_similarity, joint_similarity, plausible_pairs
from tracker.motion import Tracks
from tracker.pose_log import Carried, SeenFrame
from tracker.scores import ScoreScale
from tracker.settings import FollowSettings, Settings

PLACE_NOISE = 0.05  # body sizes: how far off a seen place is
SHAPE_MEMORY_S = 0.08  # the body's shape is averaged over about so long
UNSURE = 2.0
MARGIN = 1.0
TENT_MISS_S = 0.15
CROWD_MIN = 3
DUP_IOU = 0.6
WMIN = 0.05


class Tracker:
    """Follows people through frames given in order.

    Ids count from 1, are never used twice, and belong to this object alone.

    Args:
        settings: who is who.
        skeleton: of the poses; told from their number of joints when not given.
        queue_frames: how many earlier frames' poses the log carries by flow.
    """

    def __init__(
        self,
        settings: FollowSettings | Settings = FollowSettings(),
        skeleton: Skeleton | None = None,
        *,
        queue_frames: int = 1,
    ) -> None:
        self._settings = settings.follow if isinstance(settings, Settings) else settings
        self._skeleton = skeleton
        self._queue_frames = queue_frames
        self._scale = ScoreScale()
        self._next_serial = self._next_id = 1
        self._frames = 0
        self._first_s = self._last_s = 0.0
        self._queue_s: deque[float] = deque(maxlen=queue_frames)  # times of the frames whose poses flow may carry
        self._tracks: Tracks  # from the first frame on, which tells how many joints there are

    def update(self, poses: Poses, time_s: float) -> TrackedPoses:
        """The same poses, those that are somebody, with ids.

        Args:
            poses: of the next frame.
            time_s: its time, in seconds.

        Raises:
            ValueError: a frame earlier than the last one, or poses of another skeleton.
        """
        return self.update_seen(SeenFrame(self._frames, time_s, "", poses, Carried.empty(poses.keypoints.shape[1])))

    def update_seen(self, seen: SeenFrame) -> TrackedPoses:
        """As `update`, with all that the pose log knows of the frame: flow, the camera's motion, appearance."""
        _, ids = self.assign(seen)
        poses = seen.poses[ids > 0]
        return TrackedPoses(without_unsure_joints(poses, self._settings), ids[ids > 0])

    def assign(self, seen: SeenFrame) -> tuple[np.ndarray, np.ndarray]:
        """Whose each pose is: serial numbers of the tracks (N,), and their ids (N,) as far as they are confirmed.

        Serials count from 1 and stay with a track; 0 is nobody. A track whose first poses had id 0 may get one later.
        """
        settings, poses, time_s = self._settings, seen.poses, seen.time_s
        if self._frames == 0:
            self._begin(seen)
        elif time_s < self._last_s:
            raise ValueError(f"frames must come in order: got time {time_s} s after {self._last_s} s")
        tracks, elapsed_s = self._tracks, time_s - self._last_s
        self._last_s = time_s
        self._queue_s.append(time_s)
        self._frames += 1
        if settings.camera_motion and not np.array_equal(seen.camera, np.eye(2, 3)):
            tracks.move_camera(seen.camera)
        if settings.motion:
            tracks.predict(elapsed_s)

        quality = poses.quality.astype(float)
        self._scale.add(quality[~poses.carried], elapsed_s)
        start = self._scale.score(settings.start_score) if settings.adapt_scores else settings.start_score
        sure = (quality >= start) & ~poses.carried
        keypoints = sure_keypoints(poses, settings.match_joint_score).astype(float)
        similarity = self._similarity(seen, keypoints)
        owner = np.full(len(poses), -1)
        for choosing in (np.flatnonzero(sure), np.flatnonzero(~sure)):
            self._match(similarity, choosing, owner)
        self._correct(seen, keypoints, quality, owner)
        self._start(seen, keypoints, sure, quality, owner)
        self._confirm(time_s, start)
        owned = owner >= 0
        serials, ids = np.zeros(len(poses), np.int64), np.zeros(len(poses), np.int64)
        serials[owned], ids[owned] = tracks.serials[owner[owned]], tracks.ids[owner[owned]]
        self._forget(time_s)
        return serials, ids

    def _begin(self, seen: SeenFrame) -> None:
        num_joints = seen.poses.keypoints.shape[1]
        known = {len(skeleton): skeleton for skeleton in (COCO_17, POSETRACK_15)}
        skeleton = self._skeleton or known.get(num_joints)
        sigmas = np.array(skeleton.oks_sigmas) if skeleton else np.full(num_joints, 0.08)
        self._joint_var = (2 * sigmas) ** 2
        self._tracks = Tracks.nobody(num_joints, self._queue_frames, seen.appearance.shape[1])
        self._first_s = self._last_s = seen.time_s

    def _similarity(self, seen: SeenFrame, keypoints: np.ndarray) -> np.ndarray:
        """How like each person (T,) each pose (N,) of this frame is: (T, N)."""
        tracks, settings, poses = self._tracks, self._settings, seen.poses
        similarity = np.zeros((len(tracks), len(poses)))
        if not similarity.size:
            return similarity
        size = tracks.size
        place_var = tracks.place_var if settings.motion else np.zeros(len(tracks))
        seen_boxes = poses.boxes.astype(float)
        guesses = self._guesses(seen.carried)
        boxes = tracks.boxes + np.tile(_middle_shift(guesses[0] - tracks.keypoints), 2)
        rows, columns = plausible_pairs(boxes, size, np.sqrt(place_var), seen_boxes)
        margins = MARGIN * (np.sqrt(place_var) * size)[rows]
        alike = box_similarity(boxes[rows], seen_boxes[columns], margins)
        if settings.similarity != "iou" and settings.box_share < 1:
            variances = self._joint_var + place_var[rows, None]
            weights = poses.keypoint_scores[columns].astype(float)
            by_joints = np.full(len(rows), np.nan)
            for guess in guesses:
                off = keypoints[columns] - guess[rows]
                by_joints = np.fmax(by_joints, joint_similarity(off, (size**2)[rows], variances, weights))
            mixed = settings.box_share * alike + (1 - settings.box_share) * by_joints
            alike = np.where(np.isnan(by_joints), alike, mixed)
        similarity[rows, columns] = alike
        return similarity

    def _guesses(self, carried: Carried) -> list[np.ndarray]:
        """Where the joints of all tracks may be now (T, K, 2): by flow, where it carried them, or else by motion."""
        by_motion = self._tracks.keypoints
        if self._settings.similarity in ("iou", "oks") or not len(carried):
            return [by_motion]
        newest_alone = self._settings.similarity == "flow_oks"
        by_flow, found = _flown(self._tracks.sources[:, :1] if newest_alone else self._tracks.sources, carried)
        lost = ~found.any(axis=1)
        by_flow[lost, 0] = by_motion[lost]
        return list(by_flow.swapaxes(0, 1))

    def _match(self, similarity: np.ndarray, choosing: np.ndarray, owner: np.ndarray) -> None:
        """Give the rows `choosing` to people they are like and who have no pose of this frame yet."""
        free = np.ones(len(similarity), bool)
        free[owner[owner >= 0]] = False
        rows = np.flatnonzero(free)
        if not len(rows) or not len(choosing):
            return
        pairs = associate(similarity[np.ix_(rows, choosing)], self._settings.min_similarity, self._settings.assignment)
        owner[choosing[pairs[:, 1]]] = rows[pairs[:, 0]]

    def _correct(self, seen: SeenFrame, keypoints: np.ndarray, quality: np.ndarray, owner: np.ndarray) -> None:
        """Everybody is where they were seen."""
        tracks = self._tracks
        poses = np.flatnonzero(owner >= 0)
        rows = owner[poses]
        boxes = seen.poses.boxes[poses].astype(float)
        if len(rows):
            size = tracks.size[rows]
            unseen_s = seen.time_s - tracks.seen_s[rows]
            expected = tracks.keypoints[rows]
            off = keypoints[poses] - expected
            spread = self._joint_var + tracks.place_var[rows, None]
            alike = np.exp(np.einsum("nkd,nkd->nk", off, off) / (-2 * (size**2)[:, None] * spread))
            weights = np.where(np.isnan(alike), 0, alike * seen.poses.keypoint_scores[poses])
            total = weights.sum(axis=1)
            by_joints = np.nansum(weights[..., None] * np.where(np.isnan(off), 0, off), axis=1)
            by_joints /= np.maximum(total, 1e-9)[:, None]
            old = tracks.boxes[rows]
            by_box = ((boxes - old)[:, :2] + (boxes - old)[:, 2:]) / 2
            has = total > WMIN * len(self._joint_var)
            place_off = np.where(has[:, None], by_joints, by_box)
            noise = np.where(has, PLACE_NOISE, 1.5 * PLACE_NOISE)
            if self._settings.motion:
                tracks.correct(rows, place_off, noise)
                trust = 1 - np.exp(-np.maximum(unseen_s, 1e-3) / SHAPE_MEMORY_S)
                trust = np.maximum(trust, 1 / (tracks.hits[rows] + 1))
            else:
                tracks.place[rows] += place_off
                trust = np.ones(len(rows))
            tracks.reshape(rows, keypoints[poses], boxes, trust)
            self._note_sources(rows, seen.index, poses)
            tracks.seen_s[rows] = seen.time_s
            tracks.hits[rows] += 1
            tracks.evidence[rows] += quality[poses]
            if self._settings.crowd_motion and len(rows) >= CROWD_MIN and len(rows) < len(tracks):
                unseen = np.ones(len(tracks), bool)
                unseen[rows] = False
                old_hand = tracks.hits[rows] > 2
                if old_hand.sum() >= CROWD_MIN:
                    tracks.place[unseen] += np.median(place_off[old_hand], axis=0)

    def _start(
        self, seen: SeenFrame, keypoints: np.ndarray, sure: np.ndarray, quality: np.ndarray, owner: np.ndarray
    ) -> None:
        """A sure pose that is nobody's, nor a second pose of somebody, starts a person."""
        tracks = self._tracks
        free = np.flatnonzero(sure & (owner < 0))
        if not len(free):
            return
        boxes = seen.poses.boxes.astype(float)
        owned = np.flatnonzero(owner >= 0)
        told = np.zeros(len(free))
        if len(owned):
            overlap = box_iou(boxes[free], boxes[owned])
            off = keypoints[free][:, None] - keypoints[owned][None]
            sides = boxes[owned, 2:] - boxes[owned, :2]
            areas = np.maximum(sides.prod(axis=1), 1)
            alike = np.exp(np.einsum("nmkd,nmkd->nmk", off, off) / (-2 * areas[None, :, None] * self._joint_var))
            alike = np.where(np.isnan(alike), 0, alike).max(axis=1)
            have = ~np.isnan(keypoints[free, :, 0])
            joints = have.sum(axis=1)
            told = np.where(joints > 0, alike.sum(axis=1) / np.maximum(joints, 1), 0)
            told = np.where(joints > 0, told, self._settings.duplicate_oks * overlap.max(axis=1) / DUP_IOU)
        new = free[told < self._settings.duplicate_oks]
        if len(new):
            owner[new] = len(tracks) + np.arange(len(new))
            serials = self._next_serial + np.arange(len(new))
            self._next_serial += len(new)
            tracks.add(serials, seen.time_s, keypoints[new], boxes[new])
            self._note_sources(owner[new], seen.index, new)
            tracks.hits[-len(new) :] = 1
            tracks.evidence[-len(new) :] = quality[new]

    def _note_sources(self, rows: np.ndarray, frame: int, poses: np.ndarray) -> None:
        """The poses by which `rows` are seen in this frame, for those who look where flow carried them."""
        sources = self._tracks.sources
        sources[rows, 1:] = sources[rows, :-1]
        sources[rows, 0, 0], sources[rows, 0, 1] = frame, poses

    def _confirm(self, time_s: float, start: float) -> None:
        """People seen for long enough get their ids."""
        tracks = self._tracks
        seen_now = tracks.seen_s == time_s
        old = (time_s - tracks.started_s >= self._settings.confirm_s - 1e-9) & (tracks.hits > 1)
        first = tracks.started_s == self._first_s
        one = self._settings.confirm_s == 0
        new = np.flatnonzero((tracks.ids == 0) & seen_now & (old | first | one))
        tracks.ids[new] = self._next_id + np.arange(len(new))
        self._next_id += len(new)

    def _forget(self, time_s: float) -> None:
        """Drop people unseen for too long."""
        tracks = self._tracks
        unseen_s = time_s - tracks.seen_s
        memory_s = max(self._settings.memory_s, time_s - self._queue_s[0])
        limit = np.where(tracks.ids > 0, memory_s, min(TENT_MISS_S, memory_s))
        gone = unseen_s > limit
        if gone.any():
            tracks.keep(~gone)


def without_unsure_joints(poses: Poses, settings: FollowSettings) -> Poses:
    """The poses without the joints that are not to be told of."""
    keypoints = sure_keypoints(poses, settings.keep_joint_score)
    scores = np.where(np.isnan(keypoints[:, :, 0]), 0.0, poses.keypoint_scores)
    return replace(poses, keypoints=keypoints, keypoint_scores=scores)


def _middle_shift(off: np.ndarray) -> np.ndarray:
    """The median shift (T, 2) of people whose joints lie `off` (T, K, 2) away; 0 where that says nothing."""
    if not off.any():
        return np.zeros((len(off), 2))
    known = ~np.isnan(off).all(axis=(1, 2))
    shift = np.zeros((len(off), 2))
    shift[known] = np.nanmedian(off[known], axis=1)
    return shift


def _flown(sources: np.ndarray, carried: Carried) -> tuple[np.ndarray, np.ndarray]:
    """Where flow carried the poses `sources` (T, Q, 2): joints (T, Q, K, 2), NaN where it lost them; found (T, Q)."""
    places = zip(carried.source_frames.tolist(), carried.source_rows.tolist(), strict=True)
    at = {place: i for i, place in enumerate(places)}
    entries = np.array([at.get((frame, row), -1) for frame, row in sources.reshape(-1, 2).tolist()], int)
    entries = entries.reshape(sources.shape[:2])
    keypoints = carried.keypoints[entries].astype(float)
    keypoints[entries < 0] = np.nan
    return keypoints, entries >= 0


def follow(
    seen: Iterable[SeenFrame], settings: FollowSettings, skeleton: Skeleton, *, queue_frames: int = 1
) -> Iterator[tuple[SeenFrame, TrackedPoses]]:
    """Every frame with its people's ids, in order."""
    tracker = Tracker(settings, skeleton, queue_frames=queue_frames)
    for frame in seen:
        yield frame, tracker.update_seen(frame)
