"""Peak memory of `posetrail track` by the length of the clip: the same clip looped to 1, 10, 60 minutes.

    uv run python -m benchmarks.memory                           # the example clip, 640 x 360, 30 frames/s
    uv run python -m benchmarks.memory --minutes 1 10 60         # as in the documentation; hours
    uv run python -m benchmarks.memory --minutes 1 60 --clip CLIP -- --online

Each run is a separate process. Its peak is the maximum resident set size reported by the operating system; the peaks of
its stages, its open files and its temporary files are sampled four times a second.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from tracker.io.video import open_source
from tracker.io.video_writer import VideoWriter

EXAMPLE = Path(__file__).parents[1] / "examples" / "pose2sim_cam01.mp4"
SIZE, FPS = (640, 360), 30
PROGRAM = "from tracker.cli.app import main; main()"
FLAGS = ["--video", "--detect-every", "4", "--detector-input-px", "416"]
STAGES = ("inference", "association", "drawing")
SAMPLE_EVERY_S = 0.25


@dataclass(frozen=True)
class Use:
    """Resources used by a program at a moment, or their maxima."""

    mb: float = 0.0  # of all processes; shared pages count proportionally
    largest_mb: float = 0.0  # of the largest process, including shared pages
    files: int = 0  # open in one process
    temporary_mb: float = 0.0  # on disk: in TMPDIR, or deleted but open
    unfinished_mb: float = 0.0  # on disk: results before they get their final names

    def at_most(self, other: Use) -> Use:
        """The element-wise maximum."""
        return Use(*map(max, astuple(self), astuple(other)))


def watched(command: list[str], output: Path, stage: Callable[[], str] = lambda: "") -> tuple[dict[str, Use], float]:
    """Run a command that writes to a folder: its maximum use by stage, and the peak of its first process in MB."""
    uses: dict[str, Use] = defaultdict(Use)
    with tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": scratch})
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            with suppress(OSError):  # a process or a file may just have gone
                now = stage()
                uses[now] = uses[now].at_most(_use(process.pid, Path(scratch), output))
            time.sleep(SAMPLE_EVERY_S)
    if ended[1]:
        raise SystemExit(f"{' '.join(command)} failed")
    return uses, ended[2].ru_maxrss / 1024


def _use(pid: int, scratch: Path, output: Path) -> Use:
    family = _family(pid)
    share_mb, whole_mb = zip(*map(_memory_mb, family), strict=True)
    opened = [list(Path(f"/proc/{member}/fd").iterdir()) for member in family]
    unnamed = [file.stat() for files in opened for file in files if str(file.readlink()).endswith("(deleted)")]
    hidden = [file for file in output.rglob(".*.part") if ".posetrail" not in file.parts]
    in_scratch = [file for file in scratch.rglob("*") if file.is_file()]
    temporary = sum(each.st_size for each in (*unnamed, *(file.stat() for file in in_scratch)))
    unfinished = sum(file.stat().st_size for file in hidden)
    return Use(sum(share_mb), max(whole_mb), max(map(len, opened)), temporary / 1e6, unfinished / 1e6)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


def _memory_mb(pid: int) -> tuple[float, float]:
    """Memory of a process in MB: with shared pages counted proportionally, and with all of them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kilobytes = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
    return kilobytes["Pss:"] / 1024, kilobytes["Rss:"] / 1024


def looped(clip: Path, minutes: float, path: Path) -> Path:
    """The clip scaled down and looped forwards and backwards for that many minutes."""
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


def stage_of(run: Path) -> str:
    """The current stage of a run, recognised by the files in its folder."""
    if (run / "tracks.csv").exists():
        return "drawing"
    return "association" if (run / ".tracks.csv.part").exists() else "inference"


def main() -> None:
    """Print one line for each length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=EXAMPLE)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10])
    parser.add_argument("flags", nargs="*", default=FLAGS, help=f"flags of posetrail track, after --: {FLAGS}")
    given = parser.parse_args()
    print("flags:", *given.flags)
    print(f"minutes  peak MB  rel. to first  {'  '.join(STAGES)}  open files  temporary MB  took", flush=True)
    first = 0.0
    with tempfile.TemporaryDirectory() as place:
        for minutes in given.minutes:
            clip = looped(given.clip, minutes, Path(place) / f"{minutes:g} minutes.mp4")
            run = Path(place) / "out" / clip.stem
            command = [sys.executable, "-c", PROGRAM, "track", str(clip), "-o", str(run.parent), "--progress", "none"]
            began = time.monotonic()
            uses, peak = watched([*command, *given.flags], run, partial(stage_of, run))
            first = first or peak
            stages = "  ".join(f"{uses[stage].largest_mb:{len(stage)}.0f}" for stage in STAGES)
            files, temporary = (max(getattr(use, what) for use in uses.values()) for what in ("files", "temporary_mb"))
            took = f"{(time.monotonic() - began) / 60:.1f} min"
            print(
                f"{minutes:7g}  {peak:7.1f}  {peak / first:12.3f}  {stages}  {files:10d}  {temporary:12.1f}  {took}",
                flush=True,
            )


if __name__ == "__main__":
    main()
