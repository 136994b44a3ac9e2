"""Ground truth from files of Human3.6M and HumanEva: shapes, units, joints, and files that are refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from eval_posetrack.evaluation_3d import evaluate_3d
from eval_posetrack.formats.mocap_3d import H36M_KEPT
from eval_posetrack.formats.poses_3d import read_poses_3d
from posetrail.errors import InputError
from posetrail.skeletons import H36M_17, HUMANEVA_15

T = 6


def body(joints: int, seed: int = 0) -> np.ndarray:
    """(6, K, 3) metres."""
    return np.array([0, 0, 5]) + np.random.default_rng(seed).uniform(-0.9, 0.9, (T, joints, 3))


def mat(path: Path, **variables: np.ndarray) -> Path:
    savemat(path, variables)
    return path


def cell(value: np.ndarray) -> np.ndarray:
    out = np.empty((1, 1), object)
    out[0, 0] = value
    return out


def test_the_layouts_of_human36m_give_the_same_joints(tmp_path: Path) -> None:
    joints = body(32)
    flat = 1000 * joints.reshape(T, 96)
    files = [
        mat(tmp_path / "cell.mat", data=cell(flat)),
        mat(tmp_path / "plain.mat", data=flat),
        mat(tmp_path / "by_joint.mat", data=1000 * joints),
        mat(tmp_path / "metres.mat", data=joints),
        mat(tmp_path / "kept.mat", data=1000 * joints[:, H36M_KEPT]),
        tmp_path / "archive.h5",
    ]
    with h5py.File(files[-1], "w") as file:
        file["3D_positions"] = flat.T
    for file in files:
        poses = read_poses_3d(file)
        assert poses.joints == H36M_17.joints
        assert poses.frames.tolist() == list(range(T))
        assert set(poses.track_ids.tolist()) == {1}
        np.testing.assert_allclose(poses.keypoints, joints[:, H36M_KEPT], atol=1e-9)


def test_the_kept_joints_are_the_named_ones() -> None:
    """Those that remain without 4, 5, 9, 10, 11, 16, 20 to 24 and 28 to 31."""
    left_out = {4, 5, 9, 10, 11, 16, *range(20, 25), *range(28, 32)}
    assert [k for k in range(32) if k not in left_out] == list(H36M_KEPT)
    assert H36M_KEPT[H36M_17.index("left_knee")] == 7
    assert H36M_KEPT[H36M_17.index("right_wrist")] == 27


def test_humaneva_has_15_joints_and_frames_without_a_person(tmp_path: Path) -> None:
    joints = 1000 * body(15)
    joints[1], joints[4] = 0, np.nan
    poses = read_poses_3d(mat(tmp_path / "Walking_1_(C1).mat", poses_3d=joints))
    assert poses.joints == HUMANEVA_15.joints
    assert poses.frames.tolist() == [0, 2, 3, 5]
    np.testing.assert_allclose(poses.keypoints[1], joints[2] / 1000)


def test_predictions_are_scored_against_human36m(tmp_path: Path) -> None:
    joints = body(32)
    truth = mat(tmp_path / "Directions.mat", data=cell(1000 * joints.reshape(T, 96)))
    off = joints[:, H36M_KEPT].copy()
    off[:, H36M_17.index("left_wrist"), 0] += 0.17
    np.savez(
        tmp_path / "run.npz", frame=np.arange(T), track_id=np.full(T, 7), keypoints=off, joints=np.array(H36M_17.joints)
    )
    total = evaluate_3d(truth, tmp_path / "run.npz").total
    assert total.frames == T
    assert total.mpjpe_mm == pytest.approx(170 / 17)


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.mat").write_text("no")
    (tmp_path / "text.h5").write_text("no")
    for path, message in (
        (mat(tmp_path / "a.mat", other=np.zeros(3)), "expected a variable data, 3D_positions, poses_3d, got none"),
        (mat(tmp_path / "b.mat", data=np.ones((T, 7))), "got the shape"),
        (mat(tmp_path / "c.mat", data="abc"), "expected numbers"),
        (mat(tmp_path / "d.mat", poses_3d=np.zeros((T, 15, 3))), "expected frames with a person, got none in 6"),
        (tmp_path / "text.mat", "cannot be read"),
        (tmp_path / "text.h5", "cannot be read"),
        (tmp_path / "gone.mat", "cannot be read"),
        (tmp_path / "x.cdf", ".cdf files are not read"),
    ):
        with pytest.raises(InputError, match=message) as refused:
            read_poses_3d(path)
        assert "\n" not in str(refused.value)
