"""Parts of Li and Chan's network: against recorded numbers, and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.goldens import SHARED
from training.two_task_losses import (
    detection_errors,
    normalised_within_channels,
    regression_errors,
    relative_to_parents,
    two_task_loss,
)


def test_they_equal_what_was_recorded() -> None:
    path = SHARED / "goldens" / "functions" / "lichan_multitask.npz"
    if not path.is_file():
        pytest.skip("../shared/goldens is not here")
    with np.load(path) as arrays:
        golden = {name: torch.from_numpy(np.asarray(values)) for name, values in arrays.items()}
    alpha, beta = golden["alpha"].item(), golden["beta"].item()
    for padded, name in ((False, "normalised_inside"), (True, "normalised_padded")):
        made = normalised_within_channels(golden["u"], alpha, beta, padded=padded)
        torch.testing.assert_close(made, golden[name])
    torch.testing.assert_close(relative_to_parents(golden["joints"]), golden["relative"])
    joints = golden["relative_predicted"], golden["relative"]
    windows = golden["windows_predicted"], golden["windows"]
    torch.testing.assert_close(regression_errors(*joints), golden["E_r"])
    torch.testing.assert_close(detection_errors(*windows), golden["E_d"])
    torch.testing.assert_close(two_task_loss(*joints, *windows), golden["Phi"])


def test_a_network_of_both_tasks_gets_gradients_from_both() -> None:
    joints = torch.zeros(2, 17, 3, requires_grad=True)
    windows = torch.full((2, 17, 9), 0.3, requires_grad=True)
    target = relative_to_parents(torch.randn(2, 17, 3))
    assert not target[:, 0].any()
    two_task_loss(joints, target, windows, torch.ones(2, 17, 9)).backward()
    torch.testing.assert_close(joints.grad, -target)
    torch.testing.assert_close(windows.grad, torch.full_like(windows, -0.5 / 0.3))
