"""A PoseTrack split in, a folder of predictions out that the official kit would take."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from eval_posetrack.evaluation import evaluate
from eval_posetrack.formats.files import Clip, read_clip, write_clip
from posetrail.errors import InputError
from posetrail.poses import Detections
from posetrail.skeletons import coco_to_posetrack
from tests.batch_worlds import WORLD, in_this_process, task
from tests.command_line import fails
from tests.worlds import TruthDetector, TruthEstimator
from tracker.batch.batch import run_batch
from tracker.batch.clip import Task, track_listed_clip
from tracker.batch.clip_list import ListedClip
from tracker.batch.posetrack_set import (
    annotations_of,
    check_submission,
    listed_sequences,
    sequences,
    with_joints_from,
    write_submissions,
)
from tracker.batch.table import Row
from tracker.cli.batch import submit
from tracker.cli.printing import Printer
from tracker.inference.propagation import create_flow
from tracker.runs.networks import Networks
from tracker.settings import PRESETS

NAMES = ("000342_mpii_test", "012834_mpii_test")
FRAMES = 10

follow = partial(run_batch, progress="none", run_clips=in_this_process)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sequences in the data set's layout; the annotation leaves out a frame that the folder has."""
    for name in NAMES:
        images = tmp_path / "images" / "val" / name
        images.mkdir(parents=True)
        for index in range(FRAMES + 1):
            cv2.imwrite(str(images / f"{index:06d}.png"), WORLD.frame(index).image[:, :, ::-1])
        (tmp_path / "annotations" / "val").mkdir(parents=True, exist_ok=True)
        write_clip(truth_of(name), tmp_path / "annotations" / "val" / f"{name}.json")
    return tmp_path


def truth_of(name: str) -> Clip:
    joints = np.stack([w.keypoints(f / WORLD.fps) for f in range(FRAMES) for w in WORLD.walkers])
    keypoints, _ = coco_to_posetrack(joints, np.ones(joints.shape[:2]))
    heads = np.stack([w.box(f / WORLD.fps) for f in range(FRAMES) for w in WORLD.walkers])
    heads[:, 3] = heads[:, 1] + 20
    return Clip(
        name=name,
        image_names=tuple(f"images/val/{name}/{index:06d}.png" for index in range(FRAMES)),
        frames=np.arange(FRAMES).repeat(2),
        track_ids=np.tile([0, 1], FRAMES),
        scores=np.full(2 * FRAMES, np.nan),
        keypoints=keypoints,
        keypoint_scores=np.full(keypoints.shape[:2], np.nan),
        boxes=np.full((2 * FRAMES, 4), np.nan),
        head_boxes=heads,
        ignore_regions=((),) * FRAMES,
        labeled=np.ones(FRAMES, bool),
    )


