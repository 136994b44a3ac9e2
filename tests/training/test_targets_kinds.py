"""What holds for every kind of target: decoded joints are the joints, unlabelled ones count nothing, rows are alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from estimators.heatmaps import cells_to_pixels, decode_argmax, decode_dark, decode_quarter, decode_udp
from estimators.offsets import decode_udp_offsets
from estimators.recipes import RECIPES, Recipe
from estimators.simcc import decode_simcc
from posetrail.errors import InputError
from training.targets.blurred import blurred_maps
from training.targets.heatmaps import exact_maps, gaussian_maps, udp_maps, udp_offset_maps
from training.targets.kinds import TARGETS
from training.targets.simcc import simcc_gaussians

CROP_SIZE = (192, 256)
K = 6
LARGEST_ERROR_PX = {  # of joints 40 pixels inside the crop; half a cell of 4 pixels on each axis is 2.8
    "gaussian": 2.84,
    "dark": 0.0024,
    "udp": 0.0003,
    "offsets": 0.001,
    "udp_offsets": 0.001,
    "cpn": 3.6,
    "mspn": 3.6,
    "hourglass": 4.3,
    "cpm": 2.0,  # cells of 8 pixels
    "simcc": 0.36,
    "simcc_normalised": 0.36,
    "simcc_one_hot": 0.36,
    "coordinates": 1e-4,
}
PUBLISHED = {  # kind -> networks that were trained with it
    "gaussian": ("simplebaseline", "hrnet", "litehrnet", "mobilenetv2", "fastpose", "cpm_mmpose", "unet"),
    "udp": ("vitpose",),
    "offsets": ("simplebaseline_r50_offsets", "simplebaseline_r101_offsets"),
    "udp_offsets": ("hrnet_w32_udp_offsets",),
    "cpn": ("cpn",),
    "mspn": ("mspn",),
    "hourglass": ("hourglass", "softgated", "pyranet", "pose_attention"),
    "cpm": ("caffe_cpm", "cascaded_ioi", "openpose"),
    "simcc": ("rtmpose", "rtmw"),
    "coordinates": ("deeppose",),
}
kinds = pytest.mark.parametrize("name", TARGETS)
positions = arrays(np.float32, (3, K, 2), elements=st.floats(-400, 600, width=32))
visibilities = arrays(np.float32, (3, K), elements=st.sampled_from([0.0, 1.0, 2.0]))


def random_joints(count: int, *, margin: float = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Keypoints (count, K, 2) inside the crop, all visible."""
    places = np.random.default_rng(seed).uniform(margin, np.array(CROP_SIZE) - margin, (count, K, 2))
    return torch.from_numpy(places), torch.full((count, K), 2.0)


def parts(target: Any) -> tuple[Tensor, ...]:
    return target if isinstance(target, tuple) else (target,)


