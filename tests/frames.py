"""Images as the frames that networks are called with."""

from __future__ import annotations

from collections.abc import Sequence

from posetrail.frame import Frame, Image


def frames_of(images: Sequence[Image]) -> list[Frame]:
    """Frames 0, 1, ... of a clip with 30 frames per second."""
    return [Frame(index, index / 30, f"{index:06d}.jpg", image) for index, image in enumerate(images)]
