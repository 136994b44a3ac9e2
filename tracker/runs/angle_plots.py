"""A figure of one person's joint angles over time. matplotlib is an optional dependency."""

from __future__ import annotations

import matplotlib.figure
import numpy as np
import pandas as pd

_PANELS = ("hip", "knee", "ankle", "shoulder", "elbow", "trunk")
_COLOURS = {"left": "#1f6fb4", "right": "#d9730d"}  # as in videos drawn with --colour side
_PALE = 0.35  # opacity where poses are interpolated
_LARGEST_JUMP_DEG = 180.0  # a larger one is the same movement on the other side of the range


def angle_figure(rows: pd.DataFrame, title: str) -> matplotlib.figure.Figure:
    """Plot the joint angles and the trunk's inclination of one person: left blue, right orange, gaps open.

    Args:
        rows: of the person, from `angles`.
        title: of the figure.
    """
    panels = [name for name in _PANELS if f"{name}_deg" in rows or f"{name}_left_deg" in rows]
    figure = matplotlib.figure.Figure(figsize=(10, 1 + 1.9 * ((len(panels) + 1) // 2)), layout="constrained")
    grid = figure.subplots(max((len(panels) + 1) // 2, 1), 2, sharex=True, squeeze=False)
    for axes, name in zip(grid.flat, panels, strict=False):
        if f"{name}_deg" in rows:
            _plot(axes, rows, f"{name}_deg", "0.2", None)
        for side, colour in _COLOURS.items():
            if f"{name}_{side}_deg" in rows:
                _plot(axes, rows, f"{name}_{side}_deg", colour, side)
        axes.set_title(name, loc="left", fontsize="medium")
        axes.grid(alpha=0.3)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("degrees")
    for axes in [axes for axes in grid.flat if axes.get_visible()][-2:]:
        axes.set_xlabel("time (s)")
        axes.tick_params(labelbottom=True)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False)
    figure.suptitle(title)
    return figure


def _plot(axes: matplotlib.axes.Axes, rows: pd.DataFrame, column: str, colour: str, label: str | None) -> None:
    frames, times = rows["frame"].to_numpy(), rows["time_s"].to_numpy()
    values, interpolated = rows[column].to_numpy(), rows["interpolated"].to_numpy().astype(bool)
    step = np.median(np.diff(frames)) if len(frames) > 1 else 1
    breaks = (np.diff(frames) > 1.5 * step) | (np.abs(np.diff(values)) > _LARGEST_JUMP_DEG)
    at = np.flatnonzero(breaks) + 1
    times, values = np.insert(times, at, np.nan), np.insert(values, at, np.nan)
    interpolated = np.insert(interpolated, at, False)
    is_pale = interpolated.copy()  # also the frames next to interpolated ones, so that the lines meet
    is_pale[1:] |= interpolated[:-1]
    is_pale[:-1] |= interpolated[1:]
    axes.plot(times, np.where(interpolated, np.nan, values), color=colour, label=label, linewidth=1.4)
    axes.plot(times, np.where(is_pale, values, np.nan), color=colour, alpha=_PALE, linewidth=1.4)
