"""MoveNet: the weights' own answers, degenerate boxes, masks and mirrors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from estimators import create_estimator
from estimators.decode import decode_movenet
from estimators.movenet import NETWORK, MoveNet
from posetrail.errors import InputError
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_17
from tests.frames import frames_of

WOMAN = np.array([520.0, 780, 970, 1740])  # in the first frame of the example clip, seen from behind
MAN = np.array([250.0, 330, 580, 1160])


def test_the_joints_of_a_person_are_in_order_from_head_to_feet(runtime: Runtime, first_frame: np.ndarray) -> None:
    estimator = create_estimator("movenet_thunder", runtime=runtime)
    assert estimator.skeleton is COCO_17
    [poses] = estimator(frames_of([first_frame]), [np.stack([MAN, WOMAN])])
    heights = {joint: poses.keypoints[:, COCO_17.index(f"left_{joint}"), 1] for joint in ("shoulder", "hip", "ankle")}
    assert (heights["shoulder"] < heights["hip"]).all()
    assert (heights["hip"] < heights["ankle"]).all()
    assert (poses.keypoint_scores.mean(axis=1) > 0.4).all()
    assert poses.scores.tolist() == [1, 1]
    assert not poses.propagated.any()
    assert np.array_equal(poses.boxes, np.stack([MAN, WOMAN]).astype(np.float32))


def test_outputs_equal_those_recorded_when_they_matched_the_original(each_backend: Runtime) -> None:
    # To remake: print the left-hand sides. They were taken when heat and centre equalled the original graph's to 1e-3.
    crop = np.random.default_rng(7).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    maps = each_backend.load(NETWORK)(crop)
    np.testing.assert_allclose([np.abs(m).mean() for m in maps], [0.0144, 0.0234, 5.9367, 0.9062], atol=1e-3)
    np.testing.assert_allclose([np.abs(m).max() for m in maps], [0.1106, 0.0805, 44.4106, 17.909], atol=2e-3)


@pytest.mark.parametrize("frame", [76, 115])
def test_maps_and_joints_equal_the_original_graph(each_backend: Runtime, shared: Path, frame: int) -> None:
    golden = np.load(shared / "goldens" / "embedded" / "embedded.npz")
    maps = each_backend.load(NETWORK)(golden[f"movenet_{frame}_crops_rgb_uint8"])
    np.testing.assert_allclose(maps[0].transpose(0, 2, 3, 1), golden[f"movenet_{frame}_heat"], atol=1e-3)
    np.testing.assert_allclose(maps[1].transpose(0, 2, 3, 1), golden[f"movenet_{frame}_centre"], atol=1e-3)
    keypoints, scores = decode_movenet(*maps)
    joints = golden[f"movenet_{frame}_joints_crop_px_x_y_score"]
    np.testing.assert_allclose(keypoints, joints[:, :, :2], atol=0.02)
    np.testing.assert_allclose(scores, joints[:, :, 2], atol=1e-3)


def test_results_do_not_depend_on_other_boxes_and_images(runtime: Runtime, first_frame: np.ndarray) -> None:
    estimator = MoveNet(runtime)
    small = first_frame[::2, ::2]
    boxes = [np.stack([MAN, WOMAN]), np.zeros((0, 4)), np.tile(WOMAN / 2, (33, 1))]
    first, second, third = estimator(frames_of([first_frame, first_frame, small]), boxes)
    assert (len(first), len(second), len(third)) == (2, 0, 33)
    [alone] = estimator(frames_of([first_frame]), [WOMAN[None]])
    assert np.array_equal(first[[1]].keypoints, alone.keypoints)
    [alone] = estimator(frames_of([small]), [WOMAN[None] / 2])
    assert (third.keypoints == alone.keypoints).all()
    assert estimator([], []) == []


def test_empty_boxes_have_no_joints_and_do_not_affect_others(runtime: Runtime, first_frame: np.ndarray) -> None:
    estimator = MoveNet(runtime, crop_mask_margin=0.2)
    nothing = [[np.nan] * 4, [50, 50, 50, 50], [-90, -90, -10, -10], [0, 0, np.inf, 9], [9, 9, 1, 1]]
    odd = [[0, 0, 2, 900], [-1e5, -1e5, 1e5, 1e5], [1080, 1900, 1100, 2000]]  # they may say anything but must not crash
    [poses] = estimator(frames_of([first_frame]), [np.array([*nothing, *odd, WOMAN])])
    assert np.isnan(poses.keypoints[:5]).all()
    assert (poses.keypoint_scores[:5] == 0).all()
    assert np.isfinite(poses.keypoints[5:]).all()
    [alone] = estimator(frames_of([first_frame]), [WOMAN[None]])
    assert np.array_equal(poses.keypoints[8], alone.keypoints[0])


def test_neighbours_outside_a_masked_crop_have_no_effect(runtime: Runtime, first_frame: np.ndarray) -> None:
    changed = first_frame.copy()
    changed[:, :400] = first_frame[:, 400:800]  # all of it beyond the mask's border, much of it within the crop
    for margin, same in ((0.2, True), (None, False)):
        estimator = MoveNet(runtime, crop_mask_margin=margin)
        before, after = estimator(frames_of([first_frame, changed]), [WOMAN[None], WOMAN[None]])
        assert np.array_equal(before.keypoints, after.keypoints) == same


def test_with_the_flip_test_a_mirrored_image_gives_the_mirrored_pose(runtime: Runtime, first_frame: np.ndarray) -> None:
    estimator = MoveNet(runtime, flip_test=True)
    width = first_frame.shape[1]
    there = np.array([[width - 1 - MAN[2], MAN[1], width - 1 - MAN[0], MAN[3]]])
    straight, mirrored = estimator(frames_of([first_frame, first_frame[:, ::-1].copy()]), [MAN[None], there])
    turned = mirrored.keypoints[0, COCO_17.mirror] * [-1, 1] + [width - 1, 0]
    sure = straight.keypoint_scores[0] > 0.3
    assert sure.sum() >= 12
    size = MAN[3] - MAN[1]
    assert np.abs(turned - straight.keypoints[0])[sure].max() < 0.03 * size


def test_wrong_names_and_options_are_refused(runtime: Runtime) -> None:
    with pytest.raises(InputError, match="unknown estimator 'movenet'; did you mean 'movenet_thunder'"):
        create_estimator("movenet", runtime=runtime)
    with pytest.raises(InputError, match="crop_scale: expected more than 0"):
        create_estimator("movenet_thunder", runtime=runtime, crop_scale=0.0)
    with pytest.raises(InputError, match="crop_mask_margin: expected 0 or more"):
        create_estimator("movenet_thunder", runtime=runtime, crop_mask_margin=-1.0)
