"""How fast the viewer is on a long run: an hour at 30 fps with five people, 108,000 frames, all invented.

    uv run python -m benchmarks.viewer make RUN --frames 108000     a clip and its run, some minutes
    uv run python -m benchmarks.viewer measure RUN                  the viewer in a process of its own

`measure` prints the time until the server answers, until all that the page shows first has come, with and without a
preview, the times of jumps to random frames (a window of poses, and the preview's bytes from which a browser plays) and
of stills, early and late in the clip, and the memory of the server before and after.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import requests

from posetrail.frame import Frame
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.io.pose_log import PoseLogWriter
from tracker.io.video import open_source
from tracker.io.video_writer import VideoWriter
from tracker.runs.infer import header_of, keep_index, record_of
from tracker.runs.networks import Networks
from tracker.runs.record import LOG, Inferred, write_record
from tracker.settings import Settings

WIDTH, HEIGHT, FPS = 640, 360, 30
PEOPLE = 5
WINDOW = 120  # frames of poses that the page asks for at once
JUMPS = 40
SHARE_OF_JOINTS = np.random.default_rng(0).uniform(0.1, 0.9, (17, 2)).astype(np.float32)


def boxes_at(index: int) -> np.ndarray:
    """Where the people are in a frame (5, 4)."""
    k = np.arange(PEOPLE)
    x = 40 + 110 * k + 30 * np.sin(index / (70 + 11 * k))
    y = 60 + 20 * np.sin(index / (50 + 7 * k))
    return np.stack([x, y, x + 60, y + 180], axis=1)


class NoEstimator:
    """Stands for the estimator in the record of the run."""

    skeleton = COCO_17

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        """Nothing is estimated."""
        raise NotImplementedError


def poses_at(index: int) -> Poses:
    """The same pose in every box."""
    boxes = boxes_at(index).astype(np.float32)
    keypoints = boxes[:, None, :2] + SHARE_OF_JOINTS * (boxes[:, None, 2:] - boxes[:, None, :2])
    scores = np.full(PEOPLE, 0.9, np.float32)
    return Poses(keypoints, np.full((PEOPLE, 17), 0.9), boxes, scores, np.zeros(PEOPLE))


def make(run: Path, frames: int) -> None:
    """Write RUN.mp4, whose pictures show rectangles for people, and its run."""
    clip = run.with_suffix(".mp4")
    if not clip.exists():
        wall = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 5)
        with VideoWriter(clip, WIDTH, HEIGHT, FPS) as video:
            for index in range(frames):
                image = wall.copy()
                for k, (x0, y0, x1, y1) in enumerate(boxes_at(index).round().astype(int).tolist()):
                    cv2.rectangle(image, (x0, y0), (x1, y1), (40 * k, 120, 255 - 40 * k), -1)
                video.add(image, index / FPS)
    source = open_source(clip)
    networks = Networks(None, NoEstimator(), None, (), "cpu")
    settings = Settings()
    run.mkdir(exist_ok=True)
    nothing = PropagatedPoses.empty(17)
    (run / LOG).unlink(missing_ok=True)
    with PoseLogWriter(run / LOG, header_of(source, networks, settings)) as log:
        for index in range(frames):
            log.append(PoseFrame(index, index / FPS, f"{index:06d}.jpg", poses_at(index), nothing))
    keep_index(source, run)
    write_record(run, record_of(source, networks, settings, Inferred("complete", "", log.place.log_end)))


class Viewer:
    """`posetrail view` in a process of its own."""

    def __init__(self, run: Path) -> None:
        self._began = time.perf_counter()
        command = [sys.executable, "-m", "posetrail", "view", str(run)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        self.root = self.address.partition("/?")[0]
        self.session = requests.Session()
        self.session.get(self.address, allow_redirects=False, timeout=600).raise_for_status()

    def since_start_s(self) -> float:
        """Seconds since the command was entered."""
        return time.perf_counter() - self._began

    def get(self, path: str, **headers: str) -> bytes:
        """The content of an answer of the run."""
        answer = self.session.get(f"{self.root}/runs/0/{path}", headers=headers, timeout=600)
        answer.raise_for_status()
        return answer.content

    def megabytes(self) -> float:
        """Resident memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def close(self) -> None:
        """Ctrl-C."""
        self.process.terminate()
        self.process.wait()


def timed_ms(viewer: Viewer, *paths: str) -> float:
    """Milliseconds until all of these have come, one after the other."""
    began = time.perf_counter()
    for path in paths:
        viewer.get(path)
    return 1000 * (time.perf_counter() - began)


def row(name: str, times_ms: Sequence[float]) -> str:
    """Median and 95 % quantile."""
    return f"{name:48} {statistics.median(times_ms):8.0f} ms   95 %: {np.quantile(times_ms, 0.95):.0f} ms"


def places(frames: int, count: int) -> list[int]:
    """Random frames, the same ones every time."""
    generator = random.Random(0)
    return [generator.randrange(frames) for _ in range(count)]


def measure(run: Path) -> None:
    """Print the figures of a run."""
    for attempt in ("first time", "again"):
        viewer = Viewer(run)
        print(f"{attempt}: address {viewer.since_start_s():.2f} s", end="")
        about = viewer.session.get(f"{viewer.root}/runs/0/api/run", timeout=600).json()
        print(f", api/run {viewer.since_start_s():.2f} s", end="")
        viewer.get("still/0.jpg")
        print(f", first still {viewer.since_start_s():.2f} s", end="")
        viewer.get("preview/0.mp4")
        print(f", first preview {viewer.since_start_s():.2f} s", end="")
        viewer.get(f"api/poses?first=0&count={WINDOW}")
        print(f", first poses {viewer.since_start_s():.2f} s", end="")
        viewer.get("api/overview")
        print(f", overview {viewer.since_start_s():.2f} s")
        if attempt == "first time":
            viewer.close()
    frames, length = about["num_frames"], about["preview"]["piece_frames"]
    before = viewer.megabytes()
    pieces = random.Random(1).sample(range(frames // length), min(12, frames // length))
    made = [timed_ms(viewer, f"preview/{piece}.mp4") for piece in pieces]
    print(row(f"making a piece of {length} frames", made))
    jumps = [(piece * length, f"preview/{piece}.mp4") for piece in pieces for _ in range(4)]
    jumped = [timed_ms(viewer, f"api/poses?first={first}&count={WINDOW}", piece) for first, piece in jumps]
    print(row("jump: poses and a whole piece that is made", jumped))
    positions = places(frames, JUMPS)
    print(row("still of a random frame", [timed_ms(viewer, f"still/{position}.jpg") for position in positions]))
    for name, first in (("early", 100), ("late", frames - 200)):
        steps = range(first, first + 60)
        print(row(f"{name}: still, one step forward", [timed_ms(viewer, f"still/{k}.jpg") for k in steps]))
        print(row(f"{name}: still, one step back", [timed_ms(viewer, f"still/{k}.jpg") for k in reversed(steps)]))
        windows = [timed_ms(viewer, f"api/poses?first={first}&count={WINDOW}") for _ in range(20)]
        print(row(f"{name}: {WINDOW} frames of poses", windows))
    print(f"memory: {before:.0f} MB after opening, {viewer.megabytes():.0f} MB after all this")
    viewer.close()


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["make", "measure"])
    parser.add_argument("run", type=Path)
    parser.add_argument("--frames", type=int, default=108_000)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.run, arguments.frames)
    else:
        measure(arguments.run)


if __name__ == "__main__":
    main()
