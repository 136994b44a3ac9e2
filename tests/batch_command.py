"""The batch command with networks that read the truth: `python -m tests.batch_command truth fork INPUT ... -o OUTPUT`.

The first argument is the name of the networks in tests/batch_worlds.py; the second how workers start: forked, which
takes a tenth of the time, or spawned, as they should be where a bar is shown by a thread.
"""

from __future__ import annotations

import sys
from functools import partial

from tracker.batch import workers
from tracker.cli.app import main

from . import batch_worlds

if __name__ == "__main__":
    networks, start_method, *arguments = sys.argv[1:]
    workers.track_in_processes = partial(
        workers.track_in_processes, open_networks=getattr(batch_worlds, networks), start_method=start_method
    )
    main(["batch", *arguments])
