"""Second estimates of the joints of people who overlap a more confident person, with that person painted out.

A top-down estimator is trained to find one person in its crop. Where another person stands in front of the one in the
box, it often returns joints of the person in front, and pose NMS may then remove the pose as a duplicate. Here, a pose
that shares joints with more confident people is estimated again in a copy of the image in which their bodies are
painted grey, and the estimate with more joints of its own is kept.

Purkrabek and Matas (ICCV 2025) train an estimator to be conditioned on the masks of a segmentation network, for the
same purpose. The bodies painted here follow from the joints, and any top-down estimator works as it is, because only
its pixels change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from posetrail.frame import Frame, Image
from posetrail.poses import Poses, confident_keypoints
from posetrail.protocols import Estimator
from posetrail.similarity import box_area, box_intersection, grown_boxes, joint_similarity, keypoint_boxes
from posetrail.skeletons import Skeleton

MIN_OWN_SCORE = 0.2  # own score (see separate_people) of the pose of a person, at least
_MOSTLY_SHARED = 0.5
_AS_CONFIDENT = 0.7  # mean score of a new pose as a share of the old one's, at least; legs alone are less confident
_FIT_MARGIN = 0.2  # a box around all joints of a person is smaller than the person's by this share of its sides
_SAME_JOINT = 0.5  # joints at least this similar (a joint's term of OKS) are the same joint
_MIN_SHARED_SCORE = 0.1  # joints with a lower score are not compared
_MIN_PAINTED_SCORE = 0.2  # joints with a lower score are neither painted nor counted in the box around a pose
_FAR_PX = 30_000  # OpenCV clips polygons, but not those with larger coordinates
_GREY = (128, 128, 128)  # about zero after preprocessing, as outside the crop mask
_IMAGES_AT_ONCE = 8  # limits the memory: each painted image is a copy of the frame

# Half the width of a body at a joint is about its OKS sigma times the square root of the box area. ...
_WIDTH = 1.2  # ... Clothes and hair need some more.
_HEAD_RADIUS = 0.15  # as a share of the square root of the box area ...
_HEAD_SPREAD = 1.1  # ... and at least so many times the distance of the outermost joint from the centre of the head
_NECK_RADIUS = 0.08
_TIP = 0.35  # hands and feet: the last limb continues by this share of its length
_CIRCLE = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], axis=1)

_HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top")
_SHOULDERS = ("left_shoulder", "right_shoulder")
_TORSO = (*_SHOULDERS, "left_hip", "right_hip")


def separate_people(
    frames: Sequence[Frame],
    poses: Sequence[Poses],
    estimator: Estimator,
    max_shared: float,
    *,
    candidates: Sequence[np.ndarray] | None = None,
) -> list[tuple[Poses, np.ndarray]]:
    """Estimate poses again that share joints with more confident people, with those people painted out.

    Poses are judged in order of their quality and of how well their joints fill their box, each against the final poses
    of the people before it: a pose that was estimated in the boxes of two people belongs to the box that it fills. The
    own score of a pose is the mean of its joint scores, those of shared joints counted as 0. A new pose is kept if its
    own score is higher, at least MIN_OWN_SCORE, and if it is about as confident as the old one. Otherwise, the old pose
    stays, unless it has hardly any joints of its own and is merged from several people: then it is dropped. Whether two
    boxes are on one person is left to pose NMS.

    Args:
        frames: the images.
        poses: of each frame, with the scores of their boxes; duplicates are allowed.
        estimator: estimated the poses.
        max_shared: a pose is estimated again if more than this share of its joint scores lies on the same joints of
            more confident people whose boxes overlap its own, 0..1; 1 estimates none again.
        candidates: (N,) bool of each frame: rows that may change; the others are more confident than those. All rows if
            not given.

    Returns:
        for each frame, the poses in the same rows, and which to keep (N,) bool.
    """
    if candidates is None:
        candidates = [np.ones(len(each), bool) for each in poses]
    crowds = [
        _Crowd(frame, each, rows, estimator.skeleton, max_shared)
        for frame, each, rows in zip(frames, poses, candidates, strict=True)
    ]
    while jobs := [(crowd, job) for crowd in crowds for job in crowd.next_jobs()]:
        for start in range(0, len(jobs), _IMAGES_AT_ONCE):
            some = jobs[start : start + _IMAGES_AT_ONCE]
            painted = [crowd.painted(job) for crowd, job in some]
            again = estimator(painted, [crowd.poses.boxes[[job.row]] for crowd, job in some])
            for (crowd, job), new in zip(some, again, strict=True):
                crowd.decide(job, new)
    return [(crowd.poses, crowd.kept) for crowd in crowds]


@dataclass(frozen=True, eq=False)
class _Job:
    """A pose to estimate again, and the people to paint out."""

    row: int
    painted: np.ndarray  # (P,) int rows of people who share joints with it, ...
    others: np.ndarray  # (M,) ... among all more confident people whose boxes overlap its own


class _Crowd:
    """The poses of one frame while they are judged."""

    def __init__(
        self, frame: Frame, poses: Poses, candidates: np.ndarray, skeleton: Skeleton, max_shared: float
    ) -> None:
        self.poses = poses
        self.kept = np.ones(len(poses), bool)
        self._frame = frame
        self._skeleton = skeleton
        self._max_shared = max_shared
        self._body = skeleton.body
        bodies = poses.of_joints(self._body)
        order = np.lexsort([-bodies.quality * _fit(bodies), candidates])  # ties keep the order of the rows
        rank = np.argsort(order)
        overlapping = box_intersection(poses.boxes, poses.boxes) > 0
        self._before = overlapping & (rank[None, :] < rank[:, None])  # (N, N): the column is judged first
        self._waiting = candidates & self._before.any(axis=1) & (max_shared < 1)

    def next_jobs(self) -> list[_Job]:
        """The poses to estimate again whose more confident neighbours are final."""
        jobs: list[_Job] = []
        while not jobs and self._waiting.any():
            for row in np.flatnonzero(self._waiting & ~(self._before & self._waiting).any(axis=1)):
                self._waiting[row] = False
                others = np.flatnonzero(self._before[row] & self.kept)
                shared = self._shared(self.poses[[row]], others)
                scores = self.poses.keypoint_scores[row, self._body]
                if scores @ shared.any(axis=0) > self._max_shared * scores.sum():
                    jobs.append(_Job(int(row), others[shared.any(axis=1)], others))
        return jobs

    def painted(self, job: _Job) -> Frame:
        """The frame with the people of the job painted out."""
        image = self._frame.image.copy()
        for row in job.painted:
            area = float(box_area(self.poses.boxes[[row]])[0])
            paint_out(image, self.poses.keypoints[row], self.poses.keypoint_scores[row], area, self._skeleton)
        return replace(self._frame, image=image)

    def decide(self, job: _Job, new: Poses) -> None:
        """Keep the old pose of the row, replace it by the new one, or drop it."""
        old = self.poses[[job.row]]
        own_old, own_new = self._own_score(old, job.others), self._own_score(new, job.others)
        mean_old, mean_new = (float(each.keypoint_scores[:, self._body].mean()) for each in (old, new))
        if max(own_old, own_new) < MIN_OWN_SCORE:
            self.kept[job.row] = not self._is_merged(old, job.others)
        elif own_new > own_old and own_new >= MIN_OWN_SCORE and mean_new >= _AS_CONFIDENT * mean_old:
            keypoints, scores = self.poses.keypoints.copy(), self.poses.keypoint_scores.copy()
            keypoints[job.row], scores[job.row] = new.keypoints[0], new.keypoint_scores[0]
            self.poses = replace(self.poses, keypoints=keypoints, keypoint_scores=scores)

    def _is_merged(self, pose: Poses, others: np.ndarray) -> bool:
        """Whether a pose without joints of its own has joints of several others.

        If one of them shares most of their joints with it and explains nearly all of it, two boxes are on one person.
        """
        shared, scores = self._shared(pose, others), self.poses.keypoint_scores[others][:, self._body]
        own = pose.keypoint_scores[0, self._body]
        repeated = (shared * scores).sum(axis=1) > _MOSTLY_SHARED * scores.sum(axis=1)
        elsewhere = (shared.any(axis=0) & ~shared) @ own
        return not (repeated & (elsewhere <= self._max_shared * own.sum())).any()

    def _own_score(self, pose: Poses, others: np.ndarray) -> float:
        shared = self._shared(pose, others).any(axis=0)
        return float(np.where(shared, 0, pose.keypoint_scores[0, self._body]).mean())

    def _shared(self, pose: Poses, others: np.ndarray) -> np.ndarray:
        """(M, B) bool: joints of one body that lie at the same joint of M others; the smaller person sets the scale."""
        pose, them = pose.of_joints(self._body), self.poses[others].of_joints(self._body)
        similarity = joint_similarity(
            pose.keypoints - them.keypoints,
            np.minimum(box_area(pose.boxes), box_area(them.boxes)),
            (2 * np.asarray(self._skeleton.oks_sigmas)[self._body]) ** 2,
        )
        confident = (pose.keypoint_scores >= _MIN_SHARED_SCORE) & (them.keypoint_scores >= _MIN_SHARED_SCORE)
        return confident & (similarity >= _SAME_JOINT)


def _fit(poses: Poses) -> np.ndarray:
    """IoU (N,), 0..1, of each person's box and the box around their joints with a margin; 0 without joints."""
    confident = confident_keypoints(poses, _MIN_PAINTED_SCORE)
    boxes = np.nan_to_num(grown_boxes(keypoint_boxes(confident), _FIT_MARGIN))
    shared = box_intersection(boxes, poses.boxes).diagonal()
    union = box_area(boxes) + box_area(poses.boxes) - shared
    return shared / np.where(union > 0, union, np.inf)


