"""Crops by centre, size and rotation: there and back, mirrors, and what published code gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from estimators.affine import (
    centres_and_sizes,
    crop_matrices,
    inverted,
    transformed,
    unbiased_crop_matrices,
    warped,
)
from tests.functions import recorded

CROP = (192, 256)
both_kinds = pytest.mark.parametrize("matrices_of", [crop_matrices, unbiased_crop_matrices])
centres = arrays(np.float64, (3, 2), elements=st.floats(-500, 2000))
sizes = arrays(np.float64, (3, 2), elements=st.floats(1, 2000))
rotations = arrays(np.float64, 3, elements=st.floats(-180, 180))
points = arrays(np.float64, (3, 4, 2), elements=st.floats(-500, 2000))


def test_a_crop_of_a_box_is_enlarged_to_the_shape_of_the_networks_input_and_padded() -> None:
    boxes = np.array([[10.0, 20, 40, 60], [0, 0, 60, 40]])
    middles, sides = centres_and_sizes(boxes, aspect_ratio=3 / 4, padding=1.5)
    assert middles.tolist() == [[25, 40], [30, 20]]
    assert sides.tolist() == [[45, 60], [90, 120]]


def test_centre_and_corners_of_a_crop_are_at_their_documented_positions() -> None:
    middle, size = np.array([[100.0, 50.0]]), np.array([[96.0, 128.0]])
    ends = np.array([[[52.0, -14.0], [100.0, 50.0], [148.0, 114.0]]])
    assert transformed(ends, crop_matrices(middle, size, CROP)).tolist() == [[[0, 0], [96, 128], [192, 256]]]
    unbiased = transformed(ends, unbiased_crop_matrices(middle, size, CROP))
    np.testing.assert_allclose(unbiased, [[[0, 0], [95.5, 127.5], [191, 255]]], atol=1e-9)


@both_kinds
def test_a_crop_turned_clockwise_shows_its_upper_edge_on_top(matrices_of) -> None:  # type: ignore[no-untyped-def]
    matrix = matrices_of(np.array([[100.0, 100.0]]), np.array([[101.0, 101.0]]), (101, 101), 90.0)
    above, right = transformed(np.array([[[100.0, 100.0], [140.0, 100.0]]]), matrix)[0]
    step = right - above
    assert step[0] == pytest.approx(0, abs=1e-9)
    assert step[1] < 0  # what lies to the right in the image is the top of the crop


@both_kinds
@settings(max_examples=30, deadline=None)
@given(centres=centres, sizes=sizes, rotations=rotations, points=points)
def test_points_come_back_and_people_of_a_batch_do_not_touch_each_other(  # type: ignore[no-untyped-def]
    matrices_of, centres: np.ndarray, sizes: np.ndarray, rotations: np.ndarray, points: np.ndarray
) -> None:
    there = matrices_of(centres, sizes, CROP, rotations)
    back = transformed(transformed(points, there), inverted(there))
    np.testing.assert_allclose(back, points, atol=1e-5)
    for n in range(3):
        one = np.s_[n : n + 1]
        np.testing.assert_array_equal(matrices_of(centres[one], sizes[one], CROP, rotations[one])[0], there[n])
    assert matrices_of(centres[:0], sizes[:0], CROP).shape == (0, 2, 3)


@settings(max_examples=30, deadline=None)
@given(centres=centres, sizes=sizes, rotations=rotations, points=points)
def test_an_unbiased_crop_of_the_mirrored_image_is_the_mirrored_crop(
    centres: np.ndarray, sizes: np.ndarray, rotations: np.ndarray, points: np.ndarray
) -> None:
    width = 1280
    turn = np.array([-1.0, 1.0])
    seen = unbiased_crop_matrices(centres * turn + [width - 1, 0], sizes, CROP, -rotations)
    straight = transformed(points, unbiased_crop_matrices(centres, sizes, CROP, rotations))
    mirrored = transformed(points * turn + [width - 1, 0], seen)
    np.testing.assert_allclose(mirrored, straight * turn + [CROP[0] - 1, 0], rtol=1e-6, atol=1e-5)


def test_a_dot_is_found_where_its_point_goes() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[88:93, 148:153] = 255
    matrix = crop_matrices(np.array([[140.0, 100.0]]), np.array([[96.0, 128.0]]), CROP, 30.0)
    crop = warped(image, matrix[0], CROP)[:, :, 0].astype(float)
    assert crop.shape == (256, 192)
    rows, columns = np.mgrid[:256, :192]
    seen = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
    np.testing.assert_allclose(seen, transformed(np.array([[[150.0, 90.0]]]), matrix)[0, 0], atol=0.1)


# Published code's answers: it takes its three points in float32, which far from the origin is felt


def test_simple_baseline_as_published() -> None:
    golden = recorded("affine_transform")
    for i, (centre_scale, size) in enumerate(
        zip(golden["center_scale"].astype(float), golden["output_size"], strict=True)
    ):
        matrix = crop_matrices(centre_scale[None, :2], centre_scale[None, 2:] * 200, tuple(size), golden["rot"][i])
        np.testing.assert_allclose(matrix[0], golden["matrix"][i], rtol=1e-6, atol=1e-3)
        np.testing.assert_allclose(inverted(matrix)[0], golden["matrix_inv"][i], rtol=1e-6, atol=1e-3)
    low, sides = np.split(golden["boxes_xywh"], 2, axis=1)
    middles, sizes = centres_and_sizes(np.concatenate([low, low + sides], axis=1), aspect_ratio=192 / 256)
    np.testing.assert_allclose(middles, golden["box_center"], atol=1e-4)
    np.testing.assert_allclose(sizes / 200, golden["box_scale"], atol=1e-6)
    crop = warped(golden["warp_image"], golden["warp_matrix"], (24, 32))
    assert np.abs(crop.astype(int) - golden["warp_result"]).max() <= 1  # versions of OpenCV round otherwise


def test_udp_as_published() -> None:
    golden = recorded("udp_decode")
    for i, (last, target) in enumerate(zip(golden["warp_size_dst"], golden["warp_size_target"], strict=True)):
        centre, size = golden["warp_size_input"][i] / 2, tuple((last + 1).astype(int))
        # It turns the other way.
        matrix = unbiased_crop_matrices(centre[None], target[None], size, -golden["warp_theta"][i])
        np.testing.assert_allclose(matrix[0], golden["warp_matrix"][i], rtol=1e-6, atol=1e-4)


def test_rtmpose_as_published() -> None:
    golden = recorded("simcc_decode")
    rotations = np.array([0, 20, -33] * 2)
    middles, sizes = centres_and_sizes(golden["bbox_xyxy"].astype(float), aspect_ratio=192 / 256)
    np.testing.assert_allclose(middles, golden["bbox_center"], atol=1e-4)
    np.testing.assert_allclose(sizes, golden["scale_fixed"], atol=1e-4)
    matrices = crop_matrices(middles, sizes, CROP, rotations)
    np.testing.assert_allclose(matrices, golden["warp_matrix"], atol=1e-3)
    unbiased = unbiased_crop_matrices(middles, sizes, CROP, -rotations)
    np.testing.assert_allclose(unbiased, golden["udp_warp_matrix"], atol=1e-3)
