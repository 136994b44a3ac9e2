"""Frame numbers of sparse files: the cost of a clip is bounded by its people, not by its largest frame number."""

from __future__ import annotations

import numpy as np

LARGEST_FRAME = 10**9  # a year at 30 frames per second; a larger number is an error in the file

_ALWAYS_KEPT = 1000  # frames; a clip of so many is short, however few people are in it
_LONGEST_GAP = 30  # frames; shorter gaps stay whole, so that poses can be interpolated in them
_GAP_ENDS = 5  # frames kept at each end of a longer gap


def kept_frames(mentioned: np.ndarray, count: int, *, ratio: int = 100) -> tuple[np.ndarray, tuple[str, ...]]:
    """Select the frames (T,) of a clip to keep, ascending, with a note if some are left out.

    Frames that a file does not mention are frames without people. All are kept if the clip has at most `ratio` times as
    many frames as the file mentions, and 1000 more. In sparser files, only the first and last five frames of each gap
    of more than 30 frames are kept.

    Association is the same as with all frames: its motion model and its thresholds depend on time, so a track ends at
    the last frame of a gap, and at the first one backward in time. With ten frames from a gap, the clip is also long
    enough for the full `min_track_evidence`. Only interpolation does not reach across a shortened gap.

    Args:
        mentioned: (L,) the frame, from 0, of each line or record of the file; in any order, repeated or not.
        count: number of frames of the clip.
        ratio: above this, gaps are shortened.
    """
    held = np.unique(mentioned)
    if count <= ratio * len(held) + _ALWAYS_KEPT:
        return np.arange(count), ()
    begins = np.concatenate([[0], held + 1])  # of the gaps before, between and after them
    ends = np.concatenate([held, [count]])
    kept_at_ends = np.where(ends - begins > _LONGEST_GAP, _GAP_ENDS, ends - begins)
    parts = [np.arange(begin, begin + n) for begin, n in zip(begins, kept_at_ends, strict=True)]
    parts += [np.arange(max(begin, end - n), end) for begin, end, n in zip(begins, ends, kept_at_ends, strict=True)]
    kept = np.unique(np.concatenate([held, *parts]).astype(np.int64))
    note = f"{count - len(kept)} of {count} frames are left out: the middle of gaps of more than {_LONGEST_GAP} frames "
    return kept, (note + "without people",)
