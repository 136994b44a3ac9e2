"""Reads poses of other tools as PoseTrack clips, to be tracked and scored. Fields: docs/reference/formats.md.

>>> clips = READERS["alphapose"](Path("alphapose-results.json"), None, None)  # doctest: +SKIP
>>> convert(Path("alphapose-results.json"), Path("tracks.json"), "alphapose")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval_posetrack.formats.clip import LARGEST_TRACK_ID, Clip
from eval_posetrack.formats.files import write_clip
from eval_posetrack.readers import alphapose, coco, deeplabcut, mmpose, openpose, sleap
from eval_posetrack.readers.images import Images, read_images
from posetrail.errors import InputError, unknown_name
from posetrail.paths import folded, safe_name

__all__ = ["READERS", "Images", "convert", "read_images"]

Reader = Callable[
    [Path, Images | None, str | None], list[Clip]
]  # arguments: source, its frames, the order of its joints
READERS: dict[str, Reader] = {
    "coco": coco.read,
    "alphapose": alphapose.read,
    "openpose": openpose.read,
    "mmpose": mmpose.read,
    "deeplabcut": deeplabcut.read,
    "sleap": sleap.read,
}


def convert(
    source: Path,
    out: Path,
    tool: str,
    *,
    version: int = 2018,
    images: Path | None = None,
    joints: str | None = None,
) -> dict[Path, Clip]:
    """Convert the poses of another tool to PoseTrack files.

    Args:
        source: the tool's file or folder.
        out: a `.json` file for a single clip, otherwise a folder, created if necessary.
        tool: one of `READERS`.
        version: of the PoseTrack files: 2017, 2018 or 2021.
        images: a folder of images or a COCO file that lists the frames and their names.
        joints: a name of `joints.LAYOUTS`, for sources that do not name their joints.

    Returns:
        the written clips, by file.

    Raises:
        InputError: the tool is unknown, the source cannot be used, or the output cannot be written.
    """
    if tool not in READERS:
        raise unknown_name("tool", tool, READERS)
    clips = READERS[tool](source, None if images is None else read_images(images), joints)
    single = out.suffix.lower() == ".json"
    if single and len(clips) > 1:
        raise InputError(
            f"{out}: expected a folder for the {len(clips)} clips of {source}, got a file; leave out .json"
        )
    names = [f"{safe_name(clip.name)}.json" for clip in clips]
    if len(set(map(folded, names))) < len(names):
        raise InputError(f"{source}: expected clips with different names, got {', '.join(clip.name for clip in clips)}")
    files = {out if single else out / name: clip for name, clip in zip(names, clips, strict=True)}
    for file in files:
        if file.resolve() == source.resolve() or file.resolve().parent == source.resolve():
            raise InputError(
                f"{file}: expected an output outside of the source; choose another one (nothing was written)"
            )
    try:
        (out.parent if single else out).mkdir(parents=True, exist_ok=True)
        for file, clip in files.items():
            files[file] = _renumbered(replace(clip, name=file.stem))
            write_clip(files[file], file, version=version)
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written ({error.strerror})") from error
    return files


def _renumbered(clip: Clip) -> Clip:
    """Renumber ids from 0 by first appearance if they are too large for PoseTrack files."""
    if clip.track_ids.max(initial=-1) <= LARGEST_TRACK_ID:
        return clip
    ids, first, where = np.unique(clip.track_ids, return_index=True, return_inverse=True)
    new = np.empty(len(ids), np.int64)
    new[np.argsort(np.where(ids < 0, -1, first))] = np.arange(len(ids)) - (ids[0] < 0)
    note = f"track ids up to {ids[-1]} exceed PoseTrack's maximum {LARGEST_TRACK_ID}: renumbered from 0"
    return replace(clip, track_ids=new[where], notes=(*clip.notes, note))
