"""Heatmaps to joints: drawn Gaussians found again, what must hold of every decoder, and what published code gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from estimators.affine import crop_matrices, inverted, transformed, unbiased_crop_matrices
from estimators.heatmaps import (
    DECODERS,
    cells_to_pixels,
    decode_argmax,
    decode_cpn,
    decode_dark,
    decode_hourglass,
    decode_mspn,
    decode_quarter,
    decode_udp,
    enlarged,
    flip_average,
    highest_cells,
    smoothed,
)
from estimators.offsets import decode_offset_votes, decode_udp_offsets
from posetrail.skeletons import COCO_17
from tests.functions import gaussians, recorded

SIZE = (24, 32)  # width, height of the maps
ACCURACY_CELLS = {  # in x and in y, of a Gaussian with sigma 2 cells away from the border
    "argmax": 0.5,
    "quarter": 0.25,
    "quarter_smoothed": 0.25,
    "hourglass": 0.25,
    "cpn": 0.5,  # its one step may go along the other axis
    "mspn": 0.5,
    "dark": 1e-3,
    "udp": 1e-4,
    "enlarged": 0.2,
    "soft_argmax": 1e-4,
}
every_decoder = pytest.mark.parametrize("name", DECODERS)
inner_places = arrays(np.float64, (2, 3, 2), elements=st.floats(9, 14))
any_maps = arrays(np.float32, (2, 3, 9, 7), elements=st.floats(-1, 1, width=32))


def maps_for(name: str, places: np.ndarray) -> np.ndarray:
    """Gaussians as the decoder is trained on: soft-argmax reads logits."""
    maps = gaussians(places, SIZE, 2.0)
    return np.log(maps) if name == "soft_argmax" else maps


def pixels_of_published_crops(golden: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Centres and sizes in pixels; the published scale counts in 200 pixels."""
    return golden["center"].astype(np.float64), golden["scale"].astype(np.float64) * 200


# The obvious case


def test_of_two_equal_cells_the_first_in_reading_order_is_the_highest() -> None:
    maps = np.zeros((1, 1, 4, 5), np.float32)
    maps[0, 0, 2, 1] = maps[0, 0, 1, 3] = 0.7
    cells, values = highest_cells(maps)
    assert cells.tolist() == [[[3, 1]]]
    assert values == pytest.approx(0.7)


def test_a_quarter_of_a_cell_goes_to_the_higher_neighbour_but_not_at_the_border() -> None:
    maps = np.zeros((1, 2, 8, 8))
    maps[0, :, 4, 4], maps[0, :, 4, 5], maps[0, :, 3, 4] = 1.0, 0.5, 0.2
    maps[0, 1] = np.roll(maps[0, 1], -3, axis=1)  # the second joint is in column 1
    keypoints, scores = decode_quarter(maps)
    assert keypoints.tolist() == [[[4.25, 3.75], [1, 4]]]
    assert scores.tolist() == [[1, 1]]
    assert decode_hourglass(maps)[0].tolist() == [[[4.25, 3.75], [1.25, 3.75]]]


def test_cells_lie_at_the_corner_in_the_middle_or_on_the_ends_of_their_pixels() -> None:
    cells = np.array([[[0.0, 0.0], [23.0, 31.0]]])
    assert cells_to_pixels(cells, SIZE, (96, 128), "corner").tolist() == [[[0, 0], [92, 124]]]
    assert cells_to_pixels(cells, SIZE, (96, 128), "middle").tolist() == [[[2, 2], [94, 126]]]
    assert cells_to_pixels(cells, SIZE, (96, 128), "ends") == pytest.approx(np.array([[[0, 0], [95, 127]]]))


# What must hold of every decoder


@every_decoder
@settings(max_examples=25, deadline=None)
@given(places=inner_places)
def test_a_gaussian_is_decoded_with_the_documented_accuracy(name: str, places: np.ndarray) -> None:
    keypoints, _ = DECODERS[name](maps_for(name, places))
    assert np.abs(keypoints - places).max() <= ACCURACY_CELLS[name] + 1e-9


@every_decoder
def test_maps_are_decoded_independently(name: str) -> None:
    maps = np.random.default_rng(0).random((3, 4, 12, 9), np.float32)
    together = DECODERS[name](maps)
    for n in range(3):
        for k in range(4):
            alone = DECODERS[name](maps[n : n + 1, k : k + 1])
            assert np.array_equal(together[0][n, k], alone[0][0, 0])
            assert np.array_equal(together[1][n, k], alone[1][0, 0])
    keypoints, scores = DECODERS[name](maps[:0])
    assert (keypoints.shape, scores.shape) == ((0, 4, 2), (0, 4))


