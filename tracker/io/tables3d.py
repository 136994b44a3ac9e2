"""Tables of 3-D tracks: CSV and Parquet with one row per joint, person and frame; missing joints have no row.

Columns: frame, time_s, track_id, joint, x, y, z (metres), score, interpolated, cut_off.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posetrail.errors import InputError
from posetrail.skeletons import Skeleton
from tracker.io.writers.base import DECIMALS_S
from tracker.tracks3d import Tracks3D

if TYPE_CHECKING:
    import pandas as pd

TRACKS3D, TRACKS3D_PARQUET = "tracks3d.csv", "tracks3d.parquet"
_COLUMNS = ("frame", "time_s", "track_id", "joint", "x", "y", "z", "score", "interpolated", "cut_off")
_DECIMALS_M = 5
_DECIMALS_SCORE = 4
_HIPS = ("left_hip", "right_hip")


def table3d(tracks: Tracks3D) -> pd.DataFrame:
    """One row per joint that is not missing."""
    import pandas as pd

    rows, joints = np.nonzero(np.isfinite(tracks.keypoints).all(axis=2))
    x, y, z = tracks.keypoints[rows, joints].T
    names = pd.Categorical.from_codes(joints, pd.Index(tracks.skeleton.joints))
    columns = (
        tracks.frame_indices[rows], tracks.times_s[rows], tracks.track_ids[rows], names, x, y, z,
        tracks.keypoint_scores[rows, joints], tracks.interpolated[rows], tracks.cut_off[rows],
    )  # fmt: skip
    return pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))


def write_csv3d(path: Path, tracks: Tracks3D) -> None:
    """Write tracks3d.csv: hundredths of a millimetre."""
    table = table3d(tracks)
    table["time_s"] = [f"{time:.{DECIMALS_S}f}" for time in table["time_s"].tolist()]
    for name, decimals in (("x", _DECIMALS_M), ("y", _DECIMALS_M), ("z", _DECIMALS_M), ("score", _DECIMALS_SCORE)):
        table[name] = [f"{value:.{decimals}f}" for value in table[name].tolist()]
    for name in ("interpolated", "cut_off"):
        table[name] = table[name].astype(int)
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def write_parquet3d(path: Path, tracks: Tracks3D) -> None:
    """Write tracks3d.parquet: the columns of the CSV, not rounded."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("wb") as file:
        pq.write_table(pa.Table.from_pandas(table3d(tracks), preserve_index=False), file, compression="zstd")


def read_csv3d(path: Path, skeleton: Skeleton) -> Tracks3D:
    """Read tracks3d.csv.

    Args:
        path: the file.
        skeleton: of the joints.

    Raises:
        InputError: it cannot be read, or is no such table.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); make it again by `posetrail lift`") from None
    if tuple(table.columns) != _COLUMNS or not set(table["joint"]) <= set(skeleton.joints):
        raise InputError(f"{path}: expected the columns and joints of tracks3d.csv; make it again by `posetrail lift`")
    keys = table[["frame", "track_id"]].to_numpy(np.int64).reshape(-1, 2)
    people, first, row = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    joint = table["joint"].map({name: k for k, name in enumerate(skeleton.joints)}).to_numpy(np.int64)
    keypoints = np.full((len(people), len(skeleton), 3), np.nan)
    scores = np.zeros(keypoints.shape[:2])
    row = row.reshape(-1)
    keypoints[row, joint], scores[row, joint] = table[["x", "y", "z"]].to_numpy(float), table["score"].to_numpy(float)
    return Tracks3D(
        skeleton,
        people[:, 0],
        table["time_s"].to_numpy(float)[first],
        people[:, 1],
        keypoints,
        scores,
        root_of(keypoints, skeleton),
        table["interpolated"].to_numpy(bool)[first],
        table["cut_off"].to_numpy(bool)[first],
    )


def root_of(keypoints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """The root (T, 3) of poses (T, K, 3): the pelvis, or the middle of the hips."""
    if "pelvis" in skeleton.joints:
        return keypoints[:, skeleton.index("pelvis")]
    if set(_HIPS) <= set(skeleton.joints):
        return keypoints[:, [skeleton.index(hip) for hip in _HIPS]].mean(axis=1)
    return keypoints[:, 0]
