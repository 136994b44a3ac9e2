"""Poses as corrections state them: joints moved, hidden and exchanged, poses added."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from posetrail.poses import Poses
from posetrail.skeletons import Skeleton
from tracker.association.corrections import Add, pose_keys, pose_name
from tracker.association.statements import Statements, mirror_of_parts
from tracker.tracked_clip import ADDED, JOINTS, TrackedClip

_BOX_MARGIN = 0.1  # of the longer side, around the joints of an added pose


def corrected_poses(
    poses: Poses, keys: np.ndarray, edits: np.ndarray, said: Statements, skeleton: Skeleton
) -> tuple[np.ndarray, Poses]:
    """Edits (T,) and poses with joints moved, hidden and exchanged; `edits` are what the poses have already."""
    target = np.zeros(len(keys), np.uint8)
    if len(said.exchanged):
        place = np.minimum(np.searchsorted(said.exchanged, keys), len(said.exchanged) - 1)
        target = np.where(said.exchanged[place] == keys, said.exchanged_parts[place], 0).astype(np.uint8)
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
    keys = keys_of(clip)
    missing = np.setdiff1d(np.array(list(said.added), np.int64), np.union1d(keys, said.removed)).tolist()
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
