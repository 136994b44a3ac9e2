"""MPII Human Pose (Andriluka et al., CVPR 2014): the list published with Simple Baselines, and the MATLAB file.

Both count pixels from 1, as MATLAB does; 1 is subtracted from centres, joints and boxes. A person has a centre and a
scale, the height divided by 200 px, in place of a box. The box is the square that Simple Baselines and HRNet train on:
200 px times the scale, its centre 15 px times the scale below the given one. They enlarge it by 1.25.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.formats.columns import LARGEST_PX, Records, shown
from eval_posetrack.metrics.clean import HEAD_SIZE_PER_DIAGONAL
from posetrail.errors import InputError
from posetrail.skeletons import MPII_16
from posetrail.wording import people as counted_people
from training.data.images import ImageFinder
from training.data.matlab import is_empty, numbers, structures, text, variable
from training.data.people import boxes_around, head_sizes_of, visibility_of
from training.samples import NOT_LABELLED, OCCLUDED, VISIBLE, Samples

_FIRST_PX = 1.0  # MATLAB's first pixel
_PERSON_PX = 200.0  # times the scale: side of the box
_LOWER_PX = 15.0  # times the scale: how far the centre of the box is below the given one
_LARGEST_SCALE = 1000.0
_HEAD = (MPII_16.index("head_top"), MPII_16.index("neck"))


def read_mpii(path: Path, content: Any, find: ImageFinder) -> Samples:
    """A parsed file: the JSON list of people, or the variables of the MATLAB file.

    Raises:
        InputError: a value cannot be used.
    """
    return _read_list(path, content, find) if isinstance(content, list) else _read_release(path, content, find)


def _read_list(path: Path, content: list[Any], find: ImageFinder) -> Samples:
    """`joints_vis` is 1 for labelled joints; the list does not have which of them are occluded."""
    people = Records(content, lambda i: f"{path}: [{i}]")
    K = len(MPII_16)
    files: list[str] = []
    joints = np.zeros((len(people), K, 2))
    for i, person in enumerate(people.records):
        name = person.get("image")
        if type(name) is not str:
            people.fail(i, "image", "the image's file name")
        files.append(name)
        places = person.get("joints")
        if not isinstance(places, list) or len(places) != K or not all(_is_point(each) for each in places):
            people.fail(i, "joints", f"{K} joints, each x and y in pixels")
        joints[i] = places
    flags, given = people.rows("joints_vis", [K], largest=1)
    if len(given) < len(people) or not np.isin(flags, (0, 1)).all():
        complete = np.zeros(len(people), bool)
        complete[given] = np.isin(flags, (0, 1)).all(axis=1)
        people.fail(int(complete.argmin()), "joints_vis", f"{K} flags 0 or 1")
    centres, given = people.rows("center", [2], largest=LARGEST_PX)
    if len(given) < len(people):
        people.fail(int(np.setdiff1d(np.arange(len(people)), given)[0]), "center", "x and y in pixels")
    scales = people.numbers("scale", largest=_LARGEST_SCALE)
    if not (scales > 0).all():
        people.fail(int((scales > 0).argmin()), "scale", "a number above 0")
    keypoints, visibility = visibility_of(people, joints - _FIRST_PX, flags * VISIBLE)
    rows = {name: i for i, name in enumerate(dict.fromkeys(files))}
    return Samples(
        name="mpii",
        skeleton=MPII_16,
        images=find(list(rows)),
        image_rows=np.array([rows[name] for name in files], int),
        boxes=_boxes(centres - _FIRST_PX, scales),
        keypoints=keypoints,
        visibility=visibility,
        head_sizes=head_sizes_of(np.linalg.norm(keypoints[:, _HEAD[0]] - keypoints[:, _HEAD[1]], axis=1)),
    )


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(v) in (int, float) and abs(v) <= LARGEST_PX for v in value)
    )


def _boxes(centres: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """(N, 4) squares from centres (N, 2) and scales (N,)."""
    middle = centres + np.stack([np.zeros(len(scales)), _LOWER_PX * scales], axis=1)
    half = (_PERSON_PX / 2 * scales)[:, None]
    return np.concatenate([middle - half, middle + half], axis=1)


def _read_release(path: Path, content: Any, find: ImageFinder) -> Samples:
    """RELEASE of mpii_human_pose_v1_u12_1.mat. People without joints, all of the test part among them, are left out.

    `is_visible` of a joint is a number, text, or missing, as for neck and head top; a missing one counts as visible.
    People without a centre or a scale get a box around their joints.
    """
    release = _one(f"{path}: RELEASE", variable(path, content, "RELEASE"), ["annolist"])
    images = structures(f"{path}: RELEASE.annolist", release["annolist"], ["image", "annorect"])
    files: list[str] = []
    rows: list[int] = []
    joints: list[np.ndarray] = []
    boxes: list[np.ndarray] = []
    heads: list[float] = []
    left_out = 0
    for i, image in enumerate(images):
        where = f"{path}: annolist({i + 1})"
        people = _people(f"{where}.annorect", image["annorect"])
        placed = [(place, person, _joints_of(f"{place}.annopoints", person)) for place, person in people]
        kept = [each for each in placed if each[2].any()]
        left_out += len(people) - len(kept)
        if not kept:
            continue
        named = _one(f"{where}.image", image["image"], ["name"])
        files.append(text(f"{where}.image.name", named["name"]))
        for place, person, slots in kept:
            rows.append(len(files) - 1)
            joints.append(slots)
            boxes.append(_box_of(place, person))
            heads.append(_head_size(place, person))
    table = np.array(joints, float).reshape(-1, len(MPII_16), 3)
    keypoints = np.where(table[:, :, 2:] > NOT_LABELLED, table[:, :, :2] - _FIRST_PX, np.nan)
    given = np.array(boxes, float).reshape(-1, 4)
    return Samples(
        name="mpii",
        skeleton=MPII_16,
        images=find(files),
        image_rows=np.array(rows, int),
        boxes=np.where(np.isnan(given).any(axis=1, keepdims=True), boxes_around(keypoints), given),
        keypoints=keypoints,
        visibility=table[:, :, 2],
        head_sizes=head_sizes_of(np.array(heads, float)),
        notes=(f"{path.name}: {counted_people(left_out)} without joints left out",) if left_out else (),
    )


def _one(where: str, value: Any, needed: Sequence[str]) -> dict[str, Any]:
    """The only structure of an array."""
    found = structures(where, value, needed)
    if len(found) != 1:
        raise InputError(f"{where}: expected one structure, got {len(found)}")
    return found[0]


def _people(where: str, value: Any) -> list[tuple[str, dict[str, Any]]]:
    """The people of an image with their places in the file."""
    people = [] if is_empty(value) else structures(where, value)
    return [(f"{where}({p + 1})", person) for p, person in enumerate(people)]


def _joints_of(where: str, person: dict[str, Any]) -> np.ndarray:
    """(16, 3) x, y and visibility; zeros where there is no joint."""
    slots = np.zeros((len(MPII_16), 3))
    if is_empty(person.get("annopoints")):
        return slots
    points = _one(where, person["annopoints"], ["point"])["point"]
    for p, point in enumerate(structures(f"{where}.point", points, ["x", "y", "id"])):
        place = f"{where}.point({p + 1})"
        joint = numbers(f"{place}.id", point["id"], 1)[0]
        if joint not in range(len(MPII_16)):
            raise InputError(f"{place}.id: expected a joint 0..15, got {joint:g}")
        if slots[int(joint), 2]:
            raise InputError(f"{place}.id: expected each joint once, got {joint:g} again")
        x, y = (numbers(f"{place}.{axis}", point[axis], 1)[0] for axis in "xy")
        slots[int(joint)] = x, y, _visibility(f"{place}.is_visible", point.get("is_visible"))
    return slots


def _visibility(where: str, value: Any) -> int:
    if is_empty(value):
        return VISIBLE
    flag = value.ravel()[0] if value.dtype.kind in "UO" else numbers(where, value, 1)[0]
    if str(flag) not in ("0", "1", "0.0", "1.0"):
        raise InputError(f"{where}: expected 0 or 1, got {shown(flag)}")
    return VISIBLE if float(flag) else OCCLUDED


def _box_of(where: str, person: dict[str, Any]) -> np.ndarray:
    """(4,); NaN without a centre and a scale."""
    if is_empty(person.get("objpos")) or is_empty(person.get("scale")):
        return np.full(4, np.nan)
    centre = _one(f"{where}.objpos", person["objpos"], ["x", "y"])
    xy = np.array([numbers(f"{where}.objpos.{axis}", centre[axis], 1)[0] for axis in "xy"])
    scale = numbers(f"{where}.scale", person["scale"], 1)
    if not 0 < scale[0] <= _LARGEST_SCALE:
        raise InputError(f"{where}.scale: expected a number above 0, got {scale[0]:g}")
    return _boxes(xy[None] - _FIRST_PX, scale)[0]


def _head_size(where: str, person: dict[str, Any]) -> float:
    """0.6 of the diagonal of the head's box; NaN without one."""
    corners = [person.get(key) for key in ("x1", "y1", "x2", "y2")]
    if any(is_empty(corner) for corner in corners):
        return np.nan
    x1, y1, x2, y2 = (numbers(f"{where}.{k}", v, 1)[0] for k, v in zip(("x1", "y1", "x2", "y2"), corners, strict=True))
    return HEAD_SIZE_PER_DIAGONAL * float(np.hypot(x2 - x1, y2 - y1))
