"""`python -m tests.batch_command INPUT ... -o OUTPUT`: the batch command, with networks that read the truth, slowly."""

from __future__ import annotations

import sys
from functools import partial

from tracker import workers
from tracker.cli import main

from .batch_worlds import slow_truth

if __name__ == "__main__":
    workers.follow_here = partial(workers.follow_here, open_networks=slow_truth)
    main(["batch", *sys.argv[1:]])
