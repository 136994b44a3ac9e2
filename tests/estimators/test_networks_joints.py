"""Networks for other skeletons than the published ones, ready to be trained."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from estimators.recipes import RECIPES, TOP_DOWN

SMALL = {  # the smallest network of each family, and a small crop that it takes
    "unet_s": (64, 64),
    "simplebaseline_r18": (64, 64),
    "mobilenetv2_simple": (64, 64),
    "deeppose_r50": (64, 64),
    "fastpose_r50": (64, 64),
    "cpn_r50_256x192": (64, 64),
    "mspn_r50_1stg": (64, 64),
    "hrnet_w32": (64, 64),
    "litehrnet_18": (64, 64),
    "hourglass_2stack": (64, 64),
    "softgated_4stack": (64, 64),
    "pyranet_2stack": (64, 64),
    "pyranet_wenbc21_2stack": (128, 128),
    "pose_attention_8stack": (64, 64),
    "cascaded_ioi_mpii": (64, 64),
    "caffe_cpm_flic": (64, 64),
    "cpm_mmpose": (64, 64),
    "rtmpose_t": (192, 256),
    "rtmw_m": (192, 256),
    "vitpose_s_mmpose": (192, 256),
}


def tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    return [each for part in (output.values() if isinstance(output, dict) else output) for each in tensors(part)]


@pytest.mark.parametrize("name", SMALL)
def test_a_network_for_five_joints_trains_all_parameters_that_are_not_frozen(name: str) -> None:
    torch.manual_seed(0)
    network = TOP_DOWN[name][1](joints=5).train()
    width, height = SMALL[name]
    recipe = RECIPES[name]
    channels, maps = (3, 5) if recipe.centre_sigma_px is None else (4, 6)  # with the background
    outputs = tensors(network(torch.randn(2, channels, height, width)))
    assert all(maps in each.shape for each in outputs)
    sum(each.square().mean() for each in outputs).backward()  # type: ignore[union-attr]
    without = [key for key, each in network.named_parameters() if each.requires_grad and each.grad is None]
    assert without == []


@pytest.mark.parametrize("name", ["hourglass_2stack", "vitpose_s_mmpose"])
def test_the_keys_do_not_depend_on_what_is_trained(name: str) -> None:
    published, own = (TOP_DOWN[name][1](**joints).state_dict() for joints in ({}, {"joints": 5}))
    assert list(published) == list(own)


def test_vitpose_drops_paths_in_training_only() -> None:
    network = TOP_DOWN["vitpose_s_mmpose"][1]()
    crops = torch.randn(1, 3, 256, 192)
    with torch.no_grad():
        assert torch.equal(network.eval()(crops), network(crops))
        network.train()
        answers = {float(network.backbone(crops).sum()) for _ in range(4)}
    assert len(answers) > 1
