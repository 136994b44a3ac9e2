"""`posetrail suspects`: parses, calls, prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from tracker.cli.flags import Progress, Run, in_out
from tracker.cli.printing import Printer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.association.suspects import Suspect


def suspects_command(
    run: Run,
    *,
    max: Annotated[
        int, in_out("Number of places to print of identities, and as many of joints. suspects.csv has all.")
    ] = 20,
    progress: Progress = "auto",
) -> int:
    """List the places of a run where something is probably wrong, most doubtful first.

    Needs neither the video nor a network. Writes suspects.csv in RUN, and how many places of each kind there are to
    run.json.
    """
    from posetrail.errors import InputError
    from tracker.association.suspect_places import OF_JOINTS
    from tracker.runs.suspects import find_suspects

    if max < 0:
        raise InputError(f"--max: expected 0 or more places, got {max}")
    printer = Printer(as_json=progress == "json")
    found = find_suspects(run)
    if printer.as_json:
        for suspect in found[:max]:
            printer.result("", event="suspect", **asdict(suspect))
        printer.result("", event="result", file=run / "suspects.csv", suspects=len(found))
    else:
        of_joints = [each for each in found if each.kind in OF_JOINTS]
        _print_table("Identities", [each for each in found if each.kind not in OF_JOINTS][:max])
        _print_table("Joints", of_joints[:max])
        printer.result(f"{run / 'suspects.csv'}: {_counts(found)}")
    return 0


def _print_table(title: str, found: Sequence[Suspect]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not found:
        return
    table = Table("doubt", "kind", "frame", "reason", title=title, title_justify="left")
    for each in found:
        frames = str(each.frame) if each.frame == each.last_frame else f"{each.frame} to {each.last_frame}"
        table.add_row(f"{each.doubt:.3f}", each.kind, frames, each.reason)
    Console().print(table)


def _counts(found: Sequence[Suspect]) -> str:
    from collections import Counter

    from posetrail.wording import counted

    kinds = Counter(each.kind for each in found)
    by_kind = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    return f"{counted(len(found), 'place')} to look at" + (f" ({by_kind})" if kinds else "")
