"""`posetrail eval3d`: pairs of people, joints by name, and figures of tracks whose errors are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval_posetrack.evaluation_3d import evaluate_3d
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, H36M_17
from tests.command_line import succeeds

FRAMES = 12


def moving(seed: int, joints: int = 17) -> np.ndarray:
    """(12, K, 3) metres: a pose that moves evenly."""
    random = np.random.default_rng(seed)
    pose, step = random.normal(scale=0.4, size=(joints, 3)), random.normal(scale=0.02, size=(joints, 3))
    return pose + np.arange(FRAMES)[:, None, None] * step + [0, 0, 5]


def write(path: Path, people: dict[int, np.ndarray], joints: tuple[str, ...] = H36M_17.joints) -> Path:
    """People by track id as .csv or .npz; frames that are NaN have no row."""
    rows = [(f, i, pose[f]) for f in range(FRAMES) for i, pose in people.items() if np.isfinite(pose[f]).any()]
    if path.suffix == ".npz":
        frames, ids, keypoints = (np.array(column) for column in zip(*rows, strict=True))
        np.savez(path, frame=frames, track_id=ids, keypoints=keypoints, joints=np.array(joints))
        return path
    lines = ["frame,time_s,track_id,joint,x,y,z,score"]
    for frame, track_id, pose in rows:
        for name, (x, y, z) in zip(joints, pose, strict=True):
            lines.append(f"{frame},{frame / 30:.6f},{track_id},{name},{x},{y},{z},0.9")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_ground_truth_scored_against_itself_has_no_error(tmp_path: Path, suffix: str) -> None:
    file = write(tmp_path / f"truth{suffix}", {1: moving(0), 4: moving(1)})
    report = evaluate_3d(file, file)
    assert report.total.mpjpe_mm == pytest.approx(0, abs=1e-6)
    assert report.total.frames == report.total.ground_truth_frames == 2 * FRAMES
    assert report.joints == H36M_17.joints


def test_people_are_paired_by_least_error_and_the_place_of_the_root_does_not_count(tmp_path: Path) -> None:
    a, b = moving(0), moving(1)
    far = a + np.array([3, 0, 1])
    far[:, 5] += [0, 0.034, 0]
    truth = write(tmp_path / "truth.csv", {1: a, 2: b})
    report = evaluate_3d(truth, write(tmp_path / "found.npz", {1: b, 2: far, 9: moving(2)}))
    assert [(each.person, each.predicted) for each in report.people] == [("1", "2"), ("2", "1")]
    assert report.people[0].mpjpe_mm == pytest.approx(34 / 17)
    assert report.people[0].mpjve_mm_per_frame == pytest.approx(0, abs=1e-6)
    assert report.total.mpjpe_mm == pytest.approx(34 / 17 / 2)
    assert report.notes == ("1 of 3 predicted people were matched with no person",)
    assert evaluate_3d(truth, tmp_path / "found.npz", match="id").people[1].mpjpe_mm > 100


def test_missing_frames_are_counted_and_left_out(tmp_path: Path) -> None:
    late = moving(0)
    late[:4] = np.nan
    truth = write(tmp_path / "truth.csv", {1: moving(0), 2: moving(1)})
    report = evaluate_3d(truth, write(tmp_path / "found.csv", {1: late}))
    assert (report.people[0].frames, report.people[0].ground_truth_frames) == (8, 12)
    assert report.people[0].mpjpe_mm == pytest.approx(0, abs=1e-6)
    assert report.notes == ("person 2: has no prediction",)
    assert report.total.mpjpe_mm == pytest.approx(0, abs=1e-6)


def test_joints_are_mapped_by_name_and_the_pelvis_is_computed(tmp_path: Path) -> None:
    coco = moving(0)
    truth = np.full((FRAMES, 17, 3), 9.0)
    for name in set(COCO_17.joints) & set(H36M_17.joints):
        truth[:, H36M_17.index(name)] = coco[:, COCO_17.index(name)]
    truth[:, 0] = coco[:, [COCO_17.index("left_hip"), COCO_17.index("right_hip")]].mean(axis=1)
    chosen = [k for k, name in enumerate(H36M_17.joints) if name not in ("spine", "thorax", "head_top")]
    names = tuple(H36M_17.joints[k] for k in chosen)
    report = evaluate_3d(
        write(tmp_path / "truth.csv", {1: truth[:, chosen]}, names),
        write(tmp_path / "found.csv", {1: coco}, COCO_17.joints),
    )
    assert report.joints == names
    assert report.total.mpjpe_mm == pytest.approx(0, abs=1e-3)


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "truth.csv", {1: moving(0)})
    shown = succeeds(capsys, "eval3d", str(file), str(file), "--json", str(tmp_path / "out.json"))
    assert "P-MPJPE" in shown
    assert json.loads((tmp_path / "out.json").read_text())["total"]["mpjpe_mm"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("frame,joint,x,y,z\n", "got no track_id"),
        ("frame,track_id,joint,x,y,z\n0,1,pelvis,a,0,0\n", "could not convert"),
        ("frame,track_id,joint,x,y,z\n0,1,toe_ring,0,0,0\n", "joints"),
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, content: str, message: str) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(content)
    with pytest.raises(InputError, match=message):
        evaluate_3d(write(tmp_path / "truth.csv", {1: moving(0)}), wrong)


def test_a_folder_without_3d_tracks_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="posetrail lift"):
        evaluate_3d(tmp_path, tmp_path)
