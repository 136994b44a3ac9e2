"""The images of exported frames, under the names that the exported file has for them: data to train on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2

from posetrail.errors import InputError
from posetrail.files import folder_made, written_whole
from posetrail.paths import below
from tracker.io.video import Source, read_frames

_QUALITY = 95  # of JPEG
_SUFFIXES = {".jpg": ".jpg", ".jpeg": ".jpg", ".png": ".png"}


def write_images(folder: Path, source: Source, names: Mapping[int, str]) -> None:
    """Write frames of a clip as images.

    Args:
        folder: made if it does not exist.
        source: the clip.
        names: by the index of each frame in the clip, relative to `folder`; JPEG or PNG as the suffix says.

    Raises:
        InputError: a name lies outside the folder or has another suffix, or a frame cannot be read or written.
    """
    missing = dict(names)
    with folder_made(folder):
        for frame in read_frames(source, names):
            path = below(folder, missing.pop(frame.index), source.path)
            if (kind := _SUFFIXES.get(path.suffix.lower())) is None:
                raise InputError(f"{path}: expected the name of a JPEG or PNG image; export the file without images")
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
            _, data = cv2.imencode(kind, pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if kind == ".jpg" else [])
            with written_whole(path) as beside:
                beside.write_bytes(data.tobytes())
    if missing:
        raise InputError(f"{source.path}: expected an image of frame {min(missing)}, got none that can be read")
