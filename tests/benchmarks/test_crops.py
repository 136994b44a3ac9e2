"""The benchmark of crops and joint thresholds: invented images, and estimators whose figures are known."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks import crops
from benchmarks.crops import Scores, cells, main, score
from eval_posetrack.metrics.rules import DEFAULT
from posetrail.frame import Frame
from posetrail.poses import Detections, Poses
from posetrail.skeletons import COCO_17
from tests.worlds import STANDING
from tracker.settings import Settings
from training.samples import Samples

BOXES = np.array([[100.0, 50, 200, 350], [240, 50, 340, 350]])
KNEE, WRIST = COCO_17.index("left_knee"), COCO_17.index("left_wrist")


def joints_in(boxes: np.ndarray) -> np.ndarray:
    """(N, 17, 2) joints of people who stand in these boxes."""
    return boxes[:, None, :2] + STANDING * (boxes[:, None, 2:] - boxes[:, None, :2])


class Fake:
    """Detects people in BOXES; returns the joints of whoever stands in a box, changed by `step` and `scores`."""

    skeleton = COCO_17

    def __init__(self) -> None:
        self.step = np.zeros((17, 2))
        self.scores = np.full(17, 0.9)

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        return [Detections(BOXES, np.full(len(BOXES), 0.9)) for _ in frames]

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        return [
            Poses(
                joints_in(each) + self.step,
                np.tile(self.scores, (len(each), 1)),
                each,
                np.ones(len(each)),
                [False] * len(each),
            )
            for each in boxes
        ]


@pytest.fixture
def data(tmp_path: Path) -> Samples:
    """Two images, each with two people; in the first a third box is a group without joints."""
    paths = tuple(tmp_path / f"{i}.png" for i in range(2))
    for path in paths:
        cv2.imwrite(str(path), np.zeros((400, 400, 3), np.uint8))
    boxes = np.concatenate([BOXES, [[360, 0, 399, 60]], BOXES])
    keypoints = joints_in(boxes)
    keypoints[2] = np.nan
    return Samples(
        name="coco",
        skeleton=COCO_17,
        images=paths,
        image_rows=np.array([0, 0, 0, 1, 1]),
        keypoints=keypoints,
        visibility=np.where(np.isfinite(keypoints).all(axis=2), 2, 0),
        boxes=boxes,
        areas=np.full(5, 0.5 * 100 * 300),
        is_crowd=np.array([False, False, True, False, False]),
    )


def scores_of(fake: Fake, data: Samples, *thresholds: float) -> Scores:
    return score(data, fake, fake.detect, Settings(), thresholds or (0.0,))


def figures(scores: Scores) -> list[tuple[float, float]]:
    totals = [counts.figures(DEFAULT, pooled=True) for counts in scores.counts]
    return [(round(each["AP"].total, 1), round(each["MOTA"].total, 1)) for each in totals]


def test_true_joints_score_100(data: Samples) -> None:
    right = scores_of(Fake(), data)
    assert cells(right, right) == ["100.0", "+0.0 ± 0.0", "0.0"] * 2
    assert figures(right) == [(100.0, 100.0)]
    assert np.isnan(right.annotated[2]).all()  # the group is not compared


def test_a_joint_on_another_person_is_counted(data: Samples) -> None:
    fake = Fake()
    fake.step[KNEE] = (140, 0)  # from the left person to the right one, and from the right one to where nobody is
    found = scores_of(fake, data)
    assert np.allclose(found.annotated[[0, 1, 3, 4], 1], [1 / 12, 0, 1 / 12, 0])
    assert np.allclose(found.annotated[[0, 1], 0], 11 / 12, atol=0.01)
    right = scores_of(Fake(), data)
    assert cells(found, right)[1] == "-8.3 ± 0.0"


def test_a_threshold_removes_wrong_joints_for_mota_and_right_ones_from_ap(data: Samples) -> None:
    fake = Fake()
    fake.step[WRIST] = (0, -120)
    fake.scores[[WRIST, KNEE]] = 0.1, 0.3
    all_joints, without_wrong, without_both = figures(scores_of(fake, data, 0.0, 0.2, 0.4))
    assert all_joints[1] < without_wrong[1]
    assert all_joints[0] == without_wrong[0] > without_both[0]
    assert without_both[1] < without_wrong[1]


def test_people_of_low_quality_are_left_out_of_ap_and_mota(data: Samples) -> None:
    fake = Fake()
    fake.scores[:] = 0.05
    found = scores_of(fake, data)
    assert figures(found) == [(0.0, 0.0)]
    assert np.nanmin(found.annotated[:, 0]) == 1  # OKS compares all


def test_several_data_sets_are_scored_together(data: Samples) -> None:
    fake = Fake()
    right = scores_of(fake, data)
    fake.step += 500
    wrong = scores_of(fake, data)
    both = Scores.join([right, wrong])
    assert len(both.annotated) == 10
    assert figures(both) == [(25.0, 0.0)]  # precision and recall are 50 %


def test_the_program_prints_a_row_for_each_candidate(
    data: Samples, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def opened(settings: Settings) -> Iterator[SimpleNamespace]:
        fake = Fake()
        fake.step += 40 if settings.networks.crop_scale == 1.1 else 0
        yield SimpleNamespace(estimator=None if settings.networks.flip_test else fake, detector=fake.detect)

    monkeypatch.setattr(crops, "open_networks", opened)
    monkeypatch.setattr(crops, "read_annotated", lambda folder: replace(data, name="coco"))
    arguments = ["crops", "--data", "a", "b", "--candidates", "default", "--set", "crop_scale=1.1", "--thresholds", "0"]
    monkeypatch.setattr(sys, "argv", arguments)
    main()
    first, _, *table = capsys.readouterr().out.splitlines()
    assert first == "8 people in 4 images"
    default, wrong = ([cell.strip() for cell in line.strip("|").split("|")] for line in table[2:])
    assert default[:2] + default[-2:] == ["default", "100.0", "100.0", "100.0"]
    assert wrong[0] == "crop_scale=1.1"
    assert float(wrong[1]) < 60

    monkeypatch.setattr(sys, "argv", ["crops", "--data", "a", "--candidates", "flip-test"])
    with pytest.raises(SystemExit, match="expected a top-down network"):
        main()
