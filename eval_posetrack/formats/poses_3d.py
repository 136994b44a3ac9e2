"""3-D tracks of a clip from tracks3d.csv of a run, a table with its columns, or an .npz file of the same arrays.

A CSV file has the columns frame, track_id, joint, x, y, z in metres; others are ignored. An .npz file is as
`posetrail export --to npz` writes it: frame (T,), track_id (T,), keypoints (T, K, 3) in metres and joints (K,), their
names. Joints are in the camera's axes, x right, y down, z away, unless an array `axes` says that y points up. Files of
Human3.6M and HumanEva are read by `mocap_3d`, as person 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from eval_posetrack.formats.mocap_3d import SUFFIXES, read_mocap
from posetrail.errors import InputError

_COLUMNS = ("frame", "track_id", "joint", "x", "y", "z")
_ARRAYS = ("frame", "track_id", "keypoints", "joints")
_Y_UP = np.array([1.0, -1.0, -1.0])
TRACKS3D = "tracks3d.csv"


@dataclass(frozen=True, eq=False)
class Poses3D:
    """Rows of people in frames, T in all."""

    joints: tuple[str, ...]  # K names
    frames: np.ndarray  # (T,) int64
    track_ids: np.ndarray  # (T,) int64
    keypoints: np.ndarray  # (T, K, 3) float64 metres, NaN where missing

    def of(self, track_id: int) -> Poses3D:
        """The rows of one person, in order of time."""
        rows = np.flatnonzero(self.track_ids == track_id)
        rows = rows[np.argsort(self.frames[rows], kind="stable")]
        return Poses3D(self.joints, self.frames[rows], self.track_ids[rows], self.keypoints[rows])


def read_poses_3d(path: Path) -> Poses3D:
    """Read 3-D tracks from a .csv, .npz, .mat or .h5 file, or from the folder of a run.

    Raises:
        InputError: there is no such file, or its content is not that of 3-D tracks.
    """
    if path.is_dir():
        if not (path / TRACKS3D).is_file():
            raise InputError(f"{path}: expected {TRACKS3D} in the folder, got none; `posetrail lift {path}` makes it")
        path = path / TRACKS3D
    if path.suffix.lower() == ".cdf":
        raise InputError(f"{path}: .cdf files are not read; give Human3.6M's .mat file of the same clip")
    if path.suffix.lower() in SUFFIXES:
        return _of_mocap(path)
    poses = _read_npz(path) if path.suffix == ".npz" else _read_csv(path)
    named = np.stack([poses.frames, poses.track_ids], axis=1)
    if len(np.unique(named, axis=0)) < len(named):
        raise InputError(f"{path}: expected each track id once in a frame, got one twice; give each person an id")
    return poses


def _of_mocap(path: Path) -> Poses3D:
    skeleton, keypoints = read_mocap(path)
    frames = np.flatnonzero(np.isfinite(keypoints).any(axis=(1, 2)))
    return Poses3D(skeleton.joints, frames, np.ones(len(frames), np.int64), keypoints[frames])


def _read_csv(path: Path) -> Poses3D:
    import pandas as pd

    try:
        table = pd.read_csv(path, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a .csv or .npz file of 3-D tracks") from None
    if absent := [name for name in _COLUMNS if name not in table]:
        raise InputError(f"{path}: expected the columns {', '.join(_COLUMNS)}, got no {', '.join(absent)}; rename them")
    try:
        numbers = table[["x", "y", "z"]].to_numpy(float)
        keys = table[["frame", "track_id"]].to_numpy(float)
        if not np.isfinite(keys).all() or (keys % 1).any():
            raise ValueError("expected whole numbers as frame and track_id")
    except ValueError as error:
        raise InputError(f"{path}: {error}; write numbers") from None
    joints = tuple(dict.fromkeys(table["joint"].astype(str)))
    people, row = np.unique(keys.astype(np.int64), axis=0, return_inverse=True)
    column = table["joint"].astype(str).map({name: k for k, name in enumerate(joints)}).to_numpy(np.int64)
    keypoints = np.full((len(people), len(joints), 3), np.nan)
    keypoints[row.reshape(-1), column] = numbers
    return Poses3D(joints, people[:, 0], people[:, 1], keypoints)


def _read_npz(path: Path) -> Poses3D:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS if name in file}
            y_up = "axes" in file and "y up" in str(file["axes"])
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a .csv or .npz file of 3-D tracks") from None
    if absent := [name for name in _ARRAYS if name not in arrays]:
        raise InputError(f"{path}: expected the arrays {', '.join(_ARRAYS)}, got no {', '.join(absent)}")
    frames, ids, keypoints, joints = (arrays[name] for name in _ARRAYS)
    if keypoints.shape != (len(frames), len(joints), 3) or ids.shape != frames.shape or frames.ndim != 1:
        raise InputError(f"{path}: expected keypoints ({len(frames)}, {len(joints)}, 3), got {keypoints.shape}")
    names = tuple(map(str, joints.tolist()))
    keypoints = keypoints.astype(float) * (_Y_UP if y_up else 1.0)
    return Poses3D(names, frames.astype(np.int64), ids.astype(np.int64), keypoints)
