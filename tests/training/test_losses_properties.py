"""What holds for every loss: perfect answers cost nothing, unlabelled joints count nothing, images count alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from estimators.networks import NETWORKS
from estimators.networks.deeppose import Flow
from estimators.recipes import RECIPES, Recipe
from estimators.top_down import _READERS
from training.losses.coarse_to_fine import cpn_loss, mspn_loss
from training.losses.coordinates import l1, smooth_l1, soft_wing, squared, wing
from training.losses.heatmaps import adaptive_wing, disk_offset_mse, half_squared_sum, ohkm_mse, weighted_mse
from training.losses.rle import rle
from training.losses.simcc import simcc_kl
from training.losses.stages import (
    cpm_loss,
    half_squared_sum_over_outputs,
    mean_over_outputs,
    outputs_of,
    summed_over_outputs,
)
from training.targets.heatmaps import udp_offset_maps
from training.targets.kinds import TARGETS, TargetKind

CROP_SIZE = (64, 96)
B, K = 4, 10  # more joints than the hardest eight


def flow() -> Flow:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Flow()


FLOW = flow()


@dataclass(frozen=True)
class Pair:
    """A loss with the targets that it is for."""

    kind: str
    loss: Callable[..., Tensor]
    answer: Callable[[Any], Any] = lambda target: target
    """The target -> outputs that are a perfect answer."""
    steps: int = 60
    """Adam's steps from nothing to outputs that decode to the joints."""


def as_levels(stages: int) -> Callable[[Tensor], Any]:
    """Outputs of MSPN for its targets (B, 5, K, H, W)."""

    def answer(target: Tensor) -> Any:
        levels = [[target[:, i + (stage == stages - 1)] for i in range(4)] for stage in range(stages)]
        return {f"stage{i}_res{j}": maps for i, stage in enumerate(levels) for j, maps in enumerate(stage)}

    return answer


def plain_kl(outputs: Any, target: Any, weights: Tensor) -> Tensor:
    return simcc_kl(outputs, target, weights, beta=1, softmax_labels=False)


