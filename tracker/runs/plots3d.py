"""Plots of 3-D tracks on matplotlib's axes, for notebooks. matplotlib is an optional dependency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from posetrail.errors import InputError
from posetrail.skeletons import Skeleton
from tracker.runs.lifted import read_lifted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AXES = {"front": (0, 1), "side": (2, 1), "above": (0, 2)}
_LABELS = ("x (m)", "y (m)", "z (m)")
_COLOURS = {"left": "tab:blue", "right": "tab:red", "": "black"}


def plot_skeleton3d(
    run: str | Path,
    person: int,
    frame: int,
    *,
    view: Literal["front", "side", "above"] = "side",
    ax: Axes | None = None,
) -> Axes:
    """Plot the 3-D joints of a person in one frame, as `lift` wrote them: the left side blue, the right side red.

    Args:
        run: folder of a run with 3-D tracks.
        person: track id.
        frame: number of the frame in the video.
        view: "front" as the camera sees the person; "side", the camera on the left; or "above", the camera below.
        ax: axes to plot into; by default, those of a new figure.

    Returns:
        The axes, in metres from the root of the body.

    Raises:
        InputError: the run has no 3-D tracks of this person in this frame, or matplotlib is not installed.

    Examples:
        >>> import posetrail as pt
        >>> pt.plot_skeleton3d("posetrail_out/clip", 1, 120, view="above")
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise InputError("plots: needs matplotlib; install it with: pip install 'posetrail[plots]'") from error
    if view not in _AXES:
        raise InputError(f"view: expected front, side or above, got {view!r}")
    tracks = read_lifted(run).tracks
    rows = np.flatnonzero((tracks.track_ids == person) & (tracks.frame_indices == frame))
    if not len(rows):
        raise InputError(f"{run}: has no 3-D joints of person {person} in frame {frame}")
    joints = tracks.keypoints[rows[0]] - tracks.roots[rows[0]]
    ax = pyplot.subplots(figsize=(4, 4), layout="constrained")[1] if ax is None else ax
    across, along = _AXES[view]
    for a, b in tracks.skeleton.limb_indices.tolist():
        ax.plot(joints[[a, b], across], joints[[a, b], along], color=_colour(tracks.skeleton, a, b))
    ax.set_aspect("equal")
    if along == 1 and not ax.yaxis_inverted():
        ax.invert_yaxis()
    ax.set_xlabel(_LABELS[across])
    ax.set_ylabel(_LABELS[along])
    return ax


def _colour(skeleton: Skeleton, a: int, b: int) -> str:
    sides = {skeleton.joints[joint].split("_")[0] for joint in (a, b)}
    return _COLOURS[sides.pop()] if sides in ({"left"}, {"right"}) else _COLOURS[""]
