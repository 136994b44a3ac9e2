"""Networks that lift 2-D joints to 3-D joints: against recorded outputs, in training, and on few frames."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from estimators import NETWORKS
from estimators.networks.motionagformer import MotionAGFormer
from estimators.networks.motionbert import MotionBERT, MotionBERTMMPose
from estimators.networks.videopose3d import VideoPose3D, VideoPose3DMMPose
from tests.goldens import check_against_golden, joints_over_time

NAMES = [
    *("videopose3d_27", "videopose3d_81", "videopose3d_243", "videopose3d_27_causal", "videopose3d_27_trajectory"),
    *("videopose3d_27_humaneva15", "videopose3d_27_mmpose", "videopose3d_243_mmpose", "videopose3d_1_mmpose"),
    *("simplebaseline3d_mmpose", "motionbert", "motionbert_lite", "motionbert_mmpose", "motionagformer_xs"),
]
SMALL = {
    "authors' keys": lambda: VideoPose3D((3, 3, 3), channels=16),
    "causal": lambda: VideoPose3D((3, 3, 3), channels=16, causal=True),
    "MMPose's keys": lambda: VideoPose3DMMPose((3, 3, 3), channels=16),
    "widths 5 and 3": lambda: VideoPose3D((5, 3), channels=16),
}


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_those_of_the_original_code(name: str) -> None:
    check_against_golden(NETWORKS[name](), name, made_input=joints_over_time)


@pytest.mark.parametrize("kind", SMALL)
def test_strides_give_the_same_pose_as_dilations(kind: str) -> None:
    network = SMALL[kind]().eval()
    frames = network.receptive_field
    sequence = joints_over_time((2, frames + 1, 17, 2))
    with torch.inference_mode():
        by_dilations = network(sequence)
        by_strides = torch.cat((network(sequence[:, :-1]), network(sequence[:, 1:])), dim=1)
    torch.testing.assert_close(by_dilations, by_strides, rtol=1e-5, atol=1e-5)


def test_a_causal_pose_depends_on_earlier_frames_most_and_on_no_later_ones() -> None:
    network = SMALL["causal"]().eval()
    sequence = joints_over_time((1, 40, 17, 2))
    later = sequence.clone()
    later[:, 30:] = 0
    with torch.inference_mode():
        changed = (network(sequence) - network(later)).abs().amax(dim=(0, 2, 3)) > 0
    assert changed.tolist() == [26 + k >= 30 for k in range(14)]


def test_too_few_and_too_many_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 27 frames, got 26"):
        SMALL["causal"]()(torch.zeros(1, 26, 17, 2))
    with pytest.raises(ValueError, match="expected at most 9 frames, got 10"):
        MotionBERT(16, 2, max_frames=9)(torch.zeros(1, 10, 17, 3))


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (VideoPose3D((3, 3), channels=32), (8, 9, 17, 2)),
        (VideoPose3DMMPose((1, 1, 1), channels=32, joints_out=16), (8, 9, 17, 2)),
        (MotionBERT(16, 2, max_frames=9), (4, 9, 17, 3)),
        (MotionBERTMMPose(16, 2, max_frames=9), (4, 9, 17, 3)),
        (MotionAGFormer(2, 16, 9), (4, 9, 17, 3)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_every_parameter_has_a_gradient_and_the_loss_falls(network: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network.train()
    keypoints = joints_over_time(shape)
    with torch.no_grad():
        frames, joints = network(keypoints).shape[1:3]
        start = (shape[1] - frames) // 2
        target = 0.3 + 0.5 * keypoints[:, start : start + frames, :joints, [1, 0, 1]]
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = (network(keypoints) - target).norm(dim=-1).mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    without = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert not without
    assert losses[-1] < 0.95 * losses[0]
