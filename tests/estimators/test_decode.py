"""Maps to joints: hand-made maps with known joints, mirrors, and the published graph's own answers."""

from __future__ import annotations

import numpy as np
import pytest

from estimators.decode import average_with_mirrored, decode_movenet
from posetrail.skeletons import COCO_17

Maps = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def person_maps(centre: tuple[int, int], joint: tuple[int, int], offset: tuple[float, float]) -> Maps:
    """One person, one joint: x y cells of the person's centre and of the joint, and x y cells within the cell."""
    heat, middle = np.zeros((1, 1, 64, 64), np.float32), np.zeros((1, 1, 64, 64), np.float32)
    regress, within = np.zeros((1, 2, 64, 64), np.float32), np.zeros((1, 2, 64, 64), np.float32)
    heat[0, 0, joint[1], joint[0]] = 0.8
    middle[0, 0, centre[1], centre[0]] = 0.9
    regress[0, :, centre[1], centre[0]] = joint[1] - centre[1], joint[0] - centre[0]
    within[0, :, joint[1], joint[0]] = offset[1], offset[0]
    return heat, middle, regress, within


def random_maps(n: int, seed: int) -> Maps:
    rng = np.random.default_rng(seed)
    heat, middle = rng.random((n, 17, 64, 64), np.float32), rng.random((n, 1, 64, 64), np.float32)
    regress, within = rng.normal(0, 5, (n, 34, 64, 64)), rng.random((n, 34, 64, 64))
    return heat, middle, regress.astype(np.float32), within.astype(np.float32)


def mirrored(maps: Maps) -> Maps:
    """Maps of the same people seen in a mirror: cell c is at 63 - c, a pixel p of the crop at 255 - p."""
    heat, middle, regress, within = (m[..., ::-1].copy() for m in maps)
    pairs = [m.reshape(len(m), -1, 2, 64, 64)[:, COCO_17.mirror] for m in (regress, within)]
    turned = [np.stack([p[:, :, 0], 0.75 - p[:, :, 1]], axis=2).reshape(regress.shape) for p in pairs]
    return heat[:, COCO_17.mirror], middle, turned[0], turned[1]


def test_a_joint_is_at_its_cell_plus_the_offset_four_pixels_to_a_cell() -> None:
    keypoints, scores = decode_movenet(*person_maps((32, 32), (20, 40), (0.25, 0.75)))
    assert keypoints.tolist() == [[[81.0, 163.0]]]
    assert scores.tolist() == [[pytest.approx(0.8)]]


def test_of_two_people_the_one_nearer_the_middle_of_the_crop_is_taken_with_its_joints() -> None:
    near, far = person_maps((30, 32), (28, 20), (0, 0)), person_maps((60, 32), (58, 20), (0, 0))
    both = tuple(a + b for a, b in zip(near, far, strict=True))
    keypoints, _ = decode_movenet(*both)
    assert keypoints.tolist() == [[[112.0, 80.0]]]


def test_results_do_not_depend_on_the_batch() -> None:
    maps = random_maps(3, seed=1)
    together = decode_movenet(*maps)
    alone = [decode_movenet(*(m[i : i + 1] for m in maps)) for i in range(3)]
    for k in range(2):
        assert np.array_equal(together[k], np.concatenate([one[k] for one in alone]))
    keypoints, scores = decode_movenet(*(m[:0] for m in maps))
    assert keypoints.shape == (0, 17, 2)
    assert scores.shape == (0, 17)


def test_mirrored_maps_give_mirrored_joints_with_sides_swapped() -> None:
    maps = random_maps(2, seed=2)
    # One sure centre and sure joints: an even number of cells has no middle one, so near ties may turn in a mirror.
    maps[1][:, :, 32, 20] = 5.0
    maps[0][:] *= 0.01
    maps[0][:, np.arange(17), np.arange(20, 37), np.arange(10, 61, 3)] = 1.0
    straight, _ = decode_movenet(*maps)
    seen, _ = decode_movenet(*mirrored(maps))
    np.testing.assert_allclose(seen[:, COCO_17.mirror] * [-1, 1] + [255, 0], straight, atol=1e-3)


def test_averaging_with_a_perfect_mirror_changes_nothing() -> None:
    maps = random_maps(2, seed=3)
    for averaged, plain in zip(average_with_mirrored(maps, mirrored(maps), COCO_17.mirror), maps, strict=True):
        np.testing.assert_allclose(averaged, plain, atol=1e-5)


def test_averaging_is_symmetric() -> None:
    a, b = random_maps(1, seed=4), random_maps(1, seed=5)
    here = average_with_mirrored(a, b, COCO_17.mirror)
    there = average_with_mirrored(b, a, COCO_17.mirror)
    for one, other in zip(mirrored(here), there, strict=True):  # type: ignore[arg-type]
        np.testing.assert_allclose(one, other, atol=1e-5)
