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
from tests.worlds import TruthDetector, TruthEstimator
from tracker.batch.batch import run_batch
from tracker.batch.clip import Task, track_listed_clip
from tracker.batch.clip_list import ListedClip
from tracker.batch.posetrack_set import annotations_of, check_submission, listed_sequences, sequences, write_submission
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
    assert "submission.zip: 2 sequences" in (told := capsys.readouterr()).out
    assert told.err == ""
    with zipfile.ZipFile(out / "submission.zip") as packed:
        assert packed.namelist() == [f"{name}.json" for name in NAMES]
        content = json.loads(packed.read(f"{NAMES[1]}.json"))
    assert [image["file_name"] for image in content["images"]] == list(truth[NAMES[1]].image_names)
    assert content["images"][3]["id"] == 10128340003
    assert content["categories"][0]["keypoints"][:3] == ["nose", "head_bottom", "head_top"]
    assert len(content["categories"][0]["keypoints"]) == 17

    assert evaluate(annotations_of(root, "val"), out / "submission").total["MOTA"].total > 0.9


def test_an_unreadable_frame_has_no_people_and_is_reported(root: Path) -> None:
    (root / "images" / "val" / NAMES[0] / "000004.png").write_bytes(b"torn")
    truth, out = sequences(root, "val"), root / "out"
    table = follow(listed_sequences(root, truth), task(out))
    assert [table.rows[name].status for name in NAMES] == ["damaged", "complete"]
    (complaint,) = write_submission(out, truth)
    assert complaint.endswith(
        f"{NAMES[0]}.json: frame images/val/{NAMES[0]}/000004.png: was not tracked, has no people"
    )
    found = read_clip(out / "submission" / f"{NAMES[0]}.json")
    assert found.image_names == truth[NAMES[0]].image_names
    assert 4 not in found.frames
    assert 5 in found.frames


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
    assert ["is missing" in line for line in write_submission(out, truth)] == [True]


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
