"""Everybody's joints to people, by tags and by limbs: drawn crowds told apart, and what published code gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimators.heatmaps import enlarged
from estimators.limb_grouping import LimbRules, group_by_limbs
from estimators.tag_grouping import HIGHER_HRNET, NEWELL, TagRules, group_by_tags
from tests.functions import gaussians, recorded

K = 4  # joints of the drawn people: a chain
CHAIN = np.array([[0, 1], [1, 2], [2, 3]])
TAG_RULES = TagRules(joint_order=tuple(range(K)))
LIMB_RULES = LimbRules(smoothing_px=1.0)


def crowd(seed: int, people: int) -> np.ndarray:
    """Joints (P, K, 2) in whole cells of a 64 x 48 map: chains leaning differently, in strips of their own."""
    rng = np.random.default_rng(seed)
    x = 8 + 16 * np.arange(people)[:, None] + rng.integers(-3, 4, (people, K))
    y = 6 + 11 * np.arange(K) + rng.integers(-2, 3, (people, K))
    return np.stack([x, y], axis=2)


def tag_maps(places: np.ndarray, tag_numbers: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Maps (1, K, 48, 64) with everybody's joints, and tags (1, K, 48, 64, T) of each strip: 3 apart."""
    heat = gaussians(places.transpose(1, 0, 2), (64, 48), 1.5).max(axis=1)[None]
    strips = np.broadcast_to(np.arange(64) // 16 * 3.0, (1, K, 48, 64))
    return heat, np.stack([strips] * tag_numbers, axis=-1) + 0.1 * np.arange(tag_numbers)


def limb_maps(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps as `tag_maps`, and fields (1, L, 2, 48, 64): a unit vector along each limb, two cells to each side."""
    heat, _ = tag_maps(places)
    fields = np.zeros((len(CHAIN), 2, 48, 64))
    cells = np.stack(np.meshgrid(np.arange(64), np.arange(48)), axis=2)
    for limb, (a, b) in enumerate(CHAIN):
        for start, end in zip(places[:, a], places[:, b], strict=True):
            length = np.linalg.norm(end - start)
            unit = (end - start) / length
            along, across = (cells - start) @ unit, (cells - start) @ np.array([-unit[1], unit[0]])
            fields[limb][:, (along >= -1) & (along <= length + 1) & (np.abs(across) <= 2)] = unit[:, None]
    return heat, fields[None]


def in_reading_order(keypoints: np.ndarray) -> np.ndarray:
    return keypoints[np.argsort(keypoints[:, 0, 0])]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), people=st.integers(1, 4), tag_numbers=st.integers(1, 2))
def test_tags_separate_people(seed: int, people: int, tag_numbers: int) -> None:
    places = crowd(seed, people)
    for rules in (
        TAG_RULES,
        TagRules(joint_order=tuple(range(K)), peak_cells=3, mean_square=True, stop_when_full=True),
    ):
        keypoints, scores, person_scores = group_by_tags(*tag_maps(places, tag_numbers), rules, shift=False)[0]
        assert np.array_equal(in_reading_order(keypoints), places)
        np.testing.assert_allclose(scores, 1)
        np.testing.assert_allclose(person_scores, 1)
    shifted, _, _ = group_by_tags(*tag_maps(places, tag_numbers), TAG_RULES)[0]
    np.testing.assert_array_equal(np.abs(in_reading_order(shifted) - places), 0.25)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), people=st.integers(1, 4))
def test_fields_separate_people(seed: int, people: int) -> None:
    places = crowd(seed, people)
    keypoints, scores, _ = group_by_limbs(*limb_maps(places), CHAIN, LIMB_RULES)[0]
    assert np.array_equal(in_reading_order(keypoints), places)
    np.testing.assert_allclose(scores, 1)


def test_a_hidden_joint_is_missing_or_placed_by_fill() -> None:
    places = crowd(seed=1, people=2)
    heat, tags = tag_maps(places)
    x, y = places[0, 2]
    heat[0, 2, :, :16] *= 0.08  # the first person's third joint is barely seen
    keypoints, scores, person_scores = group_by_tags(heat, tags, TAG_RULES, shift=False, fill=False)[0]
    first = int(np.nanargmin(keypoints[:, 0, 0]))
    assert np.isnan(keypoints[first, 2]).all()
    assert scores[first, 2] == 0
    completed, completed_scores, same = group_by_tags(heat, tags, TAG_RULES, shift=False)[0]
    assert completed[first, 2].tolist() == [x, y]
    assert completed_scores[first, 2] == pytest.approx(0.08)
    assert np.array_equal(same, person_scores)


def test_a_limb_without_a_field_is_not_used() -> None:
    places = crowd(seed=2, people=2)
    heat, fields = limb_maps(places)
    fields[0, 1, :, :, :16] = 0  # the first person's second limb
    keypoints, _, _ = group_by_limbs(heat, fields, CHAIN, LIMB_RULES)[0]
    assert np.array_equal(keypoints, places[1:])  # two halves of two joints are too small to be people
    halves, _, _ = group_by_limbs(heat, fields, CHAIN, LimbRules(smoothing_px=1.0, min_joints=2))[0]
    assert sorted(np.isfinite(halves[..., 0]).sum(axis=1)) == [2, 2, 4]


def test_a_limb_merges_two_halves_of_a_person() -> None:
    places = crowd(seed=3, people=2)
    heat, fields = limb_maps(places)
    order = [0, 2, 1]
    keypoints, _, _ = group_by_limbs(heat, fields[:, order], CHAIN[order], LIMB_RULES)[0]
    assert np.array_equal(in_reading_order(keypoints), places)


def test_an_image_without_joints_has_no_people_and_images_do_not_touch_each_other() -> None:
    crowds = [crowd(seed, people) for seed, people in ((4, 3), (5, 1))]
    empty = np.zeros((1, K, 48, 64))
    tagged = [tag_maps(places) for places in crowds]
    heat = np.concatenate([tagged[0][0], empty, tagged[1][0]])
    tags = np.concatenate([tagged[0][1], tagged[0][1], tagged[1][1]])
    fields = np.concatenate([limb_maps(crowds[0])[1], limb_maps(crowds[0])[1], limb_maps(crowds[1])[1]])
    by_tags = group_by_tags(heat, tags, TAG_RULES)
    by_limbs = group_by_limbs(heat, fields, CHAIN, LIMB_RULES)
    assert [len(keypoints) for keypoints, _, _ in by_tags] == [3, 0, 1]
    assert [len(keypoints) for keypoints, _, _ in by_limbs] == [3, 0, 1]
    assert [part.shape for part in by_tags[1]] == [part.shape for part in by_limbs[1]] == [(0, K, 2), (0, K), (0,)]
    for n in range(3):
        one = np.s_[n : n + 1]
        for part, alone in zip(by_tags[n], group_by_tags(heat[one], tags[one], TAG_RULES)[0], strict=True):
            np.testing.assert_array_equal(part, alone)
        for part, alone in zip(by_limbs[n], group_by_limbs(heat[one], fields[one], CHAIN, LIMB_RULES)[0], strict=True):
            np.testing.assert_array_equal(part, alone)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_noise_raises_no_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heat, tags, fields = (
        rng.random((1, K, 20, 20)),
        rng.normal(0, 2, (1, K, 20, 20, 2)),
        rng.normal(0, 1, (1, 3, 2, 20, 20)),
    )
    for keypoints, scores, person_scores in (
        *group_by_tags(heat, tags, TAG_RULES),
        *group_by_limbs(heat, fields, CHAIN, LIMB_RULES),
    ):
        assert np.array_equal(np.isfinite(keypoints).all(axis=2), scores > 0)
        assert np.isfinite(person_scores).all()
    few = TagRules(joint_order=tuple(range(K)), max_people=2, stop_when_full=True)
    assert len(group_by_tags(heat, tags, few)[0][0]) <= 2


# Published code's answers


@pytest.mark.parametrize("case", ["t1", "t2"])
@pytest.mark.parametrize("step", ["raw", "adjust", "adjust_refine"])
def test_higher_hrnet_as_published(case: str, step: str) -> None:
    golden = recorded("ae_grouping_higherhrnet")
    keypoints, scores, person_scores = group_by_tags(
        golden[f"{case}_det"], golden[f"{case}_tag"], HIGHER_HRNET, shift=step != "raw", fill=step == "adjust_refine"
    )[0]
    check_people(keypoints, scores, golden[f"{case}_{step}"], shifted=step != "raw")
    np.testing.assert_allclose(person_scores, golden[f"{case}_{step}_scores"], atol=1e-6)


@pytest.mark.parametrize(("case", "step"), [("t1", "adjust"), ("t2", "adjust"), ("t2", "raw")])
def test_associative_embedding_as_newell_published_it(case: str, step: str) -> None:
    golden, inputs = recorded("ae_grouping_princeton"), recorded("ae_grouping_higherhrnet")
    heat, tags = inputs[f"{case}_det"], inputs[f"{case}_tag"]
    keypoints, scores, _ = group_by_tags(heat, tags, NEWELL, shift=step != "raw", fill=False)[0]
    # Which of two equally high neighbours comes first is left to chance there.
    tied = [len(np.unique(seen)) < len(seen) for seen in (one[one > NEWELL.min_score] for one in scores.T)]
    kept = ~np.array(tied)
    check_people(keypoints[:, kept], scores[:, kept], golden[f"{case}_{step}"][:, kept], shifted=step != "raw")


def check_people(keypoints: np.ndarray, scores: np.ndarray, published: np.ndarray, shifted: bool) -> None:
    """Published rows are x, y, score, tag; with the shift it counts from the cells' corners; missing joints are 0."""
    found = published[..., 2] > 0
    np.testing.assert_array_equal(np.isfinite(keypoints).all(axis=2), found)
    np.testing.assert_allclose((keypoints + 0.5 * shifted)[found], published[found, :2], atol=1e-6)
    np.testing.assert_allclose(scores, published[..., 2], atol=1e-6)


def test_part_affinity_fields_as_openpose_published_them() -> None:
    golden = recorded("openpose_paf_assembly")
    height, width = golden["image_hw"]
    maps = np.concatenate([golden["heatmaps"][:18], golden["pafs"]]).astype(np.float64)
    maps = enlarged(enlarged(maps, (8 * maps.shape[2], 8 * maps.shape[1])), (width, height))
    heat, fields = maps[None, :18], maps[18:][golden["map_idx"] - 19][None]
    keypoints, scores, person_scores = group_by_limbs(heat, fields, golden["limb_seq"] - 1)[0]

    ids, totals, counts = golden["subset"][:, :18].astype(int), golden["subset"][:, 18], golden["subset"][:, 19]
    found = ids >= 0
    np.testing.assert_array_equal(np.isfinite(keypoints).all(axis=2), found)
    np.testing.assert_array_equal(keypoints[found], golden["candidate"][ids[found], :2])
    np.testing.assert_allclose(scores[found], golden["candidate"][ids[found], 2], atol=1e-5)
    np.testing.assert_allclose(person_scores, totals / counts, atol=1e-5)
