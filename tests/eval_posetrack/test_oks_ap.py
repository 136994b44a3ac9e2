"""OKS AP against values computed by hand and against pycocotools."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from eval_posetrack.formats.files import Clip
from eval_posetrack.metrics import oks_ap
from eval_posetrack.metrics.clean import clean
from posetrail.similarity import box_area
from posetrail.skeletons import POSETRACK_15
from tests.poses import clip_of, crowd


def figures(truth: Clip, found: Clip) -> dict[str, float]:
    return oks_ap.count(clean(truth, found)).figures()


def test_a_wrong_pose_costs_nothing_behind_a_perfect_one_and_half_in_front_of_it() -> None:
    truth, wrong = crowd(people=1, frames=1), crowd(people=1, frames=1, shift=5000)
    for score, expected in ((0.1, 100.0), (0.9, 50.0)):
        found = clip_of([truth.keypoints[0], wrong.keypoints[0]], ids=[0, 1], scores=[0.5, score])
        assert figures(truth, found)["AP"] == pytest.approx(expected)
        assert figures(truth, found)["AR"] == pytest.approx(100)


def test_one_of_two_people_detected_is_precision_one_up_to_recall_one_half() -> None:
    truth = crowd(people=2, frames=1)
    found = truth.with_people(truth.track_ids == 0)
    assert figures(truth, found)["AP"] == pytest.approx(100 * 51 / 101)  # recalls 0, 0.01, ..., 0.50
    assert figures(truth, found)["AR"] == pytest.approx(50)


def test_one_joint_far_off_is_an_oks_of_14_in_15() -> None:
    truth = crowd(people=1, frames=1)
    keypoints = truth.keypoints.copy()
    keypoints[0, 0] += 1e5
    values = figures(truth, clip_of(list(keypoints), ids=[0]))
    assert values["AP75"] == pytest.approx(100)
    assert values["AP"] == pytest.approx(90)  # 0.933 passes nine of ten thresholds


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = crowd(people=30, frames=12, seed=seed, shown=0.8, joints_shown=0.9, size=(0.1, 2.5))
    found = crowd(people=36, frames=12, seed=seed, shown=0.9, noise=9.0, size=(0.1, 2.5), scores=rng)
    ours = figures(truth, found)
    theirs = coco_figures(truth, found)
    assert 5 < ours["AP"] < 95
    assert ours == pytest.approx(theirs, abs=1e-9)


def coco_figures(truth: Clip, found: Clip) -> dict[str, float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def records(clip: Clip) -> list[dict[str, Any]]:
        there = np.isfinite(clip.keypoints[:, :, 0])
        places = np.concatenate([np.nan_to_num(clip.keypoints), there[:, :, None] * 2.0], axis=2)
        sizes = clip.boxes[:, 2:] - clip.boxes[:, :2]
        return [
            {
                "id": i + 1,
                "image_id": int(clip.frames[i]),
                "category_id": 1,
                "keypoints": places[i].ravel().tolist(),
                "num_keypoints": int(there[i].sum()),
                "bbox": [*clip.boxes[i, :2].tolist(), *sizes[i].tolist()],
                "area": float(box_area(clip.boxes[i : i + 1])[0]),
                "iscrowd": 0,
                "score": float(clip.scores[i]),
            }
            for i in range(len(clip))
        ]

    with contextlib.redirect_stdout(io.StringIO()):
        images = [{"id": t} for t in range(truth.num_frames)]
        sides = []
        for clip in (truth, found):
            side = COCO()
            side.dataset = {"images": images, "categories": [{"id": 1}], "annotations": records(clip)}
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, iouType="keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(POSETRACK_15.oks_sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")
    return dict(zip(names, 100 * evaluation.stats, strict=True))
