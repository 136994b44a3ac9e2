"""Faces made unrecognisable: where the faces of tracked people are in each frame of a clip, and their blurring.

A face is located by the joints of the head, otherwise by the shoulders, otherwise by the top of the box. Where a track
misses a frame, its face is interpolated between the poses around the gap; before its first pose and after its last
one, the region moves on for half a second and grows.

Poses of the pose log that belong to no track, such as those of people whom a correction has removed, are blurred in
their own frames. A face that was never detected stays visible, and clothes, gait and surroundings can identify a person
as well: look at the result before it is published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from posetrail.frame import Image
from posetrail.poses import Poses, confident_keypoints
from posetrail.skeletons import PARTS, Skeleton
from tracker.frames import PoseFrame
from tracker.tracked_clip import TrackedClip

HOLD_S = 0.5  # a face is blurred for so long before the first and after the last pose of a track
_LONGEST_BRIDGE_S = 3.0  # gaps of a track up to here are blurred throughout; it is the longest that are linked
_VELOCITY_S = 0.2  # poses from which the velocity at an end of a track is measured
_GROWTH = 1.0  # a region that no pose supports is so much larger after HOLD_S
_FLICKER_S = 0.1  # where the joints err in one frame, the place between two frames so far apart is blurred as well
_JUMP = 0.1  # share of a region's width from which it differs from that place
_MIN_JOINT_SCORE = 0.2

_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
_NECK = ("neck", "head_bottom")
# Radius of a circle around head and hair as a multiple of other lengths of the body, a quarter of it margin. An adult's
# head is 0.13 statures high; the other lengths in statures are 0.045 (half the distance of the ears), 0.07 (face to
# head top), 0.16 (face to middle of shoulders), 0.23 (shoulders), 0.29 (trunk). The largest estimate counts, because
# lengths appear shorter from other directions.
_PER_SPREAD, _PER_CROWN, _PER_NECK, _PER_SHOULDERS, _PER_TRUNK, _PER_BOX = 1.8, 1.2, 0.6, 0.35, 0.3, 0.085
_LARGEST_SHARE = 0.6  # of the longer side of the box, if one of these lengths is wrong
_NECK_IN_TRUNKS = 0.55  # from the middle of the shoulders to that of the face, upright
_DOUBTFUL_NECK = 0.2  # a face nearer to the shoulders may be an error, and the place above them is blurred, too
_GUESSED = 1.4  # the circle of a head without confident joints is larger by this
_HEAD_OF_BOX = 0.3  # share of an upright person's box in which the head is, without any joint
_ELLIPSE_AROUND = 2**0.5  # sides of the ellipse that contains a rectangle
_COLOURS = 4  # a blurred region has so many independent colours in each direction


@dataclass(frozen=True, eq=False)
class FaceRegions:
    """Where faces are in the frames of a clip: boxes whose inscribed ellipses cover them."""

    boxes: np.ndarray  # (M, 4) float64 x1 y1 x2 y2, pixels; they may reach out of the image
    begins: np.ndarray  # (F + 1,) int64: the regions of the frame at position k are the rows begins[k] to begins[k + 1]
    frame_indices: np.ndarray  # (F,) int64: number of the frame in its video, ascending

    def at(self, position: int) -> np.ndarray:
        """The boxes (M, 4) of the frame at a position 0..F-1 of the clip."""
        return self.boxes[self.begins[position] : self.begins[position + 1]]

    def of_frame(self, index: int) -> np.ndarray:
        """The boxes (M, 4) of the frame with this number in the video; none if the clip has no such frame."""
        position = int(np.searchsorted(self.frame_indices, index))
        is_known = position < len(self.frame_indices) and self.frame_indices[position] == index
        return self.at(position) if is_known else self.boxes[:0]

    def between(self, first_index: int, last_index: int) -> FaceRegions:
        """Those of the frames from the first to the last of these numbers, both included."""
        first, end = np.searchsorted(self.frame_indices, [first_index, last_index + 1]).tolist()
        begins = self.begins[first : end + 1]
        return FaceRegions(self.boxes[begins[0] : begins[-1]], begins - begins[0], self.frame_indices[first:end])


def face_regions(clip: TrackedClip, skeleton: Skeleton, log: Iterable[PoseFrame] = ()) -> FaceRegions:
    """Locate the faces of all tracked people in all frames of a clip.

    Args:
        clip: the tracked poses.
        skeleton: of the poses.
        log: the frames of the clip's pose log, whose poses without a track are blurred as well.

    Examples:
        >>> faces = face_regions(clip, COCO_17)
        >>> blurred = blurred_faces(frame.image, faces.of_frame(frame.index))
    """
    faces, positions = face_boxes(clip.poses, skeleton), clip.positions
    places, boxes = [np.zeros(0, np.int64)], [np.zeros((0, 4))]
    by_track = np.argsort(clip.track_ids, kind="stable")
    for rows in np.split(by_track, np.flatnonzero(np.diff(clip.track_ids[by_track])) + 1):
        for place, box in _of_track(positions[rows], faces[rows], clip.times_s):
            places.append(place)
            boxes.append(box)
    for position, frame in enumerate(log):
        people = clip.people(position)
        untracked = np.setdiff1d(np.arange(len(frame.poses)), people.pose_rows)
        places.append(np.full(len(untracked), position))
        boxes.append(face_boxes(frame.poses[untracked], skeleton))
    place, box = np.concatenate(places), np.concatenate(boxes)
    order = np.argsort(place, kind="stable")
    begins = np.searchsorted(place[order], np.arange(len(clip) + 1))
    return FaceRegions(box[order], begins, clip.frame_indices)


def blurred_faces(image: Image, boxes: np.ndarray) -> Image:
    """A copy of an image in which each region is reduced to 4 x 4 colours, with smooth transitions.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        boxes: (M, 4) pixels; the ellipses inscribed in them are blurred, as those of `FaceRegions`.
    """
    blurred = image.copy()
    size = np.array([image.shape[1], image.shape[0]])
    for box in boxes:
        low, high = np.clip(np.floor(box[:2]), 0, size).astype(int), np.clip(np.ceil(box[2:]), 0, size).astype(int)
        if (low < high).all():
            # From the image itself: where faces overlap, nothing of one shows through the blur of the other.
            part = image[low[1] : high[1], low[0] : high[0]]
            across, down = np.maximum(np.rint(_COLOURS * (high - low) / (box[2:] - box[:2])), 1).astype(int)
            colours = cv2.resize(part, (int(across), int(down)), interpolation=cv2.INTER_AREA)
            smooth = cv2.resize(colours, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            inside = _inside_ellipse(box, low, high)
            cv2.copyTo(smooth, inside, blurred[low[1] : high[1], low[0] : high[0]])
    return blurred


def _inside_ellipse(box: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Mask (h, w) uint8, 1 where a pixel of the part from `low` to `high` touches the ellipse in the box."""
    (x, y), (a, b) = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 + 1
    across = ((np.arange(low[0], high[0]) + 0.5 - x) / a) ** 2
    down = ((np.arange(low[1], high[1]) + 0.5 - y) / b) ** 2
    return (across + down[:, None] <= 1).astype(np.uint8)


