"""Two lengths of help: `--help` shows the flags that most people need, `--help-all` shows all, in sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tracker.settings import SECTIONS, AssociationSettings, InferenceSettings, NetworkSettings

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

ALL_FLAG = "--help-all"
HELP_FLAGS = ("--help", "-h", ALL_FLAG)

USUAL: Mapping[str, tuple[str, ...]] = {
    "track": (
        *("input", "output", "video", "save", "start", "end", "redo"),
        *("online", "preset", "config", "detector", "estimator", "estimator-weights", "device", "detect-every"),
    ),
    "batch": (
        *("inputs", "output", "video", "save", "redo", "retry-failed", "posetrack", "split"),
        *("jobs", "segment-s", "shard", "engine", "config", "detector", "estimator", "device"),
    ),
    "live": (
        *("source", "output", "record", "limit-disk", "lines", "duration", "drop", "max-delay-s", "give-up-s"),
        *("preset", "config", "detector", "estimator", "device", "detect-every"),
    ),
    "follow": (
        *("poses", "output", "fps", "save", "both", "ground-truth"),
        *("online", "preset", "config", "set", "similarity", "track-buffer-s", "max-interpolation-gap-s", "smooth"),
    ),
}
"""Flags that the short help shows, by command; other commands show all of theirs."""


def sections() -> dict[str, str]:
    """The heading of each settings field, in the order of fields."""
    names = [each.name for group in (NetworkSettings, InferenceSettings, AssociationSettings) for each in fields(group)]
    headings, heading = {}, ""
    for name in names:
        heading = SECTIONS.get(name, heading)
        headings[name] = heading
    return headings


def epilogue(arguments: Sequence[str]) -> str:
    """The last line of a command's short help; empty where all flags are shown."""
    command = _command(arguments)
    return f"`posetrail {command} {ALL_FLAG}` lists all flags." if _shortened(arguments) else ""


class HelpFormatter:
    """Prints a page of help; a help formatter of cyclopts.

    Args:
        arguments: of the command line: the first one that is no flag names the command, and `--help-all` shows all.
    """

    show_metavar = True

    def __init__(self, arguments: Sequence[str]) -> None:
        self._usual = _shortened(arguments)

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one panel, divided into sections; nothing if none of its flags is to be shown."""
        from cyclopts.help import DefaultFormatter

        for number, (title, entries) in enumerate(self._divided(panel)):
            description = panel.description if number == 0 else None
            DefaultFormatter()(console, options, panel.copy(title=title, entries=entries, description=description))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print the line of usage."""
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what the command does."""
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_description(console, options, description)

    def _divided(self, panel: HelpPanel) -> list[tuple[Any, list[HelpEntry]]]:
        shown = [each for each in panel.entries if self._usual is None or _name(each) in self._usual]
        if self._usual is not None:
            return [(panel.title, shown)] if shown else []
        headings = sections()
        titles = [headings.get(_name(each).replace("-", "_"), panel.title) for each in shown]
        pairs = groupby(zip(titles, shown, strict=True), key=lambda pair: pair[0])
        return [(title, [entry for _, entry in group]) for title, group in pairs]


def _command(arguments: Sequence[str]) -> str:
    return next((each for each in arguments if not each.startswith("-")), "")


def _shortened(arguments: Sequence[str]) -> tuple[str, ...] | None:
    """The flags that the help of this command is limited to; None where it shows all."""
    return None if ALL_FLAG in arguments else USUAL.get(_command(arguments))


def _name(entry: HelpEntry) -> str:
    """A flag's name without its hyphens, or that of a positional argument in lower case."""
    names = entry.names or (getattr(entry, "positional_label", None) or "",)
    return names[0].lstrip("-").lower()