def decoded(answer: Sequence[np.ndarray], recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints in pixels of the crop and scores, as `estimators.top_down` reads an answer of a network."""
    from estimators.top_down import _READERS

    return _READERS[recipe.output](tuple(answer), None, recipe)


def answer_like(name: str, target: Any) -> list[np.ndarray]:
    """What a perfectly trained network would answer."""
    if name in ("cpn", "mspn"):
        return [target[:, -1].numpy()]  # the finest level
    if name == "cpm":
        return [target[:, :-1].numpy()]  # without the background
    return [part.numpy() for part in parts(target)]


@kinds
def test_decoded_targets_are_the_joints(name: str) -> None:
    kind = TARGETS[name]
    keypoints, visibility = random_joints(200)
    target, _ = kind(keypoints, visibility, CROP_SIZE)
    got, scores = decoded(answer_like(name, target), kind.decoded_by(Recipe(input_size=CROP_SIZE)))
    errors = np.linalg.norm(got - keypoints.numpy(), axis=2)
    assert errors.max() < LARGEST_ERROR_PX[name]
    assert 0 <= scores.min() <= scores.max() <= 1 + 1e-6


def test_exact_maps_decode_better_than_rounded_ones_with_the_decoder_that_belongs_to_them() -> None:
    keypoints, visibility = random_joints(200)
    cells = keypoints.numpy() / 4

    def largest_error(maps: Tensor, decoder: Any) -> float:
        return float(np.linalg.norm(decoder(maps.numpy())[0] - cells, axis=2).max())

    exact, _ = exact_maps(keypoints, visibility, CROP_SIZE)
    assert largest_error(exact, decode_argmax) > 0.6
    assert 0.3 < largest_error(exact, decode_quarter) < 0.354
    assert largest_error(exact, decode_dark) < 6e-4
    rounded, _ = gaussian_maps(keypoints, visibility, CROP_SIZE)
    assert all(0.6 < largest_error(rounded, each) < 0.708 for each in (decode_argmax, decode_quarter, decode_dark))


@pytest.mark.parametrize(("crop_size", "sigma", "kernel"), [((192, 256), 2.0, 11), ((288, 384), 3.0, 17)])
def test_wider_gaussians_of_larger_crops_decode_as_exactly(
    crop_size: tuple[int, int], sigma: float, kernel: int
) -> None:
    keypoints, visibility = random_joints(50)
    size = crop_size[0] // 4, crop_size[1] // 4
    maps, _ = udp_maps(keypoints, visibility, crop_size, sigma=sigma)
    got = cells_to_pixels(decode_udp(maps.numpy(), kernel=kernel)[0], size, crop_size, "ends")
    np.testing.assert_allclose(got, keypoints.numpy(), atol=3e-4)
    maps, _ = exact_maps(keypoints, visibility, crop_size, sigma=sigma)
    got = cells_to_pixels(decode_dark(maps.numpy(), kernel=kernel)[0], size, crop_size, "corner")
    np.testing.assert_allclose(got, keypoints.numpy(), atol=3e-3)


def test_offsets_lead_back_to_the_joint() -> None:
    keypoints, visibility = random_joints(20)
    maps, _ = udp_offset_maps(keypoints, visibility, CROP_SIZE)
    grouped = maps.unflatten(1, (K, 3)).numpy()
    cells, _ = decode_udp_offsets(grouped[:, :, 0], grouped[:, :, 1:], radius_cells=3.5)
    got = cells_to_pixels(cells, (48, 64), CROP_SIZE, "ends")
    assert np.linalg.norm(got - keypoints.numpy(), axis=2).max() < 1.5


@pytest.mark.parametrize("name", [name for name in RECIPES if not name.startswith("movenet")])
def test_every_published_recipe_reads_what_a_kind_of_target_trains(name: str) -> None:
    longest = max((family for each in PUBLISHED.values() for family in each if name.startswith(family)), key=len)
    (kind,) = (kind for kind, families in PUBLISHED.items() if longest in families)
    assert TARGETS[kind].decoded_by(RECIPES[name]) == RECIPES[name]


def test_decoders_chosen_for_a_recipe_are_those_of_the_kinds() -> None:
    assert TARGETS["udp"].decoded_by(RECIPES["hrnet_w32"]) == RECIPES["hrnet_w32"].with_decoder("udp")
    assert TARGETS["dark"].decoded_by(RECIPES["hrnet_w32"]) == RECIPES["hrnet_w32"].with_decoder("dark")


@kinds
@settings(max_examples=20)
@given(places=positions, visibility=visibilities)
def test_targets_are_finite_and_joints_without_a_label_have_no_weight(
    name: str, places: np.ndarray, visibility: np.ndarray
) -> None:
    places = np.where(visibility[..., None] == 0, np.nan, places)
    target, weights = TARGETS[name](torch.from_numpy(places), torch.from_numpy(visibility), CROP_SIZE)
    assert all(torch.isfinite(part).all() for part in parts(target))
    assert torch.isfinite(weights).all()
    assert (weights[:, :K].numpy()[visibility == 0] == 0).all()
    unlabelled_crops = visibility.max(axis=1) == 0
    assert (weights.numpy()[unlabelled_crops] == 0).all()


@kinds
@settings(max_examples=20)
@given(places=positions, visibility=visibilities, order=st.permutations(range(3)), joints=st.permutations(range(K)))
def test_order_of_batch_and_joints_changes_nothing(
    name: str, places: np.ndarray, visibility: np.ndarray, order: list[int], joints: list[int]
) -> None:
    def make(places: np.ndarray, visibility: np.ndarray) -> tuple[Tensor, ...]:
        target, weights = TARGETS[name](torch.from_numpy(places), torch.from_numpy(visibility), CROP_SIZE)
        if name.endswith("offsets"):
            target = target.unflatten(1, (K, 3))  # three maps per joint
        return *parts(target), weights

    for original, reordered in zip(make(places, visibility), make(places[order], visibility[order]), strict=True):
        assert torch.equal(original[order], reordered)
    alone = make(places[:1], visibility[:1])
    assert all(torch.equal(a[:1], b) for a, b in zip(make(places, visibility), alone, strict=True))
    exchanged = make(places[:, joints], visibility[:, joints])
    joint_axis = 2 if name in ("cpn", "mspn") else 1
    background = [K] if name == "cpm" else []
    for original, reordered in zip(make(places, visibility), exchanged, strict=True):
        axis = 1 if original.ndim == 2 else joint_axis
        assert torch.equal(original.index_select(axis, torch.tensor([*joints, *background])), reordered)


@kinds
@settings(max_examples=20)
@given(places=positions, visibility=visibilities)
def test_positions_of_unlabelled_joints_do_not_matter(name: str, places: np.ndarray, visibility: np.ndarray) -> None:
    if name == "coordinates":
        return  # the position has no weight
    elsewhere = np.where(visibility[..., None] == 0, 17, places).astype(np.float32)
    seen = torch.from_numpy(visibility)
    target, weights = TARGETS[name](torch.from_numpy(places), seen, CROP_SIZE)
    other, other_weights = TARGETS[name](torch.from_numpy(elsewhere), seen, CROP_SIZE)
    assert torch.equal(weights, other_weights)
    assert all(torch.equal(a, b) for a, b in zip(parts(target), parts(other), strict=True))


@kinds
def test_targets_stay_on_the_device_of_the_joints(name: str) -> None:
    keypoints, visibility = torch.zeros(2, K, 2, device="meta"), torch.zeros(2, K, device="meta")
    target, weights = TARGETS[name](keypoints, visibility, CROP_SIZE)
    assert all(part.device.type == "meta" and part.dtype == torch.float32 for part in (*parts(target), weights))


@kinds
def test_integer_visibility_and_an_empty_batch_are_accepted(name: str) -> None:
    target, _ = TARGETS[name](torch.zeros(2, K, 2), torch.full((2, K), 2, dtype=torch.uint8), CROP_SIZE)
    assert len(parts(target)[0]) == 2
    target, weights = TARGETS[name](torch.zeros(0, K, 2), torch.zeros(0, K), CROP_SIZE)
    assert all(len(part) == 0 for part in (*parts(target), weights))


@settings(max_examples=20)
@given(places=positions)
def test_maps_of_udp_commute_with_mirroring(places: np.ndarray) -> None:
    places = places[np.abs(places[..., 0] * 47 / 191 % 1 - 0.5) > 0.01][None]  # x.5 rounds up on both sides
    visibility = torch.ones(places.shape[:2])
    mirrored = places.copy()
    mirrored[..., 0] = CROP_SIZE[0] - 1 - mirrored[..., 0]
    inside = (np.abs(places) < 150).all(axis=2)  # far outside, rounding towards zero is not symmetric
    maps, _ = udp_maps(torch.from_numpy(places), visibility, CROP_SIZE)
    turned, _ = udp_maps(torch.from_numpy(mirrored), visibility, CROP_SIZE)
    both = inside & (mirrored[..., 0] > 0) & (places[..., 0] > 0)
    np.testing.assert_allclose(maps.numpy()[both], turned.flip(3).numpy()[both], atol=1e-4)


@pytest.mark.parametrize("make", [gaussian_maps, exact_maps])
def test_moving_a_joint_by_a_cell_moves_its_map_by_a_cell(make: Any) -> None:
    keypoints, visibility = random_joints(5)
    maps, _ = make(keypoints, visibility, CROP_SIZE)
    moved, _ = make(keypoints + torch.tensor([4.0, 8.0]), visibility, CROP_SIZE)
    torch.testing.assert_close(moved[:, :, 2:, 1:], maps[:, :, :-2, :-1])


def test_the_largest_value_is_at_the_joint_and_an_occluded_joint_is_drawn_like_a_visible_one() -> None:
    keypoints = torch.tensor([[[40.0, 80.0], [41.9, 80.0], [42.0, 80.0]]])
    for visibility in ([2.0, 2.0, 2.0], [1.0, 1.0, 1.0]):
        maps, weights = gaussian_maps(keypoints, torch.tensor([visibility]), CROP_SIZE)
        assert weights.tolist() == [[1, 1, 1]]
        assert [divmod(int(each.argmax()), 48) for each in maps[0]] == [(20, 10), (20, 10), (20, 11)]
        assert maps.amax(dim=(2, 3)).tolist() == [[1, 1, 1]]


def test_blurred_maps_with_zeros_outside_have_their_maximum_at_the_joint() -> None:
    keypoints, visibility = random_joints(200, margin=0)
    maps, weights = blurred_maps(keypoints, visibility, CROP_SIZE)
    assert (weights > 0).float().mean() > 0.9
    cells = torch.trunc(keypoints / 4)
    at = maps.flatten(3).argmax(dim=3)
    for level in range(maps.shape[1]):
        assert torch.equal(at[:, level][weights > 0], (cells[..., 1] * 48 + cells[..., 0]).long()[weights > 0])
    assert set(maps.amax(dim=(3, 4))[(weights > 0)[:, None].expand(-1, 5, -1)].tolist()) == {255.0}


def test_simcc_decodes_to_the_nearest_bin() -> None:
    keypoints, visibility = random_joints(50)
    (x, y), _ = simcc_gaussians(keypoints, visibility, CROP_SIZE, bins_per_pixel=3)
    got, _ = decode_simcc(x.numpy(), y.numpy(), bins_per_pixel=3)
    assert np.abs(got - keypoints.numpy()).max() <= 1 / 6 + 1e-9


def test_sigma_of_rtmpose_grows_with_the_crop() -> None:
    keypoints, visibility = random_joints(2)
    for crop_size, sigma in (((192, 256), (4.9, 5.66)), ((288, 384), (6.0, 6.93))):
        by_rule, _ = simcc_gaussians(keypoints, visibility, crop_size)
        given_sigma, _ = simcc_gaussians(keypoints, visibility, crop_size, sigma=sigma)
        assert all(torch.equal(a, b) for a, b in zip(by_rule, given_sigma, strict=True))


def test_unusable_sizes_are_refused() -> None:
    keypoints, visibility = random_joints(1)
    with pytest.raises(InputError, match=r"crop_size: expected multiples of the network's stride 4, got \(190, 256\)"):
        gaussian_maps(keypoints, visibility, (190, 256))
    with pytest.raises(InputError, match="kernels: expected odd sizes, such as 7, got 4"):
        blurred_maps(keypoints, visibility, CROP_SIZE, kernels=(4,))
