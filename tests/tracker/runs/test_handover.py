"""Tracks handed over to other systems: each file is read back, by the real reader where it is installed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from posetrail.errors import InputError
from posetrail.skeletons import BODY_25, COCO_17
from tests.command_line import fails, succeeds
from tests.corrected_runs import make_run
from tests.goldens import SHARED
from tracker.io.handover import vibe_geometry
from tracker.io.handover.multiview import LIMBS
from tracker.runs.corrected import CorrectedRun
from tracker.runs.handover import HANDOVER_FORMATS, hand_over
from tracker.tracked_clip import TrackedClip

HIDDEN = (5, 10)  # position and joint that is hidden by hand


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("handover") / "run")
    with CorrectedRun(folder) as opened:
        opened.apply({"op": "name", "pose": [0, 0], "name": "Zoë"})
        opened.apply({"op": "hide", "pose": [5, 0], "joint": COCO_17.joints[10]})
        opened.apply({"op": "move", "pose": [5, 1], "joint": "nose", "xy": [12.5, 34.25]})
    return folder


@pytest.fixture(scope="module")
def clip(run: Path) -> TrackedClip:
    with CorrectedRun(run) as opened:
        return opened.clip


def people(clip: TrackedClip) -> tuple[np.ndarray, list[str]]:
    """(F, P, K, 2) joints and the names of people."""
    ids = np.unique(clip.track_ids)
    keypoints = np.full((len(clip), len(ids), 17, 2), np.nan)
    keypoints[clip.positions, np.searchsorted(ids, clip.track_ids)] = clip.poses.keypoints
    return keypoints, [clip.names.get(i, f"person_{i}") for i in ids.tolist()]


def test_pose2sim_has_a_file_per_frame_with_ids_and_corrections(run: Path, clip: TrackedClip) -> None:
    folder = hand_over(run, "pose2sim")
    files = sorted(folder.glob("*.json"))
    assert folder.name.endswith("json")  # by which Pose2Sim finds it
    assert len(files) == len(clip) == 60
    assert files[5].name == "world_000005_keypoints.json"
    read = json.loads(files[5].read_text())["people"]
    assert [each["person_id"] for each in read] == [[i] for i in sorted(clip.people(5).track_ids.tolist())]
    joints = {each["person_id"][0]: np.reshape(each["pose_keypoints_2d"], (17, 3)) for each in read}
    hidden, moved = clip.people(5).track_ids[:2].tolist()
    assert joints[hidden][10].tolist() == [0, 0, 0]
    assert joints[moved][0, :2].tolist() == [12.5, 34.25]
    reader = pytest.importorskip("Pose2Sim.triangulation", exc_type=ImportError)
    x, _, likelihood = reader.extract_files_frame_f([str(files[5])], list(range(17)), len(read))
    assert np.shape(x) == np.shape(likelihood) == (len(read), 1, 17)


def test_vibe_has_joints_of_staf_and_boxes_without_gaps(run: Path, clip: TrackedClip) -> None:
    folder = hand_over(run, "vibe")
    read = json.loads(sorted((folder / "joints2d").iterdir())[5].read_text())["people"]
    joints = np.reshape(read[0]["pose_keypoints_2d"], (21, 3))
    own = clip.people(5)
    keypoints = own.poses.keypoints[np.argsort(own.track_ids)[0]]
    shoulder = COCO_17.index("left_shoulder"), COCO_17.index("right_shoulder")
    np.testing.assert_allclose(joints[5, :2], keypoints[shoulder[0]], atol=1e-3)
    np.testing.assert_allclose(joints[1, :2], keypoints[list(shoulder)].mean(axis=0), atol=1e-3)  # the "neck"
    with np.load(folder / "boxes.npz", allow_pickle=False) as boxes:
        assert boxes["track_ids"].tolist() == np.unique(clip.track_ids).tolist()
        assert "Zoë" in boxes["names"]
        for track_id in boxes["track_ids"].tolist():
            frames, square = boxes[f"frames_{track_id}"], boxes[f"bbox_{track_id}"]
            assert (np.diff(frames) == 1).all()
            assert square.shape == (len(frames), 4)
            assert (square[:, 2] == square[:, 3]).all()
            assert boxes[f"joints2d_{track_id}"].shape == (len(frames), 21, 3)


def test_multiview_has_the_candidates_of_each_joint_and_their_fields(run: Path, clip: TrackedClip) -> None:
    folder = hand_over(run, "multiview")
    words = iter((folder / "world.txt").read_text().split())
    assert [next(words), next(words)] == ["4", "60"]
    for frame in range(60):
        counts = []
        for joint in BODY_25.joints:
            counts.append(int(next(words)))
            block = np.array([[float(next(words)) for _ in range(counts[-1])] for _ in range(3)])
            if frame == 5 and joint == "left_knee":
                own = clip.people(5)
                x = own.poses.keypoints[np.argsort(own.track_ids), COCO_17.index(joint), 0]
                np.testing.assert_allclose(block[0], x / 639, atol=1e-5)
        for a, b in LIMBS:
            fields = np.array([[float(next(words)) for _ in range(counts[b])] for _ in range(counts[a])])
            assert (np.count_nonzero(fields.reshape(counts[a], counts[b]), axis=1) <= 1).all()
    assert next(words, None) is None
    rows = list(csv.DictReader((folder / "world.times.csv").read_text().splitlines()))
    np.testing.assert_allclose([float(row["time_s"]) for row in rows], clip.times_s, atol=1e-6)


def test_limbs_of_multiview_are_in_the_order_of_the_field_maps() -> None:
    assert LIMBS[:8].tolist() == [[1, 8], [9, 10], [10, 11], [8, 9], [8, 12], [12, 13], [13, 14], [1, 2]]
    assert len(LIMBS) == 26


def test_dlc_has_four_rows_of_headings_and_a_row_per_frame(run: Path, clip: TrackedClip, tmp_path: Path) -> None:
    file = hand_over(run, "dlc", output=tmp_path / "clip.csv")
    rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    assert [row[0] for row in rows[:4]] == ["scorer", "individuals", "bodyparts", "coords"]
    assert {len(row) for row in rows} == {1 + 3 * 17 * 3}
    assert [row[0] for row in rows[4:]] == [str(frame) for frame in range(60)]
    keypoints, names = people(clip)
    assert list(dict.fromkeys(rows[1][1:])) == names
    values = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows[4:]]).reshape(60, 3, 17, 3)
    np.testing.assert_allclose(values[..., :2], keypoints, atol=1e-3)
    poses = pytest.importorskip("movement.io.load_poses").from_dlc_file(file, fps=30)
    assert poses.individuals.values.tolist() == names
    np.testing.assert_allclose(poses.position.values.transpose(0, 3, 2, 1), keypoints, atol=1e-3)


def test_movement_opens_its_file(run: Path, clip: TrackedClip) -> None:
    file = hand_over(run, "movement")
    keypoints, names = people(clip)
    opened = pytest.importorskip("xarray").open_dataset(file, engine="scipy")
    np.testing.assert_allclose(opened.position.values.transpose(0, 3, 2, 1), keypoints, atol=1e-4)
    np.testing.assert_allclose(opened.time.values, clip.times_s)
    assert opened.individuals.values.tolist() == names
    assert opened.interpolated.dtype == bool
    pytest.importorskip("movement.validators.datasets").ValidPosesInputs.validate(opened)


def test_movement_is_netcdf_3_with_names_as_characters(run: Path, clip: TrackedClip) -> None:
    from scipy.io import netcdf_file

    with netcdf_file(hand_over(run, "movement"), mmap=False) as file:
        assert file.ds_type == b"poses"
        assert file.variables["position"].shape == (60, 2, 17, 3)
        names = [b"".join(row).rstrip(b"\0").decode() for row in file.variables["individuals"][:]]
        assert names == people(clip)[1]
        assert file.variables["interpolated"][:].sum() == clip.interpolated.sum() > 0


def test_sleap_opens_its_project(run: Path, clip: TrackedClip) -> None:
    sleap_io = pytest.importorskip("sleap_io")
    labels = sleap_io.load_slp(str(hand_over(run, "sleap")), open_videos=False)
    keypoints, names = people(clip)
    assert [track.name for track in labels.tracks] == names
    assert [node.name for node in labels.skeleton.nodes] == list(COCO_17.joints)
    for labelled in labels.labeled_frames:
        for instance in labelled.instances:
            expected = keypoints[labelled.frame_idx, names.index(instance.track.name)]
            np.testing.assert_allclose(instance.numpy(), expected, atol=1e-4)
    assert sum(len(each.instances) for each in labels.labeled_frames) == len(clip.track_ids)


def test_without_sleap_io_the_error_says_what_to_install(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sleap_io", None)
    with pytest.raises(InputError, match="pip install"):
        hand_over(run, "sleap")


def test_a_folder_is_replaced_only_if_it_is_an_export(run: Path, tmp_path: Path) -> None:
    for _ in range(2):
        hand_over(run, "multiview", output=tmp_path / "out")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="new or empty folder"):
        hand_over(run, "multiview", output=tmp_path / "own")
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["out", "own"]


def test_the_command_prints_the_path(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert succeeds(capsys, "export", run, "--to", "dlc", "-o", tmp_path / "a.csv") == f"{tmp_path / 'a.csv'}\n"
    assert "--ground-truth: expected" in fails(capsys, "export", run, "--to", "dlc", "--ground-truth")
    assert len(HANDOVER_FORMATS) == 6


def test_vibes_geometry_equals_what_was_recorded() -> None:
    path = SHARED / "goldens" / "functions" / "vibe_geometry.npz"
    if not path.is_file():
        pytest.skip("../shared/goldens is not here")
    with np.load(path) as golden:
        boxes, kept = vibe_geometry.boxes_from_joints(golden["keypoints"][..., :2], golden["keypoints"][..., 2])
        assert kept == tuple(golden["first_last"])
        np.testing.assert_allclose(boxes, golden["bbox_params"], rtol=1e-9)
        np.testing.assert_allclose(vibe_geometry.smoothed_boxes(boxes), golden["smoothed_params"], rtol=1e-9)
        matrices = vibe_geometry.rotation_of_6d(golden["rot6d"])
        np.testing.assert_allclose(matrices, golden["rotmat"], atol=1e-6)
        np.testing.assert_allclose(vibe_geometry.axis_angle(matrices), golden["axis_angle"], atol=1e-6)
        cameras = vibe_geometry.camera_of_image(golden["crop_cam"], golden["boxes"], tuple(golden["image_size"]))
        np.testing.assert_allclose(cameras, golden["orig_cam"], rtol=1e-9)


def test_a_box_of_a_gap_lies_between_its_neighbours() -> None:
    keypoints = np.array([[[0.0, 0], [30, 40]], [[0, 0], [0, 0]], [[20, 0], [50, 40]]])
    scores = np.array([[0.9, 0.9], [0.2, 0.1], [0.9, 0.9]])
    boxes, kept = vibe_geometry.boxes_from_joints(keypoints, scores)
    assert kept == (0, 3)
    np.testing.assert_allclose(vibe_geometry.squares(boxes), [[15, 20, 50, 50], [25, 20, 50, 50], [35, 20, 50, 50]])
