"""PoseTrack files, the 2017, 2018 and 2021 dialects, read and written here and nowhere else (Andriluka et al. 2018).

2017: `annolist`, one entry per frame, people inside, joints as points with ids. 2018: `images` and `annotations`,
joints as slots named by `categories`. 2021: 2018 with a `person_id`. A `Clip` holds any of them as flat arrays.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from core.errors import InputError
from core.skeletons import POSETRACK_15, POSETRACK_18
from eval_posetrack.columns import LARGEST_PX, LARGEST_SCORE, Records, shown

NO_SCORE = -9999.0  # what the official kit puts where a file gives no score
_LARGEST_TRACK_ID = 9999  # of a file that the official kit will read
_DECIMALS_PX, _DECIMALS_SCORE = 3, 5
_ROWS_PER_WRITE = 1000
_POSITION = {**{joint: k for k, joint in enumerate(POSETRACK_15.joints)}, "head_bottom": POSETRACK_15.index("neck")}
_SLOTS = np.array([_POSITION.get(joint, -1) for joint in POSETRACK_18.joints])  # of the 17, -1 for the ears


@dataclass(frozen=True, eq=False, kw_only=True)
class Clip:
    """One PoseTrack sequence: T frames, and the people of all frames as P rows in frame order.

    Raises:
        ValueError: an array has another shape than said here, or `frames` goes backwards.
    """

    name: str  # the file's stem; ground truth and predictions pair by it
    image_names: tuple[str, ...]  # (T,) file_name of every frame, as in the file
    frames: np.ndarray  # (P,) int64: position in image_names, non-decreasing
    track_ids: np.ndarray  # (P,) int64, -1 where the file gives none
    scores: np.ndarray  # (P,) float32: of the person; NaN where the file gives none
    keypoints: np.ndarray  # (P, 15, 2) float64 x y pixels, order of POSETRACK_15; NaN where missing
    keypoint_scores: np.ndarray  # (P, 15) float64; NaN where the joint is missing or the file gives none
    boxes: np.ndarray  # (P, 4) float64 x1 y1 x2 y2 pixels; NaN where the file gives none
    head_boxes: np.ndarray  # (P, 4) float64 x1 y1 x2 y2 pixels; NaN where the file gives none
    ignore_regions: tuple[tuple[np.ndarray, ...], ...]  # (T,) polygons (V, 2) of every frame
    labeled: np.ndarray  # (T,) bool: the frame was looked at by an annotator
    times: np.ndarray | None = None  # (T,) float64 seconds
    version: int = 2018  # of the file it was read from; 2021 counts all labelled frames, with people or without
    notes: tuple[str, ...] = ()  # what a reader of the figures should know about the file

    def __post_init__(self) -> None:
        people, frames = len(self.frames), len(self.image_names)
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            "frames": (np.int64, (people,)),
            "track_ids": (np.int64, (people,)),
            "scores": (np.float32, (people,)),
            "keypoints": (np.float64, (people, len(POSETRACK_15), 2)),
            "keypoint_scores": (np.float64, (people, len(POSETRACK_15))),
            "boxes": (np.float64, (people, 4)),
            "head_boxes": (np.float64, (people, 4)),
            "labeled": (np.bool_, (frames,)),
        }
        if self.times is not None:
            shapes["times"] = (np.float64, (frames,))
        for name, (dtype, shape) in shapes.items():
            value: np.ndarray = np.asarray(getattr(self, name), dtype)
            if value.shape != shape:
                raise ValueError(f"Clip.{name}: wanted shape {shape}, got {value.shape}")
            object.__setattr__(self, name, value)
        if len(self.ignore_regions) != frames:
            raise ValueError(f"Clip.ignore_regions: wanted one entry for each of {frames} frames")
        if people and (self.frames[0] < 0 or self.frames[-1] >= frames or (np.diff(self.frames) < 0).any()):
            raise ValueError(f"Clip.frames: wanted positions in {frames} frames that never go backwards")

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.image_names)

    def __len__(self) -> int:
        """P, the people of all frames."""
        return len(self.frames)

    def with_people(self, rows: np.ndarray) -> Clip:
        """The same frames with the people of these rows: a mask (P,) or row numbers in rising order."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(Clip) if f.name in _OF_PEOPLE})


