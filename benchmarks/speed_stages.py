"""Time of each stage of tracking alone, for `benchmarks.speed`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.candidates import with_values
from tracker.association.tracker import Tracker
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.inference.propagation import LucasKanade, move_people
from tracker.io.drawing import Trails, draw_people
from tracker.io.video import Source
from tracker.io.video_writer import VideoWriter
from tracker.runs.networks import open_networks
from tracker.settings import Settings


class Stopwatch:
    """Milliseconds by stage: `with watch.of("decode"): ...`."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Record the duration of the block."""
        started = time.perf_counter()
        yield
        self.spent.setdefault(stage, []).append((time.perf_counter() - started) * 1e3)


def stages(source: Source, settings: Settings, most: int = 60) -> dict[str, float]:
    """Median milliseconds per frame of each stage on one thread, with detection in every frame."""
    watch = Stopwatch()
    flow, trails = LucasKanade(), Trails()
    settings = with_values(settings, {"threads": 1})
    with open_networks(settings) as networks, tempfile.TemporaryDirectory() as folder:
        assert networks.detector
        assert networks.estimator
        frames, skeleton = source.frames(), networks.skeleton
        tracker = Tracker(settings.association, skeleton)
        before, last = None, np.zeros((0, len(skeleton), 2), np.float32)
        with VideoWriter(Path(folder) / "video.mp4", source.width, source.height, source.fps) as video:
            for _ in range(most):
                with watch.of("decode"):
                    frame = next(frames, None)
                if frame is None:
                    break
                with watch.of("detect"):
                    (detections,) = networks.detector([frame])
                detections = detections[detections.scores >= settings.inference.min_box_score]
                with watch.of("joints"):
                    (poses,) = networks.estimator([frame], [detections.boxes])
                with watch.of("flow"):
                    now = flow.prepare(frame.image)
                    if before is not None:
                        move_people(flow, before, now, last)
                before, last = now, poses.keypoints
                poses, propagated = replace(poses, scores=detections.scores), PropagatedPoses.empty(len(skeleton))
                seen = PoseFrame(frame.index, frame.time_s, "", poses, propagated)
                with watch.of("associate"):
                    people = tracker.update_frame(seen)
                with watch.of("draw"):
                    trails.add(frame.time_s, people, skeleton)
                    drawn = draw_people(frame.image, people, skeleton, trails=trails)
                with watch.of("encode"):
                    video.add(drawn, frame.time_s)
    return {stage: median(spent) for stage, spent in watch.spent.items()}
