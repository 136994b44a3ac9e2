"""Poses of other tools as PoseTrack clips, to be tracked and scored. Mappings: docs/reference/formats.md.

clips = READERS["alphapose"](Path("alphapose-results.json"), None, None)
convert(Path("alphapose-results.json"), Path("tracks.json"), "alphapose")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval_posetrack.clip import LARGEST_TRACK_ID, Clip
from eval_posetrack.files import write_clip
from eval_posetrack.readers import alphapose, coco, deeplabcut, mmpose, openpose, sleap
from eval_posetrack.readers.images import Images, read_images
from posetrail.errors import InputError, unknown_name
from posetrail.paths import folded, safe_name

__all__ = ["READERS", "Images", "convert", "read_images"]

Reader = Callable[[Path, Images | None, str | None], list[Clip]]  # source, its frames, the order of its joints
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
    """Write what another tool found as PoseTrack files.

    Args:
        source: the tool's file or folder.
        out: a `.json` file for a single clip, otherwise a folder, made where there is none.
        tool: one of `READERS`.
        version: of the PoseTrack files: 2017, 2018 or 2021.
        images: a folder of images or a COCO file that tells the frames and their names.
        joints: a name of `joints.LAYOUTS`, for sources that do not name their joints.

    Returns:
        What was written, by file.

    Raises:
        InputError: unknown tool, a source that cannot be used, or a place that cannot be written.
    """
    if tool not in READERS:
        raise unknown_name("tool", tool, READERS)
    clips = READERS[tool](source, None if images is None else read_images(images), joints)
    single = out.suffix.lower() == ".json"
    if single and len(clips) > 1:
        raise InputError(f"{out}: wanted a folder, because {source} holds {len(clips)} clips; leave out the .json")
    names = [f"{safe_name(clip.name)}.json" for clip in clips]
    if len(set(map(folded, names))) < len(names):
        raise InputError(
            f"{source}: expected clips with names of their own, got {', '.join(clip.name for clip in clips)}"
        )
    files = {out if single else out / name: clip for name, clip in zip(names, clips, strict=True)}
    for file in files:
        if file.resolve() == source.resolve() or file.resolve().parent == source.resolve():
            raise InputError(f"{file}: wanted a place outside of what is converted; nothing was written")
    try:
        (out.parent if single else out).mkdir(parents=True, exist_ok=True)
        for file, clip in files.items():
            files[file] = _renumbered(replace(clip, name=file.stem))
            write_clip(files[file], file, version=version)
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written ({error.strerror})") from error
    return files


def _renumbered(clip: Clip) -> Clip:
    """Ids from 0 on by first appearance, where they are too great for PoseTrack's files."""
    if clip.track_ids.max(initial=-1) <= LARGEST_TRACK_ID:
        return clip
    ids, first, where = np.unique(clip.track_ids, return_index=True, return_inverse=True)
    new = np.empty(len(ids), np.int64)
    new[np.argsort(np.where(ids < 0, -1, first))] = np.arange(len(ids)) - (ids[0] < 0)
    note = f"track ids reach {ids[-1]}, PoseTrack's end at {LARGEST_TRACK_ID}: numbered anew from 0"
    return replace(clip, track_ids=new[where], notes=(*clip.notes, note))
