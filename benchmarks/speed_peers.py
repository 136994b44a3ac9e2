"""What `benchmarks.speed` compares posetrail with: a plain loop, rtmlib's PoseTracker, and a single-pass network.

rtmlib and ultralytics are installed in environments of their own (peer_environment.py) and run in other processes; a
package that cannot be installed is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

from benchmarks.peer_environment import PeerProcess
from benchmarks.rtmlib_networks import CROP_PX, export_detector, export_estimator
from benchmarks.timing import Timing, timed
from detectors.letterbox import Letterbox
from detectors.nanodet import letterbox_of
from posetrail.errors import InputError
from posetrail.runtime import Network, Run, Runtime
from tracker.association.tracker import Tracker
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.io.video import Source
from tracker.runs.networks import Networks, open_networks
from tracker.settings import Settings

RTMLIB = "rtmlib==0.0.16"
RTMLIB_ROWS = {  # its default, then det_frequency as in its examples, some of which turn its tracking off
    "rtmlib PoseTracker": {"every": 1, "ids": True},
    "rtmlib, det_frequency=7": {"every": 7, "ids": True},
    "rtmlib, det_frequency=7, tracking=False": {"every": 7, "ids": False},
}
ULTRALYTICS = "ultralytics==8.3.228"
SINGLE_PASS = "yolo11n-pose"
SINGLE_PASS_PX = 640  # the size of its published scores
_SCRIPT = Path(__file__).with_name("speed_process.py")
_DETECTOR_PX = 768  # nanodet's own
_BATCH = 32

Step = Callable[[], Timing]


class PlainRuntime(Runtime):
    """All threads for one network call, one sample after the other, as an ONNX Runtime session runs by itself."""

    def load(self, network: Network) -> Run:
        """The network in a separate session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        weights = self.weights_of(network)
        graph: Path | bytes = network.graph
        if weights is network.int8:
            graph = weights.read()
        else:
            values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in weights.load().items()}
            options.add_external_initializers(list(values), list(values.values()))
            self.kept = [*getattr(self, "kept", []), values]  # a session reads its weights in place
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name

        def run(batch: np.ndarray) -> tuple[np.ndarray, ...]:
            answers = [session.run(None, {name: batch[i : i + 1]}) for i in range(len(batch))]
            return tuple(np.concatenate(output) for output in zip(*answers, strict=True))

        return run


