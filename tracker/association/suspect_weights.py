"""The weights of the measures of doubt: every number that was fitted, in one place.

Each table belongs to a logistic regression, fitted by `python -m benchmarks.suspects --fit` on the worlds of the suite
`dev` (24 seeds with hard noise, 20 with easy noise). A weight is the change of the log odds by one unit of its part;
weights are not negative, so that a larger part never lowers the doubt. docs/concepts/suspects.md has figures of other
worlds. All of it is invented noise: on real networks the doubt ranks places, but is no exact probability.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Parts = Mapping[str, np.ndarray]
"""What a doubt is made of: arrays (P,), one entry per place."""

LINK: Mapping[str, float] = {
    "constant": -3.46,
    "forward_lost": 0.25,  # the forward tracker does not hold the link
    "forward_other": 0.89,  # its track is another person's before the link, or after it, or both (2)
    "backward_lost": 0.0,
    "backward_other": 1.41,
    "exchange": 0.41,  # log odds gained by the best exchange with another track, -8 to 6
    "jump": 0.0,  # log odds against the link by motion: `exchange` contains them, and alone they add nothing
    "shape": 0.57,  # log odds against it by the body's shape
    "gap": 0.37,  # logarithm of the frames from pose to pose
    "low_score": 1.2,  # by which share the lower score of both poses is below the median of the clip
}

BIRTH: Mapping[str, float] = {
    "constant": -1.5,
    "join": 0.3,  # log odds of the best candidate, -8 to 6
    "away": 1.0,  # body sizes from the border, up to 1
    "covered": 0.5,  # share of the box that another person covers
    "poses": 0.1,  # logarithm of the number of poses of the track, up to 30
    "score": 0.0,  # of the pose, in medians of the clip
}
END: Mapping[str, float] = dict(BIRTH)
DUPLICATE: Mapping[str, float] = {
    "constant": -4.0,
    "similarity": 4.0,  # mean OKS
    "frames": 0.5,  # logarithm of their number
    "share": 1.0,  # of the shorter track
}
JOINT: Mapping[str, float] = {
    "constant": -1.5,
    "residual": 2.0,  # logarithm of the distance, 0 at a tenth of the body size
    "low_score": 1.0,
    "limb": 0.5,  # logarithm by which a limb's length differs from its median in the track
}
FLIP: Mapping[str, float] = {
    "constant": -1.0,
    "advantage": 3.0,  # by which share the mirrored joints fit better
    "apart": 2.0,  # body sizes between the joints and their mirror images
    "frames": 0.0,
}

SINGLE_JOINT, MANY_JOINTS = 0.4, 5.0
"""Chosen, not fitted: a single joint of a single pose, which smoothing repairs, counts this much; so many more count
fully. So identities, which concern whole tracks, come before outliers of equal probability."""
LONG_GAP, LONG_GAP_S = 0.2, 1.0
"""Chosen, not fitted: doubt of a long gap, and the seconds in which it grows."""


def doubt(parts: Parts, weights: Mapping[str, float]) -> np.ndarray:
    """The doubt (P,), 0..1: the logistic function of the weighted parts."""
    total = weights["constant"] + sum(weights[name] * parts[name] for name in weights if name != "constant")
    return 1 / (1 + np.exp(-np.asarray(total)))
