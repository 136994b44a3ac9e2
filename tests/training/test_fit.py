"""A whole training: from annotated images to weights that an estimator loads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from estimators import create_estimator
from estimators.trained import read_training
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_WHOLEBODY_133, Skeleton
from tests.training.test_loader import figures
from training.data.image_files import read_image
from training.fit import BEST, FitSettings, fit, split
from training.log import LOG, RECORD
from training.report import REPORT
from training.validation import Estimates
from training.validation import figures as scores_of

QUICK = FitSettings(
    recipe="simplebaseline_r18", epochs=1.0, batch_size=2, input_height=128, workers=0, lr=1e-4, device="cpu"
)
ARMS = Skeleton(
    name="arms",
    joints=("left_wrist", "right_wrist", "nose"),
    limbs=(),
    oks_sigmas=(0.08, 0.08, 0.08),
)


def test_the_best_weights_are_those_of_an_estimator_with_the_trained_skeleton(tmp_path: Path) -> None:
    samples = figures(tmp_path)
    events: list[dict[str, Any]] = []
    fitted = fit(samples, tmp_path / "out", QUICK, skeleton=ARMS, on_event=events.append)
    assert [event["event"] for event in events] == ["start", "step", "validation"]
    training = read_training(tmp_path / "out" / BEST)
    assert training is not None
    assert (training.skeleton, training.input_size) == (ARMS, (96, 128))
    with Runtime("cpu") as runtime:
        estimator = create_estimator("simplebaseline_r18", runtime=runtime, weights=fitted.weights)
        frame = Frame(0, 0.0, "", read_image(samples.images[0]))
        assert estimator([frame], [samples.boxes[:1]])[0].keypoints.shape == (1, 3, 2)
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    assert record["trained"]["ended"] == "complete"
    assert record["sigma_sources"] == {"left_wrist": "given", "right_wrist": "given", "nose": "given"}
    assert len((tmp_path / "out" / LOG).read_text().splitlines()) == 3
    assert "Worst predictions" in (tmp_path / "out" / REPORT).read_text()


def test_trained_weights_start_another_training_by_the_names_of_joints(tmp_path: Path) -> None:
    samples = figures(tmp_path)
    first = fit(samples, tmp_path / "first", QUICK)
    second = fit(
        samples, tmp_path / "second", replace(QUICK, recipe=FitSettings.recipe), skeleton=ARMS, weights=first.weights
    )
    assert second.started is not None
    assert second.started.taken == ARMS.joints
    record = json.loads((tmp_path / "second" / RECORD).read_text())
    assert record["network"] == "simplebaseline_r18"


def test_a_folder_with_another_training_is_refused_unless_it_is_done_again(tmp_path: Path) -> None:
    samples = figures(tmp_path)
    fit(samples, tmp_path / "out", QUICK)
    with pytest.raises(InputError, match="with other settings or data"):
        fit(samples[1:], tmp_path / "out", QUICK)
    fit(samples[1:], tmp_path / "out", QUICK, resume=False)


def test_unusable_data_is_refused_in_one_line(tmp_path: Path) -> None:
    samples = figures(tmp_path)
    with pytest.raises(InputError, match="expected people in two images at least, got one"):
        split(samples[:1], 0)
    tail = Skeleton(name="tail", joints=("tail",), limbs=(), oks_sigmas=(0.1,))
    with pytest.raises(InputError, match="have no joint of the same name; give another --skeleton"):
        fit(samples, tmp_path / "out", QUICK, skeleton=tail)
    with pytest.raises(InputError, match="unknown recipe 'hrnet'"):
        fit(samples, tmp_path / "out", replace(QUICK, recipe="hrnet"))


def test_perfect_estimates_score_100_and_missing_ones_0(tmp_path: Path) -> None:
    samples = figures(tmp_path)
    perfect = scores_of(samples, Estimates(samples.keypoints, np.ones(samples.visibility.shape)))
    assert set(perfect.values()) == {100.0}
    missing = scores_of(samples, Estimates(np.full_like(samples.keypoints, np.nan), np.zeros(samples.visibility.shape)))
    assert missing["PCK"] == missing["AP"] == 0


def test_whole_bodies_are_scored_part_by_part(tmp_path: Path) -> None:
    of_bodies = figures(tmp_path)
    N, K = len(of_bodies), len(COCO_WHOLEBODY_133)
    places = np.random.default_rng(0).uniform(0, 1, (N, K, 2))
    places = of_bodies.boxes[:, None, :2] + places * (of_bodies.boxes[:, 2:] - of_bodies.boxes[:, :2])[:, None]
    shared = {"skeleton": COCO_WHOLEBODY_133, "keypoints": places, "visibility": np.full((N, K), 2)}
    samples = replace(of_bodies, **shared)
    perfect = scores_of(samples, Estimates(samples.keypoints, np.ones((N, K))))
    of_parts = {"AP_body", "AP_foot", "AP_face", "AP_lefthand", "AP_righthand", "PCK_lefthand", "AUC_righthand"}
    assert {perfect.pop(name) for name in of_parts} == {100.0}
    assert perfect["NME_face"] == 0
    assert next(iter(perfect)) == "AP"
