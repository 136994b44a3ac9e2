"""The corrections of a run: its corrections.jsonl, read, checked against its poses and turned into operations.

After a run was tracked again, they can be transferred to its new poses.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from posetrail.assignment import associate
from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.poses import Poses
from posetrail.similarity import box_area, keypoint_boxes, oks
from posetrail.skeletons import Skeleton
from tracker.association.corrections import (
    WITHOUT_EFFECT_ON_TRACKS,
    Name,
    Operation,
    digest_of,
    effective,
    from_json,
    pose_keys,
    pose_name,
    to_json,
)
from tracker.association.statements import statements
from tracker.association.transfer import named_poses, transferred
from tracker.io.corrections_log import (
    CORRECTIONS,
    CorrectionsHeader,
    CorrectionsLog,
    damaged_line,
    read_corrections,
)
from tracker.io.pose_log import read_pose_log
from tracker.io.tables3d import TRACKS3D
from tracker.runs.record import LOG, NOT_CORRECTED, RunRecord, RunWarning, UsedCorrections, write_record

_MIN_OKS = 0.5  # of a pose and the one that is taken for it
_REMARKS = ("text", "frames", "changes", "by", "at")


class OtherPoses(InputError):
    """Corrections that name other poses than those of the run."""


@dataclass(frozen=True)
class RunCorrections:
    """All operations that were entered in a run, undone ones included."""

    header: CorrectionsHeader  # of the poses of the run
    log: CorrectionsLog
    operations: tuple[Operation, ...]

    @property
    def effective(self) -> dict[int, Operation]:
        """The operations that count, by number."""
        return effective(self.operations)

    @property
    def used(self) -> UsedCorrections:
        """What run.json records of them when they are used."""
        return UsedCorrections(entries=len(self.operations), sha256=digest_of(self.effective))

    def recorded(self, used: UsedCorrections) -> dict[int, Operation]:
        """The operations by which the files of a run were made; none if corrections.jsonl is not the one they name."""
        operations = effective(self.operations[: used.entries])
        return operations if digest_of(operations) == used.sha256 else {}


def corrections_of(folder: Path, log: Path | None = None) -> RunCorrections:
    """The corrections of a run; none if it has no corrections.jsonl.

    Args:
        folder: of the run.
        log: its pose log, if it is not in the folder yet.

    Raises:
        OtherPoses: they name poses of another pose log.
        InputError: the file cannot be read, or is damaged.
    """
    poses = log or folder / LOG
    skeleton = read_pose_log(poses)[0].skeleton
    content = read_corrections(folder / CORRECTIONS)
    if content.header is not None and not content.header.names_poses_of(poses, skeleton.name):
        raise OtherPoses(
            f"{folder / CORRECTIONS}: names poses of another pose log than {LOG}; `posetrail follow {folder} "
            "--carry-corrections` finds them again; with --no-corrections they are left out"
        )
    header = content.header or CorrectionsHeader.of(poses, skeleton.name)
    return RunCorrections(header, content, operations_of(folder / CORRECTIONS, content, skeleton))


def recorded_operations(folder: Path, record: RunRecord) -> dict[int, Operation]:
    """The corrections by which the files of a run were made, by number.

    Raises:
        InputError: corrections.jsonl is not the one that was used, or cannot be read.
    """
    if record.corrections == NOT_CORRECTED or not record.corrections.sha256:
        return {}
    operations = corrections_of(folder).recorded(record.corrections)
    if not operations:
        raise InputError(
            f"{folder}: its tracks were made with other corrections than those of {CORRECTIONS}; "
            f"`posetrail follow {folder}` makes them again"
        )
    return operations


def bring_corrections(run: Path, folder: Path) -> None:
    """Copy the corrections of a run to a folder that has none."""
    if (run / CORRECTIONS).is_file() and not (folder / CORRECTIONS).exists():
        with written_whole(folder / CORRECTIONS) as beside:
            shutil.copyfile(run / CORRECTIONS, beside)


def usable_corrections(folder: Path) -> tuple[RunCorrections | None, list[RunWarning]]:
    """The corrections of a run that was tracked again; where they cannot be used, None and a warning."""
    if not (folder / CORRECTIONS).is_file():
        return None, []
    try:
        return corrections_of(folder), []
    except InputError as error:
        return None, [RunWarning(f"not used: {str(error).removeprefix(f'{folder / CORRECTIONS}: ')}", CORRECTIONS)]


def operations_of(path: Path, log: CorrectionsLog, skeleton: Skeleton) -> tuple[Operation, ...]:
    """The operations of a file of corrections.

    Raises:
        InputError: one of them is damaged.
    """
    operations = []
    for number, values in enumerate(log.lines, 1):
        try:
            operations.append(from_json(values))
            statements({number: operations[-1]}, skeleton)  # names joints of the skeleton only
        except ValueError as error:
            raise damaged_line(path, number + 1, str(error)) from None
    return tuple(operations)


# 3-D tracks -----------------------------------------------------------------------------------------------------------


def tracks_state(record: RunRecord, recorded: Mapping[int, Operation], effective: Mapping[int, Operation]) -> str:
    """A sha256 of what decides the tracks of a run: pose log, association settings and corrections.

    Names of people, and what was marked as checked or fine, change no track.

    Args:
        record: of the run.
        recorded: the corrections by which its files were made.
        effective: the corrections that count now.
    """
    without_effect = (*WITHOUT_EFFECT_ON_TRACKS, Name)
    changes = [
        digest_of({number: each for number, each in operations.items() if not isinstance(each, without_effect)})
        for operations in (recorded, effective)
    ]
    made_of = [asdict(record.pose_log), record.settings.association, *changes]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def state_of(folder: Path, record: RunRecord) -> str:
    """The present `tracks_state` of a run in its folder."""
    corrections, _ = usable_corrections(folder)
    if corrections is None:
        return tracks_state(record, {}, {})
    recorded = {} if record.corrections == NOT_CORRECTED else corrections.recorded(record.corrections)
    effective = corrections.effective
    return tracks_state(record, {n: each for n, each in recorded.items() if n in effective}, effective)


def lifted_notes(folder: Path, record: RunRecord) -> list[RunWarning]:
    """A warning if the 3-D tracks of a run were made from other tracks than it has now."""
    if record.lift is None or state_of(folder, record) == record.lift.tracks:
        return []
    return [RunWarning(f"was made from other tracks; `posetrail lift {folder}` makes it again", TRACKS3D)]


def with_lifted_notes(folder: Path, record: RunRecord) -> RunRecord:
    """The record, written again with a warning if the 3-D tracks of the folder are stale."""
    if notes := lifted_notes(folder, record):
        record = replace(record, warnings=(*record.warnings, *notes))
        write_record(folder, record)
    return record


# Other poses ----------------------------------------------------------------------------------------------------------


def keep_named_poses(folder: Path) -> None:
    """Copy the pose log of a run that is about to be tracked again, if corrections name its poses."""
    try:
        header = read_corrections(folder / CORRECTIONS).header
    except InputError:
        return
    poses = folder / LOG
    if header is None or not poses.is_file() or not header.names_poses_of(poses, header.skeleton):
        return
    with written_whole(_kept_log(folder, header)) as beside:
        shutil.copyfile(folder / LOG, beside)


def drop_kept_poses(folder: Path) -> None:
    """Remove the copy of a pose log if the corrections name the poses of the run's own one."""
    header = read_corrections(folder / CORRECTIONS).header
    if header is not None:
        _kept_log(folder, header).unlink(missing_ok=True)


