"""Tracks out: tracked frames to PoseTrack JSON, tables, COCO JSON or MOT text.

A writer takes frames one by one. Its memory does not grow with the clip, apart from the names and times of frames,
which formats with a list of images need at the end. The file appears complete when the writer is left, after however
many frames; if it is left by an exception, nothing is left behind.

    with open_writer("csv", folder, clip) as writer:
        writer.add(frame)

Missing joints have no row in tables and are 0, 0, 0 in JSON. A person's score is `Poses.quality`. Interpolated poses
are marked in all formats but MOT and PoseTrack 2017, which have no place for a mark.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from posetrail.errors import unknown_name
from posetrail.skeletons import Skeleton
from tracker.io.writers.base import ClipInfo as ClipInfo
from tracker.io.writers.base import Format
from tracker.io.writers.base import Writer as Writer
from tracker.io.writers.coco import open_coco
from tracker.io.writers.mot import open_mot
from tracker.io.writers.posetrack import open_posetrack, suits_posetrack
from tracker.io.writers.tables import open_csv, open_parquet

WRITERS = {
    "posetrack18": Format("tracks.json", partial(open_posetrack, version=2018)),
    "posetrack17": Format("tracks.posetrack17.json", partial(open_posetrack, version=2017)),
    "csv": Format("tracks.csv", open_csv),
    "parquet": Format("tracks.parquet", open_parquet),
    "coco": Format("tracks.coco.json", open_coco),
    "mot": Format("tracks.mot.txt", open_mot),
}


def default_formats(skeleton: Skeleton) -> tuple[str, ...]:
    """The formats that are written if none are named."""
    return ("posetrack18", "csv") if suits_posetrack(skeleton) else ("csv",)


def open_writer(name: str, folder: Path, clip: ClipInfo) -> AbstractContextManager[Writer]:
    """Open a writer for one of `WRITERS`, whose file appears in `folder`.

    Raises:
        InputError: the format is unknown or has no place for the clip's skeleton.
    """
    if name not in WRITERS:
        raise unknown_name("file format", name, WRITERS)
    return WRITERS[name].open(folder / WRITERS[name].file_name, clip)
