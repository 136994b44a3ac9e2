"""Tracking with objects of the user instead of the networks that the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import posetrail as pt
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_17
from tests.worlds import TruthDetector, TruthEstimator, Walker, World, line, write_images
from tracker.io.pose_log import read_pose_log
from tracker.runs.networks import OwnNetworks, open_networks
from tracker.runs.record import read_record

WORLD = World((Walker(line((20, 60), (120, 0))), Walker(line((500, 75), (-120, 0)))), num_frames=12)


class NamedEstimator(TruthEstimator):
    name = "my estimator 2"


@dataclass
class TruthBottomUp:
    """Returns the people of the world, without a detector."""

    world: World
    skeleton = COCO_17

    def __call__(self, frames: Sequence[Frame]) -> list[Poses]:
        boxes = [found.boxes for found in TruthDetector(self.world)(frames)]
        return TruthEstimator(self.world)(frames, boxes)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(WORLD, tmp_path_factory.mktemp("worlds") / "two walkers")


def test_track_uses_a_detector_and_an_estimator_of_the_user(images: Path) -> None:
    frames = list(pt.track(images, detector=TruthDetector(WORLD), estimator=TruthEstimator(WORLD)))
    assert [frame.index for frame in frames] == list(range(12))
    for frame in frames:
        assert frame.people.track_ids.tolist() == [1, 2]
        expected = np.stack([walker.keypoints(frame.time_s) for walker in WORLD.walkers])
        assert np.allclose(frame.people.poses.keypoints, expected, atol=0.1)


def test_track_uses_a_bottom_up_network_of_the_user(images: Path) -> None:
    for frame in pt.track(images, bottom_up=TruthBottomUp(WORLD)):
        assert frame.people.track_ids.tolist() == [1, 2]


def test_a_run_records_objects_of_the_user_by_name_and_resumes_with_the_same_ones(images: Path, tmp_path: Path) -> None:
    own = {"detector": TruthDetector(WORLD), "estimator": NamedEstimator(WORLD)}
    outcome = pt.track_to_folder(images, tmp_path / "run", **own)  # type: ignore[arg-type]
    assert (outcome.status, outcome.frames, outcome.people) == ("complete", 12, 2)
    models = read_record(tmp_path / "run").models
    assert [(model.name, model.sha256) for model in models] == [("TruthDetector", ""), ("my estimator 2", "")]
    header, _ = read_pose_log(tmp_path / "run" / "poses.arrow")
    assert header.provenance["own_detector"] == "TruthDetector"
    assert header.provenance["own_estimator"] == "my estimator 2"
    assert pt.track_to_folder(images, str(tmp_path / "run"), **own).unchanged  # type: ignore[arg-type]
    with pytest.raises(pt.InputError, match="own_estimator was my estimator 2, now TruthEstimator"):
        pt.track_to_folder(images, tmp_path / "run", detector=TruthDetector(WORLD), estimator=TruthEstimator(WORLD))


def test_track_to_folder_with_a_bottom_up_network_of_the_user(images: Path, tmp_path: Path) -> None:
    outcome = pt.track_to_folder(images, tmp_path / "run", bottom_up=TruthBottomUp(WORLD), more_formats=("mot",))
    assert (outcome.people, "tracks.mot.txt" in outcome.files) == (2, True)


def test_networks_that_are_not_given_are_those_of_the_settings() -> None:
    with open_networks(pt.Settings(), OwnNetworks(estimator=TruthEstimator(WORLD))) as networks:
        assert type(networks.detector).__name__ == "NanoDet"
        assert [model.name for model in networks.models][-1] == "TruthEstimator"
        assert len(networks.models) == 2
    with open_networks(pt.Settings(), OwnNetworks(detector=lambda frames: [])) as networks:
        assert networks.estimator is not None
        assert networks.own == {"detector": "<lambda>"}


def test_networks_are_loaded_into_the_runtime_that_is_made_for_them() -> None:
    made: list[Runtime] = []

    def make_runtime(*args: Any, **options: Any) -> Runtime:
        made.append(Runtime(*args, **options))
        return made[-1]

    settings = pt.Settings(networks=pt.NetworkSettings(device="cpu", threads=3))
    with open_networks(settings, make_runtime=make_runtime):
        assert [(runtime.device, runtime.threads) for runtime in made] == [("cpu", 3)]


def test_an_estimator_and_a_bottom_up_network_exclude_each_other() -> None:
    with pytest.raises(TypeError, match="estimator, bottom_up: expected one of them, got both"):
        OwnNetworks(estimator=TruthEstimator(WORLD), bottom_up=TruthBottomUp(WORLD))
