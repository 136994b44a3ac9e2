"""BlazePose: the original graph's outputs, regions, world axes, unusable boxes, mirrors."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from estimators import NETWORKS, create_estimator
from estimators import blazepose_decode as decode
from estimators.blazepose import NETWORK, BlazePose
from estimators.blazepose_decode import Points
from estimators.networks.blazepose import published_names
from posetrail.errors import InputError
from posetrail.poses import Poses
from posetrail.runtime import Runtime
from posetrail.skeletons import BLAZEPOSE_33, COCO_17
from tests.conftest import TESTS
from tests.frames import frames_of
from tracker.io.video import open_source

WOMAN = np.array([520.0, 780, 970, 1740])  # in the first frame of the example clip, seen from behind
MAN = np.array([250.0, 330, 580, 1160])


def poses_of(keypoints: np.ndarray, boxes: np.ndarray) -> Poses:
    N = len(keypoints)
    return Poses(keypoints, np.isfinite(keypoints[:, :, 0]), boxes, np.ones(N), np.zeros(N))


def test_outputs_equal_the_original_graph(each_backend: Runtime, shared: Path) -> None:
    golden = np.load(shared / "goldens" / "embedded" / "blazepose.npz")
    landmarks, world, flag, heatmaps = each_backend.load(NETWORK)(golden["input"])
    np.testing.assert_allclose(landmarks, golden["full_ld_3d"], atol=0.02)
    np.testing.assert_allclose(world, golden["full_world_3d"], atol=2e-4)
    np.testing.assert_allclose(flag, golden["full_poseflag"], atol=1e-4)
    np.testing.assert_allclose(heatmaps[0].transpose(1, 2, 0), golden["full_heatmap_crop0"], atol=1e-3)
    points, regions = Points.decoded(landmarks, world, flag, heatmaps), golden["roi"]
    np.testing.assert_allclose(points.xy, golden["full_refined_xy"], atol=0.02)
    scores = golden["full_visibility"] * golden["full_presence"] * golden["full_poseflag"][:, None]
    np.testing.assert_allclose(points.scores, scores, atol=1e-3)
    np.testing.assert_allclose(decode.to_image(points.xy, regions), golden["full_image_xy"], atol=0.1)
    np.testing.assert_allclose(decode.upright(points.world, regions), golden["full_world_upright"], atol=2e-4)


@pytest.mark.parametrize("name", ["blazepose_lite", "blazepose_full", "blazepose_heavy"])
def test_networks_train_and_every_parameter_has_a_gradient(name: str) -> None:
    network = NETWORKS[name]().train()
    outputs = network(torch.randint(0, 256, (1, 256, 256, 3), dtype=torch.uint8))
    assert [tuple(each.shape) for each in outputs] == [(1, 39, 5), (1, 39, 3), (1,), (1, 39, 64, 64)]
    sum(each.square().mean() for each in outputs).backward()
    assert all(each.grad is not None for each in network.parameters())


def test_outputs_for_a_frame_of_the_example_equal_the_original_graph(each_backend: Runtime, example_clip: Path) -> None:
    # tests/golden/blazepose_full.npz holds crop 2 of ../shared/goldens/embedded/blazepose.npz, turned by 0.81.
    golden = np.load(TESTS / "golden" / "blazepose_full.npz")
    frame = next(frame for frame in open_source(example_clip).frames() if frame.index == 50)
    crop = decode.crop_of(frame.image, golden["roi"])
    landmarks, world, flag, heatmaps = each_backend.load(NETWORK)(crop[None])
    np.testing.assert_allclose(landmarks[0], golden["ld_3d"], atol=0.02)
    np.testing.assert_allclose(world[0], golden["world_3d"], atol=2e-4)
    np.testing.assert_allclose(flag[0], golden["poseflag"], atol=1e-4)
    np.testing.assert_allclose(heatmaps[0, :, ::4, ::4].transpose(1, 2, 0), golden["heatmap_step4"], atol=1e-3)
    points = Points.decoded(landmarks, world, flag, heatmaps)
    np.testing.assert_allclose(decode.to_image(points.xy, golden["roi"][None])[0], golden["image_xy"], atol=0.1)
    np.testing.assert_allclose(decode.upright(points.world, golden["roi"][None])[0], golden["world_upright"], atol=2e-4)


def test_points_move_to_the_centre_of_heat_around_them() -> None:
    heatmaps = np.zeros((1, 5, 64, 64), np.float32)
    xy = np.array([[[40.0, 80], [40, 80], [2, 2], [-5, 80], [300, 80]]])
    heatmaps[0, 0, 22, 9:11] = 0.6  # row 22, between columns 9 and 10
    heatmaps[0, 1, 22, 9] = 0.4  # too low
    heatmaps[0, 2, 0, 0] = 0.9  # the window is cut at the border
    heatmaps[0, 3:, 20] = 0.9  # these points are outside the crop
    moved = decode.refined(xy, heatmaps)
    assert moved[0].tolist() == [[38, 88], [40, 80], [0, 0], [-5, 80], [300, 80]]


def test_regions_follow_from_hips_shoulders_and_the_farthest_joint() -> None:
    keypoints = np.full((3, 17, 2), np.nan)
    keypoints[:2, COCO_17.index("left_hip")], keypoints[:2, COCO_17.index("right_hip")] = [110, 200], [90, 200]
    for side in ("left", "right"):
        keypoints[0, COCO_17.index(f"{side}_shoulder")] = 100, 150  # upright
        keypoints[1, COCO_17.index(f"{side}_shoulder")] = 150, 200  # lying, head to the right
    keypoints[:2, COCO_17.index("left_ankle")] = 100, 300
    regions = decode.regions_of_joints(keypoints, COCO_17)
    np.testing.assert_allclose(regions[:2], [[100, 200, 275, 0], [100, 200, 275, np.pi / 2]], atol=1e-9)
    assert np.isnan(regions[2]).all()
    head = np.array([[[75.0, 0.0]]])  # a pixel of the crop towards its right border ...
    np.testing.assert_allclose(decode.to_image(head + 128 - [75, 75], regions[1:2])[0, 0], [100 + 75 * 275 / 256, 200])
    world = decode.upright(np.array([[[0.0, -1.0, 0.5]]]), regions[1:2])
    np.testing.assert_allclose(world, [[[1, 0, 0.5]]], atol=1e-9)  # up in the crop is right in the image


def test_a_mirrored_image_has_mirrored_landmarks_with_the_flip_test(runtime: Runtime, first_frame: np.ndarray) -> None:
    estimator = BlazePose(runtime, flip_test=True)
    width = first_frame.shape[1]
    none = np.full((1, 17, 2), np.nan)
    there = np.array([width - MAN[2], MAN[1], width - MAN[0], MAN[3]])
    frames = frames_of([first_frame, np.ascontiguousarray(first_frame[:, ::-1])])
    straight, mirrored = estimator.landmarks(frames, [poses_of(none, box[None]) for box in (MAN, there)], COCO_17)
    turned = mirrored.poses.keypoints[:, BLAZEPOSE_33.mirror] * [-1, 1] + [width, 0]
    np.testing.assert_allclose(turned, straight.poses.keypoints, atol=4)
    np.testing.assert_allclose(mirrored.world[:, BLAZEPOSE_33.mirror] * [-1, 1, 1], straight.world, atol=0.03)


def test_results_do_not_depend_on_other_people_and_unusable_boxes_have_none(
    runtime: Runtime, first_frame: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("estimators.blazepose._CROPS_AT_ONCE", 2)
    estimator = BlazePose(runtime)
    small = np.ascontiguousarray(first_frame[::2, ::2])
    unusable = [[np.nan] * 4, [50, 50, 50, 50], [-90, -90, -80, -80], [0, 0, np.inf, 9], [9, 9, 1, 1]]
    boxes = [np.array([*unusable, MAN, WOMAN]), np.zeros((0, 4)), np.tile(WOMAN / 2, (3, 1))]
    first, second, third = estimator(frames_of([first_frame, first_frame, small]), boxes)
    assert (len(first), len(second), len(third)) == (7, 0, 3)
    assert np.isnan(first.keypoints[:5]).all()
    assert (first.keypoint_scores[:5] == 0).all()
    [alone] = estimator(frames_of([first_frame]), [WOMAN[None]])
    assert np.array_equal(first.keypoints[6], alone.keypoints[0])
    assert (third.keypoints == third.keypoints[0]).all()
    assert estimator([], []) == []
    assert estimator.landmarks([], [], COCO_17) == []


def test_a_patch_without_people_has_no_flag_and_no_scores(runtime: Runtime) -> None:
    grey = np.full((300, 300, 3), 120, np.uint8)
    given = poses_of(np.full((1, 17, 2), np.nan), np.array([[50.0, 50, 250, 250]]))
    [found] = BlazePose(runtime).landmarks(frames_of([grey]), [given], COCO_17)
    assert found.flag[0] < 0.1
    assert found.poses.keypoint_scores.max() < 0.1


def test_int8_is_refused() -> None:
    with Runtime("cpu", precision="int8") as runtime, pytest.raises(InputError, match="precision: expected float32"):
        BlazePose(runtime)


def test_boxes_give_people_with_heads_above_feet(runtime: Runtime, first_frame: np.ndarray) -> None:
    estimator = create_estimator("blazepose_full", runtime=runtime)
    assert estimator.skeleton is BLAZEPOSE_33
    [poses] = estimator(frames_of([first_frame]), [np.stack([MAN, WOMAN])])
    heights = [poses.keypoints[:, BLAZEPOSE_33.index(f"left_{name}"), 1] for name in ("shoulder", "hip", "ankle")]
    assert (np.diff(heights, axis=0) > 100).all()
    assert np.array_equal(poses.boxes, np.stack([MAN, WOMAN]).astype(np.float32))


def test_landmarks_of_a_turned_picture_are_the_turned_landmarks(runtime: Runtime, first_frame: np.ndarray) -> None:
    estimator = BlazePose(runtime)
    [found] = estimator.landmarks(frames_of([first_frame]), [poses_of(np.full((1, 17, 2), np.nan), MAN[None])], COCO_17)
    upright = found.poses.keypoints
    side = first_frame.shape[0] - upright[..., 1], upright[..., 0]  # by a quarter, clockwise
    turned = np.ascontiguousarray(np.rot90(first_frame, -1))
    given = poses_of(np.stack(side, axis=2), MAN[None])
    [there] = estimator.landmarks(frames_of([turned]), [given], BLAZEPOSE_33)
    [here] = estimator.landmarks(frames_of([first_frame]), [poses_of(upright, MAN[None])], BLAZEPOSE_33)
    np.testing.assert_allclose(there.poses.keypoints[..., 1], here.poses.keypoints[..., 0], atol=3)
    np.testing.assert_allclose(there.world[..., 0], -here.world[..., 1], atol=0.02)
    np.testing.assert_allclose(there.world[..., 1], here.world[..., 0], atol=0.02)
    assert (here.flag > 0.9).all()
    assert here.world[0, BLAZEPOSE_33.index("left_ankle"), 1] > 0.5


@pytest.mark.parametrize("archive", [True, False])
def test_other_sizes_are_read_from_the_npm_package(
    runtime: Runtime, first_frame: np.ndarray, tmp_path: Path, archive: bool
) -> None:
    network = NETWORKS["blazepose_lite"]()
    state = network.state_dict()
    manifest, content = [], b""
    for key, weight, bias, depthwise in published_names(network):
        kernel = state[f"{key}.weight"].numpy().transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        for name, value in ((weight, kernel), (bias, state[f"{key}.bias"].numpy())):
            manifest.append({"name": name, "shape": value.shape, "dtype": "float32", "quantization": {}})
            content += value.astype("<f2").tobytes()
    folder = tmp_path / "package" / "models"
    folder.mkdir(parents=True)
    (folder / "blazepose-lite.bin").write_bytes(content)
    (folder / "blazepose-lite.json").write_text(json.dumps({"weightsManifest": [{"weights": manifest}]}))
    given = folder / "blazepose-lite.json"
    if archive:
        given = tmp_path / "models.tgz"
        with tarfile.open(given, "w:gz") as file:
            file.add(tmp_path / "package", "package")
    estimator = create_estimator("blazepose_lite", runtime=runtime, weights=given)
    assert isinstance(estimator, BlazePose)
    loaded = estimator.weights
    assert (loaded.name, loaded.path) == ("blazepose_lite", given)
    [poses] = estimator(frames_of([first_frame]), [MAN[None]])
    assert np.isfinite(poses.keypoints).all()
    with pytest.raises(InputError, match=r"heavy" if archive else "expected those of blazepose_heavy"):
        create_estimator("blazepose_heavy", runtime=runtime, weights=given)


def test_weights_for_the_network_of_the_package_and_missing_ones_are_refused(runtime: Runtime) -> None:
    with pytest.raises(InputError, match="models fetch blazepose_heavy"):
        create_estimator("blazepose_heavy", runtime=runtime)
    with pytest.raises(InputError, match="uses those of the package"):
        create_estimator("blazepose_full", runtime=runtime, weights="some.pth")
