"""Serves a run whose frames show their numbers, for programs that check the viewer's page in other browsers.

`uv run python -m tools.viewer_numbered` prints the page's address and serves until its input ends. The run is that of
tests/tracker/viewer/browser/test_frames.py: 60 frames of 256x128 pixels, in preview pieces of 16 frames.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from tests.tracker.viewer.browser import runs
from tests.viewer import viewing


def main() -> int:
    """Make the run, print the address, and serve."""
    with (
        tempfile.TemporaryDirectory() as place,
        pytest.MonkeyPatch.context() as patch,
        viewing(runs.numbered(Path(place), patch)) as client,
    ):
        print(client.address, flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