def paint_out(image: Image, keypoints: np.ndarray, scores: np.ndarray, area: float, skeleton: Skeleton) -> None:
    """Paint a person grey, in place: the limbs, hands and feet beyond them, the torso and the head.

    Args:
        image: (H, W, 3) uint8.
        keypoints: (K, 2) pixels; joints that are missing or have a low score are left out.
        scores: (K,) 0..1.
        area: of the person's box, square pixels; it sets the widths.
        skeleton: of the joints.
    """
    size = float(np.sqrt(area))
    used = (scores >= _MIN_PAINTED_SCORE) & np.isfinite(keypoints).all(axis=1)
    radii = np.maximum(_WIDTH * np.asarray(skeleton.oks_sigmas) * size, 1)
    head, shoulders, torso = (_rows(skeleton, names, used) for names in (_HEAD, _SHOULDERS, _TORSO))
    limbs = skeleton.limb_indices
    limbs = limbs[used[limbs].all(axis=1) & ~np.isin(limbs, _rows(skeleton, _HEAD)).any(axis=1)]
    for a, b in limbs:
        _fill(image, [_disc(keypoints[a], radii[a]), _disc(keypoints[b], radii[b])])
    ends, counts = np.unique(skeleton.limb_indices, return_counts=True)
    for a, b in limbs:
        for inner, tip in ((a, b), (b, a)):
            if counts[ends == tip] == 1:
                reach = keypoints[tip] + _TIP * (keypoints[tip] - keypoints[inner])
                _fill(image, [_disc(keypoints[tip], radii[tip]), _disc(reach, radii[tip])])
    if len(torso) >= 3:
        _fill(image, [_disc(keypoints[j], radii[j]) for j in torso])
    if len(head):
        centre = keypoints[head].mean(axis=0)
        spread = np.linalg.norm(keypoints[head] - centre, axis=1).max()
        _fill(image, [_disc(centre, max(_HEAD_RADIUS * size, _HEAD_SPREAD * spread))])
        if len(shoulders):
            neck = keypoints[shoulders].mean(axis=0)
            _fill(image, [_disc(centre, _NECK_RADIUS * size), _disc(neck, _NECK_RADIUS * size)])


def _rows(skeleton: Skeleton, names: Sequence[str], used: np.ndarray | None = None) -> np.ndarray:
    """Rows of the joints of these names that the skeleton has, and that are used."""
    rows = np.array([skeleton.index(name) for name in names if name in skeleton.joints], int)
    return rows if used is None else rows[used[rows]]


def _disc(centre: np.ndarray, radius: float) -> np.ndarray:
    """(12, 2) points of a circle."""
    return centre + radius * _CIRCLE


def _fill(image: Image, discs: Sequence[np.ndarray]) -> None:
    """Fill the convex hull of discs."""
    points = np.clip(np.round(np.concatenate(discs)), -_FAR_PX, _FAR_PX)
    cv2.fillConvexPoly(image, cv2.convexHull(points.astype(np.int32)), _GREY)
