"""A run opened for looking and correcting: what its tracks are with all corrections, and the way to enter more."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from posetrail.errors import InputError
from posetrail.poses import Poses
from tracker.association.corrections import Checked, Operation, Undo, are_undone, digest_of, to_json
from tracker.association.overlay import corrected
from tracker.association.requests import Effect as Effect
from tracker.association.requests import grounded
from tracker.association.statements import statements
from tracker.io.corrections_log import CORRECTIONS, append_correction, read_corrections
from tracker.io.pose_log import PoseLogHeader, read_pose_log
from tracker.runs.corrections import RunCorrections, corrections_of, operations_of
from tracker.runs.kept_clip import kept_clip
from tracker.runs.locks import file_lock
from tracker.runs.record import LOG, RunRecord, check_log, read_record
from tracker.runs.results import tracked_clip_of
from tracker.settings import AssociationSettings
from tracker.tracked_clip import TrackedClip, rows_of_same_poses

_WAIT_S = 5.0  # for another process that appends a correction


class OutOfDate(InputError):
    """A correction was entered for another revision than the current one."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the log of corrections."""

    number: int
    operation: Mapping[str, Any]  # as JSON
    text: str  # its effect, with the ids at that time
    undone: bool
    by: str
    at: str  # UTC, ISO 8601
    first_frame: int  # numbers in the video
    last_frame: int


