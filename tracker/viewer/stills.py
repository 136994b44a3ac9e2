"""Exact stills: the image of any frame as JPEG, decoded from the keyframe before it.

People step through a clip frame by frame, forwards or backwards. A frame soon after the last one is decoded from there,
and on the way backwards all frames after the keyframe are kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator

import cv2

from posetrail.frame import Image
from tracker.viewer.clip import ClipImages, scaled, scaled_size

DEFAULT_LONG_SIDE = 1280  # pixels
_QUALITY = 85  # of JPEG
_KEPT_IMAGES, _KEPT_BYTES = 64, 256_000_000
_NEAR = 32  # frames that are decoded rather than sought
_AHEAD = 256  # frames for which a reader is opened


class MissingImage(LookupError):
    """The clip has no readable image for a frame."""


class Stills:
    """Reads stills of one clip; one thread at a time, others wait."""

    def __init__(self, clip: ClipImages) -> None:
        self._clip = clip
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Image] = OrderedDict()
        self._bytes = 0
        self._reader: Iterator[tuple[int, Image]] = iter(())
        self._next = self._end = 0  # positions that the reader has before it
        self._last = 0  # position asked for before

    def jpeg(self, position: int, long_side: int = DEFAULT_LONG_SIDE) -> bytes:
        """The image at a position as JPEG, scaled down to a longer side of so many pixels.

        Raises:
            MissingImage: it was lost to damage.
            InputError: the clip cannot be opened any more.
        """
        with self._lock:
            image = self._image(position)
        small = scaled(image, *scaled_size(image.shape[1], image.shape[0], long_side))
        _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        return data.tobytes()

    def close(self) -> None:
        """Close the clip's file and drop all images."""
        with self._lock:
            self._reader, self._next, self._end = iter(()), 0, 0
            self._kept.clear()
            self._bytes = 0

    def _image(self, position: int) -> Image:
        last, self._last = self._last, position
        if position in self._kept:
            self._kept.move_to_end(position)
            return self._kept[position]
        if not self._next <= position < min(self._next + _NEAR, self._end):
            goes_back = position < last <= position + _KEPT_IMAGES
            first = max(position - _KEPT_IMAGES + 8, self._clip.first_decoded(position), 0) if goes_back else position
            self._next, self._end = first, min(position + _AHEAD, len(self._clip))
            self._reader = self._clip.read(first, self._end)
        for at, image in self._reader:
            self._next = at + 1
            self._keep(at, image)
            if at == position:
                return image
            if at > position:
                break
        else:
            self._end = 0
        raise MissingImage(f"frame {int(self._clip.numbers[position])} of the clip cannot be read")

    def _keep(self, position: int, image: Image) -> None:
        if (before := self._kept.pop(position, None)) is not None:
            self._bytes -= before.nbytes
        self._kept[position] = image
        self._bytes += image.nbytes
        while len(self._kept) > 1 and (len(self._kept) > _KEPT_IMAGES or self._bytes > _KEPT_BYTES):
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
