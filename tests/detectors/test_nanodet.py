"""NanoDet: decoding by hand, letterbox and back, the weights' own answers, and real people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import create_detector
from detectors.nanodet import NETWORK, NanoDet, decode, letterbox_of, with_close_ups
from posetrail.errors import InputError
from posetrail.poses import Detections
from posetrail.runtime import Runtime
from posetrail.similarity import box_area, box_iou
from tests.frames import frames_of


def levels(height: int, width: int) -> list[np.ndarray]:
    """Answers of a network that sees nobody in one image of this size."""
    empty = [np.zeros((1, 45, height // stride, width // stride), np.float32) for stride in (8, 16, 32)]
    for level in empty:
        level[:, 0] = -10
    return empty


def test_boxes_are_decoded_from_distances_to_the_centre_of_a_cell() -> None:
    answers = levels(96, 128)
    cell = answers[1][0, :, 2, 3]  # stride 16: the middle is at x 56, y 40
    cell[0] = 3.0
    for side, bin_ in enumerate((1, 2, 3, 0)):  # left, top, right, bottom, each surely so many strides
        cell[1 + 11 * side + bin_] = 50.0
    [(boxes, scores)] = decode(tuple(answers), 0.05)
    assert boxes == pytest.approx(np.array([[56 - 16, 40 - 32, 56 + 48, 40]]))
    assert scores == pytest.approx([1 / (1 + np.exp(-3))])


def test_distances_are_expected_values_and_boxes_are_sorted_by_score() -> None:
    answers = levels(64, 64)
    for row, logit in ((0, 1.0), (1, 2.0)):
        answers[2][0, 0, row, 0] = logit
    [(boxes, scores)] = decode(tuple(answers), 0.5)
    assert scores[0] > scores[1]
    assert boxes[0] == pytest.approx([16 - 160, 48 - 160, 16 + 160, 48 + 160])  # the mean of 0..10 is 5 strides


def test_images_without_people_give_empty_detections() -> None:
    two = tuple(np.concatenate([level, level]) for level in levels(64, 96))
    assert [(b.shape, s.shape) for b, s in decode(two, 0.05)] == [((0, 4), (0,))] * 2


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 700), width=st.integers(1, 700), input_size=st.sampled_from([64, 256, 416]))
def test_letterboxing_keeps_the_aspect_ratio_and_is_inverted_exactly(height: int, width: int, input_size: int) -> None:
    letterbox = letterbox_of(input_size)
    canvas = letterbox.put(np.full((height, width, 3), 255, np.uint8))
    assert canvas.shape[0] % 32 == canvas.shape[1] % 32 == 0
    assert max(canvas.shape) == input_size
    rows, columns = np.flatnonzero(canvas.any(axis=(1, 2))), np.flatnonzero(canvas.any(axis=(0, 2)))
    box = np.array([[0, 0, len(columns), len(rows)]], np.float32)
    assert letterbox.take(box, (height, width)) == pytest.approx(np.array([[0, 0, width, height]]), rel=1e-5)
    assert letterbox.take(box * 3 - 1, (height, width)).max() <= max(height, width)


def test_outputs_equal_those_recorded_when_they_matched_the_original(each_backend: Runtime) -> None:
    # To remake: print the left-hand sides. They were taken when logits and bins equalled the original graph's to 1e-3.
    image = np.random.default_rng(7).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    answers = each_backend.load(NETWORK)(image)
    assert [answer.shape for answer in answers] == [(1, 45, 8, 12), (1, 45, 4, 6), (1, 45, 2, 3)]
    np.testing.assert_allclose([a[0, 0].mean() for a in answers], [-4.0079, -4.1289, -4.5395], atol=1e-3)
    np.testing.assert_allclose([np.abs(a[0, 1:]).mean() for a in answers], [1.1717, 0.7591, 0.599], atol=1e-3)


@pytest.mark.parametrize("frame", [76, 115])
def test_network_and_boxes_equal_the_original_graph(each_backend: Runtime, shared: Path, frame: int) -> None:
    golden = np.load(shared / "goldens" / "embedded" / "embedded.npz")
    image = golden[f"nanodet_{frame}_input_bgr_uint8"][None, :, :, ::-1]
    answers = each_backend.load(NETWORK)(image)
    for stride, answer in zip((8, 16, 32), answers, strict=True):
        np.testing.assert_allclose(answer[0, 0], golden[f"nanodet_{frame}_person_logit_s{stride}"], atol=1e-3)
        np.testing.assert_allclose(answer[0, 1:], golden[f"nanodet_{frame}_bins_s{stride}"], atol=1e-2)
    [(boxes, scores)] = decode(answers, 0.3)
    boxes = letterbox_of(640).take(boxes, (994, 1768))
    nearest = box_iou(golden[f"nanodet_{frame}_boxes_in_frame_px"], boxes).argmax(axis=1)
    np.testing.assert_allclose(boxes[nearest], golden[f"nanodet_{frame}_boxes_in_frame_px"], atol=0.5)
    np.testing.assert_allclose(scores[nearest], golden[f"nanodet_{frame}_scores"], atol=1e-4)


def test_the_people_of_the_example_clip_are_found(runtime: Runtime, first_frame: np.ndarray) -> None:
    [found] = create_detector("nanodet", runtime=runtime)(frames_of([first_frame]))
    people = np.array([[250, 330, 580, 1160], [520, 780, 970, 1740]])  # the man on the mat, the woman before him
    sure = found[found.scores >= 0.4]
    assert (box_iou(people, sure.boxes).max(axis=1) > 0.7).all()
    assert (np.diff(found.scores) <= 0).all()


def test_a_person_who_fills_the_image_is_found_by_the_second_pass(runtime: Runtime, first_frame: np.ndarray) -> None:
    woman = first_frame[770:1760, 480:1010].repeat(2, axis=0).repeat(2, axis=1)
    [once] = NanoDet(runtime, close_ups=False)(frames_of([woman]))
    [twice] = NanoDet(runtime)(frames_of([woman]))
    whole = np.array([[0, 0, woman.shape[1], woman.shape[0]]])
    assert box_iou(whole, once.boxes[:1])[0, 0] < 0.6  # half of her
    assert box_iou(whole, twice.boxes[:1])[0, 0] > 0.8
    assert (twice.scores > 0.4).sum() == 1


def test_the_second_pass_adds_large_boxes_and_removes_their_parts_only() -> None:
    first = Detections([[0, 0, 40, 45], [0, 50, 40, 95], [10, 10, 20, 30], [60, 0, 100, 50]], [0.9, 0.8, 0.7, 0.6])
    second = Detections([[0, 0, 40, 95], [60, 0, 80, 40]], [0.5, 0.9])
    both = with_close_ups(first, second, image_length=100)
    assert both.boxes.tolist() == [[10, 10, 20, 30], [60, 0, 100, 50], [0, 0, 40, 95]]
    assert len(with_close_ups(Detections.empty(), Detections.empty(), 100)) == 0
    unsure = Detections(second.boxes, [0.3, 0.3])
    assert len(with_close_ups(first, unsure, image_length=100)) == 5


def test_results_do_not_depend_on_the_batch(runtime: Runtime, first_frame: np.ndarray) -> None:
    detector = NanoDet(runtime, input_size=256)
    images = [first_frame, first_frame[:, ::-1], first_frame[600:1700, :], first_frame]
    together = detector(frames_of(images))
    for image, found in zip(images, together, strict=True):
        [alone] = detector(frames_of([image]))
        assert np.array_equal(found.boxes, alone.boxes)
        assert np.array_equal(found.scores, alone.scores)
    assert detector([]) == []


def test_images_of_any_shape_give_boxes_inside_them(runtime: Runtime) -> None:
    detector = NanoDet(runtime, input_size=64, min_score=0.0)
    for shape in ((1, 1), (3, 2000), (2000, 3), (33, 65)):
        [found] = detector(frames_of([np.zeros((*shape, 3), np.uint8)]))
        assert (box_area(found.boxes) > 0).all()
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [shape[1], shape[0]] * 2).all()


def test_wrong_names_and_sizes_are_refused(runtime: Runtime) -> None:
    with pytest.raises(InputError, match=r"unknown detector 'nanodt'; did you mean 'nanodet'\? \(known: nanodet"):
        create_detector("nanodt", runtime=runtime)
    with pytest.raises(InputError, match="expected a multiple of 32 such as 640, got 500"):
        create_detector("nanodet", runtime=runtime, input_size=500)
