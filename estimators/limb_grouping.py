"""Groups joints to people by part affinity fields, vector fields along the limbs from joint to joint.

Cao et al. 2017, "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", sections 2.2 and 2.3, with the
constants of the published code for COCO (OpenPose). Unlike tags (`tag_grouping`), fields use the image between two
joints, which separates crossing people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

_SAMPLES = 10  # positions along a limb at which the field is sampled


@dataclass(frozen=True, kw_only=True)
class LimbRules:
    """Thresholds for joints, limbs and people."""

    smoothing_px: float = 3.0  # sigma of the Gaussian that smooths heatmaps before local maxima are found
    min_score: float = 0.1  # of a joint in the smoothed map
    min_affinity: float = 0.05  # of the field along the limb, at more than ...
    min_share: float = 0.8  # ... this share of the samples
    min_joints: int = 4
    min_person_score: float = 0.4
    not_starting: frozenset[int] = frozenset()  # limbs that join people, and add joints to them, but start none


OPENPOSE_COCO = LimbRules(not_starting=frozenset({17, 18}))  # from ear to shoulder


class _Joints(NamedTuple):
    """Candidates of one joint in an image."""

    places: np.ndarray  # (C, 2) int x y
    scores: np.ndarray  # (C,)


class _Limbs(NamedTuple):
    """Pairs of candidates that form a limb; each candidate is in at most one pair."""

    starts: np.ndarray  # (M,) rows of the candidates of the start joint
    ends: np.ndarray  # (M,) rows of the candidates of the end joint
    scores: np.ndarray  # (M,)


def group_by_limbs(
    heatmaps: Iterable[Iterable[np.ndarray]],
    fields: Iterable[Iterable[np.ndarray]],
    limbs: np.ndarray,
    rules: LimbRules = OPENPOSE_COCO,
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Group the joints of each image to people.

    Candidates are local maxima. For each limb, pairs of candidates are selected greedily by the integral of the field
    along the line between them (equation 10). Limbs that share a joint form a person.

    Args:
        heatmaps: (N, K, H, W), without background, enlarged to the image, because joints are placed at cells. Arrays,
            or generators of the maps (H, W) of each image, which are needed one at a time.
        fields: (N, L, 2, H, W), x y components, one field per limb; likewise.
        limbs: (L, 2) int, start and end joint of each limb, those of the trunk first.
        rules: thresholds.

    Returns:
        for each image keypoints (P, K, 2) float64 x y in cells, NaN where missing; their scores (P, K) on the
        unsmoothed map, 0 where missing; scores (P,) of the people: the sum of joint and limb scores, divided
        by the number of joints.
    """
    people = []
    for image_heat, image_fields in zip(heatmaps, fields, strict=True):
        joints = [_joints(heatmap, rules) for heatmap in image_heat]
        found = [_limbs(joints[a], joints[b], field, rules) for (a, b), field in zip(limbs, image_fields, strict=True)]
        people.append(_people(joints, found, limbs, rules))
    return people


def _joints(heatmap: np.ndarray, rules: LimbRules) -> _Joints:
    """Local maxima of a map (H, W) after smoothing, in row-major order."""
    smooth = gaussian_filter(heatmap.astype(np.float64), rules.smoothing_px)
    framed = np.pad(smooth, 1)
    peak = smooth > rules.min_score
    for neighbour in (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]):
        peak &= smooth >= neighbour
    y, x = np.nonzero(peak)
    return _Joints(np.stack([x, y], axis=1), heatmap[y, x])


def _limbs(starts: _Joints, ends: _Joints, field: np.ndarray, rules: LimbRules) -> _Limbs:
    """Select pairs of candidates greedily by the field (2, H, W) between them, each candidate at most once."""
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
    """Affinities (A, B) of starts (A, 2) and ends (B, 2): mean of the field in their direction; 0 for no limb.

    They are reduced for limbs longer than half the height of the image, most of which connect different people.
    """
    offset = (ends[None] - starts[:, None]).astype(np.float64)
    length = np.maximum(np.linalg.norm(offset, axis=2), 1e-3)
    samples = np.rint(np.linspace(starts[:, None], ends[None], _SAMPLES, axis=2)).astype(int)
    along = field[:, samples[..., 1], samples[..., 0]]  # (2, A, B, samples)
    affinities = np.einsum("cabs,abc->abs", along.astype(np.float64), offset / length[..., None])
    scores = affinities.mean(axis=2) + np.minimum(0.5 * field.shape[1] / length - 1, 0)
    agreed = (affinities > rules.min_affinity).sum(axis=2) > rules.min_share * _SAMPLES
    return np.where(agreed & (scores > 0), scores, 0)


def _people(
    joints: list[_Joints], limbs_found: list[_Limbs], limbs: np.ndarray, rules: LimbRules
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People with enough joints and a sufficient score: keypoints (P, K, 2), scores (P, K) and (P,)."""
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
    """Merge limbs that share a joint into people.

    Returns:
        members (P, K), the row of the candidate of each joint, -1 for none; counts (P,) of joints; sums (P,) of joint
        and limb scores.
    """
    members, counts, totals = np.zeros((0, len(joints)), int), np.zeros(0, int), np.zeros(0)
    for kind, ((a, b), found) in enumerate(zip(limbs, limbs_found, strict=True)):
        for start, end, score in zip(*found, strict=True):
            end_score = joints[b].scores[end] + score
            holders = np.flatnonzero((members[:, a] == start) | (members[:, b] == end))
            if len(holders) == 0:
                if kind not in rules.not_starting:
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
