"""Changes of the pixels of a crop, (H, W, 3) uint8 RGB: colour, blur and a hole. Numbers in, a new image out."""

from __future__ import annotations

import cv2
import numpy as np

from posetrail.frame import Image


def hsv_shifted(image: Image, gains: tuple[int, int, int]) -> Image:
    """Add to hue, saturation and value in OpenCV's units: hue 0..179, cyclic, the others 0..255, clipped."""
    values = np.arange(256)
    hue = (values + gains[0]) % 180
    table = np.stack([hue, values + gains[1], values + gains[2]], axis=1)
    return cv2.cvtColor(_by_table(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), table), cv2.COLOR_HSV2RGB)


def with_brightness_and_contrast(image: Image, brightness: float, contrast: float) -> Image:
    """Multiply the differences to middle grey by `contrast`, then add `brightness`, both as shares of 255 and 1."""
    return _by_table(image, (np.arange(256) - 127.5) * contrast + 127.5 + 255 * brightness)


def with_channel_gains(image: Image, gains: tuple[float, float, float]) -> Image:
    """Multiply red, green and blue each by its own factor."""
    return _by_table(image, np.arange(256)[:, None] * np.array(gains))


def blurred(image: Image, kernel: int) -> Image:
    """Mean over squares of `kernel` x `kernel` pixels."""
    return cv2.blur(image, (kernel, kernel))


def median_blurred(image: Image, kernel: int) -> Image:
    """Median over squares of `kernel` x `kernel` pixels; the kernel is odd."""
    return cv2.medianBlur(image, kernel)


def with_hole(image: Image, hole: tuple[int, int, int, int]) -> Image:
    """Black pixels in x1 y1 x2 y2, x2 and y2 excluded (coarse dropout, DeVries and Taylor 2017)."""
    x1, y1, x2, y2 = hole
    image = image.copy()
    image[y1:y2, x1:x2] = 0
    return image


def _by_table(image: Image, table: np.ndarray) -> Image:
    """Replace each value by that of a table, (256,) or (256, 3)."""
    rounded = np.clip(np.round(table), 0, 255).astype(np.uint8).reshape(256, 1, -1)
    return cv2.LUT(image, rounded)
