"""Made-up people in 3-D seen by known cameras: the truth that lifting, angles and 3-D metrics are tested against.

`walker` is a person of code with constant limbs, whose joint angles are known; `recorded_motions` are motions of the
shared data, where they are. Both are in the world's axes: metres, x right, y up, z towards the camera, floor at y = 0.
`SeenPeople` puts people into a scene and projects them.

    people = SeenPeople((walker(frames=60), walker(frames=60, start=(1.5, 0.0), speed=-1.2)), still_camera())
    people.pixels[0]  # (60, 17, 2) what the camera sees of the first person
    people.camera_joints[0]  # (60, 17, 3) metres: the truth, x right, y down, z away
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posetrail.poses import Poses
from posetrail.poses3d import PoseSequence
from posetrail.skeletons import COCO_17, Skeleton
from tests.conftest import SHARED
from tracker.frames import PoseFrame, PropagatedPoses

MOCAP = SHARED / "data" / "mocap" / "humanoid15.npz"
FPS = 30.0

# Metres, of a person 1.75 m tall.
THIGH, SHANK, TRUNK, ARM, FOREARM = 0.43, 0.42, 0.50, 0.30, 0.26
HIP_WIDTH, SHOULDER_WIDTH, ANKLE_HEIGHT = 0.20, 0.36, 0.07
WALKER_HEIGHT_M = 1.75


@dataclass(frozen=True)
class StillCamera:
    """A level pinhole camera that looks along -z of the world."""

    focal_px: float
    size: tuple[int, int]  # width, height in pixels
    position: tuple[float, float, float]  # metres, in the world

    def joints(self, world: np.ndarray) -> np.ndarray:
        """World coordinates (..., 3) in the camera's axes: x right, y down, z away."""
        return (world - np.array(self.position)) * [1.0, -1.0, -1.0]

    def project(self, joints: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points in the camera's axes."""
        return self.focal_px * joints[..., :2] / joints[..., 2:] + np.array(self.size) / 2


def still_camera(distance_m: float = 6.0, focal_px: float = 1200.0) -> StillCamera:
    """A camera at the height of the hips."""
    return StillCamera(focal_px, (1280, 720), (0.0, 1.0, distance_m))


def gait_angles(frames: int, fps: float = FPS, step_hz: float = 0.9) -> dict[str, np.ndarray]:
    """The angles (T,) in degrees of `walker` by name and side, flexion positive."""
    phase = 2 * np.pi * step_hz * np.arange(frames) / fps
    out = {}
    for side, shift in (("left", 0.0), ("right", np.pi)):
        out[f"hip_{side}"] = 5 + 22 * np.cos(phase + shift)
        out[f"knee_{side}"] = 32 + 28 * np.sin(phase + shift + np.pi)
        out[f"shoulder_{side}"] = -20 * np.cos(phase + shift)
        out[f"elbow_{side}"] = 15 + 10 * np.sin(phase + shift)
    return out


def walker(
    frames: int, *, start: tuple[float, float] = (-1.5, 0.0), speed: float = 1.2, heading_deg: float = 0.0
) -> np.ndarray:
    """COCO's joints (T, 17, 3) in the world of a person who walks with the angles of `gait_angles`.

    Args:
        frames: T, at 30 per second.
        start: x and z of the pelvis in the first frame, metres.
        speed: metres per second; a negative one walks and faces the other way.
        heading_deg: turns the path towards the camera; 0 is parallel to the picture.
    """
    angles = {name: np.radians(degrees) for name, degrees in gait_angles(frames).items()}
    up, forward = np.array([0.0, 1.0]), np.array([1.0, 0.0])  # of the sagittal plane: x forward, y up

    def towards(angle: np.ndarray) -> np.ndarray:
        """Directions (T, 2) that lead down, turned forward by angles (T,)."""
        return np.sin(angle)[:, None] * forward - np.cos(angle)[:, None] * up

    plane = {name: np.zeros((frames, 2)) for name in ("left_hip", "right_hip")}
    for side in ("left", "right"):
        hip, knee = angles[f"hip_{side}"], angles[f"knee_{side}"]
        shoulder, elbow = angles[f"shoulder_{side}"], angles[f"elbow_{side}"]
        plane[f"{side}_knee"] = THIGH * towards(hip)
        plane[f"{side}_ankle"] = plane[f"{side}_knee"] + SHANK * towards(hip - knee)
        plane[f"{side}_shoulder"] = np.tile(TRUNK * up, (frames, 1))
        plane[f"{side}_elbow"] = plane[f"{side}_shoulder"] + ARM * towards(shoulder)
        plane[f"{side}_wrist"] = plane[f"{side}_elbow"] + FOREARM * towards(shoulder + elbow)
        plane[f"{side}_ear"] = np.tile((TRUNK + 0.22) * up, (frames, 1))
        plane[f"{side}_eye"] = plane[f"{side}_ear"] + [0.08, 0.03]
    plane["nose"] = np.tile((TRUNK + 0.20) * up + 0.11 * forward, (frames, 1))
    lowest = np.minimum(plane["left_ankle"][:, 1], plane["right_ankle"][:, 1])
    height = ANKLE_HEIGHT - lowest
    widths = {"hip": HIP_WIDTH, "knee": HIP_WIDTH, "ankle": HIP_WIDTH, "ear": 0.15, "eye": 0.07}
    joints = np.zeros((frames, len(COCO_17), 3))
    for k, name in enumerate(COCO_17.joints):
        side, _, part = name.rpartition("_")
        out = widths.get(part, SHOULDER_WIDTH) / 2 * {"left": -1.0, "right": 1.0, "": 0.0}[side]
        joints[:, k] = np.column_stack([plane[name], np.full(frames, out)])
    joints[..., 1] += height[:, None]
    joints[..., 0] += abs(speed) * np.arange(frames)[:, None] / FPS
    turn = np.radians(heading_deg) + (np.pi if speed < 0 else 0.0)
    rotation = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    return joints @ rotation.T + [start[0], 0.0, start[1]]


def recorded_motions() -> dict[str, tuple[np.ndarray, float]]:
    """PoseTrack's joints (T, 15, 3) in the world and the frame rate of each recorded motion; none without the data."""
    if not MOCAP.is_file():
        return {}
    with np.load(MOCAP) as file:
        names = [name for name in file.files if not name.endswith("__fps")]
        return {name: (file[name].astype(float), float(file[f"{name}__fps"])) for name in names}


@dataclass(frozen=True)
class SeenPeople:
    """People in front of a camera, all in the same frames."""

    world: tuple[np.ndarray, ...]  # (T, K, 3) of each person
    camera: StillCamera
    skeleton: Skeleton = COCO_17
    fps: float = FPS

    @property
    def camera_joints(self) -> list[np.ndarray]:
        """The truth (T, K, 3) of each person: metres, x right, y down, z away."""
        return [self.camera.joints(joints) for joints in self.world]

    @property
    def pixels(self) -> list[np.ndarray]:
        """What the camera sees (T, K, 2) of each person."""
        return [self.camera.project(joints) for joints in self.camera_joints]

    def frames(self, *, noise_px: float = 0.0, missed: dict[int, set[int]] | None = None) -> list[PoseFrame]:
        """Frames of poses for a pose log.

        Args:
            noise_px: standard deviation of the joints, the same in every call.
            missed: frames in which people, by number, have no pose.
        """
        random = np.random.default_rng(0)
        seen = [pixels + random.normal(scale=noise_px, size=pixels.shape) for pixels in self.pixels]
        frames = []
        for index in range(len(seen[0])):
            there = [k for k in range(len(seen)) if index not in (missed or {}).get(k, set())]
            keypoints = np.array([seen[k][index] for k in there]).reshape(len(there), len(self.skeleton), 2)
            low, high = (edge(keypoints, axis=1) if there else np.zeros((0, 2)) for edge in (np.min, np.max))
            margin = 0.1 * (high - low)
            boxes = np.concatenate([low - margin, high + margin], axis=1)
            sure = np.full(keypoints.shape[:2], 0.9)
            poses = Poses(keypoints, sure, boxes, np.full(len(there), 0.9), np.zeros(len(there), bool))
            nothing = PropagatedPoses.empty(len(self.skeleton))
            frames.append(PoseFrame(index, index / self.fps, f"{index:06d}.jpg", poses, nothing))
        return frames


class StandIn:
    """A lifter that answers with given poses, found by the 2-D joints that it is asked about."""

    source: Skeleton = COCO_17
    skeleton: Skeleton = COCO_17
    rate_hz: float | None = None

    def __init__(self, people: SeenPeople, *, knows_truth: bool = True) -> None:
        self.name = "true poses" if knows_truth else "mean pose"
        self._pixels = np.concatenate(people.pixels)
        poses = np.concatenate(people.camera_joints)
        relative = poses - poses[:, [11, 12]].mean(axis=1, keepdims=True)  # to the middle of the hips
        self._poses = relative if knows_truth else np.broadcast_to(relative.mean(axis=0), relative.shape)

    def __call__(self, sequences: Sequence[PoseSequence]) -> list[np.ndarray]:
        """The poses (T, 17, 3) in metres of whoever is nearest in the picture."""
        out = []
        for sequence in sequences:
            distances = np.nanmean(np.abs(sequence.keypoints[:, None] - self._pixels[None]), axis=(2, 3))
            out.append(self._poses[distances.argmin(axis=1)].astype(np.float32))
        return out
