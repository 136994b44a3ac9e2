"""Simulates what networks observe of a world: its ground truth with the errors of detectors and pose estimators.

The rates are set so that perfect ids and trackers of increasing quality score about as published for real sequences
(`benchmarks.association` prints them). Errors come in bursts, as real ones do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from benchmarks.worlds import Seen, World
from posetrail.poses import Poses
from posetrail.similarity import keypoint_boxes
from posetrail.skeletons import COCO_17

Profile = Literal["usual", "high", "low"]
PROFILES: tuple[Profile, ...] = ("usual", "high", "low")
LONGEST_BURST = 15  # frames
_SIGMAS = np.array(COCO_17.oks_sigmas)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Rates of errors, as shares of annotated people in frames unless stated otherwise."""

    missing: float  # not observed, in bursts of 1 to 15 frames
    jitter: float  # standard deviation of a joint, relative to that of OKS (2 x sigma x sqrt(area))
    lost_joints: float  # share of joints at random places of the body, or missing
    swapped: float  # left and right exchanged in legs, arms or both
    duplicates: float  # observed twice
    merged: float  # one pose for two overlapping people, with joints of both
    false: float  # poses where there is no person
    box_jitter: float  # standard deviation of a box's sides, relative to them
    part_boxes: float  # share of partly hidden people whose box is around the visible part only


EASY = Noise(
    missing=0.03,
    jitter=0.022,
    lost_joints=0.004,
    swapped=0.006,
    duplicates=0.008,
    merged=0.008,
    false=0.01,
    box_jitter=0.02,
    part_boxes=0.3,
)
HARD = Noise(
    missing=0.17,
    jitter=0.05,
    lost_joints=0.055,
    swapped=0.02,
    duplicates=0.028,
    merged=0.02,
    false=0.042,
    box_jitter=0.03,
    part_boxes=0.3,
)
LEVELS = {"easy": EASY, "hard": HARD}


@dataclass(frozen=True, eq=False)
class _Observed:
    """Poses before they become `Poses`: rows of all frames."""

    frames: np.ndarray
    owners: np.ndarray  # row of the person, -1 for none
    keypoints: np.ndarray
    joint_scores: np.ndarray
    boxes: np.ndarray
    latents: np.ndarray  # logit of the box score


def observe(world: World, noise: Noise, profile: Profile, rng: np.random.Generator) -> list[Poses]:
    """The poses of every frame, in shuffled order of people, COCO joints."""
    return [poses for poses, _ in observe_with_owners(world, noise, profile, rng)]


def observe_with_owners(
    world: World, noise: Noise, profile: Profile, rng: np.random.Generator
) -> list[tuple[Poses, np.ndarray]]:
    """The same with the id of the person of each pose, -1 for none."""
    people = world.people
    people = people[people.visible.sum(axis=1) >= 2]  # the others are never observed
    steadiness = _slow(people, 3, rng)  # (N, 3): quality of box, joints and scores over time
    observed = _true_poses(people, steadiness, noise, rng)
    observed = _merged(observed, people, noise.merged, rng)
    kept = ~_missed(people, noise.missing, rng)
    observed = _rows(observed, kept[observed.owners])
    observed = _joined(
        [observed, _duplicates(observed, people, noise.duplicates, rng), _false(world, observed, noise.false, rng)]
    )
    scores, joint_scores = _profiled(observed, profile)

    out = []
    for frame in range(len(world.times)):
        rows = rng.permutation(np.flatnonzero(observed.frames == frame))
        keypoints = np.where(joint_scores[rows, :, None] > 0, observed.keypoints[rows], np.nan)
        poses = Poses(keypoints, joint_scores[rows], observed.boxes[rows], scores[rows], np.zeros(len(rows)))
        out.append((poses, np.where(observed.owners[rows] >= 0, people.ids[observed.owners[rows]], -1)))
    return out


def without_joints(poses: Poses) -> Poses:
    """The poses as of a detector alone: boxes and their scores."""
    none = np.full_like(poses.keypoints, np.nan)
    return Poses(none, np.zeros_like(poses.keypoint_scores), poses.boxes, poses.scores, poses.propagated)


def _slow(people: Seen, width: int, rng: np.random.Generator) -> np.ndarray:
    """(N, width) standard normal values that change slowly over each person's frames."""
    values = rng.normal(0, 1, (len(people), width))
    for person in np.unique(people.ids):
        rows = np.flatnonzero(people.ids == person)
        for before, now in pairwise(rows):
            if people.frames[now] == people.frames[before] + 1:
                values[now] = 0.85 * values[before] + np.sqrt(1 - 0.85**2) * values[now]
    return values


