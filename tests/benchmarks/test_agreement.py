"""The benchmark of agreement: invented references and predictions whose figures are known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import agreement
from benchmarks.agreement import HEAD_PER_BODY, body_lengths, compare, frame_range, main
from benchmarks.candidates import CANDIDATES, chosen_candidates, values_of, with_values
from benchmarks.expensive import AveragedEstimator, consensus, expensive
from benchmarks.sequences import posetrack_clip
from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.files import write_clip
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17, POSETRACK_15, coco_to_posetrack
from tests.worlds import STANDING
from tracker.settings import Settings

FRAMES = 10
LEFT, RIGHT = (100.0, 100.0), (400.0, 100.0)
SIZE = (100.0, 300.0)  # of a person in pixels
WRIST, KNEE = POSETRACK_15.index("left_wrist"), POSETRACK_15.index("left_knee")


def clip_of(*places: tuple[float, float], score: float = 0.9, frames: int = FRAMES) -> Clip:
    """A clip in which a person stands at each place, with ids 0, 1, ..."""
    N = len(places)
    coco = np.array(places)[:, None] + STANDING * SIZE
    keypoints, scores = coco_to_posetrack(coco, np.full(coco.shape[:2], score))
    return posetrack_clip(
        "clip",
        np.arange(frames) / 30,
        np.repeat(np.arange(frames), N),
        np.tile(np.arange(N), frames),
        np.tile(keypoints, (frames, 1, 1)),
        np.tile(scores, (frames, 1)),
        np.tile(np.concatenate([places, np.add(places, SIZE)], axis=1), (frames, 1)),
        np.full(N * frames, score),
    )


def figures(reference: Clip, predictions: Clip, frames: range | None = None) -> dict[str, str]:
    result = compare(reference, predictions, frames)
    return dict(zip(result.TITLES, result.cells(), strict=True))


def moved(clip: Clip, rows: np.ndarray, joints: Sequence[int] | slice, step: tuple[float, float]) -> Clip:
    keypoints = clip.keypoints.copy()
    for row in rows:
        keypoints[row, joints] += step
    return replace(clip, keypoints=keypoints)


def test_a_reference_agrees_with_itself() -> None:
    both = clip_of(LEFT, RIGHT)
    assert figures(both, both) == {
        "AP": "100.0",
        "MOTA": "100.0",
        "IDF1": "100.0",
        "switches": "0",
        "people": "20 of 20",
        "ids": "2 of 2",
        "distance median": "0.00",
        "p90": "0.00",
        "other": "0.00",
    }


def test_distances_are_shares_of_the_body_length() -> None:
    reference = clip_of(LEFT)
    length = body_lengths(reference)[0]
    assert 250 < length < 400  # a person 300 pixels high, with bent knees
    step = 0.03 * length
    every_row = np.arange(FRAMES)
    found = figures(reference, moved(reference, every_row, slice(None), (step, 0)))
    assert (found["distance median"], found["p90"], found["AP"]) == ("3.00", "3.00", "100.0")
    beyond_a_match = 0.6 * HEAD_PER_BODY * length
    found = figures(reference, moved(reference, every_row, slice(None), (beyond_a_match, 0)))
    assert (found["AP"], found["MOTA"]) == ("0.0", "-100.0")


def test_the_length_of_a_body_is_steady_while_its_pose_changes_briefly() -> None:
    clip = clip_of(LEFT, frames=30)
    squeezed = clip.keypoints.copy()
    squeezed[12:14] = squeezed[12:14].mean(axis=1, keepdims=True)
    assert body_lengths(replace(clip, keypoints=squeezed)) == pytest.approx(body_lengths(clip))


def test_the_length_of_a_body_is_estimated_from_the_parts_that_are_there() -> None:
    whole = clip_of(LEFT)
    upper = whole.keypoints.copy()
    upper[:, [POSETRACK_15.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]] = (
        np.nan
    )
    assert body_lengths(replace(whole, keypoints=upper)) == pytest.approx(body_lengths(whole), rel=0.15)
    only_wrists = np.full_like(whole.keypoints, np.nan)
    only_wrists[:, [WRIST, WRIST + 1]] = [[0.0, 0.0], [70.0, 20.0]]
    assert body_lengths(replace(whole, keypoints=only_wrists)) == pytest.approx(70)


def test_exchanged_ids_are_switches() -> None:
    reference = clip_of(LEFT, RIGHT)
    ids = np.where(reference.frames < FRAMES // 2, reference.track_ids, 1 - reference.track_ids)
    order = np.lexsort((ids, reference.frames))
    found = figures(reference, replace(reference, track_ids=ids).with_people(order))
    assert (found["switches"], found["AP"], found["IDF1"]) == ("2", "100.0", "50.0")
    assert figures(reference, replace(reference, track_ids=ids), range(0, 5))["switches"] == "0"


def test_a_missing_person_costs_and_an_additional_one_too() -> None:
    one, two = clip_of(LEFT), clip_of(LEFT, RIGHT)
    found = figures(two, one)
    assert (found["MOTA"], found["people"], found["ids"]) == ("50.0", "10 of 20", "1 of 2")
    found = figures(one, two)
    assert (found["MOTA"], found["people"], found["ids"]) == ("0.0", "20 of 10", "2 of 1")


def test_a_person_of_whom_the_reference_is_unsure_is_neither_required_nor_charged() -> None:
    reference = clip_of(LEFT, RIGHT)
    doubtful = np.where((reference.track_ids == 1)[:, None], 0.1, reference.keypoint_scores)
    reference = replace(reference, keypoint_scores=doubtful)
    for predictions in (clip_of(LEFT), clip_of(LEFT, RIGHT)):
        found = figures(reference, predictions)
        assert (found["MOTA"], found["people"], found["ids"]) == ("100.0", "10 of 10", "1 of 1")


def test_a_joint_of_which_the_reference_is_unsure_is_neither_required_nor_charged() -> None:
    reference = clip_of(LEFT)
    scores = reference.keypoint_scores.copy()
    scores[:, WRIST] = 0.1
    elsewhere = moved(reference, np.arange(FRAMES), [WRIST], (80, 0))
    assert figures(reference, elsewhere)["p90"] == "0.00"  # one joint of fifteen
    assert float(figures(reference, elsewhere)["MOTA"]) < 90
    found = figures(replace(reference, keypoint_scores=scores), elsewhere)
    assert (found["MOTA"], found["AP"]) == ("100.0", "100.0")


def test_a_joint_nearer_to_another_person_is_counted() -> None:
    reference = clip_of(LEFT, (LEFT[0] + 120, LEFT[1]))
    of_first = np.flatnonzero(reference.track_ids == 0)
    found = figures(reference, moved(reference, of_first, [KNEE], (110, 0)))
    assert found["other"] == f"{100 / 30:.2f}"  # one of two people's thirty joints
    found = figures(reference, moved(reference, of_first, [KNEE], (-110, 0)))
    assert found["other"] == "0.00"


def test_only_the_chosen_frames_are_scored() -> None:
    reference = clip_of(LEFT)
    late = moved(reference, np.arange(5, FRAMES), slice(None), (60, 0))
    assert figures(reference, late, range(0, 5))["MOTA"] == "100.0"
    assert figures(reference, late, range(5, 10))["MOTA"] == "-100.0"
    assert figures(reference, late)["MOTA"] == "0.0"


def test_a_reference_without_confident_people_is_refused() -> None:
    with pytest.raises(InputError, match="expected a reference with confident people"):
        compare(clip_of(LEFT, score=0.1), clip_of(LEFT))
    with pytest.raises(InputError, match="expected a reference with confident people"):
        compare(clip_of(LEFT), clip_of(LEFT), range(50, 60))


def test_consensus_is_the_place_of_the_majority_not_the_mean() -> None:
    x = np.array([10.0, 12.0, 11.0, 90.0])  # of four estimates of a joint, the last on another person
    keypoints = np.stack([x, np.zeros(4)], axis=1).reshape(4, 1, 1, 2)
    [[[place_x, place_y]]], [[score]] = consensus(keypoints, np.full((4, 1, 1), 0.8), np.array([10_000.0]), [0.05])
    assert (place_x, place_y) == (pytest.approx(11, abs=0.5), 0)
    assert 0.5 < score < 0.6001  # three of four agree


def test_a_joint_that_no_estimate_has_stays_missing() -> None:
    keypoints, scores = consensus(
        np.full((3, 1, 2, 2), np.nan), np.zeros((3, 1, 2)), np.array([100.0]), COCO_17.oks_sigmas[:2]
    )
    assert np.isnan(keypoints).all()
    assert (scores == 0).all()


class Shifted:
    """An estimator whose people stand in their boxes, some pixels too far right."""

    skeleton = COCO_17

    def __init__(self, pixels: float) -> None:
        self._pixels = pixels

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        answers = []
        for each in boxes:
            N = len(each)
            keypoints = each[:, None, :2] + STANDING * (each[:, None, 2:] - each[:, None, :2]) + [self._pixels, 0]
            answers.append(Poses(keypoints, np.full((N, 17), 0.9), each, np.ones(N), np.zeros(N)))
        return answers


def test_an_averaged_estimator_answers_for_every_frame_and_box() -> None:
    boxes = [np.array([[0.0, 0, 100, 300], [200, 0, 300, 300]]), np.zeros((0, 4))]
    frames = [Frame(i, i / 30, f"{i}.jpg", np.zeros((4, 4, 3), np.uint8)) for i in range(2)]
    average = AveragedEstimator([Shifted(-1), Shifted(0), Shifted(1)], "shifted")
    [two, none] = average(frames, boxes)
    assert two.keypoints == pytest.approx(Shifted(0)(frames, boxes)[0].keypoints, abs=0.1)
    assert len(none) == 0
    assert average.skeleton is COCO_17


def test_the_reference_is_more_expensive_whatever_the_settings() -> None:
    cheap = with_values(Settings(), {"detect_every": 5, "precision": "int8", "min_box_score": 0.4})
    settings = expensive(cheap)
    assert settings.networks.flip_test
    assert (settings.networks.detector_input_px or 0) > 1000
    assert settings.inference.detect_every == 1
    assert settings.inference.min_box_score == 0.4


def test_settings_are_given_by_name_whichever_group_they_belong_to() -> None:
    values = values_of(["crop_scale=1.1", "flip_test=true", "flow=none", "detect_every = 3", "offline=false"])
    settings = with_values(Settings(), values)
    assert (settings.networks.crop_scale, settings.networks.flip_test) == (1.1, True)
    assert (settings.inference.flow, settings.inference.detect_every) == ("none", 3)
    assert not settings.association.offline
    assert list(chosen_candidates(Settings(), None, [])) == ["default"]
    both = chosen_candidates(Settings(), list(CANDIDATES), [["crop_scale=1.1", "flip_test=true"]])
    assert list(both) == [*CANDIDATES, "crop_scale=1.1 flip_test=true"]


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(InputError, match="unknown setting 'crop_scal'"):
        with_values(Settings(), {"crop_scal": 1})
    with pytest.raises(InputError, match="--set: expected NAME=VALUE"):
        values_of(["crop_scale"])


def test_a_range_of_frames_includes_both_ends() -> None:
    assert frame_range("58-99") == range(58, 100)
    assert frame_range("7") == range(7, 8)
    for wrong in ("9-3", "a-b", "", "3-"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected FIRST-LAST"):
            frame_range(wrong)


def test_the_program_prints_a_row_for_each_clip_and_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tracked: list[Path] = []

    def write(folder: Path, clip: Clip) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_clip(clip, folder / "tracks.json")

    def fake_track(path: Path, folder: Path, settings: Settings) -> None:
        tracked.append(folder)
        write(folder, clip_of(LEFT) if settings.networks.flip_test else clip_of(LEFT, RIGHT))

    def fake_reference(path: Path, folder: Path, *_: Any, **__: Any) -> None:
        write(folder, clip_of(LEFT))

    monkeypatch.setattr(agreement, "track_to_folder", fake_track)
    monkeypatch.setattr(agreement, "make_reference", fake_reference)
    arguments = ["--clip", "a.mp4", "b.mp4", "--candidates", "flip-test", "--set", "min_output_joint_score=0.2"]
    monkeypatch.setattr(sys, "argv", ["agreement", *arguments, "--reference", str(tmp_path)])
    main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[1] for row in rows] == ["a", "b", "together"] * 2
    assert [row[3] for row in rows] == ["100.0"] * 3 + ["0.0"] * 3
    assert [row[6] for row in rows] == ["10 of 10", "10 of 10", "20 of 20", "20 of 10", "20 of 10", "40 of 20"]
    assert len(set(tracked)) == 4

    for wrong, problem in (
        (["a.mp4", "--set", "nothing=1"], "unknown setting 'nothing'"),
        (["x/a.mp4", "y/a.mp4"], "--clip: expected clips with different names"),
    ):
        monkeypatch.setattr(sys, "argv", ["agreement", "--clip", *wrong])
        with pytest.raises(SystemExit, match=problem):
            main()
