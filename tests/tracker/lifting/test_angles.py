"""Joint and segment angles of figures whose angles are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, HALPE_26, Skeleton
from tracker.lifting.angles import angles_2d, angles_3d
from tracker.lifting.body_motion import ANKLE_TO_SHOULDER, body_size, facing, speeds
from tracker.runs.joint_paths import filtered

RIGHT = np.ones(1)
_DOWN = np.array([0.0, 1.0])


def turned(direction: np.ndarray, degrees: float) -> np.ndarray:
    """A direction of the picture (x right, y down), turned anticlockwise."""
    a = np.radians(degrees)
    return np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) @ direction


def figure(
    *, trunk: float = 0, hip: float = 0, knee: float = 0, ankle: float = 0, shoulder: float = 0, elbow: float = 0
) -> np.ndarray:
    """The joints (1, 26, 2) of Halpe of a person who faces right, both sides alike; the trunk leans forward."""
    spine = turned(_DOWN, -trunk)
    thigh = turned(spine, hip)
    shank = turned(thigh, -knee)
    arm = turned(spine, shoulder)
    sole = turned(shank, 90 + ankle)
    hips = np.array([300.0, 300.0])
    shoulders, knees = hips - 100 * spine, hips + 90 * thigh
    ankles, elbows = knees + 80 * shank, shoulders + 60 * arm
    heels = ankles + 10 * shank - 10 * sole
    places = {
        "hip": hips, "shoulder": shoulders, "knee": knees, "ankle": ankles, "elbow": elbows,
        "wrist": elbows + 50 * turned(arm, elbow), "heel": heels, "big_toe": heels + 40 * sole,
        "ear": shoulders - 40 * spine,
    }  # fmt: skip
    out = np.full((1, len(HALPE_26), 2), np.nan)
    for name, place in places.items():
        for side in ("left", "right"):
            out[0, HALPE_26.index(f"{side}_{name}")] = place
    out[0, HALPE_26.index("head_top")] = shoulders - 60 * spine
    out[0, HALPE_26.index("nose")] = shoulders - 40 * spine + 15 * turned(spine, 90)
    return out


def in_space(picture: np.ndarray, breadth: float = 15.0) -> np.ndarray:
    """The figure in space, its right side towards the camera."""
    depth = [-breadth if name.startswith("right_") else breadth * name.startswith("left_") for name in HALPE_26.joints]
    return np.concatenate([picture, np.array(depth)[None, :, None]], axis=2)


def test_all_angles_of_an_upright_person_are_zero_and_segments_stand() -> None:
    found = angles_2d(figure(), HALPE_26, RIGHT)
    for name in ("ankle", "knee", "hip", "shoulder", "elbow", "foot"):
        assert found[f"{name}_left_deg"] == pytest.approx(0, abs=1e-9), name
    for name in ("shank_left", "thigh_left", "arm_left", "forearm_left", "trunk", "head"):
        assert found[f"{name}_deg"] == pytest.approx(90), name
    assert found["pelvis_deg"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("joint", "degrees"),
    [("knee", 60), ("knee", -5), ("hip", 90), ("hip", -20), ("ankle", 15), ("ankle", -40), ("elbow", 120)]
    + [("shoulder", degrees) for degrees in (170, 200, -50)],
)
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_bent_joint_has_its_flexion_whichever_side_the_person_faces(joint: str, degrees: float, side: float) -> None:
    picture = figure(**{joint: degrees}) * [side, 1]
    found = angles_2d(picture, HALPE_26, np.array([side]))
    assert found[f"{joint}_right_deg"] == pytest.approx(degrees)


@pytest.mark.parametrize(
    ("joint", "degrees"), [("knee", 60), ("hip", 90), ("hip", -20), ("shoulder", 170), ("ankle", -40)]
)
def test_in_space_flexion_is_the_same_from_all_sides(joint: str, degrees: float) -> None:
    turn = Rotation.from_euler("y", 35, degrees=True).as_matrix()
    found = angles_3d(in_space(figure(**{joint: degrees})) @ turn.T, HALPE_26)
    assert found[f"{joint}_left_deg"] == pytest.approx(degrees)


def test_a_leaning_trunk_is_below_90_degrees_and_flexes_the_hip() -> None:
    for found in (angles_2d(figure(trunk=30), HALPE_26, RIGHT), angles_3d(in_space(figure(trunk=30)), HALPE_26)):
        assert found["trunk_deg"] == pytest.approx(60)
    bent = angles_2d(figure(trunk=30, hip=30), HALPE_26, RIGHT)  # the legs stand
    assert bent["hip_left_deg"] == pytest.approx(30)
    assert bent["thigh_left_deg"] == pytest.approx(90)


def test_an_arm_held_sideways_is_abducted() -> None:
    joints = in_space(figure())
    for name, out in (("elbow", 60), ("wrist", 110)):
        shoulder = joints[0, HALPE_26.index("right_shoulder")]
        joints[0, HALPE_26.index(f"right_{name}")] = shoulder - np.array([0, 0, out])
    found = angles_3d(joints, HALPE_26)
    assert found["shoulder_abduction_right_deg"] == pytest.approx(90)
    assert found["shoulder_abduction_left_deg"] == pytest.approx(0, abs=1e-9)
    assert np.isnan(found["shoulder_right_deg"])  # neither forward nor backward


def test_a_raised_right_hip_is_positive() -> None:
    joints = in_space(figure())
    joints[0, HALPE_26.index("right_hip"), 1] -= 10
    assert angles_3d(joints, HALPE_26)["pelvis_deg"] > 5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 10), st.floats(-170, 170))
def test_joint_angles_depend_on_neither_place_size_nor_roll(seed: int, size: float, roll: float) -> None:
    picture = np.random.default_rng(seed).normal(size=(1, 26, 2))
    a = np.radians(roll)
    moved = size * picture @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + 500
    before, after = (angles_2d(joints, HALPE_26, RIGHT) for joints in (picture, moved))
    for name in ("ankle", "knee", "hip", "shoulder", "elbow"):
        change = (before[f"{name}_left_deg"] - after[f"{name}_left_deg"] + 180) % 360 - 180
        assert change == pytest.approx(0, abs=1e-6), name


def test_a_missing_joint_leaves_other_angles() -> None:
    picture = figure(knee=30)
    picture[0, HALPE_26.index("left_ankle")] = np.nan
    found = angles_2d(picture, HALPE_26, RIGHT)
    assert np.isnan(found["knee_left_deg"])
    assert found["knee_right_deg"] == pytest.approx(30)


def test_a_skeleton_without_feet_has_no_ankle_angle() -> None:
    found = angles_2d(np.zeros((1, 17, 2)), COCO_17, RIGHT)
    assert "knee_left_deg" in found
    assert not [name for name in found if name.startswith(("ankle", "foot", "wrist"))]


def test_joints_of_one_name_only_give_no_angle() -> None:
    odd = Skeleton(name="odd", joints=("a", "left_knee"), limbs=(), oks_sigmas=(0.1, 0.1))
    assert angles_2d(np.zeros((1, 2, 2)), odd, RIGHT) == {}
    assert angles_3d(np.zeros((1, 2, 3)), odd) == {}


@pytest.mark.parametrize("side", [1, -1])
def test_the_side_that_a_person_faces_is_found_and_a_somersault_keeps_it(side: int) -> None:
    frames = [figure(trunk=trunk, hip=20, knee=30) for trunk in np.linspace(0, 360, 60)]
    found = facing(np.concatenate(frames) * [side, 1], HALPE_26, np.arange(60) / 30)
    assert (found == side).all()


def test_a_turn_changes_the_side_once() -> None:
    walking = np.concatenate([figure(knee=20)] * 40 + [figure(knee=20) * [-1, 1]] * 40)
    found = facing(walking, HALPE_26, np.arange(80) / 30)
    assert found[0] == 1
    assert found[-1] == -1
    assert np.count_nonzero(np.diff(found)) == 1


def test_the_filter_keeps_slow_movement_and_removes_jitter() -> None:
    times_s = np.arange(100) / 50
    slow = np.stack([np.sin(2 * np.pi * times_s)] * 3, axis=1)[:, None]
    jitter = 0.1 * np.sin(2 * np.pi * 20 * times_s)[:, None, None]
    inner = slice(20, -20)
    assert np.abs(filtered(slow + jitter, times_s, 6.0) - slow)[inner].max() < 0.01
    assert filtered(slow + jitter, times_s, 0.0) == pytest.approx(slow + jitter)
    with pytest.raises(InputError, match="filter_hz: expected below half of 50 samples per second, got 30"):
        filtered(slow, times_s, 30.0)


def test_speeds_use_true_times_and_stop_at_gaps() -> None:
    times_s = np.array([0.0, 0.1, 0.3, 0.4, 0.5, 0.6])
    points = np.stack([3 * times_s, 4 * times_s], axis=1)[:, None]
    points[3] = np.nan
    assert speeds(points, times_s)[[0, 1, 2, 4, 5], 0] == pytest.approx(5)
    assert np.isnan(speeds(points, times_s)[3, 0])
    assert np.isnan(speeds(points[:1], times_s[:1])[0, 0])


def test_the_height_is_that_of_upright_frames() -> None:
    standing, sitting = figure(), figure(hip=90, knee=90) * 1.5
    size = body_size(np.concatenate([standing] * 6 + [sitting] * 20), HALPE_26)
    assert size.num_upright == 6
    assert size.height == pytest.approx((100 + 90 + 80) / ANKLE_TO_SHOULDER)
    assert body_size(sitting, HALPE_26).num_upright == 0
    assert np.isnan(body_size(np.full((3, 26, 2), np.nan), HALPE_26).height)
