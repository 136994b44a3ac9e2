"""Speed of posetrail beside its networks alone and beside what else people run, all in one run.

    uv run python -m benchmarks.speed                  # 1, 2, 5 and 10 people, cut from the example clip
    uv run python -m benchmarks.speed --clips CLIP [CLIP ...] --set detect_every=3 --set detector_input_px=416
    uv run python -m benchmarks.speed --people 5 --baseline-set detect_every=2 --candidates default --peers plain-loop

Each clip is measured with everything in turns and several times, because timings vary; ratios are medians over the
rounds. For each configuration (the baseline, and those of --candidates and --set):

- tracked: a run to a folder with pose log, PoseTrack JSON and CSV;
- networks alone: the network inputs of that run, given to the same networks by the same workers and nothing else;
- with video: the run with video.mp4.

Then the peers, with as many threads:

- plain loop: read, detect, estimate joints, associate, one after the other; the networks of the baseline.
- rtmlib PoseTracker: reading by OpenCV, then rtmlib's detection, crops and tracking; the built-in networks as ONNX
  files in float32, the detector without its second pass for people who fill the image. Detection in every frame is
  rtmlib's default; det_frequency=7, with and without ids, is in its examples.
- a single-pass network of ultralytics' smallest size with random weights: the network calls alone, without reading,
  preprocessing, NMS and tracking.

Finally milliseconds per frame of each stage on one thread, without overlap, with detection in every frame. CPU time is
of all threads of the process; on a busy machine it varies less than frames/s. Use `taskset` for fewer cores than the
machine has.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from benchmarks.candidates import add_candidate_arguments, chosen_candidates, values_of, with_values
from benchmarks.speed_peers import PEERS, Step, Work, opened_peers
from benchmarks.speed_stages import stages
from benchmarks.timing import Timing, timed
from posetrail.errors import InputError
from posetrail.runtime import Network, OnnxFile, Run, Runtime, usable_cpus
from tracker.io.video import Source, open_source
from tracker.io.video_writer import VideoWriter
from tracker.runs.folder import run_clip
from tracker.runs.networks import Networks, open_networks
from tracker.settings import Settings

if TYPE_CHECKING:
    import torch

CONFIGURATIONS: dict[str, dict[str, Any]] = {  # the first is the baseline of all ratios
    "every frame, float32": {"precision": "float32", "detect_every": 1},
    "default": {},
}
TRACKED, ALONE, VIDEO = "tracked", "networks alone", "with video"

EXAMPLE = Path(__file__).parents[1] / "examples" / "pose2sim_cam01.mp4"
SIZE = (1280, 720)
TWO_PEOPLE, ONE_PERSON = (150, 100, 1088, 1820), (560, 700, 1088, 1820)  # x1 y1 x2 y2 in the example clip

Timings = dict[str, dict[str, list[Timing]]]
"""By configuration or peer, then by what was timed: TRACKED, and ALONE and VIDEO for configurations."""


class RecordingRuntime(Runtime):
    """Records the inputs of the networks while `recording` is set, to replay them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.inputs: list[tuple[Run, np.ndarray]] = []
        self.recording = False

    def load(self, network: Network) -> Run:
        """The network of the package."""
        return self._recorded(super().load(network))

    def load_file(self, *args: Any, **options: Any) -> OnnxFile:
        """The file's network."""
        file = super().load_file(*args, **options)
        return replace(file, run=self._recorded(file.run))

    def load_module(self, module: torch.nn.Module) -> Run:
        """The module."""
        return self._recorded(super().load_module(module))

    def _recorded(self, run: Run) -> Run:
        def recorded(batch: np.ndarray) -> tuple[np.ndarray, ...]:
            if self.recording:
                self.inputs.append((run, batch))
            return run(batch)

        return recorded

    def replay(self) -> None:
        """Run the recorded inputs in large batches of each network, so that no worker waits."""
        for network in dict.fromkeys(run for run, _ in self.inputs):
            batches = [batch for run, batch in self.inputs if run is network]
            for shape in dict.fromkeys(batch.shape[1:] for batch in batches):
                samples = np.concatenate([batch for batch in batches if batch.shape[1:] == shape])
                for at in range(0, len(samples), 32):
                    network(samples[at : at + 32])

    def sizes(self) -> Counter[str]:
        """How many samples of each height and width were recorded."""
        counts: Counter[str] = Counter()
        for _, batch in self.inputs:
            height, width = batch.shape[1:3] if batch.shape[3] == 3 else batch.shape[2:]
            counts[f"{width} x {height}"] += len(batch)
        return counts


