"""Reads the annotated images of a folder, for benchmarks: `training.data.read` on a folder as data sets are unpacked.

Missing areas are 0.53 of the boxes (`Samples.oks_areas`), as in the evaluations of CrowdPose and AI Challenger.
"""

from __future__ import annotations

from pathlib import Path

from posetrail.errors import InputError
from training.data.read import read_samples
from training.samples import Samples


def read_annotated(folder: Path, *, format: str | None = None, annotations: Path | None = None) -> Samples:
    """The annotated images of a folder.

    Args:
        folder: contains the images, directly or in folders, and the annotations, directly or in `annotations/`.
        format: one of `training.data.read.READERS`; recognised by the content when not given.
        annotations: the file or folder of files to read, needed if there are several.

    Raises:
        InputError: there are no such annotations, a value cannot be used, or an image is missing.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of annotated images, got a path that is not a folder")
    return read_samples(annotations or folder, format=format, images=folder if annotations else None)
