"""Hands and faces of people whose bodies are known: boxes from the joints of the body, joints by networks for parts.

A hand lies beyond the wrist: its box is centred a third of the forearm beyond it and is as large as the forearm, or as
0.9 of the upper arm where the forearm points at the camera (after Simon et al., CVPR 2017, "Hand Keypoint Detection in
Single Images using Multiview Bootstrapping", whose boxes are 1.5 times as large; crops of RTMPose are 1.25 times as
large as the box). A face is centred between nose, eyes and ears, and its crop is 2.5 times as large as the distance of
the ears in a view from the front, which is the largest of the distances that can be seen, each relative to its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.protocols import Estimator
from posetrail.skeletons import FACE_68, FACE_70, FACE_106, HAND_21, Skeleton
from posetrail.wholebody import HAND_ROOT, of_side

MIN_BODY_SCORE = 0.3  # a part is estimated where the joints that its box is made from have at least this score
MIN_SIDE_PX = 16.0  # smaller hands and faces cannot be made out
_SIDES = ("left", "right")
_HAND_OFFSET = 1 / 3  # from the wrist to the middle of the hand, in forearms
_FOREARM_PER_UPPER_ARM = 0.9
_FACE_SIDE = 2.0  # of the box, in distances of the ears; crops are 1.25 times as large
_HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
_LENGTHS = {  # between joints of the head, in distances of the ears, about those of an adult's head
    ("left_ear", "right_ear"): 1.0,
    ("left_eye", "right_eye"): 0.43,
    ("nose", "left_ear"): 0.85,
    ("nose", "right_ear"): 0.85,
    ("left_eye", "left_ear"): 0.65,
    ("right_eye", "right_ear"): 0.65,
}


def hand_boxes(poses: Poses, body: Skeleton) -> np.ndarray:
    """Boxes (N, 2, 4) of the left and the right hand, x1 y1 x2 y2 pixels; NaN where wrist or elbow is not confident."""
    boxes = []
    for side in _SIDES:
        shoulder, elbow, wrist = (_confident(poses, body, f"{side}_{name}") for name in ("shoulder", "elbow", "wrist"))
        upper_arm = np.nan_to_num(_length(elbow - shoulder))
        boxes.append(
            _squares(
                wrist + _HAND_OFFSET * (wrist - elbow),
                np.maximum(_length(wrist - elbow), _FOREARM_PER_UPPER_ARM * upper_arm),
            )
        )
    return np.stack(boxes, axis=1)


def face_boxes(poses: Poses, body: Skeleton) -> np.ndarray:
    """Boxes (N, 4) of the faces; NaN where too few of nose, eyes and ears are confident, as from behind."""
    head = {joint: _confident(poses, body, joint) for joint in _HEAD}
    lengths = [_length(head[a] - head[b]) / length for (a, b), length in _LENGTHS.items()]
    ears = np.fmax.reduce(lengths)
    eyes_and_ears = [_mean(head[f"left_{name}"], head[f"right_{name}"]) for name in ("eye", "ear")]
    seen = np.isfinite(head["nose"]).all(axis=1) | np.isfinite(eyes_and_ears[0]).all(axis=1)  # not from behind
    return _squares(np.where(seen[:, None], _mean(head["nose"], *eyes_and_ears), np.nan), _FACE_SIDE * ears)


def _confident(poses: Poses, body: Skeleton, joint: str) -> np.ndarray:
    """Places (N, 2) of a joint, NaN where its score is low."""
    k = body.index(joint)
    is_confident = poses.keypoint_scores[:, k, None] >= MIN_BODY_SCORE
    return np.where(is_confident, poses.keypoints[:, k], np.nan).astype(float)


def _length(offsets: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(offsets, axis=1))


def _mean(*places: np.ndarray) -> np.ndarray:
    """The mean (N, 2) of the places that are known."""
    stacked = np.stack(places)
    count = np.isfinite(stacked).all(axis=2).sum(axis=0)[:, None]
    return np.asarray(np.nansum(stacked, axis=0) / np.where(count, count, np.nan))


def _squares(centres: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) around centres (N, 2); NaN where a number is unknown or the side (N,) is too small."""
    usable = np.where(sides >= MIN_SIDE_PX, sides, np.nan)
    half = usable[:, None] / 2
    boxes = np.concatenate([centres - half, centres + half], axis=1)
    return np.where(np.isfinite(boxes).all(axis=1, keepdims=True), boxes, np.nan)


