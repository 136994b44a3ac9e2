"""Curves of a training as inline SVG: loss, learning rate and scores against epochs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 1000, 100  # of the drawing, which is stretched to its place
_MOST_POINTS = 400
_LOGARITHMIC_FROM = 10.0  # ratio of the largest value to the smallest one


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Values over the epochs of a training."""

    name: str
    epochs: np.ndarray  # (P,) ascending
    values: np.ndarray  # (P,)
    from_zero: bool = False  # the scale begins at 0
    may_be_logarithmic: bool = False  # the scale is logarithmic if the values are positive and span a factor of 10
    marked: float | None = None  # epoch of the point to mark


def charts(curves: Iterable[Curve], epochs: float) -> str:
    """A grid of charts with a common axis.

    Args:
        curves: one chart each; those without a finite value are left out.
        epochs: end of the axis.
    """
    drawn = "".join(_chart(curve, epochs) for curve in curves if np.isfinite(curve.values).any())
    return f'<div class="charts">{drawn}</div>'


def _chart(curve: Curve, epochs: float) -> str:
    finite = np.isfinite(curve.values)
    at, values = _thinned(curve.epochs[finite]), _thinned(curve.values[finite])
    logarithmic = curve.may_be_logarithmic and values.min() > 0 and values.max() >= _LOGARITHMIC_FROM * values.min()
    low, high = float(values.min()), float(values.max())
    if curve.from_zero:
        low = min(low, 0.0)
    if high == low:
        low, high = (0.0, low) if low > 0 else (low, low + 1)
    scaled = np.log([low, high, *values]) if logarithmic else np.array([low, high, *values])
    share = (scaled[2:] - scaled[0]) / (scaled[1] - scaled[0])
    x, y = _WIDTH * at / max(epochs, float(at[-1]), 1e-9), _HEIGHT * (1 - share)
    points = " ".join(f"{a:.1f},{b:.2f}" for a, b in zip(x, y, strict=True))
    paths = f'<path class="curve" d="M{points}{" h0" if len(x) == 1 else ""}"/>'
    if curve.marked is not None:
        i = int(np.abs(at - curve.marked).argmin())
        paths += f'<path class="best" d="M{x[i]:.1f},{y[i]:.2f} h0"/>'
    note = " <span>logarithmic</span>" if logarithmic else ""
    return (
        f'<div class="plot"><h3>{escape(curve.name)}{note}</h3>'
        f'<div class="scale"><span>{high:.3g}</span><span>{low:.3g}</span></div>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(curve.name)}: {values[0]:.4g} at first, {values[-1]:.4g} at last">{paths}</svg>'
        f'<div class="axis"><span>0</span><span>{max(epochs, float(at[-1])):.4g} epochs</span></div></div>'
    )


def _thinned(values: np.ndarray) -> np.ndarray:
    """At most `_MOST_POINTS` means of neighbouring values."""
    if len(values) <= _MOST_POINTS:
        return values
    return np.array([part.mean() for part in np.array_split(values, _MOST_POINTS)])
