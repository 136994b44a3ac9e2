"""Targets and losses of bottom-up networks against published code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training_goldens import recorded_training
from training.losses.people import masked_mse, pull_and_push, staged_half_squared_sum
from training.targets.part_maps import part_maps_of_people
from training.targets.people import limb_fields, people_maps, tag_places


def people(joints: np.ndarray) -> tuple[Tensor, Tensor]:
    """Keypoints and visibility of one image."""
    return torch.from_numpy(joints[None, ..., :2]), torch.from_numpy(joints[None, ..., 2])


@pytest.mark.parametrize("size", [64, 128])
def test_maps_and_places_of_tags_equal_higher_hrnets(size: int) -> None:
    golden = recorded_training("target_ae")
    keypoints, visibility = people(golden[f"h{size}_joints"])
    maps = people_maps(keypoints, visibility, (size, size), stride=1.0)[0]
    np.testing.assert_allclose(maps, golden[f"h{size}_heatmap"], atol=1e-6)
    places, has_place = tag_places(keypoints, visibility, (size, size), stride=1.0)
    for person, (where, has) in enumerate(zip(places[0], has_place[0], strict=True)):
        joints = torch.nonzero(has)[:, 0]
        packed = golden[f"h{size}_tags"][person]
        assert packed[: len(joints), 0].tolist() == (joints * size * size + where[joints]).tolist()
        assert packed[:, 1].sum() == len(joints)


def test_fields_and_part_maps_equal_openposes() -> None:
    golden = recorded_training("target_paf")
    keypoints, visibility = people(golden["joints"])
    fields = limb_fields(keypoints, visibility, torch.from_numpy(golden["limbs"]), (23, 23))[0]
    np.testing.assert_allclose(fields, golden["later_release"][:38], atol=1e-5)
    for name, highest in (("first_release", False), ("later_release", True)):
        maps = part_maps_of_people(keypoints, visibility, (184, 184), highest=highest)[0]
        np.testing.assert_allclose(maps, golden[name][38:], atol=1e-5)


def test_pull_and_push_equal_the_published() -> None:
    golden = recorded_training("loss_ae")
    tags = torch.from_numpy(golden["tags"]).double().requires_grad_()
    B, K, H, W = tags.shape
    places, has_place = torch.zeros(B, 5, K, dtype=torch.long), torch.zeros(B, 5, K, dtype=torch.bool)
    for image, person, slot in np.argwhere(golden["joints"][..., 1] > 0):
        joint, place = divmod(int(golden["joints"][image, person, slot, 0]), H * W)
        places[image, person, joint], has_place[image, person, joint] = place, True
    pull, push = pull_and_push(tags, places, has_place)
    np.testing.assert_allclose(pull.detach(), golden["higherhrnet_exp_pull"], rtol=1e-9)
    np.testing.assert_allclose(push.detach(), golden["higherhrnet_exp_push"], rtol=1e-9)
    total = 1e-3 * (pull + push).mean()
    total.backward()  # type: ignore[no-untyped-call]
    assert float(total.detach()) == pytest.approx(float(golden["higherhrnet_exp_total"]), rel=1e-9)
    assert tags.grad is not None
    np.testing.assert_allclose(1000 * tags.grad, golden["higherhrnet_exp_grad"], atol=1e-7)


def test_cells_outside_the_mask_count_nothing_and_every_stage_does() -> None:
    target, mask = torch.rand(2, 3, 4, 5), torch.ones(2, 4, 5)
    mask[:, :2] = 0
    wrong_outside = target.clone()
    wrong_outside[:, :, :2] += 1
    assert masked_mse(wrong_outside, target, mask) == 0
    assert staged_half_squared_sum([wrong_outside, target], target, mask) == 0
    assert masked_mse(target + 1, target, mask) == pytest.approx(0.5)
    one = staged_half_squared_sum([target + 1], target, mask)
    assert one == pytest.approx(3 * 2 * 5 / 2)
    assert staged_half_squared_sum([target + 1] * 3, target, mask) == pytest.approx(3 * float(one))


def test_images_without_people_have_empty_targets_and_no_loss_of_tags() -> None:
    keypoints, visibility = torch.full((1, 2, 17, 2), torch.nan), torch.zeros(1, 2, 17)
    assert not people_maps(keypoints, visibility, (8, 8), stride=4.0).any()
    assert not limb_fields(keypoints, visibility, torch.tensor([[0, 1]]), (8, 8)).any()
    pull, push = pull_and_push(torch.rand(1, 17, 8, 8), *tag_places(keypoints, visibility, (8, 8), stride=4.0))
    assert (float(pull), float(push)) == (0.0, 0.0)
