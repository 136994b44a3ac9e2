"""Errors of pose estimators, made from annotated poses: the training input of refiners.

Moon, Chang and Lee 2019, "PoseFix: Model-agnostic General Human Pose Refinement Network", section 3, with the
probabilities of its published code, after the statistics of Ronchi and Perona 2017, "Benchmarking and Error Diagnosis
in Multi-Instance Pose Estimation". Distances are in terms of the similarity of a joint in OKS: a joint is at distance
d(q) from a place if its own OKS there is q.

    kind        around                                   distance
    good        the joint                                0 to d(.85)
    jitter      the joint                                d(.85) to d(.5)
    miss        the joint or any other candidate         d(.5) to d(.1), and beyond d(.5) of all other candidates
    inversion   the mirrored joint                       0 to d(.5)
    swap        the same or the mirrored joint of        0 to d(.5)
                another person

All these centres are the candidates of a joint. A drawn place counts only if its own centre is the nearest candidate. A
kind that finds no such place drops out, and the probabilities of the others are scaled up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from posetrail.similarity import box_intersection, keypoint_boxes
from posetrail.skeletons import Skeleton
from training.augment import Crop
from training.regions import mirrored
from training.samples import Samples

Kind = Literal["good", "jitter", "miss", "inversion", "swap"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_FIRST_TRIES = 20  # places drawn for one kind at first; mostly one of them counts
_TRIES, _TRIES_MISS = 500, 2000  # at most
_OTHER_CENTRES = 0.25  # share of the misses around a candidate other than the joint, relative to those around the joint
_FACE = ("nose", "eye", "ear", "head")
_LEGS = ("hip", "knee", "ankle", "toe", "heel", "foot", "pelvis")


@dataclass(frozen=True, eq=False)
class WrongPose:
    """A pose with errors."""

    keypoints: np.ndarray  # (K, 2) pixels; NaN where the joint is not annotated
    kinds: np.ndarray  # (K,) positions in KINDS; -1 where the joint is not annotated


def with_errors(
    rng: np.random.Generator, keypoints: np.ndarray, neighbours: np.ndarray, area: float, skeleton: Skeleton
) -> WrongPose:
    """Make errors in the pose of a person.

    Args:
        rng: the random numbers.
        keypoints: (K, 2) pixels, NaN where not annotated.
        neighbours: (M, K, 2) the people who overlap this person, likewise.
        area: of the person, pixels^2, as in OKS.
        skeleton: of the joints.
    """
    labelled = np.isfinite(keypoints).all(axis=1)
    chances = probabilities(skeleton, int(labelled.sum()), len(neighbours))
    wrong, kinds = np.full(keypoints.shape, np.nan), np.full(len(keypoints), -1)
    for k in np.flatnonzero(labelled):
        mirror = int(skeleton.mirror[k])
        own = keypoints[[mirror]] if mirror != k else np.zeros((0, 2))
        others = neighbours[:, np.unique([k, mirror])].reshape(-1, 2)
        joint = _Joint(keypoints[k], _finite(own), _finite(others), area, skeleton.oks_sigmas[k])
        wrong[k], kinds[k] = _drawn(rng, joint, chances[k])
    return WrongPose(wrong, kinds)


def wrong_pose(rng: np.random.Generator, samples: Samples, row: int) -> np.ndarray:
    """The joints (K, 2) of an annotated person with errors, pixels of the image; NaN where not labelled."""
    keypoints, area = samples.keypoints.astype(np.float64), float(samples.oks_areas[row])
    return with_errors(rng, keypoints[row], keypoints[neighbours(samples, row)], area, samples.skeleton).keypoints


def wrong_pose_in_crop(
    rng: np.random.Generator, samples: Samples, row: int, crop: Crop, image_width: int
) -> np.ndarray:
    """The joints (K, 2) in the training crop of an annotated person with errors, pixels of the crop."""
    others = samples.keypoints[neighbours(samples, row)].astype(np.float64)
    if crop.flipped:
        others = mirrored(others, image_width)[:, samples.skeleton.mirror]
    others = others @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    area = float(samples.oks_areas[row] * abs(np.linalg.det(crop.matrix[:, :2])))
    labelled = crop.visibility > 0
    keypoints = np.where(labelled[:, None], crop.keypoints, np.nan).astype(np.float64)
    return with_errors(rng, keypoints, others, area, samples.skeleton).keypoints


def neighbours(samples: Samples, row: int) -> np.ndarray:
    """Rows of the people in the same image whose joints' boxes overlap that of a person."""
    others = np.flatnonzero(samples.image_rows == samples.image_rows[row])
    others = others[(others != row) & samples.labelled[others].any(axis=1)]
    boxes = keypoint_boxes(samples.keypoints[others].astype(np.float64))
    own = keypoint_boxes(samples.keypoints[[row]].astype(np.float64))
    return others[box_intersection(own, boxes)[0] > 0]


