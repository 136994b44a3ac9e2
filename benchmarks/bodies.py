"""Articulated bodies that walk, run, gesture, jump and tumble: joint angles over time and forward kinematics.

A gait is one sine per limb whose rate and amplitude grow with speed (about one stride per second at 1.4 m/s and 1.7 at
5 m/s), and an action is a slow sum of sines added to it. This gives what matters to a tracker: limbs that move against
each other, and boxes that change their size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ANGLES = ("hip", "hip_side", "knee", "shoulder", "shoulder_side", "elbow")
_RANGES = np.array([0.5, 0.25, 0.7, 1.4, 1.0, 1.2])  # radians, at liveliness 1

# Lengths as shares of the height.
_THIGH, _SHANK, _UPPER_ARM, _FOREARM, _SPINE = 0.245, 0.246, 0.17, 0.17, 0.29
_HIP_HALF, _SHOULDER_HALF, _ANKLE_HEIGHT, _HEAD_ABOVE_SHOULDERS = 0.055, 0.11, 0.04, 0.12
HEAD_DIAGONAL = 0.19  # of the head box, as a share of the height


@dataclass(frozen=True, eq=False)
class Action:
    """Limb motion in addition to the gait: P people, 2 sides, 6 angles, 2 sines each."""

    liveliness: np.ndarray  # (P,) 0 (still) to 1 (dancing)
    rates_hz: np.ndarray  # (P, 2, 6, 2)
    phases: np.ndarray  # (P, 2, 6, 2)
    jumps_per_s: np.ndarray  # (P,) 0 for people who do not jump
    tumbles_per_s: np.ndarray  # (P,) whole turns, as in cartwheels; 0 for people who stay upright

    @classmethod
    def draw(
        cls, rng: np.random.Generator, people: int, liveliness: tuple[float, float], jumpers: float, tumblers: float
    ) -> Action:
        """Draw actions: liveliness from a range, and shares of people who jump and who tumble."""
        shape = (people, 2, len(_ANGLES), 2)
        return cls(
            rng.uniform(*liveliness, people),
            rng.uniform(0.2, 1.6, shape),
            rng.uniform(0, 2 * np.pi, shape),
            np.where(rng.random(people) < jumpers, rng.uniform(0.3, 1.2, people), 0.0),
            np.where(rng.random(people) < tumblers, rng.uniform(0.3, 0.9, people), 0.0),
        )


def bodies(
    times: np.ndarray, speeds: np.ndarray, facing: np.ndarray, heights: np.ndarray, action: Action
) -> np.ndarray:
    """Joints of all people relative to their positions on the ground.

    Args:
        times: (T,) seconds.
        speeds: (T, P) metres per second over the ground.
        facing: (T, P) radians: 0 to the right of the ground plane, pi / 2 into its depth.
        heights: (P,) metres.
        action: of these people.

    Returns:
        (T, P, 17, 3) metres, COCO joints: right, up and into the depth.
    """
    angles = _angles(times, speeds, action)  # (T, P, 2, 6)
    hip, hip_side, knee, shoulder, shoulder_side, elbow = np.moveaxis(angles, 3, 0)
    side = np.array([1.0, -1.0])  # left, right
    lean = np.clip(0.05 * speeds, 0, 0.3)[..., None]

    def chain(start: np.ndarray, swing: np.ndarray, spread: np.ndarray, length: float) -> np.ndarray:
        """The end of a limb that hangs from `start`, swung forward and spread to its side."""
        step = np.stack([np.sin(swing) * np.cos(spread), -np.cos(swing) * np.cos(spread), side * np.sin(spread)], -1)
        return start + length * step

    hips = np.zeros((*hip.shape, 3))
    hips[..., 2] = side * _HIP_HALF
    knees = chain(hips, hip, hip_side, _THIGH)
    ankles = chain(knees, hip - knee, hip_side, _SHANK)
    up = np.stack([np.sin(lean), np.cos(lean), np.zeros_like(lean)], -1)  # (T, P, 1, 3)
    shoulders = hips * [1, 1, _SHOULDER_HALF / _HIP_HALF] + _SPINE * up
    elbows = chain(shoulders, shoulder, shoulder_side, _UPPER_ARM)
    wrists = chain(elbows, shoulder + elbow, shoulder_side, _FOREARM)
    head = (_SPINE + _HEAD_ABOVE_SHOULDERS) * up
    nose = head + np.array([0.055, 0.0, 0.0])
    eyes = head + np.stack([np.full(2, 0.045), np.full(2, 0.018), side * 0.018], -1)
    ears = head + np.stack([np.zeros(2), np.full(2, 0.008), side * 0.042], -1)
    joints = np.concatenate([nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles], axis=2)

    joints = _turned(joints, (0, 1), _tumble(times, action))
    joints[..., 1] += _ANKLE_HEIGHT - joints[..., 1].min(axis=2, keepdims=True) + _jump(times, action)[..., None]
    return _turned(joints * heights[:, None, None], (0, 2), facing)


def _angles(times: np.ndarray, speeds: np.ndarray, action: Action) -> np.ndarray:
    steps_s = np.diff(times, prepend=times[0])
    stride_hz = np.clip(0.65 + 0.22 * speeds, 0, 2.2)
    first = action.phases[:, 0, 0, 0]
    phase = first + 2 * np.pi * np.cumsum(stride_hz * steps_s[:, None], axis=0)
    phase = phase[..., None] + np.array([0.0, np.pi])  # (T, P, 2): the legs alternate
    going = np.clip(speeds / 0.5, 0, 1)[..., None]
    swing = going * np.clip(0.22 + 0.14 * speeds, 0, 0.85)[..., None]
    running = np.clip((speeds - 1.5) / 2, 0, 1)[..., None]

    gait = np.zeros((*phase.shape, len(_ANGLES)))
    gait[..., 0] = swing * np.sin(phase)
    gait[..., 2] = swing * (1.1 + np.cos(phase + 0.4))
    gait[..., 3] = -0.8 * swing * np.sin(phase)
    gait[..., 4] = 0.1
    gait[..., 5] = 0.25 + 1.1 * running

    turning = 2 * np.pi * times[:, None, None, None, None] * action.rates_hz + action.phases
    waves = np.sin(turning).mean(axis=4)  # (T, P, 2, 6)
    moved = action.liveliness[:, None, None] * _RANGES * waves
    # Knees and elbows bend in one direction; arms spread outwards.
    moved[..., [2, 4, 5]] = np.abs(moved[..., [2, 4, 5]])
    return gait + moved


def _jump(times: np.ndarray, action: Action) -> np.ndarray:
    """(T, P) height above the ground, as a share of the body height."""
    beat = np.sin(2 * np.pi * times[:, None] * action.jumps_per_s + action.phases[:, 0, 1, 0])
    return np.where(action.jumps_per_s > 0, 0.3 * np.clip(beat, 0, None), 0.0)


def _tumble(times: np.ndarray, action: Action) -> np.ndarray:
    """(T, P) radians from upright: one whole turn, then a rest."""
    turns = times[:, None] * action.tumbles_per_s + action.phases[:, 0, 2, 0]
    return 2 * np.pi * np.clip(2 * (turns % 1.0) - 1, 0, 1) * (action.tumbles_per_s > 0)


def _turned(joints: np.ndarray, axes: tuple[int, int], angle: np.ndarray) -> np.ndarray:
    """Joints (T, P, K, 3) turned by angles (T, P) in the plane of two axes."""
    a, b = axes
    cos, sin = np.cos(angle)[..., None], np.sin(angle)[..., None]
    out = joints.copy()
    out[..., a] = cos * joints[..., a] - sin * joints[..., b]
    out[..., b] = sin * joints[..., a] + cos * joints[..., b]
    return out
