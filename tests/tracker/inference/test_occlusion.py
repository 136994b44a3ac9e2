"""Second estimates of people behind others: invented bodies in an image, and an estimator that sees the nearest one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrail.frame import Frame
from posetrail.poses import Detections, Poses
from posetrail.similarity import box_area, box_iou
from posetrail.skeletons import COCO_17, MPII_16, Skeleton
from tests.worlds import STANDING
from tracker.inference.occlusion import paint_out, separate_people
from tracker.inference.pipeline import infer
from tracker.inference.propagation import create_flow
from tracker.settings import InferenceSettings

GREY = 128
SIZE = (200, 320)  # height, width of the image
FRONT = np.array([100.0, 40, 140, 150])
BEHIND = np.array([112.0, 30, 168, 160])  # wider, so that a third of its joints are beside the person in front
ALONE = np.array([240.0, 40, 280, 150])


def joints(box: np.ndarray) -> np.ndarray:
    return box[:2] + STANDING * (box[2:] - box[:2])


def picture(index: int = 0) -> Frame:
    return Frame(index, index / 30, f"{index}.jpg", np.full((*SIZE, 3), 60, np.uint8))


@dataclass
class NearestFirst:
    """Finds the first of `people` that overlaps a box and is not painted out; its painted joints score 0.6."""

    people: Sequence[np.ndarray]  # boxes, nearest first
    boxes_seen: list[int] = field(default_factory=list)  # of each call

    @property
    def skeleton(self) -> Skeleton:
        return COCO_17

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        self.boxes_seen.append(sum(map(len, boxes)))
        return [self._in(frame, each) for frame, each in zip(frames, boxes, strict=True)]

    def _in(self, frame: Frame, boxes: np.ndarray) -> Poses:
        found = [self._one(frame, box) for box in boxes]
        keypoints = np.array([k for k, _ in found]).reshape(-1, 17, 2)
        scores = np.array([s for _, s in found]).reshape(-1, 17)
        return Poses(keypoints, scores, np.reshape(boxes, (-1, 4)), np.ones(len(boxes)), np.zeros(len(boxes)))

    def _one(self, frame: Frame, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        for person in self.people:
            keypoints = joints(person)
            x, y = keypoints.round().astype(int).T
            visible = (frame.image[y, x] != GREY).any(axis=1)
            if box_iou(box[None], person[None])[0, 0] > 0.2 and visible.mean() > 0.5:
                return keypoints, np.where(visible, 0.9, 0.6)
        return joints(box), np.full(17, 0.02)


def first_look(estimator: NearestFirst, boxes: Sequence[np.ndarray], scores: Sequence[float]) -> Poses:
    (poses,) = estimator([picture()], [np.array(boxes)])
    estimator.boxes_seen.clear()
    return replace(poses, scores=np.array(scores, np.float32))


def separated(estimator: NearestFirst, poses: Poses, max_shared: float = 0.2) -> Poses:
    ((result, kept),) = separate_people([picture()], [poses], estimator, max_shared)
    return result[kept]


def test_a_person_behind_another_gets_their_own_joints() -> None:
    estimator = NearestFirst([FRONT, BEHIND])
    poses = first_look(estimator, [FRONT, BEHIND], [0.9, 0.8])
    assert np.array_equal(poses.keypoints[0], poses.keypoints[1])  # the first estimate is wrong
    result = separated(estimator, poses)
    assert np.array_equal(result.keypoints[0], poses.keypoints[0])
    assert np.allclose(result.keypoints[1], joints(BEHIND))
    assert result.scores.tolist() == poses.scores.tolist()
    assert estimator.boxes_seen == [1]


def test_scores_of_the_new_pose_are_those_of_the_second_estimate() -> None:
    estimator = NearestFirst([FRONT, BEHIND])
    result = separated(estimator, first_look(estimator, [FRONT, BEHIND], [0.9, 0.8]))
    inside = ((joints(BEHIND) > FRONT[:2] + 8) & (joints(BEHIND) < FRONT[2:] - 8)).all(axis=1)
    assert 0 < inside.sum() < 17
    assert (result.keypoint_scores[1, inside] < 0.7).mean() > 0.5
    assert (result.keypoint_scores[1, joints(BEHIND)[:, 0] > FRONT[2] + 20] > 0.7).all()


def test_people_who_share_no_joints_are_estimated_once() -> None:
    estimator = NearestFirst([FRONT, ALONE])
    poses = first_look(estimator, [FRONT, ALONE], [0.9, 0.8])
    assert separated(estimator, poses) is not None
    assert estimator.boxes_seen == []


def test_a_share_of_1_changes_nothing() -> None:
    estimator = NearestFirst([FRONT, BEHIND])
    poses = first_look(estimator, [FRONT, BEHIND], [0.9, 0.8])
    assert np.array_equal(separated(estimator, poses, 1.0).keypoints, poses.keypoints)
    assert estimator.boxes_seen == []


def test_a_second_box_on_one_person_is_left_to_pose_nms() -> None:
    estimator = NearestFirst([FRONT])
    poses = first_look(estimator, [FRONT, FRONT + np.array([2, -3, 4, 2])], [0.9, 0.5])
    result = separated(estimator, poses)
    assert np.array_equal(result.keypoints, poses.keypoints)
    assert np.array_equal(result.keypoint_scores, poses.keypoint_scores)
    assert estimator.boxes_seen == [1]


def test_a_second_box_does_not_take_the_joints_of_a_neighbour() -> None:
    """With the person painted out, the estimator finds the next one, whom their own box shows already."""
    neighbour = FRONT + np.array([28, 0, 28, 0])
    wide = np.array([FRONT[0], FRONT[1], neighbour[2], FRONT[3]])
    estimator = NearestFirst([FRONT, neighbour])
    result = separated(estimator, first_look(estimator, [FRONT, neighbour, wide], [0.9, 0.8, 0.3]))
    assert np.allclose(result.keypoints, [joints(each) for each in (FRONT, neighbour, FRONT)], atol=1e-3)


def test_a_new_pose_that_is_much_less_confident_is_not_taken() -> None:
    """A box around the upper body of a person is more confident than the one around the person."""

    class LegsOnly(NearestFirst):
        def _one(self, frame: Frame, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            keypoints, scores = super()._one(frame, box)
            return keypoints, np.where(np.isclose(scores, 0.6), 0.02, scores)

    estimator = LegsOnly([FRONT])
    poses = first_look(estimator, [FRONT, FRONT], [0.9, 0.8])
    upper = replace(poses[[0]], keypoint_scores=np.where(np.arange(17) < 11, 0.95, 0.02)[None])
    upper = replace(upper, boxes=np.array([[*FRONT[:3], 100]]))
    both = Poses.concatenate([upper, poses[[1]]])
    result = separated(estimator, both)
    assert np.array_equal(result.keypoint_scores, both.keypoint_scores)


def test_a_pose_merged_from_two_people_is_dropped() -> None:
    """Its box covers both, and each of its joints is a joint of one of them."""
    estimator = NearestFirst([FRONT, BEHIND])
    poses = separated(estimator, first_look(estimator, [FRONT, BEHIND], [0.9, 0.8]))
    mixed = np.where(np.arange(17)[:, None] % 2, joints(FRONT), poses.keypoints[1])
    both = np.concatenate([np.minimum(FRONT[:2], BEHIND[:2]), np.maximum(FRONT[2:], BEHIND[2:])])
    merged = Poses(mixed[None], np.full((1, 17), 0.5), both[None], np.array([0.3]), np.zeros(1))
    result = separated(estimator, Poses.concatenate([poses, merged]))
    assert len(result) == 2
    assert np.array_equal(result.keypoints, poses.keypoints)


def test_only_candidates_may_change() -> None:
    estimator = NearestFirst([FRONT, BEHIND])
    poses = first_look(estimator, [FRONT, BEHIND], [0.5, 0.9])
    ((result, kept),) = separate_people([picture()], [poses], estimator, 0.2, candidates=[np.array([False, True])])
    assert kept.all()
    assert np.array_equal(result.keypoints[0], poses.keypoints[0])
    assert np.allclose(result.keypoints[1], joints(BEHIND))


def test_the_given_image_is_not_changed() -> None:
    estimator = NearestFirst([FRONT, BEHIND])
    poses = first_look(estimator, [FRONT, BEHIND], [0.9, 0.8])
    frame = picture()
    separate_people([frame], [poses], estimator, 0.2)
    assert (frame.image == 60).all()


THREE = [FRONT, BEHIND, BEHIND + np.array([30, -12, 34, -2])]  # each stands behind the one before


@given(st.permutations(range(4)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    estimator = NearestFirst(THREE)
    poses = first_look(estimator, [*THREE, ALONE], [0.9, 0.8, 0.7, 0.6])
    one, other = separated(estimator, poses), separated(estimator, poses[order])
    assert len(one) == len(other)
    for row in range(len(one)):
        (same,) = np.flatnonzero(other.scores == one.scores[row])
        assert np.array_equal(one.keypoints[row], other.keypoints[same])
        assert np.array_equal(one.keypoint_scores[row], other.keypoint_scores[same])


def test_the_third_person_is_judged_by_the_new_pose_of_the_second() -> None:
    estimator = NearestFirst(THREE)
    result = separated(estimator, first_look(estimator, THREE, [0.9, 0.8, 0.7]))
    assert np.allclose(result.keypoints, [joints(person) for person in THREE], atol=1e-3)


def test_frames_of_one_call_do_not_affect_each_other() -> None:
    estimator = NearestFirst(THREE)
    each = [first_look(estimator, THREE[:n], [0.9, 0.8, 0.7][:n]) if n else Poses.empty(17) for n in (2, 0, 3, 1, 3, 2)]
    frames = [picture(i) for i in range(len(each))]
    together = separate_people(frames, each, estimator, 0.2)
    for frame, poses, (result, kept) in zip(frames, each, together, strict=True):
        ((alone, kept_alone),) = separate_people([frame], [poses], estimator, 0.2)
        assert np.array_equal(result.keypoints, alone.keypoints)
        assert kept.tolist() == kept_alone.tolist()


@dataclass
class Boxes:
    """A detector that knows the boxes; without those of the person behind from frame `lost` on."""

    lost: int = 1000

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        return [
            Detections(np.array([FRONT, BEHIND]), np.array([0.9, 0.8]))[: 1 if frame.index >= self.lost else 2]
            for frame in frames
        ]


def inferred(settings: InferenceSettings, lost: int = 1000, batch_frames: int = 4) -> list[Poses]:
    frames = [picture(i) for i in range(9)]
    for frame in frames:  # texture for optical flow
        frame.image[:] += np.random.default_rng(0).integers(0, 60, frame.image.shape, np.uint8)
    results = infer(
        iter(frames),
        Boxes(lost),
        NearestFirst([FRONT, BEHIND]),
        settings,
        create_flow(settings.flow),
        batch_frames=batch_frames,
    )
    return [result.poses for _, result in results]


def test_the_person_behind_is_not_removed_by_pose_nms() -> None:
    assert [len(poses) for poses in inferred(InferenceSettings(max_shared_joints=1.0))] == [1] * 9
    for poses in inferred(InferenceSettings()):
        assert np.allclose(poses.keypoints[1], joints(BEHIND), atol=1e-3)


def test_a_person_behind_another_is_propagated_with_their_own_joints() -> None:
    results = inferred(InferenceSettings(), lost=3)
    assert [poses.propagated.tolist() for poses in results] == [[False, False]] * 3 + [[False, True]] * 6
    for poses in results:
        assert np.allclose(poses.keypoints[1], joints(BEHIND), atol=1e-3)


@pytest.mark.parametrize("batch_frames", [1, 3, 32])
def test_the_batch_size_changes_nothing_where_people_overlap(batch_frames: int) -> None:
    for one, other in zip(
        inferred(InferenceSettings(), 5), inferred(InferenceSettings(), 5, batch_frames), strict=True
    ):
        assert np.array_equal(one.keypoints, other.keypoints)
        assert np.array_equal(one.keypoint_scores, other.keypoint_scores)
        assert np.array_equal(one.propagated, other.propagated)


def test_a_painted_body_covers_its_joints_and_little_else() -> None:
    image = picture().image
    paint_out(image, joints(FRONT), np.ones(17), float(box_area(FRONT[None])[0]), COCO_17)
    x, y = joints(FRONT).round().astype(int).T
    assert (image[y, x] == GREY).all()
    painted = (image == GREY).all(axis=2)
    rows, columns = np.nonzero(painted)
    assert 0.4 < painted.sum() / box_area(FRONT[None])[0] < 1.2
    assert columns.min() > FRONT[0] - 20
    assert columns.max() < FRONT[2] + 20
    assert rows.min() > FRONT[1] - 20
    assert rows.max() < FRONT[3] + 25


def test_joints_that_are_missing_or_have_a_low_score_are_not_painted() -> None:
    image = picture().image
    keypoints, scores = joints(FRONT), np.ones(17)
    keypoints[5:] = np.nan
    scores[:5] = 0.1
    paint_out(image, keypoints, np.where(np.isnan(keypoints[:, 0]), 0, scores), 4400.0, COCO_17)
    assert (image == 60).all()


def test_bodies_of_other_skeletons_and_outside_the_image_are_painted() -> None:
    without_names = Skeleton(
        name="dots", joints=("a", "b", "c"), limbs=(("a", "b"), ("b", "c")), oks_sigmas=(0.05,) * 3
    )
    for skeleton in (MPII_16, without_names):
        K = len(skeleton)
        image = picture().image
        paint_out(image, np.linspace([-1e6, -50], [250, 150], K), np.ones(K), 5000.0, skeleton)
        assert (image == GREY).any()
        paint_out(image, np.full((K, 2), 1e9), np.ones(K), 5000.0, skeleton)
