"""Calibration of scores: networks differ in the scores they give to equally good poses."""

from __future__ import annotations

import numpy as np

from posetrail.poses import Poses

_REFERENCE_QUALITY = 0.65  # typical quality of correct poses of the networks for which the default settings were chosen
_PRIOR_POSES = 2.0  # weight of that value before any pose was seen, in poses
_NEUTRAL_SHARE = 0.66  # of new_track_score: a pose of this quality is evidence neither for nor against a person
_MEMORY_S = 20.0  # lighting and distance change: the weight of older poses decays with this time constant ...
_LEAST_WEIGHT = 1e-6  # ... but not to nothing: after hours without people the estimate is still the last one


class ScoreScale:
    """Estimates how high the networks score correct poses in this clip, from all frames so far.

    The estimate is the mean quality of all detected poses, weighted by the squared quality. False detections score low
    and hardly change it, so it needs no decision about which poses are correct.

    Args:
        adapt: whether to estimate; otherwise `threshold` returns its argument.
    """

    def __init__(self, *, adapt: bool) -> None:
        self._adapt = adapt
        self._last_s: float | None = None
        self._weight = _PRIOR_POSES * _REFERENCE_QUALITY**2
        self._sum = self._weight * _REFERENCE_QUALITY
        self._highest = 0.0

    def add(self, poses: Poses, time_s: float) -> np.ndarray:
        """Update the estimate with the next frame; the quality (N,) float64 of its poses, 0 where a score is NaN."""
        quality = poses.quality.astype(float)
        quality[np.isnan(quality)] = 0.0
        detected = quality[~poses.propagated]
        self._highest = max(self._highest, float(detected.max(initial=0)))
        decay = np.exp(-(time_s - self._last_s) / _MEMORY_S) if self._last_s is not None else 1.0
        decay = max(decay, _LEAST_WEIGHT / self._weight)
        self._weight = self._weight * decay + float(detected @ detected)
        self._sum = self._sum * decay + float((detected * detected) @ detected)
        self._last_s = time_s
        return quality

    def evidence(self, quality: np.ndarray, new_track_score: float) -> np.ndarray:
        """How much poses of this quality (N,) speak for a person: calibrated quality less a neutral one.

        1 for all where the settings ask for no score, or where all scores were 0 so far and mean nothing.
        """
        neutral = self.threshold(_NEUTRAL_SHARE * new_track_score)
        return _NEUTRAL_SHARE * new_track_score * (quality / neutral - 1) if neutral > 0 else np.ones(len(quality))

    def threshold(self, setting: float) -> float:
        """A threshold of the settings on this clip's scale; 0 as long as all scores were 0 and mean nothing."""
        if not self._adapt:
            return setting
        if self._highest == 0:
            return 0.0
        return setting * self._sum / self._weight / _REFERENCE_QUALITY
