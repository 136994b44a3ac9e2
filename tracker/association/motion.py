"""How people move while nobody looks: a motion model for all tracks at once, in seconds and body sizes.

A person is a place in the picture that moves, with a body attached: joints and the edges of a box, as offsets from the
place. The place is filtered by Kalman's equations; its velocity is an Ornstein-Uhlenbeck process (Uhlenbeck and
Ornstein 1930): it is kept for about `_VELOCITY_MEMORY_S` and forgotten then, so that somebody unseen coasts to a
stop, and where they may be widens at a pace that does not run away. Noise counts in body sizes, so that neither the
resolution nor the distance to the camera matters, and in seconds, so that the frame rate does not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

_SPEED = 1.0  # body sizes per second: spread of the velocities people take up
_VELOCITY_MEMORY_S = 2.0
_PLACE_NOISE = 0.035  # body sizes: how far off a place is that joints tell ...
_BOX_PLACE_NOISE = 0.06  # ... or a box alone
_SHAPE_MEMORY_S = 0.06  # a body's shape is averaged over about so long
_EDGE_SPREAD = 0.15  # body sizes: an edge of a box that is farther off than this ...
_LEAST_EDGE_TRUST = 0.1  # ... moves the box but by this share: half a box is hidden more often than it jumps
_JUMP = 3.0  # body sizes: who is so far off did not walk there; flow knew, or the picture was cut
_MIN_SIZE_PX = 4.0


def wandered(elapsed_s: Any, track_buffer_s: float, speed: float) -> tuple[Any, Any, np.ndarray]:
    """What an Ornstein-Uhlenbeck velocity comes to so much later; numbers or arrays (M,) of seconds.

    Args:
        elapsed_s: 0 or more.
        track_buffer_s: velocities are forgotten over about so long.
        speed: spread of the velocities that people take up.

    Returns:
        the share of the velocity that is kept; the seconds' worth of it that the place has moved by; and what the
        variance of the place, its covariance with the velocity and the variance of the velocity grow by.
    """
    kept = np.exp(-elapsed_s / track_buffer_s)
    place = np.maximum(track_buffer_s**2 * (2 * elapsed_s / track_buffer_s - 3 + 4 * kept - kept**2), 0.0)
    grown = speed**2 * np.array([place, track_buffer_s * (1 - kept) ** 2, 1 - kept**2])
    return kept, track_buffer_s * (1 - kept), grown


@dataclass(eq=False)
class Tracks:
    """Everybody followed at the moment: parallel arrays, one row per person, changed in place."""

    serials: np.ndarray  # (T,) int64: each its own, from 1
    ids: np.ndarray  # (T,) int64: told once they are confirmed; 0 before
    started_s: np.ndarray  # (T,) time of the first pose
    seen_s: np.ndarray  # (T,) time of the last pose
    hits: np.ndarray  # (T,) int64, how many poses
    place: np.ndarray  # (T, 2) pixels, expected now
    velocity: np.ndarray  # (T, 2) pixels per second
    place_var: np.ndarray  # (T,) squared body sizes, along each axis
    place_velocity_cov: np.ndarray  # (T,) squared body sizes per second
    velocity_var: np.ndarray  # (T,) squared body sizes per second squared
    joints: np.ndarray  # (T, K, 2) pixels from the place; NaN where never seen
    edges: np.ndarray  # (T, 4) x1 y1 x2 y2 of the box, pixels from the place
    sources: np.ndarray  # (T, Q, 2) frame and row of the last few poses, newest first; -1: none
    appearance: np.ndarray  # (T, E) mean of the poses' appearance, unit length or zeros

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def nobody(cls, num_joints: int, queue_frames: int, appearance_size: int) -> Tracks:
        """No tracks."""
        none, k = np.zeros(0), num_joints
        return cls(
            serials=np.zeros(0, np.int64),
            ids=np.zeros(0, np.int64),
            started_s=none,
            seen_s=none,
            hits=np.zeros(0, np.int64),
            place=np.zeros((0, 2)),
            velocity=np.zeros((0, 2)),
            place_var=none,
            place_velocity_cov=none,
            velocity_var=none,
            joints=np.zeros((0, k, 2)),
            edges=np.zeros((0, 4)),
            sources=np.zeros((0, queue_frames, 2), np.int64),
            appearance=np.zeros((0, appearance_size)),
        )

    def keep(self, rows: np.ndarray) -> None:
        """Forget the others."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[rows])

    def add(self, serials: np.ndarray, time_s: float, keypoints: np.ndarray, boxes: np.ndarray) -> None:
        """New people (M,) with poses (M, K, 2), (M, 4), unconfirmed, at rest as far as anybody knows."""
        m = len(boxes)
        place = (boxes[:, :2] + boxes[:, 2:]) / 2
        new = {
            "serials": serials,
            "started_s": time_s,
            "seen_s": time_s,
            "hits": 1,
            "place_var": _PLACE_NOISE**2,
            "velocity_var": _SPEED**2,
            "sources": -1,
            "place": place,
            "joints": keypoints - place[:, None],
            "edges": boxes - np.tile(place, 2),
        }
        for field in fields(self):
            old = getattr(self, field.name)
            added = np.empty((m, *old.shape[1:]), old.dtype)
            added[:] = new.get(field.name, 0)
            setattr(self, field.name, np.concatenate([old, added]))

    @property
    def size(self) -> np.ndarray:
        """(T,) pixels: the body size, root of the box's area."""
        width, height = self.edges[:, 2] - self.edges[:, 0], self.edges[:, 3] - self.edges[:, 1]
        return np.sqrt(np.maximum(width, _MIN_SIZE_PX) * np.maximum(height, _MIN_SIZE_PX))

    @property
    def boxes(self) -> np.ndarray:
        """(T, 4) pixels, expected now."""
        return self.edges + np.concatenate([self.place, self.place], axis=1)

    @property
    def keypoints(self) -> np.ndarray:
        """(T, K, 2) pixels, expected now."""
        return self.joints + self.place[:, None]

    def move_camera(self, camera: np.ndarray) -> None:
        """What a moving camera (2, 3) does to everybody's pixels."""
        turn = camera[:, :2]
        scale = np.sqrt(max(np.linalg.det(turn), 1e-6))
        self.place = self.place @ turn.T + camera[:, 2]
        self.velocity = self.velocity @ turn.T
        self.joints = self.joints @ turn.T
        self.edges = self.edges * scale

    def predict(self, elapsed_s: float) -> None:
        """Everybody, so much later."""
        kept, reach, grown = wandered(elapsed_s, _VELOCITY_MEMORY_S, _SPEED)
        cov, velocity_var = self.place_velocity_cov, self.velocity_var
        self.place = self.place + self.velocity * reach
        self.velocity = self.velocity * kept
        self.place_var = self.place_var + 2 * reach * cov + reach**2 * velocity_var + grown[0]
        self.place_velocity_cov = kept * (cov + reach * velocity_var) + grown[1]
        self.velocity_var = kept**2 * velocity_var + grown[2]

    def see(
        self,
        rows: np.ndarray,
        time_s: float,
        keypoints: np.ndarray,
        boxes: np.ndarray,
        off: np.ndarray,
        by_joints: np.ndarray,
    ) -> None:
        """People `rows` (M,) were seen: their places move by Kalman's equations, their bodies towards what was seen.

        Args:
            rows: (M,) who.
            time_s: when.
            keypoints: (M, K, 2) pixels, NaN where missing.
            boxes: (M, 4) pixels.
            off: (M, 2) pixels from the expected place to the seen one.
            by_joints: (M,) bool: joints told it; a box alone is less sure.
        """
        size = self.size[rows]
        jumped = np.abs(off).max(axis=1) > _JUMP * size
        if jumped.any():
            off = self._jump(rows, boxes, off, jumped)
        noise = np.where(by_joints, _PLACE_NOISE, _BOX_PLACE_NOISE)
        total = self.place_var[rows] + noise**2
        to_place, to_velocity = self.place_var[rows] / total, self.place_velocity_cov[rows] / total
        self.place[rows] += to_place[:, None] * off
        self.velocity[rows] += to_velocity[:, None] * off
        self.velocity_var[rows] -= to_velocity * self.place_velocity_cov[rows]
        self.place_velocity_cov[rows] *= 1 - to_place
        self.place_var[rows] *= 1 - to_place
        trust = 1 - np.exp((self.seen_s[rows] - time_s) / _SHAPE_MEMORY_S)
        self._reshape(rows, keypoints, boxes, np.maximum(trust, 1 / (self.hits[rows] + 1))[:, None], size)
        self._count(rows, time_s)

    def _jump(self, rows: np.ndarray, boxes: np.ndarray, off: np.ndarray, jumped: np.ndarray) -> np.ndarray:
        """Put those of `rows` who jumped where they are now, at the speed they had; what is left of `off` (M, 2)."""
        who = rows[jumped]
        self.place[who] += off[jumped]
        self.joints[who] = np.nan
        self.edges[who] = boxes[jumped] - np.concatenate([self.place[who], self.place[who]], axis=1)
        return np.where(jumped[:, None], 0.0, off)

    def put(self, rows: np.ndarray, time_s: float, keypoints: np.ndarray, boxes: np.ndarray) -> None:
        """People `rows` (M,) are just as they were seen last: following without a motion model."""
        self.place[rows] = (boxes[:, :2] + boxes[:, 2:]) / 2
        self.joints[rows] = keypoints - self.place[rows, None]
        self.edges[rows] = boxes - np.concatenate([self.place[rows]] * 2, axis=1)
        self._count(rows, time_s)

    def _reshape(
        self, rows: np.ndarray, keypoints: np.ndarray, boxes: np.ndarray, trust: np.ndarray, size: np.ndarray
    ) -> None:
        place, old = self.place[rows], self.joints[rows]
        seen = keypoints - place[:, None]
        mixed = old + trust[..., None] * (seen - old)
        mixed = np.where(np.isnan(mixed), np.where(np.isnan(old), seen, old), mixed)
        self.joints[rows] = mixed
        off = boxes - np.concatenate([place, place], axis=1) - self.edges[rows]
        near = np.exp(-0.5 * (off / (_EDGE_SPREAD * size[:, None])) ** 2)
        self.edges[rows] += trust * (_LEAST_EDGE_TRUST + (1 - _LEAST_EDGE_TRUST) * near) * off

    def _count(self, rows: np.ndarray, time_s: float) -> None:
        self.seen_s[rows] = time_s
        self.hits[rows] += 1
