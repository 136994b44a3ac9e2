"""3-D tracks as files of other programs: TRC, C3D, BVH and npz. Axes: y up, metres (BVH: centimetres).

TRC and BVH hold one person a file. Markers have the names of Pose2Sim's models for OpenSim: RHip, LKnee, Neck, Head.
Every frame of the clip has a row, from the first to the last of the people; where a person is not seen, NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from posetrail.errors import InputError
from posetrail.skeletons import Skeleton
from tracker.tracks3d import Tracks3D

Y_UP = np.array([1.0, -1.0, -1.0])  # from x right, y down, z away: a half turn about x

_MARKERS = {"nose": "Nose", "head_top": "Head", "neck": "Neck", "thorax": "Neck", "pelvis": "Hip", "spine": "Spine"}


def marker_names(skeleton: Skeleton) -> tuple[str, ...]:
    """The markers of Pose2Sim's models: left_big_toe is LBigToe; a thorax beside a neck is Thorax."""
    names = []
    for joint in skeleton.joints:
        side = {"left_": "L", "right_": "R"}.get(joint[: joint.find("_") + 1], "")
        plain = joint.split("_", 1)[1] if side else joint
        name = side + "".join(word.capitalize() for word in plain.split("_"))
        has_neck = joint == "thorax" and "neck" in skeleton.joints
        names.append(name if side or has_neck else _MARKERS.get(joint, name))
    return tuple(names)


class Motion(Protocol):
    """The motion of one person about a skeleton of constant bones, y up; see tracker/lifting/rotations.py."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the J joints."""

    @property
    def parents(self) -> tuple[int, ...]:
        """(J,), -1 for the root."""

    @property
    def offsets(self) -> np.ndarray:
        """(J, 3) metres from the parent, in the rest pose."""

    @property
    def roots(self) -> np.ndarray:
        """(F, 3) metres."""

    @property
    def rotations(self) -> np.ndarray:
        """(F, J, 3, 3) of each joint relative to its parent."""


@dataclass(frozen=True, eq=False)
class Markers:
    """The joints of people in every frame of a part of a clip, at even steps."""

    names: tuple[str, ...]  # K
    rate_hz: float
    frame_indices: np.ndarray  # (F,)
    times_s: np.ndarray  # (F,)
    points: dict[int, np.ndarray]  # by track id: (F, K, 3) metres, y up; NaN where missing


def markers_of(tracks: Tracks3D, frame_indices: np.ndarray, times_s: np.ndarray) -> Markers:
    """The joints of 3-D tracks in y-up axes.

    Args:
        tracks: of the people to write, axes x right, y down, z away.
        frame_indices: (F,) of the frames of the clip.
        times_s: (F,) of them.

    Raises:
        InputError: there are no tracks.
    """
    if not len(tracks):
        raise InputError("export: expected 3-D tracks of at least one person, got none")
    first, last = np.searchsorted(frame_indices, tracks.frame_indices[[0, -1]])
    frames, times = frame_indices[first : last + 1], times_s[first : last + 1]
    points = {}
    for track_id in np.unique(tracks.track_ids).tolist():
        own = tracks.of(track_id)
        joints = np.full((len(frames), len(tracks.skeleton), 3), np.nan)
        joints[np.searchsorted(frames, own.frame_indices)] = own.keypoints * Y_UP
        points[track_id] = joints
    step_s = float(np.median(np.diff(times))) if len(times) > 1 else 1 / 30
    return Markers(marker_names(tracks.skeleton), 1 / max(step_s, 1e-4), frames, times, points)


