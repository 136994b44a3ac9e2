"""The corrections of a run: its corrections.jsonl, read, checked against its poses and turned into operations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from posetrail.errors import InputError
from posetrail.files import digest
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
from tracker.runs.record import LOG


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


def corrections_of(folder: Path) -> RunCorrections:
    """The corrections of a run; none if it has no corrections.jsonl.

    Raises:
        OtherPoses: they name poses of another pose log.
        InputError: the file cannot be read, or is damaged.
    """
    skeleton = read_pose_log(folder / LOG)[0].skeleton
    header = CorrectionsHeader(digest(folder / LOG), skeleton.name)
    log = read_corrections(folder / CORRECTIONS)
    if log.header is not None and log.header != header:
        raise OtherPoses(
            f"{folder / CORRECTIONS}: names poses of another pose log than {LOG}; `posetrail follow {folder} "
            "--carry-corrections` finds them again, --no-corrections leaves the corrections out"
        )
    return RunCorrections(header, log, operations_of(folder / CORRECTIONS, log, skeleton))


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
