"""Trains a small VideoPose3D on projections of motion capture and compares it with the mean pose.

    uv run python -m benchmarks.lifting ../shared/data/mocap/humanoid15.npz

It shows that network and loss work together. It says nothing about published weights: 15 motions of one character
are no training set. Motions are (T, 15, 3) metres, y up, one array per name; every fourth is for testing. Cameras
stand 3 to 6 m away at any azimuth, elevated by up to 20 degrees, with the focal length of those of Human3.6M.
Trained as VideoPose3D is: mean joint error relative to the root, Adam with amsgrad, a learning rate of 1e-3 that
falls by 5 % per epoch, and dropout of 0.25.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from estimators.lifter_windows import cut
from estimators.networks.videopose3d import VideoPose3D

_FOCAL = 2.3  # in halves of the width of the image, as Human3.6M's cameras
_FRAMES = 27
_HIPS = (2, 3)  # right and left: the root is their middle


def seen_by_a_camera(motion: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Normalised 2-D joints (T, K, 2) of a motion (T, K, 3), and its 3-D joints in the camera, relative to the root."""
    azimuth, elevation = random.uniform(0, 2 * np.pi), np.radians(random.uniform(0, 20))
    turn = np.array([[np.cos(azimuth), 0, np.sin(azimuth)], [0, 1, 0], [-np.sin(azimuth), 0, np.cos(azimuth)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(elevation), -np.sin(elevation)], [0, np.sin(elevation), np.cos(elevation)]])
    centred = motion - motion.mean(axis=(0, 1))
    in_camera = centred @ turn.T @ tilt.T * [1, -1, -1] + [0, 0, random.uniform(3, 6)]
    in_camera[..., 2] = np.maximum(in_camera[..., 2], 1)
    root = in_camera[:, _HIPS].mean(axis=1, keepdims=True)
    return _FOCAL * in_camera[..., :2] / in_camera[..., 2:], in_camera - root


def windows_of(motions: Sequence[np.ndarray], cameras: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """2-D joints (N, 27, K, 2) around each frame and its 3-D joints (N, K, 3)."""
    random = np.random.default_rng(seed)
    inputs, targets = [], []
    for motion in motions:
        [window] = cut(len(motion), _FRAMES, "valid")
        around = np.stack([window.frames[t : t + _FRAMES] for t in range(len(motion))])
        for _ in range(cameras):
            joints, target = seen_by_a_camera(motion.astype(float), random)
            inputs.append(joints[around])
            targets.append(target)
    return (
        torch.from_numpy(np.concatenate(inputs).astype(np.float32)),
        torch.from_numpy(np.concatenate(targets).astype(np.float32)),
    )


def compare(
    motions: Mapping[str, np.ndarray], *, channels: int = 128, epochs: int = 30, cameras: int = 8
) -> dict[str, float]:
    """Mean joint errors in millimetres on motions that were not trained on: of the network, and of the mean pose."""
    names = sorted(motions)
    test = names[3::4]  # every fourth: of 20, five
    train = [motions[name] for name in names if name not in test]
    inputs, targets = windows_of(train, cameras, seed=0)
    test_inputs, test_targets = windows_of([motions[name] for name in test], 4, seed=1)
    torch.manual_seed(0)
    joints = inputs.shape[2]
    network = VideoPose3D((3, 3, 3), joints=joints, joints_out=joints, channels=channels)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, amsgrad=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
    for _ in range(epochs):
        network.train()
        for rows in torch.randperm(len(inputs)).split(256):
            optimizer.zero_grad()
            _error(network(inputs[rows])[:, 0], targets[rows]).backward()
            optimizer.step()
        schedule.step()
    network.eval()
    with torch.inference_mode():
        lifted = torch.cat([network(part)[:, 0] for part in test_inputs.split(1024)])
    return {
        "network": 1000 * float(_error(lifted, test_targets)),
        "mean pose": 1000 * float(_error(targets.mean(dim=0), test_targets)),
    }


def _error(lifted: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (lifted - targets).norm(dim=-1).mean()


def main() -> None:
    """Print both errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motions", type=Path)
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    with np.load(arguments.motions) as arrays:
        motions = {name: arrays[name] for name in arrays.files if "__" not in name}
    for name, error in compare(motions, epochs=arguments.epochs).items():
        print(f"{name}: {error:.0f} mm")


if __name__ == "__main__":
    main()
