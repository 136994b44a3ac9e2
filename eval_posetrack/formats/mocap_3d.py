"""3-D joints of one person as Human3.6M and HumanEva have them, as ground truth.

Human3.6M (Ionescu et al. 2014): `data` of a .mat file or `3D_positions` of an .h5 file, (T, 96) or (96, T), 32 joints
of which 17 are different places of the body. HumanEva (Sigal et al. 2010): `poses_3d` (T, 15, 3) of a .mat file, as
made from its recordings for VideoPose3D. Frames of zeros or NaN have no person. Axes are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from posetrail.errors import InputError
from posetrail.skeletons import H36M_17, HUMANEVA_15, Skeleton

SUFFIXES = (".mat", ".h5", ".hdf5")
H36M_KEPT = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Positions among Human3.6M's 32 joints of those of H36M_17."""

_VARIABLES = ("data", "3D_positions", "poses_3d")
_H36M_ALL = 32
_SKELETONS: dict[int, Skeleton] = {_H36M_ALL: H36M_17, len(H36M_17): H36M_17, len(HUMANEVA_15): HUMANEVA_15}
_LARGEST_BODY_M = 20.0  # a larger extent is in millimetres
_MM = 1000.0


def read_mocap(path: Path) -> tuple[Skeleton, np.ndarray]:
    """The skeleton and the joints (T, K, 3) in metres of all T frames, NaN where there is no person.

    Positions are read as millimetres where the body is more than 20 units long.

    Raises:
        InputError: the file cannot be read or is not one of these.
    """
    value = _mat(path) if path.suffix.lower() == ".mat" else _hdf5(path)
    while value.dtype == object and value.size == 1:  # a MATLAB cell
        value = np.asarray(value.reshape(-1)[0])
    expected = "numbers (T, 96) or (T, 32, 3) of Human3.6M, or (T, 15, 3) of HumanEva"
    if value.dtype.kind not in "iuf":
        raise InputError(f"{path}: expected {expected}, got {value.dtype} {value.shape}")
    keypoints = _by_joint(value.astype(float))
    if keypoints is None:
        raise InputError(f"{path}: expected {expected}, got the shape {value.shape}")
    skeleton = _SKELETONS[keypoints.shape[1]]
    if keypoints.shape[1] == _H36M_ALL:
        keypoints = keypoints[:, H36M_KEPT]
    keypoints = np.where((keypoints == 0).all(axis=(1, 2))[:, None, None], np.nan, keypoints)
    known = keypoints[np.isfinite(keypoints).all(axis=(1, 2))]
    if len(known) == 0:
        raise InputError(f"{path}: expected frames with a person, got none in {len(keypoints)}")
    extent = float(np.median((known.max(axis=1) - known.min(axis=1)).max(axis=1)))
    return skeleton, keypoints / (_MM if extent > _LARGEST_BODY_M else 1.0)


def _by_joint(value: np.ndarray) -> np.ndarray | None:
    """(T, K, 3) of numbers in any of the known shapes; None for others."""
    if value.ndim == 3 and value.shape[2] == 3 and value.shape[1] in _SKELETONS:
        return value
    if value.ndim != 2:
        return None
    widths = [3 * joints for joints in _SKELETONS]
    if value.shape[1] in widths:
        return value.reshape(len(value), -1, 3)
    return value.T.reshape(value.shape[1], -1, 3) if value.shape[0] in widths else None


def _mat(path: Path) -> np.ndarray:
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except NotImplementedError:
        raise InputError(f"{path}: is a MATLAB file of version 7.3; save it again with -v7") from None
    except Exception as error:  # scipy raises many kinds for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason}); give a .mat file of 3-D joints") from None
    return _variable(path, content)


def _hdf5(path: Path) -> np.ndarray:
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"{path}: reading HDF5 needs h5py; install posetrail[sleap], or save the joints as .mat"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            return _variable(path, {name: np.asarray(file[name]) for name in _VARIABLES if name in file})
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); give an .h5 file of 3-D joints") from None


def _variable(path: Path, content: dict[str, Any]) -> np.ndarray:
    for name in _VARIABLES:
        if name in content:
            return np.asarray(content[name])
    raise InputError(f"{path}: expected a variable {', '.join(_VARIABLES)}, got none of them")
