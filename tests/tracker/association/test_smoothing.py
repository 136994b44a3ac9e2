"""Smoothing of tracks, offline in blocks and online."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.errors import InputError
from posetrail.poses import Poses, TrackedPoses
from tests.worlds import Walker, line
from tracker.association.follow import follow
from tracker.association.smoothing import OnlineSmoothing, smooth_tracks
from tracker.association.tracker import Tracker
from tracker.frames import FrameWithTracks, PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings, Smoothing

KALMAN = AssociationSettings(smooth="kalman")
WALKERS = (Walker(line((20, 60), (60, 0))), Walker(line((500, 75), (-60, 5))))


def walk(seconds: float, *, noise_px: float = 2.0, fps: float = 30.0) -> tuple[list[FrameWithTracks], list[np.ndarray]]:
    """Two walkers with noisy joints, and where the joints truly are (2, 17, 2) in each frame."""
    random = np.random.default_rng(0)
    frames, truth = [], []
    for index in range(int(seconds * fps)):
        time_s = index / fps
        keypoints = np.array([w.keypoints(time_s) for w in WALKERS])
        boxes = np.array([w.box(time_s) for w in WALKERS])
        noisy = keypoints + random.normal(0, noise_px, keypoints.shape)
        poses = Poses(noisy, np.full((2, 17), 0.8), boxes, np.full(2, 0.9), np.zeros(2))
        seen = PoseFrame(index, time_s, "", poses, PropagatedPoses.empty(17))
        frames.append((seen, TrackedPoses(poses, [7, 3])))
        truth.append(keypoints)
    return frames, truth


def error(frames: list[FrameWithTracks], truth: list[np.ndarray]) -> float:
    off = [people.poses.keypoints - true for (_, people), true in zip(frames, truth, strict=True)]
    return float(np.sqrt((np.array(off) ** 2).mean()))


@pytest.mark.parametrize("smooth", ["kalman", "butterworth"])
def test_smoothing_reduces_the_error_of_joints(smooth: str) -> None:
    frames, truth = walk(4)
    smoothed = list(smooth_tracks(frames, AssociationSettings(smooth=smooth)))  # type: ignore[arg-type]
    assert error(smoothed, truth) < 0.7 * error(frames, truth)
    assert [people.track_ids.tolist() for _, people in smoothed] == [[7, 3]] * len(frames)
    assert [seen.index for seen, _ in smoothed] == list(range(len(frames)))


def test_the_division_into_blocks_hardly_changes_the_result() -> None:
    frames, _ = walk(70, fps=10)
    whole = list(smooth_tracks(frames, KALMAN))
    later = list(smooth_tracks(frames[100:], KALMAN))  # other blocks: they begin ten seconds later
    for (_, one), (_, other) in zip(whole[200:-100], later[100:-100], strict=True):
        np.testing.assert_allclose(one.poses.keypoints, other.poses.keypoints, atol=0.05)


def test_missing_joints_and_poses_stay_missing() -> None:
    frames, _ = walk(2)
    for index in range(20, 25):
        seen, people = frames[index]
        keypoints = people.poses.keypoints.copy()
        keypoints[0, 5] = np.nan
        frames[index] = seen, replace(people, poses=replace(people.poses, keypoints=keypoints))
        frames[index + 10] = frames[index + 10][0], frames[index + 10][1][[1]]
    smoothed = list(smooth_tracks(frames, KALMAN))
    for (_, before), (_, after) in zip(frames, smoothed, strict=True):
        assert after.track_ids.tolist() == before.track_ids.tolist()
        assert (np.isnan(after.poses.keypoints) == np.isnan(before.poses.keypoints)).all()
        assert np.isfinite(after.poses.boxes).all()


def test_boxes_of_people_without_joints_are_smoothed() -> None:
    frames, _ = walk(3)
    random = np.random.default_rng(1)
    for index, (seen, people) in enumerate(frames):
        boxes = people.poses.boxes + random.normal(0, 3, (2, 4))
        poses = replace(people.poses, keypoints=np.full((2, 17, 2), np.nan), boxes=boxes)
        frames[index] = seen, replace(people, poses=poses)
    true = [np.array([w.box(seen.time_s) for w in WALKERS]) for seen, _ in frames]

    def off(tracked: list[FrameWithTracks]) -> float:
        return float(np.std([people.poses.boxes - box for (_, people), box in zip(tracked, true, strict=True)]))

    assert off(list(smooth_tracks(frames, KALMAN))) < 0.7 * off(frames)


def test_empty_frames_no_frames_and_equal_times_are_accepted() -> None:
    assert list(smooth_tracks([], KALMAN)) == []
    frames, _ = walk(1)
    empty = [(seen, people[[]]) for seen, people in frames]
    assert [len(people) for _, people in smooth_tracks(empty, KALMAN)] == [0] * 30
    still = [(replace(seen, time_s=0.0), people) for seen, people in frames]
    assert len(list(smooth_tracks(still, KALMAN))) == 30
    assert len(list(smooth_tracks(frames[:1], KALMAN))) == 1


def test_none_changes_nothing_and_a_cut_off_too_high_for_the_frame_rate_is_refused() -> None:
    frames, _ = walk(2, fps=10)
    assert list(smooth_tracks(frames, AssociationSettings(smooth="none"))) == frames
    with pytest.raises(InputError, match="cut"):
        list(smooth_tracks(frames, AssociationSettings(smooth="butterworth", smooth_hz=6.0)))


@pytest.mark.parametrize("smooth", ["kalman", "butterworth"])
def test_frames_of_the_same_time_are_smoothed_as_one_instant(smooth: Smoothing) -> None:
    frames, truth = walk(4)
    twice = [(replace(seen, time_s=seen.index // 2 / 15), people) for seen, people in frames]  # a clock of 15 Hz
    smoothed = list(smooth_tracks(twice, AssociationSettings(smooth=smooth)))
    assert error(smoothed, truth) < error(frames, truth)
    at_once = [(replace(seen, time_s=2.0), people) for seen, people in frames]
    assert len(list(smooth_tracks(at_once, AssociationSettings(smooth=smooth)))) == len(frames)


def test_online_smoothing_reduces_the_error_of_joints() -> None:
    frames, truth = walk(4)
    smooth = OnlineSmoothing()
    live = [(seen, smooth(people, seen.time_s)) for seen, people in frames]
    assert error(live, truth) < error(frames, truth)
    assert [people.track_ids.tolist() for _, people in live] == [[7, 3]] * len(frames)


def test_defaults_of_smooth_and_settings_without_effect() -> None:
    assert AssociationSettings().smoothing == AssociationSettings(smooth="kalman").smoothing == "kalman"
    assert AssociationSettings(offline=False).smoothing == "none"
    frames, _ = walk(0.5)
    poses = [(people.poses, seen.time_s) for seen, people in frames]

    def joints(settings: AssociationSettings) -> list[bytes]:
        return [people.poses.keypoints.tobytes() for people in follow(poses, settings)]

    assert joints(AssociationSettings()) == joints(AssociationSettings(smooth="kalman"))
    online = AssociationSettings(offline=False)
    assert joints(online) == joints(replace(online, smooth="none"))
    live = Tracker(replace(online, smooth="one_euro"))
    assert [live.update(*frame).poses.keypoints.tobytes() for frame in poses] == joints(
        replace(online, smooth="one_euro")
    )
    assert joints(replace(online, smooth="one_euro")) != joints(online)
    for smooth in get_args(Smoothing):
        if smooth in ("kalman", "butterworth"):
            with pytest.raises(
                InputError,
                match=f"^smooth: expected auto, one_euro or none in online association, got {smooth}, which needs the",
            ):
                AssociationSettings(offline=False, smooth=smooth)
            with pytest.raises(InputError, match=f"^smooth: expected a method that works frame by frame, got {smooth}"):
                Tracker(AssociationSettings(smooth=smooth))
    with pytest.raises(
        InputError, match="smooth: expected auto, kalman, butterworth or none in offline association, got one_euro"
    ):
        AssociationSettings(smooth="one_euro")
    with pytest.raises(InputError, match=r"smooth_hz: expected smooth butterworth .*, got smooth auto"):
        AssociationSettings(smooth_hz=3.0)
    assert AssociationSettings(smooth="butterworth", smooth_hz=3).smooth_hz == 3.0


@given(
    steps=st.lists(st.sampled_from([0.0, 0.0, 1e-6, 1 / 30, 0.7]), min_size=1, max_size=25),
    smooth=st.sampled_from(["auto", "butterworth", "one_euro"]),
)
@settings(max_examples=12, deadline=None)
def test_frames_of_equal_times_are_tracked_and_smoothed(steps: list[float], smooth: Smoothing) -> None:
    frames, _ = walk(len(steps) / 30)
    times_s = np.cumsum(steps)
    clip = [(people.poses, float(time_s)) for (_, people), time_s in zip(frames, times_s, strict=False)]
    for offline in (True, False):
        if smooth == "auto" or offline == (smooth == "butterworth"):
            people = follow(
                clip,
                AssociationSettings(offline=offline, smooth=smooth, smooth_hz=0.5 if smooth == "butterworth" else 6.0),
            )
            assert len(people) == len(clip)
            assert all(np.isfinite(each.poses.keypoints).all() for each in people)
            assert len(people[0]) == 2
