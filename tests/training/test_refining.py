"""Training of refiners: their batches, their loss, and a whole training with a small PoseFix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from estimators.networks.posefix import pose_maps
from estimators.refiner_recipes import REFINERS
from estimators.refiners import create_refiner
from estimators.trained import Training, read_training
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_17
from tests.training.test_loader import figures
from training.augment import NO_AUGMENTATION, Augmentation
from training.data.image_files import read_image
from training.fit import FitSettings, fit
from training.initial import start_from
from training.loader import Crops, collated
from training.losses.posefix import posefix
from training.objectives import make_objective
from training.recipes import RECIPES
from training.refining import FromPoses, refined, refiner_in_training, with_errors_of_validation

NAME = "posefix_r50_256x192"


class Small(nn.Module):
    """Crops and maps of the pose to logits, as PoseFix."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3 + joints, 24, 7, 4, 3)
        self.norm = nn.BatchNorm2d(24)
        self.out = nn.Conv2d(24, joints, 5, padding=2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(F.relu(self.norm(self.conv1(inputs))))


QUICK = FitSettings(recipe=NAME, epochs=2.0, batch_size=2, input_height=128, workers=0, lr=1e-3, device="cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network under the name of PoseFix."""
    monkeypatch.setitem(REFINERS, NAME, replace(REFINERS[NAME], make=Small))


def test_the_loss_is_cross_entropy_and_absolute_error_of_cells() -> None:
    torch.manual_seed(0)
    logits, cells = torch.randn(2, 3, 6, 5), torch.tensor([3.0, 2.0]).expand(2, 3, 2)
    weights = torch.tensor([[1.0, 0, 1], [1, 1, 0]])
    entropy = F.cross_entropy(logits.flatten(2).reshape(6, 30), torch.full((6,), 2 * 5 + 3), reduction="none")
    shares = logits.flatten(2).softmax(2).reshape(6, 6, 5)
    x, y = (shares.sum(1) * torch.arange(5)).sum(1), (shares.sum(2) * torch.arange(6)).sum(1)
    error = ((x - 3).abs() + (y - 2).abs()) / 2
    expected = ((entropy + error) * weights.flatten()).sum() / 4
    torch.testing.assert_close(posefix(logits, cells, weights), expected)


def test_a_place_between_cells_is_shared_by_four_and_joints_outside_do_not_count() -> None:
    target = torch.full((1, 1, 4, 4), -30.0)
    target[0, 0, 1:3, 1:3] = torch.tensor([[0.75 * 0.5, 0.25 * 0.5], [0.75 * 0.5, 0.25 * 0.5]]).log()
    place = torch.tensor([[[1.25, 1.5]]])
    least = posefix(target, place, torch.ones(1, 1))
    assert least < posefix(target + 0.3 * torch.randn_like(target), place, torch.ones(1, 1))
    both = torch.cat([place, torch.tensor([[[4.0, 1.0]]])], dim=1)
    torch.testing.assert_close(posefix(target.expand(1, 2, 4, 4), both, torch.ones(1, 2)), least)


def test_batches_have_poses_with_errors_that_move_with_the_crop(tmp_path: Path) -> None:
    samples = figures(tmp_path)
    crops = Crops(samples, (96, 128), Augmentation(), seed=1, with_errors=True)
    batch = collated([crops[0, row] for row in range(6)])
    assert batch.poses is not None
    assert [each.shape for each in batch.inputs] == [(6, 128, 96, 3), (6, 17, 2)]
    labelled = batch.visibility > 0
    assert (batch.poses.isfinite().all(-1) == labelled).all()
    apart = (batch.poses - batch.keypoints).norm(dim=-1)[labelled]
    assert 0.5 < float(apart.median()) < 12
    again = collated([crops[0, row] for row in range(6)])
    assert again.poses is not None
    torch.testing.assert_close(again.poses, batch.poses, rtol=0, atol=0, equal_nan=True)
    other = collated([crops[1, row] for row in range(6)])
    assert other.poses is not None
    assert not torch.equal(other.poses, batch.poses)


def test_the_loss_of_a_fixed_batch_falls_in_twenty_steps(tmp_path: Path) -> None:
    crops = Crops(figures(tmp_path), (64, 96), NO_AUGMENTATION, with_errors=True)
    batch = collated([crops[0, row] for row in range(4)])
    torch.manual_seed(0)
    training = Training(network=NAME, skeleton=COCO_17, input_size=(64, 96))
    network = FromPoses(training.make(), training.refiner).train()
    objective = make_objective(RECIPES[NAME], network.network, (64, 96))
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    losses = []
    for _ in range(20):
        loss = objective(network(*batch.inputs), batch.keypoints, batch.visibility)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.9 * losses[0]
    assert all(value.grad is not None for value in network.parameters())


def test_inputs_in_training_and_in_inference_are_the_same(tmp_path: Path) -> None:
    samples = figures(tmp_path)
    training = Training(network=NAME, skeleton=COCO_17, input_size=(96, 128))
    recipe = training.refiner
    assert recipe.sigma_px == 3.5
    crops, poses = torch.zeros(1, 128, 96, 3, dtype=torch.uint8), torch.rand(1, 17, 2) * 90
    seen: list[torch.Tensor] = []

    class Seeing(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            seen.append(inputs)
            return inputs[:, 3:, ::4, ::4]

    FromPoses(Seeing(), recipe)(crops, poses)
    assert np.allclose(seen[0][:, :3].numpy(), recipe.preprocessing(crops.numpy()))
    torch.testing.assert_close(seen[0][:, 3:], pose_maps(poses, (96, 128), 3.5))
    assert len(samples) == 6


def test_a_training_gives_weights_that_a_refiner_loads(tmp_path: Path) -> None:
    samples = figures(tmp_path, 8)
    fitted = fit(samples, tmp_path / "out", QUICK)
    assert fitted.trained.ended == "complete"
    training = read_training(fitted.weights)
    assert training is not None
    assert (training.network, training.input_size) == (NAME, (96, 128))
    with pytest.raises(InputError, match="got those of the refiner posefix"):
        _ = training.recipe
    frame = Frame(0, 0.0, "", read_image(samples.images[0]))
    poses = Poses(samples.keypoints[:1], np.ones((1, 17)), samples.boxes[:1], np.ones(1), np.zeros(1))
    with Runtime("cpu", 1) as runtime:
        refiner = create_refiner(NAME, runtime=runtime, weights=fitted.weights)
        [loaded] = refiner([frame], [poses], COCO_17)
        with pytest.raises(InputError, match="got weights for posefix_r50"):
            create_refiner("posefix_r152_384x288", runtime=runtime, weights=fitted.weights)
    network = training.make()
    from safetensors.torch import load_file

    network.load_state_dict(load_file(fitted.weights))
    here = refiner_in_training(FromPoses(network, training.refiner).eval(), training.refiner)
    wrong = samples[:1].keypoints.astype(float)
    np.testing.assert_allclose(refined(here, samples[:1], wrong).keypoints, loaded.keypoints, atol=1e-2)


def test_weights_for_other_joints_keep_the_channels_of_the_image_and_of_shared_joints() -> None:
    before = Training(network=NAME, skeleton=COCO_17, input_size=(96, 128))
    swapped = replace(
        COCO_17,
        joints=(COCO_17.joints[4], *COCO_17.joints[1:4], COCO_17.joints[0], *COCO_17.joints[5:]),
        mirror_pairs=(),
    )
    after = replace(before, skeleton=swapped)
    source, network = before.make(), after.make()
    start_from(network, source.state_dict(), before, after)
    old, new = (each.state_dict()["conv1.weight"] for each in (source, network))
    assert torch.equal(new[:, :3], old[:, :3])
    assert torch.equal(new[:, 3], old[:, 7])
    assert torch.equal(new[:, 8:], old[:, 8:])


def test_errors_of_validation_depend_on_the_seed_alone(tmp_path: Path) -> None:
    samples = figures(tmp_path)
    first, again, other = (with_errors_of_validation(samples, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again, equal_nan=True)
    assert not np.array_equal(first, other, equal_nan=True)
