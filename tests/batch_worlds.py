"""A folder of tiny clips and networks that read the truth, for batches in processes of their own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from posetrail.poses import Detections
from tracker.batch.batch import run_batch
from tracker.batch.clip import Task, track_listed_clip
from tracker.batch.clip_list import ListedClip, find_clips
from tracker.batch.table import Row, Table
from tracker.inference.propagation import create_flow
from tracker.runs.networks import Networks
from tracker.settings import InferenceSettings, Settings

from .worlds import TruthDetector, TruthEstimator, Walker, World, line, write_images

SETTINGS = Settings(inference=InferenceSettings(queue_frames=2, detect_every=2))
WORLD = World(
    (
        Walker(line((10, 40), (200, 0)), missed=lambda f: 8 <= f < 12, hidden=lambda f: f >= 100),
        Walker(line((150, 55), (-120, 0)), missed=lambda f: f % 5 == 3, hidden=lambda f: f >= 100),
    ),
    num_frames=22,
    size=(200, 160),
)


def write_clips(folder: Path, count: int) -> Path:
    for clip in range(count):
        write_images(World(WORLD.walkers, WORLD.num_frames + clip, size=WORLD.size), folder / f"clip {clip}")
    return folder


@contextmanager
def truth(_settings: Settings) -> Iterator[Networks]:
    yield Networks(TruthDetector(WORLD), TruthEstimator(WORLD), create_flow("lk"), (), "cpu")


class SlowDetector(TruthDetector):
    def __call__(self, frames):  # type: ignore[no-untyped-def]
        time.sleep(0.05)
        return super().__call__(frames)


@contextmanager
def slow_truth(_settings: Settings) -> Iterator[Networks]:
    yield Networks(SlowDetector(WORLD), TruthEstimator(WORLD), create_flow("lk"), (), "cpu")


@dataclass
class KillsItselfOnce(TruthDetector):
    """The worker dies in the middle of a clip, the first time a worker reaches it."""

    mark: Path = Path()
    is_closed: bool = False

    def _detect(self, index: int) -> Detections:
        assert not self.is_closed
        if index == 16 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._detect(index)


@contextmanager
def deadly_truth(mark: Path, settings: Settings) -> Iterator[Networks]:
    with truth(settings) as networks:
        detector = KillsItselfOnce(WORLD, mark=mark)
        try:
            yield replace(networks, detector=detector)
        finally:
            detector.is_closed = True  # even if the generator is dropped before its end


def task(output: Path) -> Task:
    return Task(output=output, settings=SETTINGS, more_formats=("mot", "parquet"))


def data_files(output: Path) -> dict[str, bytes]:
    """The contents of all files of a run or batch, by path, that are the same in every run.

    run.json and the table of a batch hold times, and locks hold process numbers; they are left out.
    """
    files = (path for path in output.rglob("*") if path.is_file())
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in files
        if path.name not in ("run.json", "batch.csv") and ".posetrail" not in path.parts
    }


def in_this_process(clips: list[ListedClip], todo: Task, *_: object, **__: object) -> Iterator[Row]:
    with truth(SETTINGS) as networks:
        for clip in clips:
            yield track_listed_clip(clip, networks, todo)


def batch(inputs: Path | list[Path], output: Path, **options: object) -> Table:
    listed = find_clips(inputs if isinstance(inputs, list) else [inputs], output)
    options = {"run_clips": in_this_process, "progress": "none", **options}
    return run_batch(listed, options.pop("task", task(output)), **options)  # type: ignore[arg-type]
