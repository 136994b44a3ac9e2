"""Anti-aliased lines on images: opaque ones, and many that are mixed with the image at once."""

from __future__ import annotations

import cv2
import numpy as np

from posetrail.frame import Image

Colour = tuple[float, ...]  # red, green, blue, 0..255

_SHIFT = 4  # OpenCV draws to 1 / 16 pixel with it, so that slow limbs do not jump
FAR = 1e6
"""Pixels; coordinates beyond it must be clipped, because OpenCV stores fractions of pixels in 32 bits."""


def draw_lines(image: Image, lines: np.ndarray, widths: np.ndarray, opacities: np.ndarray, colour: Colour) -> None:
    """Lines (L, 2, 2) of one colour; those not opaque (opacity 1) are mixed with what is under them, all at once."""
    opaque = opacities >= 1
    if opaque.any():
        draw_opaque(image, lines[opaque], widths[opaque], colour)
    faint = np.flatnonzero((opacities > 0) & ~opaque)
    if len(faint):
        faint = faint[np.argsort(opacities[faint], kind="stable")]
        _mix_lines(image, lines[faint], widths[faint], opacities[faint], colour)


def draw_opaque(image: Image, lines: np.ndarray, widths: np.ndarray, colour: Colour) -> None:
    """Lines (L, 2, 2) with round ends, so that one of no length is a dot; all of one width by one call of OpenCV."""
    ends, pixels = _ends(lines), _pixels(widths)
    for width in sorted(set(pixels.tolist())):
        cv2.polylines(image, list(ends[pixels == width]), False, colour, width, cv2.LINE_AA, _SHIFT)


def _mix_lines(image: Image, lines: np.ndarray, widths: np.ndarray, opacities: np.ndarray, colour: Colour) -> None:
    """Where lines cross, the last one counts: so the colour of what is below shines through once."""
    size = np.array([image.shape[1], image.shape[0]])
    low = np.clip(lines.min(axis=(0, 1)) - widths.max() - 1, 0, size).astype(int)
    high = np.clip(lines.max(axis=(0, 1)) + widths.max() + 2, 0, size).astype(int)
    if (high <= low).any():
        return
    mask = np.zeros((high - low)[::-1], np.uint8)
    ends, pixels = _ends(lines - low).tolist(), _pixels(widths).tolist()
    for (start, end), width, opacity in zip(ends, pixels, opacities.tolist(), strict=True):
        cv2.line(mask, start, end, (255 * opacity,), width, cv2.LINE_AA, _SHIFT)
    places = cv2.findNonZero(mask)
    if places is None:
        return
    columns, rows = places.reshape(-1, 2).T
    weights = mask[rows, columns, None] * np.float32(1 / 255)
    pixels_of_image = image.reshape(-1, 3)  # flat indices are much faster than pairs
    at = (rows + low[1]) * image.shape[1] + columns + low[0]
    under = pixels_of_image.take(at, axis=0).astype(np.float32)
    mixed = (np.array(colour, np.float32) - under) * weights + under
    pixels_of_image[at] = (mixed + 0.5).astype(np.uint8)


def _ends(lines: np.ndarray) -> np.ndarray:
    """Ends of lines (L, 2, 2) as int32 in the units of OpenCV, 1 / 16 pixel."""
    return np.rint(lines * (1 << _SHIFT)).astype(np.int32)


def _pixels(widths: np.ndarray) -> np.ndarray:
    return np.maximum(1, np.rint(widths)).astype(int)
