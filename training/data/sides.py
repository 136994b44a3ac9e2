"""Finds left and right, or x and y, exchanged: by what is possible for a body, and by what is usual in a data set.

No proportion is assumed but those that the data set itself shows, so that animals can be checked, too. Of one person:

- the left joints of two pairs are on opposite sides (the shoulders say that the person is seen from the front, the
  hips from behind), although these pairs agree in nearly all other people
- both eyes are visible, but their order is that of a face seen from behind
- limbs are longer than in nearly all other people, and ordinary when the joints of one pair are exchanged

Of the whole data set: one pair disagrees with the others in most people; most people with wide shoulders are seen from
behind; most bodies lie on their side. Statistics need MIN_PEOPLE people.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from posetrail.similarity import keypoint_boxes
from training.regions import is_upper_body
from training.samples import VISIBLE, Samples

MIN_PEOPLE = 20
_WIDE = 0.5  # of the width of a pair that 90 % of the people do not exceed: left and right are well apart
_OPPOSITE = -0.5  # cosine between the directions from right to left of two pairs
_RIGID = 0.95  # share of people in whom two pairs agree: those who do not are reported
_TRUNK, _RIGID_TRUNK = ("shoulder", "hip"), 0.8  # these two agree in nearly all people, so fewer need to show it
_CLEAR = 0.5  # quantile of the widths of an arm's or leg's pair, from which the opposite side is no crossing
_MOST_PAIRS = 24  # of skeletons with face and hands: body and feet come first
_USUAL_PERCENTILE, _EXCESS = 95, 0.5  # of the length of a limb; how much longer, together, limbs must be
_FROM_BEHIND = 0.6  # share of people; photographs show most people from the front
_LYING = 0.7


def pairs_of(samples: Samples) -> np.ndarray:
    """(M, 2) positions of the left and the right joint of each mirror pair, at most 24 pairs."""
    skeleton = samples.skeleton
    pairs = skeleton.mirror_pairs[:_MOST_PAIRS]
    return np.array([[skeleton.index(a), skeleton.index(b)] for a, b in pairs], int).reshape(-1, 2)


def disagreeing_people(samples: Samples) -> np.ndarray:
    """(N,) bool: two pairs of joints are on opposite sides, of which that is unusual."""
    directions, wide = _directions(samples)
    agree, counts, opposite = _agreement(directions, wide)
    names = [left for left, _ in samples.skeleton.mirror_pairs[:_MOST_PAIRS]]
    trunk = np.array([any(part in name.lower() for part in _TRUNK) for name in names], bool)
    both = trunk[:, None] & trunk
    rigid = np.where(counts >= MIN_PEOPLE, agree >= np.where(both, _RIGID_TRUNK, _RIGID), both)
    as_wide = trunk | _as_wide_as_usual(samples, wide)  # arms and legs also cross, but not as widely
    clear = as_wide[:, :, None] & as_wide[:, None]
    return np.any(opposite & rigid & clear, axis=(1, 2))


def exchanged_pairs(samples: Samples) -> list[int]:
    """Mirror pairs whose left and right are exchanged in most people, judged by the other pairs."""
    directions, wide = _directions(samples)
    agree, counts, _ = _agreement(directions, wide)
    enough = (counts >= MIN_PEOPLE) & ~np.eye(len(agree), dtype=bool)
    votes = np.where(enough, np.sign(agree - 0.5), 0).sum(axis=1)
    return [m for m in range(len(agree)) if enough[m].sum() >= 2 and votes[m] <= -0.5 * enough[m].sum()]


def faces_from_behind(samples: Samples) -> np.ndarray:
    """(N,) bool: both eyes are visible but in the order in which they would be seen from behind."""
    joints = samples.skeleton.joints
    if not {"left_eye", "right_eye", "left_shoulder", "right_shoulder"} <= set(joints):
        return np.zeros(len(samples), bool)
    eyes = [joints.index("left_eye"), joints.index("right_eye")]
    shoulders = [joints.index("left_shoulder"), joints.index("right_shoulder")]
    visible = (samples.visibility[:, eyes] == VISIBLE).all(axis=1)
    order, wide = _sidedness(samples, eyes, samples.keypoints[:, shoulders].mean(axis=1))
    return visible & wide & (order < _OPPOSITE)


def is_seen_from_behind(samples: Samples) -> float:
    """Share of the people with wide shoulders who are seen from behind; NaN for fewer than MIN_PEOPLE of them."""
    joints = samples.skeleton.joints
    trunk = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    if not set(trunk) <= set(joints):
        return np.nan
    columns = [joints.index(joint) for joint in trunk]
    order, wide = _sidedness(samples, columns[:2], samples.keypoints[:, columns[2:]].mean(axis=1))
    return float((order[wide] < 0).mean()) if wide.sum() >= MIN_PEOPLE else np.nan


def looks_exchanged_as_a_whole(samples: Samples) -> bool:
    """Whether so many people are seen from behind that left and right are more likely exchanged."""
    return is_seen_from_behind(samples) > _FROM_BEHIND


def stretched_people(samples: Samples) -> np.ndarray:
    """(N,) bool: long limbs become ordinary when the joints of one mirror pair are exchanged."""
    found = np.zeros(len(samples), bool)
    if len(samples) < MIN_PEOPLE or not len(samples.skeleton.limb_indices):
        return found
    scale = _extents(samples)[:, None]
    lengths = _limb_lengths(samples.keypoints, samples.skeleton.limb_indices) / scale
    counts = np.isfinite(lengths).sum(axis=0)
    usual = np.full(lengths.shape[1], np.inf)
    many = counts >= MIN_PEOPLE
    usual[many] = np.nanpercentile(lengths[:, many], _USUAL_PERCENTILE, axis=0)
    before = _excess(lengths, usual)
    for exchanged in _with_exchanged_pairs(samples):
        after = _excess(_limb_lengths(exchanged, samples.skeleton.limb_indices) / scale, usual)
        found |= (before - after > _EXCESS) & (after < _EXCESS / 2)
    return found


def exchanged_axes(samples: Samples, image_sizes: np.ndarray) -> np.ndarray:
    """(N,) bool: joints are outside the box or the image, and inside with x and y exchanged.

    Args:
        samples: the people.
        image_sizes: (I, 2) width and height, 0 where not known.
    """
    sizes = image_sizes[samples.image_rows].astype(float)
    sizes[(sizes == 0).any(axis=1)] = np.nan
    margin = 0.2 * (samples.boxes[:, 2:] - samples.boxes[:, :2])
    areas = (
        (samples.boxes[:, :2] - margin, samples.boxes[:, 2:] + margin),
        (np.zeros_like(sizes), sizes),
    )
    found = np.zeros(len(samples), bool)
    for low, high in areas:
        there = _share_inside(samples.keypoints, low, high)
        other = _share_inside(samples.keypoints[:, :, ::-1], low, high)
        found |= (there < 0.5) & (other > 0.9)
    return found


def lying_share(samples: Samples) -> float:
    """Share of people whose upper body is beside the lower one, not above it; NaN for fewer than MIN_PEOPLE."""
    upper = is_upper_body(samples.skeleton)
    if upper.all() or not upper.any():
        return np.nan
    both = samples.labelled[:, upper].any(axis=1) & samples.labelled[:, ~upper].any(axis=1)
    if both.sum() < MIN_PEOPLE:
        return np.nan
    people = samples.keypoints[both]
    along = np.abs(np.nanmean(people[:, upper], axis=1) - np.nanmean(people[:, ~upper], axis=1))
    return float((along[:, 0] > along[:, 1]).mean())


def looks_turned(samples: Samples) -> bool:
    """Whether so many bodies lie on their side that x and y are more likely exchanged."""
    return lying_share(samples) > _LYING


def _directions(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (N, M, 2) from the right to the left joint of each pair, and (N, M) bool whether they are apart."""
    pairs = pairs_of(samples)
    offsets = samples.keypoints[:, pairs[:, 0]] - samples.keypoints[:, pairs[:, 1]]
    lengths = np.linalg.norm(offsets, axis=2)
    widths = lengths / _extents(samples)[:, None]
    wide = np.zeros(widths.shape, bool)
    for m in range(len(pairs)):
        known = np.isfinite(widths[:, m])
        if known.any():
            wide[known, m] = widths[known, m] > _WIDE * np.percentile(widths[known, m], 90)
    return offsets / np.maximum(lengths, 1e-9)[:, :, None], wide