def probabilities(skeleton: Skeleton, num_labelled: int, num_neighbours: int) -> np.ndarray:
    """The probabilities (K, 5) of the KINDS for each joint, as published for the 17 joints of COCO.

    Args:
        skeleton: the joints; those of other names than COCO's count as arms.
        num_labelled: annotated joints of the person.
        num_neighbours: people who overlap the person.
    """
    few, crowded = (
        num_labelled <= 10,
        (num_labelled <= 10 and num_neighbours > 0) or (num_labelled <= 15 and num_neighbours >= 3),
    )
    low, middle, high = (0.15, 0.20, 0.25) if few else (0.10, 0.15, 0.20)
    face, ends, rest = (0.15, 0.20, 0.25) if num_labelled <= 5 else (0.10, 0.13, 0.15) if few else (0.02, 0.05, 0.10)
    swaps = (0.02, 0.15, 0.10) if crowded else (0.01, 0.06, 0.03)
    table = np.zeros((len(skeleton), len(KINDS)))
    for k, joint in enumerate(skeleton.joints):
        part = 0 if _any(_FACE, joint) else 2 if _any(_LEGS, joint) else 1
        jitter = high if "hip" in joint else low if _any(("nose", "knee", "ankle"), joint) else middle
        miss = face if part == 0 else ends if _any(("shoulder", "ankle"), joint) else rest
        errors = (jitter, miss, (0.01, 0.03, 0.06)[part], swaps[part])
        table[k] = 1 - sum(errors), *errors
    return table


def distance(similarity: float, area: float, sigma: float) -> float:
    """Pixels from the place where a joint has this similarity of OKS, 0..1."""
    return float(np.sqrt(-2 * area * (2 * sigma) ** 2 * np.log(similarity)))


@dataclass(frozen=True, eq=False)
class _Joint:
    """A joint with the places that it may be taken for."""

    place: np.ndarray  # (2,)
    mirrored: np.ndarray  # (0 or 1, 2)
    others: np.ndarray  # (P, 2) of the neighbours
    area: float
    sigma: float

    @property
    def candidates(self) -> np.ndarray:
        return np.concatenate([self.place[None], self.mirrored, self.others])

    def reach(self, similarity: float) -> float:
        return distance(similarity, self.area, self.sigma)


def _drawn(rng: np.random.Generator, joint: _Joint, chances: np.ndarray) -> tuple[np.ndarray, int]:
    """A place (2,) for a joint, and its kind; the joint's own place if no kind finds one."""
    chances = chances.copy()
    while chances.sum() > 0:
        kind = int(rng.choice(len(KINDS), p=chances / chances.sum()))
        for tries in (_FIRST_TRIES, (_TRIES_MISS if KINDS[kind] == "miss" else _TRIES) - _FIRST_TRIES):
            places = _places(rng, joint, KINDS[kind], tries)
            if len(places):
                return places[0], kind
        chances[kind] = 0
    return joint.place, KINDS.index("good")


def _places(rng: np.random.Generator, joint: _Joint, kind: Kind, tries: int) -> np.ndarray:
    """Places (P, 2) of a kind that count, of so many that are drawn, in random order."""
    candidates = joint.candidates
    first_other = 1 + len(joint.mirrored)
    weights = np.zeros(len(candidates))
    match kind:
        case "good" | "jitter":
            weights[0] = 1
        case "miss":
            weights[:] = _OTHER_CENTRES
            weights[0] = 1
        case "inversion":
            weights[1:first_other] = 1
        case "swap":
            weights[first_other:] = 1
    if not weights.any():
        return np.zeros((0, 2))
    nearest, farthest = {
        "good": (0.0, joint.reach(0.85)),
        "jitter": (joint.reach(0.85), joint.reach(0.5)),
        "miss": (joint.reach(0.5), joint.reach(0.1)),
    }.get(kind, (0.0, joint.reach(0.5)))
    centres = rng.choice(len(candidates), tries, p=weights / weights.sum())
    angles = rng.uniform(0, 2 * np.pi, tries)
    steps = rng.uniform(nearest, farthest, tries)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    places = candidates[centres] + steps
    apart = np.linalg.norm(places[:, None] - candidates, axis=2)
    counts = apart.argmin(axis=1) == centres
    if kind == "miss":
        counts &= (apart > joint.reach(0.5) - 1e-9).all(axis=1)
    return places[counts]


def _finite(points: np.ndarray) -> np.ndarray:
    return points[np.isfinite(points).all(axis=1)]


def _any(parts: tuple[str, ...], joint: str) -> bool:
    return any(part in joint for part in parts)
