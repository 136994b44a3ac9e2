"""Bottom-up networks: drawn maps are decoded into people at the right places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from estimators import NETWORKS, bottom_up, create_bottom_up, keypoint_rcnn
from estimators.bottom_up import Answer, BottomUpNetwork
from estimators.limb_grouping import OPENPOSE_COCO
from estimators.limb_layouts import LAYOUTS, LimbLayout
from estimators.networks.people_maps import AssociativeMaps
from estimators.networks.rcnn_people import RcnnPeople
from estimators.part_partition import PairModel
from estimators.whole_image import GROUPED, WholeImage
from posetrail.errors import InputError
from posetrail.frame import Image
from posetrail.joint_mapping import mapped
from posetrail.runtime import Runtime
from posetrail.skeletons import COCO_17
from posetrail.weights import Weights
from tests.frames import frames_of
from tests.functions import gaussians, recorded
from tests.worlds import STANDING

PLACES = np.array([[60.0, 40], [240, 80]]) + [60, 150] * STANDING[:, None]  # (K, 2 people, 2), pixels of the image
IMAGE_SIZE = (360, 270)


NEAR = PairModel(  # a pair is one person's if the predicted offset is off by less than 20 pixels
    stats_mean=np.zeros((17, 17, 2)),
    stats_std=np.ones((17, 17, 2)),
    weights=np.broadcast_to([-10.0, 0, 0, 0, 0, 0, 0, 0, 2.0], (17, 17, 9)),
    x_min=np.zeros((17, 17, 8)),
    x_max=np.full((17, 17, 8), 100.0),
)


def marked() -> Image:
    """An image that tells whether it is seen in a mirror."""
    image = np.zeros((IMAGE_SIZE[1], IMAGE_SIZE[0], 3), np.uint8)
    image[:40, :40] = 255
    return image


def drawn_tags(way: WholeImage, stride: int) -> Callable[[np.ndarray], Answer]:
    """A network that answers for `marked` with heatmaps of both people, and tags by who is nearer."""

    def run(batch: np.ndarray) -> Answer:
        B, H, W, _ = batch.shape
        cells = PLACES * way.scale(marked()) / stride - 0.5
        size = W // stride, H // stride
        heat = gaussians(cells, size, 2.0).max(axis=1)  # (K, h, w)
        tags = np.broadcast_to(np.where(np.arange(size[0]) < size[0] * 0.45, 1.0, 5.0), heat.shape)
        if batch[0, 5, 5, 0] < 128:
            heat, tags = heat[COCO_17.mirror, :, ::-1], tags[:, :, ::-1]
        return np.stack([heat] * B), np.stack([tags] * B)

    return run


def drawn_fields(way: WholeImage, *, in_one_output: bool = False) -> Callable[[np.ndarray], Answer]:
    """OpenPose's answer: fields along the limbs and heatmaps of the joints that COCO has, or that are between them."""
    layout = LAYOUTS[way.grouping]
    K, L = len(layout.skeleton), len(layout)
    people = PLACES.transpose(1, 0, 2)
    places = mapped(people, np.ones(people.shape[:2]), COCO_17, layout.skeleton)[0].transpose(1, 0, 2)
    known = np.isfinite(places).all(axis=(1, 2))

    def run(batch: np.ndarray) -> Answer:
        B, H, W, _ = batch.shape
        cells = (places * way.scale(marked()) + 0.5) / 8 - 0.5
        size = W // 8, H // 8
        heat = np.zeros((K, *size[::-1]), np.float32)
        heat[known] = gaussians(cells[known], size, 1.0).max(axis=1)
        fields = np.zeros((L, 2, *size[::-1]), np.float32)
        grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), axis=2)
        for field, limb in zip(layout.fields, layout.limbs, strict=True):
            for start, end in zip(*cells[limb], strict=True):
                if not known[limb].all():
                    continue
                unit = (end - start) / np.linalg.norm(end - start)
                along, across = (grid - start) @ unit, (grid - start) @ np.array([-unit[1], unit[0]])
                near = (along > -1.5) & (along < np.linalg.norm(end - start) + 1.5) & (np.abs(across) < 1.5)
                fields[field][:, near] = unit[:, None]
        flat, background = fields.reshape(2 * L, *size[::-1]), np.zeros((1, *size[::-1]), np.float32)
        if in_one_output:
            return (np.stack([np.concatenate([heat, background, flat])] * B),)
        return np.stack([flat] * B), np.stack([np.concatenate([heat, background])] * B)

    return run


