"""The same clips as Ray tasks, on a real cluster of several processes on this machine."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Detections
from tests.batch_worlds import WORLD, data_files, deadly_truth, in_this_process, task, truth, write_clips
from tests.conftest import REPOSITORY
from tests.worlds import TruthDetector
from tracker.batch.batch import run_batch
from tracker.batch.clip_list import find_clips
from tracker.batch.progress import Silent
from tracker.batch.table import summary
from tracker.runs.networks import Networks
from tracker.settings import NetworkSettings, Settings


@dataclass
class WaitsToBeTold(TruthDetector):
    """Stops after the first frames until somebody has heard of them."""

    mark: Path = Path()

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        give_up_s = time.monotonic() + 120
        while self.images_seen and not self.mark.exists() and time.monotonic() < give_up_s:
            time.sleep(0.05)
        return super().__call__(frames)


@contextmanager
def waiting_truth(mark: Path, settings: Settings) -> Iterator[Networks]:
    with truth(settings) as networks:
        yield replace(networks, detector=WaitsToBeTold(WORLD, mark=mark))


class Told(Silent):
    """Remembers what it was told."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark
        self.totals: dict[str, int | None] = {}
        self.frames: dict[str, int] = {}

    def opened(self, label: str, total: int | None) -> None:
        self.totals[label] = total

    def advanced(self, label: str, frames: int, people: int) -> None:
        self.frames[label] = frames
        self.mark.touch()


@contextmanager
def no_networks(_settings: Settings) -> Iterator[Networks]:
    raise InputError("no such weights")
    yield


@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_cluster_writes_what_one_process_writes_though_a_worker_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), *filter(None, sys.path)]))
    from tracker.batch.cluster import _ray, track_on_ray

    ray = _ray()

    clips = find_clips([write_clips(tmp_path / "clips", 4)], tmp_path)
    run_batch(clips, task(tmp_path / "here"), progress="none", run_clips=in_this_process)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        mark = tmp_path / "killed"

        def follow(listed, todo, _jobs, watch, *, stopped):  # type: ignore[no-untyped-def]
            return track_on_ray(listed, todo, watch, stopped=stopped, open_networks=partial(deadly_truth, mark))

        table = run_batch(clips, task(tmp_path / "ray"), progress="none", run_clips=follow)
        assert summary(table) == "4 clips: 4 complete"
        assert mark.exists()
        assert data_files(tmp_path / "ray") == data_files(tmp_path / "here")

        parts = replace(task(tmp_path / "parts"), segment_s=2.0, fps=4.0)
        told = Told(tmp_path / "told")

        def follow_slowly(listed, todo, _jobs, _watch, *, stopped):  # type: ignore[no-untyped-def]
            return track_on_ray(listed, todo, told, stopped=stopped, open_networks=partial(waiting_truth, told.mark))

        run_batch(clips[:1], replace(parts, output=tmp_path / "parts here"), progress="none", run_clips=in_this_process)
        assert summary(run_batch(clips[:1], parts, progress="none", run_clips=follow_slowly)) == "1 clip: 1 complete"
        assert data_files(tmp_path / "parts") == data_files(tmp_path / "parts here")
        totals = {f"{clips[0].name} [{part}]": frames for part, frames in ((1, 8), (2, 16), (3, 14))}  # with leads
        assert 0 < len(told.totals.items() & totals.items()) == len(told.totals)
        assert told.frames.keys() == told.totals.keys()
        assert min(told.frames.values()) > 0

        with pytest.raises(InputError, match="no such weights"):
            list(track_on_ray(clips, task(tmp_path / "none"), Silent(), open_networks=no_networks))
        with pytest.raises(InputError, match="no machine of the Ray cluster has 1 CPUs and 99 GPUs"):
            list(track_on_ray(clips, task(tmp_path / "none"), Silent(), gpus=99))
        stopped = list(
            track_on_ray(clips, task(tmp_path / "none"), Silent(), stopped=lambda: True, open_networks=truth)
        )
        assert stopped == []
    finally:
        ray.shutdown()


def test_what_belongs_to_the_other_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave it out, or see --cpus"):
        run_batch([], task(tmp_path), engine="ray", jobs=2, progress="none")
    with pytest.raises(InputError, match="expected --engine ray"):
        run_batch([], task(tmp_path), cpus=2, progress="none")


def test_without_ray_the_error_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    from tracker.batch.cluster import track_on_ray

    todo = replace(task(tmp_path), settings=Settings(networks=NetworkSettings()))
    with pytest.raises(InputError, match=r"pip install posetrail\[cluster\]"):
        list(track_on_ray([], todo, Silent()))
