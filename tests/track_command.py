"""Commands on one clip with networks that read the truth: `python -m tests.track_command FRAMES track CLIP -o OUT ...`.

The process kills itself when its pose log has so many frames.
"""

from __future__ import annotations

import os
import signal
import sys

from tracker.cli.app import main
from tracker.frames import PoseFrame
from tracker.io.pose_log import PoseLogWriter
from tracker.runs import networks

from .batch_worlds import truth

if __name__ == "__main__":
    frames, *arguments = sys.argv[1:]
    append = PoseLogWriter.append

    def append_and_die(log: PoseLogWriter, frame: PoseFrame) -> None:
        append(log, frame)
        if frame.index + 1 == int(frames):
            os.kill(os.getpid(), signal.SIGKILL)

    PoseLogWriter.append = append_and_die  # type: ignore[method-assign]
    networks.open_networks = truth
    main(arguments)
