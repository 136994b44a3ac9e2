"""Every family of networks is trained on its own recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from estimators.networks.cpm_caffe import CentredCPM
from estimators.networks.pose_attention import PoseAttention
from estimators.networks.pyranet import PyraNet
from estimators.recipes import RECIPES as ESTIMATORS
from estimators.top_down import from_bytes
from estimators.trained import Training
from posetrail.errors import InputError
from posetrail.skeletons import SKELETONS
from training.figures import draw_figures
from training.objectives import make_objective
from training.optimisers import make_optimiser
from training.recipes import RECIPES, fine_tuned
from training.schedules import Schedule
from training.targets.kinds import TARGETS

SMALLEST = {  # of each family, with a crop that is small where the network takes any
    "unet_s": (64, 96),
    "simplebaseline_r18": (64, 96),
    "mobilenetv2_simple": (64, 96),
    "hrnet_w32": (64, 96),
    "hrnet_w32_udp_offsets": (64, 96),
    "litehrnet_18": (64, 96),
    "fastpose_r50": (64, 96),
    "deeppose_r50": (64, 96),
    "deeppose_r50_rle": (64, 96),
    "cpn_r50_256x192": (64, 96),
    "mspn_r50_1stg": (64, 96),
    "hourglass_2stack": (64, 64),
    "softgated_4stack": (64, 64),
    "pyranet_2stack": (64, 64),
    "pose_attention_8stack": (64, 64),
    "caffe_cpm_flic": (64, 64),
    "cpm_mmpose": (64, 64),
    "rtmpose_t": (96, 128),
    "vitpose_s_mmpose": (192, 256),  # this and the next take one size only
    "movenet_thunder": (256, 256),
}

FEWER_STACKS: dict[str, Callable[[int], torch.nn.Module]] = {
    "pyranet_2stack": lambda joints: PyraNet(1, joints=joints),
    "pose_attention_8stack": lambda joints: PoseAttention(1, joints=joints),
    "caffe_cpm_flic": lambda joints: CentredCPM(2, joints=joints),
}
SLOW = ("cpm_mmpose", "caffe_cpm_flic", "vitpose_s_mmpose")  # seconds for a step with two people


@pytest.mark.parametrize("name", SMALLEST)
def test_the_loss_of_a_fixed_batch_falls_in_twenty_steps(name: str) -> None:
    recipe, size = RECIPES[name], SMALLEST[name]
    skeleton = SKELETONS["coco_17"]
    people = 1 if name in SLOW else 2
    images, keypoints, visibility = map(torch.from_numpy, draw_figures(people, 0, size))
    torch.manual_seed(0)
    training = Training(network=recipe.network, skeleton=skeleton, input_size=size)
    module = FEWER_STACKS[name](len(skeleton)) if name in FEWER_STACKS else training.make()
    network = (module if recipe.target == "movenet" else from_bytes(module, ESTIMATORS[recipe.network])).train()
    objective = make_objective(recipe, module, size)
    optimiser = make_optimiser(network, dataclasses.replace(recipe.optimiser, lr=min(recipe.optimiser.lr, 5e-4)))
    losses = []
    for _ in range(20):
        loss = objective(network(images), keypoints, visibility)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert min(losses[-3:]) < losses[0] - 0.02 * abs(losses[0])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fits_the_network_that_it_names(name: str) -> None:
    recipe = RECIPES[name]
    if recipe.target not in ("movenet", "posefix"):
        assert ESTIMATORS[recipe.network].output == TARGETS[recipe.target].output
        assert recipe.augmentation.unbiased == (TARGETS[recipe.target].crop == "unbiased")


def test_fine_tuning_is_shorter_and_slower() -> None:
    recipe = fine_tuned(RECIPES["rtmpose_m"])
    assert (recipe.epochs, recipe.batch_size) == (20, 32)
    assert recipe.optimiser.lr == pytest.approx(4e-5)
    assert recipe.schedule.drops == (10, 15)
    hourglass = fine_tuned(RECIPES["hourglass_8stack"])
    assert not hourglass.unlabelled_as_empty  # in own data, joints without a label may be visible


def test_crops_of_384_pixels_have_wider_gaussians() -> None:
    for name in ("simplebaseline_r50_384x288", "hrnet_w32_dark_384x288"):
        assert RECIPES[name].for_crops((288, 384)).target_options == {"sigma": 3.0}
        assert RECIPES[name].for_crops((192, 256)).target_options == {}
    assert RECIPES["cpn_r50_384x288"].for_crops((288, 384)).target_options == {}


def test_posetrack_is_fine_tuned_with_its_own_schedule_and_mirror_pairs() -> None:
    recipe = RECIPES["simplebaseline_r50_posetrack"]
    assert fine_tuned(recipe) == recipe
    assert (recipe.epochs, recipe.optimiser.lr, recipe.schedule.drops) == (20, 1e-4, (10, 15))
    paired = {joint for pair in SKELETONS["posetrack_15"].mirror_pairs for joint in pair}
    assert set(SKELETONS["posetrack_15"].joints) - paired == {"nose", "neck", "head_top"}


def test_rates_fall_by_a_factor_of_each_drop() -> None:
    schedule = RECIPES["softgated_4stack"].schedule
    rates = [2.5e-4 * schedule.factor(epoch, 200, 1) for epoch in (74, 75, 100, 150)]
    assert rates == pytest.approx([2.5e-4, 1.7e-4, 9e-5, 1e-5])
    with pytest.raises(InputError, match="schedule: expected"):
        Schedule(drops=(1.0, 2.0), drop_factor=(0.1,))


@pytest.mark.parametrize(("name", "outputs"), [("cpn_r50_256x192", 5), ("mspn_r50_1stg", 4), ("hourglass_2stack", 2)])
def test_published_recipes_train_joints_without_a_label_to_empty_maps(name: str, outputs: int) -> None:
    recipe = RECIPES[name]
    keypoints, visibility = torch.full((1, 17, 2), 20.0), torch.zeros(1, 17)
    ones = [torch.ones(1, 17, 16, 16)] * outputs
    module = torch.nn.Identity()
    published = make_objective(recipe, module, (64, 64))(ones, keypoints, visibility)
    masked = make_objective(fine_tuned(recipe), module, (64, 64))(ones, keypoints, visibility)
    assert float(published) > 0 == float(masked)
