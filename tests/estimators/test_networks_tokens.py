"""ViTPose, RTMPose and RTMW against recorded outputs, and what must hold of networks that place one person's joints."""

from __future__ import annotations

import pytest
import torch

from estimators import NETWORKS
from tests.goldens import check_against_golden, fill, golden_folder, outputs_by_name, picture

NAMES = [name for name in NETWORKS if name.startswith(("rtmpose", "rtmw", "vitpose"))]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_those_of_the_original_code(name: str) -> None:
    golden_folder(name)  # skips before the network is built
    check_against_golden(NETWORKS[name](), name)


@pytest.mark.parametrize("name", ["rtmpose_t", "vitpose_s_vitae"])
def test_outputs_do_not_depend_on_the_batch(name: str) -> None:
    network = NETWORKS[name]()
    fill(network, name)
    people = picture((2, 3, 256, 192))
    with torch.inference_mode():
        together, alone = outputs_by_name(network(people)), outputs_by_name(network(people[1:]))
    for output, answer in together.items():
        torch.testing.assert_close(answer[1:], alone[output], rtol=1e-4, atol=1e-4)
