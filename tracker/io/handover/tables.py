"""Tables for animal tracking programs: DeepLabCut's CSV, and a netCDF file that movement opens."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import netcdf_file

from tracker.io.handover.people import Handover, dense
from tracker.io.writers.base import DECIMALS_PX, DECIMALS_SCORE

SCORER = "posetrail"


def write_dlc(path: Path, tracks: Handover) -> None:
    """Write DeepLabCut's table for several animals: four rows of headings, then x, y, likelihood of all joints.

    Each frame of the video from 0 to the last one of the run has a row. Cells of missing joints are empty.
    """
    keypoints, scores, _ = dense(tracks, tracks.clip.frame_of_pose, tracks.num_frames)
    names, joints = [tracks.labels[i] for i in tracks.track_ids], tracks.info.skeleton.joints
    columns = [(SCORER, name, joint, coord) for name in names for joint in joints for coord in ("x", "y", "likelihood")]
    headings = ("scorer", "individuals", "bodyparts", "coords")
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        for heading, row in zip(headings, zip(*columns, strict=True) if columns else [()] * 4, strict=True):
            table.writerow((heading, *row))
        for frame in range(tracks.num_frames):
            places = [[f"{value:.{DECIMALS_PX}f}" for value in pair] for pair in keypoints[frame].reshape(-1, 2)]
            likelihoods = [f"{value:.{DECIMALS_SCORE}f}" for value in scores[frame].ravel()]
            cells = [cell for pair, each in zip(places, likelihoods, strict=True) for cell in (*pair, each)]
            table.writerow((frame, *("" if cell == "nan" else cell for cell in cells)))


def write_movement(path: Path, tracks: Handover) -> None:
    """Write a data set of movement as netCDF 3: position and confidence, NaN where missing, over times in seconds.

    The frames are those of the run; `frame` has their numbers in the video, `interpolated` which poses are.
    """
    keypoints, scores, interpolated = dense(tracks, tracks.clip.positions, len(tracks.clip))
    names = [tracks.labels[i] for i in tracks.track_ids]
    with netcdf_file(path, "w", version=2) as file:
        sizes = {"time": len(tracks.clip), "space": 2, "keypoints": keypoints.shape[2], "individuals": len(names)}
        for name, size in sizes.items():
            file.createDimension(name, size)
        _texts(file, "space", ["x", "y"])
        _texts(file, "keypoints", tracks.info.skeleton.joints)
        _texts(file, "individuals", names)
        for name, values, dimensions in (
            ("time", tracks.clip.times_s, ("time",)),
            ("position", keypoints.transpose(0, 3, 2, 1), ("time", "space", "keypoints", "individuals")),
            ("confidence", scores.transpose(0, 2, 1), ("time", "keypoints", "individuals")),
            ("interpolated", interpolated.astype(np.int8), ("time", "individuals")),
            ("frame", tracks.clip.frame_indices.astype(np.int32), ("time",)),
        ):
            file.createVariable(name, values.dtype, dimensions)[:] = values
        _set(file.variables["interpolated"], dtype=b"bool")  # how xarray marks them
        _set(file, ds_type=b"poses", time_unit=b"seconds", source_software=SCORER.encode(), fps=tracks.info.fps)
        _set(file, source_file=tracks.info.name.encode())


def _texts(file: netcdf_file, name: str, texts: list[str] | tuple[str, ...]) -> None:
    """Write texts as characters, which is how netCDF 3 has them."""
    values = np.array([text.encode() for text in texts])
    length = f"{name}_length"
    file.createDimension(length, max(values.dtype.itemsize, 1))
    variable = file.createVariable(name, "S1", (name, length))
    variable[:] = values.view("S1").reshape(len(texts), -1)
    _set(variable, _Encoding=b"utf-8")


def _set(of: Any, **values: Any) -> None:
    """Set attributes of a file or a variable, which scipy writes as those of netCDF."""
    for name, value in values.items():
        setattr(of, name, value)
