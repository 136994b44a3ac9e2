"""Augmentation against samples that published training code made from given random numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from estimators.affine import transformed, warped
from posetrail.skeletons import COCO_17
from tests.training_goldens import recorded_training
from training.augment import Augmentation, Crop, Draws, augmented, hole_of, region
from training.colour import hsv_shifted, with_hole
from training.regions import HalfBody, Region

HRNET = Augmentation()
MMPOSE = Augmentation(
    distribution="truncated",
    scale=(0.6, 1.4),
    rotation_deg=80,
    shift=0.16,
    shift_probability=0.3,
    half_body=HalfBody(min_upper=2, upper_probability=0.7),
)
MSPN = Augmentation(
    padding=1.05 * 0.8,
    distribution="uniform",
    scale=(0.75, 1.25),
    rotation_deg=45,
    rotation_probability=0.5,
    stretch=(0.6, 0.8),
    half_body=HalfBody(min_joints=4, min_upper=4, min_lower=4, centre="middle", padding=0.8, hips_are_upper=True),
    only_inside=True,
)


def person(golden: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The box (4,), keypoints (17, 2) with NaN and visibility (17,) of a golden."""
    visibility = golden["visible"].astype(np.uint8)
    keypoints = np.where(visibility[:, None] > 0, golden["joints"], np.nan)
    if "box_xyxy" in golden:
        return golden["box_xyxy"].astype(float), keypoints, visibility
    box = golden["box_xywh"]
    return np.concatenate([box[:2], box[:2] + box[2:]]), keypoints, visibility


def named_draws(golden: dict[str, np.ndarray]) -> list[dict[str, float]]:
    return [dict(zip(golden["draw_names"].tolist(), row, strict=True)) for row in golden["draws"].tolist()]


def crop_size(golden: dict[str, np.ndarray]) -> tuple[int, int]:
    """Width and height of the recorded crops."""
    return golden["input"].shape[2], golden["input"].shape[1]


def crop_of(golden: dict[str, np.ndarray], settings: Augmentation, draws: Draws) -> tuple[Crop, Region]:
    box, keypoints, visibility = person(golden)
    crop = augmented(golden["image"], box, keypoints, visibility, COCO_17, settings, draws, crop_size(golden))
    return crop, region(box, keypoints, golden["image"].shape[1], COCO_17, settings, draws)


def assert_same_joints(crop: Crop, joints: np.ndarray, visible: np.ndarray) -> None:
    assert (crop.visibility > 0).tolist() == (visible > 0).tolist()
    labelled = visible > 0
    np.testing.assert_allclose(crop.keypoints[labelled], joints[labelled], rtol=1e-5, atol=1e-5 * 64)
    assert np.isnan(crop.keypoints[~labelled]).all()


def assert_same_pixels(image: np.ndarray, expected: np.ndarray) -> None:
    """As near as versions of OpenCV are to each other."""
    difference = np.abs(image.astype(int) - expected)
    assert difference.mean() < 0.6
    assert difference.max() <= 6


def of_aspect(where: Region, size: tuple[int, int]) -> np.ndarray:
    """(2,) the size with the aspect ratio of the crop."""
    ratio = size[0] / size[1]
    return np.maximum(where.size, [where.size[1] * ratio, where.size[0] / ratio])


