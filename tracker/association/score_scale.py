"""What a score means in this clip: every detector and estimator has a range of its own."""

from __future__ import annotations

import numpy as np

from posetrail.poses import Poses

_TYPICAL = 0.65  # quality of true people by the networks that the settings' scores were chosen for
_PRIOR_PEOPLE = 2.0  # weight of that, before anything was seen, in people
_MEMORY_S = 20.0  # light and distance change: older scores count less


class ScoreScale:
    """Learns, from all poses seen so far, how sure of true people the networks are in this clip.

    The quality of the better ones is estimated by the mean of all qualities, weighted by their squares: false people
    have low scores and hardly count, so nobody need know yet who is true.

    Args:
        adapt: whether to learn; otherwise every score stays as it is.
    """

    def __init__(self, *, adapt: bool) -> None:
        self._adapt = adapt
        self._last_s: float | None = None
        self._weight = _PRIOR_PEOPLE * _TYPICAL**2
        self._sum = self._weight * _TYPICAL
        self._highest = 0.0

    def add(self, poses: Poses, time_s: float) -> np.ndarray:
        """Learn from the next frame's poses; their qualities (N,) float64, 0 where a score is missing (NaN)."""
        quality = np.nan_to_num(poses.quality.astype(float))
        detected = quality[~poses.propagated]
        self._highest = max(self._highest, float(detected.max(initial=0)))
        kept = np.exp(-(time_s - self._last_s) / _MEMORY_S) if self._last_s is not None else 1.0
        self._weight = self._weight * kept + float(detected @ detected)
        self._sum = self._sum * kept + float((detected * detected) @ detected)
        self._last_s = time_s
        return quality

    def score(self, score: float) -> float:
        """What a score of the settings comes to here; 0 where nothing had a score: then scores say nothing."""
        if not self._adapt:
            return score
        if self._highest == 0:
            return 0.0
        return score * self._sum / self._weight / _TYPICAL
