"""Groups DeeperCut's part detections to people: probabilities of pairs from predicted offsets, then a graph partition.

Insafutdinov et al. 2016, "DeeperCut", sections 3 and 4, with the constants of the published code. The pair of two
different joints has four features, of the offset that is predicted at one detection and the one to the other: distance
and angle, in both directions; a logistic regression turns them into a probability of one person.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from estimators.graph_partition import partition
from posetrail.errors import InputError

STRIDE_PX = 8
_MIN_PROBABILITY = 0.2  # of a detection
_RADIUS_CELLS = 5  # within which a detection suppresses others of the same joint
_SAME_JOINT = (0.2, 7.5)  # slope per pixel and offset: two detections of one joint are one person's if they are near
_SURE = 1e-7  # probabilities are cut at this distance from 0 and 1
PAIRS_SUFFIX = ".pairs.npz"


@dataclass(frozen=True, eq=False)
class PairModel:
    """Statistics and logistic regressions of pairs of different joints; each array is a field of an .npz file."""

    stats_mean: np.ndarray  # (K, K, 2) pixels, of the offset from a joint to another
    stats_std: np.ndarray  # (K, K, 2)
    weights: np.ndarray  # (K, K, 9) for joints a < b: four features, their exponentials exp(-f), 1; NaN: pair not used
    x_min: np.ndarray  # (K, K, 8) smallest features, which become 0
    x_max: np.ndarray  # (K, K, 8) largest ones, which become 1


@dataclass(frozen=True, eq=False)
class Detections:
    """D detections of joints in an image, those of joint 0 first."""

    joints: np.ndarray  # (D,) int
    cells: np.ndarray  # (D, 2) int x y
    places: np.ndarray  # (D, 2) pixels
    probabilities: np.ndarray  # (D,)

    @property
    def centres(self) -> np.ndarray:
        """(D, 2) pixels, the centres of the cells."""
        return _centres(self.cells)


def read_pairs(weights: Path) -> PairModel:
    """Read the pair model beside a weights file: NAME.pairs.npz for NAME.safetensors.

    Raises:
        InputError: there is no such file, or it lacks an array.
    """
    path = weights.with_name(weights.stem + PAIRS_SUFFIX)
    try:
        with np.load(path) as arrays:
            return PairModel(**{name: arrays[name] for name in PairModel.__dataclass_fields__})
    except (OSError, KeyError, ValueError) as error:
        names = ", ".join(PairModel.__dataclass_fields__)
        raise InputError(
            f"weights {weights}: expected statistics and regressions of pairs in {path} ({names}), got none that can "
            f"be read ({error}); see docs/how-to/networks.md"
        ) from None


def detect(probabilities: np.ndarray, offsets: np.ndarray) -> Detections:
    """Detections of every joint: cells by falling probability that no better one within 5 cells suppresses.

    Args:
        probabilities: (K, h, w).
        offsets: (2 K, h, w) x and y from the centre of the cell, pixels.
    """
    height, width = probabilities.shape[1:]
    joints: list[int] = []
    cells: list[tuple[int, int]] = []
    for k, each in enumerate(probabilities):
        free = each >= _MIN_PROBABILITY
        for cell in np.argsort(-each, axis=None, kind="stable"):
            y, x = divmod(int(cell), width)
            if each[y, x] < _MIN_PROBABILITY:
                break
            if free[y, x]:
                joints.append(k)
                cells.append((x, y))
                yy, xx = np.ogrid[:height, :width]
                free &= (yy - y) ** 2 + (xx - x) ** 2 > _RADIUS_CELLS**2
    return _detections(probabilities, offsets, np.array(joints, int), np.array(cells, int).reshape(-1, 2))


def single_person(probabilities: np.ndarray, offsets: np.ndarray) -> Detections:
    """The most probable cell of each joint, for images of one person."""
    K, _, width = probabilities.shape
    y, x = np.divmod(probabilities.reshape(K, -1).argmax(axis=1), width)
    return _detections(probabilities, offsets, np.arange(K), np.stack([x, y], axis=1))


def _detections(probabilities: np.ndarray, offsets: np.ndarray, joints: np.ndarray, cells: np.ndarray) -> Detections:
    x, y = cells.T
    within = offsets.reshape(-1, 2, *offsets.shape[1:])[joints, :, y, x]
    return Detections(joints, cells, _centres(cells) + within, probabilities[joints, y, x].astype(np.float64))


def _centres(cells: np.ndarray) -> np.ndarray:
    return np.asarray(cells * STRIDE_PX + STRIDE_PX / 2)


def pair_probabilities(found: Detections, pairwise: np.ndarray, model: PairModel) -> np.ndarray:
    """Probability (D, D) that two detections are of one person; 0.5 for pairs that the model does not use.

    Args:
        found: the detections.
        pairwise: (2 K (K - 1), h, w) normalised offsets from each joint to each other one.
        model: statistics and regressions.
    """
    D, K = len(found.joints), len(model.stats_mean)
    a, b = np.triu_indices(D, 1)
    joint_a, joint_b = found.joints[a], found.joints[b]
    slope, offset = _SAME_JOINT
    distance = np.linalg.norm(found.places[a] - found.places[b], axis=1)
    same = _sigmoid(offset - slope * distance)
    other = np.minimum(joint_a + 1, K - 1)  # any other joint, where both are the same
    other_b = np.where(joint_a == joint_b, np.where(joint_a == K - 1, 0, other), joint_b)
    features = np.concatenate(
        [
            _features(found, a, b, joint_a, other_b, pairwise, model),
            _features(found, b, a, other_b, joint_a, pairwise, model),
        ],
        axis=1,
    )
    features = np.concatenate([features, np.exp(-features)], axis=1)
    low, high = model.x_min[joint_a, other_b], model.x_max[joint_a, other_b]
    scaled = np.concatenate([(features - low) / (high - low), np.ones((len(a), 1))], axis=1)
    different = _sigmoid((scaled * model.weights[joint_a, other_b]).sum(axis=1))
    probabilities = np.full((D, D), 0.5)
    probabilities[a, b] = np.where(joint_a == joint_b, same, np.where(np.isnan(different), 0.5, different))
    probabilities[b, a] = probabilities[a, b]
    return probabilities


def _features(
    found: Detections,
    start: np.ndarray,
    end: np.ndarray,
    joint: np.ndarray,
    to: np.ndarray,
    pairwise: np.ndarray,
    model: PairModel,
) -> np.ndarray:
    """Distance and angle (P, 2) between predicted offsets from `joint` at `start` and the real ones to `end`."""
    K = len(model.stats_mean)
    channel = 2 * ((K - 1) * joint + to - (joint < to))
    x, y = found.cells[start].T
    normalised = np.stack([pairwise[channel, y, x], pairwise[channel + 1, y, x]], axis=1)
    predicted = normalised * model.stats_std[joint, to] + model.stats_mean[joint, to]
    real = found.places[end] - found.centres[start]
    cosine = (real * predicted).sum(axis=1) / np.maximum(
        np.linalg.norm(real, axis=1) * np.linalg.norm(predicted, axis=1), 1e-12
    )
    return np.stack([np.linalg.norm(real - predicted, axis=1), np.arccos(np.clip(cosine, -1, 1))], axis=1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -50, 50))))


def costs_of(probabilities: np.ndarray) -> np.ndarray:
    """Costs log((1 - p) / p), of the same shape."""
    p = np.clip(probabilities, _SURE, 1 - _SURE)
    return np.asarray(np.log((1 - p) / p))


def group_by_partition(
    probabilities: np.ndarray, offsets: np.ndarray, pairwise: np.ndarray, model: PairModel
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group the joints of one image to people.

    Args:
        probabilities: (K, h, w).
        offsets: (2 K, h, w) pixels.
        pairwise: (2 K (K - 1), h, w), normalised.
        model: statistics and regressions of pairs.

    Returns:
        keypoints (P, K, 2) pixels, NaN where missing; scores (P, K), 0 where missing; scores (P,) of the people, the
        mean over all joints.
    """
    found = detect(probabilities, offsets)
    between = costs_of(pair_probabilities(found, pairwise, model))
    labels = partition(costs_of(found.probabilities), between)
    return people_of(found, labels, len(probabilities))


def people_of(found: Detections, labels: np.ndarray, num_joints: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People of the clusters (D,): detections of one joint are averaged by probability; see `group_by_partition`."""
    P = int(labels.max(initial=-1)) + 1
    weight, place, highest = np.zeros((P, num_joints)), np.zeros((P, num_joints, 2)), np.zeros((P, num_joints))
    chosen = labels >= 0
    rows = labels[chosen], found.joints[chosen]
    p = found.probabilities[chosen]
    np.add.at(weight, rows, p)
    np.add.at(place, rows, p[:, None] * found.places[chosen])
    np.maximum.at(highest, rows, p)
    with np.errstate(invalid="ignore"):
        keypoints = place / weight[..., None]
    return keypoints, highest, highest.mean(axis=1) if num_joints else np.zeros(P)