def test_a_split_becomes_a_submission_that_scores_itself(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, out = sequences(root, "val"), root / "out"
    follow(listed_sequences(root, truth), task(out))
    assert submit(out, annotations_of(root, "val"), truth, Printer())
    printed = capsys.readouterr()
    assert "submission.zip: 2 sequences, all joints, for AP" in printed.out
    assert "submission_mota.zip: 2 sequences, joints from score 0.3 on, for MOTA" in printed.out
    assert printed.err == ""
    with zipfile.ZipFile(out / "submission.zip") as packed:
        assert packed.namelist() == [f"{name}.json" for name in NAMES]
        content = json.loads(packed.read(f"{NAMES[1]}.json"))
    assert [image["file_name"] for image in content["images"]] == list(truth[NAMES[1]].image_names)
    assert content["images"][3]["id"] == 10128340003
    assert content["categories"][0]["keypoints"][:3] == ["nose", "head_bottom", "head_top"]
    assert len(content["categories"][0]["keypoints"]) == 17

    for name in ("submission", "submission_mota", "submission.zip", "submission_mota.zip"):
        assert evaluate(annotations_of(root, "val"), out / name).total["MOTA"].total > 90


def test_an_unreadable_frame_has_no_people_and_is_reported(root: Path) -> None:
    (root / "images" / "val" / NAMES[0] / "000004.png").write_bytes(b"torn")
    truth, out = sequences(root, "val"), root / "out"
    table = follow(listed_sequences(root, truth), task(out))
    assert [table.rows[name].status for name in NAMES] == ["damaged", "complete"]
    (complaint,) = write_submissions(out, truth)
    assert complaint.endswith(
        f"{NAMES[0]}.json: frame images/val/{NAMES[0]}/000004.png: was not tracked, has no people"
    )
    for folder in ("submission", "submission_mota"):
        found = read_clip(out / folder / f"{NAMES[0]}.json")
        assert found.image_names == truth[NAMES[0]].image_names
        assert 4 not in found.frames
        assert 5 in found.frames


def scored(name: str, scores: list[list[float]], **fields: object) -> Clip:
    """The annotated people as a prediction: for each row of `scores` a person, whose last joints have these scores."""
    clip = truth_of(name).with_people(np.arange(2 * FRAMES) < len(scores))
    joint_scores = np.full(clip.keypoints.shape[:2], np.nan)
    for row, each in enumerate(scores):
        joint_scores[row, -len(each) :] = each
    keypoints = np.where(np.isnan(joint_scores)[:, :, None], np.nan, clip.keypoints)
    people = np.full(len(clip), 0.5)
    return replace(clip, keypoints=keypoints, keypoint_scores=joint_scores, scores=people, **fields)  # type: ignore[arg-type]


def joints_of(path: Path) -> list[tuple[int, int, list[float]]]:
    """Frame, id and scores of the joints of every person in a file."""
    clip = read_clip(path)
    scores = [each[np.isfinite(each)].tolist() for each in clip.keypoint_scores]
    return list(zip(clip.frames.tolist(), clip.track_ids.tolist(), scores, strict=True))


def test_the_submission_for_mota_has_the_joints_from_a_score_on(root: Path) -> None:
    truth, out = sequences(root, "val"), root / "out"
    for name in NAMES:
        (out / name).mkdir(parents=True)
        found = scored(name, [[0.1, 0.3, 0.9], [0.2, 0.29], [0.14, 0.15, 0.4]], interpolated=[False, False, True])
        write_clip(found, out / name / "tracks.json")
    assert write_submissions(out, truth, mota_joint_score=0.3) == []
    for name in NAMES:
        everything = [(0, 0, [0.1, 0.3, 0.9]), (0, 1, [0.2, 0.29]), (1, 0, [0.14, 0.15, 0.4])]
        assert joints_of(out / "submission" / f"{name}.json") == everything
        assert joints_of(out / "submission_mota" / f"{name}.json") == [(0, 0, [0.3, 0.9]), (1, 0, [0.15, 0.4])]
        assert read_clip(out / "submission_mota" / f"{name}.json").image_names == truth[name].image_names

    for folder in ("submission", "submission_mota"):
        with zipfile.ZipFile(out / f"{folder}.zip") as packed:
            for name in NAMES:
                assert packed.read(f"{name}.json") == (out / folder / f"{name}.json").read_bytes()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert write_submissions(out, truth, mota_joint_score=0.3) == []
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert write_submissions(out, truth, mota_joint_score=0.5) == []
    changed = {path.relative_to(out).parts[0] for path, content in before.items() if path.read_bytes() != content}
    assert changed == {"submission_mota", "submission_mota.zip"}
    assert write_submissions(out, truth, mota_joint_score=0.0) == []
    for name in NAMES:
        assert (out / "submission_mota" / f"{name}.json").read_bytes() == before[out / "submission" / f"{name}.json"]


def test_joints_without_a_score_pass_every_threshold() -> None:
    clip = truth_of(NAMES[0])
    same = with_joints_from(1.0, clip)
    assert len(same) == len(clip)
    assert np.array_equal(same.keypoints, clip.keypoints, equal_nan=True)


def test_problems_of_either_submission_are_reported(root: Path) -> None:
    truth, out = sequences(root, "val"), root / "out"
    for name in NAMES:
        (out / name).mkdir(parents=True)
        write_clip(scored(name, [[0.9]]), out / name / "tracks.json")
    (out / "submission_mota").mkdir()
    (out / "submission_mota" / "notes.txt").touch()
    (complaint,) = write_submissions(out, truth)
    assert complaint.endswith("submission_mota/notes.txt: belongs to no sequence of the split")


def test_runs_without_low_joints_are_reported(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, out = sequences(root, "val"), root / "out"
    for name in NAMES:
        (out / name).mkdir(parents=True)
        write_clip(scored(name, [[0.9]]), out / name / "tracks.json")
    assert submit(out, annotations_of(root, "val"), truth, Printer(), min_output_joint_score=0.4)
    assert "expected 0 for submission/, got 0.4; joints with a lower score are missing there" in capsys.readouterr().err
    assert submit(out, annotations_of(root, "val"), truth, Printer(as_json=True), mota_joint_score=0.2)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["event"], each.get("submission")) for each in events] == [
        ("submission", None),
        ("submission", None),
        ("scores", "submission"),
        ("scores", "submission_mota"),
    ]


