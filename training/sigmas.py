"""OKS sigmas of joints, estimated from people whom two annotators annotated independently.

COCO defines the sigma of a joint as the standard deviation of an annotator's error relative to the scale s of the
person, the square root of its area: sigma^2 = E[d^2 / s^2] (https://cocodataset.org/#keypoints-eval, "Object Keypoint
Similarity": per-keypoint constants from 5000 redundantly annotated images of the validation set). The same page states
that 68, 95 and 99.7 % of annotated joints have a similarity of at least exp(-1/8), exp(-4/8) and exp(-9/8), which is
the distribution of a normal error along one axis; so d is the error along one axis here.

The true place is unknown, only two annotations a and b are given. With independent errors e_a and e_b of variance
sigma^2 s^2 along each axis, E[(a_x - b_x)^2] = E[(e_a - e_b)^2] = 2 sigma^2 s^2: the variance of one annotator is half
the mean squared difference of two. Averaged over x and y, with the distance D = |a - b|:

    sigma^2 = E[D^2 / s^2] / 4
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from posetrail.assignment import associate
from posetrail.similarity import box_iou
from posetrail.skeletons import Skeleton
from training.samples import Samples

MIN_PAIRS = 30  # standard error of sigma: 1 / (2 sqrt(pairs)), 9 %
_MIN_IOU = 0.5  # of the boxes of one person in two data sets
_SAME_POSE = 0.25  # median distance of the joints, as a share of the scale: one person twice in the same data set
_MEDIAN = np.sqrt(2 * np.log(2))  # of the length of a 2-D normal error with a standard deviation of 1 along each axis
_LARGEST = 4.0  # standard deviations: 1 of 3000 normal errors is larger, and without those sigma is .1 % smaller


@dataclass(frozen=True, eq=False)
class SigmaEstimates:
    """Sigmas of K joints, and what they are estimated from."""

    sigmas: np.ndarray  # (K,) float64; NaN without enough pairs
    pairs: np.ndarray  # (K,) int: pairs of annotations, without those left out
    left_out: np.ndarray  # (K,) int: pairs that are too far apart
    identical: np.ndarray  # (K,) bool: no estimate because most pairs are equal, as in copied annotations


def estimate_sigmas(offsets: np.ndarray, areas: np.ndarray, *, min_pairs: int = MIN_PAIRS) -> SigmaEstimates:
    """Estimate OKS sigmas from pairs of annotations; the formula is in the docstring of this module.

    A few mistakes, such as exchanged sides, do not matter: pairs whose distance is more than four standard deviations
    are left out. For this, the standard deviation is estimated from the median distance, which is 1.18 of it.

    Args:
        offsets: (P, K, 2) pixels from the joints of one annotation to those of the other; NaN where either lacks one.
        areas: (P,) square pixels of the people.
        min_pairs: joints with fewer pairs have no estimate.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        distances = np.linalg.norm(offsets, axis=2) / np.sqrt(areas)[:, None]
    distances = np.where(np.isfinite(distances), distances, np.nan)
    known = np.isfinite(distances)
    K = offsets.shape[1]
    medians = np.full(K, np.nan)
    medians[known.any(axis=0)] = np.nanmedian(distances[:, known.any(axis=0)], axis=0)
    with np.errstate(invalid="ignore"):
        kept = distances <= _LARGEST / _MEDIAN * medians
    pairs = kept.sum(axis=0)
    identical = medians == 0
    squares = np.where(kept, distances**2, 0).sum(axis=0) / np.maximum(pairs, 1)
    enough = (pairs >= min_pairs) & ~identical
    return SigmaEstimates(
        sigmas=np.where(enough, np.sqrt(squares / 4), np.nan),
        pairs=pairs,
        left_out=known.sum(axis=0) - pairs,
        identical=identical,
    )


