"""ThunderNet's second stage against recorded answers, the detector around it, and gradients of its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import NETWORKS, create_detector
from detectors.networks.thundernet import ClassBoxes, ThunderNet
from detectors.networks.thundernet_head import (
    base_anchors,
    class_boxes,
    clip_boxes,
    decode_boxes,
    foreground,
    grid_anchors,
    pool_regions,
    propose,
)
from posetrail.errors import InputError
from posetrail.runtime import Runtime
from posetrail.similarity import box_area
from tests.frames import frames_of
from tests.functions import recorded
from tests.goldens import formula_weights

PERSON = 15  # of VOC


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with numbers from a formula: it sees people in some places, and its proposals are near anchors."""
    state = {
        key: formula_weights(key, value.shape, 1.4)
        for key, value in NETWORKS["thundernet_snet49"]().state_dict().items()
    }
    state["RCNN_cls_score.bias"][PERSON] += 2
    state["RCNN_base.conv1.0.weight"] /= 100  # pixels are not divided
    path = tmp_path_factory.mktemp("weights") / "thundernet.pth"
    torch.save({"model": state}, path)
    return path


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def tensors(*names: str) -> list[torch.Tensor]:
    golden = recorded("thundernet_head")
    return [torch.from_numpy(golden[name]) for name in names]


