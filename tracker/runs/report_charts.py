"""The charts of a report as HTML with inline SVG: timeline, paths in the image, heights of joints over time.

The lines are SVG that stretches with the page. All writing is HTML beside or over it, so that it keeps its size and
grows with the reader's zoom. Colours are hues of the track ids, `style="--h:..."`, which the style sheet turns into
lighter or darker ones; each line is also labelled by its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np

from tracker.io.drawing import hue_of
from tracker.runs.report_figures import PersonFigures, Spans

_WIDE = 1000.0  # units of the x axis of a chart; its height has 100
_TALL = 100.0
_SMALLEST_GAP = 0.7  # units; a stretch follows the one before it so closely that both look like one
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MOST_TICKS = 9
_MOST_PATH_POINTS = 3000  # of a person: some 30 kB
_DASHES = ("none", "8 4", "2 3", "10 3 2 3", "14 4", "5 2 1 2 1 2")  # of paths, so that ids differ without colour too


class TimeAxis:
    """The horizontal axis of a clip: seconds to 0..1000."""

    def __init__(self, start_s: float, end_s: float) -> None:
        self.start_s, self.end_s = start_s, max(end_s, start_s + 1e-3)

    def x(self, time_s: float | np.ndarray) -> np.ndarray:
        """Where a time is, 0..1000."""
        return (np.asarray(time_s, float) - self.start_s) / (self.end_s - self.start_s) * _WIDE

    def ticks(self) -> list[float]:
        """Round times, at most nine."""
        length = self.end_s - self.start_s
        step = next((step for step in _STEPS_S if length / step < _MOST_TICKS), _STEPS_S[-1])
        first = int(np.ceil(self.start_s / step - 1e-9))
        return [k * step for k in range(first, int(np.floor(self.end_s / step + 1e-9)) + 1)]

    def labels(self) -> str:
        """The times under a chart."""
        return (
            '<div class="axis" aria-hidden="true">'
            + "".join(f'<span style="left:{self.x(tick) / 10:.2f}%">{_tick(tick)}</span>' for tick in self.ticks())
            + "</div>"
        )

    def lines(self) -> str:
        """Vertical lines at the ticks."""
        path = "".join(f"M{self.x(tick):.1f} 0V{_TALL:g}" for tick in self.ticks())
        return f'<path class="grid" d="{path}"/>'


def clock(time_s: float) -> str:
    """A time as a person writes it.

    >>> clock(7.5), clock(75), clock(3675)
    ('7.50 s', '1:15', '1:01:15')
    """
    if time_s < 59.95:
        return f"{time_s:.2f} s" if time_s < 9.995 else f"{time_s:.1f} s"
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _tick(time_s: float) -> str:
    return f"{time_s:g} s" if time_s < 60 else clock(time_s)


def pill(person: PersonFigures) -> str:
    """The id of a person on its colour, and the name."""
    name = f' <span class="name">{escape(person.name)}</span>' if person.name else ""
    return f'<span class="id" style="{_hue(person.track_id)}">{person.track_id}</span>{name}'


# Timeline -------------------------------------------------------------------------------------------------------------


def timeline(
    people: Sequence[PersonFigures],
    times_s: np.ndarray,
    ends_s: np.ndarray,
    marks: dict[int, list[tuple[float, str]]],
    checked: Spans,
) -> str:
    """A row of bars for each person.

    Args:
        people: one row each.
        times_s: (F,) when each frame begins ...
        ends_s: (F,) ... and ends.
        marks: by track id, times of suspects and what they are.
        checked: stretches that a person has checked.
    """
    axis = TimeAxis(float(times_s[0]), float(ends_s[-1]))

    def bars(spans: Spans, kind: str, top: float, height: float) -> str:
        firsts = axis.x(times_s[[first for first, _ in spans]]) if spans else np.zeros(0)
        lasts = axis.x(ends_s[[last for _, last in spans]]) if spans else np.zeros(0)
        path = "".join(
            f"M{x:.1f} {top:g}H{end:.1f}v{height:g}H{x:.1f}z" for x, end in _merged(firsts.tolist(), lasts.tolist())
        )
        return f'<path class="{kind}" d="{path}"/>' if path else ""

    rows = []
    for person in people:
        ticks = "".join(
            f'<path class="mark" d="M{axis.x(time_s):.1f} 0V{_TALL:g}"><title>{escape(text)}</title></path>'
            for time_s, text in marks.get(person.track_id, ())
        )
        inside = bars(person.spans, "bar", 25, 50) + bars(person.interpolated, "thin", 25, 50) + ticks
        title = f"{person.label}: in view for {clock(person.in_view_s)}"
        rows.append(_row(pill(person), axis.lines() + inside, title, _hue(person.track_id)))
    if checked:
        inside = axis.lines() + bars(checked, "checked", 40, 20)
        rows.append(_row("checked", inside, "stretches that a person has checked", ""))
    named = " named" if any(person.name for person in people) else ""
    return f'<div class="timeline{named}">{"".join(rows)}<div class="row"><span></span>{axis.labels()}</div></div>'


def _row(label: str, inside: str, title: str, style: str) -> str:
    chart = _chart(inside, title)
    return f'<div class="row" style="{style}"><span class="label">{label}</span>{chart}</div>'


def _merged(firsts: Sequence[float], lasts: Sequence[float]) -> Iterable[tuple[float, float]]:
    """Bars that are no nearer to each other than can be seen."""
    merged: list[tuple[float, float]] = []
    for first, last in zip(firsts, lasts, strict=True):
        if merged and first - merged[-1][1] < _SMALLEST_GAP:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


# Paths ----------------------------------------------------------------------------------------------------------------


def paths(people: Sequence[PersonFigures], lines: Sequence[Sequence[np.ndarray]], width: int, height: int) -> str:
    """The ways of people through the image; a dot marks the end, the id the beginning.

    Args:
        people: whose ways they are.
        lines: for each person, stretches of points (P, 2) in pixels.
        width: of the image, in pixels.
        height: of the image.
    """
    drawn, labels = [], []
    tolerance = max(width, height) / 1000
    for person, stretches in zip(people, lines, strict=True):
        thinned = _path(stretches, tolerance)
        if not thinned:
            continue
        path = "".join(_polyline(points) for points in thinned)
        (x, y), (end_x, end_y) = thinned[0][0].tolist(), thinned[-1][-1].tolist()
        drawn.append(
            f'<g style="{_hue(person.track_id)};--dash:{_DASHES[person.track_id % len(_DASHES) - 1]}">'
            f'<path class="line" d="{path}"/>'
            f'<path class="dot" d="M{end_x:.1f} {end_y:.1f}h.01"/></g>'
        )
        labels.append(
            f'<span class="id" style="{_hue(person.track_id)};left:{_percent(x, width)};top:{_percent(y, height)}">'
            f"{person.track_id}</span>"
        )
    svg = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="Paths of people in the image">{"".join(drawn)}'
        "</svg>"
    )
    shape = f"aspect-ratio:{width}/{height};--wide:{width / height:.3f}"
    return f'<div class="paths" style="{shape}">{svg}{"".join(labels)}</div>'


def _path(stretches: Sequence[np.ndarray], tolerance: float) -> list[np.ndarray]:
    """The lines that have points, simplified until they are not too many for a file."""
    thinned = [_simplified(points, tolerance) for points in stretches if len(points)]
    while sum(map(len, thinned)) > max(_MOST_PATH_POINTS, 2 * len(thinned)):
        tolerance *= 1.5
        thinned = [_simplified(points, tolerance) for points in thinned]
    return thinned


def _percent(value: float, whole: float) -> str:
    return f"{min(max(100 * value / whole, 0), 100):.2f}%"


# Joints ---------------------------------------------------------------------------------------------------------------


def joint_chart(title: str, axis: TimeAxis, sides: Sequence[tuple[str, list[np.ndarray]]], track_id: int) -> str:
    """Heights of joints over time, each its own kind of line.

    Args:
        title: what is shown.
        axis: of the time.
        sides: names of the joints, and their stretches of points (P, 2): time in seconds and y in pixels, downwards.
        track_id: whose joints they are.
    """
    heights = [points[:, 1] for _, stretches in sides for points in stretches if len(points)]
    if not heights:
        return ""
    low, high = float(min(map(np.min, heights))), float(max(map(np.max, heights)))
    high = max(high, low + 1.0)
    lines, legend = [], []
    for number, (name, stretches) in enumerate(sides):
        scaled = [
            np.column_stack([axis.x(points[:, 0]), (points[:, 1] - low) / (high - low) * 90 + 5])
            for points in stretches
            if len(points)
        ]
        path = "".join(_polyline(_simplified(_extremes(points), 0.25)) for points in scaled)
        lines.append(f'<path class="line side{number}" d="{path}"/>')
        legend.append(f'<span class="key side{number}">{escape(name)}</span>')
    inside = _chart(axis.lines() + "".join(lines), f"{title}: {', '.join(name for name, _ in sides)}")
    scale = f'<span class="high">{low:.0f}</span><span class="low">{high:.0f} px</span>'
    return (
        f'<div class="joint" style="{_hue(track_id)}"><p>{escape(title)} {"".join(legend)}</p>'
        f'<div class="plot"><div class="scale" aria-hidden="true">{scale}</div>{inside}</div>{axis.labels()}</div>'
    )


# SVG ------------------------------------------------------------------------------------------------------------------


def _chart(inside: str, title: str) -> str:
    """A chart that is stretched to the width of the page; lines keep their widths."""
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDE:g} {_TALL:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}">{inside}</svg>'
    )


def _extremes(points: np.ndarray) -> np.ndarray:
    """A line (P, 2) over time with the lowest and the highest point of each unit, which is all that can be seen."""
    bins = np.floor(points[:, 0])
    order = np.lexsort((points[:, 1], bins))
    ends = np.flatnonzero(np.diff(bins[order], append=np.inf))
    starts = np.append(0, ends[:-1] + 1)
    return points[np.union1d(order[starts], order[ends])]


def _simplified(points: np.ndarray, tolerance: float) -> np.ndarray:
    """A line (P, 2) with fewer points, nowhere farther than `tolerance` from the given one."""
    if len(points) < 3:
        return points
    return cv2.approxPolyDP(points.astype(np.float32).reshape(-1, 1, 2), tolerance, False).reshape(-1, 2)


def _polyline(points: np.ndarray) -> str:
    (x, y), *others = np.round(points, 1).tolist()
    rest = "".join(f"L{x:g} {y:g}" for x, y in others) or "h.01"  # a line of no length is a dot
    return f"M{x:g} {y:g}{rest}"


def _hue(track_id: int) -> str:
    return f"--h:{hue_of(track_id):.0f}"
