"""Prints the outcome of a run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from posetrail.wording import counted, people
from tracker.cli.printing import Printer

if TYPE_CHECKING:
    from tracker.runs.record import Outcome


def print_outcome(outcome: Outcome, printer: Printer) -> None:
    """Print what a run wrote, and its warnings."""
    text = f"{outcome.folder}: {counted(outcome.frames, 'frame')}, {people(outcome.people)}"
    if outcome.unchanged:
        text += f"; {outcome.reused}"
    else:
        text += f", {outcome.frames / max(outcome.seconds, 1e-9):.1f} frames/s"
        text += f"\n    {outcome.reused}" if outcome.reused else ""
    printer.result(f"{text}\n    {'  '.join(outcome.files)}", **asdict(outcome))
    for line in filter(None, (outcome.reason, *outcome.warnings)):
        printer.warning(line)
