"""Targets equal those of published training code, from recorded arrays; the formulas are on the pages beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.training_goldens import recorded_training
from training.targets.blurred import blurred_maps
from training.targets.coordinates import integral_targets, relative_coordinates
from training.targets.heatmaps import exact_maps, gaussian_maps, hourglass_maps, udp_maps, udp_offset_maps
from training.targets.part_maps import centre_maps, part_maps, part_maps_of_people
from training.targets.simcc import simcc_gaussians, simcc_smoothed_one_hot

SETS = [("s2_256x192", (192, 256), 2.0), ("s3_384x288", (288, 384), 3.0)]
JOINT_WEIGHTS = torch.tensor([1, 1, 1, 1, 1, 1, 1, 1.2, 1.2, 1.5, 1.5, 1, 1, 1.2, 1.2, 1.5, 1.5])  # of COCO
STRIDE = 4


def joints(array: np.ndarray) -> tuple[Tensor, Tensor]:
    """Keypoints and visibility of joints (..., K, 3)."""
    each = torch.from_numpy(array)
    return each[..., :2], each[..., 2]


def check(got: Tensor, expected: np.ndarray) -> None:
    """Within 1e-5 of the largest number."""
    assert got.dtype == torch.float32
    assert tuple(got.shape) == expected.shape
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-5 * max(np.abs(expected).max(), 1e-3))


def check_equal(got: Tensor, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize(("name", "crop_size", "sigma"), SETS)
def test_gaussians_around_whole_cells_equal_simple_baselines_and_hrnet(
    name: str, crop_size: tuple[int, int], sigma: float
) -> None:
    golden = recorded_training("target_heatmap_msra")
    maps, weights = gaussian_maps(*joints(golden[f"{name}_joints"]), crop_size, sigma=sigma)
    check(maps, golden[f"{name}_target"])
    check_equal(weights, golden[f"{name}_weight"])
    check_equal(weights * JOINT_WEIGHTS, golden[f"{name}_weight_coco"])


@pytest.mark.parametrize(("name", "crop_size", "sigma"), SETS)
def test_gaussians_around_exact_positions_equal_dark(name: str, crop_size: tuple[int, int], sigma: float) -> None:
    golden = recorded_training("target_heatmap_dark")
    cells, visibility = (torch.from_numpy(golden[f"{name}_{part}"]) for part in ("joints_cells", "v"))
    size = crop_size[0] // STRIDE, crop_size[1] // STRIDE
    maps, weights = exact_maps(cells, visibility, size, stride=1, sigma=sigma)
    whole, step = golden.get(f"{name}_target"), golden.get(f"{name}_target_step3")
    if whole is not None:
        check(maps, whole)
    if step is not None:
        check(maps[..., ::3, ::3], step)
    check_equal(weights, golden[f"{name}_weight"])
    # MMPose drops a joint whose square ends more than one cell before the map, DARK's authors two; its map is empty.
    ends_near = (cells + 3 * sigma + 1 >= 0).all(dim=2)
    check_equal(weights * ends_near, golden[f"{name}_weight_mmpose"])


@pytest.mark.parametrize(("name", "crop_size", "sigma"), SETS)
def test_maps_of_udp_equal_those_of_its_authors(name: str, crop_size: tuple[int, int], sigma: float) -> None:
    golden = recorded_training("target_heatmap_udp")
    maps, weights = udp_maps(*joints(golden[f"{name}_joints"]), crop_size, sigma=sigma)
    check(maps, golden[f"{name}_target"])
    check_equal(weights, golden[f"{name}_weight"])


def test_disks_and_offsets_equal_those_of_udp_s_authors() -> None:
    golden = recorded_training("target_heatmap_udp")
    expected = golden["offset_target"]
    crop_size = expected.shape[3] * STRIDE, expected.shape[2] * STRIDE
    maps, weights = udp_offset_maps(*joints(golden["offset_joints"]), crop_size)
    check(maps, expected)
    check_equal(weights, golden["offset_weight"])
    # MMPose stores offsets also outside the disk, where the loss does not count them.
    of_mmpose = golden["offset_mmpose_step5"]
    grouped = of_mmpose.reshape(len(of_mmpose), -1, 3, *of_mmpose.shape[2:])
    inside = np.concatenate([grouped[:, :, :1], grouped[:, :, 1:] * grouped[:, :, :1]], axis=2)
    check(maps[..., ::5, ::5], inside.reshape(of_mmpose.shape))
    check_equal(weights, golden["offset_mmpose_weight"])
    everywhere, _ = udp_offset_maps(*joints(golden["offset_joints"]), crop_size, everywhere=True)
    labelled = golden["offset_mmpose_weight"].repeat(3, axis=1) > 0
    np.testing.assert_allclose(everywhere[..., ::5, ::5].numpy()[labelled], of_mmpose[labelled], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", [15, 11, 9, 7, 5])
def test_blurred_pixels_equal_mspn_s(kernel: int) -> None:
    golden = recorded_training("target_heatmap_megvii")
    expected = golden[f"k{kernel}"]
    crop_size = expected.shape[3] * STRIDE, expected.shape[2] * STRIDE
    maps, visibility = blurred_maps(*joints(golden["joints"]), crop_size, kernels=(kernel,), border="reflect")
    check(maps[: len(expected), 0], expected)
    check_equal(visibility, golden["valid"])


def test_blurred_pixels_divided_by_the_value_at_the_joint_equal_mmpose_s() -> None:
    golden = recorded_training("target_heatmap_megvii")
    expected = golden["mmpose_k11"]
    size = expected.shape[3], expected.shape[2]
    keypoints, visibility = joints(golden["joints"])
    cells = torch.trunc(keypoints / STRIDE)  # MMPose rounds first, so a joint just outside is in the first cell
    maps, weights = blurred_maps(cells, visibility, size, stride=1, kernels=(11,), border="reflect")
    x, y = (cells[..., axis].clamp(0, size[axis] - 1).long() for axis in range(2))
    N, K = weights.shape
    at_joint = maps[torch.arange(N)[:, None], 0, torch.arange(K), y, x]
    check(maps[:, 0] * (255 / at_joint.clamp(min=1))[..., None, None], expected)
    check_equal((weights > 0).float(), golden["mmpose_weight"])


def test_maps_of_hourglasses_equal_princeton_s() -> None:
    golden = recorded_training("target_hourglass")
    keypoints, _ = joints(golden["joints"][None])
    size = golden["heatmap"].shape[2], golden["heatmap"].shape[1]
    labelled = torch.ones(keypoints.shape[:2])  # the published code does not read the visibility
    maps, weights = hourglass_maps(keypoints, labelled, size, stride=1, unlabelled_as_empty=True)
    check(maps[0], golden["heatmap"])
    check_equal(weights, np.ones(labelled.shape))


def test_part_maps_equal_those_of_cpm() -> None:
    golden = recorded_training("target_cpm")
    keypoints, visibility = joints(golden["joints"][None])
    crop_size = golden["later_stages"].shape[2] * 8, golden["later_stages"].shape[1] * 8
    check(part_maps_of_people(keypoints, visibility, crop_size)[0], golden["first_stage"])
    of_one, weights = part_maps(keypoints[:, 0], visibility[:, 0], crop_size)
    check(of_one[0], golden["later_stages"])
    check_equal(weights[:, :-1], (visibility[:, 0] > 0).numpy())
    centre = centre_maps(torch.from_numpy(golden["centre"])[None], crop_size)
    check(centre[0, 0, ::4, ::4], golden["centre_map_step4"])
    check(F.avg_pool2d(centre, 9, 8, ceil_mode=True)[0, 0], golden["centre_map_pooled"])


SIMCC: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
    ("rtmpose", simcc_gaussians, {}),
    ("norm", simcc_gaussians, {"sigma": (6.0, 6.0), "normalised": True}),
    ("smooth", simcc_smoothed_one_hot, {}),
    ("sa", simcc_gaussians, {"sigma": (6.0, 6.0), "normalised": True, "rounded": False}),
]


@pytest.mark.parametrize(("name", "make", "options"), SIMCC, ids=[name for name, _, _ in SIMCC])
def test_labels_of_simcc_equal_mmpose_s_and_the_authors(
    name: str, make: Callable[..., Any], options: dict[str, Any]
) -> None:
    golden = recorded_training("target_simcc")
    crop_size = golden["rtmpose_x"].shape[2] // 2, golden["rtmpose_y"].shape[2] // 2
    labels, weights = make(*joints(golden["joints"]), crop_size, **options)
    check_equal(weights, golden[f"{name}_weight"])
    for axis, label in zip("xy", labels, strict=True):
        if f"{name}_{axis}" in golden:
            check(label, golden[f"{name}_{axis}"])
        else:
            check(label[..., ::4], golden[f"{name}_{axis}_step4"])


def test_relative_coordinates_equal_mmpose_s_and_those_of_rle_s_authors() -> None:
    golden = recorded_training("target_regression")
    keypoints, visibility = joints(golden["joints"])
    positions, weights = relative_coordinates(keypoints, visibility, (192, 256))
    check(positions, golden["label"])
    check_equal(weights, golden["weight"])

    positions, weights = relative_coordinates(keypoints, visibility, (192, 256), outside=True)
    check(positions - 0.5, golden["rle_label"])
    check_equal(weights[..., None].expand(-1, -1, 2), golden["rle_weight"])
    inside = ((positions - 0.5).abs() <= 0.5).all(dim=2)
    check_equal(weights * inside, golden["rle_visible"])


def test_integral_targets_equal_mmpose_s() -> None:
    golden = recorded_training("target_regression")
    (positions, maps), weights = integral_targets(*joints(golden["joints"]), (192, 256))
    check(positions, golden["label"])
    check(maps.sum(dim=(2, 3)), golden["integral_heatmap_sum"])
    check(maps.amax(dim=(2, 3)), golden["integral_heatmap_max"])
    check_equal(weights, golden["integral_weight"])
