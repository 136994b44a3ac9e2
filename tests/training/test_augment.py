"""Augmentation: joints and pixels move together, mirroring twice changes nothing, draws depend on the sample alone."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.affine import centres_and_sizes, crop_matrices, transformed, unbiased_crop_matrices, warped
from posetrail.skeletons import COCO_17, CROWDPOSE_14, MPII_16, Skeleton
from training.augment import NO_AUGMENTATION, Augmentation, Draws, augmented, drawn, region
from training.colour import blurred, median_blurred, with_brightness_and_contrast, with_channel_gains, with_hole
from training.regions import HalfBody, half_body, is_upper_body, mirrored

SIZE, CROP = (200, 160), (96, 128)  # width, height
BOX = np.array([60.0, 30, 130, 140])
ALL = Augmentation(
    shift=0.16,
    shift_probability=0.5,
    hsv=(5, 30, 30),
    brightness=0.2,
    contrast=0.2,
    channels=0.4,
    blur_probability=0.1,
    median_blur_probability=0.1,
    hole_probability=0.5,
)
GEOMETRY = Augmentation(shift=0.16, shift_probability=0.5)


def joints_in(box: np.ndarray, seed: int = 0, K: int = 17) -> np.ndarray:
    """(K, 2) random places in a box, whole pixels."""
    return np.round(np.random.default_rng(seed).uniform(box[:2], box[2:], (K, 2)))


def dots(points: np.ndarray) -> np.ndarray:
    """An image with a soft white dot at each of a few points."""
    ys, xs = np.mgrid[: SIZE[1], : SIZE[0]]
    away = (xs - points[:, 0, None, None]) ** 2 + (ys - points[:, 1, None, None]) ** 2
    grey = 250 * np.exp(-away / (2 * 2.0**2)).max(axis=0)
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)


def centre_of_light(image: np.ndarray) -> np.ndarray:
    """(2,) mean place of the pixels, by their brightness."""
    weights = image[:, :, 0].astype(float)
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(xs * weights).sum(), (ys * weights).sum()]) / weights.sum()


@pytest.mark.parametrize("unbiased", [False, True])
@given(index=st.integers(0, 10**6))
def test_a_dot_at_a_joint_is_at_the_joint_after_the_crop(unbiased: bool, index: int) -> None:
    joint = joints_in(np.add(BOX, [20, 30, -20, -30]), seed=index, K=1)
    keypoints = np.concatenate([joint, joints_in(BOX, seed=index, K=16)])
    settings = replace(GEOMETRY, unbiased=unbiased)
    draws = drawn(settings, 0, 0, index)
    crop = augmented(dots(joint), BOX, keypoints, np.full(17, 2), COCO_17, settings, draws, CROP)
    k = COCO_17.mirror[0] if crop.flipped else 0
    place = crop.keypoints[k]
    if ((place > 12) & (place < np.array(CROP) - 12)).all():  # the whole dot is in the crop
        np.testing.assert_allclose(centre_of_light(crop.image), place, atol=0.25)


@pytest.mark.parametrize("unbiased", [False, True])
def test_without_augmentation_the_crop_is_that_of_inference(unbiased: bool) -> None:
    image = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    keypoints = joints_in(BOX)
    settings = replace(NO_AUGMENTATION, unbiased=unbiased)
    for draws in (Draws(), drawn(settings, 0, 0, 5)):
        crop = augmented(image, BOX, keypoints, np.full(17, 2), COCO_17, settings, draws, CROP)
        centres, sizes = centres_and_sizes(BOX[None], aspect_ratio=CROP[0] / CROP[1], padding=1.25)
        matrix = (unbiased_crop_matrices if unbiased else crop_matrices)(centres, sizes, CROP)[0]
        np.testing.assert_allclose(crop.matrix, matrix, rtol=1e-12, atol=1e-9)
        np.testing.assert_array_equal(crop.image, warped(image, matrix, CROP))
        expected = transformed(keypoints[None], matrix[None])[0]
        np.testing.assert_allclose(crop.keypoints, expected.astype(np.float32), rtol=1e-5)


@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16, CROWDPOSE_14], ids=lambda each: each.name)
@given(width=st.integers(1, 5000), seed=st.integers(0, 1000))
def test_mirroring_twice_changes_nothing(skeleton: Skeleton, width: int, seed: int) -> None:
    keypoints = joints_in(BOX, seed, len(skeleton))
    np.testing.assert_array_equal(mirrored(mirrored(keypoints, width), width), keypoints)
    np.testing.assert_array_equal(skeleton.mirror[skeleton.mirror], np.arange(len(skeleton)))


def test_a_mirrored_image_and_a_mirrored_sample_are_the_same_crop() -> None:
    """Mirroring the data and asking for a mirrored crop gives the crop of the data as they were."""
    image = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    keypoints, visibility = joints_in(BOX), np.random.default_rng(1).integers(0, 3, 17)
    keypoints[visibility == 0] = np.nan
    there = (keypoints, visibility)
    back = (mirrored(keypoints, SIZE[0])[COCO_17.mirror], visibility[COCO_17.mirror])
    corners = mirrored(BOX.reshape(2, 2), SIZE[0])
    other_box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    for draws in (drawn(GEOMETRY, 0, 0, index) for index in range(20)):
        draws = replace(draws, flip=False)
        one = augmented(image, BOX, *there, COCO_17, GEOMETRY, draws, CROP)
        flipped = replace(draws, flip=True)
        other = augmented(cv2.flip(image, 1), other_box, *back, COCO_17, GEOMETRY, flipped, CROP)
        np.testing.assert_allclose(other.keypoints, one.keypoints, rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(other.visibility, one.visibility)
        assert np.abs(other.image.astype(int) - one.image).max() <= 1


def test_left_joints_are_right_joints_of_a_mirrored_sample() -> None:
    keypoints = np.full((17, 2), np.nan)
    wrist = COCO_17.index("left_wrist")
    keypoints[wrist] = 70, 50
    visibility = np.where(np.isfinite(keypoints[:, 0]), 1, 0)
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    crop = augmented(image, BOX, keypoints, visibility, COCO_17, NO_AUGMENTATION, Draws(flip=True), CROP)
    assert np.flatnonzero(crop.visibility).tolist() == [COCO_17.index("right_wrist")]
    assert crop.visibility.max() == 1
    assert crop.keypoints[COCO_17.index("right_wrist"), 0] > CROP[0] / 2


def test_draws_depend_on_seed_epoch_and_index_alone() -> None:
    serial = [drawn(ALL, 3, epoch, index) for epoch in range(2) for index in range(50)]
    with ThreadPoolExecutor(4) as workers:
        jobs = [(epoch, index) for epoch in range(2) for index in range(50)]
        shuffled = np.random.default_rng(0).permutation(len(jobs)).tolist()
        parallel = dict(zip(shuffled, workers.map(lambda job: drawn(ALL, 3, *jobs[job]), shuffled), strict=True))
    assert serial == [parallel[i] for i in range(len(jobs))]
    assert len({repr(draws) for draws in serial}) == len(serial)
    assert drawn(ALL, 4, 0, 0) != serial[0]


@pytest.mark.parametrize("change", [{"hsv": (0, 0, 0)}, {"hole_probability": 0.0}, {"rotation_probability": 0.0}])
def test_a_change_of_one_setting_leaves_the_other_draws_as_they_were(change: dict[str, object]) -> None:
    own = {"hsv": "hsv", "hole_probability": "hole", "rotation_probability": "rotation"}[next(iter(change))]
    for index in range(20):
        before, after = drawn(ALL, 0, 0, index), drawn(replace(ALL, **change), 0, 0, index)  # type: ignore[arg-type]
        different = {each.name for each in fields(Draws) if getattr(before, each.name) != getattr(after, each.name)}
        assert different <= {own}


@pytest.mark.parametrize("distribution", ["normal", "truncated", "uniform"])
def test_scales_and_rotations_stay_in_their_ranges(distribution: str) -> None:
    settings = replace(GEOMETRY, distribution=distribution, half_body=HalfBody(probability=0))  # type: ignore[arg-type]
    keypoints = joints_in(BOX)
    many = [drawn(settings, 0, 0, index) for index in range(2000)]
    regions = [region(BOX, keypoints, SIZE[0], COCO_17, settings, draws) for draws in many]
    factors = np.array([each.size[0] for each in regions]) / (1.25 * 70)
    assert 0.65 - 1e-9 <= factors.min() < 0.7
    assert 1.3 < factors.max() <= 1.35 + 1e-9
    assert factors.mean() == pytest.approx(1, abs=0.02)
    turns = np.array([each.rotation_deg for each in regions])
    limit = 90 if distribution == "normal" else 45
    assert 0.8 * limit < np.abs(turns).max() <= limit
    assert (turns == 0).mean() == pytest.approx(0.4, abs=0.05)
    assert np.mean([each.flipped for each in regions]) == pytest.approx(0.5, abs=0.05)


def test_half_bodies_contain_the_joints_of_one_half_only() -> None:
    keypoints = joints_in(BOX)
    upper = is_upper_body(COCO_17)
    assert [joint for joint, is_upper in zip(COCO_17.joints, upper, strict=True) if not is_upper] == list(
        COCO_17.joints[11:]
    )
    for prefer, half in ((True, upper), (False, ~upper)):
        found = half_body(keypoints, COCO_17, HalfBody(), prefer_upper=prefer)
        assert found is not None
        np.testing.assert_allclose(found[0], keypoints[half].mean(axis=0))
        np.testing.assert_allclose(found[1], np.ptp(keypoints[half], axis=0))
    few = keypoints.copy()
    few[9:] = np.nan
    assert half_body(few, COCO_17, HalfBody(), prefer_upper=False) is not None  # the upper half, as the lower has none
    few[8:] = np.nan
    assert half_body(few, COCO_17, HalfBody(), prefer_upper=True) is None
    assert is_upper_body(COCO_17, hips_are_upper=True).sum() == 13


def test_joints_on_one_line_still_have_a_region() -> None:
    keypoints = np.full((17, 2), 50.0)
    where = region(BOX, keypoints, SIZE[0], COCO_17, Augmentation(), Draws(half_body=True))
    assert (where.size > 0).all()
    assert np.isfinite(where.matrix(CROP)).all()


def test_a_person_without_labelled_joints_can_be_cropped() -> None:
    keypoints = np.full((17, 2), np.nan)
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for index in range(20):
        draws = drawn(ALL, 0, 0, index)
        crop = augmented(image, BOX, keypoints, np.zeros(17), COCO_17, replace(ALL, only_inside=True), draws, CROP)
        assert not crop.visibility.any()
        assert crop.image.shape == (CROP[1], CROP[0], 3)


def test_changes_of_pixels() -> None:
    image = np.full((8, 6, 3), (100, 150, 200), np.uint8)
    np.testing.assert_array_equal(with_brightness_and_contrast(image, 0.1, 1.0)[0, 0], [126, 176, 226])
    np.testing.assert_array_equal(with_brightness_and_contrast(image, 0.0, 2.0)[0, 0], [72, 172, 255])
    np.testing.assert_array_equal(with_channel_gains(image, (1.0, 0.5, 2.0))[0, 0], [100, 75, 255])
    np.testing.assert_array_equal(blurred(image, 3), image)
    np.testing.assert_array_equal(median_blurred(image, 3), image)
    holed = with_hole(image, (1, 2, 3, 5))
    assert (holed == 0).all(axis=2).sum() == 2 * 3
    assert (image > 0).all()


def test_more_than_250_crops_a_second() -> None:
    """With every change turned on, 192 x 256; a bar that leaves room for a busy machine."""
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    keypoints, visibility = joints_in(BOX), np.full(17, 2)
    start = time.process_time()
    for index in range(100):
        augmented(image, BOX, keypoints, visibility, COCO_17, ALL, drawn(ALL, 0, 0, index), (192, 256))
    assert 100 / (time.process_time() - start) > 250
