"""Whether memory stays flat: peak memory of `posetrail track` on a clip looped to one minute and to ten.

    uv run python -m benchmarks.memory                     # the example clip, 640 x 360, 30 frames/s
    uv run python -m benchmarks.memory --minutes 1 60 --clip CLIP

Each run is a process of its own; its peak is what the operating system says of it at its end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from tracker.video import open_source
from tracker.video_out import VideoWriter

EXAMPLE = Path(__file__).parents[1] / "examples" / "pose2sim_cam01.mp4"
SIZE, FPS = (640, 360), 30


def looped(clip: Path, minutes: float, path: Path) -> Path:
    """The clip there and back again and again, small, for so many minutes."""
    frames = [fitted(frame.image) for frame in open_source(clip, stride=2).frames()]
    with VideoWriter(path, *SIZE, fps=FPS) as video:
        for i, image in enumerate(islice(cycle(frames + frames[-2:0:-1]), round(minutes * 60 * FPS))):
            video.add(image, i / FPS)
    return path


def fitted(image: np.ndarray) -> np.ndarray:
    """The image scaled into the middle of a frame of SIZE."""
    scale = min(SIZE[0] / image.shape[1], SIZE[1] / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    left = (SIZE[0] - small.shape[1]) // 2
    canvas[: small.shape[0], left : left + small.shape[1]] = small[: SIZE[1]]
    return canvas


def peak_mb(clip: Path, folder: Path, flags: list[str]) -> float:
    """Peak resident memory of one run, megabytes."""
    program = "from tracker.cli import main; main()"
    command = [sys.executable, "-c", program, "track", str(clip), "-o", str(folder), "--progress", "none", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_maxrss / 1024


def main() -> None:
    """Print one line for each length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=EXAMPLE)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10])
    parser.add_argument("flags", nargs="*", help="flags of posetrail track, after --")
    arguments = parser.parse_args()
    first = None
    with tempfile.TemporaryDirectory() as folder:
        for minutes in arguments.minutes:
            clip = looped(arguments.clip, minutes, Path(folder) / f"{minutes:g} minutes.mp4")
            peak = peak_mb(clip, Path(folder) / "out", arguments.flags)
            first = first or peak
            print(f"{minutes:6g} minutes  peak {peak:7.1f} MB  {peak / first:.3f} of the first", flush=True)


if __name__ == "__main__":
    main()
