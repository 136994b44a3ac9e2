"""Log odds that a pose continues a track rather than is someone else's: motion, shape and box together.

Motion: the offset between the pose and the prediction of the motion model, under a Student's t distribution of the
model's own uncertainty. Unlike a similarity it is normalised: a track that was not seen for long may be in many places,
so it explains a pose in any one of them less well than a track that is expected exactly there.
Shape: OKS of the joints after the offset is taken out. Bodies hardly change from frame to frame, however fast they or
the camera move, so it tells people apart where they pass each other.
Box: IoU with the predicted box, and the ratio of sizes.

Numbers below are natural logarithms of odds unless noted; lengths are in body sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.similarity import joint_similarity, mean_joint_similarity, median_offsets, paired_box_iou

LAST_CHANCE = 5.0  # added in the last round of matching; decays with the time without a pose and with occlusion
_LAST_CHANCE_S, _LAST_CHANCE_HIDDEN = 0.1, 0.2
_NEWCOMERS = 0.01  # people per square of a body size who appear in a frame: poses that continue no track
_NEIGHBOURS, _NEIGHBOUR_STD = 0.3, 1.0  # weight of the other tracks nearby, each a Gaussian of this deviation ...
_MAX_NEIGHBOURS = 3.0  # ... and their greatest sum
_TAIL = 4.0  # degrees of freedom of Student's t: people turn, and networks err
_JOINTS_NOISE, _BOX_NOISE = 0.05, 0.08  # standard deviation of an offset measured from joints, or from boxes
_SHAPE, _TYPICAL_OKS = 9.0, 0.5  # shapes of this OKS are no evidence ...
_MIN_OKS = 0.3  # ... and this counts for lower ones: a network that exchanges left and right changes the whole shape
_MEMORY_S = 1.0  # shape and place count less, the longer a track is without poses
_JOINT_NOISE = 0.02  # standard deviation of a joint, in addition to the OKS sigmas
_BOX, _TYPICAL_IOU = 2.0, 0.5
_SIZE, _SIZE_SPREAD, _MAX_SIZE_TERM = 1.0, 0.3, 3.0  # of the logarithm of the size
_APPEARANCE, _TYPICAL_COSINE = 20.0, 0.6  # at appearance_share 1; embeddings of two people have about this cosine
_APPEARANCE_AFTER_S = 0.5  # after this time without a pose, appearance has half of its weight


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a track, predicted for the current frame, and a pose: parallel arrays, one row per pair."""

    sizes: np.ndarray  # (P,) pixels, body sizes of the tracks
    position_var: np.ndarray  # (P,) squared body sizes, uncertainty of their positions
    others: np.ndarray  # (P,) of `density_of_others`
    unseen_s: np.ndarray  # (P,) time since the tracks' last poses
    predicted_boxes: np.ndarray  # (P, 4) pixels
    predicted_keypoints: np.ndarray  # (P, K, 2) pixels, NaN where unknown
    boxes: np.ndarray  # (P, 4) pixels, of the poses
    keypoints: np.ndarray  # (P, K, 2) pixels, NaN where missing
    joint_scores: np.ndarray  # (P, K)


def log_odds(pairs: Pairs, joint_variances: np.ndarray) -> np.ndarray:
    """Log odds (P,) of pairs of a track and a pose, without appearance.

    Args:
        pairs: of tracks and poses.
        joint_variances: (K,) (2 sigma)^2 of each joint.
    """
    sizes = pairs.sizes
    offsets, bodies_known, shape = _offsets(pairs, joint_variances)
    if not bodies_known.all():
        of_boxes = (pairs.boxes - pairs.predicted_boxes) / sizes[:, None]
        offsets = np.where(bodies_known[:, None], offsets, (of_boxes[:, :2] + of_boxes[:, 2:]) / 2)
    noise = np.where(bodies_known, _JOINTS_NOISE, _BOX_NOISE)
    variance = pairs.position_var + noise**2
    squared = np.einsum("pd,pd->p", offsets, offsets) / variance
    motion = -(_TAIL + 2) / 2 * np.log1p(squared / _TAIL) - np.log(2 * np.pi * pairs.others * variance)
    by_shape = np.where(bodies_known, _SHAPE * (np.maximum(shape, _MIN_OKS) - _TYPICAL_OKS), 0.0)
    by_box = _BOX * (paired_box_iou(pairs.predicted_boxes, pairs.boxes) - _TYPICAL_IOU)
    pose_size = np.sqrt(np.maximum(pairs.boxes[:, 2:] - pairs.boxes[:, :2], 1.0).prod(axis=1))
    growth = np.log(pose_size / sizes) / _SIZE_SPREAD
    fading = np.exp(-pairs.unseen_s / _MEMORY_S)
    return motion + (by_shape + by_box) * fading - _SIZE * np.minimum(growth**2 / 2, _MAX_SIZE_TERM)


def last_chance(unseen_s: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """What is added to the log odds (T,) where neither the track nor the pose has another partner.

    Args:
        unseen_s: (T,) time since the last poses of the tracks; for those of the last frames it is most.
        hidden: (T,) 0..1, share of the tracks that other people cover: those may be there and not be seen.
    """
    since_last_frame_s = unseen_s - unseen_s.min(initial=np.inf)
    return LAST_CHANCE * np.exp(-since_last_frame_s / _LAST_CHANCE_S - hidden / _LAST_CHANCE_HIDDEN)


def density_of_others(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """How many poses of other people to expect where each track (T,) is, per square of its body size.

    Args:
        boxes: (T, 4) pixels, predicted.
        sizes: (T,) pixels, body sizes.
    """
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    squared = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    near = np.exp(squared / (-2 * (_NEIGHBOUR_STD * sizes[:, None]) ** 2)).sum(axis=1) - 1
    neighbours = np.minimum(near / (2 * np.pi * _NEIGHBOUR_STD**2), _MAX_NEIGHBOURS)
    return _NEWCOMERS + _NEIGHBOURS * neighbours


def _offsets(pairs: Pairs, joint_variances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each pair: the offset (P, 2) in body sizes, whether joints gave it (P,), and OKS (P,) without it."""
    joints = pairs.keypoints - pairs.predicted_keypoints
    if np.isnan(joints).all():
        return np.zeros((len(joints), 2)), np.zeros(len(joints), bool), np.zeros(len(joints))
    offsets, enough = median_offsets(joints)
    similarity = joint_similarity(joints - offsets[:, None], pairs.sizes**2, joint_variances + _JOINT_NOISE**2)
    oks = mean_joint_similarity(similarity, pairs.joint_scores, none_shared=0.0)
    return offsets / pairs.sizes[:, None], enough, oks


def appearance_log_odds(of_tracks: np.ndarray, of_poses: np.ndarray, unseen_s: np.ndarray, share: float) -> np.ndarray:
    """Log odds (P,) of pairs of embeddings (P, E) of unit length; 0 where one is missing.

    Its weight grows with the time without a pose: where motion is precise, it would only add noise.
    """
    cosine = np.einsum("pe,pe->p", of_tracks, of_poses)
    return _APPEARANCE * appearance_weights(of_tracks, of_poses, unseen_s, share) * (cosine - _TYPICAL_COSINE)


def appearance_weights(of_tracks: np.ndarray, of_poses: np.ndarray, unseen_s: np.ndarray, share: float) -> np.ndarray:
    """The weight (P,), 0..share, of pairs of embeddings (P, E); it grows with the time without a pose."""
    known = of_tracks.any(axis=1) & of_poses.any(axis=1)
    return share * known * unseen_s / (unseen_s + _APPEARANCE_AFTER_S)
