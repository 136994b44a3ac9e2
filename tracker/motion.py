"""How people move while nobody looks: a motion model for all tracks at once, in seconds and body sizes.

A person is a place in the picture that moves, with a body attached: joints and the edges of a box, as offsets from the
place. The place is filtered by Kalman's equations; its velocity is an Ornstein-Uhlenbeck process (Uhlenbeck and
Ornstein 1930): it is kept for about `_VELOCITY_MEMORY_S` and forgotten then, so that somebody unseen coasts to a
stop, and where they may be widens at a pace that does not run away. Noise counts in body sizes, so that neither the
resolution nor the distance to the camera matters, and in seconds, so that the frame rate does not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

_SPEED = 2.0  # body sizes per second: spread of the velocities people take up
_VELOCITY_MEMORY_S = 1.0
_PLACE_NOISE = 0.06  # body sizes: how far off a seen place is
_SHAPE_MEMORY_S = 0.1  # the body's shape is averaged over about so long
_MIN_SIZE_PX = 4.0


@dataclass(eq=False)
class Tracks:
    """Everybody followed at the moment: parallel arrays, one row per person, changed in place."""

    serials: np.ndarray  # (T,) int64: each its own, from 1
    ids: np.ndarray  # (T,) int64: told once they are confirmed; 0 before
    started_s: np.ndarray  # (T,) time of the first pose
    seen_s: np.ndarray  # (T,) time of the last pose
    hits: np.ndarray  # (T,) how many poses
    evidence: np.ndarray  # (T,) how surely this is a person: the sum of what each pose says, see tracker.py
    place: np.ndarray  # (T, 2) pixels, expected now
    velocity: np.ndarray  # (T, 2) pixels per second
    place_var: np.ndarray  # (T,) squared body sizes, along each axis
    place_velocity_cov: np.ndarray  # (T,) squared body sizes per second
    velocity_var: np.ndarray  # (T,) squared body sizes per second squared
    joints: np.ndarray  # (T, K, 2) pixels from the place; NaN where never seen
    edges: np.ndarray  # (T, 4) x1 y1 x2 y2 of the box, pixels from the place
    sources: np.ndarray  # (T, Q, 2) frame and row of the last few poses, newest first; -1: none
    appearance: np.ndarray  # (T, E) mean of the poses' descriptors, unit length or zero

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
            hits=none,
            evidence=none,
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
        sides = np.maximum(self.edges[:, 2:] - self.edges[:, :2], _MIN_SIZE_PX)
        return np.sqrt(sides[:, 0] * sides[:, 1])

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
        tau, variance = _VELOCITY_MEMORY_S, _SPEED**2
        kept = np.exp(-elapsed_s / tau)
        reach = tau * (1 - kept)  # seconds' worth of the old velocity
        self.place = self.place + self.velocity * reach
        self.velocity = self.velocity * kept
        grown = variance * tau**2 * (2 * elapsed_s / tau - 3 + 4 * kept - kept**2)
        self.place_var = self.place_var + 2 * reach * self.place_velocity_cov + reach**2 * self.velocity_var + grown
        self.place_velocity_cov = (
            kept * (self.place_velocity_cov + reach * self.velocity_var) + variance * tau * (1 - kept) ** 2
        )
        self.velocity_var = kept**2 * self.velocity_var + variance * (1 - kept**2)

    def correct(self, rows: np.ndarray, off: np.ndarray, noise: np.ndarray) -> None:
        """The places of `rows` (M,) are seen `off` (M, 2) pixels from where expected, to `noise` (M,) in body sizes."""
        total = self.place_var[rows] + noise**2
        to_place, to_velocity = self.place_var[rows] / total, self.place_velocity_cov[rows] / total
        self.place[rows] += to_place[:, None] * off
        self.velocity[rows] += to_velocity[:, None] * off
        self.velocity_var[rows] -= to_velocity * self.place_velocity_cov[rows]
        self.place_velocity_cov[rows] *= 1 - to_place
        self.place_var[rows] *= 1 - to_place

    def reshape(self, rows: np.ndarray, keypoints: np.ndarray, boxes: np.ndarray, trust: np.ndarray) -> None:
        """Bodies of `rows` (M,) follow what was seen: keypoints (M, K, 2), boxes (M, 4), by the share `trust` (M,)."""
        place = self.place[rows]
        seen = keypoints - place[:, None]
        old = self.joints[rows]
        mixed = old + trust[:, None, None] * (seen - old)
        mixed = np.where(np.isnan(old), seen, np.where(np.isnan(seen), old, mixed))
        self.joints[rows] = mixed
        edges = boxes - np.concatenate([place, place], axis=1)
        self.edges[rows] += trust[:, None] * (edges - self.edges[rows])
