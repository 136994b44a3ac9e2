"""The weights of the measures of doubt: every number that was fitted, in one place.

Each table belongs to a logistic regression, fitted by `python -m benchmarks.suspect_fit --hard 9 --easy 6` on the
worlds of the suite `dev`. A weight is the change of the log odds by one unit of its part; weights are not negative, so
that a larger part never lowers the doubt. docs/concepts/suspects.md has figures of other worlds. All of it is invented
noise: on real networks the doubt ranks places, but is no exact probability.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Parts = Mapping[str, np.ndarray]
"""What a doubt is made of: arrays (P,), one entry per place."""

LINK: Mapping[str, float] = {
    "constant": -3.49,
    "forward_lost": 0.18,  # the forward tracker does not hold the link
    "forward_other": 0.57,  # its track is another person's before the link, or after it, or both (2)
    "backward_lost": 0.0,
    "backward_other": 1.4,
    "exchange": 0.38,  # log odds gained by the best exchange with another track, -8 to 6
    "jump": 0.0,  # log odds against the link by motion: `exchange` contains them, and alone they add nothing
    "shape": 0.66,  # log odds against it by the body's shape
    "gap": 0.3,  # logarithm of the frames from pose to pose
    "low_score": 1.61,  # by which share the lower score of both poses is below the median of the clip
}
BIRTH: Mapping[str, float] = {
    "constant": -3.26,
    "join": 0.39,  # log odds of the best candidate, -8 to 6
    "away": 0.47,  # body sizes from the border, up to 1
    "covered": 0.0,  # share of the box that another person covers
    "poses": 0.39,  # logarithm of the number of poses of the track, up to 30
    "score": 1.85,  # of the pose, in medians of the clip
}
END: Mapping[str, float] = {
    "constant": -2.27,
    "join": 0.42,
    "away": 0.96,
    "covered": 0.93,
    "poses": 0.0,
    "score": 1.3,
}
DUPLICATE: Mapping[str, float] = {
    "constant": -6.4,
    "similarity": 11.04,  # mean OKS
    "frames": 0.0,  # logarithm of their number
    "share": 7.97,  # of the shorter track
}
JOINT: Mapping[str, float] = {
    # Without the score of the joint: the invented noise ties it to the error more closely than networks do.
    "constant": -2.97,
    "residual": 2.29,  # logarithm of the distance, 0 at a tenth of the body size
    "limb": 1.81,  # logarithm by which a limb's length differs from its median in the track
}
FLIP: Mapping[str, float] = {
    "constant": -1.15,
    "advantage": 7.52,  # by which share the mirrored joints fit better
    "apart": 0.0,  # body sizes between the joints and their mirror images
    "frames": 0.0,  # logarithm of their number
}

FEWEST_JOINTS, MOST_JOINTS, MANY_JOINTS = 0.1, 0.5, 6
"""Chosen, not fitted: the doubt of one joint that is out of place in one pose counts a tenth, that of so many joints or
poses half. An identity concerns all frames after it, a joint those where it is out of place, and smoothing repairs
single ones."""
LONG_GAP, LONG_GAP_S = 0.05, 1.0
"""Chosen, not fitted: doubt of a long gap, and the seconds in which it grows. Whether a track goes over to another
person in a gap is a matter of LINK."""


def doubt(parts: Parts, weights: Mapping[str, float]) -> np.ndarray:
    """The doubt (P,), 0..1: the logistic function of the weighted parts."""
    total = weights["constant"] + sum(weights[name] * parts[name] for name in weights if name != "constant")
    return 1 / (1 + np.exp(-np.asarray(total)))
