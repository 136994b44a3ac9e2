"""Frames of clips, and the inputs that a network gets for them, as samples to calibrate a quantised network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detectors.nanodet import NanoDet
from detectors.onnx_file import OnnxDetector
from estimators.onnx_file import OnnxEstimator, OnnxMoveNet
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.runtime import Runtime
from tracker.io.video import open_source, read_frames
from tracker.settings import InferenceSettings

OnnxNetwork = OnnxDetector | OnnxEstimator | OnnxMoveNet

LEAST_SAMPLES = 8
_HELD_OUT_EVERY = 5  # one frame of so many is for the check
_MOST_PEOPLE = 4  # of a frame: crowds would outweigh all others


@dataclass(frozen=True)
class Collected:
    """Samples from clips."""

    inputs: Samples
    """Of the frames for calibration."""
    held_out: list[tuple[Frame, np.ndarray]]
    """The other frames, and the boxes (N, 4) of their people; none for a detector."""


@dataclass(frozen=True)
class Samples(Sequence[np.ndarray]):
    """Inputs (1, 3, H, W) float32 of a network, stored in files of a folder, since they can be large."""

    folder: Path
    paths: list[Path] = field(default_factory=list)

    def add(self, batch: np.ndarray) -> None:
        """Store the inputs (B, 3, H, W) of a call."""
        for sample in batch:
            self.paths.append(self.folder / f"{len(self.paths)}.npy")
            np.save(self.paths[-1], sample[None])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> np.ndarray:  # type: ignore[override] # no slices
        return np.load(self.paths[row])


def collect(network: OnnxNetwork, clips: Sequence[Path], frames: int, folder: Path, runtime: Runtime) -> Collected:
    """Record the inputs of a network in inference on frames that are spread evenly over clips.

    For an estimator, people are those whom the built-in detector finds. The same clips give the same samples.

    Args:
        network: whose inputs are recorded.
        clips: videos, images or folders of images.
        frames: to calibrate with, fewer if the clips have fewer; also the largest number of samples. A quarter as many
            more frames are held out.
        folder: for the samples.
        runtime: for the detector.

    Raises:
        InputError: a clip cannot be read, no person was found, or there are too few samples.
    """
    inputs = Samples(folder)
    held_out = []

    def recorded(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        inputs.add(batch)
        return network.run(batch)

    recording = network.with_run(recorded)
    detector = None if isinstance(network, OnnxDetector) else NanoDet(runtime)
    total = frames + frames // (_HELD_OUT_EVERY - 1)
    per_clip = [total * (i + 1) // len(clips) - total * i // len(clips) for i in range(len(clips))]
    spread = (frame for clip, count in zip(clips, per_clip, strict=True) for frame in spread_frames(clip, count))
    for i, frame in enumerate(spread):
        boxes = np.zeros((0, 4)) if detector is None else _people(detector, frame)
        if i % _HELD_OUT_EVERY == _HELD_OUT_EVERY // 2:
            held_out.append((frame, boxes))
        elif isinstance(recording, OnnxDetector):
            recording([frame])
        else:
            recording([frame], [boxes])
    if not inputs.paths and detector is not None:
        raise InputError(
            f"calibrate: no person was found in {_names(clips)}; give clips in which people are seen clearly"
        )
    if len(inputs) < LEAST_SAMPLES:
        kind = "frames" if detector is None else "people"
        raise InputError(
            f"calibrate: expected {LEAST_SAMPLES} {kind} or more, better 50, got {len(inputs)} in {_names(clips)}; "
            "give more or longer clips"
        )
    rows = np.unique(np.linspace(0, len(inputs) - 1, min(len(inputs), frames)).round().astype(int))
    return Collected(Samples(folder, [inputs.paths[row] for row in rows]), held_out)


def spread_frames(clip: Path, count: int) -> Iterator[Frame]:
    """At most `count` frames, spread evenly over a clip. Frames that cannot be read are left out."""
    source = open_source(clip)
    total = len(source.frame_index) if source.is_video else len(source.images)
    rows = np.linspace(0, total - 1, min(count, total)).round().astype(int)
    yield from read_frames(source, rows.tolist())


def _people(detector: NanoDet, frame: Frame) -> np.ndarray:
    """Boxes (N, 4) of the people in a frame as inference uses them; in crowds some of all scores."""
    [found] = detector([frame])
    boxes = found.boxes[found.scores >= InferenceSettings.min_box_score]
    return boxes[np.unique(np.linspace(0, len(boxes) - 1, min(len(boxes), _MOST_PEOPLE)).round().astype(int))]


def _names(clips: Sequence[Path]) -> str:
    return clips[0].name if len(clips) == 1 else f"{clips[0].name} and {len(clips) - 1} more"
