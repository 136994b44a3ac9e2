"""Serves the page of a run, or of several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from posetrail.errors import InputError
from tracker.viewer.app import RunFolder, Viewer
from tracker.viewer.queue import find_runs
from tracker.viewer.serving import LOCALHOST, serve


def view(
    runs: Path,
    *,
    input: Path | None = None,
    host: str = LOCALHOST,
    port: int = 0,
    on_address: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Serve the page of a run, or of the runs in a folder, until a stop is requested.

    Args:
        runs: a run's folder, or a folder of runs.
        input: the clip of a run, if it was moved, or if its poses were imported.
        host: address to listen at; another one than 127.0.0.1 lets other computers in.
        port: 0 for any free one.
        on_address: called with the address, token included, when it can be opened.
        stopped: asked ten times a second; true ends the server.

    Raises:
        InputError: there is no run, or the port cannot be used.
    """
    folders = find_runs(runs)
    if input is not None and len(folders) > 1:
        raise InputError(f"--input: expected one run, got {len(folders)} in {runs}; give the folder of one of them")
    root = runs if folders != [runs] else runs.resolve().parent
    viewer = Viewer([RunFolder(each, str(each.resolve().relative_to(root.resolve())), input) for each in folders])
    serve(viewer, host=host, port=port, on_address=on_address, stopped=stopped)