def annotated_twice(parts: Sequence[Samples]) -> tuple[np.ndarray, np.ndarray]:
    """Find the people whom two data sets have, or whom one data set has twice.

    Images are matched by name, with as many of their folders as it takes to distinguish the images of each data set.
    People of two data sets are matched by the IoU of their boxes, at least 0.5. Two annotations in one data set are
    those of one person if, in addition, the median distance of their joints is at most 0.25 of the scale: neighbours
    overlap, too.

    Args:
        parts: data sets with the same joints in the same order; of three or more, each two are compared.

    Returns:
        Offsets (P, K, 2) in pixels and areas (P,) for `estimate_sigmas`. An area is the mean of the two people's.
    """
    people = [part[part.usable] for part in parts]
    keys = image_keys([part.images for part in people])
    rows = [_rows_by_key(part, key) for part, key in zip(people, keys, strict=True)]
    K = len(parts[0].skeleton)
    offsets, areas = [np.zeros((0, K, 2))], [np.zeros(0)]
    compared = list(combinations(range(len(parts)), 2)) or [(0, 0)]
    for a, b in compared:
        for key in rows[a].keys() & rows[b].keys():
            first, second = rows[a][key], rows[b][key]
            similarity = box_iou(people[a].boxes[first], people[b].boxes[second])
            if a == b:
                similarity = np.triu(np.where(_same_pose(people[a], first), similarity, 0), k=1)
            pairs = associate(similarity, _MIN_IOU, "hungarian")
            left, right = first[pairs[:, 0]], second[pairs[:, 1]]
            offsets.append(people[b].keypoints[right].astype(float) - people[a].keypoints[left])
            areas.append(_mean_areas(people[a], left, people[b], right))
    return np.concatenate(offsets), np.concatenate(areas)


def image_keys(images: Sequence[Sequence[Path]]) -> list[list[str]]:
    """Names by which the images of several data sets are matched: file names, with folders only if they are needed."""
    resolved = [[path.parts for path in part] for part in images]
    longest = max((len(parts) for part in resolved for parts in part), default=1)
    for length in range(1, longest + 1):
        keys = [["/".join(parts[-length:]) for parts in part] for part in resolved]
        if all(len(set(key)) == len(set(part)) for key, part in zip(keys, resolved, strict=True)):
            break
    return keys if longest and any(images) else [[] for _ in images]


def sigma_lines(skeleton: Skeleton, estimates: SigmaEstimates, *, min_pairs: int = MIN_PAIRS) -> list[str]:
    """The table `[oks_sigmas]` of a skeleton file; joints without an estimate are left to its defaults."""
    lines = ["[oks_sigmas]"]
    for k, joint in enumerate(skeleton.joints):
        key = joint if joint.replace("_", "").replace("-", "").isalnum() and joint.isascii() else _quoted(joint)
        left_out = f"; {estimates.left_out[k]} left out: too far apart" if estimates.left_out[k] else ""
        if np.isfinite(estimates.sigmas[k]):
            error = estimates.sigmas[k] / (2 * np.sqrt(estimates.pairs[k]))
            values = f"{{ estimated = {estimates.sigmas[k]:.4f}, pairs = {estimates.pairs[k]} }}"
            lines.append(f"{key} = {values}  # +-{error:.4f}{left_out}")
        elif estimates.identical[k]:
            lines.append(f"# {key}: default, because most pairs are equal: not annotated independently")
        else:
            lines.append(f"# {key}: default, because there are {estimates.pairs[k]} pairs, fewer than {min_pairs}")
    return lines


def _quoted(joint: str) -> str:
    import json

    return json.dumps(joint, ensure_ascii=False)


def _rows_by_key(people: Samples, keys: Sequence[str]) -> dict[str, np.ndarray]:
    rows: dict[str, list[int]] = {}
    for row, image in enumerate(people.image_rows.tolist()):
        rows.setdefault(keys[image], []).append(row)
    return {key: np.array(each) for key, each in rows.items()}


def _same_pose(people: Samples, rows: np.ndarray) -> np.ndarray:
    """(n, n) bool: people of an image whose joints are close together."""
    joints = people.keypoints[rows].astype(float)
    distances = np.linalg.norm(joints[:, None] - joints, axis=3)
    shared = np.isfinite(distances).any(axis=2)
    medians = np.full(shared.shape, np.inf)
    medians[shared] = np.nanmedian(distances[shared], axis=1)
    return medians <= _SAME_POSE * np.sqrt(people.oks_areas[rows])[:, None]


def _mean_areas(first: Samples, left: np.ndarray, second: Samples, right: np.ndarray) -> np.ndarray:
    """(P,) mean areas; where only one of two is annotated, that one."""
    given = np.stack([first.areas[left], second.areas[right]]).astype(float)
    other = np.stack([first.oks_areas[left], second.oks_areas[right]]).astype(float)
    used = np.where(np.isfinite(given).any(axis=0), given, other)
    count = np.isfinite(used).sum(axis=0)
    return np.where(np.isfinite(used), used, 0).sum(axis=0) / np.maximum(count, 1)
