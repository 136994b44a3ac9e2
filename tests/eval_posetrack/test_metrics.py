"""Metrics of joints against values computed by hand. Head size is 30 px, so that 15 px is just a match."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval_posetrack.evaluation import evaluate
from eval_posetrack.formats.files import Clip
from posetrail.skeletons import POSETRACK_15
from tests.poses import POSE, clip_of

FAR = POSE + 3000
NOSE = POSETRACK_15.index("nose")


def totals(ground_truth: Clip, predictions: Clip) -> dict[str, float]:
    report = evaluate({"clip": ground_truth}, {"clip": predictions})
    figures = {name: figure.total for name, figure in report.total.items()}
    per_joint = {name: set(np.round(figure.per_joint, 9)) for name, figure in report.total.items()}
    assert all(len(values) == 1 for values in per_joint.values()), "all joints fare alike in these worlds"
    return figures


def aside(pixels: float) -> np.ndarray:
    return POSE + np.array([pixels, 0])


def walk(steps: list[float], ids: list[int] | None = None, *, frames: list[int] | None = None, of: int = 4) -> Clip:
    """One pose a frame, moved aside by so many pixels."""
    ids = [0] * len(steps) if ids is None else ids
    frames = list(range(len(steps))) if frames is None else frames
    return clip_of([aside(step) for step in steps], frames=frames, ids=ids, num_frames=of)


TRUTH = walk([0, 0, 0, 0])


# --- MOTA -------------------------------------------------------------------------------------------------------------


def test_a_new_id_halfway_is_one_switch_in_four_joints() -> None:
    figures = totals(TRUTH, walk([3, 3, 3, 3], ids=[5, 5, 6, 6]))
    assert figures["MOTA"] == pytest.approx(75)
    assert figures["MOTP"] == pytest.approx(90)  # 3 px are 0.1 heads
    assert (figures["switches"], figures["fragmentations"]) == (15, 0)


def test_a_miss_between_matches_and_a_false_person() -> None:
    predictions = clip_of([POSE, POSE, FAR, POSE], frames=[0, 1, 2, 3], ids=[0, 0, 1, 0])
    figures = totals(TRUTH, predictions)
    assert figures["MOTA"] == pytest.approx(50)
    assert figures["MOT_precision"] == figures["MOT_recall"] == pytest.approx(75)
    assert (figures["misses"], figures["false_positives"], figures["fragmentations"]) == (15, 15, 15)


def test_the_last_match_is_kept_although_another_is_nearer() -> None:
    predictions = clip_of([POSE, aside(6), aside(1)], frames=[0, 1, 1], ids=[5, 5, 6])
    figures = totals(walk([0, 0], of=2), predictions)
    assert figures["switches"] == 0
    assert figures["MOTP"] == pytest.approx(100 * (1 - 0.2 / 2))
    assert figures["MOTA"] == pytest.approx(50)


def test_a_switch_counts_after_a_gap_of_any_length() -> None:
    predictions = walk([0, 0], ids=[5, 6], frames=[0, 3])
    assert totals(TRUTH, predictions)["MOTA"] == pytest.approx(100 * (1 - 3 / 4))  # two misses and a switch


# --- AP ---------------------------------------------------------------------------------------------------------------


def with_scores(clip: Clip, scores: list[float]) -> Clip:
    return replace(clip, keypoint_scores=np.repeat(np.array(scores)[:, None], 15, axis=1))


def test_a_false_person_with_the_highest_score_costs_a_third() -> None:
    ground_truth = clip_of([POSE, POSE + 500])
    predictions = with_scores(clip_of([FAR, POSE, POSE + 500]), [0.9, 0.8, 0.7])
    figures = totals(ground_truth, predictions)
    assert figures["AP"] == pytest.approx(100 * 2 / 3)  # precisions 0, 1/2, 2/3: the envelope is 2/3
    assert figures["AP_precision"] == pytest.approx(100 * 2 / 3)
    assert figures["AP_recall"] == pytest.approx(100)


@pytest.mark.parametrize("order", [[POSE, FAR], [FAR, POSE]])
def test_ap_does_not_depend_on_the_order_of_equal_scores(order: list[np.ndarray]) -> None:
    predictions = with_scores(clip_of(order), [0.5, 0.5])
    assert totals(clip_of([POSE]), predictions)["AP"] == pytest.approx(50)


def test_between_equal_poses_the_nearer_is_assigned_and_in_exact_mode_the_first() -> None:
    ground_truth = walk([0, 0], of=2)
    predictions = with_scores(walk([6, 0, 6, 0], ids=[5, 6, 5, 6], frames=[0, 0, 1, 1], of=2), [0.9, 0.8, 0.9, 0.8])
    assert totals(ground_truth, predictions)["AP"] == pytest.approx(50)  # the sure one is the false one
    exact = evaluate({"clip": ground_truth}, {"clip": predictions}, mode="exact", metrics=["AP"])
    assert exact.total["AP"].total == pytest.approx(100)


# --- IDF1 -------------------------------------------------------------------------------------------------------------


def test_two_people_who_swap_ids_halfway_have_idf1_50() -> None:
    poses = [POSE, POSE + 500] * 4
    frames = [t for t in range(4) for _ in range(2)]
    ground_truth = clip_of(poses, frames=frames, ids=[0, 1] * 4)
    assert totals(ground_truth, clip_of(poses, frames=frames, ids=[0, 1, 0, 1, 1, 0, 1, 0]))["IDF1"] == pytest.approx(
        50
    )


def test_a_missed_frame_counts_once_in_idf1() -> None:
    figures = totals(TRUTH, walk([0, 0, 0], frames=[0, 1, 3]))
    assert figures["IDF1"] == pytest.approx(100 * 2 * 3 / (4 + 3))
    assert (figures["IDP"], figures["IDR"]) == pytest.approx((100, 75))


def test_the_more_frequent_of_two_ids_is_the_identity() -> None:
    assert totals(TRUTH, walk([0, 0, 0, 0], ids=[5, 6, 6, 6]))["IDF1"] == pytest.approx(75)


# --- HOTA -------------------------------------------------------------------------------------------------------------


def test_a_track_in_two_halves_has_full_deta_and_half_assa() -> None:
    figures = totals(TRUTH, walk([0, 0, 0, 0], ids=[5, 5, 6, 6]))
    assert figures["DetA"] == pytest.approx(100)
    assert figures["AssA"] == pytest.approx(50)
    assert figures["HOTA"] == pytest.approx(100 * np.sqrt(0.5))


def test_a_return_to_an_earlier_id_ends_a_fragment_and_a_miss_does_not() -> None:
    figures = totals(TRUTH, walk([0, 0, 0, 0], ids=[5, 6, 5, 5]))
    assert figures["AssA"] == pytest.approx(100 * (3 * 3 / 4 + 1 / 4) / 4)
    assert figures["FragA"] == pytest.approx(100 * (1 * 1 / 4 + 2 * 2 / 4 + 1 / 4) / 4)
    assert figures["FA-HOTA"] == pytest.approx(np.sqrt(100 * np.sqrt(figures["AssA"] * figures["FragA"])))
    missed = totals(TRUTH, walk([0, 0, 0], frames=[0, 2, 3]))
    assert missed["FragA"] == missed["AssA"] == pytest.approx(75)


def test_a_distance_of_half_the_match_distance_passes_ten_of_nineteen_thresholds() -> None:
    figures = totals(walk([0], of=1), walk([7.5], of=1))  # d = 0.25: similarity 1 - 0.25 / 0.5001, just above 0.5
    assert figures["HOTA"] == pytest.approx(100 * 10 / 19)
    assert figures["LocA"] == pytest.approx(100 * (10 * (1 - 0.25 / 0.5001) + 9) / 19)
    assert figures["HOTA(0)"] == pytest.approx(100)
    assert figures["LocA(0)"] == figures["HOTALocA(0)"] == pytest.approx(100 * (1 - 0.25 / 0.5001))


def test_a_match_a_miss_and_a_false_positive() -> None:
    ground_truth = clip_of([POSE, POSE + 500])
    figures = totals(ground_truth, clip_of([POSE, FAR]))
    assert figures["DetA"] == pytest.approx(100 / 3)
    assert (figures["DetRe"], figures["DetPr"]) == pytest.approx((50, 50))
    assert figures["HOTA"] == pytest.approx(100 * np.sqrt(1 / 3))


# --- PCK --------------------------------------------------------------------------------------------------------------


def test_pckh_is_a_share_of_the_annotated_joints_at_any_threshold() -> None:
    counts = evaluate({"clip": walk([0], of=1)}, {"clip": walk([10], of=1)}).counts.pck
    assert counts is not None
    for threshold, share in ((0.5, 100), (0.34, 100), (0.33, 0)):  # 10 px are a third of a head
        assert counts.figures(pckh=threshold)["pckh"].mean() == share


def test_a_person_without_prediction_is_missed_in_pck() -> None:
    ground_truth = clip_of([POSE, POSE + 500])
    assert totals(ground_truth, clip_of([POSE]))["PCKh@0.5"] == pytest.approx(50)


def test_pck_measures_in_torsos() -> None:
    torso = np.hypot(50, 90)  # left shoulder to right hip of the test's body
    counts = evaluate({"clip": walk([0], of=1)}, {"clip": walk([10], of=1)}).counts.pck
    assert counts is not None
    assert counts.figures(pck=10 / torso + 1e-9)["pck"].mean() == 100
    assert counts.figures(pck=10 / torso - 1e-9)["pck"].mean() == 0


# --- what the kits get wrong ------------------------------------------------------------------------------------------


def test_a_joint_that_is_never_annotated_is_left_out_of_every_mean() -> None:
    keypoints = POSE.copy()
    keypoints[NOSE] = np.nan
    report = evaluate({"clip": clip_of([keypoints])}, {"clip": clip_of([keypoints])})
    for name in ("AP", "MOTA", "MOTP", "IDF1", "HOTA", "PCKh@0.5"):
        assert np.isnan(report.total[name].per_joint[NOSE]), name
        assert report.total[name].total == 100, name
    assert any("counts joints that are never annotated as 0" in line for line in report.deviations)


def test_a_missing_head_box_is_replaced_and_noted() -> None:
    heads = TRUTH.head_boxes.copy()
    heads[2] = np.nan
    report = evaluate({"clip": replace(TRUTH, head_boxes=heads)}, {"clip": walk([3, 3, 3, 3])})
    assert report.total["MOTP"].total == pytest.approx(90)
    assert any("1 people have no head box" in note for note in report.notes)


def test_predictions_without_ids_are_new_people_in_each_frame() -> None:
    report = evaluate({"clip": TRUTH}, {"clip": walk([0, 0, 0, 0], ids=[-1] * 4)})
    assert report.total["switches"].total == 3 * 15
    assert report.total["AP"].total == 100
    assert any("4 people without track_id" in note for note in report.notes)
