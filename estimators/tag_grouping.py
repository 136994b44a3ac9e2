"""Groups joints to people by associative embedding: joints of one person have similar tags.

Newell, Huang, Deng 2017, "Associative Embedding: End-to-End Learning for Joint Detection and Grouping", section 3.2;
Cheng et al. 2020, "HigherHRNet", whose published code differs in details: `NEWELL` and `HIGHER_HRNET`. The network
runs once per image, whatever the number of people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.optimize import linear_sum_assignment

from estimators.heatmaps import quarter_always

_NO_PERSON = 1e10  # cost of leaving a candidate unassigned


@dataclass(frozen=True, kw_only=True)
class TagRules:
    """Thresholds and rules for assigning joints to people."""

    min_score: float = 0.1  # of candidate joints
    max_distance: float = 1.0  # between a joint's tag and a person's mean tag
    peak_cells: int = 5  # side of the square in which a candidate is the maximum
    max_people: int = 30  # that joints can be assigned to; also the maximum number of candidates per joint
    mean_square: bool = False  # whether tag distances are root mean squares instead of Euclidean
    stop_when_full: bool = False  # whether to skip the remaining joints once there are max_people
    # Order of assignment for COCO: head, then from the trunk outwards, so that people start from reliable joints.
    joint_order: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)


HIGHER_HRNET = TagRules()
NEWELL = TagRules(peak_cells=3, mean_square=True, stop_when_full=True)


def group_by_tags(
    heatmaps: np.ndarray, tags: np.ndarray, rules: TagRules = HIGHER_HRNET, *, shift: bool = True, fill: bool = True
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Group the joints of each image to people.

    Joint by joint, candidates (local maxima) are assigned to the people so far by the smallest sum of tag distances,
    rounded to integers so that the score decides between close ones. Unassigned candidates start a new person.

    Args:
        heatmaps: (N, K, H, W).
        tags: (N, K, H, W, T); T is 2 with a flip test, which adds the tags of the mirrored image.
        rules: thresholds of the published variant.
        shift: whether to shift joints by a quarter cell towards the higher neighbour.
        fill: whether to place missing joints where the map minus the rounded distance to the person's mean tag is
            highest.

    Returns:
        for each image keypoints (P, K, 2) float64 x y in cells, NaN where missing; their scores (P, K), 0 where
        missing; scores (P,) of the people, the mean over all joints before filling.
    """
    people = []
    for image_heat, image_tags in zip(heatmaps, tags, strict=True):
        cells, found = _group(image_heat, image_tags, rules)
        scores = np.where(found, _at(image_heat, cells), 0)
        person_scores = scores.mean(axis=1)
        if fill:
            likely = _likely_cells(image_heat, image_tags, cells, found)
            cells = np.where(found[..., None], cells, likely)
            scores = np.where(found, scores, np.maximum(_at(image_heat, cells), 0))
        every_map = np.broadcast_to(image_heat, (len(cells), *image_heat.shape))
        keypoints = cells + quarter_always(every_map, cells) if shift else cells.astype(np.float64)
        people.append((np.where((scores > 0)[..., None], keypoints, np.nan), scores, person_scores))
    return people


def _at(maps: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Values (P, K, ...) of maps (K, H, W, ...) at cells (P, K, 2)."""
    return maps[np.arange(maps.shape[0]), cells[..., 1], cells[..., 0]]


def _candidates(heatmap: np.ndarray, rules: TagRules) -> np.ndarray:
    """Cells (C, 2) x y of local maxima of a map (H, W), highest first."""
    peak = (maximum_filter(heatmap, rules.peak_cells, mode="nearest") == heatmap) & (heatmap > rules.min_score)
    y, x = np.nonzero(peak)
    best = np.argsort(-heatmap[y, x], kind="stable")[: rules.max_people]
    return np.stack([x[best], y[best]], axis=1)


def _group(heatmaps: np.ndarray, tags: np.ndarray, rules: TagRules) -> tuple[np.ndarray, np.ndarray]:
    """Cells (P, K, 2) of the joints of the people in one image, and whether they are found, (P, K) bool."""
    K = len(heatmaps)
    people: list[_Person] = []
    for joint in rules.joint_order:
        if rules.stop_when_full and len(people) >= rules.max_people:
            continue
        cells = _candidates(heatmaps[joint], rules)
        joint_tags = tags[joint, cells[:, 1], cells[:, 0]]
        scores = heatmaps[joint, cells[:, 1], cells[:, 0]]
        joined = _join(joint_tags, scores, people[: rules.max_people], rules)
        for cell, tag, row in zip(cells, joint_tags, joined, strict=True):
            if row < 0:
                row = next((i for i, person in enumerate(people) if person.first_tag == tag[0]), -1)
                if row < 0:
                    people.append(_Person(K, tag))
                people[row].tags.clear()
            people[row].cells[joint] = cell
            people[row].found[joint] = True
            people[row].tags.append(tag)
    if not people:
        return np.zeros((0, K, 2), int), np.zeros((0, K), bool)
    return np.stack([person.cells for person in people]), np.stack([person.found for person in people])


class _Person:
    """The joints assigned to a person so far. No two people have the same `first_tag`."""

    def __init__(self, num_joints: int, tag: np.ndarray) -> None:
        self.first_tag = tag[0]
        self.tags = [tag]
        self.cells = np.zeros((num_joints, 2), int)
        self.found = np.zeros(num_joints, bool)


def _join(tags: np.ndarray, scores: np.ndarray, people: list[_Person], rules: TagRules) -> np.ndarray:
    """Index of the person to which each candidate is assigned, (C,), -1 for a new one; tags (C, T), scores (C,)."""
    joined = np.full(len(tags), -1)
    if not people or not len(tags):
        return joined
    means = np.stack([np.mean(person.tags, axis=0) for person in people])
    squared = (tags[:, None] - means) ** 2
    distances = np.sqrt(squared.mean(axis=2) if rules.mean_square else squared.sum(axis=2))
    costs = np.round(distances) * 100 - scores[:, None].astype(np.float64)
    costs = np.pad(costs, ((0, 0), (0, max(0, len(tags) - len(people)))), constant_values=_NO_PERSON)
    # With the minimum of each row subtracted, equal distances have exactly equal costs.
    rows, columns = linear_sum_assignment(costs - costs.min(axis=1, keepdims=True))
    near = np.pad(distances, ((0, 0), (0, costs.shape[1] - len(people))), constant_values=np.inf) < rules.max_distance
    joined[rows] = np.where(near[rows, columns], columns, -1)
    return joined


def _likely_cells(heatmaps: np.ndarray, tags: np.ndarray, cells: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Cells (P, K, 2) that fit the mean tag of each person best, for each joint."""
    K, H, W = heatmaps.shape
    likely = np.zeros_like(cells)
    for person, (person_cells, person_found) in enumerate(zip(cells, found, strict=True)):
        mean = _at(tags, person_cells)[person_found].mean(axis=0)
        fit = heatmaps - np.round(np.linalg.norm(tags - mean, axis=3))
        y, x = np.divmod(fit.reshape(K, H * W).argmax(axis=1), W)
        likely[person] = np.stack([x, y], axis=1)
    return likely
