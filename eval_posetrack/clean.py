"""What is compared: the frames that count, the people in them, without what lies in ignore regions (Andriluka 2018).

In the official order: frames without anybody in the ground truth go; people without joints go; joints of both sides
strictly inside an ignore region go, and people left with none. There is no visibility filter and no score threshold.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from eval_posetrack.clip import Clip
from posetrail.errors import InputError
from posetrail.poses import Rows
from posetrail.skeletons import POSETRACK_15

HEAD_SIZE_PER_DIAGONAL = 0.6  # PCKh: the head's size is 0.6 of the diagonal of its box (Andriluka 2014)
_LARGEST_OFFICIAL_ID = 9999


@dataclass(frozen=True, eq=False)
class People(Rows):
    """The people of one side in all frames that count, in frame order."""

    frames: np.ndarray  # (P,) int64, 0..F-1 among the frames that count
    ids: np.ndarray  # (P,) int64: who it is
    keypoints: np.ndarray  # (P, 15, 2) pixels, NaN where missing or ignored
    keypoint_scores: np.ndarray  # (P, 15), NaN where none
    scores: np.ndarray  # (P,), NaN where none
    boxes: np.ndarray  # (P, 4) x1 y1 x2 y2 pixels, NaN where none
    head_sizes: np.ndarray  # (P,) pixels, NaN where the file has no head box
    rows: np.ndarray  # (P,) int64: the row in the clip, which is the order of the file


@dataclass(frozen=True, eq=False)
class Scene:
    """Ground truth and predictions of one sequence in the F frames that count."""

    name: str
    frames: np.ndarray  # (F,) int64: position of every frame in the file
    times: np.ndarray | None  # (F,) seconds
    truth: People
    found: People
    notes: tuple[str, ...] = ()

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.frames)

    @property
    def lacks_heads(self) -> bool:
        """Whether there are people in the ground truth, and none has a head to measure distances by."""
        return len(self.truth) > 0 and not _has_heads(self.truth)


def clean(
    truth: Clip, found: Clip, *, official: bool = False, name: str | None = None, need_heads: bool = True
) -> Scene:
    """Pair two clips frame by frame, by position, and keep what counts.

    Args:
        truth: the ground truth.
        found: the predictions for the same frames.
        official: keep people in the order of the file, and stop where the official kit stops: at a person without head
            box, without id, or with an id above 9999. Otherwise people are put in the order of their ids, missing head
            sizes are borrowed, and every person without an id gets one of its own.
        name: of the scene; the ground truth's unless given.
        need_heads: without any head box in the ground truth there is nothing to measure distances by.

    Raises:
        InputError: the clips do not fit each other, an id stands twice in a predicted frame, or head boxes are missing.
    """
    if truth.num_frames != found.num_frames:
        raise InputError(
            f"{truth.name}: the ground truth has {truth.num_frames} frames, the predictions {found.num_frames}; "
            "frames pair by position, so write every frame, also those without people"
        )
    _ids_stand_once(found)
    counted = truth.labeled if truth.version == 2021 else np.bincount(truth.frames, minlength=truth.num_frames) > 0
    if official:
        _stop_where_the_kit_stops(truth, found)
    notes, sides = [], []
    for clip, side in ((truth, "ground truth"), (found, "predictions")):
        people = _counted_people(clip, counted, truth.ignore_regions)
        if not official:
            people, said = _in_id_order(people)
            notes += [f"{side}: {line}" for line in said]
        sides.append(people)
    if not official and (need_heads or _has_heads(sides[0])):
        sides[0], said = _with_head_sizes(truth.name, sides[0])
        notes += said
    notes += [f"ground truth: {line}" for line in truth.notes] + [f"predictions: {line}" for line in found.notes]
    return Scene(
        name=name or truth.name,
        frames=np.flatnonzero(counted),
        times=None if truth.times is None else truth.times[counted],
        truth=sides[0],
        found=sides[1],
        notes=tuple(notes),
    )


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(N,) bool: which points (N, 2) lie strictly inside a polygon (V, 2); its border is not inside.

    Even-odd rule, counting the edges that a ray to the right crosses. NaN is not inside.
    """
    x, y = points[:, 0, None], points[:, 1, None]
    (ax, ay), (bx, by) = polygon.T, np.roll(polygon, -1, axis=0).T
    side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)  # > 0: left of the edge a -> b
    crossed = ((ay <= y) & (y < by) & (side > 0)) | ((by <= y) & (y < ay) & (side < 0))
    along_x = (np.minimum(ax, bx) <= x) & (x <= np.maximum(ax, bx))
    along_y = (np.minimum(ay, by) <= y) & (y <= np.maximum(ay, by))
    on_border = (side == 0) & along_x & along_y
    return (crossed.sum(axis=1) % 2 == 1) & ~on_border.any(axis=1)