class Parts:
    """Adds the joints of hands and faces to poses; a posetrail.protocols.PartEstimator.

    Args:
        body: skeleton of the poses.
        hands: estimator of hands, called with boxes of hands; None for none.
        faces: estimator of faces, called with boxes of faces; None for none.

    Raises:
        InputError: an estimator is for other joints, or the body lacks the joints that boxes are made from, or has
            joints of hands or faces itself.
    """

    def __init__(self, body: Skeleton, *, hands: Estimator | None = None, faces: Estimator | None = None) -> None:
        self._body, self._hands, self._faces = body, hands, faces
        arms = [f"{side}_{name}" for side in _SIDES for name in ("shoulder", "elbow", "wrist")]
        for setting, part, needed, fits in (
            ("hands", hands, arms, (HAND_21,)),
            ("faces", faces, list(_HEAD), (FACE_68, FACE_70, FACE_106)),
        ):
            if part is None:
                continue
            if part.skeleton.joints not in [skeleton.joints for skeleton in fits]:
                names = " or ".join(skeleton.name for skeleton in fits)
                raise InputError(f"{setting}: expected a network for {names}, got one for {part.skeleton.name}")
            if missing := sorted(set(needed) - set(body.joints)):
                raise InputError(
                    f"{setting}: expected an estimator of bodies with {', '.join(needed)}, got one without "
                    f"{', '.join(missing)}; choose another estimator, or leave --{setting} out"
                )
        self.skeleton = _composed(body, hands is not None, None if faces is None else faces.skeleton)

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> list[Poses]:
        """The poses with the joints of hands and faces after those of the body.

        Args:
            frames: the batch.
            poses: of each frame, with the joints of the body.

        Returns:
            the same people; joints of parts that could not be estimated are missing.
        """
        parts: list[list[Poses]] = [[] for _ in frames]
        if self._hands is not None:
            boxes = [hand_boxes(each, self._body) for each in poses]
            for k, side in enumerate(_SIDES):
                is_mirrored = side == "right" and getattr(self._hands, "only_left_hands", False)
                estimate = partial(_in_mirror, self._hands) if is_mirrored else self._hands
                for found, more in zip(parts, estimate(frames, [each[:, k] for each in boxes]), strict=True):
                    found.append(more)
        if self._faces is not None:
            boxes = [face_boxes(each, self._body) for each in poses]
            for found, more in zip(parts, self._faces(frames, boxes), strict=True):
                found.append(more)
        return [_joined(each, found) for each, found in zip(poses, parts, strict=True)]


def _in_mirror(estimator: Estimator, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
    """Call an estimator of one side with mirrored images, and mirror its answers back."""
    mirrored = [replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1])) for frame in frames]
    lasts = [frame.image.shape[1] - 1 for frame in frames]
    flipped = [
        np.stack([last - each[:, 2], each[:, 1], last - each[:, 0], each[:, 3]], axis=1)
        for each, last in zip(boxes, lasts, strict=True)
    ]
    answers = []
    for poses, each, last in zip(estimator(mirrored, flipped), boxes, lasts, strict=True):
        places = poses.keypoints.copy()
        places[..., 0] = last - places[..., 0]
        answers.append(replace(poses, keypoints=places, boxes=each))
    return answers


def _joined(poses: Poses, parts: list[Poses]) -> Poses:
    every = [poses, *parts]
    return replace(
        poses,
        keypoints=np.concatenate([each.keypoints for each in every], axis=1),
        keypoint_scores=np.concatenate([each.keypoint_scores for each in every], axis=1),
    )


def _composed(body: Skeleton, has_hands: bool, face: Skeleton | None) -> Skeleton:
    """The skeleton of the body with both hands and the face, in this order."""
    joints, limbs, sigmas, names = [*body.joints], [*body.limbs], [*body.oks_sigmas], [body.name]
    if has_hands:
        names.append("hands")
        for side in _SIDES:
            joints += of_side(side)
            limbs += [(f"{side}_wrist", f"{side}_{HAND_ROOT}")]
            limbs += [(f"{side}_{a}", f"{side}_{b}") for a, b in HAND_21.limbs]
            sigmas += HAND_21.oks_sigmas
    if face is not None:
        names.append(face.name)
        joints, limbs, sigmas = [*joints, *face.joints], [*limbs, *face.limbs], [*sigmas, *face.oks_sigmas]
    if repeated := sorted({joint for joint in joints if joints.count(joint) > 1}):
        raise InputError(
            f"hands, faces: expected an estimator of bodies without their joints, got one for {body.name}, which has "
            f"{repeated[0]} and others; leave --hands and --faces out, or choose another estimator"
        )
    return Skeleton(name="+".join(names), joints=tuple(joints), limbs=tuple(limbs), oks_sigmas=tuple(sigmas))