def test_samples_of_hrnet() -> None:
    golden = recorded_training("augment_hrnet")
    many = (golden["visible"] > 0).sum() > 8
    for i, drawn in enumerate(named_draws(golden)):
        draws = Draws(
            flip=drawn["flip_random"] <= 0.5,
            half_body=drawn["half_rand"] < 0.3,
            upper=drawn["half_randn"] < 0.5,
            scale=drawn["scale_randn"],
            rotation=drawn["rot_randn"] if drawn["rot_random"] <= 0.6 else 0.0,
        )
        crop, where = crop_of(golden, HRNET, draws)
        assert (draws.half_body and many) == golden["half"][i]
        np.testing.assert_allclose(where.centre, golden["center"][i], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(of_aspect(where, crop_size(golden)) / 200, golden["scale"][i], rtol=1e-5)
        assert where.rotation_deg == pytest.approx(golden["rotation"][i])
        assert_same_joints(crop, golden["joints_crop"][i][:, :2], golden["visible_out"][i])
        assert_same_pixels(crop.image, golden["input"][i])


@pytest.mark.parametrize("unbiased", [False, True])
def test_samples_of_mmpose(unbiased: bool) -> None:
    golden = recorded_training("augment_mmpose")
    for i, drawn in enumerate(named_draws(golden)):
        draws = Draws(
            flip=drawn["flip"] == 1,
            half_body=drawn["half_rand"] <= 0.3,
            upper=drawn["upper_rand"] < 0.7,
            shift=(drawn["tn_x"], drawn["tn_y"]) if drawn["shift_rand"] < 0.3 else (0.0, 0.0),
            scale=drawn["tn_scale"] if drawn["scale_rand"] < 1 else 0.0,
            # its unbiased matrix rotates the other way
            rotation=(-1 if unbiased else 1) * drawn["tn_rot"] if drawn["rot_rand"] < 0.6 else 0.0,
        )
        crop, where = crop_of(golden, replace(MMPOSE, unbiased=unbiased), draws)
        np.testing.assert_allclose(where.centre, golden["center"][i], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(where.size, golden["scale"][i], rtol=1e-5)
        assert where.rotation_deg == pytest.approx((-1 if unbiased else 1) * golden["rotation"][i], rel=1e-5)
        kind = "_udp" if unbiased else ""
        assert_same_joints(crop, golden[f"joints_crop{kind}"][i], golden["visible_out"][i])
        assert_same_pixels(crop.image, golden[f"input{kind}"][i])


def test_samples_of_mspn() -> None:
    golden = recorded_training("augment_mspn")
    for i, drawn in enumerate(named_draws(golden)):
        draws = Draws(
            flip=drawn["flip_random"] <= 0.5,
            half_body=drawn["half_rand"] < 0.3,
            upper=drawn["half_randn"] < 0.5,
            scale=4 * (drawn["scale_uniform"] - 1),
            rotation=drawn["rot_uniform"] / 45 if drawn["rot_random"] <= 0.5 else 0.0,
            stretch=(drawn["ext_x"], drawn["ext_y"]),
            half_stretch=(drawn["half_x"], drawn["half_y"]),
        )
        crop, where = crop_of(golden, MSPN, draws)
        np.testing.assert_allclose(where.centre, golden["center"][i], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(of_aspect(where, crop_size(golden)) / 200, golden["scale"][i], rtol=1e-5)
        np.testing.assert_allclose(crop.matrix, golden["matrix"][i], rtol=1e-5, atol=1e-5)
        assert crop.visibility.tolist() == golden["valid"][i].tolist()
        assert_same_pixels(crop.image, golden["input"][i])


def test_hue_saturation_and_value_of_mmpose() -> None:
    golden = recorded_training("augment_mmpose")
    for gains, expected in zip(golden["hsv_gains"].tolist(), golden["hsv_image"], strict=True):
        shifted = hsv_shifted(golden["image"][:, :, ::-1].copy(), tuple(gains))[:, :, ::-1]  # it takes BGR
        np.testing.assert_array_equal(shifted, expected)


def test_holes_of_rtmpose() -> None:
    golden = recorded_training("augment_dropout")
    height, width = golden["image"].shape[:2]
    for (tall, wide, top, left), hole, result in zip(
        golden["draws"].tolist(), golden["holes_x1y1x2y2"].tolist(), golden["result"], strict=True
    ):
        rows, columns = height - int(tall * height) + 1, width - int(wide * width) + 1
        made = hole_of((tall, wide, (top + 0.5) / rows, (left + 0.5) / columns), (width, height))
        assert list(made) == hole
        np.testing.assert_array_equal(with_hole(golden["image"], made), result)


def test_joints_of_a_golden_and_pixels_agree() -> None:
    """The matrix that moved the joints is the one that moved the pixels."""
    golden = recorded_training("augment_hrnet")
    crop, where = crop_of(golden, HRNET, Draws(scale=0.3, rotation=0.5))
    _, keypoints, visibility = person(golden)
    matrix = where.matrix(crop_size(golden))
    np.testing.assert_allclose(
        crop.keypoints[visibility > 0], transformed(keypoints[None], matrix[None])[0][visibility > 0], rtol=1e-5
    )
    np.testing.assert_array_equal(crop.image, warped(golden["image"], matrix, crop_size(golden)))
