"""BlazePose: the original graph's outputs, regions, world axes, unusable boxes, mirrors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from estimators import blazepose_decode as decode
from estimators import create_estimator
from estimators.blazepose import NETWORK, BlazePose
from estimators.blazepose_decode import Points
from posetrail.poses import Poses
from posetrail.runtime import Runtime
from posetrail.skeletons import BLAZEPOSE_33, COCO_17
from tests.frames import frames_of

WOMAN = np.array([520.0, 780, 970, 1740])  # in the first frame of the example clip, seen from behind
MAN = np.array([250.0, 330, 580, 1160])


def poses_of(keypoints: np.ndarray, boxes: np.ndarray) -> Poses:
    N = len(keypoints)
    return Poses(keypoints, np.isfinite(keypoints[:, :, 0]), boxes, np.ones(N), np.zeros(N))


def test_outputs_equal_the_original_graph(each_backend: Runtime, shared: Path) -> None:
    golden = np.load(shared / "goldens" / "embedded" / "blazepose.npz")
    landmarks, world, flag, heatmaps = each_backend.load(NETWORK)(golden["input"])
    np.testing.assert_allclose(landmarks, golden["full_ld_3d"], atol=0.02)
    np.testing.assert_allclose(world, golden["full_world_3d"], atol=2e-4)
    np.testing.assert_allclose(flag, golden["full_poseflag"], atol=1e-4)
    np.testing.assert_allclose(heatmaps[0].transpose(1, 2, 0), golden["full_heatmap_crop0"], atol=1e-3)
    points, regions = Points.decoded(landmarks, world, flag, heatmaps), golden["roi"]
    np.testing.assert_allclose(points.xy, golden["full_refined_xy"], atol=0.02)
    np.testing.assert_allclose(points.scores, golden["full_visibility"] * golden["full_presence"], atol=1e-3)
    np.testing.assert_allclose(decode.to_image(points.xy, regions), golden["full_image_xy"], atol=0.1)
    np.testing.assert_allclose(decode.upright(points.world, regions), golden["full_world_upright"], atol=2e-4)


def test_boxes_give_people_with_heads_above_feet(runtime: Runtime, first_frame: np.ndarray) -> None:
    estimator = create_estimator("blazepose_full", runtime=runtime)
    assert estimator.skeleton is BLAZEPOSE_33
    [poses] = estimator(frames_of([first_frame]), [np.stack([MAN, WOMAN])])
    heights = [poses.keypoints[:, BLAZEPOSE_33.index(f"left_{name}"), 1] for name in ("shoulder", "hip", "ankle")]
    assert (np.diff(heights, axis=0) > 100).all()
    assert np.array_equal(poses.boxes, np.stack([MAN, WOMAN]).astype(np.float32))


def test_landmarks_of_a_turned_picture_are_the_turned_landmarks(runtime: Runtime, first_frame: np.ndarray) -> None:
    estimator = BlazePose(runtime)
    [found] = estimator.landmarks(frames_of([first_frame]), [poses_of(np.full((1, 17, 2), np.nan), MAN[None])], COCO_17)
    upright = found.poses.keypoints
    side = first_frame.shape[0] - upright[..., 1], upright[..., 0]  # by a quarter, clockwise
    turned = np.ascontiguousarray(np.rot90(first_frame, -1))
    given = poses_of(np.stack(side, axis=2), MAN[None])
    [there] = estimator.landmarks(frames_of([turned]), [given], BLAZEPOSE_33)
    [here] = estimator.landmarks(frames_of([first_frame]), [poses_of(upright, MAN[None])], BLAZEPOSE_33)
    np.testing.assert_allclose(there.poses.keypoints[..., 1], here.poses.keypoints[..., 0], atol=3)
    np.testing.assert_allclose(there.world[..., 0], -here.world[..., 1], atol=0.02)
    np.testing.assert_allclose(there.world[..., 1], here.world[..., 0], atol=0.02)
    assert (here.flag > 0.9).all()
    assert here.world[0, BLAZEPOSE_33.index("left_ankle"), 1] > 0.5
