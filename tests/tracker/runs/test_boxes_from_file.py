"""Runs whose detector is a file of boxes: strides, resumed runs and changed files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from posetrail.errors import InputError
from tests.batch_worlds import data_files
from tests.worlds import PowerCut, TruthEstimator, Walker, World, line, power_cut_after, write_images
from tracker.io.pose_log import read_pose_log
from tracker.runs import networks as run_networks
from tracker.runs.folder import track_to_folder
from tracker.settings import InferenceSettings, NetworkSettings, Settings

WORLD = World((Walker(line((20, 60), (150, 0))), Walker(line((200, 75), (-120, 0)))), num_frames=21, size=(320, 200))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(WORLD, tmp_path_factory.mktemp("worlds") / "clip")


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    path = tmp_path / "det.txt"
    with path.open("w") as file:
        for index in range(WORLD.num_frames):
            for walker in WORLD.walkers:
                x1, y1, x2, y2 = walker.box(index / WORLD.fps)
                file.write(f"{index + 1},-1,{x1 + 1},{y1 + 1},{x2 - x1},{y2 - y1},0.9\n")
    return path


@pytest.fixture(autouse=True)
def true_joints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_networks, "create_estimator", lambda *_, **__: TruthEstimator(WORLD))


def run(images: Path, folder: Path, boxes: Path, *, detect_every: int = 1, **options: object) -> None:
    settings = Settings(
        networks=NetworkSettings(detector=f"boxes:{boxes}", device="cpu", crop_mask=False),
        inference=InferenceSettings(detect_every=detect_every),
    )
    track_to_folder(images, folder, settings, if_exists="continue", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "detected_frames"),
    [
        ({}, range(21)),
        ({"stride": 3}, range(0, 21, 3)),
        ({"start_s": 0.2, "stride": 2}, range(6, 21, 2)),
        ({"detect_every": 4}, range(0, 21, 4)),
        ({"stride": 2, "detect_every": 2}, range(0, 21, 4)),
    ],
)
def test_each_frame_gets_its_own_boxes(
    images: Path, boxes: Path, tmp_path: Path, options: dict[str, object], detected_frames: range
) -> None:
    run(images, tmp_path / "out", boxes, **options)  # type: ignore[arg-type]
    detected = []
    for frame in read_pose_log(tmp_path / "out" / "poses.arrow")[1]:
        poses = frame.poses[~frame.poses.propagated]
        if len(poses):
            detected.append(frame.index)
            true_boxes = np.array([walker.box(frame.time_s) for walker in WORLD.walkers])
            np.testing.assert_allclose(poses.boxes[poses.boxes[:, 1].argsort()], true_boxes, atol=1e-3)
    assert detected == list(detected_frames)


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"detect_every": 3}])
def test_a_resumed_run_has_the_bytes_of_an_uninterrupted_one(
    images: Path, boxes: Path, tmp_path: Path, options: dict[str, int]
) -> None:
    run(images, tmp_path / "whole", boxes, **options)
    with pytest.raises(PowerCut):
        run(images, tmp_path / "resumed", boxes, on_frame=power_cut_after(9), **options)
    run(images, tmp_path / "resumed", boxes, **options)
    assert data_files(tmp_path / "resumed") == data_files(tmp_path / "whole")


def test_a_moved_file_is_resumed_and_a_changed_one_is_refused(images: Path, boxes: Path, tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        run(images, tmp_path / "out", boxes, on_frame=power_cut_after(9))
    moved = boxes.rename(tmp_path / "moved.txt")
    run(images, tmp_path / "out", moved)
    moved.write_text(moved.read_text().replace(",0.9", ",0.8"))
    with pytest.raises(InputError, match=r"made with other settings .*weights of boxes was"):
        run(images, tmp_path / "out", moved)
