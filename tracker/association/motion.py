"""The motion model of the online tracker: a Kalman filter for all tracks at once, in seconds and body sizes.

A track is a position in the image with a body attached: joints and box edges, stored as offsets from the position. The
position is filtered with Kalman's equations. Its velocity is an Ornstein-Uhlenbeck process (Uhlenbeck and Ornstein,
Phys. Rev. 36, 1930): it decays with the time constant `_VELOCITY_DECAY_S`, so a track without poses coasts to a stop
and its uncertainty grows more slowly than at constant velocity. Noise is expressed in body sizes, so that neither
resolution nor distance to the camera matters, and in seconds, so that the frame rate does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from posetrail.similarity import median_offsets

_SPEED_STD = 1.2  # body sizes per second: spread of people's velocities
_START_SPEED_STD = 2.0  # the same in the first frame of a track: a wrong guess must be corrected quickly
_VELOCITY_DECAY_S = 2.5
_JOINTS_NOISE = 0.035  # body sizes: standard deviation of a position measured from joints ...
_BOX_NOISE = 0.06  # ... or from a box alone
_SHAPE_DECAY_S = 0.06  # joints and edges are averaged with this time constant
_EDGE_SPREAD = 0.15  # body sizes: a box edge that moved farther than this ...
_MIN_EDGE_GAIN = 0.1  # ... is followed by this share alone: half a box is hidden more often than a box jumps
_MAX_WALK = 3.0  # body sizes: a larger offset is no walk; optical flow bridged a cut, or the camera jerked
_MIN_SIZE_PX = 4.0


def velocity_decay(elapsed_s: Any, decay_s: float, speed_std: float) -> tuple[Any, Any, np.ndarray]:
    """One step of an integrated Ornstein-Uhlenbeck process: how position and velocity change over `elapsed_s`.

    Args:
        elapsed_s: a number or (M,) seconds, 0 or more.
        decay_s: time constant with which velocities decay.
        speed_std: standard deviation of the velocities in the long run.

    Returns:
        The factor by which the velocity shrinks; the seconds' worth of the old velocity by which the position moves;
        and what is added to the variance of the position, to its covariance with the velocity and to the variance of
        the velocity.
    """
    kept = np.exp(-elapsed_s / decay_s)
    position = np.maximum(decay_s**2 * (2 * elapsed_s / decay_s - 3 + 4 * kept - kept**2), 0.0)
    added = speed_std**2 * np.array([position, decay_s * (1 - kept) ** 2, 1 - kept**2])
    return kept, decay_s * (1 - kept), added


@dataclass(eq=False)
class Tracks:
    """The state of all live tracks: parallel arrays, one row per track, changed in place."""

    serials: np.ndarray  # (T,) int64, unique, from 1
    ids: np.ndarray  # (T,) int64, 0 until the track is confirmed
    seen_s: np.ndarray  # (T,) time of the last pose
    hits: np.ndarray  # (T,) int64, number of poses
    evidence: np.ndarray  # (T,) sum over the poses' evidence for a person
    position: np.ndarray  # (T, 2) pixels, predicted for the current frame
    velocity: np.ndarray  # (T, 2) pixels per second
    position_var: np.ndarray  # (T,) squared body sizes, along each axis
    covariance: np.ndarray  # (T,) squared body sizes per second, of position and velocity
    velocity_var: np.ndarray  # (T,) squared body sizes per second squared
    joints: np.ndarray  # (T, K, 2) pixels from the position; NaN where never seen
    edges: np.ndarray  # (T, 4) x1 y1 x2 y2 of the box, pixels from the position
    size: np.ndarray  # (T,) pixels: the body size, the square root of the area within the edges
    sources: np.ndarray  # (T, Q, 2) frame and row of the last Q poses, newest first; -1 where there is none
    appearance: np.ndarray  # (T, E) running mean of the poses' embeddings, of unit length, or zeros

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls, num_joints: int, queue_frames: int, appearance_size: int) -> Tracks:
        """No tracks."""
        none, K = np.zeros(0), num_joints
        return cls(
            serials=np.zeros(0, np.int64),
            ids=np.zeros(0, np.int64),
            seen_s=none,
            hits=np.zeros(0, np.int64),
            evidence=none,
            position=np.zeros((0, 2)),
            velocity=np.zeros((0, 2)),
            position_var=none,
            covariance=none,
            velocity_var=none,
            joints=np.zeros((0, K, 2)),
            edges=np.zeros((0, 4)),
            size=none,
            sources=np.zeros((0, queue_frames, 2), np.int64),
            appearance=np.zeros((0, appearance_size)),
        )

    def keep(self, rows: np.ndarray) -> None:
        """Drop all other rows."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[rows])

    def add(
        self, serials: np.ndarray, time_s: float, keypoints: np.ndarray, boxes: np.ndarray, evidence: np.ndarray
    ) -> None:
        """Start tracks (M,) at keypoints (M, K, 2), boxes (M, 4), evidence (M,), unconfirmed and with velocity 0."""
        M = len(boxes)
        position = _centres(boxes)
        new = {
            "serials": serials,
            "seen_s": time_s,
            "hits": 1,
            "evidence": evidence,
            "position_var": _JOINTS_NOISE**2,
            "velocity_var": _START_SPEED_STD**2,
            "sources": -1,
            "position": position,
            "joints": keypoints - position[:, None],
            "edges": boxes - np.tile(position, 2),
            "size": _size(boxes),
        }
        for field in fields(self):
            old = getattr(self, field.name)
            added = np.empty((M, *old.shape[1:]), old.dtype)
            added[:] = new.get(field.name, 0)
            setattr(self, field.name, np.concatenate([old, added]))

    @property
    def boxes(self) -> np.ndarray:
        """(T, 4) pixels, predicted for the current frame."""
        return self.edges + np.concatenate([self.position, self.position], axis=1)

    @property
    def keypoints(self) -> np.ndarray:
        """(T, K, 2) pixels, predicted for the current frame."""
        return self.joints + self.position[:, None]

    def move_with_camera(self, camera_motion: np.ndarray) -> None:
        """Compensate the camera's motion (2, 3) since the last frame."""
        linear = camera_motion[:, :2]
        scale = np.sqrt(max(np.linalg.det(linear), 1e-6))
        self.position = self.position @ linear.T + camera_motion[:, 2]
        self.velocity = self.velocity @ linear.T
        self.joints = self.joints @ linear.T
        self.edges = self.edges * scale
        self.size = self.size * scale

    def predict(self, elapsed_s: float) -> None:
        """The prediction step of the Kalman filter."""
        kept, reach, added = velocity_decay(elapsed_s, _VELOCITY_DECAY_S, _SPEED_STD)
        covariance, velocity_var = self.covariance, self.velocity_var
        self.position = self.position + self.velocity * reach
        self.velocity = self.velocity * kept
        self.position_var = self.position_var + 2 * reach * covariance + reach**2 * velocity_var + added[0]
        self.covariance = kept * (covariance + reach * velocity_var) + added[1]
        self.velocity_var = kept**2 * velocity_var + added[2]

    def measure(self, rows: np.ndarray, keypoints: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The offsets of poses from the predicted positions of their tracks `rows` (M,).

        An offset is the median over the joints: half of them may have jumped, or belong to a person in front. With few
        joints, the centres of the boxes are compared instead.

        Args:
            rows: (M,) of the tracks.
            keypoints: (M, K, 2) pixels, NaN where missing.
            boxes: (M, 4) pixels.

        Returns:
            (M, 2) pixels; (M,) bool, whether joints gave the offset.
        """
        of_joints, by_joints = median_offsets(keypoints - self.joints[rows] - self.position[rows, None])
        if by_joints.all():
            return of_joints, by_joints
        return np.where(by_joints[:, None], of_joints, _centres(boxes - self.boxes[rows])), by_joints

    def correct(
        self,
        rows: np.ndarray,
        time_s: float,
        keypoints: np.ndarray,
        boxes: np.ndarray,
        offsets: np.ndarray,
        by_joints: np.ndarray,
    ) -> None:
        """The correction step of the Kalman filter, for the tracks `rows` (M,) that have a pose in this frame.

        Joints and box edges are averaged over time instead.

        Args:
            rows: (M,) of the tracks.
            time_s: of the frame.
            keypoints: (M, K, 2) pixels, NaN where missing.
            boxes: (M, 4) pixels.
            offsets: (M, 2) pixels from the predicted to the measured position.
            by_joints: (M,) bool: the position was measured from joints, which is more precise than from a box.
        """
        size = self.size[rows]
        jumped = np.abs(offsets).max(axis=1) > _MAX_WALK * size
        if jumped.any():
            offsets = self._jump(rows, boxes, offsets, jumped)
        noise = np.where(by_joints, _JOINTS_NOISE, _BOX_NOISE)
        total = self.position_var[rows] + noise**2
        position_gain, velocity_gain = self.position_var[rows] / total, self.covariance[rows] / total
        self.position[rows] += position_gain[:, None] * offsets
        self.velocity[rows] += velocity_gain[:, None] * offsets
        self.velocity_var[rows] -= velocity_gain * self.covariance[rows]
        self.covariance[rows] *= 1 - position_gain
        self.position_var[rows] *= 1 - position_gain
        gain = 1 - np.exp((self.seen_s[rows] - time_s) / _SHAPE_DECAY_S)
        self._reshape(rows, keypoints, boxes, np.maximum(gain, 1 / (self.hits[rows] + 1))[:, None], size)
        self._count(rows, time_s)

    def _jump(self, rows: np.ndarray, boxes: np.ndarray, offsets: np.ndarray, jumped: np.ndarray) -> np.ndarray:
        """Restart tracks that `jumped` (M,) at their poses, with their old velocity; the offsets (M, 2) that remain."""
        restarted = rows[jumped]
        self.position[restarted] += offsets[jumped]
        self.joints[restarted] = np.nan
        position = self.position[restarted]
        self.edges[restarted] = boxes[jumped] - np.concatenate([position, position], axis=1)
        self.size[restarted] = _size(boxes[jumped])
        return np.where(jumped[:, None], 0.0, offsets)

    def replace(self, rows: np.ndarray, time_s: float, keypoints: np.ndarray, boxes: np.ndarray) -> None:
        """Move the tracks `rows` (M,) to their poses: the update without a motion model."""
        self.position[rows] = _centres(boxes)
        self.joints[rows] = keypoints - self.position[rows, None]
        self.edges[rows] = boxes - np.concatenate([self.position[rows]] * 2, axis=1)
        self.size[rows] = _size(boxes)
        self._count(rows, time_s)

    def _reshape(
        self, rows: np.ndarray, keypoints: np.ndarray, boxes: np.ndarray, gain: np.ndarray, size: np.ndarray
    ) -> None:
        """Average joints and box edges with those of the new poses, whose weight is `gain` (M, 1)."""
        position, old = self.position[rows], self.joints[rows]
        measured = keypoints - position[:, None]
        mean = old + gain[..., None] * (measured - old)
        mean = np.where(np.isnan(mean), np.where(np.isnan(old), measured, old), mean)
        self.joints[rows] = mean
        offsets = boxes - np.concatenate([position, position], axis=1) - self.edges[rows]
        near = np.exp(-0.5 * (offsets / (_EDGE_SPREAD * size[:, None])) ** 2)
        edges = self.edges[rows] + gain * (_MIN_EDGE_GAIN + (1 - _MIN_EDGE_GAIN) * near) * offsets
        self.edges[rows], self.size[rows] = edges, _size(edges)

    def _count(self, rows: np.ndarray, time_s: float) -> None:
        self.seen_s[rows] = time_s
        self.hits[rows] += 1


def _size(boxes: np.ndarray) -> np.ndarray:
    """(M,) pixels: the square root of the area of boxes (M, 4)."""
    return np.sqrt(np.maximum(boxes[:, 2:] - boxes[:, :2], _MIN_SIZE_PX).prod(axis=1))


def _centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2
