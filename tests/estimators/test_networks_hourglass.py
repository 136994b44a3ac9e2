"""Hourglasses and pose machines against recorded outputs, and what must hold of networks that are all convolution."""

from __future__ import annotations

import pytest
import torch

from estimators import NETWORKS
from estimators.networks.pyranet import fractional_max_pool
from tests.goldens import check_against_golden, fill, joints_over_time, picture

NAMES = [name for name in NETWORKS if name.startswith("cpm") or name.endswith("stack")]
WITH_CENTRE = ("caffe_cpm_mpi", "caffe_cpm_flic", "cascaded_ioi_mpii")  # their goldens have noise alone as input


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_those_of_the_original_code(name: str) -> None:
    check_against_golden(NETWORKS[name](), name)


@pytest.mark.parametrize("name", WITH_CENTRE)
def test_outputs_of_networks_with_a_map_of_the_centre_equal_those_of_the_original(name: str) -> None:
    check_against_golden(NETWORKS[name](), name, made_input=joints_over_time)


def test_pyramids_draw_their_windows_in_training_alone() -> None:
    network = NETWORKS["pyranet_2stack"]().get_submodule("r1")
    x = torch.randn(1, 64, 16, 16)
    assert torch.equal(network.eval()(x), network(x))
    for norm in (each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)):
        norm.momentum = 0.0
    network.train()
    assert len({float(network(x).detach().sum()) for _ in range(4)}) > 1


@pytest.mark.parametrize("cells", [2, 3, 4, 16, 33])
def test_fractional_max_pooling_covers_all_cells(cells: int) -> None:
    x = torch.arange(float(cells)).expand(1, 1, cells, cells)
    for ratio in (0.5, 2**-0.25):
        pooled = fractional_max_pool(x, ratio, 0.45)
        assert pooled.shape == (1, 1, int(cells * ratio), int(cells * ratio))
        assert pooled[0, 0, 0, -1] == cells - 1
    if cells % 2 == 0:
        assert torch.equal(fractional_max_pool(x, 0.5, 0.45), torch.nn.functional.max_pool2d(x, 2))


@pytest.mark.parametrize("name", ["hourglass_2stack", "cpm_mmpose"])
def test_outputs_for_other_sizes_do_not_depend_on_the_batch(name: str) -> None:
    network = NETWORKS[name]()
    fill(network, name)
    images = picture((2, 3, 128, 64))
    with torch.inference_mode():
        together, alone = network(images)[-1], network(images[1:])[-1]
    torch.testing.assert_close(together[-1], alone[-1], rtol=1e-4, atol=1e-4)
