"""The networks with a ResNet (or MobileNetV2) for a body against recorded outputs, and what must hold of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from estimators import NETWORKS
from tests.goldens import check_against_golden, fill, outputs_by_name, picture

NAMES = [
    *("simplebaseline_r18", "simplebaseline_r50", "simplebaseline_r50_mpii", "simplebaseline_r50_caffe"),
    *("simplebaseline_r101", "simplebaseline_r152", "mobilenetv2_simple"),
    *("deeppose_r50", "deeppose_r50_rle", "fastpose_r50", "fastpose_r152_duc256"),
    *("cpn_r50_256x192", "cpn_r50_384x288", "cpn_r101_384x288", "mspn_r50_1stg", "mspn_r50_2stg", "mspn_r50_4stg"),
]
FAMILIES = [
    *("simplebaseline_r18", "mobilenetv2_simple", "deeppose_r50_rle"),
    *("fastpose_r50", "cpn_r50_256x192", "mspn_r50_2stg"),
]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_those_of_the_original_code(name: str) -> None:
    check_against_golden(NETWORKS[name](), name)


@pytest.mark.parametrize("name", FAMILIES)
def test_outputs_for_other_sizes_do_not_depend_on_the_batch(name: str) -> None:
    network = NETWORKS[name]()
    fill(network, name)
    crops = picture((2, 3, 128, 96))
    with torch.inference_mode():
        together, alone = outputs_by_name(network(crops)), outputs_by_name(network(crops[1:]))
    for output, answer in together.items():
        assert answer.shape[:2] == (2, 17)
        assert answer.ndim == 3 or answer.shape[2:] == (32, 24)
        torch.testing.assert_close(answer[1:], alone[output], rtol=1e-4, atol=1e-4)


def test_a_caffe_bottleneck_has_the_same_keys_and_gives_other_numbers() -> None:
    torch.manual_seed(0)
    plain, caffe = NETWORKS["simplebaseline_r50"]().eval(), NETWORKS["simplebaseline_r50_caffe"]().eval()
    caffe.load_state_dict(plain.state_dict(), strict=True)
    crop = picture((1, 3, 64, 64))
    with torch.inference_mode():
        assert not np.allclose(plain(crop), caffe(crop), rtol=0.01)


def test_the_flow_of_a_regression_changes_no_coordinate() -> None:
    network = NETWORKS["deeppose_r50_rle"]().eval()
    crop = picture((1, 3, 64, 64))
    with torch.inference_mode():
        before = network(crop)
        for number in network.head["loss_module"].state_dict().values():
            number.fill_(7)
        assert torch.equal(before, network(crop))
