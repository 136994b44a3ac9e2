"""Edges between rays of two cameras: against recorded numbers and cases by hand."""

from __future__ import annotations

import numpy as np
import pytest

from posetrail import ray_association
from tests.goldens import SHARED


def test_edges_equal_what_was_recorded() -> None:
    path = SHARED / "goldens" / "functions" / "assoc4d_edges.npz"
    if not path.is_file():
        pytest.skip("../shared/goldens is not here")
    with np.load(path) as golden:
        a, b = golden["centres"]
        distances = ray_association.ray_distances(a, golden["rays_a"], b, golden["rays_b"])
        np.testing.assert_allclose(distances, golden["line_distance"], atol=1e-12)
        edges = ray_association.edges(distances)
        np.testing.assert_allclose(edges, golden["epipolar"], atol=1e-12)
        np.testing.assert_allclose(ray_association.normalised(edges), golden["epipolar_normalised"], atol=1e-12)


def test_rays_to_one_point_have_an_edge_of_1() -> None:
    point, a, b = np.array([0.2, 0.1, 4.0]), np.zeros(3), np.array([1.0, 0, 0])
    rays = [((point - centre) / np.linalg.norm(point - centre))[None] for centre in (a, b)]
    distances = ray_association.ray_distances(a, rays[0], b, rays[1])
    np.testing.assert_allclose(ray_association.edges(distances), 1, atol=1e-12)
    moved = ray_association.ray_distances(a, rays[0], np.array([1, 0.4, 0]), rays[1])
    assert ray_association.edges(moved).item() == ray_association.IMPOSSIBLE
    assert ray_association.point_distances(a, rays[0], point[None]).item() == pytest.approx(0)
    assert ray_association.point_distances(a, np.array([[1.0, 0, 0]]), np.array([[5.0, 3, 4]])).item() == 5


def test_a_clique_that_fits_in_all_terms_scores_1() -> None:
    assert ray_association.clique_score(np.ones(3), 1, 1, 20, 0, 3) == pytest.approx(1)
    alone = ray_association.clique_score(np.zeros(0), 0, 0, 1, 3, 3)
    assert alone == pytest.approx((1 + 1 - np.exp(-0.5)) / 7)
