"""Camera-stabilised coordinates."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.association.stabilisation import Stabiliser, inverted, transformed


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(0.5, 2), st.floats(-99, 99), st.floats(-99, 99)), max_size=8))
def test_static_points_keep_their_stabilised_coordinates(motions: list[tuple[float, float, float, float]]) -> None:
    points = np.array([[0.0, 0.0], [300.0, 20.0], [50.0, 400.0]])
    stabiliser = Stabiliser()
    now = points
    assert np.array_equal(stabiliser.add(np.ones((2, 3))), np.eye(2, 3))
    for angle, scale, x, y in motions:
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        camera = np.array([[cos, -sin, x], [sin, cos, y]])
        now = transformed(now, camera)
        to_first = stabiliser.add(camera)
        assert np.allclose(transformed(now, to_first), points, atol=1e-6 * np.abs(now).max() + 1e-6)
        assert np.allclose(transformed(points, inverted(to_first)), now, rtol=1e-6, atol=1e-5)


def test_the_accumulated_zoom_is_bounded() -> None:
    stabiliser = Stabiliser()
    for _ in range(3000):
        to_first = stabiliser.add(np.array([[1.01, 0, 0], [0, 1.01, 0]]))
    assert np.isfinite(to_first).all()
    assert np.linalg.det(to_first[:, :2]) > 1e-7
    assert np.array_equal(stabiliser.add(np.zeros((2, 3))), to_first)
