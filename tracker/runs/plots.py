"""Plots of a run on matplotlib's axes, for notebooks. matplotlib is an optional dependency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posetrail.errors import InputError
from tracker.io.drawing import rgb_of
from tracker.io.pose_log import read_pose_log
from tracker.runs.draw_selection import RunTracks, run_tracks
from tracker.runs.locks import read_lock
from tracker.runs.record import LOG, check_log, read_record
from tracker.tracked_clip import TrackedClip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PALE = 0.35  # opacity where poses are interpolated
_ROW_INCHES = 0.32
_POINT_SIZE = 3  # about as wide as a line


def plot_timeline(run: str | Path, *, ax: Axes | None = None) -> Axes:
    """Plot when each person of a run is tracked: one row per person, gaps open, interpolated stretches pale.

    Args:
        run: folder of a run; the tracks are those with its corrections.
        ax: axes to plot into; by default, those of a new figure.

    Returns:
        The axes, with time in seconds on x. `ax.figure.savefig("timeline.png")` saves the figure.

    Raises:
        InputError: the folder holds no complete run, or matplotlib is not installed.

    Examples:
        >>> import posetrail as pt
        >>> pt.plot_timeline("posetrail_out/clip")
    """
    _check_matplotlib()
    _, people, clip = _opened(Path(run))
    ids = np.unique(clip.track_ids)
    ax = _new_axes(height=1.2 + _ROW_INCHES * len(ids)) if ax is None else ax
    times, step_s = _times(clip)
    for row, track_id in enumerate(ids.tolist()):
        of = clip.track_ids == track_id
        places, interpolated = clip.positions[of], clip.interpolated[of]
        for first, last in _spans(places, interpolated):
            begin, end = times[places[first]], times[places[last]] + step_s
            opacity = _PALE if interpolated[first] else 1.0
            ax.barh(row, end - begin, left=begin, height=0.6, color=rgb_of(track_id), alpha=opacity)
    ax.set_yticks(range(len(ids)), [_name(people, track_id) for track_id in ids.tolist()])
    ax.set_ylim(max(len(ids), 1) - 0.5, -0.5)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("person")
    return ax


def plot_joint(run: str | Path, person: int | str, joint: str, *, ax: Axes | None = None) -> Axes:
    """Plot x (solid) and y (dashed) of a joint of a person over time: gaps open, interpolated stretches pale.

    Args:
        run: folder of a run; the tracks are those with its corrections.
        person: track id or name, in upper or lower case.
        joint: name of a joint of the run's skeleton, such as "left_knee".
        ax: axes to plot into; by default, those of a new figure.

    Returns:
        The axes, with time in seconds on x and pixels on y, which points down as in images.

    Raises:
        InputError: the folder holds no complete run, the run has no such person or joint, or matplotlib is not
            installed.

    Examples:
        >>> import posetrail as pt
        >>> ax = pt.plot_joint("posetrail_out/clip", 1, "left_knee")
        >>> pt.plot_joint("posetrail_out/clip", "Anna", "left_knee", ax=ax)
    """
    _check_matplotlib()
    joints, people, clip = _opened(Path(run))
    if joint not in joints:
        raise InputError(f"joint: expected one of {', '.join(joints)}, got {joint!r}")
    chosen = people.ids((str(person),), argument="person")
    of = np.isin(clip.track_ids, chosen)
    ax = _new_axes(height=4.0) if ax is None else ax
    times, _ = _times(clip)
    at, keypoints = clip.positions[of], clip.poses.keypoints[of, joints.index(joint)]
    places = np.full((len(clip), 2), np.nan)
    places[at] = keypoints
    is_interpolated = np.zeros(len(clip), bool)
    is_interpolated[at] = clip.interpolated[of]
    is_pale = is_interpolated.copy()  # also the frames next to interpolated ones, so that the lines meet
    is_pale[1:] |= is_interpolated[:-1]
    is_pale[:-1] |= is_interpolated[1:]
    name, colour = _name(people, chosen[0]), rgb_of(chosen[0])
    for axis, style in ((0, "-"), (1, "--")):
        measured = np.where(is_interpolated, np.nan, places[:, axis])
        pale = np.where(is_pale, places[:, axis], np.nan)
        alone = _alone(measured)
        ax.plot(times, measured, style, color=colour, label=f"{name}: {joint} {'xy'[axis]}")
        ax.plot(times, pale, style, color=colour, alpha=_PALE)
        ax.plot(times[alone], measured[alone], ".", color=colour, markersize=_POINT_SIZE)
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
    ax.set_xlabel("time (s)")
    ax.set_ylabel("position (pixels)")
    ax.legend()
    return ax


def _opened(run: Path) -> tuple[tuple[str, ...], RunTracks, TrackedClip]:
    """Names of the joints, and the tracks of a run with its corrections."""
    read_record(run)  # refuses a folder that is no run before a lock is made in it
    with read_lock(run):
        record = read_record(run)
        check_log(run, record)
        people = run_tracks(run, record, at_once=True)
        assert people.clip is not None
        return read_pose_log(run / LOG)[0].skeleton.joints, people, people.clip


def _check_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError("plots: needs matplotlib; install it with: pip install 'posetrail[plots]'") from error


def _new_axes(height: float) -> Axes:
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(8, height), layout="constrained")[1]


def _name(people: RunTracks, track_id: int) -> str:
    return people.names.get(track_id, str(track_id))


def _times(clip: TrackedClip) -> tuple[np.ndarray, float]:
    """Times of the frames, and how long the last one is shown."""
    step_s = float(np.median(np.diff(clip.times_s))) if len(clip) > 1 else 1.0
    return clip.times_s, step_s


def _alone(values: np.ndarray) -> np.ndarray:
    """Which values have no neighbour, so that no line shows them."""
    exists = np.pad(np.isfinite(values), 1)
    return exists[1:-1] & ~exists[:-2] & ~exists[2:]


def _spans(places: np.ndarray, interpolated: np.ndarray) -> list[tuple[int, int]]:
    """First and last rows of stretches of successive frames that are all interpolated or all not."""
    breaks = np.flatnonzero((np.diff(places) > 1) | (np.diff(interpolated.astype(int)) != 0))
    return list(zip([0, *(breaks + 1).tolist()], [*breaks.tolist(), len(places) - 1], strict=True))
