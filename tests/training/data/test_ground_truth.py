"""Ground truth that `posetrail export` writes and the readers read is the same people at the same places."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.joint_mapping import mapped
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17, POSETRACK_15
from tracker.io.importers import read_poses
from tracker.io.pose_log import read_pose_log
from tracker.io.writers import ClipInfo
from tracker.runs.ground_truth import GroundTruth, write_coco, write_csv, write_posetrack
from tracker.tracked_clip import PoseName, TrackedClip
from training.data.read import read_samples

K, NOSE = len(COCO_17), COCO_17.index("nose")


@st.composite
def ground_truths(draw: st.DrawFn) -> GroundTruth:
    """Up to three people in each of up to five frames, some of which are labelled; joints are missing or hidden."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    counts = np.array(draw(st.lists(st.integers(0, 3), min_size=1, max_size=5)))
    F, T = len(counts), int(counts.sum())
    begins = np.concatenate([[0], counts.cumsum()])
    rows = np.concatenate([np.arange(count) for count in counts])
    track_ids = rows + draw(st.sampled_from([0, 7]))
    corners = random.integers(0, 200, (T, 2)).astype(float)
    keypoints = (corners[:, None] + random.integers(1, 400, (T, K, 2)) / 4).astype(np.float32)
    missing = random.random((T, K)) < draw(st.sampled_from([0.0, 0.4]))
    keypoints[missing] = np.nan
    frames = np.arange(F) * draw(st.sampled_from([1, 3])) + draw(st.sampled_from([0, 12]))
    clip = TrackedClip(
        frame_indices=frames,
        times_s=frames / 25,
        frame_names=tuple(f"{k:06d}.jpg" for k in frames),
        begins=begins,
        poses=Poses(
            keypoints=keypoints,
            keypoint_scores=np.where(missing, 0, 0.5).astype(np.float32),
            boxes=np.concatenate([corners, corners + 100], axis=1).astype(np.float32),
            scores=np.full(T, 0.5, np.float32),
            propagated=np.zeros(T, bool),
        ),
        track_ids=track_ids,
        interpolated=np.zeros(T, bool),
        pose_rows=rows,
    )
    labelled = random.random(F) < 0.7
    labelled[draw(st.integers(0, F - 1))] = True
    hidden = {
        PoseName(int(clip.frame_of_pose[t]), int(rows[t])): {NOSE: (5.25, 6.5)} for t in range(T) if missing[t, NOSE]
    }
    info = ClipInfo(name="clip", skeleton=COCO_17, fps=25, width=400, height=300)
    checked_by = tuple(np.where(labelled, "Ada", "").tolist())
    return GroundTruth(clip=clip, info=info, labelled=labelled, checked_by=checked_by, hidden=hidden)


def labelled_rows(truth: GroundTruth) -> np.ndarray:
    return np.flatnonzero(truth.labelled[truth.clip.positions])


@settings(max_examples=40)
@given(truth=ground_truths())
def test_coco(truth: GroundTruth) -> None:
    rows, clip = labelled_rows(truth), truth.clip
    if not len(rows):
        return
    with tempfile.TemporaryDirectory() as folder:
        write_coco(Path(folder) / "truth.json", truth)
        samples = read_samples(Path(folder) / "truth.json", may_be_missing=True)
    expected = clip.poses.keypoints[rows].copy()
    present = np.isfinite(expected).all(axis=2)
    expected[~present[:, NOSE], NOSE] = 5.25, 6.5  # placed, then hidden
    np.testing.assert_array_equal(samples.keypoints, expected)
    flags = np.where(present, 2, 0)
    flags[~present[:, NOSE], NOSE] = 1
    np.testing.assert_array_equal(samples.visibility, flags)
    np.testing.assert_array_equal(samples.boxes, clip.poses.boxes[rows])
    np.testing.assert_array_equal(samples.track_ids, clip.track_ids[rows])
    assert samples.skeleton is COCO_17
    assert [path.name for path in samples.images] == [clip.frame_names[k] for k in np.flatnonzero(truth.labelled)]
    assert [samples.images[i].name for i in samples.image_rows] == [clip.frame_names[k] for k in clip.positions[rows]]


@settings(max_examples=40)
@given(truth=ground_truths())
def test_posetrack(truth: GroundTruth) -> None:
    rows, clip = labelled_rows(truth), truth.clip
    expected, _ = mapped(clip.poses.keypoints, clip.poses.keypoint_scores, COCO_17, POSETRACK_15)
    rows = rows[np.isfinite(expected[rows]).all(axis=2).any(axis=1)]
    with tempfile.TemporaryDirectory() as folder:
        write_posetrack(Path(folder) / "truth.json", truth)
        samples = read_samples(Path(folder) / "truth.json", may_be_missing=True)
    np.testing.assert_allclose(samples.keypoints, expected[rows], atol=0.01)
    np.testing.assert_array_equal(samples.visibility > 0, np.isfinite(expected[rows]).all(axis=2))
    np.testing.assert_array_equal(samples.boxes, clip.poses.boxes[rows])
    np.testing.assert_array_equal(samples.track_ids, clip.track_ids[rows])
    assert [path.name for path in samples.images] == [clip.frame_names[k] for k in np.flatnonzero(truth.labelled)]
    assert [samples.images[i].name for i in samples.image_rows] == [clip.frame_names[k] for k in clip.positions[rows]]


@settings(max_examples=25)
@given(truth=ground_truths())
def test_csv(truth: GroundTruth) -> None:
    rows, clip = labelled_rows(truth), truth.clip
    present = np.isfinite(clip.poses.keypoints).all(axis=2)
    rows = rows[present[rows].any(axis=1)]
    if not len(rows):
        return
    with tempfile.TemporaryDirectory() as folder:
        write_csv(Path(folder) / "truth.csv", truth)
        read_poses(Path(folder) / "truth.csv").write_log(Path(folder) / "log.arrow")
        frames = [frame for frame in read_pose_log(Path(folder) / "log.arrow")[1] if len(frame.poses)]
    read = Poses.concatenate([frame.poses for frame in frames])
    np.testing.assert_allclose(read.keypoints, clip.poses.keypoints[rows], atol=0.01)
    assert [frame.index for frame in frames] == np.unique(clip.frame_of_pose[rows]).tolist()


def test_posetrack_files_without_people_are_refused_or_empty(tmp_path: Path) -> None:
    truth = GroundTruth(
        clip=TrackedClip(
            frame_indices=np.arange(2),
            times_s=np.arange(2) / 25,
            frame_names=("0.jpg", "1.jpg"),
            begins=np.zeros(3, int),
            poses=Poses.empty(K),
            track_ids=np.zeros(0, int),
            interpolated=np.zeros(0, bool),
            pose_rows=np.zeros(0, int),
        ),
        info=ClipInfo(name="clip", skeleton=COCO_17, fps=25, width=400, height=300),
        labelled=np.array([True, False]),
        checked_by=("Ada", ""),
    )
    for write in (write_coco, write_posetrack):
        write(tmp_path / "truth.json", truth)
        samples = read_samples(tmp_path / "truth.json", may_be_missing=True)
        assert (len(samples), [path.name for path in samples.images]) == (0, ["0.jpg"])
