"""The symmetric spatial transformer: its inverse, the crop it makes, the frozen branch, and that it learns."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from estimators.affine import inverted as inverted_matrices
from estimators.affine import unbiased_crop_matrices, warped
from estimators.networks.sstn import SSTN, inverted, joints_in_input, sampled
from tests.training_goldens import recorded_training
from training.objectives import in_the_middle, sstn_objective

SIZE = (48, 64)
THETA = torch.tensor([[[0.8, 0.1, 0.2], [-0.1, 1.1, -0.3]], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])


def tiny() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3, 2, 1))


def localiser() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 6))


def images(count: int = 2) -> Tensor:
    return torch.rand(count, 3, SIZE[1], SIZE[0], generator=torch.Generator().manual_seed(0))


def test_transforms_their_inverse_and_gradients_equal_rmpe_s() -> None:
    golden = recorded_training("sstn")

    def at(name: str) -> Tensor:
        return torch.from_numpy(golden[name]).double()

    def exchanged(theta: Tensor) -> Tensor:
        return theta[:, [1, 0]][:, :, [1, 0, 2]]  # y before x in the golden

    theta, maps = exchanged(at("theta")).requires_grad_(), at("heatmap").requires_grad_()
    back = sampled(maps, inverted(theta))
    torch.testing.assert_close(exchanged(inverted(theta)), at("gamma"), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(sampled(maps, theta), at("forward_crop"), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(back, at("mapped_back"), rtol=1e-5, atol=1e-5)
    (at("upstream") * back)[1:].sum().backward()  # type: ignore[no-untyped-call]
    assert theta.grad is not None
    assert maps.grad is not None
    torch.testing.assert_close(exchanged(theta.grad)[1:], at("grad_theta")[1:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(maps.grad[1:], at("grad_heatmap")[1:], rtol=1e-4, atol=1e-5)


def test_the_inverse_undoes_a_transform() -> None:
    torch.testing.assert_close(inverted(inverted(THETA)), THETA)
    joints = torch.rand(2, 5, 2) * 40
    there = joints_in_input(joints, THETA, SIZE)
    torch.testing.assert_close(joints_in_input(there, inverted(THETA), SIZE), joints, atol=1e-4, rtol=1e-4)


def test_a_transform_is_the_crop_of_the_affine_module() -> None:
    width, height = SIZE
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 4, y * 3, x + y], axis=2).astype(np.uint8)
    matrix = unbiased_crop_matrices(np.array([[25.0, 30]]), np.array([[30.0, 40]]), SIZE, 10.0)
    back = inverted_matrices(matrix)[0]
    half = (np.array(SIZE) - 1) / 2  # pixels of one unit
    linear = back[:, :2] * half / half[:, None]
    shift = (back[:, :2] @ half + back[:, 2]) / half - 1
    theta = torch.from_numpy(np.concatenate([linear, shift[:, None]], axis=1))[None]
    got = sampled(torch.from_numpy(image).double().permute(2, 0, 1)[None], theta)[0].permute(1, 2, 0).numpy()
    assert np.abs(got - warped(image, matrix[0], SIZE)).max() < 1
    corner = torch.tensor([[[0.0, 0.0]]], dtype=torch.float64)
    np.testing.assert_allclose(joints_in_input(corner, theta, SIZE)[0, 0], back[:, 2], atol=1e-9)


def test_an_untrained_transformer_changes_nothing() -> None:
    network = tiny()
    torch.testing.assert_close(SSTN(network).eval()(images()), network(images()), rtol=1e-4, atol=1e-5)
    twice = SSTN(nn.Sequential(network, Twice()), localiser=localiser()).eval()(images())
    torch.testing.assert_close(twice[1], 2 * network(images()), rtol=1e-4, atol=1e-5)


class Twice(nn.Module):
    def forward(self, maps: Tensor) -> list[Tensor]:
        return [maps, 2 * maps]


def test_the_loss_of_a_fixed_batch_falls_and_the_frozen_branch_stays() -> None:
    torch.manual_seed(0)
    sstn = SSTN(tiny(), frozen=tiny(), localiser=localiser()).train()
    assert sstn.frozen is not None
    assert not sstn.frozen.training
    before = [each.clone() for each in sstn.frozen.parameters()]
    keypoints, visibility = torch.rand(2, 4, 2) * 40 + 4, torch.full((2, 4), 2)
    trained = [each for each in sstn.parameters() if each.requires_grad]
    optimiser = torch.optim.Adam(
        [{"params": sstn.network.parameters(), "lr": 1e-2}, {"params": sstn.localiser.parameters()}]
    )
    losses, with_gradient = [], [False] * len(trained)
    for _ in range(15):
        loss = sstn_objective(sstn(images()), keypoints, visibility, SIZE)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with_gradient = [
            had or (each.grad is not None and bool(each.grad.any()))
            for had, each in zip(with_gradient, trained, strict=True)
        ]
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    assert all(with_gradient)
    assert all(each.grad is None for each in sstn.frozen.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, sstn.frozen.parameters(), strict=True))
    assert isinstance(sstn.eval()(images()), Tensor)  # the branch is of training alone


def test_the_frozen_branch_is_compared_with_joints_in_the_middle() -> None:
    keypoints = torch.tensor([[[10.0, 10], [20, 30], [torch.nan, torch.nan]]]).repeat(2, 1, 1)
    visibility = torch.tensor([[2, 2, 0], [0, 0, 0]])
    moved = in_the_middle(keypoints, visibility, (41, 61))
    torch.testing.assert_close(moved[0, :2], torch.tensor([[15.0, 20], [25, 40]]))
    assert moved.isfinite().all()
