"""PoseTrack JSON of 2018 and 2017; the rows are written by eval_posetrack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval_posetrack.formats import files as posetrack
from eval_posetrack.formats.clip import LARGEST_TRACK_ID
from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.joint_mapping import mapped
from posetrail.poses import Poses
from posetrail.skeletons import POSETRACK_15, Skeleton
from tracker.frames import TrackedFrame
from tracker.io.writers.base import ClipInfo, Writer

_ROWS_PER_STRETCH = 1000  # people that are written together: some 400 kB


class _PosetrackWriter(Writer):
    """Collects frames until they are written together.

    Ids are written unchanged, so that all files of a run agree. The format ends at id 9999: after a frame with a
    greater id there will be no file, and `failure` gives the reason. The other files of the run are not affected.

    A person without any joint is left out: the official evaluation stops at them.
    """

    _num_jointless = 0  # people left out, over all frames

    def __init__(self, stream: posetrack.ClipStream, clip: ClipInfo) -> None:
        self._stream = stream
        self._clip = clip
        self._pending: list[TrackedFrame] = []
        self._rows = 0

    def add(self, frame: TrackedFrame) -> None:
        ids = frame.people.track_ids
        if self.failure:
            return
        if ids.max(initial=0) > LARGEST_TRACK_ID:
            self.failure = (
                f"not written: PoseTrack files end at track id {LARGEST_TRACK_ID} and frame {frame.index} has id "
                f"{ids.max()}; use csv, parquet, coco or mot, or cut the clip into parts"
            )
            return
        self._pending.append(replace(frame, image=None))
        self._rows += 1 + len(ids)
        if self._rows >= _ROWS_PER_STRETCH:
            self.flush()

    @property
    def note(self) -> str:
        """How many people are left out."""
        if not self._num_jointless:
            return ""
        return f"{self._num_jointless} poses without any joint are left out, because PoseTrack files cannot hold them"

    def flush(self) -> None:
        """Write the pending frames."""
        if self._pending:
            self._stream.add(self._stretch())
        self._pending, self._rows = [], 0

    def _stretch(self) -> posetrack.Clip:
        people = [frame.people for frame in self._pending]
        poses = Poses.concatenate([each.poses for each in people])
        keypoints, scores = mapped(poses.keypoints, poses.keypoint_scores, self._clip.skeleton, POSETRACK_15)
        frames = len(self._pending)
        has_joints = np.isfinite(keypoints).all(axis=2).any(axis=1)
        self._num_jointless += int((~has_joints).sum())
        clip = posetrack.Clip(
            name=self._clip.name,
            image_names=tuple(frame.name for frame in self._pending),
            frames=np.repeat(np.arange(frames), list(map(len, people))),
            track_ids=np.concatenate([each.track_ids for each in people]),
            scores=poses.quality,
            keypoints=keypoints,
            keypoint_scores=np.where(np.isfinite(keypoints).all(axis=2), scores, np.nan),
            boxes=poses.boxes,
            interpolated=np.concatenate([each.interpolated for each in people]),
            head_boxes=np.full((len(poses), 4), np.nan),
            ignore_regions=((),) * frames,
            labeled=np.ones(frames, bool),
            times=np.array([frame.time_s for frame in self._pending]),
        )
        return clip if has_joints.all() else clip.with_people(has_joints)


def suits_posetrack(skeleton: Skeleton) -> bool:
    """Whether all joints of PoseTrack's arms and legs can be made of its joints; those of the head may be missing."""
    keypoints, _ = mapped(np.zeros((1, len(skeleton), 2)), np.ones((1, len(skeleton))), skeleton, POSETRACK_15)
    sides = [k for k, joint in enumerate(POSETRACK_15.joints) if joint.startswith(("left_", "right_"))]
    return bool(np.isfinite(keypoints[0, sides]).all())


def check_suits_posetrack(skeleton: Skeleton) -> None:
    """Refuse skeletons without joints for PoseTrack's arms and legs.

    Raises:
        InputError: the skeleton lacks some.
    """
    if not suits_posetrack(skeleton):
        raise InputError(
            "PoseTrack files need shoulders, elbows, wrists, hips, knees and ankles; "
            f"{skeleton.name} lacks some; save csv, parquet, coco or mot instead"
        )


def open_posetrack(path: Path, clip: ClipInfo, *, version: int) -> AbstractContextManager[Writer]:
    """Open a PoseTrack file.

    Raises:
        InputError: the skeleton lacks joints of arms or legs.
    """
    check_suits_posetrack(clip.skeleton)
    return _whole_posetrack(path, clip, version)


class _Discard(Exception):
    """Leaves the file unwritten."""


@contextmanager
def _whole_posetrack(path: Path, clip: ClipInfo, version: int) -> Iterator[Writer]:
    with suppress(_Discard), written_whole(path) as beside, beside.open("wb") as file:
        stream = posetrack.clip_stream(file, clip.name, version)
        writer = _PosetrackWriter(stream, clip)
        yield writer
        if writer.failure:
            raise _Discard
        writer.flush()
        stream.finish()