_OF_PEOPLE = {"frames", "track_ids", "scores", "keypoints", "keypoint_scores", "boxes", "head_boxes"}


def read_folder(path: Path | str) -> dict[str, Clip]:
    """Every `*.json` of a folder, or one file, by sequence name in the order of the names.

    Raises:
        InputError: no such folder, no JSON in it, or a file cannot be used.
    """
    return {name: read_clip(file) for name, file in find_files(path).items()}


def find_files(path: Path | str) -> dict[str, Path]:
    """The PoseTrack files that `read_folder` would read, by sequence name."""
    path = Path(path)
    if path.is_file():
        return {path.stem: path}
    if not path.is_dir():
        raise InputError(f"{path}: wanted a folder of PoseTrack JSON files or one such file, found nothing there")
    files = sorted(path.glob("*.json"))
    if not files:
        raise InputError(f"{path}: wanted PoseTrack JSON files, found none (files must end in .json)")
    return {file.stem: file for file in files}


def read_clip(path: Path | str) -> Clip:
    """One PoseTrack file; 2017, 2018 and 2021 are told apart by what is in it.

    Raises:
        InputError: the file cannot be read or used; says where, what was wanted and what came.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        hint = "; a missing joint is 0, 0, 0, never NaN" if b"NaN" in data else ""
        raise InputError(f"{path}: wanted JSON, found {error}{hint}") from error
    if isinstance(content, dict) and isinstance(content.get("annolist"), list):
        return _read_2017(path, content["annolist"])
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        return _read_2018(path, content)
    raise InputError(
        f"{path}: wanted a PoseTrack file ('annolist', or 'images' and 'annotations'), got {shown(content)}"
    )


def write_clip(clip: Clip, path: Path | str, *, version: int = 2018) -> None:
    """Write a PoseTrack file, complete or not at all: beside its place first, then renamed.

    Coordinates are rounded to 1/1000 pixel. 2017 has no place for body boxes; 2021 none for joints at x <= 0 or y <= 0,
    which its readers take for missing. One record stands on one line.

    Args:
        clip: what to write.
        path: the file; its folder exists.
        version: 2017, 2018 or 2021.

    Raises:
        InputError: an unknown version, or a track id that the official kit refuses (10000 and above).
    """
    if version not in (2017, 2018, 2021):
        raise InputError(f"unknown PoseTrack version {version}; known are 2017, 2018, 2021")
    if len(clip) and clip.track_ids.max() > _LARGEST_TRACK_ID:
        raise InputError(f"{path}: track ids must be below 10000, got {clip.track_ids.max()}; renumber them")
    path = Path(path)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(_lines_2017(clip) if version == 2017 else _lines_2018(clip, version))
        Path(beside).chmod(0o644)  # mkstemp makes files that only their owner can read
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


# --- 2018 and 2021 ----------------------------------------------------------------------------------------------------


def _read_2018(path: Path, content: dict[str, Any]) -> Clip:
    images = Records(content["images"], lambda i: f"{path}: images[{i}]")
    names = _file_names(images, images.values("file_name"), "file_name")
    image_ids = images.integers("id")
    order = np.argsort(image_ids, kind="stable")
    again = np.flatnonzero(np.diff(image_ids[order]) == 0)
    if len(again):
        images.fail(int(order[again[0] + 1]), "id", "an id of its own for every image")

    annotations = content.get("annotations")
    if not isinstance(annotations, list):
        raise InputError(f"{path}: 'annotations': wanted a list of people, got {shown(annotations)}")
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
    # Only 0, 0, 0 is missing, invisible joints with a place are kept; in 2021 files a joint stands inside the image.
    missing = np.all(slots == 0, axis=2)
    if is_2021:
        missing = np.any(slots[:, :, :2] <= 0, axis=2)
    known = np.flatnonzero(columns >= 0)
    keypoints[np.ix_(given, columns[known])] = np.where(missing[:, known, None], np.nan, slots[:, known, :2])

    table, given = people.rows("scores", [len(columns)], largest=LARGEST_SCORE)
    joint_scores = np.full((len(people), len(POSETRACK_15)), np.nan)
    joint_scores[np.ix_(given, columns[known])] = table[:, known]

    columns_of_people = {
        "frames": frames,
        "track_ids": _track_ids(people),
        "scores": people.numbers("score", largest=LARGEST_SCORE),
        "keypoints": keypoints,
        "keypoint_scores": _only_given(joint_scores, keypoints),
        "boxes": _corners(people, "bbox"),
        "head_boxes": _corners(people, "bbox_head"),
    }
    in_frame_order = np.argsort(frames, kind="stable")
    return Clip(
        name=path.stem,
        image_names=names,
        ignore_regions=_regions_2018(images),
        labeled=images.flags("is_labeled", default=np.isin(image_ids, of_people)),
        times=_times(images),
        version=2021 if is_2021 else 2018,
        notes=_uneven(people, ("keypoints", "scores", "track_id", "bbox_head", "bbox", "score"))
        + _uneven(images, ("is_labeled", "ignore_regions_x"), empty_counts=True),
        **{name: column[in_frame_order] for name, column in columns_of_people.items()},
    )


def _annotation(path: Path, annotations: list[Any], i: int) -> str:
    record = annotations[i]
    frame = f" (image_id {shown(record['image_id'])})" if isinstance(record, dict) and "image_id" in record else ""
    return f"{path}: annotations[{i}]{frame}"


def _joint_columns(path: Path, content: dict[str, Any]) -> np.ndarray:
    """(slots,) for every keypoint slot of the file the joint's place in POSETRACK_15, -1 for the ears."""
    where = f"{path}: 'categories'[0]['keypoints']"
    try:
        names = content["categories"][0]["keypoints"]
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(f"{where}: wanted the names of the joints, got none") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{where}: wanted a list of joint names, got {shown(names)}")
    columns = [_POSITION.get(name, -1) for name in names]
    strange = [name for name, k in zip(names, columns, strict=True) if k < 0 and name not in ("left_ear", "right_ear")]
    missing = [joint for k, joint in enumerate(POSETRACK_15.joints) if columns.count(k) != 1]
    if strange or missing:
        fault = (
            f"unknown {shown(strange[0])}"
            if strange
            else f"{missing[0]!r} is there {columns.count(_POSITION[missing[0]])} times"
        )
        raise InputError(f"{where}: wanted the 15 joints of PoseTrack, with or without ears, each once; {fault}")
    return np.array(columns)


