"""Proposal boxes against AlphaPose's, and as an option of augmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from posetrail.skeletons import COCO_17
from tests.functions import recorded
from tests.training_goldens import recorded_training
from training.augment import NO_AUGMENTATION, augmented, drawn
from training.proposals import ProposalDraws, proposal, proposals
from training.recipes import RECIPES, fine_tuned


def test_boxes_of_given_numbers_equal_alphapose_s() -> None:
    golden = recorded_training("augment_pgpg")
    width, height = golden["image_size"].tolist()
    for row, expected in zip(golden["inputs"], golden["boxes"], strict=True):
        errors = tuple(row[7:].tolist())
        draws = ProposalDraws(part=float(row[4]), place=(float(row[5]), float(row[6])), errors=errors)
        np.testing.assert_allclose(proposal(row[:4], (width, height), draws), expected, rtol=1e-12)


def test_many_boxes_have_the_errors_of_alphapose_s() -> None:
    golden = recorded("pgpg_boxes")
    box, (width, height) = golden["box"], golden["image_size"].tolist()
    drawn_boxes = proposals(box, (width, height), np.random.default_rng(0), 20_000)
    sides = np.tile(box[2:] - box[:2], 2)
    errors = (drawn_boxes - box) / sides
    np.testing.assert_allclose(errors.mean(axis=0), golden["mean"], atol=0.01)
    np.testing.assert_allclose(errors.std(axis=0), golden["std"], atol=0.01)
    quantiles = np.quantile(errors, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
    np.testing.assert_allclose(quantiles, golden["quantiles"], atol=0.015)  # recorded from 4000 draws


def test_proposals_move_the_crop_and_leave_all_other_draws_as_they_are() -> None:
    image = np.zeros((160, 200, 3), np.uint8)
    box, joints = np.array([60.0, 30, 130, 140]), np.random.default_rng(0).uniform((60, 30), (130, 140), (17, 2))
    with_proposals = replace(NO_AUGMENTATION, proposals=True)
    draws, plain = drawn(with_proposals, 0, 3, 5), drawn(NO_AUGMENTATION, 0, 3, 5)
    assert replace(draws, proposal=None) == plain
    assert draws.proposal is not None
    size = (96, 128)
    moved = augmented(image, box, joints, np.full(17, 2), COCO_17, with_proposals, draws, size)
    around = proposal(box, (200, 160), draws.proposal)
    expected = augmented(image, around, joints, np.full(17, 2), COCO_17, NO_AUGMENTATION, plain, size)
    np.testing.assert_array_equal(moved.matrix, expected.matrix)
    assert drawn(with_proposals, 0, 3, 5) == draws != drawn(with_proposals, 0, 3, 6)


def test_the_last_stage_of_fastpose_has_proposals_and_the_first_rate_again() -> None:
    recipe = RECIPES["fastpose_r50"]
    assert not recipe.augmentation.proposals
    assert recipe.last_augmentation is not None
    assert recipe.last_augmentation.proposals
    assert recipe.epochs - recipe.last_epochs == 140
    rates = [recipe.schedule.factor(epoch, 200, 1) for epoch in (89, 90, 120, 140, 160, 190)]
    np.testing.assert_allclose(rates, [1, 0.1, 0.01, 1, 0.1, 0.01])
    assert fine_tuned(recipe).last_augmentation is None
    others = [each for name, each in RECIPES.items() if not name.startswith("fastpose")]
    assert not any(each.last_augmentation and each.last_augmentation.proposals for each in others)
