"""The motion of tracklets at their ends, and how well the end of one and the start of another fit together.

The model is that of motion.py, with noise of its own: a Kalman filter whose velocity is an Ornstein-Uhlenbeck process.
It is run forward over the last poses of the earlier tracklet and backward in time over the first poses of the later
one. Outliers count less, as in a filter with Student's t noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracker.association.motion import velocity_decay

_SPEED_STD = 2.0  # body sizes per second: spread of people's velocities
_VELOCITY_DECAY_S = 1.0
_POSITION_NOISE = 0.06  # body sizes
_TAIL = 4.0  # degrees of freedom of Student's t: people turn, and networks err
_SIZE_SPREAD = 0.3  # of the logarithm of the size: boxes change with the pose
_SIZE_WEIGHT, _TYPICAL_SIZE_TERM, _MAX_SIZE_TERM = 1.0, 0.5, 3.0


@dataclass(frozen=True, eq=False)
class Motion:
    """Positions and velocities (M,) and their uncertainty, in camera-stabilised pixels; variances in body sizes."""

    position: np.ndarray  # (M, 2) pixels
    velocity: np.ndarray  # (M, 2) pixels per second
    position_var: np.ndarray  # (M,)
    covariance: np.ndarray  # (M,) of position and velocity
    velocity_var: np.ndarray  # (M,)
    size: np.ndarray  # (M,) pixels

    def __getitem__(self, rows: np.ndarray) -> Motion:
        return Motion(*(value[rows] for value in vars(self).values()))

    def predicted(self, elapsed_s: np.ndarray) -> Motion:
        """The prediction step of the filter over `elapsed_s` (M,)."""
        kept, reach, added = velocity_decay(elapsed_s, _VELOCITY_DECAY_S, _SPEED_STD)
        return Motion(
            self.position + reach[:, None] * self.velocity,
            kept[:, None] * self.velocity,
            self.position_var + 2 * reach * self.covariance + reach**2 * self.velocity_var + added[0],
            kept * (self.covariance + reach * self.velocity_var) + added[1],
            kept**2 * self.velocity_var + added[2],
            self.size,
        )

    def corrected(self, positions: np.ndarray) -> Motion:
        """The correction step by measured positions (M, 2); the noise grows with the distance (Student's t)."""
        offsets = positions - self.position
        noise = _POSITION_NOISE**2
        squared = (offsets**2).sum(axis=1) / self.size**2 / (self.position_var + noise)
        total = self.position_var + noise * np.maximum(1.0, (_TAIL + squared) / (_TAIL + 2))
        position_gain, velocity_gain = self.position_var / total, self.covariance / total
        return replace(
            self,
            position=self.position + position_gain[:, None] * offsets,
            velocity=self.velocity + velocity_gain[:, None] * offsets,
            position_var=self.position_var * (1 - position_gain),
            covariance=self.covariance * (1 - position_gain),
            velocity_var=self.velocity_var - velocity_gain * self.covariance,
        )


def motion_at_end(ends: np.ndarray) -> Motion:
    """The motion at the last of the poses (M, E, 4): time_s, x, y, size; times increase, NaN before the first pose."""
    first = np.isfinite(ends[:, :, 0]).argmax(axis=1)
    times, positions = ends[:, :, 0], ends[:, :, 1:3]
    zeros = np.zeros(len(ends))
    motion = Motion(
        position=positions[np.arange(len(ends)), first],
        velocity=np.zeros((len(ends), 2)),
        position_var=zeros + _POSITION_NOISE**2,
        covariance=zeros,
        velocity_var=zeros + _SPEED_STD**2,
        size=np.exp(np.nanmedian(np.log(ends[:, :, 3]), axis=1)),
    )
    for k in range(1, ends.shape[1]):
        begun = (k > first)[:, None]
        updated = motion.predicted(times[:, k] - times[:, k - 1]).corrected(positions[:, k])
        pairs = zip(vars(updated).values(), vars(motion).values(), strict=True)
        motion = Motion(*(np.where(begun[:, 0] if new.ndim == 1 else begun, new, old) for new, old in pairs))
    return motion


def motion_at_start(starts: np.ndarray) -> Motion:
    """The motion at the first of the poses (M, E, 4), backward in time: `motion_at_end` of the reversed poses."""
    return motion_at_end(starts[:, ::-1] * np.array([-1.0, 1.0, 1.0, 1.0]))


def motion_evidence(earlier: Motion, later: Motion, gap_s: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Log odds (L,) that pairs of tracklets are of one person, by motion and size.

    The earlier motion is predicted over the gap and compared with the later one in position and velocity. The
    alternative is a new person: anywhere within about a body size, at any speed.

    Args:
        earlier: (L,) of `motion_at_end`.
        later: (L,) of `motion_at_start`, backward in time.
        gap_s: (L,) seconds between them.
        offsets: (L, 2) pixels, added to the later positions: by how much they differ because of other joints.
    """
    ahead = earlier.predicted(gap_s)
    size = np.sqrt(ahead.size * later.size)[:, None]
    position_off = (later.position - ahead.position + offsets) / size
    velocity_off = (-later.velocity - ahead.velocity) / size
    position_var, velocity_var = ahead.position_var + later.position_var, ahead.velocity_var + later.velocity_var
    covariance = ahead.covariance - later.covariance  # velocities have the opposite sign backward in time
    det = np.maximum(position_var * velocity_var - covariance**2, 1e-12)
    squared = velocity_var * (position_off**2).sum(axis=1) + position_var * (velocity_off**2).sum(axis=1)
    squared = (squared - 2 * covariance * (position_off * velocity_off).sum(axis=1)) / det
    evidence = -(_TAIL + 4) / 2 * np.log1p(squared / _TAIL) - np.log(det / (2 * _SPEED_STD**2))
    growth = np.log(later.size / ahead.size) / _SIZE_SPREAD
    return evidence - _SIZE_WEIGHT * np.minimum(growth**2 / 2 - _TYPICAL_SIZE_TERM, _MAX_SIZE_TERM)