def run_posetrail(source: Source, networks: Networks, settings: Settings, *, video: bool) -> tuple[int, int]:
    """Frames and poses of one run to a folder."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_clip(source, Path(folder), networks, settings, video=video)
        return outcome.frames, outcome.poses


@contextmanager
def opened_configuration(name: str, source: Source, settings: Settings) -> Iterator[dict[str, Step]]:
    """What to time of a configuration; prints how many network inputs it computes."""
    runtimes: list[RecordingRuntime] = []

    def make_runtime(*args: Any, **options: Any) -> Runtime:
        runtimes.append(RecordingRuntime(*args, **options))
        return runtimes[-1]

    with open_networks(settings, make_runtime=make_runtime) as networks:
        (runtime,) = runtimes
        runtime.recording = True
        frames, people = run_posetrail(source, networks, settings, video=False)
        runtime.recording = False
        inputs = ", ".join(f"{count / frames:.2f} of {size}" for size, count in runtime.sizes().items())
        print(f"{name}: network inputs per frame: {inputs}", flush=True)

        def replay() -> tuple[int, int]:
            runtime.replay()
            return frames, people

        yield {
            TRACKED: lambda: timed(lambda: run_posetrail(source, networks, settings, video=False)),
            ALONE: lambda: timed(replay),
            VIDEO: lambda: timed(lambda: run_posetrail(source, networks, settings, video=True)),
        }


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


def measure(
    path: Path, configurations: Mapping[str, Settings], peers: Sequence[str], rounds: int, threads: int, folder: Path
) -> None:
    """Print one clip's figures; the first configuration is the baseline."""
    source, baseline = open_source(path), next(iter(configurations))
    print(f"\n### {path.stem}\n", flush=True)
    with ExitStack() as stack:
        steps: dict[str, dict[str, Step]] = {}
        for name, settings in configurations.items():
            steps[name] = stack.enter_context(opened_configuration(name, source, settings))
        work = Work(path=path, source=source, settings=configurations[baseline], threads=threads, folder=folder)
        for name, step in stack.enter_context(opened_peers(peers, work)).items():
            steps[name] = {TRACKED: step}
        timings = in_turns(steps, rounds)
    frames = timings[baseline][TRACKED][0].frames
    print(f"\n{frames} frames of {source.width} x {source.height}, {threads} threads, rounds: {rounds}\n")
    print(table(timings, baseline, "frames/s", lambda timing: timing.seconds / timing.frames, lambda s: f"{1 / s:.1f}"))
    print()
    print(
        table(
            timings, baseline, "CPU ms", lambda timing: timing.cpu_seconds / timing.frames, lambda s: f"{s * 1e3:.0f}"
        )
    )
    print()
    for name, settings in configurations.items():
        by_stage = "  ".join(f"{stage} {ms:.1f}" for stage, ms in stages(source, settings).items())
        print(f"{name}: ms per frame on one thread: {by_stage}", flush=True)


def in_turns(steps: Mapping[str, Mapping[str, Step]], rounds: int) -> Timings:
    """Time every step once in each round, every second round in reverse, so that slow drifts cancel out."""
    timings: Timings = {name: {kind: [] for kind in kinds} for name, kinds in steps.items()}
    order = [(name, kind) for name, kinds in steps.items() for kind in kinds]
    for number in range(rounds):
        for name, kind in order if number % 2 == 0 else reversed(order):
            timings[name][kind].append(steps[name][kind]())
    return timings


def table(
    timings: Timings, baseline: str, unit: str, cost: Callable[[Timing], float], shown: Callable[[float], str]
) -> str:
    """A Markdown table of the medians, and of the ratios within each round.

    Args:
        timings: at least those of the baseline.
        baseline: what speeds are relative to.
        unit: title of the columns of medians.
        cost: per frame.
        shown: the text of a cost.
    """
    titles = ["", unit, f"x {baseline}", "people", f"{ALONE}, {unit}", "share of it", f"{VIDEO}, {unit}", "x its time"]
    rows = []
    for name, kinds in timings.items():
        costs = {kind: [cost(timing) for timing in of_kind] for kind, of_kind in kinds.items()}
        tracked, first = costs[TRACKED], kinds[TRACKED][0]
        to_baseline = _ratio([cost(timing) for timing in timings[baseline][TRACKED]], tracked)
        people = "" if first.people is None else f"{first.people / first.frames:.1f}"
        cells = [name, shown(median(tracked)), to_baseline, people]
        if ALONE in costs:
            cells += [shown(median(costs[ALONE])), _ratio(costs[ALONE], tracked)]
            cells += [shown(median(costs[VIDEO])), _ratio(costs[VIDEO], tracked)]
        rows.append(cells + [""] * (len(titles) - len(cells)))
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _ratio(first: list[float], second: list[float]) -> str:
    return f"{median(a / b for a, b in zip(first, second, strict=True)):.2f}"


def configurations_of(arguments: argparse.Namespace) -> dict[str, Settings]:
    """The settings to measure by their names, the baseline first; of equal ones, the first alone.

    Raises:
        InputError: there is no such setting, or a value cannot be used.
    """
    base = with_values(Settings(), {"device": "cpu", "threads": arguments.threads})
    baseline, *others = CONFIGURATIONS
    values = {baseline: CONFIGURATIONS[baseline]}
    if arguments.baseline_set:
        values = {" ".join(arguments.baseline_set): values_of(arguments.baseline_set)}
    if arguments.candidates or arguments.set:
        chosen = chosen_candidates(base, arguments.candidates, arguments.set)
    else:
        chosen = {name: with_values(base, CONFIGURATIONS[name]) for name in others}
    different: dict[str, Settings] = {}
    for name, settings in ({name: with_values(base, changes) for name, changes in values.items()} | chosen).items():
        if same := next((other for other, given in different.items() if given == settings), None):
            print(f"{name}: not measured, because its settings are those of {same}")
        else:
            different[name] = settings
    return different


def main() -> None:
    """Measure the given clips, or synthetic ones of 1, 2, 5 and 10 people."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", type=Path, default=[], help="video files")
    parser.add_argument("--people", nargs="+", type=int, default=[1, 2, 5, 10], help="synthetic clips, without --clips")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_cpus(), help="of posetrail and of each peer")
    parser.add_argument("--baseline-set", nargs="+", metavar="NAME=VALUE", help="settings of the baseline")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), metavar="NAME", help=", ".join(PEERS))
    add_candidate_arguments(parser)
    arguments = parser.parse_args()
    try:
        configurations = configurations_of(arguments)
    except InputError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = arguments.clips or [crowd(people, folder / f"{people} people.mp4") for people in arguments.people]
        for clip in clips:
            measure(clip, configurations, arguments.peers, arguments.rounds, arguments.threads, folder)


if __name__ == "__main__":
    main()
