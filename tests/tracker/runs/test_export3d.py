"""Files of 3-D tracks, read back."""

from __future__ import annotations

from pathlib import Path

import ezc3d
import numpy as np
import pytest

import posetrail as pt
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, HALPE_26
from tests.command_line import run_command
from tests.corrected_runs import make_run
from tests.tracker.lifting.test_lift import TIMES, walker
from tests.tracker.runs.test_lift import Upright
from tracker.io.motion_files import marker_names
from tracker.lifting.rotations import motion_of, positions_of
from tracker.runs.corrected import CorrectedRun
from tracker.runs.export3d import export_3d
from tracker.runs.lifted import read_lifted


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("export3d") / "run")
    pt.lift(folder, lifter=Upright())
    return folder


def expected(run: Path, track_id: int, frames: int) -> np.ndarray:
    own = read_lifted(run).tracks.of(track_id)
    points = np.full((frames, 17, 3), np.nan)
    points[own.frame_indices - own.frame_indices[0]] = own.keypoints * [1, -1, -1]
    return points


def test_trc_has_a_file_per_person_that_reads_back(run: Path) -> None:
    paths = export_3d(run, "trc")
    assert [path.name for path in paths] == [f"export.person-{i}.trc" for i in (1, 2, 3)]
    lines = paths[0].read_text().split("\n")
    assert lines[0] == "PathFileType\t4\t(X/Y/Z)\texport.person-1.trc"
    values = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    assert (values["NumMarkers"], values["Units"], float(values["DataRate"])) == (
        "17",
        "m",
        pytest.approx(30, rel=0.01),
    )
    assert lines[3].split("\t")[2::3][:17] == list(marker_names(COCO_17))
    rows = [line.split("\t") for line in lines[6:] if line]
    assert [int(row[0]) for row in rows] == list(range(1, int(values["NumFrames"]) + 1))
    numbers = np.array([[float(cell or "nan") for cell in row[2:]] for row in rows]).reshape(len(rows), 17, 3)
    np.testing.assert_allclose(numbers, expected(run, 1, len(rows)), atol=1e-5)


def test_c3d_holds_all_people_with_units_and_rate(run: Path) -> None:
    (path,) = export_3d(run, "c3d")
    file = ezc3d.c3d(str(path))
    point = file["parameters"]["POINT"]
    assert point["UNITS"]["value"] == ["m"]
    assert point["RATE"]["value"][0] == pytest.approx(30, rel=0.01)
    assert point["LABELS"]["value"][:2] == ["P1_Nose", "P1_LEye"]
    points = file["data"]["points"][:3].transpose(2, 1, 0)
    assert points.shape[1] == 3 * 17
    np.testing.assert_allclose(points[:, :17], expected(run, 1, len(points)), atol=1e-4)
    assert np.isnan(points[:, 34:]).any()  # the third person comes late


def test_bvh_moves_bones_of_constant_length_to_the_joints(run: Path) -> None:
    truth = walker(TIMES, -1.0, 1.0, 4.0) * [1, -1, -1]
    from posetrail.skeletons import H36M_17

    motion = motion_of(truth, H36M_17)
    places = positions_of(motion)
    for joint in ("left_knee", "right_ankle", "left_wrist", "head_top", "right_shoulder"):
        error = places[:, motion.names.index(joint)] - truth[:, H36M_17.index(joint)]
        assert np.linalg.norm(error, axis=1).max() < 0.03, joint
    text = export_3d(run, "bvh", persons=[2])[0].read_text()
    assert text.startswith("HIERARCHY\nROOT pelvis\n{\n  OFFSET 0.00000 0.00000 0.00000\n  CHANNELS 6 Xposition")
    header, rows = text.split("Frame Time:")
    values = np.array([row.split() for row in rows.split("\n")[1:] if row], float)
    assert values.shape == (int(header.split("Frames:")[1]), 3 + 3 * (header.count("JOINT") + 1))
    assert np.isfinite(values).all()


def test_bvh_opens_in_bvhio(run: Path) -> None:
    bvhio = pytest.importorskip("bvhio")
    (path,) = export_3d(run, "bvh", persons=[1])
    root = bvhio.readAsHierarchy(str(path))
    root.loadPose(10)
    place = np.array(next(each for each, *_ in root.layout() if each.Name == "left_ankle").PositionWorld) / 100
    own = read_lifted(run).tracks.of(1)
    assert place == pytest.approx(own.keypoints[10, COCO_17.index("left_ankle")] * [1, -1, -1], abs=0.02)


def test_trc_opens_in_opensim(run: Path) -> None:
    opensim = pytest.importorskip("opensim")
    (path, *_) = export_3d(run, "trc", persons=[1])
    table = opensim.TimeSeriesTableVec3(str(path))
    assert list(table.getColumnLabels()) == list(marker_names(COCO_17))


def test_npz_has_names_and_units(run: Path, tmp_path: Path) -> None:
    (path,) = export_3d(run, "npz", output=tmp_path / "all.npz")
    with np.load(path) as file:
        assert file["joints"].tolist() == list(COCO_17.joints)
        assert str(file["units"]) == "m"
        assert file["keypoints"].shape == (len(file["track_id"]), 17, 3)


def test_markers_are_those_of_pose2sim() -> None:
    names = marker_names(HALPE_26)
    for name in ("RHip", "LKnee", "Neck", "Head", "Hip", "LBigToe", "RSmallToe", "LHeel", "Nose"):
        assert name in names


def test_stale_and_unknown_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert "has no 3-D tracks" in run_command(capsys, "export", run, "--to", "trc")[2]
    pt.lift(run, lifter=Upright())
    assert (
        "expected track ids of 1, 2, 3, got 9" in run_command(capsys, "export", run, "--to", "c3d", "--persons", 9)[2]
    )
    with CorrectedRun(run) as opened:
        opened.apply({"op": "remove", "pose": [30, 0], "scope": "here"})
    with pytest.raises(InputError, match="was made from other tracks"):
        export_3d(run, "trc")
    assert not list(run.glob("export*"))
