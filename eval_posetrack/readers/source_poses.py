"""The poses of one clip as a source has them, with its own joints, and their conversion to a `Clip`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.columns import shown
from eval_posetrack.readers.joints import to_posetrack
from posetrail.errors import InputError
from posetrail.sparse import LARGEST_FRAME


@dataclass(frozen=True, eq=False, kw_only=True)
class SourcePoses:
    """The people of one clip as in its file: P people, T frames, K joints of the source."""

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


def to_clip(poses: SourcePoses, where: Path) -> Clip:
    """Convert to a clip: the same people with the joints of PoseTrack, in frame order.

    Scores are kept, whatever their range. People without any joint of PoseTrack are left out.

    Args:
        poses: from a reader.
        where: the source, for error messages.

    Raises:
        InputError: there is no frame or no known joint, or coordinates are not in pixels.
    """
    if not poses.image_names:
        raise InputError(f"{where}: expected at least one frame, got none; list the frames with --images")
    _check_pixels(poses, where)
    keypoints, joint_scores, unknown = to_posetrack(poses.joints, poses.keypoints, poses.keypoint_scores, where=where)
    missing = ~np.isfinite(keypoints).all(axis=2)
    keypoints[missing], joint_scores[missing] = np.nan, np.nan
    rows = np.argsort(poses.frames, kind="stable")
    rows = rows[~missing[rows].all(axis=1)]

    notes = list(poses.notes)
    if unknown:
        notes.append(f"joints that PoseTrack does not have are left out: {', '.join(map(shown, unknown))}")
    left_out = len(missing) - len(rows)
    if left_out:
        notes.append(f"{left_out} of {len(missing)} people have no joint that PoseTrack has and are left out")
    clip = Clip(
        name=poses.name,
        image_names=poses.image_names,
        frames=poses.frames[rows],
        track_ids=poses.track_ids[rows],
        scores=poses.scores[rows],
        keypoints=keypoints[rows],
        keypoint_scores=joint_scores[rows],
        boxes=poses.boxes[rows],
        head_boxes=np.full((len(rows), 4), np.nan),
        ignore_regions=((),) * len(poses.image_names),
        labeled=np.ones(len(poses.image_names), bool),
        times=poses.times,
    )
    clip, of_ids = _with_valid_ids(clip)
    return replace(clip, notes=(*notes, *of_ids, *_unusual_scores(clip)))


def numbered_frames(numbers: np.ndarray, first: int, where: Path, what: str) -> tuple[int, np.ndarray]:
    """The number of frames from number `first` to the last, and the positions of `numbers` among them."""
    if len(numbers) and numbers.max() - first >= LARGEST_FRAME:
        raise InputError(f"{where}: {what}: expected a frame number below {LARGEST_FRAME}, got {numbers.max()}")
    return (int(numbers.max()) - first + 1 if len(numbers) else 0), numbers - first


def _check_pixels(poses: SourcePoses, where: Path) -> None:
    """Refuse coordinates relative to the image size, which some tools can write; as pixels, they would be one point."""
    places = poses.keypoints[np.isfinite(poses.keypoints)]
    if len(places) and np.abs(places).max() <= 1:
        raise InputError(
            f"{where}: expected coordinates in pixels, got only numbers from -1 to 1; let the tool write pixels"
        )


def _with_valid_ids(clip: Clip) -> tuple[Clip, list[str]]:
    """Remove ids if all people have the same one, as tools write that did not track; note other repeated ids."""
    tracked = clip.track_ids >= 0
    pairs = np.stack([clip.frames, clip.track_ids], axis=1)[tracked]
    twice = len(pairs) - len(np.unique(pairs, axis=0))
    if not twice:
        return clip, []
    if len(np.unique(pairs[:, 1])) == 1:
        note = f"all people have track id {pairs[0, 1]}: they were not tracked, and ids are left out"
        return replace(clip, track_ids=np.full(len(clip), -1)), [note]
    return clip, [f"{twice} people have the track id of another person in their frame"]


def _unusual_scores(clip: Clip) -> Iterator[str]:
    for what, scores in (("people", clip.scores), ("joints", clip.keypoint_scores)):
        given = scores[np.isfinite(scores)]
        if len(given) and (given.min() < 0 or given.max() > 1):
            yield f"scores of {what} are between {given.min():.4g} and {given.max():.4g} and are kept"
