"""Throughput of a batch with N jobs, and its memory as the number of clips grows.

    uv run python -m benchmarks.batch                       # both; some minutes
    uv run python -m benchmarks.batch --only memory --clips 1 10 100

Throughput: the same clips with one job on one CPU and with N jobs, alternating, so that other load on the machine
affects both. Times are from the start of the first clip to the end of the last, with the start of the processes listed
separately, and CPU seconds, which are comparable on a busy machine: N jobs should take no more than one.
Memory: the maximum over all processes together and of the largest one, read from /proc four times a second (shared
pages count proportionally); the files open in one process; and temporary files on disk: in TMPDIR, deleted but open,
and results before they get their final names. There are never more workers than clips.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from posetrail.runtime import usable_cpus
from tracker.batch.table import read_table

from .memory import EXAMPLE, FLAGS, PROGRAM, looped, watched


def _command(inputs: Path, output: Path, jobs: int) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, "batch", str(inputs), "-o", str(output), "--jobs", str(jobs)]
    return [*command, "--progress", "none"]


def seconds(inputs: Path, output: Path, jobs: int, flags: list[str]) -> tuple[float, float, float]:
    """Wall-clock seconds of a batch with and without the start of its processes, and their CPU seconds."""
    shutil.rmtree(output, ignore_errors=True)
    started, used = time.time(), _cpu_seconds()
    subprocess.run([*_command(inputs, output, jobs), *flags], stdout=subprocess.DEVNULL, check=True)
    ended = time.time()
    rows = read_table(output / "batch.csv")
    first = min((output / row.clip / "run.json").stat().st_mtime - row.seconds for row in rows)
    return ended - started, ended - first, _cpu_seconds() - used


def _cpu_seconds() -> float:
    """CPU seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def throughput(clips: Path, output: Path, jobs: int, rounds: int, flags: list[str]) -> None:
    """Compare one job with N jobs, alternating."""
    alone, together = [], []
    for _ in range(rounds):
        alone.append(seconds(clips, output, 1, ["--threads", "1", *flags]))
        together.append(seconds(clips, output, jobs, flags))
        frames = sum(row.frames for row in read_table(output / "batch.csv"))
        one, many = alone[-1], together[-1]
        print(
            f"1 job {one[1]:6.1f} s, CPU {one[2]:6.1f} s   {jobs} jobs {many[1]:6.1f} s, CPU {many[2]:6.1f} s   "
            f"{frames} frames",
            flush=True,
        )
    whole, working = (
        (statistics.median(a[i] for a in alone), statistics.median(t[i] for t in together)) for i in (0, 1)
    )
    for name, (one, many) in (("without process start", working), ("with process start", whole)):
        print(f"{name}: {jobs} jobs are {one / many:.2f} times as fast as one, efficiency {one / many / jobs:.2f}")


def memory(clip: Path, folder: Path, counts: list[int], jobs: int, flags: list[str]) -> None:
    """Print one line for each number of clips."""
    print("clips  workers  peak MB  largest worker MB  open files  temporary MB  unfinished results MB", flush=True)
    for count in counts:
        output = folder / "out"
        shutil.rmtree(output, ignore_errors=True)
        command = [*_command(copies(clip, folder / f"{count}", count), output, jobs), *flags]
        use = watched(command, output)[0][""]
        workers = min(jobs, count)
        print(
            f"{count:5d}  {workers:7d}  {use.mb:7.1f}  {use.largest_mb:17.1f}  {use.files:10d}  "
            f"{use.temporary_mb:12.2f}  {use.unfinished_mb:21.2f}",
            flush=True,
        )


def copies(clip: Path, folder: Path, count: int) -> Path:
    """A folder with that many symbolic links to the clip."""
    folder.mkdir()
    for number in range(count):
        (folder / f"clip {number:03d}{clip.suffix}").symlink_to(clip)
    return folder


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["throughput", "memory"])
    parser.add_argument("--jobs", type=int, default=usable_cpus())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--clips", type=int, nargs="+", default=[1, 10, 100], help="numbers of clips for the memory table"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a clip")
    parser.add_argument("flags", nargs="*", help="flags of posetrail batch, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        clip = looped(EXAMPLE, given.seconds / 60, folder / "clip.mp4")
        if given.only != "memory":
            clips = copies(clip, folder / "throughput", 4 * given.jobs)
            throughput(clips, folder / "out", given.jobs, given.rounds, given.flags)
        if given.only != "throughput":
            memory(clip, folder, given.clips, given.jobs, given.flags or FLAGS)


if __name__ == "__main__":
    main()