def _bursts(people: Seen, share: float, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) bool: a share of the rows, in bursts of 1 to 15 frames of a person, mostly from large weights (N,) on."""
    hit = np.zeros(len(people), bool)
    number = round(share * len(people))
    at = {key: row for row, key in enumerate(zip(people.ids.tolist(), people.frames.tolist(), strict=True))}
    keys = list(at)
    starts = rng.choice(len(people), 4 * len(people), p=weights / weights.sum()) if len(people) else []
    lengths = np.minimum(rng.geometric(0.36, len(starts)), LONGEST_BURST)
    for start, length in zip(starts, lengths, strict=True):
        if hit.sum() >= number:
            break
        person, frame = keys[start]
        around = [at[person, t] for t in (frame - 1, frame + length) if (person, t) in at]
        if hit[around].any():
            continue  # two adjacent bursts would be one that is too long
        rows = [at[person, t] for t in range(frame, frame + length) if (person, t) in at]
        hit[rows] = True
    return hit


def _missed(people: Seen, share: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) bool: people who are hardly visible, and others in bursts, up to this share of the annotated ones."""
    shows = people.visible.mean(axis=1)
    annotated = people.annotated.any(axis=1)
    missed = (shows < 0.2) | ~annotated
    rest = np.flatnonzero(~missed)
    # Hidden people count as missed, so that the share is of all annotated people.
    left = share - (missed & annotated).sum() / max(annotated.sum(), 1)
    weights = 0.4 + 3 * (1 - shows[rest]) + (people.heights[rest] < 60)
    missed[rest] = _bursts(people[rest], max(left, 0.0) * annotated.sum() / max(len(rest), 1), weights, rng)
    return missed


def _true_poses(people: Seen, steadiness: np.ndarray, noise: Noise, rng: np.random.Generator) -> _Observed:
    N = len(people)
    shown, size = people.visible, people.heights[:, None]
    # COCO's spread: 2 sigma sqrt(area); a standing body's area is about 0.25 of its height squared.
    spread = _SIGMAS * size * noise.jitter
    harder = np.exp(0.35 * steadiness[:, :1]) * np.where(people.hidden, 2.5, 1.0)
    slow = _slow(people, 34, rng).reshape(N, 17, 2)
    quick = rng.standard_t(2.5, (N, 17, 2)).clip(-12, 12)
    off = (spread * harder)[..., None] * (0.8 * slow + 0.5 * quick)
    lost = rng.random((N, 17)) < noise.lost_joints * np.exp(0.6 * steadiness[:, :1]) * np.where(people.hidden, 4, 1)
    somewhere = (
        people.boxes[:, None, :2] + rng.random((N, 17, 2)) * (people.boxes[:, 2:] - people.boxes[:, :2])[:, None]
    )
    keypoints = np.where(lost[..., None], somewhere, people.keypoints + off)
    keypoints = _swapped(people, keypoints, noise.swapped, rng)

    error = np.linalg.norm(keypoints - people.keypoints, axis=2) / (0.06 * size)
    latent = 1.6 + 0.4 * steadiness[:, 1:2] - 0.7 * np.minimum(error, 3) - 1.2 * ~shown + rng.normal(0, 0.6, (N, 17))
    unseen = ~people.in_view | (~shown & (rng.random((N, 17)) < 0.4)) | (lost & (rng.random((N, 17)) < 0.4))
    joint_scores = np.where(unseen, 0.0, _sigmoid(latent))

    part = keypoint_boxes(np.where(shown[..., None], people.keypoints, np.nan))
    grow = 0.06 * size * np.array([[-1, -1, 1, 1]])
    only_part = (rng.random(N) < noise.part_boxes) & (shown.sum(axis=1) < 15)  # a box around the visible part only
    whole = np.where(only_part[:, None], part + grow, people.boxes)
    sides = np.tile(whole[:, 2:] - whole[:, :2], 2)
    wobble = 0.7 * _slow(people, 4, rng) + 0.5 * rng.standard_t(3, (N, 4)).clip(-6, 6)
    boxes = whole + noise.box_jitter * sides * wobble

    box_latent = 1.5 + 0.7 * steadiness[:, 2] - 2.2 * (1 - shown.mean(axis=1)) + rng.normal(0, 0.5, N)
    return _Observed(people.frames, np.arange(N), keypoints, joint_scores, _upright(boxes), box_latent)