def _corners(people: Records, key: str) -> np.ndarray:
    """Boxes x y w h of the file as (P, 4) x1 y1 x2 y2, NaN where not given."""
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
    """A list of polygons; a lone polygon is sometimes written without the outer list."""
    return axis if all(type(part) is list for part in axis) else [axis]


def _lines_2018(clip: Clip, version: int) -> Iterator[bytes]:
    number = int(next(iter(clip.name.split("_")), "")) if clip.name.split("_")[0].isdecimal() else 0
    most = int(np.bincount(clip.frames).max()) if len(clip) else 0
    image_ids = _numbered(10**6 + number, clip.num_frames, digits=4) + np.arange(clip.num_frames)
    ranks = np.arange(len(clip)) - np.searchsorted(clip.frames, clip.frames)
    ids = _numbered(image_ids[clip.frames], most, digits=2) + ranks

    category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": POSETRACK_18.joints, "skeleton": []}
    yield b'{"categories":[' + orjson.dumps(category) + b'],\n"images":[\n'
    yield from _joined(_image_2018(clip, t, int(image_ids[t]), number) for t in range(clip.num_frames))
    yield b'],\n"annotations":[\n'
    yield from _joined(_people_2018(clip, image_ids, ids, version))
    yield b"]}\n"


def _image_2018(clip: Clip, t: int, image_id: int, number: int) -> dict[str, Any]:
    regions = [np.round(region, _DECIMALS_PX) for region in clip.ignore_regions[t]]
    image = {
        "file_name": clip.image_names[t],
        "id": image_id,
        "frame_id": image_id,
        "image_id": image_id,
        "vid_id": f"{number:06d}",
        "nframes": clip.num_frames,
        "is_labeled": bool(clip.labeled[t]),
        "has_no_densepose": True,
        "ignore_regions_x": [region[:, 0].tolist() for region in regions],
        "ignore_regions_y": [region[:, 1].tolist() for region in regions],
    }
    return image if clip.times is None else {**image, "time_s": float(clip.times[t])}