def in_regions(frames: np.ndarray, keypoints: np.ndarray, regions: tuple[tuple[np.ndarray, ...], ...]) -> np.ndarray:
    """(P, K) bool: which joints (P, K, 2) lie strictly inside one of the regions of their frame (P,)."""
    frames_of_polygon = defaultdict(list)  # regions rarely move: one look per polygon, not one per frame
    polygons = {}
    for t, of_frame in enumerate(regions):
        for polygon in of_frame:
            key = polygon.tobytes()
            polygons[key] = polygon
            frames_of_polygon[key].append(t)
    ignored = np.zeros(keypoints.shape[:2], bool)
    for key, polygon in polygons.items():
        if len(polygon) < 3:
            continue
        here = np.zeros(len(regions), bool)
        here[frames_of_polygon[key]] = True
        in_box = ((keypoints > polygon.min(axis=0)) & (keypoints < polygon.max(axis=0))).all(axis=2)
        people, joints = np.nonzero(in_box & here[frames][:, None])
        ignored[people, joints] |= inside(keypoints[people, joints], polygon)
    return ignored


def _counted_people(clip: Clip, counted: np.ndarray, regions: tuple[tuple[np.ndarray, ...], ...]) -> People:
    with np.errstate(invalid="ignore"):
        extent = clip.head_boxes[:, 2:] - clip.head_boxes[:, :2]
    people = People(
        frames=clip.frames,
        ids=clip.track_ids,
        keypoints=clip.keypoints,
        keypoint_scores=clip.keypoint_scores,
        scores=clip.scores.astype(float),
        boxes=clip.boxes,
        head_sizes=HEAD_SIZE_PER_DIAGONAL * np.sqrt((extent**2).sum(axis=1)),
        rows=np.arange(len(clip)),
    )
    people = people[counted[people.frames]]
    ignored = in_regions(people.frames, people.keypoints, regions)
    people = replace(
        people,
        frames=(np.cumsum(counted) - 1)[people.frames],
        keypoints=np.where(ignored[:, :, None], np.nan, people.keypoints),
    )
    return people[np.isfinite(people.keypoints[:, :, 0]).any(axis=1)]


def _ids_stand_once(found: Clip) -> None:
    known = np.flatnonzero(found.track_ids >= 0)
    order = known[np.lexsort((found.track_ids[known], found.frames[known]))]
    again = (np.diff(found.frames[order]) == 0) & (np.diff(found.track_ids[order]) == 0)
    if again.any():
        row = order[1:][again][0]
        raise InputError(f"{_place(found, row)}: track_id {found.track_ids[row]} stands twice in this predicted frame")


def _stop_where_the_kit_stops(truth: Clip, found: Clip) -> None:
    """Say what is wrong where the official kit ends with a traceback."""
    for clip, side in ((truth, "ground truth"), (found, "predictions")):
        for wrong, fault in (
            (clip.track_ids < 0, "a person without track_id"),
            (clip.track_ids > _LARGEST_OFFICIAL_ID, "a track_id above 9999"),
            (np.isnan(clip.head_boxes[:, 0]) & (clip is truth), "a person without head box"),
        ):
            if wrong.any():
                raise InputError(
                    f"{_place(clip, int(wrong.argmax()))} of the {side}: the official kit stops at {fault}; "
                    "the default mode does not"
                )


def _in_id_order(people: People) -> tuple[People, list[str]]:
    """People by id within each frame, so that their order in the file decides nothing; new ids where there is none."""
    people = people[np.lexsort((people.ids, people.frames))]
    unknown, twice = _without_own_id(people)
    if not (unknown | twice).any():
        return people, []
    places = np.nan_to_num(people.keypoints).transpose(1, 2, 0).reshape(2 * len(POSETRACK_15), -1)
    people = people[np.lexsort((*places, people.ids, people.frames))]
    unknown, twice = _without_own_id(people)
    ids = people.ids.copy()
    ids[unknown | twice] = ids.max() + 1 + np.arange((unknown | twice).sum())
    people = replace(people, ids=ids)
    notes = [
        f"{rows.sum()} people {fault}: each counts as somebody new"
        for rows, fault in ((unknown, "without track_id"), (twice, "with a track_id that stands twice in their frame"))
        if rows.any()
    ]
    return people[np.lexsort((people.ids, people.frames))], notes


def _without_own_id(people: People) -> tuple[np.ndarray, np.ndarray]:
    """Of people by frame and id: who has no id (P,) bool, and who has that of the one before (P,) bool."""
    unknown = people.ids < 0
    again = np.zeros(len(people), bool)
    again[1:] = (np.diff(people.frames) == 0) & (np.diff(people.ids) == 0)
    return unknown, again & ~unknown


def _has_heads(people: People) -> bool:
    return bool((people.head_sizes > 0).any())


def _with_head_sizes(name: str, people: People) -> tuple[People, list[str]]:
    """Missing head sizes from the same person in other frames, or else the median of the clip."""
    sizes = people.head_sizes.copy()
    sizes[sizes == 0] = np.nan
    missing = np.isnan(sizes)
    if not missing.any():
        return people, []
    if missing.all():
        raise InputError(
            f"{name}: no person of the ground truth has a head box (bbox_head, or x1 y1 x2 y2) to measure distances by"
        )
    for i in np.unique(people.ids[missing]):
        known = sizes[(people.ids == i) & ~missing]
        sizes[(people.ids == i) & missing] = np.median(known if len(known) else sizes[~missing])
    said = f"ground truth: {missing.sum()} people without head box measured by the same person's head in other frames"
    return replace(people, head_sizes=sizes), [f"{said}, or the clip's median head"]


def _place(clip: Clip, row: int) -> str:
    frame = clip.frames[row]
    return f"{clip.name}: frame {frame} ({clip.image_names[frame]!r})"
