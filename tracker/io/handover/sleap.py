"""SLEAP's project files (.slp), written by sleap-io."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np

from posetrail.errors import InputError
from tracker.io.handover.people import Handover
from tracker.io.writers.base import by_id


def write_sleap(path: Path, tracks: Handover, video: str) -> None:
    """Write predicted instances with a SLEAP track per person, named after them; missing joints are not visible.

    Args:
        path: the file.
        tracks: people and their joints.
        video: path of the clip, which SLEAP opens; it need not exist here.

    Raises:
        InputError: sleap-io is not installed.
    """
    try:
        sleap = import_module("sleap_io")
    except ImportError:
        raise InputError(
            "sleap: expected the package sleap-io, which is not installed; pip install 'posetrail[sleap]'"
        ) from None
    skeleton = tracks.info.skeleton
    shape = (tracks.num_frames, tracks.info.height, tracks.info.width, 3)
    clip = sleap.Video(filename=video, backend_metadata={"shape": shape}, open_backend=False)
    joints = sleap.Skeleton(
        nodes=list(skeleton.joints), edges=list(skeleton.limbs), symmetries=list(skeleton.mirror_pairs),
        name=skeleton.name,
    )  # fmt: skip
    of_id = {track_id: sleap.Track(name) for track_id, name in tracks.labels.items()}
    frames = []
    for frame in tracks.clip.frames():
        people = by_id(frame.people)
        poses = people.poses
        seen = np.isfinite(poses.keypoints).all(axis=2)
        instances = [
            sleap.PredictedInstance.from_numpy(
                np.where(seen[row, :, None], poses.keypoints[row], np.nan).astype(float),
                skeleton=joints,
                point_scores=poses.keypoint_scores[row].astype(float),
                score=float(poses.quality[row]),
                track=of_id[track_id],
                tracking_score=1.0,
            )
            for row, track_id in enumerate(people.track_ids.tolist())
        ]
        frames.append(sleap.LabeledFrame(video=clip, frame_idx=frame.index, instances=instances))
    labels = sleap.Labels(frames, videos=[clip], skeletons=[joints], tracks=list(of_id.values()))
    sleap.save_slp(labels, str(path), embed=False, verbose=False)