def test_anchors_and_proposals_equal_the_recorded_ones() -> None:
    anchors, rpn_cls, rpn_reg, rpn_prob, proposals = tensors("anchors", "rpn_cls", "rpn_reg", "rpn_prob", "proposals")
    assert base_anchors().tolist() == anchors.tolist()
    torch.testing.assert_close(foreground(rpn_cls), rpn_prob[:, 25:])
    torch.testing.assert_close(propose(rpn_cls, rpn_reg, (64, 80), 40), proposals[..., 1:], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_pooled_regions_equal_the_recorded_ones(pooling: str) -> None:
    features, rois, expected = tensors("feat", "rois", f"pooled_{pooling}")
    pooled = pool_regions(features, rois[None, :, 1:], pooling)
    torch.testing.assert_close(pooled[0], expected, rtol=1e-4, atol=1e-5)


def test_classes_and_deltas_equal_the_recorded_ones() -> None:
    features, rois, cls_score, bbox_pred = tensors("feat", "rois", "cls_score", "bbox_pred")
    network = ThunderNet("snet49").eval()
    network.load_state_dict({key: formula_weights(key, value.shape, 1) for key, value in network.state_dict().items()})
    with torch.inference_mode():
        scores, deltas = network.classify(features, rois[None, :, 1:])
    torch.testing.assert_close(scores[0], cls_score, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(deltas[0], bbox_pred, rtol=1e-4, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(x=st.floats(-150, 250), y=st.floats(-150, 250), width=st.floats(0, 200), height=st.floats(0, 200))
def test_pooling_a_plane_gives_its_values_in_the_bins(x: float, y: float, width: float, height: float) -> None:
    """Bilinear samples of x inside the map are x; the mean of a bin's samples lies in its middle."""
    columns = torch.arange(10.0).expand(1, 49, 10, 10)
    pooled = pool_regions(columns, torch.tensor([[[x, y, x + width, y + height]]]), "mean")[0, 0, 0]
    side = max(width / 16, 0.1)
    for column in range(7):
        samples = [x / 16 + side * (column + part) / 7 for part in (0.25, 0.75)]
        rows = [y / 16 + max(height / 16, 0.1) * part / 28 for part in range(28)]
        if all(0 <= place <= 9 for place in (*samples, *rows)):
            assert pooled[:, column].tolist() == pytest.approx([sum(samples) / 2] * 7, abs=1e-4)
    outside = x / 16 > 10.01 or x / 16 + side < -1.01 or y / 16 > 10.01
    assert not outside or (pooled == 0).all()


def test_boxes_by_hand() -> None:
    boxes = torch.tensor([[10.0, 20.0, 29.0, 59.0]])  # 20 x 40 inclusive pixels around (20, 40)
    assert decode_boxes(torch.zeros(1, 4), boxes).tolist() == [[10, 20, 30, 60]]
    moved = decode_boxes(torch.tensor([[0.5, -0.25, np.log(2), 0]]), boxes)
    assert moved[0].tolist() == pytest.approx([10, 10, 50, 50])
    assert clip_boxes(torch.tensor([[-3.0, 5.0, 99.0, 101.0]]), (90, 60)).tolist() == [[0, 5, 59, 89]]
    deltas = torch.zeros(1, 1, 8)
    deltas[..., 4:] = torch.tensor([5.0, 0, 0, 0])  # of class 1: half a width to the right
    assert class_boxes(deltas, boxes[None], 1, (90, 60)).tolist() == [[[20, 20, 40, 60]]]
    anchors = grid_anchors(2, 3, boxes).view(2, 3, 25, 4)
    assert (anchors[1, 2] - anchors[0, 0]).tolist() == [[32, 16, 32, 16]] * 25


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("thundernet")])
def test_every_weight_has_a_gradient_in_training(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]().train()
    outputs = network(torch.randn(2, 3, 64, 64))
    sum(output.square().mean() for output in outputs.values()).backward()
    still = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == []


def test_the_maps_do_not_depend_on_the_mode_of_the_second_stage() -> None:
    network = NETWORKS["thundernet_snet49"]()
    assert [*network.eval()(torch.zeros(1, 3, 64, 64))] == ["rpn_cls", "rpn_reg", "sam_feat", "cem"]
    trained = network.train()(torch.randn(2, 3, 64, 64))
    assert trained["proposals"].shape == (2, 200, 4)
    assert trained["cls_score"].shape == (2, 200, 21)
    assert trained["bbox_pred"].shape == (2, 200, 84)


class Knowing(torch.nn.Module):
    """A network whose proposals are given by their deltas and whose second stage sees a person everywhere."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = torch.zeros(len(images), 50, 4, 4)
        logits[:, 25 + 1, 1, 1], logits[:, 25 + 6, 2, 2] = 9, 8
        return {"rpn_cls": logits, "rpn_reg": torch.zeros(len(images), 100, 4, 4), "sam_feat": logits}

    def classify(self, _: torch.Tensor, regions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        N, R, _ = regions.shape
        logits = torch.zeros(N, R, 3)
        logits[..., 1] = torch.linspace(4, -4, R)
        return logits, torch.zeros(N, R, 12)


def test_boxes_of_one_class_are_the_best_proposals_after_nms() -> None:
    found = ClassBoxes(Knowing(), 1, min_score=0.5, nms_iou=0.5, count=6)  # type: ignore[arg-type]
    boxes, scores = found(torch.zeros(1, 3, 64, 64))
    proposal = clip_boxes(decode_boxes(torch.zeros(4), base_anchors()[1].float() + 16), (64, 64))
    assert boxes[0, 0].tolist() == clip_boxes(decode_boxes(torch.zeros(4), proposal), (64, 64)).tolist()
    expected = float(torch.tensor([0, 4.0, 0]).softmax(0)[1])
    assert float(scores[0, 0]) == pytest.approx(expected)
    assert (np.diff(scores[0].numpy()) <= 0).all()
    assert ((scores == 0) | (scores >= 0.5)).all()
    assert (boxes[0][scores[0] == 0] == 0).all()


def test_people_are_inside_the_image_and_do_not_depend_on_the_batch(runtime: Runtime, weights: Path) -> None:
    detector = create_detector("thundernet_snet49", runtime=runtime, weights=weights, input_size=96)
    images = [image(90, 160), image(33, 65, 1), image(1, 1), image(90, 160, 2)]
    together = detector(frames_of(images))
    assert sum(map(len, together)) > 3
    for each, found in zip(images, together, strict=True):
        [alone] = detector(frames_of([each]))
        assert np.array_equal(found.boxes, alone.boxes)
        assert np.array_equal(found.scores, alone.scores)
        assert (box_area(found.boxes) > 0).all()
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [each.shape[1], each.shape[0]] * 2).all()
        assert (np.diff(found.scores) <= 0).all()
        assert (found.scores >= 0.05).all()
    assert detector([]) == []


def test_preprocessing_and_scale_are_those_of_the_training(runtime: Runtime, weights: Path) -> None:
    network = NETWORKS["thundernet_snet49"]().eval()
    network.load_state_dict(torch.load(weights, weights_only=True)["model"])
    picture = image(64, 64)
    pixels = torch.from_numpy((picture - np.float32([123.7, 116.3, 103.5])).transpose(2, 0, 1)[None])
    with torch.inference_mode():
        boxes, scores = ClassBoxes(network, PERSON)(pixels)
    [found] = create_detector("thundernet_snet49", runtime=runtime, weights=weights, input_size=64)(
        frames_of([picture])
    )
    count = len(found)
    assert count > 0
    np.testing.assert_allclose(found.boxes, boxes[0, :count], atol=1e-3)
    np.testing.assert_allclose(found.scores, scores[0, :count], atol=1e-5)
    wide = np.repeat(picture, 2, axis=1)  # stretched to the square again
    [stretched] = create_detector("thundernet_snet49", runtime=runtime, weights=weights, input_size=64)(
        frames_of([wide])
    )
    assert stretched.boxes[0] == pytest.approx(found.boxes[0] * [2, 1, 2, 1], rel=0.2, abs=3)


def test_weights_for_another_number_of_classes_are_read(runtime: Runtime, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(ThunderNet("snet49", classes=2).state_dict(), tmp_path / "people.pth")
    detector = create_detector(
        "thundernet_snet49", runtime=runtime, weights=tmp_path / "people.pth", input_size=64, min_score=0.0
    )
    [found] = detector(frames_of([image(64, 64)]))
    assert len(found) > 0


def test_wrong_options_are_refused(runtime: Runtime, weights: Path) -> None:
    for options, message in (
        ({"input_size": 100}, "input_size: expected a multiple of 32 such as 320, got 100"),
        ({"pooling": "sum"}, "unknown pooling 'sum'"),
        ({"proposals": 0}, "proposals: expected a number from 1, got 0"),
        ({"name": "thundernet_snet146"}, "expected weights of ThunderNet, got others"),
        (
            {"name": "thundernet_snet535", "weights": None},
            "thundernet_snet535: no weights are published for it; give --detector-weights",
        ),
    ):
        with pytest.raises(InputError, match=message):
            create_detector(**{"name": "thundernet_snet49", "weights": weights, **options}, runtime=runtime)
