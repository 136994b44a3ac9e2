"""CLEAR MOT against a direct implementation of the paper, joint by joint and frame by frame, in a crowd."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from eval_posetrack.metrics import mota
from eval_posetrack.metrics.clean import Scene, clean
from eval_posetrack.metrics.match import joint_distances, near_joints
from eval_posetrack.metrics.rules import DEFAULT
from tests.poses import crowd


def as_the_paper_tells_it(scene: Scene, joint: int) -> list[float]:
    """Objects, misses, false positives, switches, matches and the sum of distances of one joint."""
    counts = np.zeros(6)
    last: dict[int, int] = {}
    ground_truth, predictions = scene.ground_truth, scene.predictions
    for t in range(scene.num_frames):
        g = np.flatnonzero((ground_truth.frames == t) & np.isfinite(ground_truth.keypoints[:, joint, 0]))
        p = np.flatnonzero((predictions.frames == t) & np.isfinite(predictions.keypoints[:, joint, 0]))
        grid_g, grid_p = (grid.ravel() for grid in np.meshgrid(g, p, indexing="ij"))
        table = joint_distances(ground_truth, predictions, grid_g, grid_p)[:, joint].reshape(len(g), len(p))
        table[table > 0.5] = np.inf

        kept = [
            (i, j)
            for i in range(len(g))
            for j in range(len(p))
            if last.get(ground_truth.ids[g[i]]) == predictions.ids[p[j]]
        ]
        pairs: list[tuple[int, int]] = []
        for i, j in sorted((pair for pair in kept if np.isfinite(table[pair])), key=lambda pair: table[pair]):
            if all(i != a and j != b for a, b in pairs):
                pairs.append((i, j))
        free = table.copy()
        for i, j in pairs:
            free[i], free[:, j] = np.inf, np.inf
        rows, columns = linear_sum_assignment(np.where(np.isfinite(free), free, 1000.0))
        pairs += [(i, j) for i, j in zip(rows, columns, strict=True) if np.isfinite(free[i, j])]

        switches = 0
        for i, j in pairs:
            switches += last.get(ground_truth.ids[g[i]], predictions.ids[p[j]]) != predictions.ids[p[j]]
            last[ground_truth.ids[g[i]]] = predictions.ids[p[j]]
        distance = sum(table[pair] for pair in pairs)
        counts += [len(g), len(g) - len(pairs), len(p) - len(pairs), switches, len(pairs), distance]
    return counts.tolist()


@given(seed=st.integers(0, 10**6), noise=st.floats(20, 90))
@settings(max_examples=15, deadline=None)
def test_the_vectorised_mota_agrees_with_a_direct_implementation(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    world = {"frames": 10, "seed": seed, "shown": 0.85, "joints_shown": 0.9, "size": (8.0, 14.0)}
    scene = clean(crowd(people=7, **world), crowd(people=9, noise=noise, scores=rng, **world))  # type: ignore[arg-type]
    counts = mota.count(mota.track(scene, near_joints(scene)), DEFAULT)
    names = ("objects", "misses", "false_positives", "switches", "matches", "distance")
    ours = np.stack([getattr(counts, name) for name in names], axis=1)
    np.testing.assert_allclose(ours, [as_the_paper_tells_it(scene, joint) for joint in range(15)], atol=1e-9)
    assert counts.switches.sum() > 0
