"""Frames of a video: an RGB image with its index, presentation time and name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Image = np.ndarray  # (H, W, 3) uint8 RGB


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video or image sequence, upright."""

    index: int  # position in the source, from 0; not affected by a start time or a stride
    time_s: float  # presentation time in seconds; never decreases
    name: str  # image file relative to its folder; "000003.jpg" for frame 3 of a video
    image: Image  # (H, W, 3) uint8 RGB


def images_of(frames: Sequence[Frame]) -> list[Image]:
    """The images of frames, in the same order."""
    return [frame.image for frame in frames]


def by_size(images: Sequence[Image]) -> list[list[int]]:
    """Group images by shape, so that each group can be stacked into one array.

    Returns:
        the positions of the images in each group; groups are in order of first appearance.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, image in enumerate(images):
        groups.setdefault(image.shape, []).append(row)
    return list(groups.values())
