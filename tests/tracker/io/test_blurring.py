"""Blurred faces: the region covers the head, no frame of a track is left out, and nothing of the face remains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import COCO_17, FACE_68, PARTS, SKELETONS, Skeleton
from tests.tracker.io.test_drawing import standing
from tracker.frames import TrackedFrame
from tracker.io.blurring import HOLD_S, FaceRegions, blurred_faces, face_boxes, face_regions
from tracker.tracked_clip import tracked_clip

HEIGHT, WIDTH = 240, 320
NOISE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
BODIES = [each for each in SKELETONS.values() if each not in PARTS]
HEAD = [k for k, joint in enumerate(COCO_17.joints) if joint.rsplit("_")[-1] in ("nose", "eye", "ear")]
FPS = 25


def poses(*keypoints: np.ndarray) -> Poses:
    """Poses whose boxes fit their joints and the top of the head."""
    joints = np.array(keypoints)
    margin = 0.08 * np.ptp(joints[..., 1], axis=1, keepdims=True) * np.ones(2)
    boxes = np.concatenate([joints.min(axis=1) - margin, joints.max(axis=1) + margin], axis=1)
    n, k, _ = joints.shape
    return Poses(joints, np.full((n, k), 0.9), boxes, np.full(n, 0.9), np.zeros(n))


def without(pose: Poses, joints: Iterable[int]) -> Poses:
    keypoints, scores = pose.keypoints.copy(), pose.keypoint_scores.copy()
    keypoints[:, list(joints)], scores[:, list(joints)] = np.nan, 0
    return replace(pose, keypoints=keypoints, keypoint_scores=scores)


def is_inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Whether points (P, 2) lie in the ellipse inscribed in a box."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return (((points - centre) / half) ** 2).sum(axis=1) <= 1


def outline_of_head(height: float, x: float = 160, y: float = 120) -> np.ndarray:
    """Points around head and chin of a person as `standing` draws them, 0.13 of the height from chin to crown."""
    angles = np.linspace(0, 2 * np.pi, 16)
    return np.array([x, y - 0.425 * height]) + height * np.stack([0.05 * np.cos(angles), 0.065 * np.sin(angles)], 1)


def regions(*tracks: dict[int, float], frames: int, fps: float = FPS) -> FaceRegions:
    """Face regions of people, each given by their x in the frames in which they are tracked."""
    tracked = []
    for index in range(frames):
        ids = [i for i, track in enumerate(tracks) if index in track]
        found = [standing(tracks[i][index], height=100) for i in ids]
        people = TrackedPoses(poses(*found), ids) if ids else TrackedPoses.empty(17)
        tracked.append(TrackedFrame(index, index / fps, "", people))
    return face_regions(tracked_clip(tracked, 17), COCO_17)


@pytest.mark.parametrize("height", [40, 200, 1000])
def test_the_region_covers_head_and_chin_but_not_the_body(height: float) -> None:
    (box,) = face_boxes(poses(standing(height=height)), COCO_17)
    assert is_inside(outline_of_head(height), box).all()
    assert not is_inside(standing(height=height)[5:], box).any()


@pytest.mark.parametrize("skeleton", BODIES, ids=lambda each: each.name)
def test_the_head_is_covered_in_every_skeleton_of_bodies(skeleton: Skeleton) -> None:
    (box,) = face_boxes(poses(standing(skeleton=skeleton)), skeleton)
    assert is_inside(outline_of_head(200), box).all()
    assert np.prod(box[2:] - box[:2]) < 0.2 * 200**2


def test_all_of_a_face_without_a_body_is_covered() -> None:
    points = np.random.default_rng(0).uniform((100, 100), (180, 200), (1, 68, 2))
    face = Poses(points, np.ones((1, 68)), [[100, 100, 180, 200]], [1.0], [False])
    (box,) = face_boxes(face, FACE_68)
    assert is_inside(points[0], box).all()


@pytest.mark.parametrize("missing", [HEAD, [*HEAD, 5, 6], range(17)], ids=["face", "shoulders", "all joints"])
def test_the_head_is_covered_where_its_joints_are_missing(missing: Iterable[int]) -> None:
    (box,) = face_boxes(without(poses(standing()), missing), COCO_17)
    assert is_inside(outline_of_head(200), box).all()


def test_a_face_that_was_estimated_between_the_shoulders_is_blurred_above_them_as_well() -> None:
    pose = poses(standing())
    keypoints = pose.keypoints.copy()
    keypoints[:, HEAD] += [0, 0.12 * 200]
    (box,) = face_boxes(replace(pose, keypoints=keypoints), COCO_17)
    assert is_inside(outline_of_head(200), box).all()
    assert is_inside(keypoints[0, HEAD], box).all()


def test_all_of_a_person_without_joints_who_lies_is_covered() -> None:
    lying = without(poses(standing()[:, ::-1]), range(17))
    (box,) = face_boxes(lying, COCO_17)
    x1, y1, x2, y2 = lying.boxes[0]
    centre = lying.boxes.reshape(2, 2).mean(axis=0)
    corners = np.array([[x1, y1], [x2, y1], [x1, y2], [x2, y2]])
    assert is_inside(centre + 0.999 * (corners - centre), box).all()


def test_nothing_but_a_few_colours_remains_of_a_face_and_all_else_is_unchanged() -> None:
    box = face_boxes(poses(standing()), COCO_17)[0]
    before = NOISE.copy()
    blurred = blurred_faces(NOISE, box[None])
    assert (before == NOISE).all()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    inside = is_inside(np.stack([columns, rows], axis=2).reshape(-1, 2) + 0.5, box).reshape(HEIGHT, WIDTH)
    core = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert core.sum() > 300
    assert np.abs(cv2.Laplacian(blurred.astype(np.float32), -1))[core].max() < 25  # of noise: up to about 1000
    assert np.abs(blurred.astype(int) - NOISE)[inside].mean() > 50
    far = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    assert (blurred == NOISE)[far].all()


def test_two_faces_that_differ_in_detail_only_are_blurred_to_the_same_picture() -> None:
    box = np.array([[100, 60, 180, 140]], float)
    fine, grey = np.full((2, HEIGHT, WIDTH, 3), 128, np.uint8)
    fine[60:140:2, 100:180] = 148
    fine[61:140:2, 100:180] = 108
    difference = np.abs(blurred_faces(fine, box).astype(int) - blurred_faces(grey, box))
    assert difference[70:130, 115:165].max() <= 1


def test_a_tenth_of_a_face_at_the_border_keeps_one_colour_across() -> None:
    blurred = blurred_faces(NOISE, np.array([[-100, 20, 10, 130]], float))
    assert (blurred[60:90, :8] == blurred[60:90, :1]).all()


@pytest.mark.parametrize("box", [[400, 400, 500, 500], [-90, -90, -9, -9], [-900, -900, 999, 999], [50, 50, 50, 50]])
def test_regions_outside_larger_than_the_image_or_empty_do_no_harm(box: list[float]) -> None:
    assert blurred_faces(NOISE, np.array([box], float)).shape == NOISE.shape


def test_a_missed_frame_is_blurred_between_the_poses_around_it() -> None:
    seen = {index: 100 + 2 * index for index in range(30) if not 10 <= index < 20}
    faces = regions(seen, frames=30)
    for index in range(30):
        boxes = faces.of_frame(index)
        assert any(is_inside(outline_of_head(100, 100 + 2 * index), box).all() for box in boxes), index


def test_a_face_is_blurred_for_half_a_second_around_its_track_and_no_longer() -> None:
    walk = {index: 60 + 3 * index for index in range(30, 40)}
    faces = regions(walk, frames=80)
    held = int(HOLD_S * FPS)
    counts = [len(faces.at(position)) for position in range(80)]
    assert counts == [0] * (30 - held) + [1] * (10 + 2 * held) + [0] * (40 - held)
    for index in (30 - held, 39 + held):  # it moves on
        assert is_inside(outline_of_head(100, 60 + 3 * index), faces.at(index)[0]).all()


def test_the_ends_of_a_long_gap_are_blurred_and_its_middle_is_not() -> None:
    faces = regions({0: 100, 200: 200}, frames=201)
    assert [len(faces.at(position)) for position in (1, 12, 13, 100, 187, 188, 199)] == [1, 1, 0, 0, 0, 1, 1]


def test_one_frame_with_a_wrong_head_does_not_show_the_face() -> None:
    faces = regions({0: 100, 1: 101, 2: 160, 3: 103, 4: 104}, frames=5)
    assert any(is_inside(outline_of_head(100, 102), box).all() for box in faces.at(2))
    assert [len(faces.at(position)) for position in (0, 4)] == [1, 1]


def test_frames_are_found_by_their_number_in_the_video() -> None:
    people = TrackedPoses(poses(standing()), [1])
    clip = tracked_clip([TrackedFrame(index, index / FPS, "", people) for index in (40, 44, 48)], 17)
    faces = face_regions(clip, COCO_17)
    assert [len(faces.of_frame(index)) for index in (0, 40, 41, 44, 48, 52)] == [0, 1, 0, 1, 1, 0]


def test_a_clip_without_people_has_no_faces() -> None:
    faces = face_regions(tracked_clip([TrackedFrame(0, 0.0, "", TrackedPoses.empty(17))], 17), COCO_17)
    assert faces.at(0).shape == (0, 4)
    assert (blurred_faces(NOISE, faces.at(0)) == NOISE).all()
    assert face_regions(tracked_clip([], 17), COCO_17).of_frame(0).shape == (0, 4)
