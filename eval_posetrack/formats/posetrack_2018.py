"""Versions 2018 and 2021 of PoseTrack files: `images`, `annotations`, and joints in the order that `categories` names.

Files of 2021 are recognised by their `person_id`.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from eval_posetrack.formats.clip import NO_SCORE, Clip
from eval_posetrack.formats.columns import LARGEST_PX, LARGEST_SCORE, Records, shown
from eval_posetrack.formats.dialects import (
    DECIMALS_PX,
    DECIMALS_SCORE,
    file_names,
    joined,
    only_given,
    rounded,
    times,
    track_ids,
    uneven_fields,
)
from eval_posetrack.formats.packed import Member
from posetrail.errors import InputError
from posetrail.skeletons import POSETRACK_15, POSETRACK_18

_ROWS_PER_WRITE = 1000
_POSITION = {**{joint: k for k, joint in enumerate(POSETRACK_15.joints)}, "head_bottom": POSETRACK_15.index("neck")}
_SLOTS = np.array([_POSITION.get(joint, -1) for joint in POSETRACK_18.joints])  # of the 17, -1 for the ears


def read_2018(path: Path | Member, content: dict[str, Any]) -> Clip:
    """A parsed file, 2018 or 2021, as a clip; InputError if it cannot be used."""
    images = Records(content["images"], lambda i: f"{path}: images[{i}]")
    names = file_names(images, "file_name")
    image_ids = images.integers("id")
    order = np.argsort(image_ids, kind="stable")
    again = np.flatnonzero(np.diff(image_ids[order]) == 0)
    if len(again):
        images.fail(int(order[again[0] + 1]), "id", "an id of its own for every image")

    annotations = content.get("annotations")
    if not isinstance(annotations, list):
        raise InputError(f"{path}: 'annotations': expected a list of people, got {shown(annotations)}")
    people = Records(annotations, lambda i: _annotation(path, annotations, i))
    of_people = people.integers("image_id")
    places = np.searchsorted(image_ids[order], of_people)
    frames = order[np.minimum(places, len(order) - 1)] if len(order) else np.zeros(len(people), int)
    unknown = ~np.isin(of_people, image_ids)
    if unknown.any():
        people.fail(int(unknown.argmax()), "image_id", "the id of one of the images")

    columns = _joint_columns(path, content)
    table, given = people.rows("keypoints", [3 * len(columns)], largest=LARGEST_PX)
    keypoints = np.full((len(people), len(POSETRACK_15), 2), np.nan)
    slots = table.reshape(-1, len(columns), 3)
    is_2021 = any("person_id" in record for record in annotations)
    # Only 0, 0, 0 is missing; invisible joints with a position are kept. In 2021 files, joints must be at x, y > 0.
    missing = np.all(slots == 0, axis=2)
    if is_2021:
        missing = np.any(slots[:, :, :2] <= 0, axis=2)
    known = np.flatnonzero(columns >= 0)
    keypoints[np.ix_(given, columns[known])] = np.where(missing[:, known, None], np.nan, slots[:, known, :2])

    occluded = np.zeros(keypoints.shape[:2], bool)
    occluded[np.ix_(given, columns[known])] = (~missing & (slots[:, :, 2] == 0))[:, known]

    table, given = people.rows("scores", [len(columns)], largest=LARGEST_SCORE)
    joint_scores = np.full((len(people), len(POSETRACK_15)), np.nan)
    joint_scores[np.ix_(given, columns[known])] = table[:, known]

    columns_of_people = {
        "frames": frames,
        "track_ids": track_ids(people),
        "scores": people.numbers("score", largest=LARGEST_SCORE),
        "keypoints": keypoints,
        "keypoint_scores": only_given(joint_scores, keypoints),
        "boxes": _corners(people, "bbox"),
        "head_boxes": _corners(people, "bbox_head"),
        "interpolated": people.flags("interpolated", default=np.zeros(len(people), bool)),
        "occluded": occluded,
    }
    in_frame_order = np.argsort(frames, kind="stable")
    return Clip(
        name=path.stem,
        image_names=names,
        ignore_regions=_regions_2018(images),
        labeled=images.flags("is_labeled", default=np.isin(image_ids, of_people)),
        times=times(images),
        version=2021 if is_2021 else 2018,
        notes=uneven_fields(people, ("keypoints", "scores", "track_id", "bbox_head", "bbox", "score"))
        + uneven_fields(images, ("is_labeled", "ignore_regions_x"), empty_counts=True),
        **{name: column[in_frame_order] for name, column in columns_of_people.items()},
    )


def _annotation(path: Path | Member, annotations: list[Any], i: int) -> str:
    record = annotations[i]
    frame = f" (image_id {shown(record['image_id'])})" if isinstance(record, dict) and "image_id" in record else ""
    return f"{path}: annotations[{i}]{frame}"


def _joint_columns(path: Path | Member, content: dict[str, Any]) -> np.ndarray:
    """(slots,) for each keypoint of the file its index in POSETRACK_15, -1 for the ears."""
    where = f"{path}: 'categories'[0]['keypoints']"
    try:
        names = content["categories"][0]["keypoints"]
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(f"{where}: expected the names of the joints, got none") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{where}: expected a list of joint names, got {shown(names)}")
    columns = [_POSITION.get(name, -1) for name in names]
    unknown = [name for name, k in zip(names, columns, strict=True) if k < 0 and name not in ("left_ear", "right_ear")]
    missing = [joint for k, joint in enumerate(POSETRACK_15.joints) if columns.count(k) != 1]
    if unknown or missing:
        problem = (
            f"unknown {shown(unknown[0])}"
            if unknown
            else f"{missing[0]!r} {columns.count(_POSITION[missing[0]])} times"
        )
        raise InputError(
            f"{where}: expected each of the 15 joints of PoseTrack once, with or without ears, got {problem}"
        )
    return np.array(columns)


def _corners(people: Records, key: str) -> np.ndarray:
    """Boxes of the file, x y width height, as (P, 4) x1 y1 x2 y2; NaN where not given."""
    table, given = people.rows(key, [4], largest=LARGEST_PX)
    boxes = np.full((len(people), 4), np.nan)
    boxes[given] = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:]], axis=1)
    return boxes


def _regions_2018(images: Records) -> tuple[tuple[np.ndarray, ...], ...]:
    regions: list[tuple[np.ndarray, ...]] = []
    both = zip(images.values("ignore_regions_x"), images.values("ignore_regions_y"), strict=True)
    for i, (of_x, of_y) in enumerate(both):
        if not of_x and not of_y and {type(of_x), type(of_y)} <= {list, type(None)}:
            regions.append(())
            continue
        polygons = []
        for key, axis in (("ignore_regions_x", of_x), ("ignore_regions_y", of_y)):
            if type(axis) is not list or not {type(v) for part in _nested(axis) for v in part} <= {int, float}:
                images.fail(i, key, "a list of polygons, each a list of numbers")
            if any(abs(v) > LARGEST_PX for part in _nested(axis) for v in part):
                images.fail(i, key, f"no number beyond {LARGEST_PX:g}")
            polygons.append(_nested(axis))
        if [len(part) for part in polygons[0]] != [len(part) for part in polygons[1]]:
            images.fail(i, "ignore_regions_y", "as many numbers as in ignore_regions_x")
        regions.append(tuple(np.array(xy, float).T.reshape(-1, 2) for xy in zip(*polygons, strict=True)))
    return tuple(regions)


def _nested(axis: list[Any]) -> list[Any]:
    """A list of polygons; some files write a single polygon without the outer list."""
    return axis if all(type(part) is list for part in axis) else [axis]


class Stream2018:
    """Writes a file of version 2018 or 2021 some frames at a time: `add` each part of the clip, then `finish`.

    People are written at once. Images contain the number of frames and are written at the end; until then only the
    names, times and ignore regions of the frames are kept in memory.

    Args:
        file: to write to.
        name: of the clip; a number at its beginning becomes that of the video.
        version: 2018 or 2021.
        info: JSON about the origin of the file, written as its first key; none if not given.
    """

    def __init__(self, file: BinaryIO, name: str, version: int, info: Mapping[str, Any] | None = None) -> None:
        digits = re.match(r"[0-9]{1,6}", name)
        self._file = file
        self._number = int(digits[0]) if digits else 0
        # As in the data set: 1, six digits of the video, four of the frame; longer clips continue the count.
        self._first_image_id = (10**6 + self._number) * 10**4
        self._version = version
        self._any_people = False
        self._names: list[str] = []
        self._labeled = bytearray()
        self._regions: list[tuple[np.ndarray, ...]] = []
        self._times: array[float] | None = array("d")
        category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": POSETRACK_18.joints}
        origin = b"" if info is None else b'"info":' + orjson.dumps(dict(info)) + b",\n"
        categories = b'"categories":[' + orjson.dumps({**category, "skeleton": []}) + b"],\n"
        self._file.write(b"{" + origin + categories + b'"annotations":[\n')

    def add(self, part: Clip) -> None:
        """Write the people of the next frames."""
        image_ids = self._first_image_id + len(self._names) + np.arange(part.num_frames)
        for person in _people_2018(part, image_ids, self._version):
            self._file.write(b",\n" * self._any_people + orjson.dumps(person))
            self._any_people = True
        self._names += part.image_names
        self._labeled += part.labeled.tobytes()
        self._regions += part.ignore_regions
        if part.times is None:
            self._times = None
        elif self._times is not None:
            self._times.extend(part.times.tolist())

    def finish(self) -> None:
        """Write the images and the end of the file."""
        self._file.write(b'],\n"images":[\n')
        self._file.writelines(joined(self._image(t) for t in range(len(self._names))))
        self._file.write(b"]}\n")

    def _image(self, t: int) -> dict[str, Any]:
        regions = [np.round(region, DECIMALS_PX) for region in self._regions[t]]
        image_id = self._first_image_id + t
        image = {
            "file_name": self._names[t],
            "id": image_id,
            "frame_id": image_id,
            "image_id": image_id,
            "vid_id": f"{self._number:06d}",
            "nframes": len(self._names),
            "is_labeled": bool(self._labeled[t]),
            "has_no_densepose": True,
            "ignore_regions_x": [region[:, 0].tolist() for region in regions],
            "ignore_regions_y": [region[:, 1].tolist() for region in regions],
        }
        return image if self._times is None else {**image, "time_s": self._times[t]}


def _people_2018(clip: Clip, image_ids: np.ndarray, version: int) -> Iterator[dict[str, Any]]:
    drawn = _SLOTS >= 0
    ids = _person_ids(clip, image_ids)
    for start in range(0, len(clip), _ROWS_PER_WRITE):
        rows = slice(start, start + _ROWS_PER_WRITE)
        there = np.isfinite(clip.keypoints[rows]).all(axis=2)
        slots = np.zeros((len(there), len(_SLOTS), 3))
        slots[:, drawn, :2] = rounded(clip.keypoints[rows], DECIMALS_PX, 0.0)[:, _SLOTS[drawn]]
        slots[:, drawn, 2] = there[:, _SLOTS[drawn]]
        slots[slots[:, :, 2] == 0] = 0  # a joint without one of its coordinates is missing
        scores = np.zeros(slots.shape[:2])
        scores[:, drawn] = _written_scores(clip.keypoint_scores[rows], there)[:, _SLOTS[drawn]]
        scored = np.isfinite(clip.keypoint_scores[rows]).any(axis=1)
        person_scores = np.round(clip.scores[rows].astype(float), DECIMALS_SCORE)
        for i in range(len(there)):
            p = start + i
            person = {
                "image_id": int(image_ids[clip.frames[p]]),
                "id": int(ids[p]),
                "category_id": 1,
                "keypoints": slots[i].ravel().tolist(),
            }
            if clip.track_ids[p] >= 0:
                person["track_id"] = int(clip.track_ids[p])
            if version == 2021:
                person["person_id"] = int(clip.track_ids[p])
            if scored[i]:
                person["scores"] = scores[i].tolist()
            if np.isfinite(person_scores[i]):
                person["score"] = float(person_scores[i])
            if clip.interpolated[p]:
                person["interpolated"] = True
            for key, box in (("bbox", clip.boxes[p]), ("bbox_head", clip.head_boxes[p])):
                if np.isfinite(box).all():
                    person[key] = np.round([*box[:2], *(box[2:] - box[:2])], DECIMALS_PX).tolist()
            yield person


def _person_ids(clip: Clip, image_ids: np.ndarray) -> np.ndarray:
    """The image's id and two digits as in the data set; more digits from the hundredth person of a frame on."""
    ranks = np.arange(len(clip)) - np.searchsorted(clip.frames, clip.frames)
    of_frame = image_ids[clip.frames] * 100
    return np.where(ranks < 100, of_frame + ranks, (of_frame + 99) * 10**4 + ranks)


def _written_scores(scores: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(R, 15) rounded scores; 0 for missing joints, the official value for no score where a joint has none."""
    return np.where(there, rounded(scores, DECIMALS_SCORE, NO_SCORE), 0.0)
