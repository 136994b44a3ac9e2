"""Hourglasses and pose machines against recorded outputs, and what must hold of networks that are all convolution."""

from __future__ import annotations

import pytest
import torch

from estimators import NETWORKS
from tests.goldens import check_against_golden, fill, picture

NAMES = [name for name in NETWORKS if name.startswith("cpm") or name.endswith("stack")]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_those_of_the_original_code(name: str) -> None:
    check_against_golden(NETWORKS[name](), name)


@pytest.mark.parametrize("name", ["hourglass_2stack", "cpm_mmpose"])
def test_outputs_for_other_sizes_do_not_depend_on_the_batch(name: str) -> None:
    network = NETWORKS[name]()
    fill(network, name)
    images = picture((2, 3, 128, 64))
    with torch.inference_mode():
        together, alone = network(images)[-1], network(images[1:])[-1]
    torch.testing.assert_close(together[-1], alone[-1], rtol=1e-4, atol=1e-4)