# One pose -------------------------------------------------------------------------------------------------------------


def face_boxes(poses: Poses, skeleton: Skeleton) -> np.ndarray:
    """A box (N, 4) for each pose, whose inscribed ellipse covers head and hair."""
    joints = confident_keypoints(poses, _MIN_JOINT_SCORE).astype(np.float64)

    def among(*names: str) -> np.ndarray:
        return joints[:, [k for k, joint in enumerate(skeleton.joints) if joint in names]]

    boxes = poses.boxes.astype(np.float64)
    if skeleton in PARTS:  # of a face without a body, all is covered
        return _around(boxes[:, :2], boxes[:, 2:])
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    shoulders, hips = among("left_shoulder", "right_shoulder"), among("left_hip", "right_hip")
    throat = _first_known(_mean_of_both(shoulders), _mean(among(*_NECK, "thorax")))
    up = throat - _mean_of_both(hips)
    trunk = np.linalg.norm(up, axis=1)

    face = among(*_FACE)
    crown, neck = _mean(among("head_top")), _first_known(_mean(among(*_NECK)), throat)
    centre, upright = _first_known(_mean(face), (crown + neck) / 2, crown), throat + _NECK_IN_TRUNKS * up
    estimates = [
        _PER_SPREAD * np.linalg.norm(face - centre[:, None], axis=2).max(axis=1, initial=0, where=_known(face)),
        _PER_CROWN * np.linalg.norm(crown - centre, axis=1),
        _PER_NECK * np.linalg.norm(centre - throat, axis=1),
        _PER_SHOULDERS * np.linalg.norm(np.diff(shoulders, axis=1), axis=2).max(axis=1, initial=0),
        _PER_TRUNK * trunk,
        _PER_BOX * longer,
    ]
    radius = np.minimum(np.nan_to_num(np.stack(estimates)).max(axis=0), _LARGEST_SHARE * longer)[:, None]
    is_doubtful = (np.linalg.norm(centre - throat, axis=1) < _DOUBTFUL_NECK * trunk)[:, None]
    radius = np.where(is_doubtful, radius + np.linalg.norm(upright - centre, axis=1)[:, None] / 2, radius)
    radius = np.where(_known(centre)[:, None], radius, _GUESSED * radius)
    centre = _first_known(np.where(is_doubtful, (centre + upright) / 2, centre), upright)
    circles = np.concatenate([centre - radius, centre + radius], axis=1)
    return np.where(np.isfinite(centre[:, :1]), circles, _tops(boxes))