def _as_wide_as_usual(samples: Samples, wide: np.ndarray) -> np.ndarray:
    """(N, M) bool: the two joints of a pair are as far apart as in half of the people in whom they are apart."""
    pairs = pairs_of(samples)
    offsets = samples.keypoints[:, pairs[:, 0]] - samples.keypoints[:, pairs[:, 1]]
    widths = np.where(wide, np.linalg.norm(offsets, axis=2) / _extents(samples)[:, None], np.nan)
    usual = [np.nanquantile(each, _CLEAR) if np.isfinite(each).any() else np.inf for each in widths.T]
    return widths >= np.array(usual)


def _agreement(directions: np.ndarray, wide: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each two pairs (M, M): share of people in whom they agree, number of people; (N, M, M) bool: opposite."""
    cosines = np.einsum("nad,nbd->nab", np.nan_to_num(directions), np.nan_to_num(directions))
    both = wide[:, :, None] & wide[:, None]
    counts = both.sum(axis=0)
    agree = (both & (cosines > 0)).sum(axis=0) / np.maximum(counts, 1)
    return agree, counts, both & (cosines < _OPPOSITE)


def _sidedness(samples: Samples, pair: list[int], below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per person the sine from "up" to the direction right to left: 1 from the front, -1 from behind; and if apart.

    Args:
        samples: the people.
        pair: the left and the right joint.
        below: (N, 2) a place on the body below the middle of the pair.
    """
    left, right = samples.keypoints[:, pair[0]], samples.keypoints[:, pair[1]]
    up, across = (left + right) / 2 - below, left - right
    widths = np.linalg.norm(across, axis=1)
    sines = (up[:, 0] * across[:, 1] - up[:, 1] * across[:, 0]) / np.maximum(np.linalg.norm(up, axis=1) * widths, 1e-9)
    known = np.isfinite(sines)
    wide = np.zeros(len(samples), bool)
    if known.any():
        shares = widths[known] / _extents(samples)[known]
        wide[known] = shares > _WIDE * np.percentile(shares, 90)
    return np.where(known, sines, 0.0), wide


def _extents(samples: Samples) -> np.ndarray:
    """(N,) pixels: the diagonal of the box around the joints."""
    boxes = keypoint_boxes(samples.keypoints)
    return np.maximum(np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-9)


def _limb_lengths(keypoints: np.ndarray, limbs: np.ndarray) -> np.ndarray:
    return np.linalg.norm(keypoints[:, limbs[:, 0]] - keypoints[:, limbs[:, 1]], axis=2)


def _excess(lengths: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """(N,) how much longer limbs are than usual, as shares of the usual length, added up."""
    return np.maximum(np.nan_to_num(lengths) / usual - 1, 0).sum(axis=1)


def _with_exchanged_pairs(samples: Samples) -> Iterator[np.ndarray]:
    """The keypoints with the joints of one mirror pair exchanged, for each pair."""
    for left, right in pairs_of(samples):
        keypoints = samples.keypoints.copy()
        keypoints[:, [left, right]] = keypoints[:, [right, left]]
        yield keypoints


def _share_inside(keypoints: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(N,) share of the labelled joints in an area; 1 for people without any, and in areas that are not known."""
    labelled = np.isfinite(keypoints).all(axis=2)
    outside = (keypoints < low[:, None]).any(axis=2) | (keypoints > high[:, None]).any(axis=2)
    return 1 - (outside & labelled).sum(axis=1) / np.maximum(labelled.sum(axis=1), 1)
