"""Ground truth of corrected runs: checked frames alone are labelled, and it scores 100 against itself."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from eval_posetrack.evaluation import evaluate
from eval_posetrack.formats.files import read_clip
from eval_posetrack.metrics.rules import METRICS
from eval_posetrack.readers import READERS
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, POSETRACK_15
from tests.command_line import fails, succeeds
from tests.corrected_runs import WALKERS, make_run
from tests.pose_frames import pose_frames
from tests.truth_networks import truth_networks
from tests.worlds import Walker, World, line, write_images
from tracker.io.importers import read_poses
from tracker.io.video import open_source
from tracker.runs.corrected import CorrectedRun
from tracker.runs.export import EXPORT_FORMATS, export_run, ground_truth_of
from tracker.runs.folder import run_clip
from tracker.runs.follow import associate_again
from tracker.runs.ground_truth import head_boxes
from tracker.settings import AssociationSettings, Settings
from tracker.tracked_clip import rows_of_same_poses
from training.data.image_files import read_image
from training.data.read import read_samples

CHECKED = (12, 40)  # first and last


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of 60 frames with three people, of which 29 are checked; one person has a name, two joints are moved."""
    folder = make_run(tmp_path / "run")
    with CorrectedRun(folder, by="Ada") as opened:
        first, last = CHECKED
        opened.apply({"op": "name", "pose": [first, 0], "name": "player <7>"})
        opened.apply({"op": "move", "pose": [first, 0], "joint": "left_knee", "xy": [101.25, 77.5]})
        opened.apply({"op": "move", "pose": [first, 0], "joint": "right_knee", "xy": [90.5, 78.5]})
        opened.apply({"op": "hide", "pose": [first, 0], "joint": "right_knee"})
        opened.apply({"op": "hide", "pose": [first, 0], "joint": "nose"})
        opened.apply({"op": "checked", "from": first, "to": last})
        associate_again(opened)
    return folder


def with_scores(file: Path, to: Path) -> Path:
    """A COCO file of ground truth as a list of results."""
    people = json.loads(file.read_text())["annotations"]
    to.write_text(json.dumps([{**person, "score": 1.0} for person in people]))
    return to


def test_ground_truth_scores_100_against_itself_in_all_metrics(run: Path) -> None:
    file = export_run(run, "posetrack", ground_truth=True)
    for mode, metrics in (("default", METRICS), ("exact", ("AP", "MOT"))):
        total = evaluate(file, file, mode=mode, metrics=metrics).total
        assert {"AP", "MOTA"} <= set(total)
        for name, score in total.items():
            is_count = name in ("misses", "false_positives", "switches", "fragmentations")
            assert score.total == pytest.approx(0 if is_count else 100), (mode, name)