def plain_loop(source: Source, networks: Networks, settings: Settings) -> tuple[int, int]:
    """Read, detect, estimate and associate, each step after the one before; gives the numbers of frames and poses."""
    assert networks.detector
    assert networks.estimator
    tracker, joints = Tracker(settings.association, networks.skeleton), len(networks.skeleton)
    frames = people = 0
    for frame in source.frames():
        (detections,) = networks.detector([frame])
        detections = detections[detections.scores >= settings.inference.min_box_score]
        (poses,) = networks.estimator([frame], [detections.boxes])
        poses, propagated = replace(poses, scores=detections.scores), PropagatedPoses.empty(joints)
        tracker.update_frame(PoseFrame(frame.index, frame.time_s, frame.name, poses, propagated))
        frames, people = frames + 1, people + len(poses)
    return frames, people


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the peers are given."""

    path: Path
    """The video file."""
    source: Source
    """The same file, opened."""
    settings: Settings
    """Of the plain loop; rtmlib uses the least score of a box."""
    threads: int
    folder: Path
    """For exported networks, which further clips use again."""


@contextmanager
def opened_peers(chosen: Sequence[str], work: Work) -> Iterator[dict[str, Step]]:
    """What to time, by the name of its row; prints in one line why a peer is left out.

    Args:
        chosen: of PEERS.
        work: for all of them.
    """
    steps: dict[str, Step] = {}
    with ExitStack() as stack:
        for name in chosen:
            try:
                steps |= PEERS[name](work, stack)
            except (FileNotFoundError, RuntimeError, InputError) as error:
                print(f"{name} is left out: {error}", flush=True)
        yield steps


def plain_steps(work: Work, stack: ExitStack) -> dict[str, Step]:
    """The plain loop."""
    networks = stack.enter_context(open_networks(work.settings, make_runtime=PlainRuntime))
    return {"plain loop": lambda: timed(lambda: plain_loop(work.source, networks, work.settings))}


def rtmlib_steps(work: Work, stack: ExitStack) -> dict[str, Step]:
    """The PoseTracker of rtmlib with the built-in networks; prints in how many frames it detects people."""
    height, width, _ = letterbox_of(_DETECTOR_PX).put(next(work.source.frames()).image).shape
    detector, estimator = work.folder / f"detector {height} x {width}.onnx", work.folder / "estimator.onnx"
    packages = (RTMLIB, _own_version("onnxruntime"))
    process = stack.enter_context(PeerProcess(packages, _SCRIPT))
    process.ask({"import": "rtmlib"})
    if not detector.exists():
        export_detector(detector, (height, width))
    if not estimator.exists():
        export_estimator(estimator)
    request = {
        "clip": str(work.path),
        "detector": str(detector),
        "detector_size": (height, width),
        "estimator": str(estimator),
        "estimator_size": (CROP_PX, CROP_PX),
        "min_score": work.settings.inference.min_box_score,
        "threads": work.threads,
    }
    steps: dict[str, Step] = {}
    for name, values in RTMLIB_ROWS.items():
        reply = process.ask(request | values)
        print(f"{name}: detection in {reply['detections']} of {reply['frames']} frames", flush=True)
        steps[name] = partial(_ask_timing, process, request | values)
    return steps


def _ask_timing(process: PeerProcess, request: dict[str, object]) -> Timing:
    reply = process.ask(request)
    del reply["detections"]
    return Timing(**reply)


def single_pass_steps(work: Work, stack: ExitStack) -> dict[str, Step]:
    """A single-pass network of ultralytics with random weights, with a square input and with one like the image."""
    runtime = stack.enter_context(Runtime("cpu", work.threads))
    image = next(work.source.frames()).image
    steps: dict[str, Step] = {}
    for square in (True, False):
        letterbox = Letterbox(SINGLE_PASS_PX, square=square, rounding=int)
        height, width, _ = letterbox.put(image).shape
        file = work.folder / f"{SINGLE_PASS} {height} x {width}.onnx"
        if not file.exists():
            _export_single_pass(file, (height, width))
        run = runtime.load_file(file).run
        steps[f"{SINGLE_PASS}, inference alone, {width} x {height}"] = partial(_inference, run, letterbox, work.source)
    return steps


def _export_single_pass(file: Path, size: tuple[int, int]) -> None:
    with TemporaryDirectory() as config:
        packages = (ULTRALYTICS, "onnx", _own_version("torch"), _own_version("onnxruntime"))
        # ultralytics writes its settings, installs what it misses, and reports its use, unless these are set.
        variables = {"YOLO_CONFIG_DIR": config, "YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}
        with PeerProcess(packages, _SCRIPT, variables) as process:
            process.ask({"export": SINGLE_PASS, "size": size, "folder": config, "output": str(file)})


def _inference(run: Run, letterbox: Letterbox, source: Source) -> Timing:
    """Time of the network calls alone, with as many samples at a time as the runtime has threads."""
    frames, seconds, cpu_seconds = 0, 0.0, 0.0
    reader = source.frames()
    while images := list(islice(reader, _BATCH)):
        batch = np.stack([letterbox.put(frame.image).transpose(2, 0, 1) for frame in images]).astype(np.float32) / 255
        inference = timed(partial(_samples, run, batch))
        frames += inference.frames
        seconds += inference.seconds
        cpu_seconds += inference.cpu_seconds
    return Timing(frames=frames, people=None, seconds=seconds, cpu_seconds=cpu_seconds)


def _samples(run: Run, batch: np.ndarray) -> tuple[int, None]:
    return len(run(batch)[0]), None


def _own_version(package: str) -> str:
    """The version installed here: the peer then runs the same one, and uv need not fetch it."""
    return f"{package}=={version(package).partition('+')[0]}"


PEERS: dict[str, Callable[[Work, ExitStack], dict[str, Step]]] = {
    "plain-loop": plain_steps,
    "rtmlib": rtmlib_steps,
    "single-pass": single_pass_steps,
}
