"""Frames of a clip whose file numbers them but says nothing of most: they cost nothing."""

from __future__ import annotations

import numpy as np

_FRAMES_PER_LINE = 100  # far more than clips have that people are in
_LONGEST_GAP = 100  # frames


def kept_frames(lines: np.ndarray, count: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The numbers (T,) of a clip's frames, rising, and a note where some are left out.

    Frames that a file says nothing of are frames without people, and are kept, unless the frames are more than 100
    times its lines: then each stretch of more than 100 of them is left out. So a file costs what it holds, whatever
    its numbers.

    Args:
        lines: (L,) the frame, from 0, that each line or record of the file is about; in any order.
        count: how many frames there are, as far as the numbers reach.
    """
    if count <= _FRAMES_PER_LINE * (len(lines) + 1):
        return np.arange(count), ()
    held = np.unique(lines)
    begins = np.concatenate([[0], held + 1])  # of the stretches before, between and behind them
    ends = np.concatenate([held, [count]])
    short = ends - begins <= _LONGEST_GAP
    empty = [np.arange(begin, end) for begin, end in zip(begins[short], ends[short], strict=True)]
    kept = np.sort(np.concatenate([held, *empty]).astype(np.int64))
    note = (
        f"{count - len(kept)} of {count} frames are left out, for the file says nothing of more than {_LONGEST_GAP} "
        "in a row"
    )
    return kept, (note,)
