"""`posetrail view`: parses, calls, prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from posetrail.errors import InputError
from tracker.cli.arguments import given_source
from tracker.cli.flags import ClipPath, in_out
from tracker.cli.printing import Printer
from tracker.settings import Settings
from tracker.signals import stop_on_ctrl_c


def view_command(
    runs: Annotated[
        Path | None, in_out("Folder of a run: OUTPUT/CLIP of `posetrail track`; or a folder of runs.")
    ] = None,
    *,
    live: Annotated[
        str | None, in_out("Instead of RUNS: a source as of `posetrail live`, which is tracked and shown as it comes.")
    ] = None,
    output: Annotated[
        Path | None,
        in_out("With --live: write a run with a recording in this folder.", name=["--output", "-o"]),
    ] = None,
    input: Annotated[
        ClipPath | None, in_out("The clip of the run [default: the path in run.json]. Needed if the file was moved.")
    ] = None,
    port: Annotated[int, in_out("Port of the page [default: any free one].", show_default=False)] = 0,
    host: Annotated[
        str,
        in_out(
            "Address to listen at. Any other than 127.0.0.1 lets other computers in: whoever has the address with its "
            "token sees the clips and can change the runs."
        ),
    ] = "127.0.0.1",
    open: Annotated[bool, in_out("Open the page in the browser.", negative=(), show_default=False)] = False,
) -> int:
    """Show a run in the browser, check its doubtful places and correct it. Ctrl-C ends.

    Prints the address of the page. The page needs no internet, and nothing is uploaded.
    """
    from tracker.viewer.server import view

    printer = Printer()

    def on_address(address: str) -> None:
        printer.result(address)
        if tunnel := _tunnel(address):
            printer.result(f"on your own computer, first: {tunnel}")
        sys.stdout.flush()
        if open:
            import webbrowser

            webbrowser.open(address)

    if (runs is None) == (live is None) or (output is not None and live is None):
        raise InputError("view: expected the folder of a run, or --live SOURCE with or without -o; give one of them")
    with stop_on_ctrl_c() as stopped:
        if live is not None:
            from tracker.io.live_address import live_address
            from tracker.viewer.live import view_live

            view_live(
                live_address(given_source(live)),
                Settings(),
                output=output,
                host=host,
                port=port,
                on_address=on_address,
                on_event=printer.warning,
                stopped=stopped,
            )
            return stopped.code
        assert runs is not None
        view(runs, input=input, host=host, port=port, on_address=on_address, stopped=stopped)
    return stopped.code


def _tunnel(address: str) -> str:
    """The command that forwards the page's port to the computer from which this one is used by ssh; else empty."""
    connection = os.environ.get("SSH_CONNECTION", "").split()
    if len(connection) != 4:
        return ""
    import getpass

    port = urlsplit(address).port
    return f"ssh -L {port}:127.0.0.1:{port} {getpass.getuser()}@{connection[2]}"