class CorrectedRun:
    """A run with its corrections: `with CorrectedRun(folder) as run: run.apply(...)`.

    Requests are operations as the viewer knows them, with poses as P = [position of the frame, index in
    `clip.people(position)`]:

        {"op": "swap", "a": P, "b": P, "only_here": false}
        {"op": "join", "a": P, "b": P}
        {"op": "split", "pose": P}
        {"op": "name", "pose": P, "name": "..."}
        {"op": "remove", "pose": P, "scope": "here" | "onwards" | "track"}
        {"op": "move", "pose": P, "joint": "left_knee", "xy": [x, y]}
        {"op": "hide", "pose": P, "joint": "left_knee"}
        {"op": "flip", "pose": P, "to": position, "part": "all" | "arms" | "legs" | "face"}
        {"op": "add", "frame": position, "joints": {name: [x, y]}, "like": P | null}
        {"op": "fine", "suspect": "link:..."}
        {"op": "checked", "from": position, "to": position}
        {"op": "undo", "of": number}

    An object belongs to one thread at a time; other processes may correct the same run.

    Args:
        folder: of the run.
        by: who corrects; the user's name if not given.

    Raises:
        InputError: on entering: there is no run, its pose log is damaged, or its corrections cannot be used.
    """

    folder: Path
    record: RunRecord
    header: PoseLogHeader
    clip: TrackedClip  # as corrected now
    entries: tuple[Entry, ...]
    checked: list[tuple[int, int]]  # first and last frames, numbers in the video

    def __init__(self, folder: Path, *, by: str | None = None) -> None:
        self.folder = folder
        self._by = _user() if by is None else by
        self._corrections: RunCorrections
        self._base: TrackedClip
        self._in_base: Mapping[int, Operation] = {}  # the corrections that `_base` was made with

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    @property
    def revision(self) -> int:
        """The number of operations in the log, undone ones included."""
        return len(self._corrections.operations)

    @property
    def is_stale(self) -> bool:
        """Whether the files of tracks in the folder were made from other corrections."""
        return digest_of(self._corrections.effective) != self.record.corrections.sha256

    def measured(self) -> TrackedClip:
        """The same poses as in `clip`, with joints where they were measured or put, not smoothed.

        Whether a pose is interpolated depends on the boxes of others, which are smoothed with their joints. A pose that
        is interpolated between smoothed poses alone keeps its place.
        """
        if self.record.association_settings.smoothing == "none":
            return self.clip
        clip = self._associated(self._in_base, smoothed=False)
        clip = corrected(clip, self._corrections.effective, self.header.skeleton)
        rows = rows_of_same_poses(self.clip, clip)
        both = Poses.concatenate([clip.poses, self.clip.poses])
        return replace(self.clip, poses=both[np.where(rows >= 0, rows, len(clip.poses) + np.arange(len(rows)))])

    def effect(self, request: Mapping[str, Any]) -> Effect:
        """What a request would change.

        Raises:
            InputError: it cannot be met; one line.
        """
        return self._grounded(request)[1]

    def apply(self, request: Mapping[str, Any], revision: int | None = None) -> Effect:
        """Append a correction to the log; it is on the disk when this returns.

        Args:
            request: see the class.
            revision: the one that was shown when it was entered.

        Raises:
            OutOfDate: the current revision is another one, which is loaded now.
            InputError: the request cannot be met, or nothing can be written.
        """
        path = self.folder / CORRECTIONS
        with file_lock(path, wait_s=_WAIT_S):
            self._check_up_to_date(revision)
            operation, effect = self._grounded(request)
            at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            remarks = {"text": effect.text, "frames": [effect.first_frame, effect.last_frame], "changes": effect.poses}
            values = {**to_json(operation), **remarks, "by": self._by, "at": at}
            append_correction(path, self._corrections.header, self._corrections.log, values)
            self._read_corrections()
        self._lay_over()
        return effect

    def load(self) -> None:
        """Read the run again, after its ids were assigned anew."""
        self.record = read_record(self.folder)
        check_log(self.folder, self.record)
        self.header = read_pose_log(self.folder / LOG)[0]
        self._corrections = corrections_of(self.folder)
        self._poses_stat = _stat(self.folder / LOG)
        self._in_base = self._recorded()
        self._base = self._associated(self._in_base)
        self._lay_over()

    def _recorded(self) -> dict[int, Operation]:
        """The corrections by which the files of the run were made and that are not undone since."""
        counting = self._corrections.effective
        recorded = self._corrections.recorded(self.record.corrections)
        return {number: operation for number, operation in recorded.items() if number in counting}

    def _associated(self, corrections: Mapping[int, Operation], *, smoothed: bool = True) -> TrackedClip:
        log, settings = self.folder / LOG, self.record.association_settings
        if not smoothed:
            settings = replace(settings, smooth="none", smooth_hz=AssociationSettings.smooth_hz)
            return tracked_clip_of(log, settings, self.record.pose_log, corrections)
        return kept_clip(log, settings, self.record.pose_log, corrections, tracked_clip_of)

    def _check_up_to_date(self, revision: int | None) -> None:
        """Make sure that no other process has changed the run, and that `revision` is the current one."""
        if _stat(self.folder / LOG) != self._poses_stat:
            raise InputError(f"{self.folder}: was tracked again meanwhile; open it again")
        path, before = self.folder / CORRECTIONS, self.revision
        if (path.stat().st_size if path.exists() else 0) != self._corrections.log.end:
            self._read_corrections()
            self._lay_over()
        if self.revision != before or revision not in (None, self.revision):
            raise OutOfDate(
                f"{path}: expected revision {self.revision}, got {before if revision is None else revision}"
            )

    def _read_corrections(self) -> None:
        path, known = self.folder / CORRECTIONS, self._corrections
        log = read_corrections(path)
        if log.header not in (None, known.header):
            raise InputError(f"{path}: was replaced meanwhile; open the run again")
        self._corrections = replace(known, log=log, operations=operations_of(path, log, self.header.skeleton))

    def _lay_over(self) -> None:
        """Correct the clip, and describe the log."""
        operations = self._corrections.operations
        counting = self._corrections.effective
        if (recorded := self._recorded()).keys() != self._in_base.keys():  # one of them was undone, or done again
            self._in_base, self._base = recorded, self._associated(recorded)
        self._statements = statements(counting, self.header.skeleton)
        self.clip = corrected(self._base, counting, self.header.skeleton)
        undone = are_undone(operations)
        self.entries = tuple(
            _entry(number, values, undone[number - 1]) for number, values in enumerate(self._corrections.log.lines, 1)
        )
        counts = [each for each, gone in zip(operations, undone, strict=True) if isinstance(each, Checked) and not gone]
        self.checked = _merged([(each.first, each.last) for each in counts], self.clip.frame_indices)

    def _grounded(self, request: Mapping[str, Any]) -> tuple[Operation, Effect]:
        if request.get("op") != "undo":
            return grounded(request, self.clip, self._statements, self.header.skeleton)
        of = request.get("of")
        if type(of) is not int or not 1 <= of <= self.revision:
            raise InputError(f"undo: expected the number of a correction, 1 to {self.revision}, got {str(of)[:20]}")
        entry = self.entries[of - 1]
        if entry.undone:
            raise InputError(f"undo: correction {of} is undone already")
        text = f"done again: {entry.text.removeprefix('undone: ')}" if entry.operation["op"] == "undo" else ""
        undo: Operation = Undo(of=of)
        poses = self._corrections.log.lines[of - 1].get("changes", 0)
        return undo, Effect(
            text=text or f"undone: {entry.text}",
            first_frame=entry.first_frame,
            last_frame=entry.last_frame,
            poses=poses if type(poses) is int else 0,
            track_ids=(),
        )


def _entry(number: int, values: Mapping[str, Any], undone: bool) -> Entry:
    frames = values.get("frames")
    known = isinstance(frames, list) and len(frames) == 2 and all(type(frame) is int for frame in frames)
    first, last = frames if known and frames else (0, 0)
    remarks = ("n", "text", "frames", "changes", "by", "at")
    operation = {name: value for name, value in values.items() if name not in remarks}
    text, by, at = (value if isinstance(value := values.get(name), str) else "" for name in ("text", "by", "at"))
    return Entry(
        number=number, operation=operation, text=text, undone=undone, by=by, at=at, first_frame=first, last_frame=last
    )


def _merged(spans: list[tuple[int, int]], frame_indices: np.ndarray) -> list[tuple[int, int]]:
    """Spans of frames (numbers), those that touch or overlap as one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        next_frame = np.searchsorted(frame_indices, merged[-1][1], side="right") if merged else 0
        if merged and next_frame < len(frame_indices) and first <= frame_indices[next_frame]:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        elif not merged or first > merged[-1][1]:
            merged.append((first, last))
    return merged


def _stat(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no user database
        return ""
