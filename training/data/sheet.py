"""A sheet of annotated people as one picture, to see at a glance whether a data set was understood.

Left joints and limbs are orange, right ones blue, others white; occluded joints are rings. The last row repeats people
as training sees them mirrored, with the joints of mirror pairs exchanged: colours must fit the mirrored person, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.frame import Image
from posetrail.skeletons import Skeleton
from training.augment import NO_AUGMENTATION, Draws, augmented
from training.data.image_files import read_image
from training.samples import OCCLUDED, Samples

_TILE, _CAPTION = 256, 34  # pixels
_COLUMNS, _ROWS = 6, 4
_FONT, _TEXT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.4
_LEFT, _RIGHT, _MIDDLE = (255, 150, 30), (60, 140, 255), (245, 245, 245)  # RGB
_LETTERS = 36  # that fit below a tile


def write_sheet(
    samples: Samples, path: Path, *, captions: Sequence[tuple[np.ndarray, str]] = (), seed: int = 0
) -> None:
    """Write a picture of up to 24 people, and of up to 6 of them mirrored.

    Args:
        samples: the people; their images are read, and people of unreadable images are left out.
        path: the picture to write, with a suffix such as .jpg or .png.
        captions: people to show first and what is written below them, such as problems: rows and a text.
        seed: of the random choice of the others.

    Raises:
        InputError: there is no person to show, or the file cannot be written.
    """
    reasons = {row: text for rows, text in reversed(captions) for row in rows.tolist()}
    usable = np.isfinite(samples.boxes).all(axis=1) & (samples.boxes[:, 2:] > samples.boxes[:, :2]).all(axis=1)
    others = np.random.default_rng(seed).permutation(np.flatnonzero(usable)).tolist()
    first = [int(row) for rows, _ in captions for row in rows[:_COLUMNS] if usable[row]]
    rows = list(dict.fromkeys([*first[: _COLUMNS * (_ROWS - 1)], *others]))
    tiles: list[Image] = []
    for row in rows:
        if len(tiles) == _COLUMNS * _ROWS:
            break
        _add(tiles, samples, row, reasons.get(row, ""))
    mirrored: list[Image] = []
    for row in [row for row in others if row not in reasons][: 4 * _COLUMNS]:
        if len(mirrored) < _COLUMNS:
            _add(mirrored, samples, row, "mirrored", Draws(flip=True))
    if not tiles:
        raise InputError(f"{path}: expected at least one person in a readable image, got none; nothing to draw")
    _write(path, np.concatenate([_grid(tiles), _grid(mirrored)], axis=0))


def _add(tiles: list[Image], samples: Samples, row: int, caption: str, draws: Draws | None = None) -> None:
    """Append the picture of a person, if the image can be read."""
    image_path = samples.images[samples.image_rows[row]]
    try:
        image = read_image(image_path)
    except InputError:
        return
    crop = augmented(
        image,
        samples.boxes[row],
        samples.keypoints[row],
        samples.visibility[row],
        samples.skeleton,
        NO_AUGMENTATION,
        draws or Draws(),
        (_TILE, _TILE),
    )
    picture = _drawn(crop.image, crop.keypoints, crop.visibility, samples.skeleton)
    number = f"#{samples.ids[row]}" if samples.ids[row] >= 0 else f"row {row}"
    tile = np.full((_TILE + _CAPTION, _TILE, 3), 30, np.uint8)
    tile[:_TILE] = picture
    for line, text in enumerate((f"{image_path.name[-20:]} {number}", caption)):
        place = (4, _TILE + 13 + 15 * line)
        cv2.putText(tile, text[:_LETTERS], place, _FONT, _TEXT_SCALE, _MIDDLE, 1, cv2.LINE_AA)
    tiles.append(tile)


def _drawn(image: Image, keypoints: np.ndarray, visibility: np.ndarray, skeleton: Skeleton) -> Image:
    image = image.copy()
    colours = _colours(skeleton)
    limits = 4 * _TILE
    points = np.clip(np.nan_to_num(keypoints, nan=-limits), -limits, limits).round().astype(int)
    for a, b in skeleton.limb_indices.tolist():
        if visibility[a] and visibility[b]:
            colour = colours[a] if colours[a] == colours[b] else _MIDDLE
            cv2.line(image, tuple(points[a].tolist()), tuple(points[b].tolist()), colour, 2, cv2.LINE_AA)
    for k, point in enumerate(points.tolist()):
        if visibility[k]:
            cv2.circle(image, tuple(point), 4, colours[k], 1 if visibility[k] == OCCLUDED else -1, cv2.LINE_AA)
    return image


def _colours(skeleton: Skeleton) -> list[tuple[int, int, int]]:
    colours = [_MIDDLE] * len(skeleton)
    for pair in skeleton.mirror_pairs:
        colours[skeleton.index(pair[0])], colours[skeleton.index(pair[1])] = _LEFT, _RIGHT
    return colours


def _grid(tiles: list[Image]) -> Image:
    """The tiles in rows, with empty ones at the end."""
    rows = -(-len(tiles) // _COLUMNS)
    sheet = np.full((rows * _COLUMNS, _TILE + _CAPTION, _TILE, 3), 30, np.uint8)
    sheet[: len(tiles)] = tiles if tiles else np.zeros((0, *sheet.shape[1:]), np.uint8)
    whole = sheet.reshape(rows, _COLUMNS, _TILE + _CAPTION, _TILE, 3).transpose(0, 2, 1, 3, 4)
    return whole.reshape(rows * (_TILE + _CAPTION), _COLUMNS * _TILE, 3)


def _write(path: Path, image: Image) -> None:
    try:
        done, data = cv2.imencode(path.suffix, image[:, :, ::-1])
    except cv2.error:
        done = False
    if not done:
        raise InputError(f"{path}: expected a picture's suffix such as .jpg or .png, got {path.suffix!r}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: expected an existing folder; make it, or choose another place for the picture")
    with written_whole(path) as beside:
        beside.write_bytes(data.tobytes())
