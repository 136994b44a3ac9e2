"""Determines the frames of a clip, for files that list people and not frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.columns import Records
from eval_posetrack.readers.images import Images, is_number, keys_of, stem_of
from eval_posetrack.readers.source_poses import SourcePoses, to_clip
from eval_posetrack.readers.sources import file_name, natural
from posetrail.errors import InputError
from posetrail.sparse import LARGEST_FRAME, kept_frames

_LOST = "frames without people are not listed in this file; add them with --images"


@dataclass(frozen=True, eq=False)
class Listing:
    """T frames, and the frame of each of P people."""

    names: tuple[str, ...]  # (T,)
    positions: np.ndarray  # (P,) int
    clips: tuple[str, ...]  # (T,)
    times: np.ndarray | None = None  # (T,) seconds
    notes: tuple[str, ...] = ()


def frame_names(count: int, images: Images, where: Path) -> tuple[str, ...]:
    """Names for frames known only by their positions: those of the images, in order.

    Raises:
        InputError: there are fewer images than frames, or images of several clips.
    """
    names = images.only_clip()
    if len(names) < count:
        raise InputError(f"{where}: expected at most {len(names)} frames, one for each of {images.where}, got {count}")
    return names


def numbered(frames: np.ndarray, lines: np.ndarray, count: int, images: Images | None, where: Path) -> Listing:
    """Frames known only by their numbers, with the names of the images or names made from the numbers.

    Args:
        frames: (P,) the frame of each person, from 0.
        lines: (L,) the frames that the file lists, with or without people.
        count: number of frames.
        images: the frames, if they are known from elsewhere.
        where: the source, for error messages and the clip's name.

    Raises:
        InputError: as in `frame_names`.
    """
    if images is not None:
        names = frame_names(count, images, where)
        return Listing(names, frames, (where.stem,) * len(names))
    kept, notes = kept_frames(lines, count)
    made_up = tuple(f"{t:06d}.jpg" for t in kept.tolist())
    return Listing(made_up, np.searchsorted(kept, frames), (where.stem,) * len(kept), notes=notes)


def listing(people: Records, field: str, images: Images | None, where: Path) -> Listing:
    """The frames that a field of the people refers to by an image's id or file name.

    Without a list of images, names such as 17.jpg are taken as frame numbers of a video, with all frames from 0 to the
    last; for other names and for ids, only frames with people are known.
    """
    if images is not None:
        return Listing(images.names, images.positions(people, field), images.clips, images.times)
    keys = keys_of(people, field)
    stems = [stem_of(file_name(str(key))) for key in keys]
    if keys and all(isinstance(key, str) for key in keys) and all(is_number(s) and s == str(int(s)) for s in stems):
        numbers = np.array([int(stem) for stem in stems])
        if numbers.max() < LARGEST_FRAME:
            return _numbered(numbers, str(keys[0]).removeprefix(stems[0]) or ".jpg", where)
    known = sorted(set(keys), key=lambda key: natural(key) if isinstance(key, str) else (key,))
    place = {key: t for t, key in enumerate(known)}
    names = tuple(f"{key:06d}.jpg" if isinstance(key, int) else key for key in known)
    in_a_row = (
        all(isinstance(key, int) for key in known) and len(known) > 0 and int(known[-1]) - int(known[0]) < len(known)
    )
    notes = () if in_a_row else (_LOST,)
    return Listing(names, np.array([place[key] for key in keys], int), (where.stem,) * len(names), notes=notes)


def _numbered(numbers: np.ndarray, ending: str, where: Path) -> Listing:
    first, count = int(numbers.min()), int(numbers.max()) + 1
    kept, notes = kept_frames(numbers, count)
    if first and not notes:
        notes = (f"no people before frame {first}: frames 0 to {first - 1} are assumed to be empty",)
    names = tuple(f"{t}{ending}" for t in kept.tolist())
    return Listing(names, np.searchsorted(kept, numbers), (where.stem,) * len(names), notes=notes)


def clips_of(poses: SourcePoses, frames: Listing, where: Path) -> list[Clip]:
    """One `Clip` for each clip of the listing, in its order.

    Args:
        poses: the people; their frames and image names are replaced by those of the listing.
        frames: of all clips.
        where: the source, for error messages and, for a single clip, its name.
    """
    together = replace(
        poses,
        name=where.stem,
        image_names=frames.names,
        frames=frames.positions,
        times=frames.times,
        notes=poses.notes + frames.notes,
    )
    names = tuple(dict.fromkeys(frames.clips))
    if len(names) < 2:
        return [to_clip(together, where)]
    return [to_clip(_part(together, np.array(frames.clips) == name, name), where) for name in names]


def _part(poses: SourcePoses, here: np.ndarray, name: str) -> SourcePoses:
    """The frames (T,) of one clip, with the people in them."""
    people = here[poses.frames]
    return replace(
        poses,
        name=name,
        image_names=tuple(image for image, is_here in zip(poses.image_names, here, strict=True) if is_here),
        frames=(np.cumsum(here) - 1)[poses.frames[people]],
        keypoints=poses.keypoints[people],
        keypoint_scores=poses.keypoint_scores[people],
        scores=poses.scores[people],
        boxes=poses.boxes[people],
        track_ids=poses.track_ids[people],
        times=None if poses.times is None else poses.times[here],
    )
