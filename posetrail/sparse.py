"""Frame numbers of sparse files: long gaps between annotated frames are left out."""

from __future__ import annotations

import numpy as np

_FRAMES_PER_LINE = 100  # above this, gaps are left out
_LONGEST_GAP = 100  # frames


def kept_frames(lines: np.ndarray, count: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Select the frames (T,) of a clip to keep, ascending, with a note if some are left out.

    Frames that a file does not mention are frames without people and are kept. If there are more than 100 times as many
    frames as lines, each gap of more than 100 frames is left out, so that the cost depends on the size of the file and
    not on its frame numbers.

    Args:
        lines: (L,) the frame, from 0, of each line or record of the file; in any order.
        count: number of frames of the clip.
    """
    if count <= _FRAMES_PER_LINE * (len(lines) + 1):
        return np.arange(count), ()
    held = np.unique(lines)
    begins = np.concatenate([[0], held + 1])  # of the gaps before, between and after them
    ends = np.concatenate([held, [count]])
    short = ends - begins <= _LONGEST_GAP
    empty = [np.arange(begin, end) for begin, end in zip(begins[short], ends[short], strict=True)]
    kept = np.sort(np.concatenate([held, *empty]).astype(np.int64))
    note = (
        f"{count - len(kept)} of {count} frames are left out, because they are in gaps of more than {_LONGEST_GAP} "
        "frames without people"
    )
    return kept, (note,)