def drawn_parts(way: WholeImage) -> Callable[[np.ndarray], Answer]:
    """DeeperCut's answer: probabilities, offsets to the exact places, and offsets to the joints of the same person."""
    K = len(way.skeleton)
    people = PLACES.transpose(1, 0, 2)[: 1 if way.grouping == "single" else 2]
    places = mapped(people, np.ones(people.shape[:2]), COCO_17, way.skeleton)[0]  # (P, K, 2)

    def run(batch: np.ndarray) -> Answer:
        B, H, W, _ = batch.shape
        pixels = places * way.scale(marked())
        size = W // 8, H // 8
        heat = 0.95 * gaussians((pixels.transpose(1, 0, 2) - 4) / 8, size, 1.0).max(axis=1)
        centres = np.stack(np.meshgrid(*(8 * np.arange(length) + 4 for length in size)), axis=2)
        of = np.linalg.norm(centres[None, None] - pixels[:, :, None, None], axis=4).argmin(axis=0)  # (K, h, w)
        locref = np.concatenate([(pixels[of[k], k] - centres).transpose(2, 0, 1) for k in range(K)])
        pairs = [pixels[of[k], b] - centres for k in range(K) for b in range(K) if b != k]
        pairwise = np.concatenate(pairs, axis=2).transpose(2, 0, 1) if way.grouping == "partition" else None
        return tuple(np.stack([each] * B) for each in (heat, locref, pairwise) if each is not None)

    return run


DRAWN: dict[str, Callable[[WholeImage], Callable[[np.ndarray], Answer]]] = {
    "higherhrnet_w32": lambda way: drawn_tags(way, 1),
    "ae_hourglass_4stack": lambda way: drawn_tags(way, 4),
    "caffe_openpose_coco": drawn_fields,
    "caffe_openpose_mpi": drawn_fields,
    "openpose_body25": partial(drawn_fields, in_one_output=True),
    "openpose_body135": partial(drawn_fields, in_one_output=True),
    "deepercut_r101_coco17": drawn_parts,
    "deepercut_r101_mpii14": drawn_parts,
}