def flow_loss(outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    return rle(outputs, target, weights, FLOW)


def with_spreads(positions: Tensor) -> Tensor:
    return torch.cat([positions, torch.zeros_like(positions)], dim=2)


def logarithms(labels: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    return tuple(each.clamp(min=1e-30).log() for each in labels)


PAIRS = {
    "gaussian, squared error": Pair("gaussian", weighted_mse),
    "gaussian, hardest joints": Pair("gaussian", ohkm_mse),
    "gaussian, adaptive wing": Pair("gaussian", adaptive_wing),
    "gaussian, sum of stages": Pair("gaussian", summed_over_outputs, lambda maps: [maps, maps]),
    "dark, squared error": Pair("dark", weighted_mse),
    "udp, squared error": Pair("udp", weighted_mse),
    "hourglass, mean of stacks": Pair("hourglass", mean_over_outputs, lambda maps: torch.stack([maps, maps], dim=1)),
    "cpm, half the sum": Pair("cpm", half_squared_sum),
    "cpn": Pair("cpn", cpn_loss, lambda maps: ([maps[:, i] for i in range(4)], maps[:, 3]), steps=300),
    "mspn, one stage": Pair("mspn", mspn_loss, as_levels(1), steps=300),
    "mspn, two stages": Pair("mspn", mspn_loss, as_levels(2), steps=300),
    "simcc, RTMPose": Pair("simcc", simcc_kl),
    "simcc, smoothed one-hot": Pair("simcc_one_hot", plain_kl, logarithms),
    "coordinates, absolute": Pair("coordinates", l1),
    "coordinates, squared": Pair("coordinates", squared),
    "coordinates, smooth": Pair("coordinates", smooth_l1),
    "coordinates, wing": Pair("coordinates", wing),
    "coordinates, soft wing": Pair("coordinates", soft_wing),
}
WITH_FLOW = PAIRS | {"coordinates, residual log-likelihood": Pair("coordinates", flow_loss, with_spreads)}
all_pairs = pytest.mark.parametrize("name", WITH_FLOW)
pairs = pytest.mark.parametrize("name", PAIRS)


def joints(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Keypoints (B, K, 2) inside the crop and visibility of all kinds; the second image has no labelled joint."""
    generator = np.random.default_rng(seed)
    keypoints = generator.uniform(20, np.array(CROP_SIZE) - 20, (B, K, 2)).astype(np.float32)
    visibility = generator.integers(0, 3, (B, K)).astype(np.float32)
    visibility[:, 0] = 2
    visibility[1] = 0
    keypoints[visibility == 0] = np.nan
    return torch.from_numpy(keypoints), torch.from_numpy(visibility)


def mapped(outputs: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same structure of outputs, each changed by a function."""
    if isinstance(outputs, Tensor):
        return function(outputs)
    if isinstance(outputs, dict):
        return {name: mapped(each, function) for name, each in outputs.items()}
    return type(outputs)(mapped(each, function) for each in outputs)


def tensors_of(outputs: Any) -> Iterator[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
    else:
        for each in outputs.values() if isinstance(outputs, dict) else outputs:
            yield from tensors_of(each)


def noisy(outputs: Any, seed: int = 0) -> Any:
    """Outputs with noise, which have gradients."""
    generator = torch.Generator().manual_seed(seed)
    return mapped(outputs, lambda each: (each + torch.randn(each.shape, generator=generator)).requires_grad_())


@pairs
def test_a_perfect_answer_costs_nothing_and_any_other_costs_something(name: str) -> None:
    pair = PAIRS[name]
    target, weights = TARGETS[pair.kind](*joints(), CROP_SIZE)
    perfect = pair.answer(target)
    assert pair.loss(perfect, target, weights).item() == pytest.approx(0, abs=1e-6)
    assert pair.loss(noisy(perfect), target, weights).item() > 1e-4


def test_the_divergence_from_normalised_labels_lacks_only_what_is_cut_off_at_the_border() -> None:
    labels, weights = TARGETS["simcc_normalised"](*joints(), CROP_SIZE)
    assert plain_kl(logarithms(labels), labels, weights).item() == pytest.approx(0, abs=1e-4)


def test_disks_and_offsets_of_a_perfect_answer_cost_nothing_also_outside_the_disks() -> None:
    target, weights = udp_offset_maps(*joints(), CROP_SIZE)
    outputs = target.clone().unflatten(1, (K, 3))
    outputs[:, :, 1:] += 5 * (outputs[:, :, :1] == 0)  # offsets count inside the disks alone
    assert disk_offset_mse(outputs.flatten(1, 2), target, weights).item() == 0


@all_pairs
def test_an_image_without_a_labelled_joint_adds_neither_loss_nor_gradient(name: str) -> None:
    pair = WITH_FLOW[name]
    target, weights = TARGETS[pair.kind](*joints(), CROP_SIZE)
    assert (weights[1] == 0).all()
    outputs = noisy(pair.answer(target))
    loss = pair.loss(outputs, target, weights)
    loss.backward()
    for each in tensors_of(outputs):
        assert each.grad is not None
        assert torch.isfinite(each.grad).all()
        assert (each.grad[1] == 0).all()
        assert (each.grad[0] != 0).any()
    others = [0, 2, 3]
    without = pair.loss(
        mapped(outputs, lambda each: each[others]), mapped(target, lambda each: each[others]), weights[others]
    )
    torch.testing.assert_close(loss * B, without * len(others))


@all_pairs
def test_a_batch_without_a_labelled_joint_costs_nothing(name: str) -> None:
    pair = WITH_FLOW[name]
    target, weights = TARGETS[pair.kind](torch.full((B, K, 2), torch.nan), torch.zeros(B, K), CROP_SIZE)
    outputs = noisy(pair.answer(target))
    loss = pair.loss(outputs, target, weights)
    loss.backward()
    assert loss.item() == 0
    assert all((each.grad == 0).all() for each in tensors_of(outputs) if each.grad is not None)


@all_pairs
@settings(max_examples=20)
@given(order=st.permutations(range(B)), seed=st.integers(0, 3))
def test_order_of_the_batch_changes_nothing_and_the_loss_is_the_mean_of_its_images(
    name: str, order: list[int], seed: int
) -> None:
    pair = WITH_FLOW[name]
    target, weights = TARGETS[pair.kind](*joints(seed), CROP_SIZE)
    outputs = mapped(noisy(pair.answer(target), seed), Tensor.detach)

    def of_rows(rows: list[int]) -> Tensor:
        return pair.loss(*(mapped(each, lambda part: part[rows]) for each in (outputs, target)), weights[rows])

    whole = pair.loss(outputs, target, weights)
    torch.testing.assert_close(of_rows(order), whole)
    torch.testing.assert_close(torch.stack([of_rows([i]) for i in range(B)]).mean(), whole)


@all_pairs
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_outputs_of_mixed_precision_have_a_loss_in_float32(name: str, dtype: torch.dtype) -> None:
    pair = WITH_FLOW[name]
    target, weights = TARGETS[pair.kind](*joints(), CROP_SIZE)
    outputs = mapped(noisy(pair.answer(target)), lambda each: each.detach().to(dtype).requires_grad_())
    loss = pair.loss(outputs, target, weights)
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, pair.loss(mapped(outputs, Tensor.float), target, weights))
    assert all(each.grad is not None and torch.isfinite(each.grad).all() for each in tensors_of(outputs))


def test_a_joint_of_twice_the_weight_has_twice_the_gradient() -> None:
    target, weights = TARGETS["gaussian"](*joints(), CROP_SIZE)
    gradients = []
    for factor in (1, 2):
        outputs = noisy(target)
        weighted_mse(outputs, target, factor * weights).backward()
        gradients.append(outputs.grad)
    torch.testing.assert_close(gradients[1], 2 * gradients[0])


def test_only_the_hardest_joints_of_each_image_have_a_gradient() -> None:
    target, _ = TARGETS["gaussian"](*joints(), CROP_SIZE)
    outputs = (target + torch.arange(1, K + 1)[:, None, None]).requires_grad_()
    ohkm_mse(outputs, target, torch.ones(B, K), hardest=3).backward()
    assert outputs.grad is not None
    assert outputs.grad.abs().sum(dim=(0, 2, 3)).ne(0).tolist() == [False] * (K - 3) + [True] * 3
    assert ohkm_mse(outputs, target, torch.ones(B, K), hardest=K + 5).isfinite()  # fewer joints than that


def test_cells_outside_a_mask_count_nothing() -> None:
    target, weights = TARGETS["gaussian"](*joints(), CROP_SIZE)
    mask = torch.ones(B, *target.shape[2:])
    mask[:, :, :5] = 0
    outputs = noisy(target)
    weighted_mse(outputs, target, weights, mask).backward()
    assert outputs.grad is not None
    assert (outputs.grad[..., :5] == 0).all()
    assert (outputs.grad[..., 5:] != 0).any()


def test_coarse_outputs_learn_empty_maps_for_occluded_joints_only_on_request() -> None:
    keypoints = torch.full((1, K, 2), 40.0)
    target, visibility = TARGETS["cpn"](keypoints, torch.ones(1, K), CROP_SIZE)  # all occluded
    drawn = ([target[:, i] for i in range(4)], target[:, 3])
    empty = ([torch.zeros_like(target[:, 0])] * 4, target[:, 3])
    assert cpn_loss(drawn, target, visibility).item() == 0
    assert cpn_loss(empty, target, visibility).item() > 0
    assert cpn_loss(drawn, target, visibility, invisible_as_empty=True).item() > 0
    assert cpn_loss(empty, target, visibility, invisible_as_empty=True).item() == 0


def test_stages_have_their_own_targets() -> None:
    first, later = (TARGETS["gaussian"](*joints(seed), CROP_SIZE)[0] for seed in (0, 1))
    weights = torch.ones(B, K)
    assert cpm_loss([first, later, later], (first, later), weights).item() == 0
    assert cpm_loss([later, first, later], (first, later), weights).item() > 0


@pytest.mark.parametrize("name", ["wing", "soft wing", "smooth"])
def test_losses_in_two_parts_have_no_step_between_them(name: str) -> None:
    loss, at = {"wing": (wing, 10.0), "soft wing": (soft_wing, 2.0), "smooth": (smooth_l1, 1.0)}[name]
    errors = torch.tensor([at - 1e-4, at, at + 1e-4], dtype=torch.float64)
    values = torch.stack([loss(e.expand(1, 1, 2), torch.zeros(1, 1, 2), torch.ones(1, 1)) for e in errors])
    steps = values.diff()
    assert (steps > 0).all()
    assert (steps < 1e-2).all()
    several = torch.linspace(0, 30, 100, dtype=torch.float64)
    rising = torch.stack([loss(e.expand(1, 1, 2), torch.zeros(1, 1, 2), torch.ones(1, 1)) for e in several])
    assert (rising.diff() > 0).all()


def test_the_adaptive_wing_loss_has_no_step_and_rises_with_the_error() -> None:
    for value in (0.0, 0.5, 1.0):
        errors = torch.linspace(0, 1, 2001, dtype=torch.float64)
        target = torch.full((1, 1, 1, 1), value, dtype=torch.float64)
        losses = torch.stack([adaptive_wing(target + e, target, torch.ones(1, 1)) for e in errors])
        assert (losses.diff() > 0).all()
        assert losses.diff().max() < 0.02


@pairs
def test_outputs_that_minimise_the_loss_decode_to_the_joints(name: str) -> None:
    pair = PAIRS[name]
    keypoints, visibility = joints()
    kind = TARGETS[pair.kind]
    target, weights = kind(keypoints, visibility, CROP_SIZE)
    outputs = mapped(pair.answer(target), lambda each: torch.zeros_like(each).requires_grad_())
    optimiser = torch.optim.Adam(list(tensors_of(outputs)), lr=kind.highest / 20)
    for _ in range(pair.steps):
        optimiser.zero_grad()
        pair.loss(outputs, target, weights).backward()
        optimiser.step()
    got = decoded(kind, pair.kind, outputs)
    errors = np.linalg.norm(got - keypoints.numpy(), axis=2)[(visibility > 0).numpy()]
    assert errors.max() < (8 if pair.kind == "cpm" else 5)  # pixels; cells have 4, those of CPM 8


def decoded(kind: TargetKind, name: str, outputs: Any) -> np.ndarray:
    """Keypoints that an estimator reads from outputs of a network trained with this kind of target."""
    recipe = kind.decoded_by(Recipe(input_size=CROP_SIZE))
    answer = [each.detach().numpy() for each in tensors_of(outputs)]
    if recipe.output == "heatmaps":
        answer = [outputs_of(outputs)[-1].detach().numpy()[:, :K]]  # without CPM's background
    return _READERS[recipe.output](tuple(answer), None, recipe)[0]


def residual_likelihood(network: nn.Module) -> Callable[..., Tensor]:
    return lambda outputs, target, weights: rle(outputs, target, weights, network.head["loss_module"]["flow_model"])


FAMILIES: dict[str, tuple[str, Callable[[nn.Module], Callable[..., Tensor]], dict[str, Any]]] = {
    "simplebaseline_r18": ("gaussian", lambda _: weighted_mse, {}),
    "hrnet_w32": ("dark", lambda _: summed_over_outputs, {}),
    "litehrnet_18": ("gaussian", lambda _: summed_over_outputs, {}),
    "fastpose_r50": ("gaussian", lambda _: weighted_mse, {}),
    "vitpose_s_mmpose": ("udp", lambda _: summed_over_outputs, {}),
    "cpm_mmpose": ("gaussian", lambda _: summed_over_outputs, {"stride": 8}),
    "hourglass_2stack": ("hourglass", lambda _: mean_over_outputs, {}),
    "softgated_4stack": ("hourglass", lambda _: mean_over_outputs, {}),
    "pyranet_2stack": ("hourglass", lambda _: mean_over_outputs, {}),
    "pyranet_wenbc21_2stack": ("hourglass", lambda _: mean_over_outputs, {}),
    "pose_attention_8stack": ("hourglass", lambda _: mean_over_outputs, {}),
    "cascaded_ioi_mpii": ("cpm", lambda _: half_squared_sum_over_outputs, {}),
    "caffe_cpm_flic": ("cpm", lambda _: half_squared_sum_over_outputs, {}),
    "cpn_r50_256x192": ("cpn", lambda _: cpn_loss, {}),
    "mspn_r50_1stg": ("mspn", lambda _: mspn_loss, {}),
    "mspn_r50_2stg": ("mspn", lambda _: mspn_loss, {}),
    "rtmpose_t": ("simcc", lambda _: simcc_kl, {}),
    "deeppose_r50": ("coordinates", lambda _: smooth_l1, {}),
    "deeppose_r50_rle": ("coordinates", residual_likelihood, {}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_targets_and_losses_fit_the_outputs_of_each_family_and_stay_on_their_device(name: str) -> None:
    kind, loss_of, options = FAMILIES[name]
    recipe = RECIPES[name]
    joints = len(recipe.skeleton)
    with torch.device("meta"):
        network = NETWORKS[name]().train()
        channels = 3 if recipe.centre_sigma_px is None else 4
        outputs = network(torch.zeros(2, channels, *recipe.input_size[::-1]))
        keypoints, visibility = torch.zeros(2, joints, 2), torch.ones(2, joints)
    target, weights = TARGETS[kind](keypoints, visibility, recipe.input_size, **options)
    loss = loss_of(network)(outputs, target, weights)
    assert loss.device.type == "meta"
    assert loss.shape == ()
    loss.backward()
    assert next(network.parameters()).grad is not None
