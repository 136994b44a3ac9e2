"""A moving camera's picture held still: similarities of the plane, and their product from frame to frame."""

from __future__ import annotations

import numpy as np

_LARGEST_ZOOM = 1e3  # either way; beyond, small errors of an hour's frames have added up and mean nothing


def moved(points: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Points (..., 2) where a motion (2, 3) takes them."""
    return points @ motion[:, :2].T + motion[:, 2]


def undone(motion: np.ndarray) -> np.ndarray:
    """The motion (2, 3) that takes points back; nothing moves where they cannot be taken back."""
    if abs(np.linalg.det(motion[:, :2])) < 1e-9:
        return np.eye(2, 3)
    back = np.linalg.inv(motion[:, :2])
    return np.column_stack([back, -back @ motion[:, 2]])


def zoom(motion: np.ndarray) -> float:
    """By how much a motion (2, 3) makes everything larger."""
    return float(np.sqrt(abs(np.linalg.det(motion[:, :2]))))


class StillPicture:
    """Pixels of the first frame as the common ground of all: where things that stand still keep their place."""

    def __init__(self) -> None:
        self._to_first: np.ndarray | None = None

    def add(self, camera: np.ndarray) -> np.ndarray:
        """The motion (2, 3) from the next frame's pixels to the common ground.

        Args:
            camera: (2, 3) from the pixels of the frame before to this frame's, as in PoseFrame; the first is ignored.
        """
        if self._to_first is None:
            self._to_first = np.eye(2, 3)
        elif not np.array_equal(camera, np.eye(2, 3)):
            back = undone(camera)
            if not 1 / _LARGEST_ZOOM < zoom(self._to_first) * zoom(back) < _LARGEST_ZOOM:
                back = np.column_stack([np.eye(2), moved(np.zeros(2), back)])
            turn = self._to_first[:, :2] @ back[:, :2]
            self._to_first = np.column_stack([turn, moved(back[:, 2], self._to_first)])
        return self._to_first
