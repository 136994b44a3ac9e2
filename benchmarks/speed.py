"""Speed of posetrail compared with its networks alone and with a plain sequential loop, all in one run.

    uv run python -m benchmarks.speed                  # 2, 5 and 10 people, cut from the example clip
    uv run python -m benchmarks.speed --clips CLIP [CLIP ...]

For each clip, alternating and several times, because timings vary:

- posetrail: `track_to_folder` with pose log, PoseTrack JSON and CSV; also with the video drawn.
- networks alone: the network inputs of that run, given to the same networks by the same workers and nothing else.
- plain loop: read, detect, estimate joints, associate, one after the other; ONNX Runtime with its default options.

Then milliseconds per frame of each stage on one thread, without overlap.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import onnxruntime

from detectors import create_detector
from estimators import create_estimator
from posetrail.runtime import Network, Run, Runtime
from posetrail.skeletons import COCO_17
from tracker.association.tracker import Tracker
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.inference.propagation import LucasKanade, create_flow, move_people
from tracker.io.drawing import Trails, draw_people
from tracker.io.video import Source, open_source
from tracker.io.video_writer import VideoWriter
from tracker.runs.folder import run_clip
from tracker.runs.networks import Networks
from tracker.settings import Settings

EXAMPLE = Path(__file__).parents[1] / "examples" / "pose2sim_cam01.mp4"
SIZE = (1280, 720)
TWO_PEOPLE, ONE_PERSON = (150, 100, 1088, 1820), (560, 700, 1088, 1820)  # x1 y1 x2 y2 in the example clip
SETTINGS = Settings()


class RecordingRuntime(Runtime):
    """Records the inputs of the networks, to replay them."""

    inputs: list[tuple[Run, np.ndarray]]

    def load(self, network: Network) -> Run:
        """The network; its batches are recorded while `recording` is set."""
        run = super().load(network)
        self.inputs, self.recording = [], False

        def recorded(batch: np.ndarray) -> tuple[np.ndarray, ...]:
            if self.recording:
                self.inputs.append((run, batch))
            return run(batch)

        return recorded


class PlainRuntime(Runtime):
    """ONNX Runtime with its default options: all cores for one call, batches as they come."""

    def load(self, network: Network) -> Run:
        """The network in a separate session."""
        options = onnxruntime.SessionOptions()
        weights = network.weights.load()
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
        options.add_external_initializers(list(weights), values)
        self.kept = [*getattr(self, "kept", []), values]  # a session reads its weights in place
        session = onnxruntime.InferenceSession(network.graph, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name

        def run(batch: np.ndarray) -> tuple[np.ndarray, ...]:
            answers = [session.run(None, {name: batch[i : i + 1]}) for i in range(len(batch))]
            return tuple(np.concatenate(output) for output in zip(*answers, strict=True))

        return run


def loaded(runtime: Runtime) -> Networks:
    """The default networks in this runtime."""
    detector = create_detector("nanodet", runtime=runtime)
    estimator = create_estimator("movenet_thunder", runtime=runtime)
    return Networks(detector, estimator, create_flow(SETTINGS.inference.flow), (), runtime.device)


def run_posetrail(source: Source, networks: Networks, *, video: bool) -> tuple[float, int, float]:
    """Seconds, frames and people per frame of one run to a folder."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        outcome = run_clip(source, Path(folder), networks, SETTINGS, video=video)
        return time.perf_counter() - started, outcome.frames, outcome.poses / outcome.frames


def networks_alone(runtime: RecordingRuntime) -> float:
    """Seconds for the recorded inputs alone, in large batches of each network, so that no worker waits."""
    started = time.perf_counter()
    for network in dict.fromkeys(run for run, _ in runtime.inputs):
        batches = [batch for run, batch in runtime.inputs if run is network]
        for shape in dict.fromkeys(batch.shape[1:] for batch in batches):
            samples = np.concatenate([batch for batch in batches if batch.shape[1:] == shape])
            for at in range(0, len(samples), 32):
                network(samples[at : at + 32])
    return time.perf_counter() - started


def plain_loop(source: Source, networks: Networks) -> float:
    """Seconds of a sequential loop, in which each step waits for the one before."""
    started = time.perf_counter()
    tracker = Tracker(SETTINGS.association, COCO_17)
    for frame in source.frames():
        (detections,) = networks.detector([frame])
        detections = detections[detections.scores >= SETTINGS.inference.min_box_score]
        (poses,) = networks.estimator([frame], [detections.boxes])
        seen = PoseFrame(
            frame.index, frame.time_s, frame.name, replace(poses, scores=detections.scores), PropagatedPoses.empty(17)
        )
        tracker.update_frame(seen)
    return time.perf_counter() - started


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


