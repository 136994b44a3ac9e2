"""The 2-D tracks of a clip to 3-D tracks, by a network that lifts sequences of 2-D joints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from posetrail.h36m_joints import to_h36m
from posetrail.poses3d import PoseSequence
from posetrail.protocols import Lifter
from posetrail.skeletons import H36M_17, Skeleton, mapped
from tracker.lifting.bones import bone_lengths, bones_of
from tracker.lifting.camera import Camera
from tracker.lifting.people import BodyShape, PlacedPoses, RelativePoses, body_shape, placed
from tracker.lifting.stretches import MIN_SCORE, Stretch, even_times, resampled, stretches
from tracker.tracked_clip import TrackedClip
from tracker.tracks3d import Tracks3D

_SEQUENCES_AT_ONCE = 16  # bounds the memory of one call


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is known or assumed of the camera and the people."""

    camera: Camera
    image_size: tuple[int, int]  # width, height, pixels
    height_m: float | None = None  # of all without a height of their own; None: the model's own size
    heights_m: Mapping[int, float] = field(default_factory=dict)  # by track id
    assumed_height_m: float | None = None  # of models without a metric size, where no height is given

    def height_of(self, track_id: int) -> float | None:
        """The given height of a person; None if there is none."""
        return self.heights_m.get(track_id, self.height_m)


@dataclass(frozen=True, kw_only=True)
class PersonFigures:
    """What lifting did to one person, as run.json records it."""

    track_id: int
    frames: int
    stretches: int
    height_m: float  # head to sole, after scaling; 0 if not known
    scale: float  # metres per unit of the model
    bone_std_before_mm: float  # standard deviation of a bone's length over time, mean of all bones
    bone_std_after_mm: float
    cut_off: int  # frames


@dataclass(frozen=True, eq=False)
class LiftedPart:
    """One stretch of a person, lifted but not placed yet."""

    track_id: int
    stretch: Stretch
    poses: RelativePoses


@dataclass(frozen=True, eq=False)
class Lifted:
    """3-D tracks, and figures of each person."""

    tracks: Tracks3D
    people: tuple[PersonFigures, ...]
    not_placed: tuple[int, ...] = ()  # track ids with stretches whose place in front of the camera is unknown


def lift_clip(clip: TrackedClip, skeleton: Skeleton, lifter: Lifter, scene: Scene) -> Lifted:
    """Lift all people of a clip.

    Every person is lifted alone: what others do changes nothing.

    Args:
        clip: the 2-D tracks.
        skeleton: of the tracks.
        lifter: the network; each stretch of a track is resampled to its frame rate, and its poses back.
        scene: the camera and the people.
    """
    parts = _relative(clip, skeleton, lifter, scene.image_size)
    return placed_people(clip, parts, lifter.skeleton, scene)


def person_stretches(
    clip: TrackedClip, keypoints: np.ndarray, scores: np.ndarray, *, min_score: float = 0.0
) -> list[tuple[int, Stretch]]:
    """The stretches of every person, by track id and time, of joints (T, K, 2) that belong to the poses of the clip."""
    positions, out = clip.positions, []
    for track_id in np.unique(clip.track_ids).tolist():
        rows = np.flatnonzero(clip.track_ids == track_id)
        of = stretches(positions[rows], clip.times_s, rows, keypoints[rows], scores[rows], min_score=min_score)
        out += [(track_id, each) for each in of]
    return out


