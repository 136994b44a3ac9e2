"""Trackers of other packages on the same poses, each in a separate process and an environment made by uv.

Settings are the documented ones or the best of 24 random draws on the suite "dev";
`python -m benchmarks.association --tune NAME` repeats the search.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peer_environment import PeerProcess
from posetrail.poses import TrackedPoses

if TYPE_CHECKING:
    from benchmarks.sequences import Sequence

Choices = tuple[Any, ...]

PACKAGES = {
    "trackers": ("trackers==2.6.1",),
    "supervision": ("supervision==0.30.9",),  # the last version with ByteTrack, which moved to `trackers`
    "norfair": ("norfair==2.3.0", "numpy<2"),
    "motpy": ("motpy==0.0.10",),
}

_PREPARE: dict[str, Choices] = {"min_score": (0.0, 0.1, 0.2, 0.3), "nms_iou": (0.5, 0.6, 0.7, 0.8, 1.0)}
_LOST: dict[str, Choices] = {"lost_track_buffer": (15, 30, 45, 60, 90), "minimum_consecutive_frames": (1, 2, 3)}
_BYTE: dict[str, Choices] = {
    **_PREPARE,
    **_LOST,
    "track_activation_threshold": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    "high_conf_det_threshold": (0.2, 0.3, 0.4, 0.5, 0.6),
    "timed": (False, True),
}
_THREE_STEPS: dict[str, Choices] = {
    "minimum_iou_threshold_first_assoc": (0.02, 0.05, 0.1, 0.2),
    "minimum_iou_threshold_second_assoc": (0.05, 0.1, 0.2, 0.3, 0.5),
    "minimum_iou_threshold_unconfirmed_assoc": (0.05, 0.1, 0.2, 0.3),
}
SPACES: dict[str, dict[str, Choices]] = {
    "trackers BoTSORT": {**_BYTE, **_THREE_STEPS, "enable_cmc": (False,)},  # needs pixels
    "trackers CBIoU": {
        **_BYTE,
        **_THREE_STEPS,
        "buffer_ratio_first": (0.1, 0.2, 0.3, 0.5),
        "buffer_ratio_second": (0.3, 0.5, 0.7),
    },
    "trackers ByteTrack": {**_BYTE, "minimum_iou_threshold": (0.02, 0.05, 0.1, 0.2, 0.3)},
    "trackers OCSORT": {
        **_PREPARE,
        **_LOST,
        "minimum_iou_threshold": (0.05, 0.1, 0.2, 0.3),
        "direction_consistency_weight": (0.0, 0.1, 0.2),
        "high_conf_det_threshold": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
        "delta_t": (1, 3, 5),
        "timed": (False, True),
    },
    "trackers SORT": {
        **_PREPARE,
        **_LOST,
        "track_activation_threshold": (0.1, 0.25, 0.4, 0.5),
        "minimum_iou_threshold": (0.05, 0.1, 0.2, 0.3),
        "timed": (False, True),
    },
    "supervision ByteTrack": {
        **_PREPARE,
        **_LOST,
        "track_activation_threshold": (0.1, 0.2, 0.25, 0.3, 0.4, 0.5),
        "minimum_matching_threshold": (0.7, 0.8, 0.9, 0.95, 0.98),
    },
    "norfair joints": {
        **_PREPARE,
        "distance_threshold": (0.6, 0.7, 0.8, 0.9, 0.95),
        "hit_counter_max": (8, 15, 30, 45),
        "initialization_delay": (0, 1, 2, 3),
        "pointwise_hit_counter_max": (2, 4, 10),
        "detection_threshold": (0.05, 0.1, 0.3),
    },
    "norfair boxes": {
        **_PREPARE,
        "distance_threshold": (0.6, 0.7, 0.8, 0.9, 0.95),
        "hit_counter_max": (8, 15, 30, 45),
        "initialization_delay": (0, 1, 2, 3),
    },
    "motpy": {
        **_PREPARE,
        "model": ("constant_velocity_and_static_box_size_2d", "constant_acceleration_and_static_box_size_2d"),
        "min_iou": (0.02, 0.05, 0.1, 0.2, 0.3),
        "max_staleness": (5, 10, 15, 30),
        "min_steps_alive": (1, 2, 3),
    },
}

# What each project's documentation starts with.
DOCUMENTED: dict[str, dict[str, Any]] = {
    "trackers BoTSORT": {"enable_cmc": False},
    "trackers CBIoU": {},
    "trackers ByteTrack": {},
    "trackers OCSORT": {},
    "trackers SORT": {},
    "supervision ByteTrack": {},
    "norfair joints": {"distance_threshold": 0.8, "detection_threshold": 0.1},
    "norfair boxes": {"distance_threshold": 0.7},
    "motpy": {
        "model": "constant_velocity_and_static_box_size_2d",
        "min_iou": 0.1,
        "max_staleness": 12,
        "min_steps_alive": 3,
    },
}

# The best of the documented ones and 23 random draws on dev, seed 0, level hard, by the mean of MOTA, HOTA and IDF1 of
# people: `python -m benchmarks.association --tune NAME --trials 24`.
CHOSEN: dict[str, dict[str, Any]] = {
    "trackers BoTSORT": {
        "min_score": 0.1,
        "nms_iou": 0.7,
        "lost_track_buffer": 90,
        "minimum_consecutive_frames": 3,
        "track_activation_threshold": 0.3,
        "high_conf_det_threshold": 0.3,
        "timed": True,
        "minimum_iou_threshold_first_assoc": 0.02,
        "minimum_iou_threshold_second_assoc": 0.5,
        "minimum_iou_threshold_unconfirmed_assoc": 0.1,
        "enable_cmc": False,
    },
    "supervision ByteTrack": {
        "min_score": 0.3,
        "nms_iou": 0.7,
        "lost_track_buffer": 90,
        "minimum_consecutive_frames": 1,
        "track_activation_threshold": 0.2,
        "minimum_matching_threshold": 0.9,
    },
    "norfair joints": {
        "min_score": 0.1,
        "nms_iou": 0.7,
        "distance_threshold": 0.95,
        "hit_counter_max": 45,
        "initialization_delay": 0,
        "pointwise_hit_counter_max": 2,
        "detection_threshold": 0.1,
    },
    "trackers CBIoU": {
        "min_score": 0.0,
        "nms_iou": 0.6,
        "lost_track_buffer": 45,
        "minimum_consecutive_frames": 3,
        "track_activation_threshold": 0.4,
        "high_conf_det_threshold": 0.2,
        "timed": True,
        "minimum_iou_threshold_first_assoc": 0.2,
        "minimum_iou_threshold_second_assoc": 0.2,
        "minimum_iou_threshold_unconfirmed_assoc": 0.05,
        "buffer_ratio_first": 0.3,
        "buffer_ratio_second": 0.3,
    },
    "trackers ByteTrack": {
        "min_score": 0.2,
        "nms_iou": 0.6,
        "lost_track_buffer": 30,
        "minimum_consecutive_frames": 1,
        "track_activation_threshold": 0.2,
        "high_conf_det_threshold": 0.3,
        "timed": False,
        "minimum_iou_threshold": 0.1,
    },
    "trackers OCSORT": {
        "min_score": 0.1,
        "nms_iou": 0.5,
        "lost_track_buffer": 30,
        "minimum_consecutive_frames": 1,
        "minimum_iou_threshold": 0.2,
        "direction_consistency_weight": 0.2,
        "high_conf_det_threshold": 0.1,
        "delta_t": 1,
        "timed": False,
    },
    "trackers SORT": {
        "min_score": 0.3,
        "nms_iou": 0.6,
        "lost_track_buffer": 45,
        "minimum_consecutive_frames": 2,
        "track_activation_threshold": 0.5,
        "minimum_iou_threshold": 0.1,
        "timed": False,
    },
    "norfair boxes": {
        "min_score": 0.0,
        "nms_iou": 0.6,
        "distance_threshold": 0.8,
        "hit_counter_max": 45,
        "initialization_delay": 1,
    },
    "motpy": {
        "min_score": 0.1,
        "nms_iou": 0.5,
        "model": "constant_velocity_and_static_box_size_2d",
        "min_iou": 0.05,
        "max_staleness": 15,
        "min_steps_alive": 3,
    },
}


@dataclass(eq=False)
class Peer:
    """One of the peers as a follower; its process ends with it.

    Raises:
        FileNotFoundError: uv is not there to make the environment.
        RuntimeError: the tracker could not be had, or stopped.
    """

    name: str  # a key of SPACES
    settings: Mapping[str, Any]
    seconds: float = 0.0

    def __post_init__(self) -> None:
        packages = PACKAGES[self.name.split()[0]]
        self._process = PeerProcess(packages, Path(__file__).with_name("peer_process.py"))

    def __call__(self, sequence: Sequence) -> list[TrackedPoses]:
        """Track one sequence."""
        with tempfile.TemporaryDirectory() as folder:
            request = {"input": f"{folder}/poses.npz", "output": f"{folder}/ids.npy"}
            _write(sequence, request["input"])
            request |= {"tracker": self.name, "settings": dict(self.settings)}
            self.seconds += self._process.ask(request)["seconds"]
            ids = np.load(request["output"])
        out, first = [], 0
        for poses, _ in sequence.frames:
            own = ids[first : first + len(poses)]
            out.append(TrackedPoses(poses[own >= 0], own[own >= 0]))
            first += len(poses)
        return out

    def works(self) -> bool:
        """Whether the tracker can be installed and started: its process replies to an empty request."""
        try:
            return bool(self._process.ask({}))
        except RuntimeError:
            return False

    def close(self) -> None:
        """End the process."""
        self._process.close()


def _write(sequence: Sequence, path: str) -> None:
    frames = [poses for poses, _ in sequence.frames]
    together = type(frames[0]).concatenate(frames)
    np.savez(
        path,
        times=np.array([time_s for _, time_s in sequence.frames]),
        counts=np.array([len(poses) for poses in frames]),
        boxes=together.boxes,
        scores=together.scores,
        keypoints=together.keypoints,
        keypoint_scores=together.keypoint_scores,
    )
