"""Refiners within inference: what they get, what becomes of their poses, and how settings name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import posetrail as pt
from estimators.networks.posefix import PoseFix
from estimators.refiners import REFINERS
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17, Skeleton
from tests.worlds import TruthDetector, TruthEstimator, Walker, World, frame_number, line, write_images
from tracker.frames import PoseFrame
from tracker.inference.pipeline import infer
from tracker.inference.propagation import create_flow
from tracker.io.pose_log import read_pose_log
from tracker.runs.networks import check_weights
from tracker.runs.record import read_record
from tracker.settings import InferenceSettings, NetworkSettings, Settings

WORLD = World(
    (
        Walker(line((20, 60), (60, 0)), size=(80, 200), missed=lambda frame: frame in (4, 5)),
        Walker(line((500, 60), (-60, 0)), size=(80, 200)),
    ),
    num_frames=10,
)
SMALL = "posefix_r50_256x192"


class Jittery(TruthEstimator):
    """The truth, off by a few pixels."""

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        answers = []
        for frame, poses in zip(frames, super().__call__(frames, boxes), strict=True):
            rng = np.random.default_rng(frame.index)
            answers.append(replace(poses, keypoints=poses.keypoints + rng.normal(0, 3, (1, 17, 2))))
        return answers


@dataclass
class TowardsTruth:
    """Moves all joints nearly to the truth; keeps its inputs."""

    world: World
    inputs: list[Poses] = field(default_factory=list)

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses], skeleton: Skeleton) -> list[Poses]:
        assert skeleton == COCO_17
        answers = []
        for frame, each in zip(frames, poses, strict=True):
            self.inputs.append(each)
            time_s = frame_number(frame.image) / self.world.fps
            truth = np.stack([walker.keypoints(time_s) for walker in self.world.walkers])
            nearest = np.abs(each.keypoints[:, None] - truth).sum(axis=(2, 3)).argmin(axis=1)
            answers.append(replace(each, keypoints=0.1 * each.keypoints + 0.9 * truth[nearest]))
        return answers


def inferred(refiner: TowardsTruth | None, known: Sequence[PoseFrame] = ()) -> list[PoseFrame]:
    flow = create_flow("lk", weights=None, device="cpu")
    settings = InferenceSettings(detect_every=1)
    found = infer(WORLD.frames(), TruthDetector(WORLD), Jittery(WORLD), settings, flow, refiner=refiner, known=known)
    return [result for _, result in found]


def errors(frames: Sequence[PoseFrame]) -> float:
    """Mean distance from the truth, pixels."""
    distances = []
    for frame in frames:
        truth = np.stack([walker.keypoints(frame.time_s) for walker in WORLD.walkers])
        order = np.argsort(frame.poses.boxes[:, 0])
        distances.append(np.linalg.norm(frame.poses.keypoints[order] - truth, axis=2))
    return float(np.mean(distances))


@pytest.fixture(scope="module")
def refined() -> tuple[list[PoseFrame], TowardsTruth]:
    refiner = TowardsTruth(WORLD)
    return inferred(refiner), refiner


def test_the_poses_of_a_frame_are_those_of_the_refiner(refined: tuple[list[PoseFrame], TowardsTruth]) -> None:
    frames, _ = refined
    assert [len(frame.poses) for frame in frames] == [2] * 10
    assert errors(frames) < 0.2 * errors(inferred(None))


def test_of_a_propagated_person_the_refiner_gets_the_pose_moved_by_flow(
    refined: tuple[list[PoseFrame], TowardsTruth],
) -> None:
    frames, refiner = refined
    for number in (4, 5):
        poses, given = frames[number].poses, refiner.inputs[number]
        [row] = np.flatnonzero(poses.propagated)
        moved = frames[number].propagated.keypoints
        assert np.abs(moved - given.keypoints[row]).max(axis=(1, 2)).min() < 1e-3
        assert (poses.keypoint_scores == given.keypoint_scores).all()


def test_inference_resumes_to_the_same_poses(refined: tuple[list[PoseFrame], TowardsTruth]) -> None:
    frames, _ = refined
    rest = inferred(TowardsTruth(WORLD), known=frames[:4])
    assert len(rest) == 6
    for again, before in zip(rest, frames[4:], strict=True):
        assert np.array_equal(again.poses.keypoints, before.poses.keypoints)
        assert np.array_equal(again.propagated.keypoints, before.propagated.keypoints)


def test_poses_that_a_refiner_moves_onto_each_other_are_one_person() -> None:
    class OntoTheFirst:
        def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses], skeleton: Skeleton) -> list[Poses]:
            return [replace(each, keypoints=np.repeat(each.keypoints[:1], len(each), axis=0)) for each in poses]

    found = infer(
        WORLD.frames()[:2], TruthDetector(WORLD), Jittery(WORLD), InferenceSettings(), None, refiner=OntoTheFirst()
    )
    assert [len(frame.poses) for _, frame in found] == [1, 1]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Weights of a small PoseFix, which stands for the large one."""
    recipe = replace(REFINERS[SMALL], make=partial(PoseFix, 50, width=0.125), input_size=(48, 64), sigma_px=2.0)
    monkeypatch.setitem(REFINERS, SMALL, recipe)
    state = recipe.make().state_dict()
    save_file({key: value.numpy() for key, value in state.items()}, tmp_path / "refiner.safetensors")
    return tmp_path / "refiner.safetensors"