def stages(source: Source, most: int = 60) -> dict[str, float]:
    """Median milliseconds per frame of each stage on one thread."""
    watch = Stopwatch()
    flow, tracker, trails = LucasKanade(), Tracker(SETTINGS.association, COCO_17), Trails()
    before, last = None, np.zeros((0, 17, 2), np.float32)
    with Runtime("cpu", threads=1) as runtime, tempfile.TemporaryDirectory() as folder:
        networks, frames = loaded(runtime), source.frames()
        with VideoWriter(Path(folder) / "video.mp4", source.width, source.height, source.fps) as video:
            for _ in range(most):
                with watch.of("decode"):
                    frame = next(frames, None)
                if frame is None:
                    break
                with watch.of("detect"):
                    (detections,) = networks.detector([frame])
                detections = detections[detections.scores >= SETTINGS.inference.min_box_score]
                with watch.of("joints"):
                    (poses,) = networks.estimator([frame], [detections.boxes])
                with watch.of("flow"):
                    now = flow.prepare(frame.image)
                    if before is not None:
                        move_people(flow, before, now, last)
                before, last = now, poses.keypoints
                seen = PoseFrame(
                    frame.index, frame.time_s, "", replace(poses, scores=detections.scores), PropagatedPoses.empty(17)
                )
                with watch.of("associate"):
                    people = tracker.update_frame(seen)
                with watch.of("draw"):
                    trails.add(frame.time_s, people, COCO_17)
                    drawn = draw_people(frame.image, people, COCO_17, trails=trails)
                with watch.of("encode"):
                    video.add(drawn, frame.time_s)
    return {stage: median(spent) for stage, spent in watch.spent.items()}


def crowd(people: int, path: Path) -> Path:
    """A clip with that many people: parts of the example clip side by side, 60 frames of 1280 x 720."""
    panels = [TWO_PEOPLE] * (people // 2) + [ONE_PERSON] * (people % 2)
    width = SIZE[0] // len(panels)
    with VideoWriter(path, *SIZE, fps=30) as video:
        for i, frame in enumerate(open_source(EXAMPLE, end_s=1.0).frames()):
            canvas = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
            for at, (x1, y1, x2, y2) in enumerate(panels):
                scale = min(width / (x2 - x1), SIZE[1] / (y2 - y1))
                size = (int((x2 - x1) * scale), int((y2 - y1) * scale))
                panel = cv2.resize(frame.image[y1:y2, x1:x2], size, interpolation=cv2.INTER_AREA)
                canvas[: size[1], at * width : at * width + size[0]] = panel
            video.add(canvas, i / 30)
    return path


def measure(path: Path, rounds: int) -> None:
    """Print one clip's figures."""
    source = open_source(path)
    with RecordingRuntime("cpu") as runtime, PlainRuntime("cpu") as plain:
        networks, plain_networks = loaded(runtime), loaded(plain)
        runtime.recording = True
        _, frames, people = run_posetrail(source, networks, video=False)
        runtime.recording = False
        crops = sum(len(batch) for _, batch in runtime.inputs if batch.shape[1:3] == (256, 256))
        seconds: dict[str, list[float]] = {
            "networks alone": [],
            "posetrail": [],
            "posetrail, video": [],
            "plain loop": [],
        }
        for _ in range(rounds):
            seconds["networks alone"].append(networks_alone(runtime))
            seconds["posetrail"].append(run_posetrail(source, networks, video=False)[0])
            seconds["posetrail, video"].append(run_posetrail(source, networks, video=True)[0])
            seconds["plain loop"].append(plain_loop(source, plain_networks))
    print(f"\n{path.name}: {source.width} x {source.height}, {frames} frames, {people:.1f} people and ", end="")
    print(f"{crops / frames:.1f} crops per frame, {runtime.threads} threads")
    for name, times in seconds.items():
        to_limit = median(a / b for a, b in zip(seconds["networks alone"], times, strict=True))
        to_plain = median(b / a for a, b in zip(times, seconds["plain loop"], strict=True))
        rate = frames / median(times)
        print(f"  {name:<16} {rate:6.1f} frames/s   {to_limit:5.2f} x networks alone   {to_plain:5.2f} x plain loop")
    by_stage = "  ".join(f"{stage} {ms:.1f}" for stage, ms in stages(source).items())
    print(f"  one thread, ms per frame: {by_stage}")


def main() -> None:
    """Measure the given clips, or synthetic ones of 2, 5 and 10 people."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", type=Path, default=[])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for clip in arguments.clips:
        measure(clip, arguments.rounds)
    if not arguments.clips:
        with tempfile.TemporaryDirectory() as folder:
            for people in (2, 5, 10):
                measure(crowd(people, Path(folder) / f"{people} people.mp4"), arguments.rounds)


if __name__ == "__main__":
    main()