def joints_of(clip: TrackedClip, skeleton: Skeleton, target: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """The confident joints of all poses in another skeleton: keypoints (T, M, 2), NaN where missing; scores (T, M)."""
    keypoints, scores = clip.poses.keypoints.astype(float), clip.poses.keypoint_scores.astype(float)
    known = (scores >= MIN_SCORE) & np.isfinite(keypoints).all(axis=2)
    keypoints, scores = np.where(known[..., None], keypoints, np.nan), np.where(known, scores, 0.0)
    if skeleton == target:
        return keypoints, scores
    return to_h36m(keypoints, scores, skeleton) if target == H36M_17 else mapped(keypoints, scores, skeleton, target)


def _relative(clip: TrackedClip, skeleton: Skeleton, lifter: Lifter, image_size: tuple[int, int]) -> list[LiftedPart]:
    given = person_stretches(clip, *joints_of(clip, skeleton, lifter.source))
    seen = person_stretches(clip, *joints_of(clip, skeleton, lifter.skeleton))
    sequences, times = [], []
    for _, stretch in given:
        even = even_times(stretch.times_s, lifter.rate_hz)
        keypoints, scores = (resampled(each, stretch.times_s, even) for each in (stretch.keypoints, stretch.scores))
        sequences.append(PoseSequence(keypoints, np.clip(scores, 0, None), image_size))
        times.append(even)
    lifted: list[np.ndarray] = []
    for first in range(0, len(sequences), _SEQUENCES_AT_ONCE):
        lifted += lifter(sequences[first : first + _SEQUENCES_AT_ONCE])
    parts = []
    for (track_id, _), (_, stretch), even, poses in zip(given, seen, times, lifted, strict=True):
        keypoints = resampled(np.asarray(poses, float), even, stretch.times_s)
        weights = np.where(np.isfinite(stretch.keypoints).any(axis=(0, 2)), stretch.scores, _frame_means(stretch))
        parts.append(
            LiftedPart(
                track_id,
                stretch,
                RelativePoses(stretch.times_s, keypoints, weights, stretch.keypoints, stretch.scores),
            )
        )
    return parts


def _frame_means(stretch: Stretch) -> np.ndarray:
    """The mean score (T, 1) of the joints of each frame that the person has."""
    return stretch.scores.mean(axis=1, keepdims=True)


def placed_people(clip: TrackedClip, parts: Sequence[LiftedPart], skeleton: Skeleton, scene: Scene) -> Lifted:
    """Place lifted people in one scene before the camera.

    Args:
        clip: the 2-D tracks.
        parts: the stretches of all people.
        skeleton: of the 3-D joints.
        scene: the camera and the people.
    """
    tracks, figures, not_placed = [Tracks3D.empty(skeleton)], [], []
    for track_id in sorted({part.track_id for part in parts}):
        own = [part for part in parts if part.track_id == track_id]
        height = scene.height_of(track_id)
        shape = body_shape([part.poses for part in own], skeleton, height, assumed_height_m=scene.assumed_height_m)
        before = len(tracks)
        places = [placed(part.poses, shape, skeleton, scene.camera, scene.image_size) for part in own]
        tracks += [
            _rows(clip, part, place, skeleton) for part, place in zip(own, places, strict=True) if place is not None
        ]
        if len(tracks) > before:
            figures.append(_figures(Tracks3D.concatenate(tracks[before:]), own, shape, skeleton))
        if any(place is None for place in places):
            not_placed.append(track_id)
    return Lifted(Tracks3D.concatenate(tracks), tuple(figures), tuple(not_placed))


def _rows(clip: TrackedClip, part: LiftedPart, place: PlacedPoses, skeleton: Skeleton) -> Tracks3D:
    stretch = part.stretch
    has_pose = stretch.rows >= 0
    was_interpolated = np.ones(len(stretch), bool)
    was_interpolated[has_pose] = clip.interpolated[stretch.rows[has_pose]]
    known = np.isfinite(place.keypoints).all(axis=2)
    return Tracks3D(
        skeleton,
        clip.frame_indices[stretch.positions],
        stretch.times_s,
        np.full(len(stretch), part.track_id),
        np.where(known[..., None], place.keypoints, np.nan),
        np.where(known & has_pose[:, None], np.clip(part.poses.weights, 0, 1), 0.0),
        place.roots,
        was_interpolated,
        place.cut_off,
    )


def _figures(tracks: Tracks3D, parts: Sequence[LiftedPart], shape: BodyShape, skeleton: Skeleton) -> PersonFigures:
    bones = bones_of(skeleton)
    before = bone_lengths(np.concatenate([part.poses.keypoints for part in parts]), bones) * shape.scale
    after = bone_lengths(tracks.keypoints.astype(float), bones)
    height = shape.model_height * shape.scale
    return PersonFigures(
        track_id=int(tracks.track_ids[0]),
        frames=len(tracks),
        stretches=len(parts),
        height_m=round(height, 4) if np.isfinite(height) else 0.0,
        scale=round(float(shape.scale), 6),
        bone_std_before_mm=_mean_std_mm(before),
        bone_std_after_mm=_mean_std_mm(after),
        cut_off=int(tracks.cut_off.sum()),
    )


def _mean_std_mm(lengths: np.ndarray) -> float:
    stds = [each[np.isfinite(each)].std() for each in lengths.T if np.isfinite(each).any()]
    return round(1000 * float(np.mean(stds)), 2) if stds else 0.0
