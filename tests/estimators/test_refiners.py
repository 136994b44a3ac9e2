"""Refiners: PoseFix against recorded outputs, and what must hold of any refiner."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from estimators import NETWORKS
from estimators.networks.posefix import PoseFix, expected_cells, pose_maps
from estimators.refiners import REFINERS, PoseRefiner, RefinerRecipe, create_refiner, refine_by
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_17, MPII_16
from tests.functions import recorded
from tests.goldens import check_against_golden, golden_folder, joints_over_time

RECIPE = RefinerRecipe(make=lambda **_: Brightest(), input_size=(96, 128), sigma_px=4.0)


class Brightest(nn.Module):
    """Each joint moves to the pixels that are bright in the crop and near to where it was."""

    def __init__(self) -> None:
        super().__init__()
        self.least = nn.Parameter(torch.tensor(1e-9))

    def forward(self, inputs: Tensor) -> Tensor:
        bright = (inputs[:, :1] > 100).float() * inputs[:, 3:] / 255
        return torch.log(nn.functional.avg_pool2d(bright, 5, 4, 2) + self.least)


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(device="cpu", threads=1) as made:
        yield made


@pytest.fixture(scope="module")
def refiner(runtime: Runtime) -> PoseRefiner:
    return PoseRefiner(refine_by(Brightest(), RECIPE, runtime), RECIPE)


def dots(seed: int = 0, people: int = 2) -> tuple[Frame, np.ndarray]:
    """A frame with a bright square at each joint, 25 pixels apart, and the joints (N, 17, 2)."""
    image = np.zeros((300, 600, 3), np.uint8)
    x, y = np.meshgrid(np.arange(5) * 25.0, np.arange(4) * 50.0)
    grid = np.stack([x.ravel(), y.ravel()], axis=1)[:17]
    joints = np.stack([grid + np.array([60 + 300 * n, 60]) for n in range(people)])
    for x, y in joints.reshape(-1, 2).astype(int):
        image[y - 3 : y + 4, x - 3 : x + 4] = 255
    return Frame(seed, 0.0, "dots", image), joints


def poses_of(keypoints: np.ndarray) -> Poses:
    N = len(keypoints)
    scores = np.where(np.isfinite(keypoints).all(axis=2), 0.6, 0.0)
    return Poses(keypoints, scores, np.tile([0.0, 0, 600, 300], (N, 1)), np.full(N, 0.9), np.zeros(N))


def test_posefix_has_the_outputs_of_the_original_code() -> None:
    check_against_golden(NETWORKS["posefix_r50_256x192"](), "posefix_r50_256x192", made_input=joints_over_time)


def test_the_large_posefix_has_the_published_keys() -> None:
    manifest = json.loads((golden_folder("posefix_r152_384x288") / "manifest.json").read_text())
    with torch.device("meta"):
        state = NETWORKS["posefix_r152_384x288"]().state_dict()
    assert [(key, list(value.shape)) for key, value in state.items()] == [
        (key, shape[0]) for key, shape in manifest["keys"].items()
    ]


def test_input_maps_and_joints_are_those_of_the_original_code() -> None:
    golden = recorded("posefix")
    pose = torch.from_numpy(golden["pose"]).clone()
    pose[golden["valid"] == 0] = torch.nan
    maps = pose_maps(pose, (192, 256), 7.0)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(maps[::8, ::8], golden["gauss_every8"][0], atol=1e-3)
    np.testing.assert_allclose(maps.sum(axis=(0, 1), dtype=float), golden["gauss_sum"][0], rtol=1e-5, atol=1e-6)
    cells = expected_cells(torch.from_numpy(golden["logits"]).permute(0, 3, 1, 2))
    np.testing.assert_allclose(4 * cells.numpy(), golden["coords"], atol=2e-3)


def test_every_parameter_of_a_small_posefix_has_a_gradient() -> None:
    torch.manual_seed(0)
    network = PoseFix(50, joints=5, width=0.125).train()
    expected_cells(network(torch.randn(2, 8, 64, 64))).square().mean().backward()  # type: ignore[no-untyped-call]
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_joints_move_to_what_the_image_shows(refiner: PoseRefiner) -> None:
    frame, joints = dots()
    wrong = joints + np.random.default_rng(0).uniform(-5, 5, joints.shape)
    [poses] = refiner([frame], [poses_of(wrong)], COCO_17)
    assert np.linalg.norm(poses.keypoints - joints, axis=2).mean() < 0.5 * np.linalg.norm(wrong - joints, axis=2).mean()
    before = poses_of(wrong)
    for field in ("keypoint_scores", "boxes", "scores", "propagated"):
        assert np.array_equal(getattr(poses, field), getattr(before, field))


def test_the_answer_for_a_person_depends_on_no_other_and_on_no_other_frame(refiner: PoseRefiner) -> None:
    (first, joints), (second, _) = dots(0), dots(1)
    poses = poses_of(joints + 3)
    together = refiner([first, second], [poses, poses[[1]]], COCO_17)
    [alone] = refiner([first], [poses[[1]]], COCO_17)
    assert np.array_equal(together[0].keypoints[1], alone.keypoints[0])
    assert np.array_equal(together[1].keypoints, alone.keypoints)
    assert refiner([], [], COCO_17) == []
    assert len(refiner([first], [poses[[]]], COCO_17)[0]) == 0


def test_missing_joints_stay_missing_and_people_with_one_joint_stay_as_they_are(refiner: PoseRefiner) -> None:
    frame, joints = dots()
    joints = joints + 3
    joints[0, [2, 5]] = np.nan
    joints[1, 1:] = np.nan
    [poses] = refiner([frame], [poses_of(joints)], COCO_17)
    assert np.isnan(poses.keypoints[0, [2, 5]]).all()
    assert np.isfinite(poses.keypoints[0]).sum() == 15 * 2
    assert np.array_equal(poses.keypoints[1], joints[1].astype(np.float32), equal_nan=True)


def test_poses_of_another_skeleton_are_refined_in_the_joints_that_both_have(refiner: PoseRefiner) -> None:
    frame, joints = dots()
    [poses] = refiner([frame], [poses_of(joints[:, :16] + 3)], MPII_16)
    moved = np.abs(poses.keypoints - (joints[:, :16] + 3)).max(axis=(0, 2)) > 0.1
    shared = [joint in COCO_17.joints for joint in MPII_16.joints]
    assert moved.tolist() == shared


def test_a_flip_test_of_a_symmetric_refiner_changes_little(refiner: PoseRefiner) -> None:
    frame, joints = dots()
    both = PoseRefiner(refiner._refine, RECIPE, flip_test=True)
    [plain], [flipped] = (each([frame], [poses_of(joints + 3)], COCO_17) for each in (refiner, both))
    assert np.abs(plain.keypoints - flipped.keypoints).max() < 1.5


def test_names_and_weights_are_checked(runtime: Runtime) -> None:
    assert set(REFINERS) <= set(NETWORKS)
    with pytest.raises(InputError, match="unknown refiner 'posefix'"):
        create_refiner("posefix", runtime=runtime)
    with pytest.raises(InputError, match="posefix_r50_256x192"):
        create_refiner("posefix_r50_256x192", runtime=runtime)