@every_decoder
def test_a_mirrored_map_gives_the_mirrored_joint(name: str) -> None:
    rng = np.random.default_rng(1)
    maps = maps_for(name, rng.uniform(3, 20, (4, 5, 2))) + rng.uniform(0, 1e-3, (4, 5, 32, 24))
    straight, scores = DECODERS[name](maps)
    seen, seen_scores = DECODERS[name](maps[..., ::-1])
    np.testing.assert_allclose(seen, straight * [-1, 1] + [23, 0], atol=1e-3 if name == "udp" else 1e-6)
    np.testing.assert_allclose(seen_scores, scores)


@every_decoder
@settings(max_examples=25, deadline=None)
@given(maps=any_maps)
def test_any_finite_map_gives_a_joint_or_nan(name: str, maps: np.ndarray) -> None:
    before = maps.copy()
    keypoints, scores = DECODERS[name](maps)
    assert np.array_equal(maps, before)
    assert np.isfinite(scores).all()
    flat = (maps.max(axis=(2, 3)) <= 0) & (name != "soft_argmax")
    assert np.array_equal(np.isnan(keypoints).any(axis=2), flat)
    assert np.array_equal(np.isnan(keypoints).all(axis=2), flat)
    assert not np.isinf(keypoints).any()


@every_decoder
@pytest.mark.parametrize("place", [(0, 0), (23, 0), (0, 31), (23, 31), (1, 15), (22, 15), (12, 1), (12, 30)])
def test_a_joint_at_the_border_is_found_near_it(name: str, place: tuple[int, int]) -> None:
    keypoints, _ = DECODERS[name](maps_for(name, np.array([[place]], np.float64)))
    assert np.abs(keypoints - place).max() < 2


@every_decoder
@pytest.mark.parametrize("height", [0.5, 1e-30, 200.0])
def test_a_constant_map_raises_no_error(name: str, height: float) -> None:
    keypoints, _ = DECODERS[name](np.full((1, 1, 8, 6), height))
    assert np.isfinite(keypoints).all()


# Resampling, smoothing, mirrors


def test_enlarging_keeps_height_place_and_sides() -> None:
    maps = gaussians(np.array([[[8.0, 12.0]]]), SIZE, 2.0)
    fine = enlarged(maps, (3 * SIZE[0], 3 * SIZE[1]))
    assert fine.max() == pytest.approx(1)
    cells, _ = highest_cells(fine)
    assert cells.tolist() == [[[25, 37]]]  # the middle of three
    np.testing.assert_allclose(enlarged(maps[..., ::-1], (50, 40)), enlarged(maps, (50, 40))[..., ::-1], atol=1e-6)
    np.testing.assert_allclose(enlarged(np.full((2, 3, 5), 0.7), (7, 8)), 0.7, atol=1e-6)
    np.testing.assert_allclose(enlarged(maps, SIZE), maps, atol=1e-6)


def test_smoothing_keeps_the_sum_and_does_not_mix_maps() -> None:
    maps = np.zeros((1, 3, 11, 11))
    maps[0, 1, 5, 5] = 1
    for border in ("constant", "reflect"):
        smooth = smoothed(maps, 9, border)  # type: ignore[arg-type]
        assert smooth.sum() == pytest.approx(1)
        assert smooth[0, 1].sum() == pytest.approx(1)
        np.testing.assert_allclose(smooth[0, 1], smooth[0, 1].T)


@given(maps=any_maps)
@settings(max_examples=20, deadline=None)
def test_the_flip_test_of_a_perfect_mirror_changes_nothing(maps: np.ndarray) -> None:
    mirror = np.array([0, 2, 1])
    np.testing.assert_array_equal(flip_average(maps, maps[:, mirror, :, ::-1], mirror), maps)


# Offsets


