"""Suspects for the page: read from suspects.csv or found anew, and what a person has done about each.

A suspect is `fine` if a person said so, `fixed` if a correction that counts concerns its place, and `open` otherwise.
Whether a correction was right is not judged.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from posetrail.errors import InputError
from tracker.association.corrections import Add, Fine, Operation, Relink, Remove
from tracker.association.suspects import Suspect
from tracker.runs.record import SUSPECTS, read_record
from tracker.runs.suspects import find_suspects
from tracker.tracked_clip import TrackedClip

NEAR_FRAMES = 10  # an exchange so near to a suspect of the same person is about it
_LARGEST_FIELD = 2**24  # characters; many joints may be in question at once

Name: TypeAlias = tuple[int, int]  # frame and row of a pose


def suspects_of(run: Path) -> list[Suspect]:
    """The suspects of a run, most doubtful first: those of suspects.csv if it is up to date, otherwise found now.

    Raises:
        InputError: the run cannot be read, or there is no suspects.csv and it cannot be written.
    """
    record = read_record(run)
    if record.suspects is not None and SUSPECTS in record.files:
        try:
            return read_suspects(run / SUSPECTS)
        except (OSError, ValueError, KeyError):
            pass  # it was removed or changed by hand
    return find_suspects(run)


def read_suspects(path: Path) -> list[Suspect]:
    """The suspects in a suspects.csv.

    Raises:
        OSError, ValueError, KeyError: there is none, or another program changed it.
    """
    csv.field_size_limit(_LARGEST_FIELD)
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Suspect(
                kind=row["kind"],
                frame=int(row["frame"]),
                last_frame=int(row["last_frame"]),
                poses=_names(row["poses"]),
                candidates=_names(row["candidates"]),
                doubt=float(row["doubt"]),
                parts=json.loads(row["parts"]),
                reason=row["reason"],
                suspect_id=row["suspect_id"],
            )
            for row in csv.DictReader(file)
        ]


def suspects_as_json(
    found: Sequence[Suspect], clip: TrackedClip, operations: Mapping[int, Operation]
) -> list[dict[str, Any]]:
    """The suspects as the page gets them, in the same order.

    Args:
        found: the suspects.
        clip: the tracks as corrected now.
        operations: the corrections that count, by number.
    """
    places = _Places(clip)
    fine = {each.suspect for each in operations.values() if isinstance(each, Fine)}
    corrected = _corrected_places(operations, places)
    return [
        {
            "id": suspect.suspect_id,
            "kind": suspect.kind,
            "position": places.position(suspect.frame),
            "last": places.position(suspect.last_frame),
            "doubt": suspect.doubt,
            "parts": suspect.parts,
            "reason": suspect.reason,
            "state": _state(suspect, fine, corrected, places),
            "people": places.track_ids(suspect.poses),
            "candidates": places.track_ids(suspect.candidates),
        }
        for suspect in found
    ]


class _Places:
    """Finds named poses in a clip."""

    def __init__(self, clip: TrackedClip) -> None:
        self._clip = clip

    def position(self, frame: int) -> int:
        """The position of a frame; of the next one, if the clip does not have it."""
        return min(int(np.searchsorted(self._clip.frame_indices, frame)), max(len(self._clip) - 1, 0))

    def row(self, name: Name) -> int | None:
        """The row of a pose in the clip; None if it was removed."""
        position = int(np.searchsorted(self._clip.frame_indices, name[0]))
        if position == len(self._clip) or self._clip.frame_indices[position] != name[0]:
            return None
        begin, end = self._clip.begins[position : position + 2].tolist()
        found = np.flatnonzero(self._clip.pose_rows[begin:end] == name[1])
        return begin + int(found[0]) if len(found) else None

    def track_id(self, name: Name) -> int | None:
        """The track id of a pose; None if it was removed."""
        row = self.row(name)
        return None if row is None else int(self._clip.track_ids[row])

    def track_ids(self, names: Iterable[Name]) -> list[int]:
        """The track ids of poses, each once, in order."""
        return list(dict.fromkeys(found for name in names if (found := self.track_id(name)) is not None))

    def is_edited(self, name: Name) -> bool:
        """Whether the joints of a pose were corrected, or it was removed."""
        row = self.row(name)
        return row is None or bool(self._clip.edits[row])


def _corrected_places(operations: Mapping[int, Operation], places: _Places) -> dict[int, np.ndarray]:
    """Frames, ascending, in which identities were corrected, by the track id that the people there have now."""
    frames: dict[int, list[int]] = {}
    for number, operation in operations.items():
        for name in _identified(number, operation):
            track_id = places.track_id(name)
            if track_id is not None:
                frames.setdefault(track_id, []).append(name[0])
    return {track_id: np.unique(found) for track_id, found in frames.items()}


def _identified(number: int, operation: Operation) -> Iterator[Name]:
    """The poses whose identity an operation states."""
    match operation:
        case Relink():
            yield from (name for pair in (*operation.links, *operation.apart) for name in pair)
        case Remove():
            yield from (name for gap in operation.gaps for name in (gap.before, gap.after) if name is not None)
        case Add():
            yield operation.frame, -1 - number


def _state(suspect: Suspect, fine: set[str], corrected: Mapping[int, np.ndarray], places: _Places) -> str:
    if suspect.suspect_id in fine:
        return "fine"
    if suspect.kind in ("joint", "flip"):
        return "fixed" if any(places.is_edited(name) for name in suspect.poses) else "open"
    for name in suspect.poses:
        track_id = places.track_id(name)
        if track_id is None:
            return "fixed"
        frames = corrected.get(track_id)
        if frames is not None and np.abs(frames - name[0]).min() <= NEAR_FRAMES:
            return "fixed"
    return "open"


def _names(text: str) -> tuple[Name, ...]:
    names = []
    for name in text.split():
        frame, row = name.split(".")
        names.append((int(frame), int(row)))
    return tuple(names)


def num_open(run: Path, operations: Mapping[int, Operation]) -> int | None:
    """About how many suspects of a run are open, without reading its poses; None if they were not looked for.

    Args:
        run: the folder.
        operations: the corrections that count, by number.
    """
    try:
        found = read_suspects(run / SUSPECTS)
    except (OSError, ValueError, KeyError, InputError):
        return None
    fine = {each.suspect for each in operations.values() if isinstance(each, Fine)}
    named = {name for number, each in operations.items() for name in _identified(number, each)}
    return sum(each.suspect_id not in fine and named.isdisjoint(each.poses) for each in found)