def carry_corrections(folder: Path) -> list[RunWarning]:
    """Write the corrections of a run anew, with the names of its present poses; the old file is kept beside it.

    A pose is found again by its OKS to the poses of the same frame.

    Returns:
        Which corrections could not be transferred, one line each.

    Raises:
        InputError: the poses that the corrections name are gone.
    """
    path = folder / CORRECTIONS
    log = read_corrections(path)
    header, _ = read_pose_log(folder / LOG)
    if log.header is None or log.header.names_poses_of(folder / LOG, header.skeleton.name):
        return []
    new_header = CorrectionsHeader.of(folder / LOG, header.skeleton.name)
    old_poses = _kept_log(folder, log.header)
    if not old_poses.is_file() or log.header.skeleton != header.skeleton.name:
        raise InputError(
            f"{path}: expected the pose log whose poses it names as {old_poses.name}, with skeleton "
            f"{header.skeleton.name}, got none; --no-corrections leaves the corrections out"
        )
    operations = operations_of(path, log, header.skeleton)
    named = named_poses(operations)
    found = _found_again(named, old_poses, folder / LOG, header.skeleton)
    new, lost = transferred(operations, found)
    lines = [new_header.line()]
    for number, (operation, values) in enumerate(zip(new, log.lines, strict=True), 1):
        remarks = {name: values[name] for name in _REMARKS if name in values}
        if number in lost:
            remarks["text"] = f"not transferred: {remarks.get('text', '')}"
        record = {"n": number, **to_json(operation), **remarks}
        lines.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    shutil.copyfile(path, folder / f"corrections.{log.header.poses_sha256[:12]}.jsonl")
    with written_whole(path) as beside:
        beside.write_bytes(b"".join(lines))
    texts = [f"correction {number} was not transferred: {log.lines[number - 1].get('text', '')}" for number in lost]
    missing = len(named) - len(found)
    if missing:
        texts.insert(0, f"{missing} of {len(named)} corrected poses were not found again")
    return [RunWarning(text, CORRECTIONS) for text in texts]


def _kept_log(folder: Path, header: CorrectionsHeader) -> Path:
    return folder / f"poses.{header.poses_sha256[:12]}.arrow"


def _found_again(named: np.ndarray, old_log: Path, new_log: Path, skeleton: Skeleton) -> dict[int, int]:
    """The keys of new poses by those of the old ones."""
    rows_of_frame: dict[int, list[int]] = defaultdict(list)
    for key in named.tolist():
        frame, row = pose_name(key)
        rows_of_frame[frame].append(row)
    found: dict[int, int] = {}
    new_frames = read_pose_log(new_log)[1]
    new = next(new_frames, None)
    for old in read_pose_log(old_log)[1]:
        rows = [row for row in rows_of_frame.get(old.index, ()) if row < len(old.poses)]
        while new is not None and new.index < old.index:
            new = next(new_frames, None)
        if not rows or new is None or new.index != old.index:
            continue
        matches = _matches(old.poses, new.poses, skeleton)
        keys = {row: int(pose_keys(old.index, row)) for row in rows}
        found |= {keys[row]: int(pose_keys(old.index, match)) for row, match in matches.items() if row in keys}
    return found


def _matches(old: Poses, new: Poses, skeleton: Skeleton) -> dict[int, int]:
    """The row of the new pose that is the same person, by the row of the old one."""
    boxes = np.where(np.isfinite(old.boxes), old.boxes, keypoint_boxes(old.keypoints))
    areas = np.nan_to_num(box_area(boxes))[:, None] * np.ones(len(new))
    similarity = oks(old.keypoints, new.keypoints, areas, skeleton.oks_sigmas)
    return {int(row): int(match) for row, match in associate(similarity, _MIN_OKS, "hungarian")}
