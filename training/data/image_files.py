"""Reads the image files of a data set, and finds those that are missing or damaged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from posetrail.errors import InputError
from posetrail.frame import Image

_ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}  # of JPEG and PNG: first bytes -> bytes near the end
_NEAR = 4096  # bytes; some cameras append something


def read_image(path: Path) -> Image:
    """(H, W, 3) uint8 RGB as stored, without the EXIF orientation, to which annotations do not refer.

    Raises:
        InputError: the file does not exist, is no image, or was cut off.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    pixels = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(pixels, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if len(pixels) else None
    if image is None:
        raise InputError(f"{path}: cannot be read as an image; is it complete?")
    end = _ENDS.get(data[:2], b"")
    if end not in data[-_NEAR:]:  # OpenCV fills the missing part with grey
        raise InputError(f"{path}: expected a complete image, got one that was cut off")
    return np.ascontiguousarray(image[:, :, ::-1])
