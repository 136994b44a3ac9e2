"""Poses as corrections state them, in a clip and in the frames of a pose log: joints moved, hidden and exchanged, poses
added and removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from posetrail.poses import Poses
from posetrail.skeletons import Skeleton
from tracker.association.corrections import Add, pose_keys, pose_name
from tracker.association.statements import Statements, mirror_of_parts
from tracker.frames import FrameWithTracks, PoseFrame
from tracker.tracked_clip import ADDED, JOINTS, TrackedClip

_BOX_MARGIN = 0.1  # of the longer side, around the joints of an added pose


def exchanged_parts(clip: TrackedClip, said: Statements) -> np.ndarray:
    """The parts (T,), as bits of `TrackedClip.edits`, of which left and right are to be exchanged.

    An interpolated pose is exchanged if the poses between which it lies are.
    """
    parts = parts_of_keys(keys_of(clip), said)
    if parts.any():
        order = np.lexsort((clip.positions, clip.track_ids))
        measured = order[~clip.interpolated[order]]
        between = np.flatnonzero(clip.interpolated[order])
        following = np.searchsorted(np.flatnonzero(~clip.interpolated[order]), between)
        inside = (following > 0) & (following < len(measured))
        rows, following = order[between[inside]], following[inside]
        around = measured[following - 1], measured[following]
        same = (clip.track_ids[around[0]] == clip.track_ids[rows]) & (clip.track_ids[around[1]] == clip.track_ids[rows])
        parts[rows] = np.where(same & (parts[around[0]] == parts[around[1]]), parts[around[0]], 0)
    return parts


def parts_of_keys(keys: np.ndarray, said: Statements) -> np.ndarray:
    """The parts (N,) that are to be exchanged in the poses with these keys."""
    if not len(said.exchanged):
        return np.zeros(len(keys), np.uint8)
    place = np.minimum(np.searchsorted(said.exchanged, keys), len(said.exchanged) - 1)
    return np.where(said.exchanged[place] == keys, said.exchanged_parts[place], 0).astype(np.uint8)


def corrected_poses(
    poses: Poses, keys: np.ndarray, edits: np.ndarray, target: np.ndarray, said: Statements, skeleton: Skeleton
) -> tuple[np.ndarray, Poses]:
    """Edits (T,) and poses with joints moved, hidden and exchanged.

    Args:
        poses: T of them.
        keys: (T,) their names.
        edits: (T,) what the poses have already.
        target: (T,) parts to be exchanged, `exchanged_parts`.
        said: places of joints.
        skeleton: of the poses.
    """
    to_exchange = (edits & 15) ^ target
    new_edits = (edits & ~np.uint8(15 | JOINTS)) | target
    if not to_exchange.any() and not said.joints:
        return new_edits, poses
    keypoints, scores = poses.keypoints.copy(), poses.keypoint_scores.copy()
    for parts in np.unique(to_exchange[to_exchange > 0]).tolist():
        rows = np.flatnonzero(to_exchange == parts)[:, None]
        mirror = mirror_of_parts(parts, skeleton)
        keypoints[rows[:, 0]], scores[rows[:, 0]] = keypoints[rows, mirror], scores[rows, mirror]
    moved = np.array(list(said.joints), np.int64)
    for row in np.flatnonzero(np.isin(keys, moved)).tolist():
        new_edits[row] |= JOINTS
        for joint, xy in said.joints[int(keys[row])].items():
            keypoints[row, joint] = (np.nan, np.nan) if xy is None else xy
            scores[row, joint] = 0.0 if xy is None else 1.0
    return new_edits, replace(poses, keypoints=keypoints, keypoint_scores=scores)


def pose_of(add: Add, skeleton: Skeleton) -> Poses:
    """The added pose, in a box around its joints."""
    keypoints = np.full((1, len(skeleton), 2), np.nan, np.float32)
    scores = np.zeros((1, len(skeleton)), np.float32)
    for name, x, y, score in add.joints:
        keypoints[0, skeleton.index(name)] = x, y
        scores[0, skeleton.index(name)] = score
    low, high = np.nanmin(keypoints[0], axis=0), np.nanmax(keypoints[0], axis=0)
    margin = _BOX_MARGIN * max(float((high - low).max()), 1.0)
    box = np.concatenate([low - margin, high + margin])[None]
    return Poses(keypoints, scores, box, np.ones(1), np.zeros(1))


def with_added_poses(clip: TrackedClip, said: Statements, skeleton: Skeleton) -> TrackedClip:
    """The clip with all poses that were added; each belongs to the track of the pose before it, or to a new one."""
    if not said.added:
        return clip
    keys = keys_of(clip)
    added = np.setdiff1d(np.array(list(said.added), np.int64), said.removed)
    missing = np.setdiff1d(added, keys[np.isin(keys, added)]).tolist()
    frames = clip.frame_indices
    missing = [key for key in missing if said.added[key].frame in frames]
    if not missing:
        return clip
    free = int(clip.track_ids.max(initial=0)) + 1
    order = np.argsort(keys, kind="stable")
    track_of = dict(zip(missing, range(free, free + len(missing)), strict=True))
    positions = np.searchsorted(frames, [said.added[key].frame for key in missing])
    for key, position in zip(missing, positions.tolist(), strict=True):
        around = (said.added[key].before, said.added[key].after)
        tracks = {track_of.get(int(pose_keys(*pose))) or _track_of(clip, order, keys, pose) for pose in around if pose}
        here = clip.track_ids[clip.begins[position] : clip.begins[position + 1]]
        measured = ~clip.interpolated[clip.begins[position] : clip.begins[position + 1]]
        others = [track for other, track in track_of.items() if said.added[other].frame == said.added[key].frame]
        if len(tracks) == 1 and (track := tracks.pop()) and track not in here[measured] and track not in others:
            track_of[key] = track
    parts = [pose_of(said.added[key], skeleton) for key in missing]
    all_positions = np.concatenate([clip.positions, positions])
    order = np.argsort(all_positions, kind="stable")
    begins = np.concatenate([[0], np.cumsum(np.bincount(all_positions, minlength=len(clip)))])
    rows = [pose_name(key).row for key in missing]
    return replace(
        clip,
        begins=begins,
        poses=Poses.concatenate([clip.poses, *parts])[order],
        track_ids=np.append(clip.track_ids, [track_of[key] for key in missing])[order],
        interpolated=np.append(clip.interpolated, np.zeros(len(missing), bool))[order],
        pose_rows=np.append(clip.pose_rows, rows)[order],
        edits=np.append(clip.edits, np.full(len(missing), ADDED, np.uint8))[order],
    )


def _track_of(clip: TrackedClip, order: np.ndarray, keys: np.ndarray, pose: tuple[int, int]) -> int | None:
    """The track of a pose; None if the clip does not have it."""
    row = int(np.searchsorted(keys, int(pose_keys(*pose)), sorter=order))
    found = row < len(order) and keys[order[row]] == int(pose_keys(*pose))
    return int(clip.track_ids[order[row]]) if found else None


def keys_of(clip: TrackedClip) -> np.ndarray:
    """The names (T,) of all poses as numbers; -1 for interpolated ones."""
    return np.where(clip.pose_rows == -1, -1, pose_keys(clip.frame_of_pose, clip.pose_rows))


class EditedFrames:
    """Removes, adds and edits the poses of frames; those of the pose log keep their rows.

    A removed pose stays as a row without joints, box and score, which association leaves out. Added poses follow the
    others.
    """

    def __init__(self, said: Statements, skeleton: Skeleton) -> None:
        self._said, self._skeleton = said, skeleton
        moved = np.array(list(said.joints), np.int64)
        self._edited = np.union1d(np.union1d(said.removed, said.exchanged), moved)
        self._exact = np.union1d(moved, np.array(list(said.added), np.int64))
        self.pinned = said.pinned
        self._added: dict[int, list[int]] = defaultdict(list)
        for key in said.added:
            self._added[pose_name(key).frame].append(key)

    def __call__(self, frames: Iterable[PoseFrame]) -> Iterator[PoseFrame]:
        """The frames as corrected."""
        return map(self._frame, frames)

    def keys(self, frame: PoseFrame) -> np.ndarray:
        """The names (N,) of the poses of an edited frame, as `pose_keys`."""
        added = self._added.get(frame.index, ())
        keys = pose_keys(frame.index, np.arange(len(frame.poses)))
        if added:
            keys[len(keys) - len(added) :] = added
        return keys

    def are_pinned(self, keys: np.ndarray) -> np.ndarray:
        """Whether something is stated about each of the poses (N,) of a frame."""
        return np.isin(keys, _within(self.pinned, keys))

    def with_exact_joints(self, frames: Iterable[FrameWithTracks]) -> Iterator[FrameWithTracks]:
        """Tracked frames with all joints exactly where they were put, whatever smoothing has made of them."""
        for frame, tracked in frames:
            keys = self.keys(frame)
            rows = np.flatnonzero(np.isin(keys[tracked.pose_rows], _within(self._exact, keys)))
            if not len(rows):
                yield frame, tracked
                continue
            keypoints, scores = tracked.poses.keypoints.copy(), tracked.poses.keypoint_scores.copy()
            for row in rows.tolist():
                source = int(tracked.pose_rows[row])
                key = int(keys[source])
                joints = range(keypoints.shape[1]) if key in self._said.added else list(self._said.joints[key])
                for joint in joints:
                    keypoints[row, joint] = frame.poses.keypoints[source, joint]
                    scores[row, joint] = frame.poses.keypoint_scores[source, joint]
            poses = replace(tracked.poses, keypoints=keypoints, keypoint_scores=scores)
            yield frame, replace(tracked, poses=poses)

    def named(self, frames: Iterable[FrameWithTracks]) -> Iterator[FrameWithTracks]:
        """Tracked frames in which `pose_rows` names added poses as `PoseName` does."""
        for frame, tracked in frames:
            if frame.index in self._added:
                names = np.append([pose_name(key).row for key in self.keys(frame).tolist()], -1)
                yield frame, replace(tracked, pose_rows=names[tracked.pose_rows])
            else:
                yield frame, tracked

    def _frame(self, frame: PoseFrame) -> PoseFrame:
        keys = pose_keys(frame.index, np.arange(len(frame.poses)))
        edited, added = _within(self._edited, keys), self._added.get(frame.index, [])
        if not len(edited) and not added:
            return frame
        poses, appearance = frame.poses, frame.appearance
        if added:
            poses = Poses.concatenate([poses, *(pose_of(self._said.added[key], self._skeleton) for key in added)])
            appearance = np.concatenate([appearance, np.zeros((len(added), appearance.shape[1]), np.float32)])
            keys = np.append(keys, added)
        parts = parts_of_keys(keys, self._said)
        _, poses = corrected_poses(poses, keys, np.zeros_like(parts), parts, self._said, self._skeleton)
        removed = np.isin(keys, edited) & np.isin(keys, self._said.removed)
        if removed.any():
            poses = replace(
                poses,
                keypoints=np.where(removed[:, None, None], np.nan, poses.keypoints),
                keypoint_scores=np.where(removed[:, None], 0, poses.keypoint_scores),
                boxes=np.where(removed[:, None], np.nan, poses.boxes),
                scores=np.where(removed, 0, poses.scores),
            )
        return replace(frame, poses=poses, appearance=appearance)


def _within(ascending: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Those of the ascending keys that may be among the keys of one frame."""
    if not len(keys):
        return ascending[:0]
    low, high = np.searchsorted(ascending, [keys.min(), keys.max() + 1])
    return ascending[low:high]
