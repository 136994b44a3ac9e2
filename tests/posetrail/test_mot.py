"""MOTChallenge files of every year: what is read of them, and that kinds of files are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.mot import MotBoxes, read_mot
from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import COCO_17
from tracker.frames import TrackedFrame
from tracker.io.writers import ClipInfo, open_writer


def read(folder: Path, *lines: str) -> tuple[MotBoxes, tuple[str, ...]]:
    path = folder / "file.txt"
    path.write_text("\n".join(lines) + "\n")
    return read_mot(path)


DETECTIONS = {
    "2015": ("1,-1,6,19,30,60,12.87,-1,-1,-1", "2,-1,6,19,30,60,-3.5,-1,-1,-1"),
    "2016, nine columns as in the paper": ("1,-1,794,247,71,174,0.82,-1,-1", "2,-1,164,19,66,163,1,-1,-1"),
    "2017, seven columns": ("1,-1,1359.1,413.27,120.26,362.77,2.3092", "2,-1,571.03,402.13,104.56,315.68,0"),
    "2020, all scores 1": ("1,-1,757,692,96,209,1", "2,-1,667,682,101,227,1"),
    "2020, with world coordinates": ("1,-1,757,692,96,209,1,-1,-1,-1", "2,-1,667,682,101,227,1,-1,-1,-1"),
    "scores 0 and 1 without ids": ("1,-1,6,19,30,60,0,-1,-1,-1", "2,-1,6,19,30,60,1,-1,-1,-1"),
    "a tracker's results": ("1,3,794.27,247.59,71.245,174.88,-1,-1,-1,-1", "2,6,1648.1,119.61,66.5,163.24,-1,-1,-1,-1"),
    "results with scores": ("1,1,794.27,247.59,71.245,174.88,0.5,-1,-1,-1", "2,1,164,119.61,66.5,163.24,0.25,-1,-1,-1"),
    "results whose scores are all 0": ("1,1,794.27,247.59,71.245,174.88,0", "2,1,164,119.61,66.504,163.24,0"),
    "a class of another list, 0 for people": ("1,-1,6,19,30,60,.9,0,0.5", "2,-1,6,19,30,60,1,0,1"),
    "text in further columns": ("1,-1,6,19,30,60,.9,person,high", "2,-1,6,19,30,60,1,person,"),
}


@pytest.mark.parametrize("kind", DETECTIONS)
def test_all_boxes_of_detections_and_results_are_read_with_their_scores(tmp_path: Path, kind: str) -> None:
    rows, notes = read(tmp_path, *DETECTIONS[kind])
    assert notes == ()
    assert rows.frames.tolist() == [0, 1]
    assert rows.scores.tolist() == [float(line.split(",")[6]) for line in DETECTIONS[kind]]
    assert rows.boxes[:, 0].tolist() == [float(line.split(",")[2]) - 1 for line in DETECTIONS[kind]]


GROUND_TRUTH = {
    "2015": ["1,1,6,19,30,60,1,-1,-1,-1", "1,2,6,19,30,60,0,-1,-1,-1", "2,1,6,19,30,60,1,-1,-1,-1"],
    "2015 with world coordinates": [
        "1,1,6,19,30,60,1,9.2,3.7,0",
        "1,2,6,19,30,60,0,4,.5,0",
        "2,1,6,19,30,60,1,9,3.8,0",
    ],
    "2016, 2017": ["1,1,912,484,97,109,1,1,1", "1,2,9,48,97,109,0,7,1", "2,1,9,4,97,109,1,1,0.54"],
    "2020": ["1,1,199,813,140,268,1,1,0.83643", "1,2,201,812,150,267,0,6,0.2", "2,1,198,810,141,267,1,1,0"],
    "not evaluated": ["1,1,6,19,30,60,1,1,1", "1,2,6,19,30,60,0,1,.3", "2,1,6,19,30,60,1,1,.9"],
    "others evaluated too": ["1,1,6,19,30,60,1,1,1", "1,2,6,19,30,60,1,2,.3", "2,1,6,19,30,60,1,1,.9"],
    "a tenth column": ["1,1,6,19,30,60,1,1,0.86014,x", "1,2,6,19,30,60,1,8,1,x", "2,1,6,19,30,60,1,1,.5,x"],
}


@pytest.mark.parametrize("kind", GROUND_TRUTH)
def test_of_ground_truth_the_evaluated_pedestrians_are_read(tmp_path: Path, kind: str) -> None:
    rows, notes = read(tmp_path, *GROUND_TRUTH[kind])
    assert rows.frames.tolist() == [0, 1]
    assert np.isnan(rows.scores).all()
    assert notes == ("1 of 3 boxes are left out: they are not pedestrians (class 1) or not evaluated (flag 0)",)


@pytest.mark.parametrize("label", range(2, 14))
def test_other_classes_than_pedestrians_are_left_out_whatever_their_scores(tmp_path: Path, label: int) -> None:
    rows, notes = read(tmp_path, "1,-1,6,19,30,60,0.7,1,1", f"1,-1,6,19,30,60,0.9,{label},1")
    assert rows.scores.tolist() == [0.7]
    assert len(notes) == 1


_FRAME, _ID, _LEFT, _WIDTH, _SCORE = (
    st.integers(*span) for span in ((0, 50), (1, 5), (-99, 2000), (1, 400), (1, 9999))
)
_PEOPLE = st.lists(
    st.tuples(_FRAME, _ID, _LEFT, _WIDTH, _SCORE), unique_by=lambda person: person[:2], min_size=1, max_size=20
)


@settings(max_examples=60, deadline=None)
@given(_PEOPLE)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, people: list[tuple[int, ...]]) -> None:
    folder = tmp_path_factory.mktemp("mot")
    people.sort()
    with open_writer("mot", folder, ClipInfo(name="", skeleton=COCO_17, fps=25, width=640, height=480)) as writer:
        for index in sorted({frame for frame, *_ in people}):
            here = np.array([person for person in people if person[0] == index], float)
            N = len(here)
            boxes = np.column_stack([here[:, 2], here[:, 2] / 2, here[:, 2] + here[:, 3], here[:, 2] / 2 + 50])
            poses = Poses(np.full((N, 17, 2), np.nan), np.zeros((N, 17)), boxes, here[:, 4] / 10_000, np.zeros(N))
            writer.add(TrackedFrame(index, index / 25, "", TrackedPoses(poses, here[:, 1])))
    rows, notes = read_mot(folder / "tracks.mot.txt")
    assert notes == ()
    frames, _, left, width, score = np.array(people).T
    assert rows.frames.tolist() == frames.tolist()
    assert rows.scores == pytest.approx(score / 10_000, abs=1e-4)
    assert rows.boxes == pytest.approx(np.column_stack([left, left / 2, left + width, left / 2 + 50]), abs=1e-2)
