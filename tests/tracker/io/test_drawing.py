"""Drawing people: what is seen in the picture, and what is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import COCO_17, COCO_WHOLEBODY_133, FACE_68, SKELETONS, Skeleton
from posetrail.wholebody import of_side
from tracker.io.bones import HEAD, bones
from tracker.io.drawing import Trails, draw_people

WIDTH, HEIGHT = 320, 240
GREY = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)

# A person facing us, 200 pixels tall; their right is on our left. Shares of the height, from the middle of the hips.
STANDING = {
    "nose": (0.0, -0.42),
    "eye": (0.02, -0.44),
    "ear": (0.04, -0.43),
    "shoulder": (0.10, -0.30),
    "elbow": (0.15, -0.15),
    "wrist": (0.18, 0.0),
    "hip": (0.07, 0.0),
    "knee": (0.08, 0.22),
    "ankle": (0.09, 0.44),
    "neck": (0.0, -0.33),
    "head_bottom": (0.0, -0.33),
    "head_top": (0.0, -0.5),
    "thorax": (0.0, -0.30),
    "spine": (0.0, -0.15),
    "pelvis": (0.0, 0.0),
    "big_toe": (0.14, 0.47),
    "small_toe": (0.17, 0.45),
    "heel": (0.08, 0.48),
}


def standing(x: float = 160, y: float = 120, height: float = 200, skeleton: Skeleton = COCO_17) -> np.ndarray:
    """Joints (K, 2) of a person whose hips are at x, y."""
    sides = {"left": 1, "right": -1}
    places = []
    for k, joint in enumerate(skeleton.joints):
        side, _, part = joint.partition("_")
        dx, dy = STANDING.get(part if side in sides else joint, (0.25, -0.4 + k / 300))  # hands and face: beside them
        places.append((x + sides.get(side, 1) * dx * height, y + dy * height))
    return np.array(places)


def people(*keypoints: np.ndarray, ids: tuple[int, ...] = (1,), score: float | np.ndarray = 0.9) -> TrackedPoses:
    joints = np.array(keypoints)
    boxes = np.concatenate([np.nanmin(joints, axis=1) - 10, np.nanmax(joints, axis=1) + 10], axis=1)
    n, k, _ = joints.shape
    poses = Poses(joints, np.broadcast_to(score, (n, k)), boxes, np.full(n, 0.9), np.zeros(n))
    return TrackedPoses(poses, ids)


def at(image: np.ndarray, point: np.ndarray) -> np.ndarray:
    return image[round(point[1]), round(point[0])].astype(int)


def middle_of(limb: tuple[str, str], joints: np.ndarray) -> np.ndarray:
    return joints[[COCO_17.index(joint) for joint in limb]].mean(axis=0)


LEFT_THIGH, RIGHT_THIGH, WAIST = ("left_hip", "left_knee"), ("right_hip", "right_knee"), ("left_hip", "right_hip")


def test_limbs_stand_in_a_new_picture() -> None:
    before = GREY.copy()
    drawn = draw_people(GREY, people(standing()), COCO_17)
    assert (before == GREY).all()
    assert drawn.shape == GREY.shape
    assert drawn.dtype == np.uint8
    for limb in COCO_17.limbs:
        assert np.abs(at(drawn, middle_of(limb, standing())) - 128).max() > 50, limb
    assert (drawn[:5] == 128).all()  # nothing far from the person


def test_an_image_without_people_is_not_changed() -> None:
    drawn = draw_people(GREY, TrackedPoses.empty(17), COCO_17, trails=Trails())
    assert (drawn == GREY).all()
    assert drawn is not GREY


def test_an_id_keeps_its_colour_whoever_else_is_there() -> None:
    alone = draw_people(GREY, people(standing(), ids=(7,)), COCO_17)
    crowd = draw_people(GREY, people(standing(60), standing(), ids=(3, 7)), COCO_17)
    waist = middle_of(WAIST, standing())
    assert at(alone, waist).tolist() == at(crowd, waist).tolist()


def test_the_first_ids_are_told_apart_by_colour_and_as_well_seen_on_black_as_on_white() -> None:
    waist = middle_of(WAIST, standing())
    colours = np.array([at(draw_people(GREY, people(standing(), ids=(i,)), COCO_17), waist) for i in range(1, 9)])
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2) + 1000 * np.eye(8)
    assert apart.min() > 60
    assert (colours.max(axis=1) > 155).all()
    assert (colours.min(axis=1) < 135).all()


def test_the_left_side_is_lighter_than_the_right() -> None:
    for track_id in range(1, 13):
        drawn = draw_people(GREY, people(standing(), ids=(track_id,)), COCO_17)
        left, right = (at(drawn, middle_of(limb, standing())) for limb in (LEFT_THIGH, RIGHT_THIGH))
        assert left.mean() > right.mean() + 15, track_id


def test_a_limb_fades_with_its_surer_end_and_goes_below_the_threshold() -> None:
    thigh = middle_of(LEFT_THIGH, standing())
    seen = []
    for knee in (0.9, 0.35, 0.25, 0.19):
        scores = np.full(17, 0.9)
        scores[COCO_17.index("left_knee")] = knee
        drawn = draw_people(GREY, people(standing(), score=scores), COCO_17)
        seen.append(np.abs(at(drawn, thigh) - 128).max())
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > seen[1] > seen[2] > 0
    assert seen[3] == 0


def test_people_without_joints_or_far_outside_do_no_harm() -> None:
    nowhere = np.full((17, 2), np.nan)
    poses = Poses(nowhere[None], np.zeros((1, 17)), [[50, 50, 90, 150]], [0.5], [True])
    labelled = draw_people(GREY, TrackedPoses(poses, [4]), COCO_17)
    for x, y in ((70, 50), (70, 150), (50, 100), (90, 100)):  # the sides of the box
        assert np.abs(at(labelled, np.array([x, y])) - 128).max() > 50
    assert (labelled[100, 60:80] == 128).all()
    outside = standing()
    outside[COCO_17.index("left_wrist")] = 1e9, -1e9
    for score in (0.9, 0.3):
        draw_people(GREY, people(outside, standing(-5000), ids=(1, 2), score=score), COCO_17)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_every_skeleton_can_be_drawn(skeleton: Skeleton) -> None:
    joints = standing(skeleton=skeleton)
    drawn = draw_people(GREY, people(joints), skeleton)
    has_face = (skeleton.part == 3).any()  # its points replace the lines of the head
    for a, b in skeleton.limb_indices:
        if has_face and {skeleton.joints[a], skeleton.joints[b]} & set(HEAD):
            continue
        assert np.abs(at(drawn, (joints[a] + joints[b]) / 2) - 128).max() > 50


def test_everything_grows_with_the_picture() -> None:
    shares = []
    for scale in (3, 6, 9):
        image = np.full((scale * HEIGHT, scale * WIDTH, 3), 128, np.uint8)
        shares.append((draw_people(image, people(scale * standing()), COCO_17) != 128).mean())
    assert shares == pytest.approx([shares[1]] * 3, rel=0.25)  # lines are whole pixels wide


def label_of(figure: np.ndarray, track_id: int = 1) -> np.ndarray:
    """Where (H, W) a label is drawn: joints that are hardly sure enough to be drawn leave hardly a mark."""
    drawn = draw_people(GREY, people(figure, ids=(track_id,), score=0.201), COCO_17)
    return np.abs(drawn.astype(int) - 128).max(axis=2) > 30


@settings(max_examples=40, deadline=None)
@given(x=st.floats(10, WIDTH - 10), y=st.floats(20, HEIGHT + 60), track_id=st.sampled_from([1, 42, 1234]))
def test_the_label_is_whole_and_hides_no_face(x: float, y: float, track_id: int) -> None:
    joints = standing(x, y, 120)
    label = label_of(joints, track_id)
    assert label.sum() >= 0.95 * label_of(standing(height=120), track_id).sum()
    face = joints[[k for k, joint in enumerate(COCO_17.joints) if joint in ("nose", "left_eye", "right_eye")]]
    inside = face[((face > 0) & (face < (WIDTH - 1, HEIGHT - 1))).all(axis=1)]
    if len(inside) == 3:
        assert not any(label[round(row), round(column)] for column, row in inside)


def test_a_label_avoids_the_heads_of_others() -> None:
    below, above = standing(160, 150, 120), standing(160, 85, 120)  # the head of one where the label of the other goes
    together = draw_people(GREY, people(below, above, ids=(1, 2), score=0.201), COCO_17)
    strong = np.abs(together.astype(int) - 128).max(axis=2) > 30
    for joints in (below, above):
        assert not strong[round(joints[0, 1]), round(joints[0, 0])]


def test_a_carried_person_has_another_label_and_the_same_limbs() -> None:
    detected = people(standing(height=120))
    poses = detected.poses
    propagated = TrackedPoses(Poses(poses.keypoints, poses.keypoint_scores, poses.boxes, poses.scores, [True]), [1])
    differs = (draw_people(GREY, detected, COCO_17) != draw_people(GREY, propagated, COCO_17)).any(axis=2)
    assert differs.any()
    assert not differs[round(standing(height=120)[0, 1]) :].any()  # from the nose down


def test_an_interpolated_pose_is_paler_and_has_an_outlined_label() -> None:
    seen = people(standing())
    interpolated = replace(seen, interpolated=[True])
    waist = middle_of(WAIST, standing())
    strengths = [np.abs(at(draw_people(GREY, who, COCO_17), waist) - 128).max() for who in (seen, interpolated)]
    assert 0 < strengths[1] < 0.7 * strengths[0]
    unsure = people(standing(), score=0.201)  # a label and hardly a limb
    labels = [draw_people(GREY, who, COCO_17).astype(int) for who in (unsure, replace(unsure, interpolated=[True]))]
    assert np.abs(labels[0] - labels[1]).max() > 50


def walk(trails: Trails, xs: list[float], seconds_per_step: float = 0.1) -> TrackedPoses:
    for step, x in enumerate(xs):
        now = people(standing(x, height=100))
        trails.add(step * seconds_per_step, now, COCO_17)
    return now


def test_a_trail_leads_to_where_someone_was_and_fades() -> None:
    trails = Trails(seconds=1.0)
    now = walk(trails, [60, 80, 100, 120, 140, 160, 180, 200, 220, 240])
    marks = np.abs(draw_people(GREY, now, COCO_17, trails=trails).astype(int) - 128).max(axis=2)[120]
    assert marks[70] > 0
    assert marks[150] > marks[110] > marks[70]
    assert marks[50] == 0


def test_a_trail_is_forgotten_after_its_seconds_and_costs_no_memory() -> None:
    trails = Trails(seconds=1.0)
    for step in range(300):
        trails.add(step * 0.1, people(standing(), ids=(step // 10 + 1,)), COCO_17)
    assert len(trails.of(30)[0]) == 10
    assert len(trails.of(1)[0]) == 0
    trails.add(100.0, TrackedPoses.empty(17), COCO_17)
    assert len(trails.of(30)[0]) == 0


def test_a_standing_person_has_no_visible_trail() -> None:
    trails = Trails()
    now = walk(trails, [160, 161, 159, 160.5, 159.5, 160])
    with_trail = draw_people(GREY, now, COCO_17, trails=trails)
    assert (with_trail == draw_people(GREY, now, COCO_17)).all()


def test_hips_that_are_not_sure_leave_no_trail() -> None:
    trails = Trails()
    trails.add(0.0, people(standing(), score=0.1), COCO_17)
    assert len(trails.of(1)[0]) == 0


def whole_body(face_px: float, hand_px: float) -> np.ndarray:
    """Joints (133, 2): a body on the left, a hand's points on a line and a face's on another one beside it."""
    joints = standing(x=80, skeleton=COCO_WHOLEBODY_133)
    face = [COCO_WHOLEBODY_133.index(joint) for joint in FACE_68.joints]
    joints[face] = np.stack([np.full(68, 200.0), 20 + np.linspace(0, face_px, 68)], axis=1)
    for side in ("left", "right"):
        hand = [COCO_WHOLEBODY_133.index(joint) for joint in of_side(side)]
        joints[hand] = np.stack([np.full(21, 260.0), 20 + np.linspace(0, hand_px, 21)], axis=1)
    return joints


def test_lines_of_hands_and_faces_are_thin_and_tiny_ones_are_left_out() -> None:
    lines = bones(COCO_WHOLEBODY_133)
    dense, pen = lines.part > 0, 8.0

    def widths(face_px: float, hand_px: float) -> np.ndarray:
        points = np.append(whole_body(face_px, hand_px), [[0, 0]], axis=0)
        return lines.widths(points, np.ones(134), pen)[0]

    for side in (40, 100, 1000):
        of_limbs = widths(side, side)[dense & ~lines.is_joint]
        assert (of_limbs >= 1).all()
        assert (of_limbs < pen / 2).all()
    assert (widths(8, 8)[dense] == 0).all()
    assert (widths(8, 8)[~dense] > 0).all()


def test_the_points_of_a_face_replace_the_lines_between_nose_eyes_and_ears() -> None:
    nose, ear = (COCO_WHOLEBODY_133.index(joint) for joint in ("nose", "left_ear"))
    for face_px, visible in ((60, False), (8, True)):
        joints = whole_body(face_px, 40)
        joints[ear] = joints[nose] + [30, 0]
        joints[COCO_WHOLEBODY_133.index("left_eye")] = joints[nose] + [15, 0]
        drawn = draw_people(GREY, people(joints), COCO_WHOLEBODY_133)
        assert (np.abs(at(drawn, joints[nose] + [8, 0]) - 128).max() > 50) == visible
