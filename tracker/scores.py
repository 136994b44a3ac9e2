"""What a score means in this clip: every detector and estimator has a range of its own."""

from __future__ import annotations

import numpy as np

_TYPICAL = 0.65  # quality of true people by the networks that the settings' scores were chosen for
_PRIOR_PEOPLE = 2.0  # weight of that, before anything was seen, in people
_MEMORY_S = 20.0  # light and distance change: older scores count less


class ScoreScale:
    """Learns, from all poses seen so far, how sure of true people the networks are in this clip.

    The quality of the better ones is estimated by the mean of all qualities, weighted by their squares: false people
    have low scores and hardly count, so nobody need know yet who is true.
    """

    def __init__(self) -> None:
        self._weight = _PRIOR_PEOPLE * _TYPICAL**2
        self._sum = self._weight * _TYPICAL
        self._highest = 0.0

    def add(self, quality: np.ndarray, elapsed_s: float) -> None:
        """The qualities (N,) of a frame's poses, so long after the last frame's."""
        self._highest = max(self._highest, float(quality.max(initial=0)))
        kept = np.exp(-elapsed_s / _MEMORY_S)
        self._weight = self._weight * kept + float(quality @ quality)
        self._sum = self._sum * kept + float((quality * quality) @ quality)

    def score(self, score: float) -> float:
        """What a score of the settings comes to here; 0 where nothing had a score: then scores say nothing."""
        if self._highest == 0:
            return 0.0
        return score * self._sum / self._weight / _TYPICAL
