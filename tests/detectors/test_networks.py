"""YOLOX, RTMDet and ThunderNet against recorded outputs, and what must hold of a detector's network."""

from __future__ import annotations

import pytest
import torch

from detectors import NETWORKS
from tests.goldens import check_against_golden, fill, picture


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_outputs_equal_those_of_the_original_code(name: str) -> None:
    check_against_golden(NETWORKS[name](), name)


@pytest.mark.parametrize("name", ["yolox_nano", "rtmdet_nano_person"])
def test_outputs_for_other_sizes_do_not_depend_on_the_batch(name: str) -> None:
    network = NETWORKS[name]()
    fill(network, name)
    images = picture((2, 3, 96, 160))
    with torch.inference_mode():
        together, alone = network(images), network(images[1:])
    for output, answer in together.items():
        torch.testing.assert_close(answer[1:], alone[output], rtol=1e-4, atol=1e-4)


def test_levels_share_their_convolutions_but_not_their_norms() -> None:
    head = NETWORKS["rtmdet_tiny"]().bbox_head
    assert head.cls_convs[2][1].conv is head.cls_convs[0][1].conv
    assert head.reg_convs[2][0].bn is not head.reg_convs[0][0].bn
    assert head.reg_convs[0][0].conv is not head.cls_convs[0][0].conv