def _people_2018(clip: Clip, image_ids: np.ndarray, ids: np.ndarray, version: int) -> Iterator[dict[str, Any]]:
    drawn = _SLOTS >= 0
    for start in range(0, len(clip), _ROWS_PER_WRITE):
        rows = slice(start, start + _ROWS_PER_WRITE)
        there = np.isfinite(clip.keypoints[rows]).all(axis=2)
        slots = np.zeros((len(there), len(_SLOTS), 3))
        slots[:, drawn, :2] = _rounded(clip.keypoints[rows], _DECIMALS_PX, 0.0)[:, _SLOTS[drawn]]
        slots[:, drawn, 2] = there[:, _SLOTS[drawn]]
        slots[slots[:, :, 2] == 0] = 0  # a joint with one number missing is missing
        scores = np.zeros(slots.shape[:2])
        scores[:, drawn] = _written_scores(clip.keypoint_scores[rows], there)[:, _SLOTS[drawn]]
        scored = np.isfinite(clip.keypoint_scores[rows]).any(axis=1)
        person_scores = np.round(clip.scores[rows].astype(float), _DECIMALS_SCORE)
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
            for key, box in (("bbox", clip.boxes[p]), ("bbox_head", clip.head_boxes[p])):
                if np.isfinite(box).all():
                    person[key] = np.round([*box[:2], *(box[2:] - box[:2])], _DECIMALS_PX).tolist()
            yield person


# --- 2017 -------------------------------------------------------------------------------------------------------------


