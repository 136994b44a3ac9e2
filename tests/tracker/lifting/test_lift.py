"""Invented people before an invented camera, lifted by a stand-in that knows the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from posetrail.poses import Poses, TrackedPoses
from posetrail.poses3d import PoseSequence
from posetrail.skeletons import H36M_17
from tracker.frames import TrackedFrame
from tracker.lifting import lift
from tracker.lifting.bones import body_height, bone_lengths, bones_of
from tracker.lifting.camera import Camera
from tracker.lifting.floor import floor_of, on_floor
from tracker.lifting.landmarks import ClipLandmarks, lift_landmarks
from tracker.lifting.lift import Lifted, Scene, lift_clip
from tracker.lifting.smoothing import smoothed
from tracker.lifting.stretches import even_times, resampled
from tracker.tracked_clip import TrackedClip, tracked_clip

RATE_HZ = 25.0
SIZE = (1280, 720)
CAMERA = Camera(focal_px=1100, centre=(640, 360))
SCENE = Scene(camera=CAMERA, image_size=SIZE)
STANDING = np.array(
    [
        (0, 0, 0), (-0.13, 0, 0), (-0.13, 0.45, -0.02), (-0.13, 0.9, 0), (0.13, 0, 0), (0.13, 0.45, -0.02),
        (0.13, 0.9, 0), (0, -0.25, 0), (0, -0.5, 0), (0, -0.62, -0.1), (0, -0.75, 0), (0.18, -0.5, 0),
        (0.2, -0.22, 0.03), (0.2, 0.02, 0), (-0.18, -0.5, 0), (-0.2, -0.22, 0.03), (-0.2, 0.02, 0),
    ]
)  # fmt: skip


def walker(times_s: np.ndarray, x: float, speed: float, z: float, size: float = 1.0) -> np.ndarray:
    """Joints (T, 17, 3) of a person who walks sideways and swings arms and legs; bones keep their lengths."""
    joints = np.repeat(STANDING[None], len(times_s), axis=0)
    for joint, pivot, sign in ((2, 1, 1), (3, 1, 1), (5, 4, -1), (6, 4, -1), (12, 11, 1), (13, 11, 1)):
        angle = sign * 0.5 * np.sin(2 * np.pi * times_s)
        offset = STANDING[joint] - STANDING[pivot]
        joints[:, joint, 0] = STANDING[pivot, 0] + offset[0] * np.cos(angle) + offset[1] * np.sin(angle)
        joints[:, joint, 1] = STANDING[pivot, 1] + offset[1] * np.cos(angle) - offset[0] * np.sin(angle)
    place = np.stack([x + speed * times_s, np.full_like(times_s, 0.1), np.full_like(times_s, z)], axis=1)
    return size * joints + place[:, None]


def clip_of(people: dict[int, np.ndarray], times_s: np.ndarray, gone: dict[int, set[int]] | None = None) -> TrackedClip:
    frames = []
    for k, time_s in enumerate(times_s.tolist()):
        here = [(i, joints[k]) for i, joints in people.items() if k not in (gone or {}).get(i, set())]
        pixels = np.array([CAMERA.project(joints) for _, joints in here]).reshape(-1, 17, 2)
        boxes = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1) if len(here) else np.zeros((0, 4))
        poses = Poses(pixels, np.ones(pixels.shape[:2]), boxes, np.ones(len(here)), np.zeros(len(here)))
        frames.append(TrackedFrame(k, time_s, f"{k}.jpg", TrackedPoses(poses, [i for i, _ in here])))
    return tracked_clip(frames, 17)


class Knowing:
    """A lifter that recognises people by their 2-D joints and returns their true joints relative to the pelvis."""

    source = skeleton = H36M_17

    def __init__(self, people: dict[int, np.ndarray], times_s: np.ndarray, rate_hz: float | None = None) -> None:
        self.rate_hz = rate_hz
        self._people, self._times = people, times_s
        self.calls: list[int] = []

    def __call__(self, sequences: Sequence[PoseSequence]) -> list[np.ndarray]:
        self.calls.append(len(sequences))
        return [self._of(each) for each in sequences]

    def _of(self, sequence: PoseSequence) -> np.ndarray:
        assert sequence.image_size == SIZE
        out = []
        for keypoints in sequence.keypoints:
            candidates = np.concatenate(list(self._people.values()))
            nearest = np.abs(CAMERA.project(candidates) - keypoints).sum(axis=(1, 2)).argmin()
            out.append(candidates[nearest] - candidates[nearest, :1])
        return np.array(out, np.float32).reshape(-1, 17, 3)


TIMES = np.arange(50) / RATE_HZ
CROSSING = {1: walker(TIMES, -1.0, 1.0, 4.0), 2: walker(TIMES, 1.0, -1.0, 5.0, 0.9)}


def lifted(people: dict[int, np.ndarray], **options: object) -> Lifted:
    return lift_clip(clip_of(people, TIMES), H36M_17, Knowing(people, TIMES), Scene(camera=CAMERA, image_size=SIZE))


def test_two_people_who_cross_stand_where_they_were() -> None:
    tracks = lifted(CROSSING).tracks
    for track_id, truth in CROSSING.items():
        own = tracks.of(track_id)
        assert own.frame_indices.tolist() == list(range(50))
        assert np.abs(own.keypoints - truth).max() < 0.03
        assert np.abs(own.roots - truth[:, 0]).max() < 0.03
    assert not tracks.cut_off.any()
    assert not tracks.interpolated.any()


def test_a_person_does_not_depend_on_others() -> None:
    together, alone = lifted(CROSSING).tracks.of(1), lifted({1: CROSSING[1]}).tracks
    assert (together.keypoints == alone.keypoints).all()


def test_the_number_of_sequences_in_a_call_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    together = lifted(CROSSING).tracks
    monkeypatch.setattr(lift, "_SEQUENCES_AT_ONCE", 1)
    assert (lifted(CROSSING).tracks.keypoints == together.keypoints).all()


def test_a_mirrored_scene_gives_mirrored_people() -> None:
    mirrored = {i: (joints * (-1, 1, 1))[:, H36M_17.mirror] for i, joints in CROSSING.items()}
    tracks, expected = lifted(mirrored).tracks, lifted(CROSSING).tracks
    assert (tracks.track_ids == expected.track_ids).all()
    assert tracks.keypoints == pytest.approx((expected.keypoints * (-1, 1, 1))[:, H36M_17.mirror], abs=1e-5)


def test_noise_of_two_pixels_moves_people_by_centimetres() -> None:
    clip = clip_of(CROSSING, TIMES)
    clip.poses.keypoints[:] += np.random.default_rng(0).normal(0, 2, clip.poses.keypoints.shape)
    tracks = lift_clip(clip, H36M_17, Knowing(CROSSING, TIMES), SCENE).tracks
    for track_id, truth in CROSSING.items():
        errors = np.linalg.norm(tracks.of(track_id).keypoints - truth, axis=2)
        assert errors.mean() < 0.05
        assert tracks.of(track_id).frame_indices.tolist() == list(range(50))


def test_short_gaps_are_interpolated_and_long_ones_divide_the_track() -> None:
    people = {1: CROSSING[1]}
    gone = {1: {10, 11, 12, *range(25, 40)}}
    result = lift_clip(clip_of(people, TIMES, gone), H36M_17, Knowing(people, TIMES), SCENE)
    tracks = result.tracks
    assert tracks.frame_indices.tolist() == [*range(25), *range(40, 50)]
    assert tracks.frame_indices[tracks.interpolated].tolist() == [10, 11, 12]
    assert (tracks.keypoint_scores[tracks.interpolated] == 0).all()
    assert result.people[0].stretches == 2
    assert np.abs(tracks.keypoints - people[1][tracks.frame_indices]).max() < 0.06


def test_joints_of_low_score_count_as_missing() -> None:
    people = {1: CROSSING[1]}
    clip = clip_of(people, TIMES)
    clip.poses.keypoints[20, 3] += 500
    clip.poses.keypoint_scores[20, 3] = 0.2
    result = lift_clip(clip, H36M_17, Knowing(people, TIMES), SCENE).tracks
    assert np.abs(result.keypoints[20] - people[1][20]).max() < 0.05
    assert result.keypoint_scores[20, 3] == 0


def test_poses_are_resampled_to_the_rate_of_the_lifter_on_true_times() -> None:
    uneven = np.cumsum(np.random.default_rng(1).uniform(0.02, 0.06, 60))
    truth = {1: walker(uneven, -1.0, 0.5, 4.0)}
    fine = np.arange(uneven[0], uneven[-1] + 0.05, 0.005)
    lifter = Knowing({1: walker(fine, -1.0, 0.5, 4.0)}, fine, rate_hz=50)
    tracks = lift_clip(clip_of(truth, uneven), H36M_17, lifter, SCENE).tracks
    assert tracks.times_s == pytest.approx(uneven)
    assert np.abs(tracks.keypoints - truth[1]).max() < 0.05


def test_resampling_is_exact_on_linear_motion_also_beyond_the_ends() -> None:
    times = np.cumsum([0, 0.03, 0.05, 0.04, 0.033, 0.041])
    even = even_times(times, 50)
    assert np.diff(even) == pytest.approx(0.02)
    assert even[-1] >= times[-1] - 1e-9
    values = np.stack([2 * times - 1, -times], axis=1)
    there = resampled(values, times, even)
    assert there == pytest.approx(np.stack([2 * even - 1, -even], axis=1))
    assert resampled(there, even, times) == pytest.approx(values)
    assert even_times(times[:1], 50).tolist() == times[:1].tolist()


def test_a_height_scales_the_person_and_the_distance() -> None:
    people = {1: CROSSING[1]}
    plain = lifted(people)
    scene = Scene(camera=CAMERA, image_size=SIZE, heights_m={1: 2 * plain.people[0].height_m})
    double = lift_clip(clip_of(people, TIMES), H36M_17, Knowing(people, TIMES), scene)
    assert double.people[0].scale == pytest.approx(2, rel=1e-3)
    assert double.tracks.keypoints == pytest.approx(2 * plain.tracks.keypoints, rel=1e-3, abs=2e-3)


def test_bones_have_one_length_and_figures_say_what_they_had() -> None:
    class Breathing(Knowing):
        def _of(self, sequence: PoseSequence) -> np.ndarray:
            return super()._of(sequence) * (1 + 0.1 * np.sin(np.arange(len(sequence))))[:, None, None]

    people = {1: CROSSING[1]}
    result = lift_clip(clip_of(people, TIMES), H36M_17, Breathing(people, TIMES), SCENE)
    assert result.people[0].bone_std_before_mm > 10
    assert result.people[0].bone_std_after_mm < 0.01
    lengths = bone_lengths(result.tracks.keypoints.astype(float), bones_of(H36M_17))
    assert np.ptp(lengths, axis=0).max() < 1e-4


def test_frames_with_joints_outside_the_picture_are_marked() -> None:
    people = {1: walker(TIMES, 1.0, 1.5, 4.0)}
    tracks = lift_clip(clip_of(people, TIMES), H36M_17, Knowing(people, TIMES), SCENE).tracks
    outside = (CAMERA.project(people[1])[..., 0] > SIZE[0]).any(axis=1)
    assert outside.any()
    assert (tracks.cut_off == outside).mean() > 0.95
    assert tracks.cut_off[outside].all()


def test_a_tilted_floor_is_levelled() -> None:
    tilt = np.radians(10)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    people = {i: (walker(TIMES, -0.5, 0.5, z) - [0, 0, 4]) @ turn.T + [0, 0, 4] for i, z in ((1, 3.5), (2, 5.0))}
    tracks = lifted(people).tracks
    level = on_floor(tracks, floor_of(tracks))
    ankles = level.keypoints[:, [H36M_17.index("left_ankle"), H36M_17.index("right_ankle")], 1].max(axis=1)
    assert abs(np.median(ankles) + 0.08) < 0.06
    assert (level.keypoints[:, H36M_17.index("head_top"), 1] < -1.4).all()


def test_landmarks_that_disagree_with_the_track_have_little_weight() -> None:
    people = {1: CROSSING[1]}
    clip, truth = clip_of(people, TIMES), CROSSING[1]
    world = truth - truth[:, :1]
    pixels = CAMERA.project(truth)
    wrong = np.arange(20, 23)
    world[wrong], pixels[wrong] = -world[wrong], pixels[wrong] + 200
    landmarks = ClipLandmarks(pixels, np.ones((50, 17)), world, np.ones(50))
    tracks = lift_landmarks(clip, H36M_17, landmarks, H36M_17, SCENE).tracks
    assert np.abs(tracks.keypoints - truth).max() < 0.1


def test_smoothing_keeps_lines_and_crosses_gaps() -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.05, 40))
    line = np.stack([times, 1 - 2 * times, 3 * times], axis=1)[:, None]
    known = line.copy()
    known[10:14] = np.nan
    assert smoothed(known, times, np.ones((40, 1)), 3.0) == pytest.approx(line, abs=1e-5)
    assert smoothed(line[:1], times[:1], np.ones((1, 1)), 3.0) == pytest.approx(line[:1])
    assert np.isnan(smoothed(np.full((5, 1, 3), np.nan), times[:5], np.ones((5, 1)), 3.0)).all()


def test_height_of_a_body() -> None:
    assert body_height(STANDING[None], H36M_17, np.ones(1, bool)) == pytest.approx(1.06 * (0.75 + 0.9), rel=0.01)