def _swapped(people: Seen, keypoints: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    arms, legs = np.arange(17) < 11, np.arange(17) >= 11
    which = rng.integers(3, size=len(people))
    joints = np.array([arms & (np.arange(17) >= 5), legs, arms | legs])[which]
    hit = _bursts(people, share, np.ones(len(people)), rng)
    return np.where((hit[:, None] & joints)[..., None], keypoints[:, COCO_17.mirror], keypoints)


def _merged(observed: _Observed, people: Seen, share: float, rng: np.random.Generator) -> _Observed:
    """Some pairs of people who overlap much become one pose with joints of both in a box around both."""
    gone = np.zeros(len(people), bool)
    keypoints, scores, boxes = observed.keypoints.copy(), observed.joint_scores.copy(), observed.boxes.copy()
    hit = _bursts(people, share, np.ones(len(people)), rng)
    for row in np.flatnonzero(hit):
        others = np.flatnonzero((people.frames == people.frames[row]) & (np.arange(len(people)) != row) & ~gone)
        near = np.linalg.norm(_middle(people.boxes[others]) - _middle(people.boxes[[row]]), axis=1)
        if gone[row] or not len(others) or near.min() > 0.3 * people.heights[row]:
            continue
        other = others[near.argmin()]
        theirs = rng.random(17) < 0.45
        keypoints[row, theirs], scores[row, theirs] = (
            observed.keypoints[other, theirs],
            observed.joint_scores[other, theirs],
        )
        boxes[row] = np.concatenate(
            [np.minimum(boxes[row, :2], boxes[other, :2]), np.maximum(boxes[row, 2:], boxes[other, 2:])]
        )
        gone[other] = True
    merged = _Observed(observed.frames, observed.owners, keypoints, scores, boxes, observed.latents)
    return _rows(merged, ~gone)


def _duplicates(observed: _Observed, people: Seen, share: float, rng: np.random.Generator) -> _Observed:
    twice = _bursts(people, share * len(people) / max(len(observed.frames), 1), np.ones(len(people)), rng)
    again = _rows(observed, twice[observed.owners])
    N, size = len(again.frames), people.heights[again.owners]
    # The second box is a little beside the first, and so are its joints.
    shift = rng.normal(0, 0.07, (N, 1, 2)) * size[:, None, None]
    joints = again.keypoints + shift + rng.normal(0, 0.03, (N, 17, 2)) * size[:, None, None]
    sides = np.tile(again.boxes[:, 2:] - again.boxes[:, :2], 2)
    boxes = again.boxes + np.tile(shift[:, 0], 2) + rng.normal(0, 0.1, (N, 4)) * sides
    weaker = np.abs(rng.normal(0, 1.0, N)) - 0.2
    scores = again.joint_scores * np.clip(1 - 0.15 * np.abs(rng.normal(0, 1, (N, 17))), 0.2, 1)
    return _Observed(again.frames, np.full(N, -1), joints, scores, _upright(boxes), again.latents - weaker)


def _false(world: World, observed: _Observed, share: float, rng: np.random.Generator) -> _Observed:
    """Poses without a person, two thirds of them for one or two frames, the others for longer at the same place."""
    people, T = world.people, len(world.times)
    number = round(share * people.annotated.any(axis=1).sum())
    frames, keypoints, scores, boxes, latents = [], [], [], [], []
    while sum(map(len, frames)) < number and len(people):
        length = 1 + rng.integers(2) if rng.random() < 0.67 else rng.integers(3, LONGEST_BURST + 1)
        first = rng.integers(T)
        t = np.arange(first, min(first + length, T))
        like = rng.integers(len(people))
        size = np.exp(rng.normal(np.log(people.heights[like]), 0.4))
        body = (people.keypoints[like] - _middle(people.boxes[[like]])[0]) / people.heights[like]
        if rng.random() < 0.5:  # scattered joints instead of a body
            body = rng.normal(0, [0.14, 0.25], (17, 2))
        place = rng.random(2) * world.size
        joints = place + size * (body + rng.normal(0, 0.03, (len(t), 17, 2)))
        around = keypoint_boxes(joints) + 0.05 * size * np.array([-1, -1, 1, 1])
        limits = np.array([*world.size, *world.size])
        frames.append(t)
        keypoints.append(joints)
        boxes.append(np.clip(around, 0, limits))
        personal = rng.normal(-0.5, 0.7)
        scores.append(_sigmoid(personal + rng.normal(0, 0.7, (len(t), 17))))
        latents.append(rng.normal(-0.7, 0.8) + rng.normal(0, 0.4, len(t)))
    if not frames:
        return _rows(observed, np.zeros(len(observed.frames), bool))
    t = np.concatenate(frames)[:number]
    parts = (np.concatenate(each)[:number] for each in (keypoints, scores, boxes, latents))
    joints, joint_scores, around, latent = parts
    outside = ((joints < 0) | (joints >= world.size)).any(axis=2)
    return _Observed(t, np.full(len(t), -1), joints, np.where(outside, 0, joint_scores), _upright(around), latent)


def _profiled(observed: _Observed, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """Scores on the scale of different detectors, without changing their order."""
    score, joint = _sigmoid(observed.latents), observed.joint_scores
    if profile == "high":  # nearly all true people above 0.9
        return 1 - (1 - score) ** 2.5, np.where(joint > 0, 1 - (1 - joint) ** 2, 0)
    if profile == "low":  # most true people between 0.3 and 0.6
        return 0.05 + 0.6 * score**1.3, 0.7 * joint
    return score, joint


def _rows(observed: _Observed, rows: np.ndarray) -> _Observed:
    return _Observed(*(value[rows] for value in vars(observed).values()))


def _joined(parts: Sequence[_Observed]) -> _Observed:
    return _Observed(*(np.concatenate(each) for each in zip(*(vars(part).values() for part in parts), strict=True)))


def _middle(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _upright(boxes: np.ndarray) -> np.ndarray:
    """Boxes with ordered corners and sides of at least one pixel."""
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    return np.concatenate([low, np.maximum(high, low + 1)], axis=1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
