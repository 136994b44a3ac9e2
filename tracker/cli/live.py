"""`posetrail live`: parses, calls, prints."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Token

from tracker.cli.arguments import byte_count, given_source, seconds
from tracker.cli.flags import (
    Association,
    Config,
    Inference,
    Live,
    Networks,
    Preset,
    Save,
    Set,
    format_names,
    in_out,
)
from tracker.cli.outcome import print_outcome
from tracker.cli.printing import Printer
from tracker.live_settings import LiveSettings
from tracker.settings import AssociationSettings, InferenceSettings, NetworkSettings, Settings
from tracker.signals import stop_on_ctrl_c

if TYPE_CHECKING:
    from tracker.io.live_source import LiveEvent


def _byte_count(_type: Any, tokens: Sequence[Token]) -> int:
    return byte_count(tokens[0].value)


def _seconds(_type: Any, tokens: Sequence[Token]) -> float:
    return seconds(tokens[0].value)


SourceText = Annotated[
    str,
    in_out(
        "Number of a camera, such as 0; address, such as rtsp://HOST/PATH, http://... or udp://...; named pipe; - for "
        "stdin. @FILE reads the address from the first line of a file, which keeps its password out of `ps`."
    ),
]


def live_command(
    source: SourceText,
    *,
    output: Annotated[
        Path | None,
        in_out("Also write a run's folder, OUTPUT/NAME_DATE-TIME, when the session ends.", name=["--output", "-o"]),
    ] = None,
    record: Annotated[
        bool,
        in_out("With -o: also write the frames, to recording.mp4, so that the run can be viewed and corrected."),
    ] = False,
    limit_disk: Annotated[
        int,
        in_out(
            "With -o: end the session before its folder is larger than this, such as 500MB or 2GB; 0: never.",
            converter=_byte_count,
        ),
    ] = 0,
    save: Save = "",
    lines: Annotated[bool, in_out("Print a JSON line for each frame and each event on stdout.")] = True,
    arrival: Annotated[
        bool, in_out("Add the time of day of its arrival to the line of each frame.", negative=(), show_default=False)
    ] = False,
    duration: Annotated[
        float | None, in_out("End after this time: seconds, M:SS or H:MM:SS [default: never].", converter=_seconds)
    ] = None,
    preset: Preset = "default",
    config: Config = None,
    set: Set = (),
    live: Live = LiveSettings(),
    networks: Networks = NetworkSettings(),
    inference: Inference = InferenceSettings(),
    association: Association = AssociationSettings(),
) -> int:
    """Track people in a camera, a network stream or a pipe as it comes: newest frame first, ids final at once.

    Prints JSON lines. A connection that fails or stalls is made again. Ctrl-C ends the session; with -o its run is
    written then.
    """
    from tracker.io.live_address import live_address
    from tracker.io.live_source import LiveSource
    from tracker.io.writers import default_formats
    from tracker.runs.live import live_frames, online_settings
    from tracker.runs.live_folder import LiveRun, session_folder
    from tracker.runs.live_lines import event_line, frame_line, started_line
    from tracker.runs.networks import open_networks

    address = live_address(given_source(source))
    settings = online_settings(Settings(networks=networks, inference=inference, association=association))
    formats, printer, out = format_names(save), Printer(), Lines(lines)
    with stop_on_ctrl_c() as stopped, ExitStack() as stack:
        loaded = stack.enter_context(open_networks(settings))
        opened = stack.enter_context(LiveSource(address, live))
        run = None
        if output is not None:
            formats = (*default_formats(loaded.skeleton), *formats)
            folder = session_folder(output, opened)
            run = stack.enter_context(
                LiveRun(folder, opened, loaded, settings, formats=formats, record=record, limit_bytes=limit_disk)
            )

        def is_over() -> bool:
            late = duration is not None and opened.now_s >= duration
            return stopped() or late or out.closed or (run is not None and run.is_full)

        def on_event(event: LiveEvent) -> None:
            out.write(event_line(event))
            if event.kind in ("reconnecting", "resolution"):
                printer.warning(event.text)

        out.write(started_line(opened, loaded.skeleton))
        frames = stack.enter_context(closing(live_frames(opened, loaded, settings, on_event=on_event, stopped=is_over)))
        for frame in frames:
            if run is not None:
                run.add(frame)
            out.write(frame_line(frame, opened.wall_clock(frame.frame.time_s) if arrival else None))
    if run is not None and run.outcome is not None:
        print_outcome(run.outcome, Printer(on_stderr=lines))
    return stopped.code


class Lines:
    """Writes lines to stdout as they come; `closed` once their reader is gone."""

    def __init__(self, enabled: bool) -> None:
        self._enabled, self.closed = enabled, False
        sys.stdout.flush()
        self._write: Callable[[bytes], int]
        try:
            descriptor = sys.stdout.fileno()
        except (OSError, io.UnsupportedOperation):  # stdout is replaced, as in a notebook
            self._write = lambda line: sys.stdout.write(line.decode()) and len(line)
        else:
            # Not by way of sys.stdout, which hides that its reader is gone (start.py).
            self._write = lambda line: os.write(descriptor, line)

    def write(self, line: bytes) -> None:
        """Write one line, whole."""
        if not self._enabled or self.closed:
            return
        try:
            while line:
                line = line[self._write(line) :]
        except BrokenPipeError:
            self.closed = True