def drawn(name: str, **options: bool) -> BottomUpNetwork:
    published = GROUPED[name].way
    way = replace(published, side_px=published.side_px // 2, pairs=NEAR if published.grouping == "partition" else None)
    return BottomUpNetwork(DRAWN[name](way), way, **options)


@pytest.mark.parametrize("name", GROUPED)
def test_drawn_people_are_found_where_they_stand(name: str) -> None:
    [poses] = drawn(name)(frames_of([marked()]))
    assert len(poses) == (1 if GROUPED[name].way.grouping == "single" else 2)
    left_first = poses[np.argsort(poses.boxes[:, 0])]
    skeleton = GROUPED[name].way.skeleton
    known = [joint for joint in COCO_17.joints if joint in skeleton.joints]
    columns = [skeleton.index(joint) for joint in known]
    found = left_first.keypoints[:, columns]
    truth = PLACES[[COCO_17.index(joint) for joint in known]].transpose(1, 0, 2)[: len(poses)]
    assert np.abs(found - truth).max() < 2.0
    assert np.median(np.abs(found - truth)) < 0.8  # a cell is up to 5.6 pixels
    assert (poses.scores > 0.4).all()
    assert (poses.scores <= 1).all()
    assert (poses.keypoint_scores[:, columns] > 0.5).all()
    around = np.concatenate([PLACES.min(axis=0), PLACES.max(axis=0)], axis=1)
    assert np.abs(left_first.boxes - around[: len(poses)]).max() < 32  # with room for head and feet
    assert poses.boxes.min() >= 0


@pytest.mark.parametrize("name", ["higherhrnet_w32", "ae_hourglass_4stack"])
def test_the_flip_test_of_a_symmetric_network_changes_nothing(name: str) -> None:
    [plain] = drawn(name)(frames_of([marked()]))
    [flipped] = drawn(name, flip_test=True)(frames_of([marked()]))
    np.testing.assert_allclose(flipped.keypoints, plain.keypoints, atol=1e-3)
    np.testing.assert_allclose(flipped.scores, plain.scores, atol=1e-5)


@pytest.mark.parametrize("name", sorted(GROUPED.keys() - {"openpose_body135"}))  # as openpose_body25, but slower
def test_results_for_images_of_any_size_do_not_depend_on_the_batch(name: str) -> None:
    network = drawn(name)
    [alone] = network(frames_of([marked()]))
    small, first, empty_strip = network(frames_of([marked()[:200, :300], marked(), np.zeros((4, 400, 3), np.uint8)]))
    assert np.array_equal(first.keypoints, alone.keypoints, equal_nan=True)
    for poses in (small, empty_strip):
        assert (poses.keypoint_scores >= 0).all()
    assert network([]) == []


@pytest.mark.parametrize(
    ("name", "size", "canvas"),
    [
        ("higherhrnet_w32", (480, 640), (512, 704)),
        ("ae_hourglass_4stack", (480, 640), (384, 512)),
        ("caffe_openpose_coco", (480, 640), (368, 496)),
        ("higherhrnet_w32", (10, 400), (64, 2048)),  # no larger than four times the fixed side
    ],
)
def test_canvases_are_whole_cells_around_the_scaled_image(
    name: str, size: tuple[int, int], canvas: tuple[int, int]
) -> None:
    assert GROUPED[name].way.canvas(np.zeros((*size, 3), np.uint8)).shape == (*canvas, 3)


def test_openposes_limbs_are_the_published_ones() -> None:
    golden = recorded("openpose_paf_assembly")
    layout = LAYOUTS["limbs_18"]
    assert (layout.limbs + 1).tolist() == golden["limb_seq"].tolist()
    assert [(x - 19) // 2 for x, _ in golden["map_idx"]] == layout.fields.tolist()
    assert layout.not_starting == OPENPOSE_COCO.not_starting


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_limbs_reach_every_joint_and_have_a_field_each(layout: LimbLayout) -> None:
    assert sorted(layout.fields) == list(range(len(layout)))
    assert set(layout.limbs.ravel()) == set(range(len(layout.skeleton)))


def test_limbs_of_whole_bodies_lie_on_parts_of_one_side() -> None:
    skeleton = LAYOUTS["limbs_135"].skeleton
    named = {tuple(skeleton.joints[k] for k in limb) for limb in LAYOUTS["limbs_135"].limbs}
    assert ("left_wrist", "left_thumb_1") in named
    assert ("right_little_3", "right_little_4") in named
    assert ("left_ankle", "left_heel") in named
    assert ("nose", "nose_bridge_4") in named
    assert {("right_eye_outer", "right_pupil"), ("left_eye_outer", "left_pupil")} <= named


def test_maps_and_tags_are_taken_from_the_last_stack() -> None:
    stacks = torch.arange(2 * 68.0).reshape(1, 2, 68, 1, 1)

    class Stacks(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return stacks

    heat, tags = AssociativeMaps(Stacks())(torch.zeros(1))
    assert heat.flatten().tolist() == list(range(68, 68 + 17))
    assert tags.flatten().tolist() == list(range(68 + 17, 68 + 34))


@pytest.mark.parametrize("name", ["higherhrnet_w32", "caffe_openpose_coco", "openpose_body25"])
def test_networks_with_random_weights_run(name: str, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bottom_up, "loaded", lambda name, weights: (NETWORKS[name](), None))
    network = create_bottom_up(name, runtime=runtime, input_size=128)
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    first, second = network(frames_of([image, image]))
    assert np.array_equal(first.keypoints, second.keypoints, equal_nan=True)
    assert network.skeleton is GROUPED[name].way.skeleton


def test_the_multi_person_network_needs_a_model_of_pairs_beside_its_weights(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weights = Weights(
        name="deepercut", path=tmp_path / "deepercut.safetensors", sha256="", licence="", source="", about=""
    )
    monkeypatch.setattr(bottom_up, "loaded", lambda name, given: (nn.Identity(), weights))
    with pytest.raises(InputError, match=r"expected statistics and regressions of pairs in .*deepercut\.pairs\.npz"):
        create_bottom_up("deepercut_r101_coco17", runtime=runtime)
    np.savez(tmp_path / "deepercut.pairs.npz", **vars(NEAR))
    assert create_bottom_up("deepercut_r101_coco17", runtime=runtime).skeleton is COCO_17


def test_flip_test_is_refused_where_it_was_not_published() -> None:
    with pytest.raises(InputError, match="flip_test: was not published"):
        drawn("caffe_openpose_coco", flip_test=True)


def test_keypoint_rcnn_gives_what_torchvision_gives(runtime: Runtime) -> None:
    torch.manual_seed(0)
    module = keypoint_rcnn._network(64).eval()
    network = keypoint_rcnn.KeypointRCNN(runtime.load_module(RcnnPeople(module)))
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    first, second = network(frames_of([image, image[:, :80]]))
    with torch.inference_mode():
        [wanted] = module([torch.from_numpy(image).permute(2, 0, 1) / 255])
    assert len(first) == len(wanted["scores"]) > 0
    np.testing.assert_allclose(first.boxes, wanted["boxes"], atol=1e-3)
    np.testing.assert_allclose(first.keypoints, wanted["keypoints"][..., :2], atol=1e-2)
    assert (np.diff(second.scores) <= 0).all()
    assert (first.keypoint_scores > 0).all()
    assert (first.keypoint_scores <= 1).all()
