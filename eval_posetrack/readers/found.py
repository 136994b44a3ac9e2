"""What a reader finds in one clip, with the source's own joints, and the `Clip` it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval_posetrack.clip import Clip
from eval_posetrack.columns import shown
from eval_posetrack.readers.joints import to_posetrack
from posetrail.errors import InputError

LARGEST_FRAME = 1_000_000  # nine hours at 30 frames a second; a greater number is a fault, and its frames would not fit


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """The people of one clip as its file has them: P people, T frames, K joints of the source."""

    name: str
    image_names: tuple[str, ...]  # (T,)
    frames: np.ndarray  # (P,) int: position in image_names, in any order
    joints: tuple[str, ...]  # (K,)
    keypoints: np.ndarray  # (P, K, 2) pixels, NaN where missing
    keypoint_scores: np.ndarray  # (P, K), NaN where missing or not given
    scores: np.ndarray  # (P,) of the person, NaN where not given
    boxes: np.ndarray  # (P, 4) x1 y1 x2 y2 pixels, NaN where not given
    track_ids: np.ndarray  # (P,) int, -1 where there is none
    times: np.ndarray | None = None  # (T,) seconds
    notes: tuple[str, ...] = ()


def to_clip(found: Found, where: Path) -> Clip:
    """The same people with PoseTrack's joints, in frame order.

    Scores stay as they are, whatever their range. People without a joint of PoseTrack's are left out.

    Args:
        found: from a reader.
        where: the source, for error lines.

    Raises:
        InputError: no frame, no known joint, or coordinates that are no pixels.
    """
    if not found.image_names:
        raise InputError(f"{where}: wanted at least one frame, got none (a list of its images can be given)")
    _check_pixels(found, where)
    keypoints, joint_scores, unknown = to_posetrack(found.joints, found.keypoints, found.keypoint_scores, where=where)
    missing = ~np.isfinite(keypoints).all(axis=2)
    keypoints[missing], joint_scores[missing] = np.nan, np.nan
    rows = np.argsort(found.frames, kind="stable")
    rows = rows[~missing[rows].all(axis=1)]

    notes = list(found.notes)
    if unknown:
        notes.append(f"joints that PoseTrack does not have are left out: {', '.join(map(shown, unknown))}")
    left_out = len(missing) - len(rows)
    if left_out:
        notes.append(f"{left_out} of {len(missing)} people have no joint that PoseTrack has and are left out")
    clip = Clip(
        name=found.name,
        image_names=found.image_names,
        frames=found.frames[rows],
        track_ids=found.track_ids[rows],
        scores=found.scores[rows],
        keypoints=keypoints[rows],
        keypoint_scores=joint_scores[rows],
        boxes=found.boxes[rows],
        head_boxes=np.full((len(rows), 4), np.nan),
        ignore_regions=((),) * len(found.image_names),
        labeled=np.ones(len(found.image_names), bool),
        times=found.times,
    )
    clip, of_ids = _with_ids_that_mean_something(clip)
    return replace(clip, notes=(*notes, *of_ids, *_odd_scores(clip)))


def numbered_frames(numbers: np.ndarray, first: int, where: Path, what: str) -> tuple[int, np.ndarray]:
    """How many frames reach from number `first` to the last, and the positions of `numbers` among them."""
    if len(numbers) and numbers.max() - first >= LARGEST_FRAME:
        raise InputError(f"{where}: {what}: wanted a frame number below {LARGEST_FRAME}, got {numbers.max()}")
    return (int(numbers.max()) - first + 1 if len(numbers) else 0), numbers - first


def _check_pixels(found: Found, where: Path) -> None:
    """Some tools can write coordinates as parts of the image's size; taken for pixels, all would score as one point."""
    places = found.keypoints[np.isfinite(found.keypoints)]
    if len(places) and np.abs(places).max() <= 1:
        raise InputError(f"{where}: wanted coordinates in pixels, got only numbers from -1 to 1; write pixels instead")


def _with_ids_that_mean_something(clip: Clip) -> tuple[Clip, list[str]]:
    """Tools that did not track may write the same id for everybody."""
    tracked = clip.track_ids >= 0
    pairs = np.stack([clip.frames, clip.track_ids], axis=1)[tracked]
    twice = len(pairs) - len(np.unique(pairs, axis=0))
    if not twice:
        return clip, []
    if len(np.unique(pairs[:, 1])) == 1:
        note = f"everybody has track id {pairs[0, 1]}: nobody was tracked, ids are left out"
        return replace(clip, track_ids=np.full(len(clip), -1)), [note]
    return clip, [f"{twice} people have a track id that another one in the same frame has"]


def _odd_scores(clip: Clip) -> Iterator[str]:
    for what, scores in (("people", clip.scores), ("joints", clip.keypoint_scores)):
        given = scores[np.isfinite(scores)]
        if len(given) and (given.min() < 0 or given.max() > 1):
            yield f"scores of {what} go from {given.min():.4g} to {given.max():.4g} and stay as they are"
