"""Camera-stabilised coordinates: the pixels of the first frame, with the camera's motion since then undone.

The camera's motion between two frames is a similarity transform of the plane, a (2, 3) matrix.
"""

from __future__ import annotations

import numpy as np

_MAX_ZOOM = 1e3  # in either direction; beyond it the product of many frames' motions is mostly accumulated error


def transformed(points: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Points (..., 2) mapped by a motion (2, 3)."""
    return points @ motion[:, :2].T + motion[:, 2]


def inverted(motion: np.ndarray) -> np.ndarray:
    """The inverse (2, 3) of a motion (2, 3); the identity where it has none."""
    if abs(np.linalg.det(motion[:, :2])) < 1e-9:
        return np.eye(2, 3)
    back = np.linalg.inv(motion[:, :2])
    return np.column_stack([back, -back @ motion[:, 2]])


def zoom(motion: np.ndarray) -> float:
    """The scale factor of a motion (2, 3)."""
    return float(np.sqrt(abs(np.linalg.det(motion[:, :2]))))


class Stabiliser:
    """Chains the camera's motion from frame to frame; static points of the scene keep their stabilised coordinates."""

    def __init__(self) -> None:
        self._to_first: np.ndarray | None = None

    def add(self, camera_motion: np.ndarray) -> np.ndarray:
        """The motion (2, 3) from the next frame's pixels to those of the first frame.

        Args:
            camera_motion: (2, 3) from the previous frame's pixels to this frame's, as `PoseFrame.camera_motion`; that
                of the first frame is ignored.
        """
        if self._to_first is None:
            self._to_first = np.eye(2, 3)
        elif not np.array_equal(camera_motion, np.eye(2, 3)):
            back = inverted(camera_motion)
            if not 1 / _MAX_ZOOM < zoom(self._to_first) * zoom(back) < _MAX_ZOOM:
                back = np.column_stack([np.eye(2), transformed(np.zeros(2), back)])
            linear = self._to_first[:, :2] @ back[:, :2]
            self._to_first = np.column_stack([linear, transformed(back[:, 2], self._to_first)])
        return self._to_first
