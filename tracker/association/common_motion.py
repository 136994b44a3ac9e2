"""How everybody moved at once: a camera's jerk, a cut of some frames, told from the people alone."""

from __future__ import annotations

import numpy as np

_REACH = 4.0  # body sizes: who moved farther than this is not looked for
_NEAR = 0.2  # body sizes: somebody so near their expected place is found
_ALIKE_SIZE = 1.5  # nobody becomes larger or smaller than by this factor
_CROWD = 3  # so many people must agree ...
_MOST = 0.6  # ... and this share of those who can be found at all
_CANDIDATES = 24


def common_shift(places: np.ndarray, sizes: np.ndarray, seen_places: np.ndarray, seen_sizes: np.ndarray) -> np.ndarray:
    """The shift (2,) in pixels by which most people are found again; 0 where none finds more than standing still.

    Every pair of a person and a pose proposes a shift; those that most agree on are tried on everybody: a vote in which
    those count who find a pose of their size near the place they would have moved to.

    Args:
        places: (T, 2) pixels, where people are expected.
        sizes: (T,) pixels, body sizes.
        seen_places: (N, 2) pixels.
        seen_sizes: (N,) pixels.
    """
    still = np.zeros(2)
    if min(len(places), len(seen_places)) < _CROWD:
        return still
    off = seen_places - places[:, None]  # (T, N, 2)
    ratio = seen_sizes / sizes[:, None]
    possible = (np.abs(np.log(np.maximum(ratio, 1e-6))) < np.log(_ALIKE_SIZE)) & (
        np.abs(off).max(axis=2) < _REACH * sizes[:, None]
    )
    tried = np.concatenate([still[None], _proposed(off[possible], _NEAR * np.median(sizes))])
    near = [(np.abs(off - shift).max(axis=2) < _NEAR * sizes[:, None]) & possible for shift in tried]
    found = np.array([each.any(axis=1).sum() for each in near])
    best = int(found.argmax())
    enough = found[best] >= max(_CROWD, _MOST * min(len(places), len(seen_places)))
    if not enough or found[best] < found[0] + 2:
        return still
    return off[near[best]].mean(axis=0)


def _proposed(shifts: np.ndarray, width: float) -> np.ndarray:
    """Middles (C, 2) of the cells of a grid, `width` apart, in which most shifts (L, 2) lie; of equals the shortest.

    Who stands in which row changes nothing.
    """
    cells, index, count = np.unique(np.round(shifts / width), axis=0, return_inverse=True, return_counts=True)
    order = np.lexsort((cells[:, 1], cells[:, 0], (cells**2).sum(axis=1), -count))[:_CANDIDATES]
    sums = np.stack([np.bincount(index.ravel(), shifts[:, axis], len(cells)) for axis in (0, 1)], axis=1)
    return (sums / count[:, None])[order]
