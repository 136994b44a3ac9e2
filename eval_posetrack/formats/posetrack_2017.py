"""Version 2017 of PoseTrack files: `annolist`, one entry per frame with its people; joints are points with ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.columns import LARGEST_PX, LARGEST_SCORE, Records
from eval_posetrack.formats.dialects import (
    DECIMALS_PX,
    DECIMALS_SCORE,
    file_names,
    only_given,
    rounded,
    times,
    track_ids,
    uneven_fields,
)
from eval_posetrack.formats.packed import Member
from posetrail.skeletons import POSETRACK_15


def read_2017(path: Path | Member, annolist: list[Any]) -> Clip:
    """The frames of a parsed file as a clip; InputError if they cannot be used."""
    images = Records(annolist, lambda t: f"{path}: annolist[{t}]")
    inner, owners = images.children("image", lambda t, i: f"{path}: annolist[{t}]['image'][{i}]")
    if len(owners) != len(images) or (owners != np.arange(len(images))).any():
        counts = np.bincount(owners, minlength=len(images))
        images.fail(int((counts != 1).argmax()), "image", "a list of one image")
    names = file_names(inner, "name")

    def person(t: int, i: int) -> str:
        return f"{path}: annolist[{t}]['annorect'][{i}]"

    people, frames = images.children("annorect", person)
    holders, people_of_holders = people.children("annopoints", lambda p, i: f"{people.where(p)}['annopoints'][{i}]")
    points, holder_of_points = holders.children("point", _point_of(holders), needed=True)
    rows = people_of_holders[holder_of_points] if len(points) else np.zeros(0, int)

    joints = points.integers("id")
    unknown = (joints < 0) | (joints >= len(POSETRACK_15))
    if unknown.any():
        points.fail(int(unknown.argmax()), "id", "a joint 0..14")
    _, first = np.unique(rows * len(POSETRACK_15) + joints, return_index=True)
    if len(first) < len(points):
        points.fail(int(np.setdiff1d(np.arange(len(points)), first)[0]), "id", "every joint at most once per person")
    keypoints = np.full((len(people), len(POSETRACK_15), 2), np.nan)
    for axis, key in enumerate("xy"):
        values = points.numbers(key, largest=LARGEST_PX)
        if np.isnan(values).any():
            points.fail(int(np.isnan(values).argmax()), key, "a number")
        keypoints[rows, joints, axis] = values
    joint_scores = np.full((len(people), len(POSETRACK_15)), np.nan)
    joint_scores[rows, joints] = points.numbers("score", largest=LARGEST_SCORE)
    occluded = np.zeros(joint_scores.shape, bool)
    occluded[rows, joints] = [value in (0, [0]) for value in points.values("is_visible")]

    return Clip(
        name=path.stem,
        image_names=names,
        frames=frames,
        track_ids=track_ids(people),
        scores=people.numbers("score", largest=LARGEST_SCORE),
        keypoints=keypoints,
        keypoint_scores=only_given(joint_scores, keypoints),
        boxes=np.full((len(people), 4), np.nan),
        head_boxes=_head_boxes_2017(people),
        occluded=occluded,
        ignore_regions=_regions_2017(path, images),
        labeled=images.flags("is_labeled", default=np.isin(np.arange(len(images)), frames)),
        times=times(images),
        version=2017,
        notes=uneven_fields(people, ("annopoints", "track_id", "x1", "score"))
        + uneven_fields(points, ("score",))
        + uneven_fields(images, ("annorect", "is_labeled", "ignore_regions"), empty_counts=True),
    )


def _point_of(holders: Records) -> Callable[[int, int], str]:
    return lambda h, i: f"{holders.where(h)}['point'][{i}]"


def _head_boxes_2017(people: Records) -> np.ndarray:
    boxes = np.stack([people.numbers(key, largest=LARGEST_PX) for key in ("x1", "y1", "x2", "y2")], axis=1)
    partial = np.isnan(boxes).any(axis=1) & ~np.isnan(boxes).all(axis=1)
    if partial.any():
        i = int(partial.argmax())
        people.fail(i, ("x1", "y1", "x2", "y2")[int(np.isnan(boxes[i]).argmax())], "all of x1 y1 x2 y2 or none")
    return boxes


def _regions_2017(path: Path | Member, images: Records) -> tuple[tuple[np.ndarray, ...], ...]:
    regions, owners = images.children("ignore_regions", lambda t, i: f"{path}: annolist[{t}]['ignore_regions'][{i}]")
    points, region_of_points = regions.children("point", _point_of(regions), needed=True)
    places = np.stack([points.numbers(key, largest=LARGEST_PX) for key in "xy"], axis=1)
    if np.isnan(places).any():
        i = int(np.isnan(places).any(axis=1).argmax())
        points.fail(i, "xy"[int(np.isnan(places[i]).argmax())], "a number")
    out: list[list[np.ndarray]] = [[] for _ in range(len(images))]
    polygons = np.split(places, np.searchsorted(region_of_points, np.arange(1, len(regions))))
    for t, polygon in zip(owners, polygons, strict=False):  # without regions there is one empty polygon and no owner
        out[t].append(polygon)
    return tuple(map(tuple, out))


class Stream2017:
    """Writes a file some frames at a time: `add` each part of the clip, then `finish`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frames = 0
        self._file.write(b'{"annolist":[\n')

    def add(self, part: Clip) -> None:
        """Write the next frames."""
        for t in range(part.num_frames):
            frame = _frame_2017(part, t, number=self._frames + 1)
            self._file.write(b",\n" * (self._frames > 0) + orjson.dumps(frame))
            self._frames += 1

    def finish(self) -> None:
        """Write the end of the file."""
        self._file.write(b"]}\n")


def _frame_2017(clip: Clip, t: int, number: int) -> dict[str, Any]:
    rows = range(*np.searchsorted(clip.frames, [t, t + 1]).tolist())
    frame: dict[str, Any] = {
        "image": [{"name": clip.image_names[t]}],
        "imgnum": [number],
        "is_labeled": [int(clip.labeled[t])],
        "annorect": [_person_2017(clip, p) for p in rows],
        "ignore_regions": [
            {"point": [{"x": [x], "y": [y]} for x, y in np.round(region, DECIMALS_PX).tolist()]}
            for region in clip.ignore_regions[t]
        ],
    }
    if clip.times is not None:
        frame["time_s"] = [float(clip.times[t])]
    return frame


def _person_2017(clip: Clip, p: int) -> dict[str, Any]:
    there = np.isfinite(clip.keypoints[p]).all(axis=1)
    places = rounded(clip.keypoints[p], DECIMALS_PX, 0.0).tolist()
    scores = np.round(clip.keypoint_scores[p], DECIMALS_SCORE)
    points = []
    for k in np.flatnonzero(there).tolist():
        point = {"id": [k], "x": [places[k][0]], "y": [places[k][1]]}
        points.append({**point, "score": [float(scores[k])]} if np.isfinite(scores[k]) else point)
    person: dict[str, Any] = {"annopoints": [{"point": points}] if points else []}
    if clip.track_ids[p] >= 0:
        person["track_id"] = [int(clip.track_ids[p])]
    if np.isfinite(clip.scores[p]):
        person["score"] = [float(np.round(float(clip.scores[p]), DECIMALS_SCORE))]
    if np.isfinite(clip.head_boxes[p]).all():
        box = np.round(clip.head_boxes[p], DECIMALS_PX).tolist()
        person |= {key: [value] for key, value in zip(("x1", "y1", "x2", "y2"), box, strict=True)}
    return person
