"""OSNet against recorded outputs, and what must hold of an appearance network."""

from __future__ import annotations

import pytest
import torch

from estimators import NETWORKS
from tests.goldens import check_against_golden, fill, picture

NAMES = ["osnet_x0_25", "osnet_x0_5", "osnet_x0_75", "osnet_x1_0", "osnet_ibn_x1_0", "osnet_ain_x1_0"]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_those_of_the_original_code(name: str) -> None:
    # In ibn an instance norm swallows the biases before it: they move the features by 1e-9, which float32 hides.
    check_against_golden(NETWORKS[name](), name, double=name == "osnet_ibn_x1_0")


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x1_0"])
def test_embeddings_do_not_depend_on_the_batch_and_crops_may_be_smaller(name: str) -> None:
    network = NETWORKS[name]()
    fill(network, name)
    people = picture((2, 3, 128, 64))
    with torch.inference_mode():
        together = network(people)
        alone = network(people[1:])
    assert together["feature"].shape == (2, 512)
    assert together["featuremap"].shape[2:] == (8, 4)
    torch.testing.assert_close(together["feature"][1:], alone["feature"], rtol=1e-4, atol=1e-4)
