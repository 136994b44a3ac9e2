"""Windows of frames that lifters see, and one answer from those of overlapping windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Cut = Literal["valid", "at_most", "exactly"]
"""What a network returns for L frames: L - frames + 1 poses; L poses, L at most `frames`; or L poses, L = `frames`."""

_MOST_POSES = 1024  # of a window: bounds the memory for long sequences
_STEP = 32  # windows have lengths in these steps, so that those of similar sequences are computed together


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a sequence."""

    frames: np.ndarray  # (L,) int frames that the network sees; the first and last of the sequence may be repeated
    start: int  # frame of the first pose that it returns
    weights: np.ndarray  # (n,) of its first n poses; further ones are not used


def cut(T: int, frames: int, kind: Cut, *, causal: bool = False) -> list[Window]:
    """Windows that cover T frames.

    Networks with "valid" convolutions see the first and last frame repeated as often as the receptive field needs.
    Windows of the others overlap by half, so that no seam is seen where one ends. Lengths depend on T alone.
    """
    if T == 0:
        return []
    if kind == "valid":
        before = frames - 1 if causal else (frames - 1) // 2
        windows = []
        for start in range(0, T, _MOST_POSES):
            n = min(_MOST_POSES, T - start)
            length = -(-n // _STEP) * _STEP + frames - 1
            windows.append(Window(np.clip(start - before + np.arange(length), 0, T - 1), start, np.ones(n)))
        return windows
    if frames >= T:
        length = T if kind == "at_most" else frames
        return [Window(np.minimum(np.arange(length), T - 1), 0, np.ones(T))]
    starts = [*range(0, T - frames, max(frames // 2, 1)), T - frames]
    rising = np.arange(1, frames + 1)
    weights = np.minimum(rising, rising[::-1]).astype(float)
    return [Window(start + np.arange(frames), start, weights) for start in starts]


def blended(T: int, joints: int, windows: Sequence[Window], outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Weighted mean (T, joints, 3) of the outputs (L', joints, 3) of windows; NaN in frames of no window."""
    total, weights = np.zeros((T, joints, 3)), np.zeros((T, 1, 1))
    for window, output in zip(windows, outputs, strict=True):
        n = len(window.weights)
        part = slice(window.start, window.start + n)
        total[part] += window.weights[:, None, None] * output[:n]
        weights[part] += window.weights[:, None, None]
    return np.divide(total, weights, out=np.full_like(total, np.nan), where=weights > 0)
