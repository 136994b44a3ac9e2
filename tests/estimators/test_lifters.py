"""Lifters: what networks are given, windows, and what must hold of every lifter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from estimators.lifter_inputs import network_input, square_normalised, without_gaps
from estimators.lifter_windows import blended, cut
from estimators.lifters import LIFTERS, LifterRecipe, NetworkLifter, create_lifter
from estimators.networks import NETWORKS
from estimators.networks.motionagformer import MotionAGFormer
from estimators.networks.motionbert import MotionBERT, MotionBERTMMPose
from estimators.networks.simplebaseline3d import ZScored
from estimators.networks.videopose3d import VideoPose3D, VideoPose3DMMPose
from estimators.published import PUBLISHED
from posetrail.errors import InputError
from posetrail.poses3d import PoseSequence
from posetrail.protocols import TrajectoryLifter
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_17, H36M_17

SMALL: dict[str, Callable[[], nn.Module]] = {
    "videopose3d_27": lambda: VideoPose3D((3, 3, 3), channels=16),
    "videopose3d_27_causal": lambda: VideoPose3D((3, 3, 3), channels=16, causal=True),
    "simplebaseline3d_mmpose": lambda: ZScored(VideoPose3DMMPose((1, 1, 1), channels=16, joints_out=16)),
    "motionbert": lambda: MotionBERT(16, 2),
    "motionbert_mmpose": lambda: MotionBERTMMPose(16, 2),
    "motionagformer_xs": lambda: MotionAGFormer(2, 16, 27),
}
EVERY = pytest.mark.parametrize("name", SMALL)


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(device="cpu")


def small(name: str, runtime: Runtime, *, flip_test: bool = True, trajectory: bool = False) -> NetworkLifter:
    torch.manual_seed(3)
    root = runtime.load_module(VideoPose3D((3, 3, 3), channels=16, joints_out=1)) if trajectory else None
    recipe = replace(LIFTERS[name], frames=min(LIFTERS[name].frames, 30))
    run = runtime.load_module(SMALL[name]())
    return NetworkLifter(run, recipe, run_trajectory=root, flip_test=flip_test)


def walk(frames: int, seed: int = 0) -> PoseSequence:
    random = np.random.default_rng(seed)
    keypoints = 300 + 100 * random.random((1, 17, 2)) + np.cumsum(random.normal(size=(frames, 17, 2)), axis=0)
    return PoseSequence(keypoints, random.uniform(0.3, 1, (frames, 17)), (1280, 720))


@EVERY
def test_a_result_depends_neither_on_other_sequences_nor_on_their_order(name: str, runtime: Runtime) -> None:
    lifter = small(name, runtime)
    sequences = [walk(frames, frames) for frames in (40, 1, 70, 41, 5)]
    together = lifter(sequences)
    assert [each.shape for each in together] == [(len(each), 17, 3) for each in sequences]
    for sequence, expected in zip(sequences, together, strict=True):
        assert np.isfinite(expected).all()
        assert expected.dtype == np.float32
        np.testing.assert_array_equal(lifter([sequence])[0], expected)
        np.testing.assert_array_equal(expected[:, 0], 0)  # the root
    for got, expected in zip(lifter(sequences[::-1]), together[::-1], strict=True):
        np.testing.assert_array_equal(got, expected)


@EVERY
def test_an_empty_sequence_gives_none_and_one_without_joints_unknown_ones(name: str, runtime: Runtime) -> None:
    nothing = PoseSequence(np.full((4, 17, 2), np.nan), np.zeros((4, 17)), (640, 480))
    empty, unknown = small(name, runtime)([nothing_of(0), nothing])
    assert empty.shape == (0, 17, 3)
    assert unknown.shape == (4, 17, 3)
    assert np.isnan(unknown).all()
    assert small(name, runtime)([]) == []


def nothing_of(frames: int) -> PoseSequence:
    return PoseSequence(np.zeros((frames, 17, 2)), np.zeros((frames, 17)), (640, 480))


@EVERY
def test_a_missing_joint_is_interpolated(name: str, runtime: Runtime) -> None:
    sequence = walk(30)
    keypoints, scores = sequence.keypoints.copy(), sequence.keypoint_scores.copy()
    keypoints[:, 10], scores[:, 10] = np.nan, 0
    keypoints[4, 3], scores[4, 3] = np.nan, 0
    [answer] = small(name, runtime)([replace(sequence, keypoints=keypoints, keypoint_scores=scores)])
    assert np.isfinite(answer).all()


@EVERY
def test_the_mirrored_sequence_gives_the_mirrored_answer(name: str, runtime: Runtime) -> None:
    lifter, sequence = small(name, runtime), walk(33)
    mirrored = sequence.keypoints[:, H36M_17.mirror] * [-1, 1] + [1280, 0]
    [answer] = lifter([sequence])
    [other] = lifter([PoseSequence(mirrored, sequence.keypoint_scores[:, H36M_17.mirror], (1280, 720))])
    expected = other[:, H36M_17.mirror] * [-1, 1, 1]
    np.testing.assert_allclose(answer, expected, atol=2e-4 * np.abs(answer).max())


def test_a_long_sequence_equals_its_parts_with_frames_around_them(runtime: Runtime) -> None:
    lifter, sequence = small("videopose3d_27", runtime), walk(1100)
    [whole] = lifter([sequence])
    part = PoseSequence(sequence.keypoints[1000:1050], sequence.keypoint_scores[1000:1050], (1280, 720))
    np.testing.assert_allclose(lifter([part])[0][13:-13], whole[1013:1037], atol=1e-5)


def test_a_causal_lifter_ignores_later_frames(runtime: Runtime) -> None:
    lifter, sequence = small("videopose3d_27_causal", runtime), walk(40)
    first = PoseSequence(sequence.keypoints[:20], sequence.keypoint_scores[:20], (1280, 720))
    np.testing.assert_allclose(lifter([first])[0], lifter([sequence])[0][:20], atol=1e-6)


def test_the_trajectory_is_that_of_a_second_network(runtime: Runtime) -> None:
    lifter = small("videopose3d_27", runtime, trajectory=True)
    assert isinstance(lifter, TrajectoryLifter)
    roots = lifter.trajectories([walk(5), nothing_of(0)])
    assert roots is not None
    assert [each.shape for each in roots] == [(5, 3), (0, 3)]
    assert small("videopose3d_27", runtime).trajectories([walk(5)]) is None


def test_windows_cover_every_frame_and_repeat_the_ends() -> None:
    [window] = cut(2, 5, "valid")
    assert window.frames[:6].tolist() == [0, 0, 0, 1, 1, 1]
    [causal] = cut(2, 5, "valid", causal=True)
    assert causal.frames[:6].tolist() == [0, 0, 0, 0, 0, 1]
    [padded] = cut(2, 4, "exactly")
    assert padded.frames.tolist() == [0, 1, 1, 1]
    windows = cut(11, 4, "at_most")
    assert [window.start for window in windows] == [0, 2, 4, 6, 7]
    ones = [np.ones((4, 1, 3)) for _ in windows]
    np.testing.assert_allclose(blended(11, 1, windows, ones), 1)


def test_gaps_are_linear_and_ends_are_repeated() -> None:
    keypoints = np.zeros((5, 2, 2))
    keypoints[1, 0], keypoints[3, 0] = 10, 30
    present = np.zeros((5, 2), bool)
    present[[1, 3], 0] = True
    complete = without_gaps(np.where(present[..., None], keypoints, np.nan), present)
    assert complete[:, 0, 0].tolist() == [10, 10, 20, 30, 30]
    assert complete[:, 1, 0].tolist() == [10, 10, 20, 30, 30]  # never present: among the others


def test_missing_joints_have_confidence_zero() -> None:
    scores = np.full((1, 3), 0.4)
    scores[0, 1] = 0
    sequence = PoseSequence(np.arange(6.0).reshape(1, 3, 2), scores, (100, 50))
    assert network_input(sequence, "width", "scores").values[0, :, 2].tolist() == pytest.approx([0.4, 0, 0.4])
    assert network_input(sequence, "width", "presence").values[0, :, 2].tolist() == [1, 0, 1]
    corners = PoseSequence([[[0, 0], [100, 50], [50, 25]]], np.ones((1, 3)), (100, 50))
    assert network_input(corners, "width", "none").values[0].tolist() == [[-1, -0.5], [1, 0.5], [0, 0]]


def test_the_square_of_too_few_joints_is_empty() -> None:
    assert not square_normalised(np.ones((1, 3, 2)), np.ones((1, 3)))[0].any()
    assert not square_normalised(np.ones((2, 3, 2)), np.ones((2, 3)))[0].any()


@pytest.mark.parametrize("name", LIFTERS)
def test_every_recipe_has_an_entry_of_its_weights_and_makes_its_network(name: str) -> None:
    published, recipe = PUBLISHED[name], LIFTERS[name]
    assert published.kind == "lifter"
    assert published.skeleton == recipe.skeleton.name
    assert published.network in NETWORKS


def test_lifters_of_licences_for_commercial_use_come_first() -> None:
    licences = [PUBLISHED[name].licence for name in LIFTERS]
    commercial = [licence.startswith("Apache-2.0") for licence in licences]
    assert commercial == sorted(commercial, reverse=True)


@pytest.fixture
def tiny_recipe(monkeypatch: pytest.MonkeyPatch) -> LifterRecipe:
    recipe = replace(
        LIFTERS["videopose3d_243_coco"],
        make=partial(VideoPose3D, (3, 3), channels=4),
        make_trajectory=partial(VideoPose3D, (3, 3), channels=4, joints_out=1),
        frames=9,
    )
    monkeypatch.setitem(LIFTERS, "videopose3d_243_coco", recipe)
    return recipe


def test_a_checkpoint_with_both_models_and_a_random_state_is_read(
    tmp_path: Path, runtime: Runtime, tiny_recipe: LifterRecipe
) -> None:
    assert tiny_recipe.make_trajectory is not None
    pose, root = tiny_recipe.make().state_dict(), tiny_recipe.make_trajectory().state_dict()
    content = {
        "epoch": 80,
        "lr": np.float64(1e-3),
        "random_state": np.random.RandomState(1),
        "model_pos": {f"module.{key}": value for key, value in pose.items()},
        "model_traj": root,
    }
    torch.save(content, tmp_path / "both.bin")
    lifter = create_lifter("videopose3d_243_coco", runtime=runtime, weights=tmp_path / "both.bin")
    assert lifter.source == COCO_17
    assert lifter.weights is not None
    assert lifter.trajectories([walk(3)]) is not None
    torch.save(content | {"model_traj": None}, tmp_path / "pose.bin")
    alone = create_lifter("videopose3d_243_coco", runtime=runtime, weights=tmp_path / "pose.bin")
    assert alone.trajectories([walk(3)]) is None
    np.testing.assert_array_equal(alone([walk(3)])[0], lifter([walk(3)])[0])


def test_a_wrong_file_an_unknown_name_and_an_unusable_option_are_refused_in_one_line(
    tmp_path: Path, runtime: Runtime, tiny_recipe: LifterRecipe
) -> None:
    torch.save(VideoPose3D((3, 3), channels=5).state_dict(), tmp_path / "other.pt")
    with pytest.raises(InputError, match="expected weights of VideoPose3D, got others") as raised:
        create_lifter("videopose3d_243_coco", runtime=runtime, weights=tmp_path / "other.pt")
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="unknown lifter 'motionbart'; did you mean 'motionbert'"):
        create_lifter("motionbart", runtime=runtime)
    with pytest.raises(InputError, match="normalisation: expected none for videopose3d_27"):
        create_lifter("videopose3d_27", runtime=runtime, weights=tmp_path / "x", normalisation="square")
    with pytest.raises(InputError, match="No such file"):
        create_lifter("videopose3d_27", runtime=runtime, weights=tmp_path / "x.pt")
    with pytest.raises(ValueError, match="expected 17 joints of h36m_17, got 15"):
        small("videopose3d_27", runtime)([PoseSequence(np.zeros((2, 15, 2)), np.ones((2, 15)), (9, 9))])