def test_a_run_with_a_refiner_of_the_settings_records_it_and_resumes_to_the_same_bytes(
    small: Path, tmp_path: Path
) -> None:
    images = write_images(WORLD, tmp_path / "clip")
    networks = NetworkSettings(refiner=SMALL, refiner_weights=small, device="cpu", threads=1)
    own = {"detector": TruthDetector(WORLD), "estimator": TruthEstimator(WORLD)}
    for folder, settings in (("whole", Settings(networks=networks)), ("plain", Settings())):
        pt.track_to_folder(images, tmp_path / folder, settings, **own)  # type: ignore[arg-type]
    record = read_record(tmp_path / "whole")
    [model] = [model for model in record.models if model.name == SMALL]
    assert len(model.sha256) == 64
    header, frames = read_pose_log(tmp_path / "whole" / "poses.arrow")
    assert header.provenance["refiner"] == SMALL
    plain = list(read_pose_log(tmp_path / "plain" / "poses.arrow")[1])
    assert any((a.poses.keypoints != b.poses.keypoints).any() for a, b in zip(frames, plain, strict=True))

    class PowerCut(Exception):
        pass

    def cut(_: int) -> None:
        counted.append(1)
        if len(counted) == 6:
            raise PowerCut

    counted: list[int] = []
    with pytest.raises(PowerCut):
        pt.track_to_folder(images, tmp_path / "cut", Settings(networks=networks), on_frame=cut, **own)  # type: ignore[arg-type]
    pt.track_to_folder(images, tmp_path / "cut", Settings(networks=networks), **own)  # type: ignore[arg-type]
    for name in ("poses.arrow", "tracks.csv", "tracks.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    with pytest.raises(InputError, match="refiner was posefix_r50_256x192, now None"):
        pt.track_to_folder(images, tmp_path / "whole", Settings(), if_exists="continue", **own)  # type: ignore[arg-type]


def test_a_refiner_of_the_user_is_recorded_by_its_name(tmp_path: Path) -> None:
    images = write_images(WORLD, tmp_path / "clip")
    own = {"detector": TruthDetector(WORLD), "estimator": Jittery(WORLD), "refiner": TowardsTruth(WORLD)}
    pt.track_to_folder(images, tmp_path / "run", **own)  # type: ignore[arg-type]
    assert "TowardsTruth" in [model.name for model in read_record(tmp_path / "run").models]


def test_a_refiner_needs_weights_and_a_known_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="refiner_weights: expected --refiner NAME"):
        NetworkSettings(refiner_weights=tmp_path / "refiner.pth")
    check_weights(Settings(networks=NetworkSettings(refiner="posefix")))
    own = {"detector": TruthDetector(WORLD), "estimator": TruthEstimator(WORLD)}
    images = write_images(WORLD, tmp_path / "clip")
    with pytest.raises(InputError, match="unknown refiner 'posefix'"):
        pt.track_to_folder(images, tmp_path / "run", Settings(networks=NetworkSettings(refiner="posefix")), **own)  # type: ignore[arg-type]


@pytest.mark.parametrize("pose_nms", ["oks", "parametric"])
def test_both_kinds_of_pose_nms_leave_one_pose_of_two_boxes_on_one_person(pose_nms: str) -> None:
    class Twice(TruthDetector):
        def _detect(self, index: int):  # type: ignore[no-untyped-def]
            found = super()._detect(index)
            return replace(found, boxes=np.concatenate([found.boxes, found.boxes + 2]), scores=np.tile(found.scores, 2))

    class OffByAPixel(TruthEstimator):
        def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
            answers = super().__call__(frames, boxes)
            return [replace(each, keypoints=each.keypoints + 0.5 * (each.boxes[:, None, :2] % 2)) for each in answers]

    settings = InferenceSettings(max_shared_joints=1.0, pose_nms=pose_nms)  # type: ignore[arg-type]
    for _, frame in infer(WORLD.frames()[:3], Twice(WORLD), OffByAPixel(WORLD), settings, None):
        assert len(frame.poses) == 2
        assert not frame.poses.propagated.any()
