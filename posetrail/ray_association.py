"""Edge weights between views in 4D association (Zhang et al., CVPR 2020, section 4), which matches people by rays.

A joint in an image is a ray from the camera's centre. Two rays of one joint meet, up to noise; an edge says how nearly.
"""

from __future__ import annotations

import numpy as np

MAX_EPIPOLAR_M = 0.15
MAX_TEMPORAL_M = 0.3
IMPOSSIBLE = -1.0
_MIN_DOT = 1e-5
_WEIGHTS = {"epipolar": 1.0, "temporal": 2.0, "fields": 2.0, "views": 1.0, "hierarchy": 1.0}


def ray_distances(centre_a: np.ndarray, rays_a: np.ndarray, centre_b: np.ndarray, rays_b: np.ndarray) -> np.ndarray:
    """Distances (A, B) in metres between the lines of rays of two cameras.

    The distance of lines whose directions have a dot product below 1e-5 is |(a - b) x ray|, as in the method's own
    program: it thereby singles out perpendicular lines, not parallel ones, whose distance is NaN.

    Args:
        centre_a: (3,) metres.
        rays_a: (A, 3) unit vectors.
        centre_b: (3,) metres.
        rays_b: (B, 3) unit vectors.
    """
    between = centre_a - centre_b
    normals = np.cross(rays_a[:, None], rays_b[None])
    with np.errstate(invalid="ignore", divide="ignore"):
        distances = np.abs(normals @ between) / np.linalg.norm(normals, axis=2)
    from_a = np.linalg.norm(np.cross(between, rays_a), axis=1)[:, None]
    return np.where(rays_a @ rays_b.T < _MIN_DOT, from_a, distances)


def point_distances(centre: np.ndarray, rays: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distances (A, N) in metres of points (N, 3) from rays (A, 3), unit vectors, of a camera."""
    return np.linalg.norm(np.cross(points[None] - centre, rays[:, None]), axis=2)


def edges(distances: np.ndarray, max_m: float = MAX_EPIPOLAR_M) -> np.ndarray:
    """1 at distance 0, falling linearly to 0 at `max_m`; `IMPOSSIBLE` from there on."""
    return np.where(distances < max_m, 1 - distances / max_m, IMPOSSIBLE)


def normalised(weights: np.ndarray) -> np.ndarray:
    """Edges (A, B) divided by max(1, sum) of their row and of their column, both of the given weights."""
    rows = np.maximum(1, weights.sum(axis=1, keepdims=True))
    columns = np.maximum(1, weights.sum(axis=0, keepdims=True))
    return weights / rows / columns


def clique_score(
    epipolar: np.ndarray, temporal: float, fields: float, num_views: int, level: int, num_levels: int
) -> float:
    """How well candidates of one limb in several views fit together, 0..1.

    Args:
        epipolar: edges of all pairs of views; empty with a single view.
        temporal: mean edge to the joints of the person in the last frame, 0 without a person.
        fields: mean score of part affinity fields.
        num_views: that have a candidate.
        level: of the clique's size among `num_levels`.
        num_levels: more than 0.
    """
    terms = {
        "epipolar": float(np.mean(epipolar)) if np.size(epipolar) else 1.0,
        "temporal": temporal,
        "fields": fields,
        "views": 1 - float(np.exp(-(num_views**2) / 2)),
        "hierarchy": 1 - (level / num_levels) ** 4,
    }
    return sum(weight * terms[name] for name, weight in _WEIGHTS.items()) / sum(_WEIGHTS.values())
