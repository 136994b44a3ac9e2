"""Doubtful links: a track that may go over from one person to another between two of its poses.

Parts of the doubt, for every link of a track:

- whether the tracker that ran forward in time, and the one that ran backward, hold the link too (Kalal, Mikolajczyk,
  Matas, ICPR 2010, compare both directions in the same way), or give one of the poses to another person's track. The
  ids of the forward tracker are those of online association;
- exchange: the log odds gained if the track went on as the best other one nearby, and that one as this;
- jump and shape: log odds against the link by motion from both sides, and by the body;
- the length of the gap, and a low score of one of the poses.
"""

from __future__ import annotations

import numpy as np

from tracker.association.suspect_tracks import Chains
from tracker.association.suspect_weights import Parts

_WORST_EXCHANGE, _BEST_EXCHANGE = -8.0, 6.0  # log odds
_LARGEST_JUMP = 8.0
_MAX_OTHERS = 2.0


def measured_links(
    chains: Chains, evidence: np.ndarray, gain: np.ndarray, forward: np.ndarray, backward: np.ndarray
) -> Parts:
    """The parts of the doubt of all links of all tracks, `chains.links`.

    Args:
        chains: of the clip.
        evidence: (2, L) log odds of the links by motion and by shape.
        gain: (L,) log odds gained by the best exchange of each link with another track, -inf where there is none.
        forward: (M,) serial of the forward tracker's track of each pose of the log; 0: none.
        backward: (M,) the same of the backward tracker.
    """
    links, (motion, shape) = chains.links, evidence
    poses, a, b = chains.poses, chains.order[links], chains.order[links + 1]
    parts = dict[str, np.ndarray]()
    for name, serials in (("forward", forward), ("backward", backward)):
        lost, others = _held(chains, serials)
        parts |= {f"{name}_lost": lost, f"{name}_other": others}
    parts |= {
        "exchange": np.clip(gain, _WORST_EXCHANGE, _BEST_EXCHANGE),
        "jump": np.clip(-motion, 0.0, _LARGEST_JUMP),
        "shape": -shape,
        "gap": np.log(np.maximum(poses.positions[b] - poses.positions[a], 1)),
        "low_score": 1 - np.minimum(np.minimum(poses.scores[a], poses.scores[b]) / chains.typical_score, 1.0),
    }
    return parts


def _held(chains: Chains, serials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each link (L,): 1 where a tracker does not hold it, and on how many sides its track is another person's.

    On the side before the link that is so where the tracker's track goes on with a pose of another id; on the side
    after it, where the track came from a pose of another id.
    """
    following, preceding = np.full((2, len(serials)), -1)
    order = np.argsort(serials, kind="stable")
    order = order[serials[order] > 0]
    same = serials[order[1:]] == serials[order[:-1]]
    following[order[:-1][same]] = order[1:][same]
    preceding[order[1:][same]] = order[:-1][same]
    a, b = chains.order[chains.links], chains.order[chains.links + 1]
    lost = (serials[a] != serials[b]) | (serials[a] == 0)
    ids = np.append(chains.ids, -1)  # pose -1 has no id
    others = sum((ids[each] >= 0) & (ids[each] != ids[a]) for each in (following[a], preceding[b]))
    return lost.astype(float), np.where(lost, np.minimum(others, _MAX_OTHERS), 0.0)
