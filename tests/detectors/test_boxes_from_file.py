"""Boxes from a file: which frame they are of, what their scores become, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.from_file import BoxesFromFile
from posetrail.errors import InputError
from tests.frames import frames_of

IMAGE = np.zeros((4, 4, 3), np.uint8)


def saved(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_mot_frames_and_pixels_count_from_one(tmp_path: Path) -> None:
    path = saved(tmp_path / "det.txt", "3,-1,11,21,30,40,0.5,-1,-1,-1\n1,-1,1,1,5,6,0.25\n3,-1,2,2,5,6,0.75\n\n")
    first, nobody, third, beyond = BoxesFromFile(path)(frames_of([IMAGE] * 4))
    assert first.boxes.tolist() == [[0, 0, 5, 6]]
    assert third.boxes.tolist() == [[1, 1, 6, 7], [10, 20, 40, 60]]
    assert third.scores.tolist() == [0.75, 0.5]
    assert len(nobody) == len(beyond) == 0


def test_frames_go_on_from_call_to_call_until_rewound(tmp_path: Path) -> None:
    path = saved(tmp_path / "det.txt", "".join(f"{frame},-1,1,1,{frame},9,1\n" for frame in range(1, 8)))
    detector = BoxesFromFile(path)
    widths = [float(found.boxes[0, 2]) for count in (1, 3, 2) for found in detector(frames_of([IMAGE] * count))]
    assert widths == [1, 2, 3, 4, 5, 6]
    assert detector([]) == []
    detector.rewind()
    assert detector(frames_of([IMAGE]))[0].boxes[0, 2] == 1
    assert detector.boxes_of(4).boxes[0, 2] == 5
    assert [found.boxes[0, 2] for found in BoxesFromFile(path, every=3)(frames_of([IMAGE] * 3))] == [1, 4, 7]


def test_scores_of_another_range_are_said_or_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "det.txt", "1,-1,1,1,5,6,-10\n1,-1,1,1,5,6,30\n")
    with pytest.raises(InputError, match=r"scores run from -10 to 30, wanted 0 to 1; give score_range"):
        BoxesFromFile(path)
    assert BoxesFromFile(path, score_range=(-10, 30)).boxes_of(0).scores.tolist() == [1, 0]


def test_a_list_of_results_needs_to_know_its_first_frame_or_its_images(tmp_path: Path) -> None:
    people = [
        {"image_id": 42, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"image_id": 43, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5},  # a car
        {"image_id": 41, "category_id": 1, "bbox": [5, 6, 1, 1], "score": 0.25},
    ]
    path = saved(tmp_path / "results.json", people)
    with pytest.raises(InputError, match="give first_id, or images"):
        BoxesFromFile(path)
    counted = BoxesFromFile(path, first_id=41)
    assert [len(counted.boxes_of(frame)) for frame in range(4)] == [1, 1, 0, 0]
    assert counted.boxes_of(1).boxes.tolist() == [[1, 2, 4, 6]]
    images = saved(tmp_path / "images.json", {"images": [{"id": 43}, {"id": 42}, {"id": 41}]})
    listed = BoxesFromFile(path, images=images)
    assert [len(listed.boxes_of(frame)) for frame in range(3)] == [0, 1, 1]
    with pytest.raises(InputError, match="before first_id 42"):
        BoxesFromFile(path, first_id=42)


def test_posetrack_people_without_a_box_get_that_of_their_joints(tmp_path: Path) -> None:
    clip = {
        "images": [{"id": 10007520000, "file_name": "000000.jpg"}, {"id": 10007520001, "file_name": "000001.jpg"}],
        "annotations": [
            {"image_id": 10007520001, "keypoints": [10, 10, 1, 0, 0, 0, 50, 90, 1]},
            {"image_id": 10007520000, "keypoints": [0, 0, 0], "bbox": []},  # nothing is known of this one
            {"image_id": 10007520000, "bbox": [1, 2, 3, 4], "track_id": 7},
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
    detector = BoxesFromFile(saved(tmp_path / "clip.json", clip))
    known, joints = detector(frames_of([IMAGE] * 2))
    assert known.boxes.tolist() == [[1, 2, 4, 6]]
    assert known.scores.tolist() == [1]
    assert joints.boxes.tolist() == [[5, 0, 55, 100]]
    with pytest.raises(InputError, match="asked for frame 2, it has 2; is it of another clip"):
        detector(frames_of([IMAGE]))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("det.txt", "1,2,3\n", "wanted lines of frame, id, left"),
        ("det.txt", "1,-1,a,2,3,4,5\n", "wanted lines of frame, id, left"),
        ("det.txt", "0,-1,1,2,3,4,1\n", "frames from 1 on"),
        ("det.txt", "1,-1,nan,2,3,4,1\n", "wanted numbers"),
        ("x.json", "[{", "wanted JSON"),
        ("x.json", {"annolist": []}, "wanted a list of COCO results"),
        ("x.json", {"images": [], "annotations": 7}, "wanted a list of COCO results"),
        ("x.json", {"images": [{"id": 1}], "annotations": [{"image_id": 2, "bbox": [1, 2, 3, 4]}]}, "person 0: wanted"),
        ("x.json", {"images": [{"id": 1}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3]}]}, "person 0: wanted"),
        ("x.json", {"images": [{"id": 1}], "annotations": [7]}, "person 0: wanted"),
    ],
)
def test_unusable_files_are_told_in_one_line(tmp_path: Path, name: str, content: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        BoxesFromFile(saved(tmp_path / name, content))
    assert "\n" not in str(told.value)
    assert name in str(told.value)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: cannot be read"):
        BoxesFromFile(tmp_path / "gone.json")
    assert len(BoxesFromFile(saved(tmp_path / "det.txt", "")).boxes_of(0)) == 0