def test_unsmoothed_tracks_score_100_in_the_checked_frames_only(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", settings=AssociationSettings(smooth="none"))
    with CorrectedRun(folder) as opened:
        opened.apply({"op": "checked", "from": 12, "to": 40})
        frames = [12, 40]
    file = export_run(folder, "posetrack", ground_truth=True)
    assert evaluate(file, folder).total["MOTA"].total == 100
    truth, tracks = read_clip(file), read_clip(folder / "tracks.json")
    assert truth.num_frames == tracks.num_frames
    assert np.flatnonzero(truth.labeled).tolist() == list(range(frames[0], frames[1] + 1))
    assert set(truth.frames.tolist()) == set(range(12, 41))
    tracks = tracks.with_people(truth.labeled[tracks.frames])
    assert truth.track_ids.tolist() == tracks.track_ids.tolist()
    np.testing.assert_allclose(truth.keypoints, tracks.keypoints)


def test_ids_are_those_of_the_run(run: Path) -> None:
    truth, tracks = read_clip(export_run(run, "posetrack", ground_truth=True)), read_clip(run / "tracks.json")
    tracks = tracks.with_people(truth.labeled[tracks.frames])
    assert truth.frames.tolist() == tracks.frames.tolist()
    assert truth.track_ids.tolist() == tracks.track_ids.tolist()
    assert evaluate(export_run(run, "posetrack", ground_truth=True), run, metrics=["IDF1"]).total["IDF1"].total > 99


def test_joints_are_measured_unless_smoothed_ones_are_asked_for(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames = [
        replace(frame, poses=replace(frame.poses, keypoints=frame.poses.keypoints + random.normal(size=(1, 17, 2))))
        for frame in pose_frames(WALKERS)
    ]
    folder = make_run(tmp_path / "run", frames)
    with CorrectedRun(folder) as opened:
        opened.apply({"op": "checked", "from": 0, "to": 59})
        opened.apply({"op": "swap", "a": [30, 0], "b": [30, 1]})
        measured, smoothed = ground_truth_of(opened).clip, ground_truth_of(opened, smoothed=True).clip
        assert smoothed is opened.clip
    assert measured.track_ids.tolist() == smoothed.track_ids.tolist()
    assert measured.pose_rows.tolist() == smoothed.pose_rows.tolist()
    for k in np.flatnonzero(measured.pose_rows >= 0).tolist():
        logged = frames[int(measured.frame_of_pose[k])].poses.keypoints[measured.pose_rows[k]]
        np.testing.assert_array_equal(measured.poses.keypoints[k], logged.astype(np.float32))
    assert np.nanmax(np.abs(measured.poses.keypoints - smoothed.poses.keypoints)) > 0.3
    files = [
        export_run(folder, "csv", ground_truth=True, smoothed=smooth, output=tmp_path / f"{smooth}.csv").read_bytes()
        for smooth in (False, True)
    ]
    assert files[0] != files[1]


def test_corrected_joints_are_where_they_were_put(run: Path) -> None:
    annotations = json.loads(export_run(run, "coco", ground_truth=True).read_text())["annotations"]
    (named,) = [each for each in annotations if each["image_id"] == CHECKED[0] and each.get("name")]
    joints = dict(zip(COCO_17.joints, np.array(named["keypoints"]).reshape(-1, 3).tolist(), strict=True))
    assert joints["left_knee"] == [101.25, 77.5, 2]
    assert joints["right_knee"] == [90.5, 78.5, 1]  # placed, then hidden
    assert joints["nose"] == [0, 0, 0]  # hidden, its place is not known
    assert named["num_keypoints"] == 16
    assert named["name"] == "player <7>"


def test_coco_has_checked_images_alone_and_loads_in_pycocotools(run: Path, tmp_path: Path) -> None:
    file = export_run(run, "coco", ground_truth=True)
    truth = COCO(file)
    assert truth.getImgIds() == list(range(CHECKED[0], CHECKED[1] + 1))
    assert truth.dataset["info"]["contributor"] == "Ada"
    results = truth.loadRes(str(with_scores(file, tmp_path / "results.json")))
    scored = COCOeval(truth, results, "keypoints")
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    assert scored.stats[0] == pytest.approx(1)
    (clip,) = READERS["coco"](file, None, None)
    assert clip.num_frames == CHECKED[1] - CHECKED[0] + 1
    assert clip.times is not None
    assert clip.times[0] == pytest.approx(CHECKED[0] / 30)


def test_csv_has_rows_of_checked_frames_with_names_and_who_checked_them(run: Path) -> None:
    file = export_run(run, "csv", ground_truth=True)
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {int(row["frame"]) for row in rows} == set(range(CHECKED[0], CHECKED[1] + 1))
    assert {row["checked_by"] for row in rows} == {"Ada"}
    assert {row["name"] for row in rows} == {"", "player <7>"}
    assert read_poses(file).header.num_joints == 17


def test_checked_frames_without_people_are_labelled(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    with CorrectedRun(folder) as opened:
        for _ in range(len(opened.clip.people(30))):
            opened.apply({"op": "remove", "pose": [30, 0], "scope": "here"})
        opened.apply({"op": "checked", "from": 30, "to": 31})
    truth = read_clip(export_run(folder, "posetrack", ground_truth=True))
    assert truth.labeled.sum() == 2
    assert set(truth.frames.tolist()) == {31}
    images = json.loads(export_run(folder, "coco", ground_truth=True).read_text())["images"]
    assert [image["id"] for image in images] == [30, 31]
    lines = export_run(folder, "csv", ground_truth=True).read_text().splitlines()
    assert sum(line.startswith("30,1.000000,,,,,,,,") for line in lines) == 1
    read_poses(folder / "ground_truth.csv")


def test_who_corrected_and_when_goes_along(run: Path) -> None:
    info: dict[str, Any] = json.loads(export_run(run, "posetrack", ground_truth=True).read_text())["info"]
    assert info["contributor"] == "Ada"
    assert list(info["names"].values()) == ["player <7>"]
    assert [each["op"] for each in info["corrections"]] == ["name", "move", "move", "hide", "hide"]
    assert info["checked"][0] | {"at": ""} == {"first": CHECKED[0], "last": CHECKED[1], "by": "Ada", "at": ""}
    assert info["date_created"] >= info["corrections"][0]["at"]


@pytest.mark.parametrize("to", EXPORT_FORMATS)
def test_without_a_checked_frame_there_is_no_ground_truth(
    to: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "run")
    assert "expected checked frames to label, got none" in fails(capsys, "export", folder, "--to", to, "--ground-truth")
    assert not list(folder.glob("ground_truth*"))


def test_the_command_writes_ground_truth(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = succeeds(capsys, "export", run, "--to", "posetrack", "--ground-truth", "--smoothed")
    assert shown == f"{run / 'ground_truth.json'}\n"
    assert json.loads((run / "ground_truth.json").read_text())["info"]["smoothed"] is True
    assert "MOTA" in succeeds(capsys, "eval", run / "ground_truth.json", run)


def test_smoothed_needs_ground_truth(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--ground-truth" in fails(capsys, "export", run, "--to", "csv", "--smoothed")


def test_undone_checks_do_not_count(run: Path) -> None:
    with CorrectedRun(run) as opened:
        opened.apply({"op": "undo", "of": opened.revision})
        with pytest.raises(InputError, match="got none"):
            ground_truth_of(opened)


def test_head_boxes_of_people_without_a_head_have_the_size_of_their_other_ones() -> None:
    keypoints = np.full((4, 15, 2), np.nan)
    keypoints[0, POSETRACK_15.index("neck")], keypoints[0, POSETRACK_15.index("head_top")] = (50, 30), (50, 16)
    keypoints[2, POSETRACK_15.index("nose")] = 200, 20
    boxes = np.array([[0, 0, 100, 200], [0, 0, 100, 400], [150, 0, 250, 200], [0, 10, 20, 110]])
    heads = head_boxes(keypoints, np.array([1, 1, 2, 1]), boxes)
    diagonals = np.linalg.norm(heads[:, 2:] - heads[:, :2], axis=1)
    np.testing.assert_allclose(diagonals, [20, 40, 20, 10])  # 14 / 0.7, and in proportion to the body
    np.testing.assert_allclose((heads[:, :2] + heads[:, 2:]) / 2, [[50, 23], [50, 0], [200, 20], [10, 10]])
    assert np.isfinite(head_boxes(np.full((1, 15, 2), np.nan), np.array([1]), boxes[:1])).all()


def test_images_of_labelled_frames_are_written_as_data_to_train_on(tmp_path: Path) -> None:
    world = World((Walker(line((20, 60), (120, 0))),), num_frames=8)
    images = write_images(world, tmp_path / "clip")
    folder = run_clip(open_source(images), tmp_path / "run", truth_networks(world), Settings()).folder
    with CorrectedRun(folder) as opened:
        opened.apply({"op": "checked", "from": 2, "to": 3})
    file = export_run(folder, "coco", ground_truth=True, images=folder / "images")
    names = [each["file_name"] for each in json.loads(file.read_text())["images"]]
    assert sorted(each.name for each in (folder / "images").iterdir()) == names
    assert len(names) == 2
    samples = read_samples(file)
    assert samples.usable.all()
    written, original = read_image(samples.images[0]), read_image(images / names[0])
    assert np.abs(written.astype(int) - original).mean() < 3
    with pytest.raises(InputError, match="expected ground_truth beside it"):
        export_run(folder, "coco", images=folder / "images")


def test_joints_are_measured_where_smoothing_decides_what_is_interpolated(tmp_path: Path) -> None:
    """Poses are interpolated where no other box hides them, and boxes are smoothed with their joints."""
    folder = make_run(tmp_path / "run")
    with CorrectedRun(folder) as opened:
        opened.apply({"op": "checked", "from": 12, "to": 40})
        whole = opened.clip
        last = len(whole.track_ids) - 1
        shorter = replace(
            whole,
            begins=np.minimum(whole.begins, last),
            poses=whole.poses[:last],
            track_ids=whole.track_ids[:last],
            interpolated=whole.interpolated[:last],
            pose_rows=whole.pose_rows[:last],
            edits=whole.edits[:last],
        )
        assert rows_of_same_poses(whole, shorter).tolist() == [*range(last), -1]
        assert rows_of_same_poses(shorter, whole).tolist() == list(range(last))
        opened.clip = shorter
        assert len(opened.measured().track_ids) == last
