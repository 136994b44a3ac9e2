"""Boxes to crops and back: what is in the crop is where it is said to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimators.crops import cut, square_crops, to_image, usable_boxes
from posetrail.similarity import grown_boxes


def test_a_crop_is_a_square_around_the_middle_of_the_box() -> None:
    boxes = np.array([[10, 20, 30, 100], [0, 0, 50, 10]])
    assert square_crops(boxes, 1.25).tolist() == [[-30, 10, 70, 110], [-6.25, -26.25, 56.25, 36.25]]


def test_a_crop_of_the_image_itself_is_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(cut(image, np.array([0.0, 0, 64, 64]), 64), image)


def test_beyond_the_border_a_crop_is_black() -> None:
    pixels = cut(np.full((10, 10, 3), 200, np.uint8), np.array([-10.0, 0, 10, 20]), 20)
    assert (pixels[:10, 10:] == 200).all()
    assert (pixels[10:] == 0).all()
    assert (pixels[:, :9] == 0).all()


@settings(max_examples=40, deadline=None)
@given(
    x=st.integers(60, 100),
    y=st.integers(60, 100),
    left=st.floats(0, 50),
    top=st.floats(0, 50),
    side=st.floats(110, 250),
)
def test_a_dot_in_the_image_is_found_again_through_its_crop(
    x: int, y: int, left: float, top: float, side: float
) -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[y - 3 : y + 4, x - 3 : x + 4] = 255
    crop = np.array([left, top, left + side, top + side])
    bright = cut(image, crop, 256)[:, :, 0].astype(float)
    rows, columns = np.mgrid[:256, :256]
    seen = np.array([(columns * bright).sum(), (rows * bright).sum()]) / bright.sum()
    assert to_image(seen[None, None], crop[None], 256)[0, 0] == pytest.approx([x, y], abs=0.1)


def test_what_lies_outside_the_kept_box_is_grey() -> None:
    image = np.full((100, 100, 3), 250, np.uint8)
    box = np.array([[40.0, 20, 60, 80]])
    keep = grown_boxes(box, 0.5)
    assert keep.tolist() == [[35, 5, 65, 95]]
    pixels = cut(image, np.array([0.0, 0, 100, 100]), 200, keep[0])
    assert (pixels[10:190, 70:130] == 250).all()
    assert (pixels[:10] == 128).all()
    assert (pixels[:, 130:] == 128).all()


def test_boxes_without_a_usable_crop_are_recognised() -> None:
    nan, inf = np.nan, np.inf
    bad = [
        *([nan, 0, 10, 10], [0, 0, inf, 10], [-inf, 0, inf, 10], [5, 5, 5, 5], [10, 10, 5, 5]),
        *([0, 0, 0.5, 0.5], [-50, 0, -10, 10], [0, 120, 10, 140], [-3e38, 0, 3e38, inf]),
    ]
    good = [[0, 0, 10, 10], [-50, -50, 5, 5], [5, 5, 5, 50], [99, 99, 300, 300], [-1e6, -1e6, 1e6, 1e6]]
    for dtype in (np.float32, np.float64):
        assert not usable_boxes(np.array(bad, dtype), (100, 100)).any()
        assert usable_boxes(np.array(good, dtype), (100, 100)).all()
    assert usable_boxes(np.zeros((0, 4)), (100, 100)).shape == (0,)
