"""DeepLabCut CSV: three or four header lines (scorer, individuals, bodyparts, coords), then one line per frame.

Each joint has the columns x, y and, in predictions, likelihood. Files without `individuals` have a single one. The HDF5
files beside the CSV are not read because they store column names as pickled Python, which can run arbitrary code;
`deeplabcut.analyze_videos_converth5_to_csv` converts them to CSV.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.columns import LARGEST_PX, shown
from eval_posetrack.readers.frames import Listing, numbered
from eval_posetrack.readers.images import Images
from eval_posetrack.readers.joints import layout
from eval_posetrack.readers.source_poses import SourcePoses, to_clip
from eval_posetrack.readers.sources import file_name, files_of
from eval_posetrack.readers.table import frame_numbers, numbers, read_rows
from posetrail.errors import InputError
from posetrail.sparse import LARGEST_FRAME

_HDF5 = (".h5", ".hdf5")
_ALONE = ""  # the individual in files that do not name any


@dataclass(frozen=True)
class _Columns:
    """The columns of a file: that of each (individual, joint, x | y | likelihood)."""

    index: int  # the column of frame numbers
    header: int  # number of lines
    of: dict[tuple[str, str, str], int]

    @property
    def individuals(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(individual for individual, _, _ in self.of))

    @property
    def joints(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(joint for _, joint, _ in self.of))


def read(path: Path, images: Images | None, joints: str | None) -> list[Clip]:
    """One CSV file, or every `*.csv` of a folder.

    Args:
        path: the file or folder.
        images: names for the frames.
        joints: a name of `joints.LAYOUTS`: the joints that the body parts are, in the order of the file.

    Raises:
        InputError: the file cannot be read or used, or is HDF5.
    """
    if path.suffix.lower() in _HDF5:
        raise InputError(
            f"{path}: expected CSV, got HDF5; convert it with deeplabcut.analyze_videos_converth5_to_csv(FOLDER)"
        )
    return [_read_file(file, images, joints) for file in files_of(path, [".csv"], "DeepLabCut CSV files")]


def _read_file(path: Path, images: Images | None, order: str | None) -> Clip:
    rows = read_rows(path)
    columns = _columns(path, rows)
    names, individuals = columns.joints, columns.individuals
    body, first_line = rows[columns.header :], columns.header + 1
    num_frames, frames, image_names = _frames(path, body, columns, first_line)

    slots = np.full((len(body), len(individuals), len(names), 3), np.nan)
    where_to = np.array(
        [
            (individuals.index(individual), names.index(joint), ("x", "y", "likelihood").index(coordinate))
            for individual, joint, coordinate in columns.of
        ]
    )
    table = numbers(body, list(columns.of.values()), path, first_line=first_line, largest=LARGEST_PX)
    slots[:, where_to[:, 0], where_to[:, 1], where_to[:, 2]] = table
    missing = np.isnan(slots[..., :2]).any(axis=3)
    slots[missing] = np.nan
    line, person = np.nonzero(~missing.all(axis=2))

    if order:
        if len(layout(order)) != len(names):
            raise InputError(f"{path}: expected {len(layout(order))} body parts ({order}), got {len(names)}")
        names = layout(order)
    if image_names and not images:
        listing = Listing(image_names, frames[line], (path.stem,) * num_frames)
    else:
        listing = numbered(frames[line], frames, num_frames, images, path)
    poses = SourcePoses(
        name=path.stem,
        image_names=listing.names,
        frames=listing.positions,
        notes=listing.notes,
        joints=names,
        keypoints=slots[line, person, :, :2],
        keypoint_scores=slots[line, person, :, 2],
        scores=np.full(len(line), np.nan),
        boxes=np.full((len(line), 4), np.nan),
        track_ids=person,
    )
    return to_clip(poses, path)


def _columns(path: Path, rows: list[list[str]]) -> _Columns:
    levels = {row[0].strip(): row for row in rows[:4] if row}
    several = "individuals" in levels
    expected = ["scorer", "individuals", "bodyparts", "coords"] if several else ["scorer", "bodyparts", "coords"]
    got = [row[0].strip() for row in rows[: len(expected)] if row]
    if got != expected:
        raise InputError(f"{path}: expected lines that begin with {', '.join(expected)}, got {shown(got)}")
    coordinates = [cell.strip() for cell in levels["coords"]]
    first = next((c for c, cell in enumerate(coordinates) if c and cell), len(coordinates))
    of: dict[tuple[str, str, str], int] = {}
    for c in range(first, len(coordinates)):
        key = (levels["individuals"][c].strip() if several else _ALONE, levels["bodyparts"][c].strip(), coordinates[c])
        if key[2] not in ("x", "y", "likelihood") or not key[1]:
            kinds = "a body part with x, y or likelihood"
            raise InputError(f"{path}: column {c + 1}: expected {kinds}, got {shown(' '.join(key[1:]))}")
        if key in of:
            raise InputError(f"{path}: column {c + 1}: expected every column once, got {shown(' '.join(key))} again")
        of[key] = c
    for individual, joint, _ in of:
        for coordinate in "xy":
            if (individual, joint, coordinate) not in of:
                raise InputError(f"{path}: body part {shown(joint)}: expected x and y, got no {coordinate}")
    if not of:
        raise InputError(f"{path}: expected columns of body parts, got none")
    return _Columns(first - 1, len(expected), of)


def _frames(
    path: Path, body: list[list[str]], columns: _Columns, first_line: int
) -> tuple[int, np.ndarray, tuple[str, ...]]:
    """The number of frames, the frame of each line, and image names if the lines have names in place of numbers."""
    names = tuple(file_name(row[columns.index].strip()) for row in body)
    if names and not any(name.isdecimal() for name in names):
        return len(body), np.arange(len(body)), names
    frames = frame_numbers(body, columns.index, path, first_line=first_line, largest=LARGEST_FRAME)
    back = np.flatnonzero(np.diff(frames) <= 0)
    if len(back):
        raise InputError(
            f"{path}: line {first_line + back[0] + 1}: expected frames in order, got {frames[back[0] + 1]}"
        )
    return (int(frames[-1]) + 1 if len(frames) else 0), frames, ()