def _read_2017(path: Path, annolist: list[Any]) -> Clip:
    images = Records(annolist, lambda t: f"{path}: annolist[{t}]")
    inner, owners = images.children("image", lambda t, i: f"{path}: annolist[{t}]['image'][{i}]")
    if len(owners) != len(images) or (owners != np.arange(len(images))).any():
        counts = np.bincount(owners, minlength=len(images))
        images.fail(int((counts != 1).argmax()), "image", "a list of one image")
    names = _file_names(inner, inner.values("name"), "name")

    def person(t: int, i: int) -> str:
        return f"{path}: annolist[{t}]['annorect'][{i}]"

    people, frames = images.children("annorect", person)
    holders, people_of_holders = people.children("annopoints", lambda p, i: f"{people.where(p)}['annopoints'][{i}]")
    points, holder_of_points = holders.children("point", _point_of(holders), needed=True)
    rows = people_of_holders[holder_of_points] if len(points) else np.zeros(0, int)

    joints = points.integers("id")
    strange = (joints < 0) | (joints >= len(POSETRACK_15))
    if strange.any():
        points.fail(int(strange.argmax()), "id", "a joint 0..14")
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

    return Clip(
        name=path.stem,
        image_names=names,
        frames=frames,
        track_ids=_track_ids(people),
        scores=people.numbers("score", largest=LARGEST_SCORE),
        keypoints=keypoints,
        keypoint_scores=_only_given(joint_scores, keypoints),
        boxes=np.full((len(people), 4), np.nan),
        head_boxes=_head_boxes_2017(people),
        ignore_regions=_regions_2017(path, images),
        labeled=images.flags("is_labeled", default=np.isin(np.arange(len(images)), frames)),
        times=_times(images),
        version=2017,
        notes=_uneven(people, ("annopoints", "track_id", "x1", "score"))
        + _uneven(points, ("score",))
        + _uneven(images, ("annorect", "is_labeled", "ignore_regions"), empty_counts=True),
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


def _regions_2017(path: Path, images: Records) -> tuple[tuple[np.ndarray, ...], ...]:
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


def _lines_2017(clip: Clip) -> Iterator[bytes]:
    yield b'{"annolist":[\n'
    yield from _joined(_frame_2017(clip, t) for t in range(clip.num_frames))
    yield b"]}\n"


def _frame_2017(clip: Clip, t: int) -> dict[str, Any]:
    rows = range(*np.searchsorted(clip.frames, [t, t + 1]).tolist())
    frame: dict[str, Any] = {
        "image": [{"name": clip.image_names[t]}],
        "imgnum": [t + 1],
        "is_labeled": [int(clip.labeled[t])],
        "annorect": [_person_2017(clip, p) for p in rows],
        "ignore_regions": [
            {"point": [{"x": [x], "y": [y]} for x, y in np.round(region, _DECIMALS_PX).tolist()]}
            for region in clip.ignore_regions[t]
        ],
    }
    if clip.times is not None:
        frame["time_s"] = [float(clip.times[t])]
    return frame


def _person_2017(clip: Clip, p: int) -> dict[str, Any]:
    there = np.isfinite(clip.keypoints[p]).all(axis=1)
    places = _rounded(clip.keypoints[p], _DECIMALS_PX, 0.0).tolist()
    scores = np.round(clip.keypoint_scores[p], _DECIMALS_SCORE)
    points = []
    for k in np.flatnonzero(there).tolist():
        point = {"id": [k], "x": [places[k][0]], "y": [places[k][1]]}
        points.append({**point, "score": [float(scores[k])]} if np.isfinite(scores[k]) else point)
    person: dict[str, Any] = {"annopoints": [{"point": points}] if points else []}
    if clip.track_ids[p] >= 0:
        person["track_id"] = [int(clip.track_ids[p])]
    if np.isfinite(clip.scores[p]):
        person["score"] = [float(np.round(float(clip.scores[p]), _DECIMALS_SCORE))]
    if np.isfinite(clip.head_boxes[p]).all():
        box = np.round(clip.head_boxes[p], _DECIMALS_PX).tolist()
        person |= {key: [value] for key, value in zip(("x1", "y1", "x2", "y2"), box, strict=True)}
    return person


# --- shared -----------------------------------------------------------------------------------------------------------


def _file_names(images: Records, values: list[Any], key: str) -> tuple[str, ...]:
    if not set(map(type, values)) <= {str}:
        images.fail(next(i for i, value in enumerate(values) if type(value) is not str), key, "the image's file name")
    return tuple(values)


def _track_ids(people: Records) -> np.ndarray:
    ids = people.integers("track_id", absent=-1)
    if (ids < -1).any():
        people.fail(int((ids < -1).argmax()), "track_id", "a number from 0 on")
    return ids


def _times(images: Records) -> np.ndarray | None:
    times = images.numbers("time_s", largest=LARGEST_SCORE)
    none = np.isnan(times)
    if none.any() and not none.all():
        images.fail(int(none.argmax()), "time_s", "a time for every frame or for none")
    return None if none.all() else times


def _only_given(scores: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Scores with NaN where the joint is missing, or the file says in its own way that there is none."""
    return np.where(np.isnan(keypoints[:, :, 0]) | (scores == NO_SCORE), np.nan, scores)


def _uneven(records: Records, keys: Iterable[str], *, empty_counts: bool = False) -> tuple[str, ...]:
    """One line for every field that some records have and some have not: often a fault of the program that wrote it."""
    counts = {key: int(records.given(key, empty_counts=empty_counts).sum()) for key in keys}
    return tuple(f"{n} of {len(records)} records have {key!r}" for key, n in counts.items() if 0 < n < len(records))


def _rounded(values: np.ndarray, decimals: int, missing: float) -> np.ndarray:
    return np.where(np.isfinite(values), np.round(values, decimals), missing)


def _written_scores(scores: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(R, 15) rounded; 0 for missing joints, the official sign for none where a joint has no score."""
    return np.where(there, _rounded(scores, _DECIMALS_SCORE, NO_SCORE), 0.0)


def _numbered(prefix: np.ndarray | int, count: int, digits: int) -> np.ndarray:
    """The prefix moved left by as many decimal digits as `count` numbers need, at least `digits`."""
    return np.asarray(prefix) * 10 ** max(digits, len(str(max(count - 1, 0))))


def _joined(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """JSON records with a comma between them, one a line."""
    between = b""
    for record in records:
        yield between + orjson.dumps(record)
        between = b",\n"
