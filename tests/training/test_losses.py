"""Losses and their gradients equal those of published training code, from recorded arrays.

Where published code has another factor, or weights on other places, the test says so by what it multiplies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from estimators.networks.deeppose import Flow
from tests.goldens import formula_weights
from tests.training_goldens import recorded_training
from training.losses.coarse_to_fine import cpn_loss, mspn_loss
from training.losses.coordinates import l1, smooth_l1, soft_wing, squared, wing
from training.losses.heatmaps import adaptive_wing, disk_offset_mse, half_squared_sum, ohkm_mse, weighted_mse
from training.losses.rle import flow_log_density, normalised, rle
from training.losses.simcc import simcc_kl
from training.losses.stages import cpm_loss, mean_over_outputs

Golden = Callable[[str], Tensor]
Loss = Callable[[Tensor, Golden], Tensor]

precisions = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


def tensors(golden: dict[str, np.ndarray], dtype: torch.dtype) -> Golden:
    """The arrays of a golden by name, in this precision."""
    return lambda name: torch.from_numpy(golden[name]).to(dtype)


def check_loss(loss: Tensor, expected: np.ndarray) -> None:
    tolerance = 1e-9 if loss.dtype == torch.float64 else 1e-5
    np.testing.assert_allclose(loss.detach().numpy(), expected, rtol=tolerance)


def check_gradient(gradient: Tensor | None, expected: np.ndarray) -> None:
    """Within 1e-5 of the largest number."""
    assert gradient is not None
    assert tuple(gradient.shape) == expected.shape
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def check(golden: dict[str, np.ndarray], name: str, outputs: Tensor, loss: Callable[[Tensor], Tensor]) -> None:
    """Compare a loss, and its gradient where it was recorded, whole or every third row and column."""
    outputs = outputs.clone().requires_grad_()
    value = loss(outputs)
    check_loss(value, golden[f"{name}_loss"])
    value.backward()
    assert outputs.grad is not None
    if f"{name}_grad" in golden:
        check_gradient(outputs.grad, golden[f"{name}_grad"])
    elif f"{name}_grad_step3" in golden:
        check_gradient(outputs.grad[..., ::3, ::3], golden[f"{name}_grad_step3"])


def with_empty_channels(at: Golden) -> Tensor:
    target = at("target").clone()
    images, channels = at("empty_channels").long().unbind(1)
    target[images, channels] = 0
    return target


def nothing_where_empty(outputs: Tensor, at: Golden) -> Tensor:
    target = with_empty_channels(at)
    return weighted_mse(outputs, target, at("weight") * (target.amax(dim=(2, 3)) > 0))


def adaptive_wing_of_weighted_maps(outputs: Tensor, at: Golden) -> Tensor:
    weights = at("weight")[..., None, None]
    return adaptive_wing(outputs * weights, at("target") * weights, torch.ones_like(at("weight")))


HEATMAPS: dict[str, Loss] = {
    "hrnet": lambda x, at: weighted_mse(x, at("target"), at("weight") ** 2) / 2,
    "hrnet_noweight": lambda x, at: weighted_mse(x, at("target"), torch.ones_like(at("weight"))) / 2,
    "hrnet_ohkm8": lambda x, at: ohkm_mse(x, at("target"), at("weight") ** 2) / 2,
    "alphapose": lambda x, at: weighted_mse(x, at("target"), at("weight") ** 2) / 2,
    "mmpose": lambda x, at: weighted_mse(x, at("target"), at("weight")),
    "mmpose_ohkm8": lambda x, at: ohkm_mse(x, at("target"), at("weight") ** 2),
    "mmpose_skip_empty": nothing_where_empty,
    "adaptive_wing": adaptive_wing_of_weighted_maps,
    "masked_per_image": lambda x, at: weighted_mse(x, at("target"), torch.ones_like(at("weight")), at("mask")),
    "l2_sum_masked_half_per_image": lambda x, at: half_squared_sum(x, at("target"), at("weight") ** 2),
}


@precisions
@pytest.mark.parametrize("name", HEATMAPS)
def test_squared_errors_of_heatmaps_equal_the_published(name: str, dtype: torch.dtype) -> None:
    golden = recorded_training("loss_heatmap")
    at = tensors(golden, dtype)
    check(golden, name, at("pred"), lambda outputs: HEATMAPS[name](outputs, at))


@precisions
def test_a_batch_of_one_has_the_loss_of_its_image(dtype: torch.dtype) -> None:
    golden = recorded_training("loss_heatmap")
    at = tensors(golden, dtype)
    target, weights = at("target")[:1], at("weight")[:1] ** 2
    check(golden, "hrnet_first_alone", at("pred"), lambda outputs: weighted_mse(outputs[:1], target, weights) / 2)


@precisions
def test_the_loss_of_disks_and_offsets_equals_udp_s(dtype: torch.dtype) -> None:
    golden = recorded_training("loss_heatmap")
    at = tensors(golden, dtype)
    target, weights = at("combined_target"), at("weight")
    check(golden, "combined", at("combined_pred"), lambda x: disk_offset_mse(x, target, weights**2) / 2)


MSPN: dict[str, dict[str, Any]] = {
    "mspn": {},
    "mspn_ctf_off": {"finer_last": False},
    "mspn_ohkm_off": {"hardest": None},
}


@precisions
@pytest.mark.parametrize("name", MSPN)
def test_the_loss_of_mspn_equals_its_authors(name: str, dtype: torch.dtype) -> None:
    golden = recorded_training("loss_stages")
    at = tensors(golden, dtype)
    labels, visibility = at("mspn_labels"), at("mspn_valid")

    def loss(outputs: Tensor) -> Tensor:
        by_name = {f"stage{i}_res{j}": maps for i, stage in enumerate(outputs) for j, maps in enumerate(stage)}
        return mspn_loss(by_name, labels, visibility, invisible_as_empty=True, **MSPN[name])

    check(golden, name, at("mspn_pred"), loss)


@precisions
@pytest.mark.parametrize(("name", "factor"), [("cpn_pytorch", 0.5), ("cpn_tf", 0.125)])
def test_the_loss_of_cpn_equals_its_authors(name: str, factor: float, dtype: torch.dtype) -> None:
    golden = recorded_training("loss_stages")
    at = tensors(golden, dtype)
    target, visibility = at("mspn_labels")[:, :4], at("mspn_valid")

    def loss(outputs: Tensor) -> Tensor:
        nested = (list(outputs[:4]), outputs[4])
        return cpn_loss(nested, target, visibility, invisible_as_empty=True, coarse_factor=factor)

    pyramid = at("mspn_pred")
    check(golden, name, torch.cat([pyramid[0], pyramid[1, 3:]]), loss)


@precisions
def test_the_loss_of_stacked_hourglasses_equals_princeton_s(dtype: torch.dtype) -> None:
    golden = recorded_training("loss_stages")
    at = tensors(golden, dtype)
    target = at("hourglass_target")
    check(
        golden,
        "hourglass",
        at("hourglass_pred"),  # (B, stacks, K, H, W)
        lambda outputs: mean_over_outputs(outputs, target, torch.ones(target.shape[:2], dtype=dtype)),
    )


@precisions
def test_the_loss_of_cpm_equals_caffe_s(dtype: torch.dtype) -> None:
    golden = recorded_training("loss_stages")
    at = tensors(golden, dtype)
    targets = at("cpm_first_target"), at("cpm_later_target")
    weights = torch.ones(targets[0].shape[:2], dtype=dtype)
    check(golden, "cpm", at("hourglass_pred"), lambda outputs: cpm_loss(outputs, targets, weights))


SIGMAS = np.array([4.9, 5.66])  # of the recorded labels
SIMCC: dict[str, dict[str, Any]] = {
    "rtmpose": {},
    "plain": {"beta": 1.0, "softmax_labels": False},
    "simcc_repo": {"beta": 1.0, "softmax_labels": False},
}


@precisions
@pytest.mark.parametrize("name", SIMCC)
def test_divergences_of_simcc_equal_mmpose_s_and_the_authors(name: str, dtype: torch.dtype) -> None:
    golden = recorded_training("loss_kl")
    at = tensors(golden, dtype)
    heights = (1.0, 1.0) if name == "rtmpose" else SIGMAS * np.sqrt(2 * np.pi)
    labels = [
        torch.from_numpy((golden[f"label_{axis}"] / height).astype(np.float32)).to(dtype)
        for axis, height in zip("xy", heights, strict=True)
    ]
    x, y = (at(f"pred_{axis}").requires_grad_() for axis in "xy")
    images = 1 if name == "simcc_repo" else len(x)  # MMPose adds up the images of a batch
    loss = images * simcc_kl((x, y), (labels[0], labels[1]), at("weight"), **SIMCC[name])
    np.testing.assert_allclose(
        loss.detach().numpy(), golden[f"{name}_loss"], rtol=1e-7 if dtype == torch.float64 else 1e-5
    )
    loss.backward()
    for axis, vectors in (("x", x), ("y", y)):
        assert vectors.grad is not None
        whole, step = golden.get(f"{name}_grad_{axis}"), golden.get(f"{name}_grad_{axis}_step4")
        if whole is not None:
            check_gradient(vectors.grad, whole)
        if step is not None:
            check_gradient(vectors.grad[..., ::4], step)


@precisions
@pytest.mark.parametrize(
    ("name", "loss"), [("smooth_l1", smooth_l1), ("l1", l1), ("mse", squared), ("wing", wing), ("soft_wing", soft_wing)]
)
def test_losses_of_coordinates_equal_mmpose_s(
    name: str, loss: Callable[[Tensor, Tensor, Tensor], Tensor], dtype: torch.dtype
) -> None:
    golden = recorded_training("loss_regression")
    at = tensors(golden, dtype)
    weights = at("weight")
    target = at("target") * weights
    check(golden, name, at("pred"), lambda outputs: loss(outputs * weights, target, torch.ones_like(weights)))


@precisions
def test_smooth_l1_over_labelled_coordinates_equals_mmpose_s(dtype: torch.dtype) -> None:
    golden = recorded_training("loss_regression")
    at = tensors(golden, dtype)
    target, weights = at("target"), at("weight")
    share = (weights > 0).to(dtype).mean()
    check(golden, "soft_weight_smooth_l1", at("pred"), lambda outputs: smooth_l1(outputs, target, weights) / share)


def recorded_flow(golden: dict[str, np.ndarray], dtype: torch.dtype) -> Flow:
    flow = Flow()
    shapes = {key: value.shape for key, value in flow.state_dict().items()}
    state = {key: formula_weights(f"train.rle.{key}", shapes[key], 1.0) for key in map(str, golden["flow_keys"])}
    missing, unexpected = flow.load_state_dict(state, strict=False)
    assert set(missing) == {"loc", "cov", "mask"}
    assert not unexpected
    return flow.to(dtype)


def test_the_flow_of_rle_equals_the_published() -> None:
    golden = recorded_training("loss_rle")
    flow = recorded_flow(golden, torch.float64)
    points = torch.from_numpy(golden["flow_x"]).double()
    with torch.no_grad():
        normal, log_determinant = normalised(flow, points)
        np.testing.assert_allclose(normal.numpy(), golden["flow_z"], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(log_determinant.numpy(), golden["flow_log_det"], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(flow_log_density(flow, points).numpy(), golden["flow_log_prob"], rtol=1e-9)


@precisions
@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("mmpose_laplace", "laplace"),
        ("mmpose_gaussian", "gaussian"),
        ("mmpose_flow_only", "none"),
        ("authors", "authors"),
    ],
)
def test_residual_log_likelihoods_equal_mmpose_s_and_the_authors(name: str, base: Any, dtype: torch.dtype) -> None:
    golden = recorded_training("loss_rle")
    at = tensors(golden, dtype)
    outputs = torch.cat([at("pred"), at("sigma_logit")], dim=2).requires_grad_()
    flow = recorded_flow(golden, dtype)
    loss = rle(outputs, at("target"), at("weight"), flow, base=base)
    check_loss(loss, golden[f"{name}_loss"])
    loss.backward()
    assert outputs.grad is not None
    check_gradient(outputs.grad[..., :2], golden[f"{name}_grad_pred"])
    check_gradient(outputs.grad[..., 2:], golden[f"{name}_grad_sigma"])
    assert all(parameter.grad is not None for parameter in flow.parameters())
