"""Grouping of joints to people by part affinity fields, which point along the limbs from joint to joint.

Cao et al. 2017, "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", sections 2.2 and 2.3, with the
constants of the published code for COCO (OpenPose). Unlike tags (`tag_grouping`), fields use the
image between two joints, which separates crossing people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

_SAMPLES = 10  # places along a limb where the field is read


@dataclass(frozen=True, kw_only=True)
class LimbRules:
    """When two joints are a limb, and some limbs a person."""

    smoothing_px: float = 3.0  # sigma, before joints are looked for
    min_score: float = 0.1  # of a joint on the smoothed map
    min_affinity: float = 0.05  # of the field along the limb, at more than ...
    min_share: float = 0.8  # ... this share of the samples
    min_joints: int = 4
    min_person_score: float = 0.4
    starting_limbs: int = 17  # limbs behind these, from ear to shoulder, lengthen a person but start none


OPENPOSE_COCO = LimbRules()


class _Joints(NamedTuple):
    """Joints of one kind in an image."""

    places: np.ndarray  # (C, 2) int x y
    scores: np.ndarray  # (C,)


class _Limbs(NamedTuple):
    """Pairs of joints that are limbs of one kind; no joint stands twice."""

    starts: np.ndarray  # (M,) which joints of the one kind
    ends: np.ndarray  # (M,) which of the other
    scores: np.ndarray  # (M,)


def group_by_limbs(
    heatmaps: np.ndarray, fields: np.ndarray, limbs: np.ndarray, rules: LimbRules = OPENPOSE_COCO
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The people of every image.

    Joints are local maxima; for each kind of limb, pairs of joints are taken greedily by how well the field between
    them points from one to the other (equation 10); limbs that share a joint are a person.

    Args:
        heatmaps: (N, K, H, W), without background; enlarged to the image, for joints are looked for cell by cell.
        fields: (N, L, 2, H, W), x y components, one field for each kind of limb.
        limbs: (L, 2) int, joints at the limbs' starts and ends, the trunk's first.
        rules: which joints make a limb, and which limbs a person.

    Returns:
        for each image keypoints (P, K, 2) float64 x y in cells, NaN where missing; their scores (P, K) on the
        unsmoothed map, 0 where missing; scores (P,) of the people: joints' and limbs' scores for each joint.
    """
    smooth = gaussian_filter(heatmaps.astype(np.float64), (0, 0, rules.smoothing_px, rules.smoothing_px))
    people = []
    for image_heat, image_smooth, image_fields in zip(heatmaps, smooth, fields, strict=True):
        joints = [_joints(*maps, rules) for maps in zip(image_heat, image_smooth, strict=True)]
        found = [_limbs(joints[a], joints[b], field, rules) for (a, b), field in zip(limbs, image_fields, strict=True)]
        people.append(_people(joints, found, limbs, rules))
    return people


def _joints(heatmap: np.ndarray, smooth: np.ndarray, rules: LimbRules) -> _Joints:
    """Cells of the smoothed map (H, W) that no neighbour overtops, in reading order."""
    framed = np.pad(smooth, 1)
    peak = smooth > rules.min_score
    for beside in (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]):
        peak &= smooth >= beside
    y, x = np.nonzero(peak)
    return _Joints(np.stack([x, y], axis=1), heatmap[y, x])


def _limbs(starts: _Joints, ends: _Joints, field: np.ndarray, rules: LimbRules) -> _Limbs:
    """The best pairs of joints by the field (2, H, W) between them; a joint has one limb of a kind."""
    scores = _affinity(starts.places, ends.places, field, rules)
    a, b = np.nonzero(scores > 0)
    order = np.argsort(-scores[a, b], kind="stable")
    pairs: list[tuple[int, int]] = []
    free_a, free_b = np.ones(len(starts.places), bool), np.ones(len(ends.places), bool)
    for i, j in zip(a[order], b[order], strict=True):
        if free_a[i] and free_b[j]:
            pairs.append((i, j))
            free_a[i] = free_b[j] = False
    rows, columns = np.array(pairs, int).reshape(-1, 2).T
    return _Limbs(rows, columns, scores[rows, columns])


def _affinity(starts: np.ndarray, ends: np.ndarray, field: np.ndarray, rules: LimbRules) -> np.ndarray:
    """How well the field points from starts (A, 2) to ends (B, 2), (A, B); 0 where they are no limb.

    The mean over the samples; less for limbs longer than half the image is high, of which most are between people.
    """
    way = (ends[None] - starts[:, None]).astype(np.float64)
    length = np.maximum(np.linalg.norm(way, axis=2), 1e-3)
    samples = np.rint(np.linspace(starts[:, None], ends[None], _SAMPLES, axis=2)).astype(int)
    along = field[:, samples[..., 1], samples[..., 0]]  # (2, A, B, samples)
    affinities = np.einsum("cabs,abc->abs", along.astype(np.float64), way / length[..., None])
    scores = affinities.mean(axis=2) + np.minimum(0.5 * field.shape[1] / length - 1, 0)
    agreed = (affinities > rules.min_affinity).sum(axis=2) > rules.min_share * _SAMPLES
    return np.where(agreed & (scores > 0), scores, 0)


def _people(
    joints: list[_Joints], limbs_found: list[_Limbs], limbs: np.ndarray, rules: LimbRules
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The people that are large and sure enough: keypoints (P, K, 2), scores (P, K), scores of the people (P,)."""
    members, counts, totals = _joined(joints, limbs_found, limbs, rules)
    person_scores = totals / np.maximum(counts, 1)
    kept = (counts >= rules.min_joints) & (person_scores >= rules.min_person_score)
    members = members[kept]
    keypoints, scores = np.full((*members.shape, 2), np.nan), np.zeros(members.shape)
    for k, (places, joint_scores) in enumerate(joints):
        has = members[:, k] >= 0
        keypoints[has, k] = places[members[has, k]]
        scores[has, k] = joint_scores[members[has, k]]
    return keypoints, scores, person_scores[kept]


def _joined(
    joints: list[_Joints], limbs_found: list[_Limbs], limbs: np.ndarray, rules: LimbRules
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Limbs joined where they share a joint.

    Returns:
        members (P, K), which joint of each kind, -1 for none; counts (P,) of their joints; summed scores (P,) of joints
        and limbs.
    """
    members, counts, totals = np.zeros((0, len(joints)), int), np.zeros(0, int), np.zeros(0)
    for kind, ((a, b), found) in enumerate(zip(limbs, limbs_found, strict=True)):
        for start, end, score in zip(*found, strict=True):
            end_score = joints[b].scores[end] + score
            holders = np.flatnonzero((members[:, a] == start) | (members[:, b] == end))
            if len(holders) == 0:
                if kind < rules.starting_limbs:
                    person = np.full(len(joints), -1)
                    person[[a, b]] = start, end
                    members, counts = np.vstack([members, person]), np.append(counts, 2)
                    totals = np.append(totals, joints[a].scores[start] + end_score)
                continue
            one, *others = holders
            if others and not ((members[one] >= 0) & (members[others[0]] >= 0)).any():
                members[one] = np.maximum(members[one], members[others[0]])
                counts[one] += counts[others[0]]
                totals[one] += totals[others[0]] + score
                members = np.delete(members, others[0], axis=0)
                counts, totals = np.delete(counts, others[0]), np.delete(totals, others[0])
            elif others or members[one, b] != end:
                members[one, b] = end
                counts[one] += 1
                totals[one] += end_score
    return members, counts, totals