def test_a_score_outside_the_range_is_refused_before_anything_is_tracked(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = fails(capsys, "batch", "--posetrack", root, "-o", root / "out", "--mota-joint-score", "1.5")
    assert "mota_joint_score: expected a score from 0 to 1, got 1.5; 0 keeps all" in line
    assert not (root / "out").exists()


def test_every_problem_is_reported_with_file_and_frame(root: Path) -> None:
    truth, folder = sequences(root, "val"), root / "submission"
    folder.mkdir()
    one, other = (replace(truth[name], keypoint_scores=np.ones((2 * FRAMES, 15))) for name in NAMES)
    write_clip(one, folder / f"{NAMES[0]}.json")
    write_clip(other, folder / f"{NAMES[1]}.json")
    assert check_submission(folder, truth) == []

    ids = one.track_ids.copy()
    ids[1], ids[4] = 0, -1
    write_clip(replace(one, track_ids=ids), folder / f"{NAMES[0]}.json")
    names = (*other.image_names[1:], other.image_names[0])
    write_clip(replace(other, image_names=names), folder / f"{NAMES[1]}.json")
    (folder / "notes.txt").touch()
    complaints = check_submission(folder, truth)
    assert f"{NAMES[0]}.json: frame {one.image_names[2]}: a person without track_id" in complaints[0]
    assert f"{NAMES[0]}.json: frame {one.image_names[0]}: a track_id that occurs twice" in complaints[1]
    assert len([line for line in complaints if f"{NAMES[1]}.json: frame" in line and "in this place" in line]) == FRAMES
    assert "notes.txt: belongs to no sequence" in complaints[-1]
    (folder / f"{NAMES[1]}.json").unlink()
    assert "a sequence without people needs a file too" in " ".join(check_submission(folder, truth))


def test_a_missing_image_fails_its_sequence_alone(root: Path) -> None:
    (root / "images" / "val" / NAMES[0] / "000004.png").unlink()
    truth, out = sequences(root, "val"), root / "out"
    table = follow(listed_sequences(root, truth), task(out))
    assert [table.rows[name].status for name in NAMES] == ["failed", "complete"]
    assert "000004.png: no such image" in table.rows[NAMES[0]].warnings
    complaints = write_submissions(out, truth)
    assert ["is missing" in line for line in complaints] == [True, True]
    assert [NAMES[0] in line for line in complaints] == [True, True]
    for name in ("submission", "submission_mota"):
        with zipfile.ZipFile(out / f"{name}.zip") as packed:
            assert packed.namelist() == [f"{NAMES[1]}.json"]


def test_a_missing_split_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match="no annotations of split 'test' there; it has val"):
        sequences(root, "test")


def test_people_without_joints_are_left_out_and_counted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The preset takes the doubtful joints away; of somebody who is not there, that is all of them."""

    class Ghosts(TruthDetector):
        def _detect(self, index: int) -> Detections:
            found = super()._detect(index)
            return Detections(np.vstack([found.boxes, [5, 5, 35, 35]]), np.append(found.scores, 0.8))

    truth, out = sequences(root, "val"), root / "out"
    networks = Networks(Ghosts(WORLD), TruthEstimator(WORLD), create_flow("lk"), (), "cpu")
    todo = replace(task(out), settings=PRESETS["simple-baselines"])

    def one_by_one(clips: list[ListedClip], todo: Task, *_: object, **__: object) -> Iterator[Row]:
        return (track_listed_clip(clip, networks, todo) for clip in clips)

    run_batch(listed_sequences(root, truth), todo, progress="none", run_clips=one_by_one)
    assert submit(out, annotations_of(root, "val"), truth, Printer())
    assert capsys.readouterr().err == ""
    for name in NAMES:
        found = read_clip(out / name / "tracks.json")
        assert np.isfinite(found.keypoints).all(axis=2).any(axis=1).all()
        (warning,) = json.loads((out / name / "run.json").read_text())["warnings"]
        text = f"{FRAMES} poses without any joint are left out, because PoseTrack files cannot hold them"
        assert warning == {"file": "tracks.json", "text": text, "incomplete": False}