def _tops(boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) whose inscribed ellipses cover the top of these; all of one that is wider than high."""
    low, high = boxes[:, :2], boxes[:, 2:].copy()
    sides = high - low
    is_upright = sides[:, 1] > sides[:, 0]
    high[:, 1] = np.where(is_upright, low[:, 1] + _HEAD_OF_BOX * sides[:, 1], high[:, 1])
    return _around(low, high)


def _around(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) whose inscribed ellipses cover these, from corners (N, 2) to corners (N, 2)."""
    centre, half = (low + high) / 2, (high - low) / 2 * _ELLIPSE_AROUND
    return np.concatenate([centre - half, centre + half], axis=1)


def _known(points: np.ndarray) -> np.ndarray:
    return np.isfinite(points).all(axis=-1)


def _mean(points: np.ndarray) -> np.ndarray:
    """Mean (N, 2) of the known ones of (N, P, 2) points, NaN where none is."""
    known = _known(points)
    count = known.sum(axis=1)[:, None]
    total = np.where(known[..., None], points, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean_of_both(points: np.ndarray) -> np.ndarray:
    """Mean (N, 2) of (N, P, 2) points, NaN where one is unknown or the skeleton has not both."""
    return points.mean(axis=1) if points.shape[1] == 2 else np.full((len(points), 2), np.nan)


def _first_known(*choices: np.ndarray) -> np.ndarray:
    """Of each row, the first of the choices (N, 2) that is known there."""
    chosen = choices[0]
    for choice in choices[1:]:
        chosen = np.where(_known(chosen)[:, None], chosen, choice)
    return chosen


# One track ------------------------------------------------------------------------------------------------------------


def _of_track(positions: np.ndarray, faces: np.ndarray, times_s: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions of frames and boxes (M, 4) of the faces of one track, in several parts."""
    times = times_s[positions]
    if not len(positions):
        return
    gaps_s = np.diff(times)
    yield positions, faces
    yield _outliers(positions, faces, times)
    for k in np.flatnonzero(np.diff(positions) > 1):
        missed = np.arange(positions[k] + 1, positions[k + 1])
        if gaps_s[k] <= _LONGEST_BRIDGE_S:
            share = ((times_s[missed] - times[k]) / max(gaps_s[k], 1e-9))[:, None]
            between = faces[k] + share * (faces[k + 1] - faces[k])
            age_s = np.minimum(times_s[missed] - times[k], times[k + 1] - times_s[missed])
            yield missed, _grown(between, age_s)
    starts = np.flatnonzero(np.append(True, gaps_s > _LONGEST_BRIDGE_S))
    ends = np.flatnonzero(np.append(gaps_s > _LONGEST_BRIDGE_S, True))
    for first, last in zip(starts, ends, strict=True):
        run = slice(first, last + 1)
        yield _held(positions[run], faces[run], times_s, after=True)
        yield _held(positions[run], faces[run], times_s, after=False)


def _outliers(positions: np.ndarray, faces: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames whose box is not where those just before and after place it, and the mean of those."""
    between, middle = (faces[:-2] + faces[2:]) / 2, faces[1:-1]
    distance = np.linalg.norm(between[:, :2] + between[:, 2:] - middle[:, :2] - middle[:, 2:], axis=1) / 2
    is_off = distance > _JUMP * (between[:, 2] - between[:, 0])
    rows = np.flatnonzero(is_off & (times[2:] - times[:-2] <= _FLICKER_S))
    return positions[rows + 1], between[rows]


def _held(
    positions: np.ndarray, faces: np.ndarray, times_s: np.ndarray, *, after: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The frames up to HOLD_S after the last pose, or before the first, and the boxes moved on at its velocity."""
    edge, times = (-1 if after else 0), times_s[positions]
    near = np.flatnonzero(np.abs(times - times[edge]) <= _VELOCITY_S)
    far = near[0] if after else near[-1]
    step_s = times[edge] - times[far]
    velocity = (faces[edge] - faces[far]) / step_s if step_s else np.zeros(4)
    velocity = np.tile((velocity[:2] + velocity[2:]) / 2, 2)  # of the centre: the region grows as _grown says
    if after:
        missed = np.arange(positions[-1] + 1, np.searchsorted(times_s, times[-1] + HOLD_S, side="right"))
    else:
        missed = np.arange(np.searchsorted(times_s, times[0] - HOLD_S), positions[0])
    later_s = times_s[missed] - times[edge]
    return missed, _grown(faces[edge] + later_s[:, None] * velocity, np.abs(later_s))


def _grown(boxes: np.ndarray, age_s: np.ndarray) -> np.ndarray:
    """Boxes enlarged by how long ago, or how long after, the nearest pose is."""
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    half = half * (1 + _GROWTH * np.minimum(age_s / HOLD_S, 1))[:, None]
    return np.concatenate([centre - half, centre + half], axis=1)