def disks(places: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """G-RMI's maps: 1 within `radius` of the joint, and the way to the joint in cells, 0 elsewhere."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    offsets = places[..., None, None] - np.stack([x, y])
    near = np.linalg.norm(offsets, axis=2) <= radius
    return near.astype(np.float64), np.where(near[:, :, None], offsets, 0)


@settings(max_examples=25, deadline=None)
@given(places=inner_places, votes_per_cell=st.sampled_from([1, 4, 8]))
def test_offset_votes_find_the_joint_between_the_nodes(places: np.ndarray, votes_per_cell: int) -> None:
    heat, offsets = disks(places, 4.0)
    keypoints, scores = decode_offset_votes(heat, offsets, radius_cells=4.0, votes_per_cell=votes_per_cell)
    assert np.abs(keypoints - places).max() <= 1e-9
    assert (scores > 0.2).all()  # of about 1, a quarter or more falls on the nearest node
    assert (scores < 1.2).all()


@settings(max_examples=25, deadline=None)
@given(places=inner_places)
def test_many_weak_votes_outweigh_one_strong_vote(places: np.ndarray) -> None:
    heat, offsets = disks(places, 4.0)
    heat *= 0.3
    heat[..., 1, 1] = 1.0
    keypoints, _ = decode_offset_votes(heat, offsets, radius_cells=4.0)
    assert np.abs(keypoints - places).max() <= 1 / 16 + 1e-9


def test_votes_outside_the_map_are_ignored() -> None:
    heat, offsets = np.ones((2, 3, 4, 5)), np.full((2, 3, 2, 4, 5), 100.0)
    keypoints, scores = decode_offset_votes(heat, offsets, radius_cells=2.0)
    assert np.isnan(keypoints).all()
    assert (scores == 0).all()
    keypoints, _ = decode_offset_votes(heat[:0], offsets[:0], radius_cells=2.0)
    assert keypoints.shape == (0, 3, 2)


def test_offsets_do_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(2)
    heat, offsets = rng.random((3, 4, 10, 8)), rng.normal(0, 2, (3, 4, 2, 10, 8))
    for decode in (decode_offset_votes, decode_udp_offsets):
        together = decode(heat, offsets, radius_cells=3.0)
        alone = [decode(heat[n : n + 1], offsets[n : n + 1], radius_cells=3.0) for n in range(3)]
        for part in range(2):
            assert np.array_equal(together[part], np.concatenate([one[part] for one in alone]))


@settings(max_examples=25, deadline=None)
@given(places=inner_places)
def test_udp_offsets_find_the_joint_again(places: np.ndarray) -> None:
    _, offsets = disks(places, 100.0)  # known everywhere, so that smoothing mixes nothing in
    heat, _ = disks(places, 3.5)
    keypoints, _ = decode_udp_offsets(heat, offsets / 3.5, radius_cells=3.5)
    assert np.abs(keypoints - places).max() < 1e-6


# Published code's answers


def test_simple_baseline_as_published() -> None:
    golden = recorded("simplebaseline_decode")
    to_image = inverted(crop_matrices(*pixels_of_published_crops(golden), SIZE))
    for decode, key in ((decode_quarter, "final_preds"), (decode_argmax, "final_preds_no_postprocess")):
        keypoints, scores = decode(golden["heatmaps"])
        in_image = transformed(np.nan_to_num(keypoints), to_image)  # the published code puts no joint at 0, 0
        np.testing.assert_allclose(in_image, golden[key], atol=1e-4)
        np.testing.assert_array_equal(scores, golden["maxvals"][..., 0])


def test_alphapose_as_published() -> None:
    golden = recorded("alphapose_decode")
    boxes = golden["boxes_xyxy"]
    to_image = inverted(crop_matrices((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2], SIZE))
    keypoints, scores = decode_quarter(golden["heatmaps"])
    np.testing.assert_allclose(transformed(np.nan_to_num(keypoints), to_image), golden["coords"], atol=1e-4)
    np.testing.assert_array_equal(scores, golden["maxvals"][..., 0])


def test_dark_as_published() -> None:
    golden = recorded("dark_decode")
    keypoints, scores = decode_dark(golden["heatmaps"])
    np.testing.assert_allclose(np.nan_to_num(keypoints), golden["taylor_coords_k11"], atol=1e-5)
    np.testing.assert_array_equal(scores, golden["maxvals"][..., 0])
    # Its crops are a pixel, and its maps a cell, less wide than SimpleBaseline's.
    centres, sizes = pixels_of_published_crops(golden)
    to_image = inverted(crop_matrices(centres, sizes - 1, (SIZE[0] - 1, SIZE[1] - 1)))
    for kernel in (11, 17):
        keypoints, _ = decode_dark(golden["heatmaps"], kernel=kernel)
        in_image = transformed(np.nan_to_num(keypoints), to_image)
        np.testing.assert_allclose(in_image, golden[f"final_preds_k{kernel}"], atol=1e-4)


def test_udp_as_published() -> None:
    golden = recorded("udp_decode")
    joint = golden["final_maxvals"][..., 0] > 0  # elsewhere the published code reads another joint's map
    for kernel in (3, 11, 17):
        keypoints, scores = decode_udp(golden["heatmaps"], kernel=kernel)
        np.testing.assert_allclose(keypoints[joint], golden[f"post_dark_udp_k{kernel}"][joint], atol=1e-4)
        np.testing.assert_array_equal(scores, golden["final_maxvals"][..., 0])
        assert np.isnan(keypoints[~joint]).all()
    keypoints, _ = decode_udp(golden["heatmaps"])
    to_image = inverted(unbiased_crop_matrices(*pixels_of_published_crops(golden), (192, 256)))
    in_image = transformed(cells_to_pixels(keypoints, SIZE, (192, 256), "ends"), to_image)
    np.testing.assert_allclose(in_image[joint], golden["final_preds_k11"][joint], atol=1e-3)


def test_quarter_of_smoothed_maps_as_udp_published_it() -> None:
    golden = recorded("udp_decode")
    to_image = inverted(crop_matrices(*pixels_of_published_crops(golden), SIZE))
    keypoints, scores = decode_quarter(golden["heatmaps"], kernel=11)
    # Half a cell was added to joints that were moved, and to no other; no joint was at -1, -1.
    moved = ((np.rint(keypoints) > 1) & (np.rint(keypoints) < np.array(SIZE) - 1)).all(axis=2, keepdims=True)
    published = np.where(np.isnan(keypoints), -1, keypoints + 0.5 * moved)
    np.testing.assert_allclose(transformed(published, to_image), golden["megvii_final"], atol=1e-4)
    known = np.isfinite(golden["megvii_maxvals"][..., 0])
    np.testing.assert_allclose(scores[known] / 255 + 0.5, golden["megvii_maxvals"][known, 0], atol=1e-6)


def test_udp_with_offsets_as_published() -> None:
    golden = recorded("udp_decode")
    maps = golden["combined_heatmaps"].reshape(2, 17, 3, 32, 24)
    keypoints, scores = decode_udp_offsets(maps[:, :, 0], maps[:, :, 1:], radius_cells=0.0546875 * 32)
    centres, sizes = pixels_of_published_crops(golden)
    to_image = inverted(unbiased_crop_matrices(centres[:2], sizes[:2], SIZE))
    np.testing.assert_allclose(transformed(keypoints, to_image), golden["combined_final"], atol=1e-3)
    np.testing.assert_allclose(scores, golden["combined_maxvals"][..., 0], atol=1e-6)


def test_hourglass_as_published() -> None:
    golden = recorded("hourglass_decode")
    keypoints, scores = decode_hourglass(golden["heatmaps"])
    joint = scores > 0
    np.testing.assert_array_equal((keypoints + 0.5)[joint], golden["parsed"][joint, :2])  # it counts from the corner
    np.testing.assert_array_equal(scores[joint], golden["parsed"][joint, 2])
    assert (golden["parsed"][~joint, 2] <= 0).all()
    cells, _ = highest_cells(golden["heatmaps"])
    np.testing.assert_array_equal(cells[joint], golden["parsed_noadjust"][joint, :2])


@pytest.mark.parametrize("kernel", [5, 11])
def test_mspn_as_published(kernel: int) -> None:
    golden = recorded("mspn_decode")
    keypoints, scores = decode_mspn(golden["heatmaps"], kernel=kernel)
    centres, sizes = pixels_of_published_crops(golden)
    in_crop = cells_to_pixels(keypoints, SIZE, (96, 128), "middle") / [96, 128]
    in_image = in_crop * sizes[:, None] + centres[:, None] - sizes[:, None] / 2
    joint = golden["heatmaps"].max(axis=(2, 3)) > 0
    np.testing.assert_allclose(in_image[joint], golden[f"preds_k{kernel}"][joint], atol=1e-6)
    np.testing.assert_allclose((scores / 255 + 0.5)[joint], golden[f"scores_k{kernel}"][joint, 0], atol=1e-6)


def test_cpn_as_published() -> None:
    golden = recorded("cpn_decode")
    keypoints, scores = decode_cpn(golden["heatmaps"])
    low, high = golden["details"][:, None, :2], golden["details"][:, None, 2:]
    in_image = cells_to_pixels(keypoints, SIZE, (96, 128), "middle") / [96, 128] * (high - low) + low
    np.testing.assert_allclose(in_image, golden["keypoints"][..., :2], atol=1e-6)
    np.testing.assert_allclose(scores / 255 + 0.5, golden["v_score"], atol=1e-6)


def test_flip_average_as_published() -> None:
    golden = recorded("flip_average")
    mirror = np.arange(17)
    for a, b in golden["flip_pairs"]:
        mirror[[a, b]] = b, a
    assert np.array_equal(mirror, COCO_17.mirror)
    maps, mirrored = golden["heatmaps"], golden["flipped_output"]
    np.testing.assert_allclose(flip_average(maps, mirrored, mirror, shift=True), golden["averaged"], atol=1e-7)
    np.testing.assert_allclose(flip_average(maps, mirrored, mirror)[:1], golden["averaged_noshift_img0"], atol=1e-7)