def write_trc(path: Path, markers: Markers, track_id: int, name: str) -> None:
    """Write the markers of one person as OpenSim's TRC, in metres; `name` is that of the file in its first line."""
    points = markers.points[track_id]
    F, K, _ = points.shape
    rate = f"{markers.rate_hz:.6g}"
    columns = "\t".join(f"{axis}{k + 1}" for k in range(K) for axis in "XYZ")
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate}\t{rate}\t{F}\t{K}\tm\t{rate}\t1\t{F}",
        "Frame#\tTime\t" + "\t\t\t".join(markers.names) + "\t\t",
        f"\t\t{columns}",
        "",
    ]
    for f, (time_s, joints) in enumerate(zip(markers.times_s.tolist(), points.reshape(F, -1).tolist(), strict=True)):
        cells = ["" if np.isnan(value) else f"{value:.6f}" for value in joints]
        lines.append("\t".join([str(f + 1), f"{time_s:.6f}", *cells]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_npz(path: Path, tracks: Tracks3D) -> None:
    """Write all people as arrays: one row per person and frame, joints (T, K, 3) in metres, y up."""
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            frame=tracks.frame_indices,
            time_s=tracks.times_s,
            track_id=tracks.track_ids,
            keypoints=tracks.keypoints * Y_UP.astype(np.float32),
            scores=tracks.keypoint_scores,
            root=tracks.roots * Y_UP.astype(np.float32),
            interpolated=tracks.interpolated,
            cut_off=tracks.cut_off,
            joints=np.array(tracks.skeleton.joints),
            limbs=tracks.skeleton.limb_indices,
            units=np.array("m"),
            axes=np.array("x right, y up, z towards the camera"),
        )


def write_c3d(path: Path, markers: Markers) -> None:
    """Write the markers of all people as C3D, in metres; with several people, labels are P1_Nose, P2_Nose, ..."""
    import ezc3d

    several = len(markers.points) > 1
    labels = [f"P{i}_{name}" if several else name for i in markers.points for name in markers.names]
    points = np.concatenate(list(markers.points.values()), axis=1)  # (F, P, 3)
    file = ezc3d.c3d()
    parameters = file["parameters"]["POINT"]
    parameters["RATE"]["value"] = [markers.rate_hz]
    parameters["UNITS"]["value"] = ["m"]
    parameters["LABELS"]["value"] = labels
    data = np.ones((4, points.shape[1], len(points)))
    data[:3] = points.transpose(2, 1, 0)
    data[3] = np.where(np.isnan(data[0]), np.nan, 1.0)
    file["data"]["points"] = data
    whole = path.with_name(f"{path.name}.c3d")  # ezc3d adds this ending to all others
    file.write(str(whole))
    whole.replace(path)


def write_bvh(path: Path, motion: Motion, rate_hz: float) -> None:
    """Write the motion of one person as BVH: centimetres, y up, rotations in the order Z X Y."""
    lines, order = ["HIERARCHY"], list[int]()

    def joint(j: int, indent: str) -> None:
        order.append(j)
        x, y, z = 100 * motion.offsets[j]
        channels = "Zrotation Xrotation Yrotation"
        is_root = motion.parents[j] < 0
        channels = f"6 Xposition Yposition Zposition {channels}" if is_root else f"3 {channels}"
        lines.append(f"{indent}{'ROOT' if is_root else 'JOINT'} {motion.names[j]}")
        lines.extend([indent + "{", f"{indent}  OFFSET {x:.5f} {y:.5f} {z:.5f}", f"{indent}  CHANNELS {channels}"])
        children = [c for c, parent in enumerate(motion.parents) if parent == j]
        for child in children:
            joint(child, indent + "  ")
        if not children:
            lines.extend([f"{indent}  End Site", indent + "  {", f"{indent}    OFFSET 0 0 0", indent + "  }"])
        lines.append(indent + "}")

    joint(motion.parents.index(-1), "")
    F = len(motion.roots)
    lines += ["MOTION", f"Frames: {F}", f"Frame Time: {1 / rate_hz:.8f}"]
    angles = np.degrees(_zxy(motion.rotations[:, order])).reshape(F, -1)
    values = np.concatenate([100 * motion.roots, angles], axis=1)
    lines += [" ".join(f"{value:.5f}" for value in row) for row in values.tolist()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _zxy(rotations: np.ndarray) -> np.ndarray:
    """Angles z x y (..., 3) in radians of rotations (..., 3, 3) = Rz Rx Ry."""
    x = np.arcsin(np.clip(rotations[..., 2, 1], -1, 1))
    z = np.arctan2(-rotations[..., 0, 1], rotations[..., 1, 1])
    y = np.arctan2(-rotations[..., 2, 0], rotations[..., 2, 2])
    return np.stack([z, x, y], axis=-1)
