"""Skeletons of the data sets, and the ways from one to another."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrail.skeletons import (
    AIC_14,
    BLAZEPOSE_33,
    BODY_25,
    BODY_135,
    COCO_17,
    COCO_WHOLEBODY_133,
    CROWDPOSE_14,
    FACE_68,
    FACE_106,
    FLIC_9,
    H36M_17,
    HALPE_26,
    HAND_21,
    LSP_14,
    MPI_14,
    MPII_16,
    OPENPOSE_18,
    PARTS,
    POSETRACK_15,
    POSETRACK_18,
    SKELETONS,
    Skeleton,
    coco_to_posetrack,
    mapped,
)

EVERY = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
BODIES = {name: skeleton for name, skeleton in SKELETONS.items() if skeleton not in (*PARTS, FLIC_9)}
EVERY_BODY = pytest.mark.parametrize("skeleton", BODIES.values(), ids=BODIES)


@EVERY
def test_mirroring_twice_changes_nothing(skeleton: Skeleton) -> None:
    assert (skeleton.mirror[skeleton.mirror] == np.arange(len(skeleton))).all()
    if skeleton not in (*PARTS, FLIC_9):
        assert skeleton.joints[skeleton.mirror[skeleton.index("left_knee")]] == "right_knee"


def test_coco_to_posetrack_copies_thirteen_joints_and_estimates_two() -> None:
    keypoints, scores = np.zeros((1, 17, 2)), np.full((1, 17), 0.8)
    keypoints[0, :, 0] = np.arange(17)
    for joint in ("left_shoulder", "right_shoulder"):
        keypoints[0, COCO_17.index(joint)] = 10, 100
    for joint in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"):
        keypoints[0, COCO_17.index(joint)] = 10, 80
    out, out_scores = coco_to_posetrack(keypoints, scores)
    assert out[0, POSETRACK_15.index("neck")] == pytest.approx([10, 94])
    assert out[0, POSETRACK_15.index("head_top")] == pytest.approx([10, 68])
    assert out[0, POSETRACK_15.index("left_knee")].tolist() == keypoints[0, COCO_17.index("left_knee")].tolist()
    assert out_scores == pytest.approx(0.8)


def test_without_a_shoulder_there_is_no_neck() -> None:
    keypoints, scores = np.ones((1, 17, 2)), np.ones((1, 17))
    keypoints[0, COCO_17.index("left_shoulder")], scores[0, COCO_17.index("left_shoulder")] = np.nan, 0
    out, out_scores = coco_to_posetrack(keypoints, scores)
    assert np.isnan(out[0, POSETRACK_15.index("neck")]).all()
    assert out_scores[0, POSETRACK_15.index("neck")] == 0


def test_the_error_for_an_unknown_joint_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="coco_17 has no joint 'tail'"):
        COCO_17.index("tail")


@EVERY
def test_names_are_unique_and_every_left_has_its_right(skeleton: Skeleton) -> None:
    assert len(set(skeleton.joints)) == len(skeleton)
    for joint, mirror in zip(skeleton.joints, skeleton.mirror, strict=True):
        sided = joint.startswith(("left_", "right_"))
        assert (skeleton.joints[mirror] != joint) == sided, joint


def tracklets(skeleton: Skeleton) -> list[set[str]]:
    """Joints that hang together by limbs, largest tracklet first."""
    found = [{joint} for joint in skeleton.joints]
    for a, b in skeleton.limbs:
        with_a, with_b = (next(tracklet for tracklet in found if joint in tracklet) for joint in (a, b))
        if with_a is not with_b:
            with_a |= with_b
            found.remove(with_b)
    return sorted(found, key=len, reverse=True)


@EVERY_BODY
def test_limbs_connect_the_body_and_leave_no_joint_alone(skeleton: Skeleton) -> None:
    whole, *others = tracklets(skeleton)
    body = {f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "wrist", "hip", "ankle")}
    assert body <= whole or body in others
    never_annotated = {"left_ear", "right_ear"} if skeleton is POSETRACK_18 else set()
    assert {joint for tracklet in others if len(tracklet) == 1 for joint in tracklet} == never_annotated
    assert len(set(map(frozenset, skeleton.limbs))) == len(skeleton.limbs)
    no_neck = {
        COCO_17,
        COCO_WHOLEBODY_133,
        BODY_135,
        POSETRACK_15,
        POSETRACK_18,
        BLAZEPOSE_33,
    }  # their heads are drawn apart
    assert not others or skeleton in no_neck


@EVERY
def test_sigmas_are_within_the_range_of_human_joints(skeleton: Skeleton) -> None:
    sigmas = np.array(skeleton.oks_sigmas)
    assert (sigmas > 0.005).all()
    assert (sigmas < 0.12).all()


@pytest.mark.parametrize(
    ("skeleton", "count", "some"),
    [  # spot checks against each data set's own list
        (COCO_WHOLEBODY_133, 133, {17: "left_big_toe", 23: "right_jaw_1", 31: "chin", 53: "nose_bridge_4"}),
        (COCO_WHOLEBODY_133, 133, {59: "right_eye_outer", 68: "left_eye_outer", 71: "right_lip_corner"}),
        (COCO_WHOLEBODY_133, 133, {91: "left_hand_root", 95: "left_thumb_4", 112: "right_hand_root"}),
        (HALPE_26, 26, {17: "head_top", 18: "neck", 19: "pelvis", 21: "right_big_toe", 25: "right_heel"}),
        (BODY_25, 25, {0: "nose", 1: "neck", 8: "pelvis", 15: "right_eye", 19: "left_big_toe", 24: "right_heel"}),
        (OPENPOSE_18, 18, {0: "nose", 1: "neck", 8: "right_hip", 13: "left_ankle", 14: "right_eye", 17: "left_ear"}),
        (MPII_16, 16, {0: "right_ankle", 6: "pelvis", 9: "head_top", 15: "left_wrist"}),
        (CROWDPOSE_14, 14, {0: "left_shoulder", 11: "right_ankle", 12: "head_top", 13: "neck"}),
        (AIC_14, 14, {0: "right_shoulder", 5: "left_wrist", 11: "left_ankle", 12: "head_top", 13: "neck"}),
        (LSP_14, 14, {0: "right_ankle", 5: "left_ankle", 6: "right_wrist", 11: "left_wrist", 13: "head_top"}),
        (MPI_14, 14, {0: "head_top", 2: "right_shoulder", 7: "left_wrist", 8: "right_hip", 13: "left_ankle"}),
        (FLIC_9, 9, {0: "left_shoulder", 5: "right_wrist", 6: "left_hip", 8: "head"}),
        (HAND_21, 21, {0: "hand_root", 1: "thumb_1", 4: "thumb_4", 5: "index_1", 20: "little_4"}),
        (FACE_68, 68, {0: "right_jaw_1", 8: "chin", 27: "nose_bridge_1", 36: "right_eye_outer", 54: "left_lip_corner"}),
        (FACE_106, 106, {16: "chin", 33: "right_brow_upper_1", 46: "left_brow_upper_1", 51: "nose_bridge_1"}),
        (FACE_106, 106, {60: "nose_base", 66: "right_eye_outer", 74: "right_eye_centre", 79: "left_eye_outer"}),
        (FACE_106, 106, {84: "right_lip_corner", 96: "right_mouth_corner", 104: "right_pupil", 105: "left_pupil"}),
        (H36M_17, 17, {0: "pelvis", 3: "right_ankle", 7: "spine", 9: "nose", 10: "head_top", 16: "right_wrist"}),
        (BLAZEPOSE_33, 33, {0: "nose", 4: "right_eye_inner", 8: "right_ear", 9: "left_mouth", 11: "left_shoulder"}),
        (BLAZEPOSE_33, 33, {16: "right_wrist", 17: "left_little", 20: "right_index", 21: "left_thumb"}),
        (BLAZEPOSE_33, 33, {23: "left_hip", 26: "right_knee", 28: "right_ankle", 29: "left_heel", 32: "right_big_toe"}),
    ],
    ids=lambda value: value.name if isinstance(value, Skeleton) else "",
)
def test_joints_have_the_indices_of_the_data_set(skeleton: Skeleton, count: int, some: dict[int, str]) -> None:
    assert len(skeleton) == count
    assert {k: skeleton.joints[k] for k in some} == some


def test_mirror_pairs_of_whole_body_faces_are_those_of_the_data_set() -> None:
    first = COCO_WHOLEBODY_133.joints.index("right_jaw_1")
    swaps = [(0, 16), (7, 9), (8, 8), (17, 26), (21, 22), (30, 30), (31, 35), (36, 45), (37, 44), (39, 42), (40, 47)]
    swaps += [(41, 46), (48, 54), (50, 52), (51, 51), (55, 59), (57, 57), (60, 64), (61, 63), (65, 67), (66, 66)]
    for a, b in swaps:
        assert COCO_WHOLEBODY_133.mirror[first + a] == first + b


def test_mirror_pairs_of_lapas_faces_are_those_of_the_data_set() -> None:
    swaps = [
        (0, 32),
        (15, 17),
        (16, 16),
        (33, 46),
        (37, 42),
        (38, 50),
        (41, 47),
        (51, 51),
        (55, 65),
        (59, 61),
        (60, 60),
    ]
    swaps += [(66, 79), (67, 78), (69, 76), (70, 75), (71, 82), (73, 80), (74, 83), (84, 90), (86, 88), (87, 87)]
    swaps += [(91, 95), (92, 94), (93, 93), (96, 100), (97, 99), (101, 103), (102, 102), (104, 105)]
    for a, b in swaps:
        assert (FACE_106.mirror[a], FACE_106.mirror[b]) == (b, a)


@pytest.mark.parametrize("skeleton", PARTS, ids=lambda skeleton: skeleton.name)
def test_parts_are_drawn_without_gaps_and_hands_have_no_side(skeleton: Skeleton) -> None:
    assert {joint for limb in skeleton.limbs for joint in limb} == set(skeleton.joints)
    if skeleton is HAND_21:
        assert len(tracklets(skeleton)) == 1
        assert skeleton.mirror_pairs == ()


def test_points_of_faces_that_have_one_name_have_one_sigma() -> None:
    whole = dict(zip(COCO_WHOLEBODY_133.joints, COCO_WHOLEBODY_133.oks_sigmas, strict=True))
    for skeleton in (FACE_68, FACE_106):
        shared = {joint: s for joint, s in zip(skeleton.joints, skeleton.oks_sigmas, strict=True) if joint in whole}
        assert len(shared) >= 30
        assert all(whole[joint] == sigma for joint, sigma in shared.items())


def person(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """One person whose every joint is somewhere of its own."""
    rng = np.random.default_rng(len(skeleton))
    return rng.uniform(0, 500, (1, len(skeleton), 2)), rng.uniform(0.1, 1, (1, len(skeleton)))


@pytest.mark.parametrize(("a", "b"), list(product(BODIES.values(), repeat=2)), ids=lambda s: s.name)
def test_shared_joints_survive_a_round_trip_between_skeletons(a: Skeleton, b: Skeleton) -> None:
    keypoints, scores = person(a)
    there, there_scores = mapped(keypoints, scores, a, b)
    back, back_scores = mapped(there, there_scores, b, a)
    assert there.shape == (1, len(b), 2)
    body = [joint for joint in COCO_17.joints[5:] if joint in a.joints]
    assert len(body) == 12
    shared = [a.index(joint) for joint in a.joints if joint in b.joints and joint != "neck"]
    assert np.array_equal(back[:, shared], keypoints[:, shared])
    assert np.array_equal(back_scores[:, shared], scores[:, shared])
    missing = ~np.isfinite(there).all(axis=2)
    assert np.array_equal(missing, there_scores == 0)
    if a is b:
        assert np.array_equal(there, keypoints)


def test_joints_that_cannot_be_derived_are_missing() -> None:
    mpii, scores = mapped(*person(MPII_16), MPII_16, COCO_17)
    face = [COCO_17.index(joint) for joint in ("nose", "left_eye", "right_ear")]
    assert np.isnan(mpii[0, face]).all()
    assert (scores[0, face] == 0).all()
    crowd, _ = mapped(*person(CROWDPOSE_14), CROWDPOSE_14, H36M_17)
    assert np.isnan(crowd[0, H36M_17.index("nose")]).all()


def test_pelvis_thorax_and_spine_lie_in_the_middle() -> None:
    keypoints, scores = person(COCO_17)
    for joint, x, y in (("left_shoulder", 12, 0), ("right_shoulder", 8, 2), ("left_hip", 11, 40), ("right_hip", 9, 42)):
        keypoints[0, COCO_17.index(joint)], scores[0, COCO_17.index(joint)] = (x, y), 0.5
    out, out_scores = mapped(keypoints, scores, COCO_17, H36M_17)
    for joint, place in (("thorax", (10, 1)), ("pelvis", (10, 41)), ("spine", (10, 21))):
        assert out[0, H36M_17.index(joint)] == pytest.approx(place)
        assert out_scores[0, H36M_17.index(joint)] == pytest.approx(0.5)
    scores[0, COCO_17.index("left_hip")] = 0
    out, out_scores = mapped(keypoints, scores, COCO_17, H36M_17)
    for joint in ("pelvis", "spine"):
        assert np.isnan(out[0, H36M_17.index(joint)]).all()
        assert out_scores[0, H36M_17.index(joint)] == 0
    assert np.isfinite(out[0, H36M_17.index("thorax")]).all()


def test_necks_of_openpose_are_the_middle_of_the_shoulders_and_those_of_posetrack_are_not() -> None:
    keypoints, scores = person(COCO_17)
    middle = keypoints[0, [COCO_17.index("left_shoulder"), COCO_17.index("right_shoulder")]].mean(axis=0)
    open_pose, open_scores = mapped(keypoints, scores, COCO_17, BODY_25)
    assert open_pose[0, BODY_25.index("neck")] == pytest.approx(middle)
    posetrack, _ = mapped(open_pose, open_scores, BODY_25, POSETRACK_15)
    directly, _ = mapped(keypoints, scores, COCO_17, POSETRACK_15)
    assert posetrack == pytest.approx(directly)
    eighteen, _ = mapped(keypoints, scores, COCO_17, POSETRACK_18)
    neck = POSETRACK_15.index("neck")
    assert np.array_equal(eighteen[0, POSETRACK_18.index("head_bottom")], directly[0, neck])
    assert not np.allclose(directly[0, neck], middle)
    thorax, _ = mapped(open_pose, open_scores, BODY_25, MPII_16)
    assert thorax[0, MPII_16.index("thorax")] == pytest.approx(middle)


@given(st.sampled_from(list(SKELETONS.values())), st.sampled_from(list(SKELETONS.values())), st.integers(0, 2**31))
def test_mapping_a_mirrored_person_gives_the_mirrored_person(a: Skeleton, b: Skeleton, seed: int) -> None:
    rng = np.random.default_rng(seed)
    keypoints, scores = rng.normal(0, 100, (3, len(a), 2)), rng.random((3, len(a)))
    scores[rng.random(scores.shape) < 0.2] = 0
    there, there_scores = mapped(keypoints, scores, a, b)
    flipped, flipped_scores = mapped(keypoints[:, a.mirror] * [-1, 1], scores[:, a.mirror], a, b)
    assert np.allclose(flipped, there[:, b.mirror] * [-1, 1], equal_nan=True)
    assert np.allclose(flipped_scores, there_scores[:, b.mirror])


def test_three_dimensions_and_no_people_are_mapped() -> None:
    out, _ = mapped(np.ones((2, 17, 3), np.float32), np.ones((2, 17), np.float32), H36M_17, MPII_16)
    assert (out.shape, out.dtype) == ((2, 16, 3), np.float32)
    nobody, scores = mapped(np.zeros((0, 17, 2)), np.zeros((0, 17)), COCO_17, COCO_WHOLEBODY_133)
    assert (nobody.shape, scores.shape) == ((0, 133, 2), (0, 133))
