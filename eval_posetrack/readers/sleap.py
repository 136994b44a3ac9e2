"""SLEAP analysis files: HDF5 with `tracks`, `node_names`, `track_names`, `point_scores`; and CSV.

The HDF5 file is written column-major for MATLAB: `tracks`, which SLEAP documents as frames x nodes x 2 x tracks, is
read here with the shape (tracks, 2, nodes, frames); missing joints are NaN. The CSV has one line per person and frame:
track, frame_idx, instance.score, then NODE.x, NODE.y, NODE.score. Format: `sleap.info.write_tracking_h5` in its
documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.columns import LARGEST_PX, LARGEST_SCORE, shown
from eval_posetrack.readers.frames import numbered
from eval_posetrack.readers.images import Images
from eval_posetrack.readers.joints import layout
from eval_posetrack.readers.source_poses import SourcePoses, to_clip
from eval_posetrack.readers.sources import files_of
from eval_posetrack.readers.table import frame_numbers, numbers, read_rows
from posetrail.errors import InputError
from posetrail.sparse import LARGEST_FRAME

_MOST_FRAMES = 10**6  # of an analysis file, which has all frames of the video
_LARGEST_SIZE = 10**9  # numbers in one array; a small compressed file could state more than fits in memory


def read(path: Path, images: Images | None, joints: str | None) -> list[Clip]:
    """One `*.analysis.h5` or CSV file, or all of a folder.

    Args:
        path: the file or folder.
        images: names for the frames.
        joints: a name of `joints.LAYOUTS`: the joints that the nodes are, in the order of the file.

    Raises:
        InputError: the file cannot be read or used.
    """
    files = files_of(path, [".h5", ".hdf5", ".csv"], "SLEAP analysis files")
    return [
        _clip(file, _from_csv(file) if file.suffix.lower() == ".csv" else _from_hdf5(file), images, joints)
        for file in files
    ]


def _clip(path: Path, people: tuple[int, dict[str, Any]], images: Images | None, order: str | None) -> Clip:
    num_frames, columns = people
    if order:
        if len(layout(order)) != len(columns["joints"]):
            raise InputError(f"{path}: expected {len(layout(order))} nodes ({order}), got {len(columns['joints'])}")
        columns["joints"] = layout(order)
    boxes = np.full((len(columns["frames"]), 4), np.nan)
    frames = columns.pop("frames")
    listing = numbered(frames, columns.pop("lines"), num_frames, images, path)
    return to_clip(
        SourcePoses(
            name=path.stem,
            image_names=listing.names,
            frames=listing.positions,
            boxes=boxes,
            notes=listing.notes,
            **columns,
        ),
        path,
    )


def _from_csv(path: Path) -> tuple[int, dict[str, Any]]:
    rows = read_rows(path)
    header = [cell.strip() for cell in rows[0]] if rows else []
    if header[:2] != ["track", "frame_idx"] or len(set(header)) < len(header):
        raise InputError(
            f"{path}: expected columns track, frame_idx, instance.score, NODE.x, NODE.y, got {shown(header)}"
        )
    nodes = tuple(name.removesuffix(".x") for name in header if name.endswith(".x"))
    for node in nodes:
        if f"{node}.y" not in header:
            raise InputError(f"{path}: node {shown(node)}: expected columns x and y, got no y")
    body = rows[1:]
    frames = frame_numbers(body, 1, path, first_line=2, largest=LARGEST_FRAME)

    def column(name: str, largest: float) -> np.ndarray:
        if name not in header:
            return np.full(len(body), np.nan)
        return numbers(body, [header.index(name)], path, first_line=2, largest=largest)[:, 0]

    slots = np.full((len(body), len(nodes), 3), np.nan)
    for k, node in enumerate(nodes):
        for axis, part in enumerate(("x", "y", "score")):
            slots[:, k, axis] = column(f"{node}.{part}", LARGEST_PX if axis < 2 else LARGEST_SCORE)
    slots[np.isnan(slots[:, :, :2]).any(axis=2)] = np.nan
    tracks = [row[0].strip() for row in body]
    place = {track: i for i, track in enumerate(dict.fromkeys(track for track in tracks if track))}
    return (int(frames.max()) + 1 if len(frames) else 0), {
        "frames": frames,
        "lines": frames,
        "joints": nodes,
        "keypoints": slots[:, :, :2],
        "keypoint_scores": slots[:, :, 2],
        "scores": column("instance.score", LARGEST_SCORE),
        "track_ids": np.array([place.get(track, -1) for track in tracks], np.int64),
    }


def _from_hdf5(path: Path) -> tuple[int, dict[str, Any]]:
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"{path}: reading HDF5 needs h5py; install posetrail[sleap], or export the analysis as CSV"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            nodes, tracks = _names(file, "node_names", path), _names(file, "track_names", path)
            if nodes is None:
                raise InputError(f"{path}: expected a SLEAP analysis file (Export Analysis HDF5), got no 'node_names'")
            places = _array(file, "tracks", path)
            if places is None or places.ndim != 4 or places.shape[1:3] != (2, len(nodes)):
                given = "none" if places is None else f"shape {places.shape}"
                raise InputError(
                    f"{path}: 'tracks': expected shape (tracks, 2, {len(nodes)} nodes, frames), got {given}"
                )
            num_tracks, _, num_nodes, num_frames = places.shape
            joint_scores = _array(file, "point_scores", path, (num_tracks, num_nodes, num_frames))
            scores = _array(file, "instance_scores", path, (num_tracks, num_frames))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: cannot be read as HDF5 ({str(error).splitlines()[0] if str(error) else error!r})"
        ) from error
    if num_frames > _MOST_FRAMES:
        raise InputError(f"{path}: 'tracks': expected at most {_MOST_FRAMES} frames, got {num_frames}")
    if places.size and np.nanmax(np.abs(places), initial=0) > LARGEST_PX:
        t = int(np.nanargmax(np.nanmax(np.abs(np.nan_to_num(places)), axis=(0, 1, 2))))
        raise InputError(f"{path}: 'tracks': frame {t}: expected no number beyond {LARGEST_PX:g}")

    people_of_all = places.transpose(3, 0, 2, 1)  # frames, tracks, nodes, 2
    missing = np.isnan(people_of_all).any(axis=3)
    frames, person = np.nonzero(~missing.all(axis=2))
    missing_joints = missing[frames, person]
    keypoints = np.where(missing_joints[:, :, None], np.nan, people_of_all[frames, person])
    point_scores = np.full(missing_joints.shape, np.nan) if joint_scores is None else joint_scores[person, :, frames]
    named = tracks is not None and len(tracks) == num_tracks
    return num_frames, {
        "frames": frames,
        "lines": np.arange(num_frames),  # the file has all frames
        "joints": nodes,
        "keypoints": keypoints,
        "keypoint_scores": np.where(missing_joints, np.nan, point_scores),
        "scores": np.full(len(frames), np.nan) if scores is None else scores[person, frames],
        "track_ids": person if named else np.full(len(frames), -1),
    }


def _dataset(file: Any, name: str, path: Path) -> Any:
    """The dataset of this name; None if there is none, InputError if it is not in this file itself."""
    import h5py

    if name not in file:
        return None
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise InputError(f"{path}: {name!r}: expected numbers or names in this file, got a group or a link")
    if file[name].is_virtual or file[name].external:
        raise InputError(f"{path}: {name!r}: expected numbers or names in this file, got a reference to another one")
    if file[name].size is None or file[name].size > _LARGEST_SIZE:
        raise InputError(f"{path}: {name!r}: expected at most {_LARGEST_SIZE} numbers, got {file[name].size}")
    return file[name]


def _array(file: Any, name: str, path: Path, shape: Sequence[int] | None = None) -> np.ndarray | None:
    dataset = _dataset(file, name, path)
    if dataset is None:
        return None
    if dataset.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name!r}: expected numbers, got {shown(str(dataset.dtype))}")
    if shape is not None and dataset.shape != tuple(shape):
        raise InputError(f"{path}: {name!r}: expected shape {tuple(shape)}, got {dataset.shape}")
    values = np.asarray(dataset[()], float)
    if shape is not None and (np.abs(values) > LARGEST_SCORE).any():
        raise InputError(f"{path}: {name!r}: expected no number beyond {LARGEST_SCORE:g}")
    return values


def _names(file: Any, name: str, path: Path) -> tuple[str, ...] | None:
    dataset = _dataset(file, name, path)
    if dataset is None:
        return None
    values = [value.decode() if isinstance(value, bytes) else value for value in np.ravel(dataset[()]).tolist()]
    if not all(isinstance(value, str) for value in values):
        raise InputError(f"{path}: {name!r}: expected names, got {shown(values)}")
    return tuple(values)
