"""Boxes from a file: which frames they belong to, how scores are scaled, and which files are refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors import create_detector
from detectors.from_file import BoxesFromFile
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.runtime import Runtime

IMAGE = np.zeros((4, 4, 3), np.uint8)


def saved(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def frames(indices: Sequence[int]) -> list[Frame]:
    return [Frame(index, index / 30, f"{index:06d}.jpg", IMAGE) for index in indices]


def test_mot_frames_and_pixels_count_from_one(tmp_path: Path) -> None:
    path = saved(tmp_path / "det.txt", "3,-1,11,21,30,40,0.5,-1,-1,-1\n1,-1,1,1,5,6,0.25\n3,-1,2,2,5,6,0.75\n\n")
    first, nobody, third, beyond = BoxesFromFile(path=path)(frames(range(4)))
    assert first.boxes.tolist() == [[0, 0, 5, 6]]
    assert third.boxes.tolist() == [[1, 1, 6, 7], [10, 20, 40, 60]]
    assert third.scores.tolist() == [0.75, 0.5]
    assert len(nobody) == len(beyond) == 0


def test_boxes_follow_the_index_of_each_frame(tmp_path: Path) -> None:
    path = saved(tmp_path / "det.txt", "".join(f"{frame},-1,1,1,{frame},9,1\n" for frame in range(1, 8)))
    detector = BoxesFromFile(path=path)
    assert [float(found.boxes[0, 2]) for found in detector(frames([0, 3, 6]))] == [1, 4, 7]
    assert [float(found.boxes[0, 2]) for found in detector(frames([5, 2]))] == [6, 3]
    assert detector([]) == []
    assert detector.boxes_of(4).boxes[0, 2] == 5


def test_images_with_file_names_are_matched_by_name(tmp_path: Path) -> None:
    clip = {
        "images": [{"id": k, "file_name": f"images/val/clip/{k:06d}.jpg"} for k in (4, 2, 6)],
        "annotations": [{"image_id": k, "bbox": [0, 0, k, k]} for k in (2, 4, 6)],
    }
    detector = BoxesFromFile(path=saved(tmp_path / "clip.json", clip))
    assert [float(found.boxes[0, 2]) for found in detector(frames([2, 4, 6]))] == [2, 4, 6]
    with pytest.raises(
        InputError, match=r"frame 3 \(000003.jpg\) is not among its images \(000004.jpg to 000006.jpg\)"
    ):
        detector(frames([3]))


def test_images_without_file_names_are_the_frames_in_order(tmp_path: Path) -> None:
    clip = {"images": [{"id": "a"}, {"id": "b"}], "annotations": [{"image_id": "b", "bbox": [0, 0, 7, 7]}]}
    detector = BoxesFromFile(path=saved(tmp_path / "clip.json", clip))
    assert [len(found) for found in detector(frames([0, 1]))] == [0, 1]
    with pytest.raises(InputError, match="frame 2 is not among its 2 images"):
        detector(frames([2]))


def test_scores_out_of_range_are_refused_unless_the_range_is_given(tmp_path: Path) -> None:
    path = saved(tmp_path / "det.txt", "1,-1,1,1,5,6,-10\n1,-1,1,1,5,6,30\n")
    with pytest.raises(InputError, match=r"expected scores from 0 to 1, got -10 to 30; scale the scores"):
        BoxesFromFile(path=path)
    assert BoxesFromFile(path=path, score_range=(-10, 30)).boxes_of(0).scores.tolist() == [1, 0]


def test_boxes_without_scores_get_one_and_without_area_are_left_out(tmp_path: Path) -> None:
    path = saved(tmp_path / "det.txt", "1,-1,1,1,5,6,-1\n1,-1,1,1,0,6,-1\n2,-1,1,1,5,6,-1\n")
    assert [found.scores.tolist() for found in BoxesFromFile(path=path)(frames([0, 1]))] == [[1], [1]]
    path = saved(tmp_path / "gt.txt", "1,1,1,1,5,6,1,1,1\n1,2,9,9,5,6,0,3,0.4\n")
    assert BoxesFromFile(path=path).boxes_of(0).boxes.tolist() == [[0, 0, 5, 6]]


def test_a_list_of_results_needs_its_first_id_or_its_images(tmp_path: Path) -> None:
    people = [
        {"image_id": 42, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"image_id": 43, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5},  # a car
        {"image_id": 41, "category_id": 1, "bbox": [5, 6, 1, 1], "score": 0.25},
    ]
    path = saved(tmp_path / "results.json", people)
    with pytest.raises(InputError, match="add the 'images' of the clip, or give first_id or images"):
        BoxesFromFile(path=path)
    counted = BoxesFromFile(path=path, first_id=41)
    assert [len(counted.boxes_of(frame)) for frame in range(4)] == [1, 1, 0, 0]
    assert counted.boxes_of(1).boxes.tolist() == [[1, 2, 4, 6]]
    images = saved(tmp_path / "images.json", {"images": [{"id": 43}, {"id": 42}, {"id": 41}]})
    listed = BoxesFromFile(path=path, images=images)
    assert [len(listed.boxes_of(frame)) for frame in range(3)] == [0, 1, 1]
    with pytest.raises(InputError, match="expected image_id from first_id 42 on, got 41"):
        BoxesFromFile(path=path, first_id=42)


def test_posetrack_people_without_a_box_get_the_box_of_their_joints(tmp_path: Path) -> None:
    clip = {
        "images": [{"id": 10007520000, "file_name": "000000.jpg"}, {"id": 10007520001, "file_name": "000001.jpg"}],
        "annotations": [
            {"image_id": 10007520001, "keypoints": [10, 10, 1, 0, 0, 0, 50, 90, 1]},
            {"image_id": 10007520000, "keypoints": [0, 0, 0], "bbox": []},  # neither a box nor joints
            {"image_id": 10007520000, "bbox": [1, 2, 3, 4], "track_id": 7},
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
    detector = BoxesFromFile(path=saved(tmp_path / "clip.json", clip))
    known, joints = detector(frames([0, 1]))
    assert known.boxes.tolist() == [[1, 2, 4, 6]]
    assert known.scores.tolist() == [1]
    assert joints.boxes.tolist() == [[5, 0, 55, 100]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("det.txt", "1,2,3\n", "expected frame, id, left"),
        ("det.txt", "1,-1,a,2,3,4,5\n", "expected frame, id, left"),
        ("det.txt", "0,-1,1,2,3,4,1\n", "expected a frame from 1"),
        ("det.txt", "1,-1,nan,2,3,4,1\n", "expected a box"),
        ("x.json", "[{", "expected JSON"),
        ("x.json", {"annolist": []}, "expected a list of COCO results"),
        ("x.json", {"images": [], "annotations": 7}, "expected a list of COCO results"),
        ("x.json", {"images": [{"id": 1}], "annotations": [{"image_id": 2, "bbox": [1, 2, 3, 4]}]}, "person 0: exp"),
        ("x.json", {"images": [{"id": 1}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3]}]}, "person 0: expected"),
        ("x.json", {"images": [{"id": 1}], "annotations": [7]}, "person 0: expected"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path: Path, name: str, content: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        BoxesFromFile(path=saved(tmp_path / name, content))
    assert "\n" not in str(refused.value)
    assert name in str(refused.value)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    for name in ("gone.json", "gone.txt"):
        with pytest.raises(InputError, match=rf"{name}: cannot be read"):
            BoxesFromFile(path=tmp_path / name)
    assert len(BoxesFromFile(path=saved(tmp_path / "det.txt", "")).boxes_of(0)) == 0


def test_detectors_are_created_from_a_path_after_boxes(tmp_path: Path) -> None:
    path = saved(tmp_path / "det.txt", "1,-1,1,1,5,6,0.25\n")
    with Runtime("cpu", 1) as runtime:
        assert len(create_detector(f"boxes:{path}", runtime=runtime)(frames([0]))[0]) == 1
        with pytest.raises(InputError, match="has no option input_size"):
            create_detector(f"boxes:{path}", runtime=runtime, input_size=320)
