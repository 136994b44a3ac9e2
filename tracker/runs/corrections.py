"""The corrections of a run: its corrections.jsonl, read, checked against its poses and turned into operations."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from posetrail.errors import InputError
from posetrail.files import digest, written_whole
from posetrail.skeletons import Skeleton
from tracker.association.corrections import Operation, effective, from_json, to_json
from tracker.association.statements import statements
from tracker.io.corrections_log import (
    CORRECTIONS,
    CorrectionsHeader,
    CorrectionsLog,
    damaged_line,
    read_corrections,
)
from tracker.io.pose_log import read_pose_log
from tracker.runs.record import LOG, NOT_CORRECTED, RunRecord, RunWarning, UsedCorrections


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
    header = CorrectionsHeader(digest(poses), skeleton.name)
    content = read_corrections(folder / CORRECTIONS)
    if content.header is not None and content.header != header:
        raise OtherPoses(
            f"{folder / CORRECTIONS}: names poses of another pose log than {LOG}; `posetrail follow {folder} "
            "--carry-corrections` finds them again, --no-corrections leaves the corrections out"
        )
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


def digest_of(operations: Mapping[int, Operation]) -> str:
    """A sha256 of operations, equal for equal ones; empty for none."""
    if not operations:
        return ""
    text = json.dumps([[number, to_json(operation)] for number, operation in operations.items()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
