"""Movements of the points of a person 300 pixels tall, in metres: walking, kicking, jumping; noise; errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

HEIGHT_M = 1.75
HEIGHT_PX = 300.0


def stroke(u: np.ndarray) -> np.ndarray:
    """From 0 to 1 with the least jerk; its acceleration peaks at 5.77."""
    u = np.clip(u, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u**2)


def walk(times_s: np.ndarray) -> np.ndarray:
    """Hip, head, ankles and wrists at 1.4 m/s, a stride every 1.1 s, each foot on the ground for 60 % of it."""
    stride, speed = times_s / 1.1, 1.4
    hip = np.stack([speed * times_s, 0.95 + 0.025 * np.cos(4 * np.pi * stride)], axis=-1)
    points = [hip, hip + np.array([0, 0.7])]
    for phase in (0, 0.5):
        step, u = np.divmod(stride + phase, 1)
        swing = (u - 0.6) / 0.4
        lift = 0.12 * np.sin(np.pi * np.clip(swing, 0, 1)) ** 2
        points.append(np.stack([speed * 1.1 * (step - phase + stroke(swing)), 0.08 + lift], axis=-1))
        arm = 0.3 * np.sin(2 * np.pi * (stride + phase))
        points.append(hip + np.stack([arm, 0.1 + 0 * arm], axis=-1))
    return np.stack(points, axis=1) * HEIGHT_PX / HEIGHT_M


def kick(times_s: np.ndarray) -> np.ndarray:
    """An ankle that goes 1.5 m and back every 1.5 s; its acceleration peaks at 100 m/s^2."""
    reach, longest = 1.5, np.sqrt(5.77 * 1.5 / 100)
    u = times_s % 1.5 - 0.5
    out = reach * (stroke(u / longest) - stroke((u - longest) / (1.5 * longest)))
    return np.repeat((out[:, None] * [0.8, 0.6])[:, None], 6, axis=1) * HEIGHT_PX / HEIGHT_M


def jump(times_s: np.ndarray) -> np.ndarray:
    """An ankle that leaves the ground at 3 m/s, within 0.03 s (100 m/s^2), flies, and lands as it left."""
    push, up = 0.03, 3.0
    flight = 2 * up / 9.81
    u = times_s % 1.6 - 0.4
    rise = lambda s: 0.5 * up / push * np.clip(s, 0, push) ** 2  # noqa: E731
    fly = np.where((u > push) & (u < push + flight), up * (u - push) - 9.81 / 2 * (u - push) ** 2, 0)
    in_air = np.where(u < push + flight / 2, rise(u), rise(2 * push + flight - u))
    height = np.where((u > 0) & (u < 2 * push + flight), in_air + fly, 0)
    return np.repeat(np.stack([0 * u, height], axis=-1)[:, None], 6, axis=1) * HEIGHT_PX / HEIGHT_M


def jittered(paths: np.ndarray, rms: float = 0.025, seed: int = 0) -> np.ndarray:
    """Paths with Student's t noise of three degrees of freedom, `rms` heights on each axis."""
    return paths + np.random.default_rng(seed).standard_t(3, paths.shape) * rms / np.sqrt(3) * HEIGHT_PX


def errors(paths: np.ndarray, true: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Root mean square errors of position, velocity and acceleration, in heights, heights/s and heights/s^2."""
    off = (paths - true) / HEIGHT_PX
    step_s = np.median(np.diff(times_s))
    rates = [off, (off[2:] - off[:-2]) / (2 * step_s), np.diff(off, 2, axis=0) / step_s**2]
    return np.array([np.sqrt(np.nanmean((rate**2).sum(axis=2))) for rate in rates])


def uneven_times(random: np.random.Generator, T: int) -> np.ndarray:
    return 2.0 + np.cumsum(random.uniform(0.6, 1.4, T)) / 30


@st.composite
def wandering_paths(draw: Any, min_frames: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Positions (T, P, 2), some missing, and uneven times."""
    T, P = draw(st.integers(min_frames, 40)), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    positions = np.cumsum(random.normal(0, 8, (T, P, 2)), axis=0) + 400
    positions[random.random((T, P)) < draw(st.sampled_from([0, 0.2, 0.9]))] = np.nan
    return positions, uneven_times(random, T)
