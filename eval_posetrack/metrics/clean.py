"""Selects what is scored: frames with annotated people, and joints outside of ignore regions (Andriluka et al. 2018).

In the order of the official kit: drop frames without people in the ground truth; drop people without joints; on both
sides drop joints strictly inside an ignore region, and people left without joints. Nothing is filtered by visibility or
by score.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from eval_posetrack.formats.clip import Clip
from posetrail.errors import InputError
from posetrail.poses import Rows
from posetrail.skeletons import POSETRACK_15

HEAD_SIZE_PER_DIAGONAL = 0.6  # PCKh: head size is 0.6 x the diagonal of the head box (Andriluka 2014)
_LARGEST_OFFICIAL_ID = 9999


@dataclass(frozen=True, eq=False)
class People(Rows):
    """The people of one side in all frames that are scored, in frame order."""

    frames: np.ndarray  # (P,) int64: position among the F scored frames
    ids: np.ndarray  # (P,) int64: track ids
    keypoints: np.ndarray  # (P, 15, 2) pixels, NaN where missing or ignored
    keypoint_scores: np.ndarray  # (P, 15), NaN where the file gives none
    scores: np.ndarray  # (P,), NaN where the file gives none
    boxes: np.ndarray  # (P, 4) x1 y1 x2 y2 pixels, NaN where the file gives none
    head_sizes: np.ndarray  # (P,) pixels, NaN where the file has no head box
    rows: np.ndarray  # (P,) int64: row in the clip, in the order of the file


@dataclass(frozen=True, eq=False)
class Scene:
    """Ground truth and predictions of one sequence in the F frames that are scored."""

    name: str
    frames: np.ndarray  # (F,) int64: position of every frame in the file
    times: np.ndarray | None  # (F,) seconds
    ground_truth: People
    predictions: People
    notes: tuple[str, ...] = ()

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.frames)

    @property
    def lacks_heads(self) -> bool:
        """Whether the ground truth has people but no head size, the unit of distances."""
        return len(self.ground_truth) > 0 and not _has_heads(self.ground_truth)


def clean(
    ground_truth: Clip, predictions: Clip, *, official: bool = False, name: str | None = None, need_heads: bool = True
) -> Scene:
    """Pair two clips frame by frame, by position, and keep what is scored.

    Args:
        ground_truth: the annotated clip.
        predictions: the same frames as predicted.
        official: keep people in the order of the file, and raise where the official kit stops: at a person without head
            box, without id, or with an id above 9999. Otherwise people are sorted by id, missing head sizes are taken
            from other frames, and each person without an id gets a new one.
        name: of the scene; that of the ground truth when not given.
        need_heads: raise if the ground truth has no head box at all.

    Raises:
        InputError: the clips have different numbers of frames, a predicted frame has an id twice, or head boxes are
            missing.
    """
    if ground_truth.num_frames != predictions.num_frames:
        raise InputError(
            f"{ground_truth.name}: expected {ground_truth.num_frames} predicted frames as in the ground truth, "
            f"got {predictions.num_frames}; frames pair by position, so write every frame, also those without people"
        )
    _check_unique_ids(predictions)
    counted = (
        ground_truth.labeled
        if ground_truth.version == 2021
        else np.bincount(ground_truth.frames, minlength=ground_truth.num_frames) > 0
    )
    if official:
        _check_as_official_kit(ground_truth, predictions)
    notes, sides = [], []
    for clip, side in ((ground_truth, "ground truth"), (predictions, "predictions")):
        people = _counted_people(clip, counted, ground_truth.ignore_regions)
        if not official:
            people, remarks = _in_id_order(people)
            notes += [f"{side}: {line}" for line in remarks]
        sides.append(people)
    if not official and (need_heads or _has_heads(sides[0])):
        sides[0], remarks = _with_head_sizes(ground_truth.name, sides[0])
        notes += remarks
    notes += [f"ground truth: {line}" for line in ground_truth.notes] + [
        f"predictions: {line}" for line in predictions.notes
    ]
    return Scene(
        name=name or ground_truth.name,
        frames=np.flatnonzero(counted),
        times=None if ground_truth.times is None else ground_truth.times[counted],
        ground_truth=sides[0],
        predictions=sides[1],
        notes=tuple(notes),
    )


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(N,) bool: which points (N, 2) lie strictly inside a polygon (V, 2), without its border.

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
    frames_of_polygon = defaultdict(list)  # regions rarely move, so each polygon is tested once for all its frames
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


def _check_unique_ids(predictions: Clip) -> None:
    known = np.flatnonzero(predictions.track_ids >= 0)
    order = known[np.lexsort((predictions.track_ids[known], predictions.frames[known]))]
    again = (np.diff(predictions.frames[order]) == 0) & (np.diff(predictions.track_ids[order]) == 0)
    if again.any():
        row = order[1:][again][0]
        raise InputError(
            f"{_place(predictions, row)}: track_id {predictions.track_ids[row]} is there twice in this predicted frame"
        )


def _check_as_official_kit(ground_truth: Clip, predictions: Clip) -> None:
    """Raise InputError where the official kit ends with a traceback."""
    for clip, side in ((ground_truth, "ground truth"), (predictions, "predictions")):
        for wrong, problem in (
            (clip.track_ids < 0, "a person without track_id"),
            (clip.track_ids > _LARGEST_OFFICIAL_ID, "a track_id above 9999"),
            (np.isnan(clip.head_boxes[:, 0]) & (clip is ground_truth), "a person without head box"),
        ):
            if wrong.any():
                raise InputError(
                    f"{_place(clip, int(wrong.argmax()))} of the {side}: the official kit stops at {problem}; "
                    "the default mode does not"
                )


def _in_id_order(people: People) -> tuple[People, list[str]]:
    """People sorted by id in each frame, so that the order of the file has no effect; new ids for missing ones."""
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
        f"{rows.sum()} people {problem}: each counts as a new person"
        for rows, problem in (
            (unknown, "without track_id"),
            (twice, "with the track_id of another person in their frame"),
        )
        if rows.any()
    ]
    return people[np.lexsort((people.ids, people.frames))], notes


def _without_own_id(people: People) -> tuple[np.ndarray, np.ndarray]:
    """For people sorted by frame and id: (P,) bool without an id, and (P,) bool with the id of the row before."""
    unknown = people.ids < 0
    again = np.zeros(len(people), bool)
    again[1:] = (np.diff(people.frames) == 0) & (np.diff(people.ids) == 0)
    return unknown, again & ~unknown


def _has_heads(people: People) -> bool:
    return bool((people.head_sizes > 0).any())


def _with_head_sizes(name: str, people: People) -> tuple[People, list[str]]:
    """Fill in missing head sizes: the median of the same person in other frames, or else of the clip."""
    sizes = people.head_sizes.copy()
    sizes[sizes == 0] = np.nan
    missing = np.isnan(sizes)
    if not missing.any():
        return people, []
    if missing.all():
        raise InputError(
            f"{name}: expected head boxes in the ground truth (bbox_head, or x1 y1 x2 y2), the unit of "
            "distances, got none"
        )
    for i in np.unique(people.ids[missing]):
        known = sizes[(people.ids == i) & ~missing]
        sizes[(people.ids == i) & missing] = np.median(known if len(known) else sizes[~missing])
    note = f"ground truth: {missing.sum()} people have no head box; the median head size of the same person is used"
    return replace(people, head_sizes=sizes), [f"{note}, or that of the clip"]


def _place(clip: Clip, row: int) -> str:
    frame = clip.frames[row]
    return f"{clip.name}: frame {frame} ({clip.image_names[frame]!r})"
