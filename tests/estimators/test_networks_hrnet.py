"""HRNet and its kin against recorded outputs, and what must hold of networks that are all convolution."""

from __future__ import annotations

import pytest
import torch

from estimators import NETWORKS
from tests.goldens import check_against_golden, fill, outputs_by_name, picture


@pytest.mark.parametrize("name", [name for name in NETWORKS if "hrnet" in name])
def test_outputs_equal_those_of_the_original_code(name: str) -> None:
    # The gates of Lite-HRNet leave some biases an influence of 1e-8, which float32 hides.
    check_against_golden(NETWORKS[name](), name, double=name.startswith("lite"))


@pytest.mark.parametrize("name", ["litehrnet_18", "higherhrnet_w32"])
def test_outputs_for_other_sizes_do_not_depend_on_the_batch(name: str) -> None:
    network = NETWORKS[name]()
    fill(network, name)
    images = picture((2, 3, 128, 96))
    with torch.inference_mode():
        together, alone = outputs_by_name(network(images)), outputs_by_name(network(images[1:]))
    for output, answer in together.items():
        assert answer.shape[-1] in (24, 48)
        torch.testing.assert_close(answer[1:], alone[output], rtol=1e-4, atol=1e-4)


def test_the_bodies_of_hrnet_and_higher_hrnet_are_the_same() -> None:
    plain, higher = (NETWORKS[name]().state_dict() for name in ("hrnet_w32", "higherhrnet_w32"))
    shared = {key: value.shape for key, value in plain.items() if not key.startswith("final")}
    assert shared.items() <= {key: value.shape for key, value in higher.items()}.items()
