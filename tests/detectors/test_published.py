"""Detectors that bring no weights: preprocessing, decoding by hand and against recorded answers, and the protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import DETECTORS, NETWORKS, create_detector
from detectors.decode import decode_rtmdet, decode_yolox
from detectors.letterbox import Letterbox, half_up
from detectors.torchvision_models import _network
from posetrail.errors import InputError
from posetrail.nms import nms
from posetrail.protocols import Detector
from posetrail.runtime import Runtime
from posetrail.similarity import box_area, box_iou
from tests.frames import frames_of
from tests.functions import recorded
from tests.goldens import sees_people_everywhere


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A checkpoint with numbers from a formula, for a network by its name: it sees people everywhere."""
    folder = tmp_path_factory.mktemp("weights")

    def saved(name: str) -> Path:
        path = folder / f"{name}.pth"
        if not path.exists():
            torch.save({"model": sees_people_everywhere(NETWORKS[name]())}, path)
        return path

    return saved


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def yolox_answers(*cells: tuple[list[float], float, dict[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    boxes, sure = np.zeros((1, len(cells), 4), np.float32), np.zeros((1, len(cells), 81), np.float32)
    for i, (box, objectness, classes) in enumerate(cells):
        boxes[0, i], sure[0, i, 0] = box, objectness
        for class_id, likely in classes.items():
            sure[0, i, 1 + class_id] = likely
    return boxes, sure


def test_yolox_boxes_of_people_are_sorted_by_score() -> None:
    answers = yolox_answers(
        ([50, 60, 20, 40], 0.5, {0: 0.8}),
        ([10, 10, 4, 4], 0.9, {0: 1.0}),
        ([10, 10, 4, 4], 1.0, {0: 0.4, 16: 0.9}),  # a dog
        ([10, 10, 4, 4], 0.1, {0: 1.0}),  # below the threshold
    )
    [(boxes, scores)] = decode_yolox(*answers, min_score=0.3)
    assert boxes.tolist() == [[8, 8, 12, 12], [40, 40, 60, 80]]
    assert scores.tolist() == pytest.approx([0.9, 0.4])


def test_rtmdet_distances_start_at_the_top_left_corner_of_a_cell() -> None:
    levels = [
        (np.full((2, 3, 64 // s, 96 // s), -10, np.float32), np.zeros((2, 4, 64 // s, 96 // s), np.float32))
        for s in (8, 16, 32)
    ]
    levels[1][0][1, 0, 2, 3], levels[1][1][1, :, 2, 3] = 3.0, [1, 2, 3, 4]
    levels[0][0][1, 1, 5, 5] = 9.0  # another class
    nobody, (boxes, scores) = decode_rtmdet(levels, 0.05)
    assert nobody[0].shape == (0, 4)
    assert boxes.tolist() == [[48 - 1, 32 - 2, 48 + 3, 32 + 4]]
    assert scores.tolist() == pytest.approx([1 / (1 + np.exp(-3))])


@pytest.mark.parametrize(
    ("rows", "nms_iou", "by_class"), [("dets_img0", 0.45, True), ("dets_agnostic_img0", 0.65, False)]
)
def test_yolox_boxes_and_suppression_equal_the_recorded_ones(rows: str, nms_iou: float, by_class: bool) -> None:
    golden = recorded("yolox_postprocess")
    boxes, scores, classes = [], [], []
    for class_id in range(80):
        found, nothing = decode_yolox(golden["pred"][..., :4], golden["pred"][..., 4:], 0.3, class_id)
        assert len(nothing[1]) == 0
        kept = nms(box_iou(found[0], found[0]), found[1], nms_iou if by_class else 1.0)
        boxes.append(found[0][kept])
        scores.append(found[1][kept])
        classes.append(np.full(len(kept), class_id))
    all_boxes, all_scores, all_classes = np.concatenate(boxes), np.concatenate(scores), np.concatenate(classes)
    order = nms(box_iou(all_boxes, all_boxes), all_scores, 1.0 if by_class else nms_iou)
    wanted = golden[rows]
    np.testing.assert_allclose(all_boxes[order], wanted[:, :4], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(all_scores[order], wanted[:, 4] * wanted[:, 5], rtol=1e-5)
    assert all_classes[order].tolist() == wanted[:, 6].tolist()


def test_the_canvas_is_the_recorded_one() -> None:
    golden = recorded("yolox_postprocess")
    canvas = Letterbox(64, square=True, rounding=int).put(golden["preproc_image"])
    assert np.abs(canvas.transpose(2, 0, 1) - golden["preproc_out"]).max() <= 1  # another build of OpenCV rounds anew


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 700),
    width=st.integers(1, 700),
    square=st.booleans(),
    rounding=st.sampled_from([int, half_up, round]),
)
def test_the_canvas_keeps_the_aspect_ratio_and_is_inverted_exactly(
    height: int, width: int, square: bool, rounding: Callable[[float], int]
) -> None:
    letterbox = Letterbox(160, square, rounding)
    canvas = letterbox.put(np.zeros((height, width, 3), np.uint8))
    assert canvas.shape[0] % 32 == canvas.shape[1] % 32 == 0
    assert max(canvas.shape) == 160
    assert not square or canvas.shape == (160, 160, 3)
    rows, columns = (canvas == 0).all(axis=(1, 2)), (canvas == 0).all(axis=(0, 2))
    inside = canvas[: letterbox.scaled((height, width))[0], : letterbox.scaled((height, width))[1]]
    assert (inside == 0).all()
    assert (canvas == 114).sum() == canvas.size - inside.size
    assert len(rows) == canvas.shape[0]
    assert len(columns) == canvas.shape[1]
    whole = np.array([[0, 0, inside.shape[1], inside.shape[0]]], np.float32)
    assert letterbox.take(whole, (height, width)) == pytest.approx(np.array([[0, 0, width, height]]), rel=1e-5)
    assert letterbox.take(whole * 3 - 1, (height, width)).max() <= max(height, width)


MAKERS: dict[str, dict[str, Any]] = {
    "yolox_nano": {"input_size": 96, "min_score": 0.2},
    "rtmdet_nano_person": {"input_size": 96},
    "rtmdet_tiny": {"input_size": 64, "square": False},
}


@pytest.fixture(scope="module", params=MAKERS)
def detector(request: pytest.FixtureRequest, runtime: Runtime, weights: Callable[[str], Path]) -> Detector:
    return create_detector(request.param, runtime=runtime, weights=weights(request.param), **MAKERS[request.param])


def test_boxes_are_inside_the_image_sorted_and_without_duplicates(detector: Any) -> None:
    for shape in ((90, 160), (33, 65), (1, 1), (3, 500)):
        [found] = detector(frames_of([picture(*shape)]))
        assert (box_area(found.boxes) > 0).all()
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [shape[1], shape[0]] * 2).all()
        assert (np.diff(found.scores) <= 0).all()
        assert (found.scores >= detector.min_score).all()
        if min(shape) > 32:
            assert len(found) > 3


def test_results_do_not_depend_on_the_batch(detector: Detector) -> None:
    images = [picture(90, 160), picture(90, 160, 1), picture(120, 70, 2), picture(90, 160)]
    for image, found in zip(images, detector(frames_of(images)), strict=True):
        [alone] = detector(frames_of([image]))
        assert np.array_equal(found.boxes, alone.boxes)
        assert np.array_equal(found.scores, alone.scores)
    assert detector([]) == []


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("yolox_nano", (0, 0, 0), (1, 1, 1)),
        ("rtmdet_nano_person", (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
    ],
)
def test_preprocessing_is_that_of_the_training(
    runtime: Runtime, weights: Callable[[str], Path], name: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    image = picture(64, 64)
    [found] = create_detector(name, runtime=runtime, weights=weights(name), input_size=64, min_score=0.1)(
        frames_of([image])
    )
    network = NETWORKS[name]().eval()
    network.load_state_dict(torch.load(weights(name), weights_only=True)["model"])
    blue_first = (image[:, :, ::-1].astype(np.float32) - np.float32(mean)) / np.float32(std)
    with torch.inference_mode():
        answers = [a.numpy() for a in network(torch.from_numpy(blue_first.transpose(2, 0, 1)[None])).values()]
    if name == "yolox_nano":
        [(boxes, scores)] = decode_yolox(answers[2], answers[1], 0.1)
    else:
        [(boxes, scores)] = decode_rtmdet(list(zip(answers[::2], answers[1::2], strict=True)), 0.1)
    assert found.scores[0] == pytest.approx(scores[0], abs=1e-6)
    assert found.boxes[0] == pytest.approx(np.clip(boxes[0], 0, 64), abs=1e-3)


def test_a_given_file_is_recorded_with_its_digest(runtime: Runtime, weights: Callable[[str], Path]) -> None:
    detector: Any = create_detector("rtmdet_nano_person", runtime=runtime, weights=str(weights("rtmdet_nano_person")))
    assert detector.weights.name == "rtmdet_nano_person"
    assert len(detector.weights.sha256) == 64
    assert detector.weights.size_bytes > 1_000_000


def test_missing_weights_other_weights_and_wrong_sizes_are_refused(
    runtime: Runtime, weights: Callable[[str], Path]
) -> None:
    for options, said in (
        (
            {"name": "yolox_s"},
            "yolox_s: its weights are not on this machine; `posetrail models fetch yolox_s` downloads them from https",
        ),
        ({"name": "yolox_s", "weights": "gone.pth"}, "weights gone.pth: cannot be read"),
        ({"name": "rtmdet_m", "weights": weights("yolox_nano")}, "expected weights of RTMDet, got others: .* missing"),
        ({"name": "yolox_nano", "weights": weights("yolox_nano"), "input_size": 100}, "expected a multiple of 32"),
        ({"name": "torchvision:ssd300_vgg16", "weights": "x", "input_size": 640}, "ssd300_vgg16 has a fixed size"),
        ({"name": "torchvision:fcos"}, "unknown detector 'torchvision:fcos'; did you mean 'torchvision:"),
    ):
        with pytest.raises(InputError, match=said) as told:
            create_detector(**options, runtime=runtime)
        assert "\n" not in str(told.value)


TORCHVISION = sorted(name.removeprefix("torchvision:") for name in DETECTORS if name.startswith("torchvision:"))


def published(name: str, state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
    """The network as torchvision builds it around its own weights, these numbers in their place."""
    from torchvision.models import WeightsEnum, get_model

    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: state)
    return get_model(name, weights="DEFAULT", **options).eval()


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_are_built_as_torchvision_builds_them_for_its_own_weights(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
    with torch.device("meta"):  # the structure alone, in no time
        ours, original = _network(name, 91, {}), published(name, {}, monkeypatch)
    shapes, wanted = (
        {key: value.shape for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
        for network in (ours, original)
    )
    assert shapes == wanted
    eps, wanted_eps = (
        {key: module.eps for key, module in network.named_modules() if hasattr(module, "eps")}
        for network in (ours, original)
    )
    assert eps == wanted_eps


@pytest.mark.parametrize("name", ["fasterrcnn_mobilenet_v3_large_320_fpn", "ssdlite320_mobilenet_v3_large"])
def test_results_equal_those_of_torchvision_for_single_images(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    torch.manual_seed(0)
    state = _network(name, 91, {}).state_dict()
    for key, value in state.items():
        if key.endswith("bias") and len(value) % 91 == 0:
            value.view(-1, 91)[:, 1] += 4  # or nobody would be seen
    torch.save(state, tmp_path / "weights.pth")
    given = {"weights": tmp_path / "weights.pth", "min_score": 0.3}
    detector = create_detector(f"torchvision:{name}", runtime=runtime, **given)
    images = [picture(60, 90), picture(80, 50, 1), picture(60, 90, 2)]
    option = "box_score_thresh" if name.startswith("fasterrcnn") else "score_thresh"
    original = published(name, state, monkeypatch, **{option: 0.3})
    for image, found in zip(images, detector(frames_of(images)), strict=True):
        with torch.inference_mode():
            [wanted] = original([torch.from_numpy(image).permute(2, 0, 1).float() / 255])
        people = wanted["labels"] == 1
        assert len(found) > 0
        np.testing.assert_allclose(found.boxes, wanted["boxes"][people], atol=1e-2)
        np.testing.assert_allclose(found.scores, wanted["scores"][people], atol=1e-5)
    assert detector([]) == []
