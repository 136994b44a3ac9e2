"""Quantises an ONNX file of the user: recognised as in tracking, calibrated with clips, checked on other frames."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnxruntime

from detectors.onnx_file import OnnxDetector
from estimators import create_estimator
from estimators.affine import transformed
from estimators.onnx_file import OnnxEstimator, OnnxMoveNet
from estimators.top_down import crops_of
from posetrail.errors import InputError
from posetrail.export import remove_metadata
from posetrail.files import written_whole
from posetrail.float_layers import Choice, choose_float_layers
from posetrail.nms import nms
from posetrail.options import ONNX_PREFIX
from posetrail.poses import Detections
from posetrail.quantisation import calibrate, check_is_float, quantised, require_onnx
from posetrail.runtime import Run, Runtime
from posetrail.similarity import box_iou
from tracker.runs.calibration import LEAST_SAMPLES, Collected, OnnxNetwork, Samples, collect
from tracker.settings import InferenceSettings

if TYPE_CHECKING:
    import onnx

Kind = Literal["detector", "estimator"]
OnProgress = Callable[[str], None]

_SAMPLES_FOR_CHOICE = 6
_TIMED_CALLS = 15
_SAME_BOX_IOU = 0.8
_MIN_SCORE = InferenceSettings.min_box_score  # of boxes that are compared
_LARGEST_BYTES = 2**31 - 1  # of a protobuf message


@dataclass(frozen=True, kw_only=True)
class JointChange:
    """By how much the joints of people in held-out frames change."""

    crops: int
    median_px: float
    """Displacement, in pixels of the crop."""
    p90_px: float
    crop_size: tuple[int, int]
    """Width and height of the crop."""
    score_median: float
    score_p90: float


@dataclass(frozen=True, kw_only=True)
class BoxChange:
    """By how much detections in held-out frames change."""

    boxes: int
    """In float32, with a score of 0.25 or more."""
    found_again: float
    """Share with a box of IoU > 0.8 in int8 (0..1)."""
    added: int
    """Boxes in int8 without one of IoU > 0.8 in float32."""
    score_median: float
    score_p90: float


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """A quantised file and how it compares with the float32 file."""

    path: Path
    kind: Kind
    samples: int
    layers: int
    choice: Choice
    bytes: tuple[int, int]
    """Of the files before and after."""
    ms: tuple[float, float]
    """Of one call on one thread, before and after: medians."""
    change: JointChange | BoxChange


def quantise_file(
    path: Path,
    output: Path,
    clips: Sequence[Path],
    *,
    kind: Kind | None = None,
    frames: int = 64,
    normalisation: str | None = None,
    input_size: int | None = None,
    on_progress: OnProgress = lambda stage: None,
) -> Quantised:
    """Quantise an ONNX file with a detector or an estimator to int8.

    Args:
        path: the file; its outputs tell what it is, as in tracking.
        output: the .onnx file to write; it appears complete or not at all.
        clips: videos, images or folders of images for calibration.
        kind: of the network, where its outputs fit both.
        frames: to calibrate with.
        normalisation: as of OnnxDetector or OnnxEstimator.
        input_size: as of OnnxDetector.
        on_progress: called with the name of each stage.

    Raises:
        InputError: onnx is not installed, a file cannot be read, the network is int8 already or cannot be quantised, or
            the clips have too few samples.
    """
    require_onnx()
    _check_output(path, output)
    if not clips:
        raise InputError("calibrate: expected one or more clips or folders of images; give --calibrate CLIP")
    if frames < LEAST_SAMPLES:
        raise InputError(f"frames: expected {LEAST_SAMPLES} or more, such as 64, got {frames}")
    with Runtime("cpu") as runtime, tempfile.TemporaryDirectory() as folder:
        network = recognised(path, runtime, kind, normalisation, input_size)
        model = _read(path)
        on_progress("reading clips")
        collected = collect(network, clips, frames, Path(folder), runtime)
        result, choice, layers = _quantised(model, network, collected.inputs, path, on_progress)
        on_progress("checking")
        run = _run_of(result)
        change = _change(network, run, collected)
        ms = _times_ms([_run_of(model), run], collected.inputs[0])
        samples = len(collected.inputs)
    before = path.stat().st_size
    with written_whole(output) as beside:
        beside.write_bytes(result.SerializeToString(deterministic=True))
    return Quantised(
        path=output,
        kind="detector" if isinstance(network, OnnxDetector) else "estimator",
        samples=samples,
        layers=layers,
        choice=choice,
        bytes=(before, output.stat().st_size),
        ms=ms,
        change=change,
    )


def recognised(
    path: Path, runtime: Runtime, kind: Kind | None, normalisation: str | None = None, input_size: int | None = None
) -> OnnxNetwork:
    """The detector or estimator in an ONNX file.

    Raises:
        InputError: the file cannot be read, it is neither, or it could be both and `kind` is None.
    """
    runtime.load_file(path)  # what is wrong with the file, rather than with its outputs
    made: list[OnnxNetwork] = []
    faults = []
    if kind != "detector":
        try:
            found = create_estimator(f"{ONNX_PREFIX}{path}", runtime=runtime, normalisation=normalisation)
            assert isinstance(found, OnnxEstimator | OnnxMoveNet)
            made.append(found)
        except InputError as error:
            faults.append(error)
    if kind != "estimator":
        try:
            made.append(OnnxDetector(runtime, path=path, normalisation=normalisation, input_size=input_size))
        except InputError as error:
            faults.append(error)
    if len(made) == 2:
        raise InputError(f"{path}: its outputs fit a detector and an estimator; give --kind")
    if not made and len({str(fault) for fault in faults}) == 1:
        raise faults[0]
    if not made:
        estimator, detector = (str(fault).removeprefix(f"{path}: ") for fault in faults)
        raise InputError(f"{path}: neither an estimator ({estimator}) nor a detector ({detector})")
    return made[0]


def _check_output(path: Path, output: Path) -> None:
    if not output.parent.is_dir():
        raise InputError(f"{output}: no such folder {output.parent}; create it")
    if output.is_dir():
        raise InputError(f"{output}: expected a file to write, got a folder; give a name such as {path.stem}_int8.onnx")
    if output.exists() and path.exists() and output.samefile(path):
        raise InputError(f"{output}: is the file to read; give another name such as {path.stem}_int8.onnx")


def _read(path: Path) -> onnx.ModelProto:
    import onnx

    try:
        model = onnx.load(path)
    except Exception as error:  # onnx and protobuf have no common base class but this
        raise InputError(f"{path}: cannot be read by onnx ({_first_line(error)}); export it again") from error
    check_is_float(model, str(path))
    if model.ByteSize() > _LARGEST_BYTES:
        raise InputError(
            f"{path}: expected less than 2 GiB, got {model.ByteSize() >> 30}; larger ONNX files have parts"
        )
    return model


def _quantised(
    model: onnx.ModelProto, network: OnnxNetwork, inputs: Samples, path: Path, on_progress: OnProgress
) -> tuple[onnx.ModelProto, Choice, int]:
    """The int8 network, the choice of its layers in float32, and the number of all layers."""
    error = _error_of(network, [inputs[int(row)] for row in np.linspace(0, len(inputs) - 1, _SAMPLES_FOR_CHOICE)])
    try:
        on_progress("calibrating")
        calibrated = calibrate(model, inputs)
        choice = choose_float_layers(
            calibrated, error, lambda done, total: on_progress(f"choosing layers {done}/{total}")
        )
        result = quantised(calibrated, is_float=choice.weights.__contains__)
    except InputError:
        raise
    except Exception as fault:  # ONNX Runtime's quantiser raises errors of many classes
        raise InputError(
            f"{path}: ONNX Runtime's quantiser cannot handle it ({_first_line(fault)}); use it in float32"
        ) from fault
    if not calibrated.layers:
        raise InputError(f"{path}: expected convolutions or products with weights, got none; nothing can be quantised")
    remove_metadata(result)
    kept = {each.key: each.value for each in model.metadata_props}
    for key, value in (kept | {"precision": "int8", "quantised_by": "posetrail"}).items():
        result.metadata_props.add(key=key, value=value)
    return result, choice, len(calibrated.layers)


def _error_of(network: OnnxNetwork, samples: Sequence[np.ndarray]) -> Callable[[onnx.ModelProto], float]:
    """A function that gives the mean error of the outputs of a quantised network on samples."""
    difference = _box_error(network) if isinstance(network, OnnxDetector) else _map_error(network)
    exact = [network.run(sample) for sample in samples]

    def error(model: onnx.ModelProto) -> float:
        run = _run_of(model)
        return float(np.mean([difference(a, run(sample)) for a, sample in zip(exact, samples, strict=True)]))

    return error


def _map_error(network: OnnxEstimator | OnnxMoveNet) -> Callable[..., float]:
    """Error of an estimator's outputs, relative to their spread."""
    of_last = isinstance(network, OnnxEstimator) and network.recipe.output == "heatmaps"  # the last of several stages

    def error(exact: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
        pairs = list(zip(exact, found, strict=True))[-1 if of_last else 0 :]
        return float(np.mean([np.sqrt(np.mean((b - a) ** 2)) / max(float(a.std()), 1e-9) for a, b in pairs]))

    return error


def _box_error(network: OnnxDetector) -> Callable[..., float]:
    """Error of a detector's boxes and scores: 0 if all are the same, 2 if none are found again."""

    def people(answer: tuple[np.ndarray, ...]) -> Detections:
        [(boxes, scores)] = network.read(answer, network.min_score)
        found = Detections(boxes, scores)
        return found[nms(box_iou(boxes, boxes), scores, network.nms_iou)]

    def error(exact: tuple[np.ndarray, ...], found: tuple[np.ndarray, ...]) -> float:
        a, b = people(exact), people(found)
        if not len(a):
            return 0.0
        overlap = np.pad(box_iou(a.boxes, b.boxes), ((0, 0), (0, 1)))  # the last column: not found
        best = overlap.argmax(axis=1)
        change = np.abs(a.scores - np.append(b.scores, 0)[best]) / a.scores
        return float(np.average(1 - overlap.max(axis=1) + np.minimum(change, 1), weights=a.scores))

    return error


def _change(network: OnnxNetwork, run: Run, collected: Collected) -> JointChange | BoxChange:
    if isinstance(network, OnnxDetector):
        return _boxes(network, network.with_run(run), collected)
    return _joints(network, network.with_run(run), collected)


def _joints(
    exact: OnnxEstimator | OnnxMoveNet, found: OnnxEstimator | OnnxMoveNet, collected: Collected
) -> JointChange:
    moved, scores = [np.zeros(0)], [np.zeros(0)]
    for frame, boxes in collected.held_out:
        [a], [b] = exact([frame], [boxes]), found([frame], [boxes])
        matrices = crops_of(boxes, exact.recipe)
        shift = transformed(a.keypoints, matrices) - transformed(b.keypoints, matrices)
        moved.append(np.linalg.norm(shift, axis=2).ravel())
        scores.append(np.abs(a.keypoint_scores - b.keypoint_scores).ravel())
    distances, changes = np.concatenate(moved), np.concatenate(scores)
    return JointChange(
        crops=sum(len(boxes) for _, boxes in collected.held_out),
        median_px=_quantile(distances, 0.5),
        p90_px=_quantile(distances, 0.9),
        crop_size=exact.recipe.input_size,
        score_median=_quantile(changes, 0.5),
        score_p90=_quantile(changes, 0.9),
    )


def _boxes(exact: OnnxDetector, found: OnnxDetector, collected: Collected) -> BoxChange:
    boxes, added, changes = 0, 0, [np.zeros(0)]
    for frame, _ in collected.held_out:
        [a], [b] = exact([frame]), found([frame])
        confident = a[a.scores >= _MIN_SCORE]
        overlap = np.pad(box_iou(confident.boxes, b.boxes), ((0, 0), (0, 1)))
        again = overlap.max(axis=1) > _SAME_BOX_IOU
        changes.append(np.abs(confident.scores - np.append(b.scores, 0)[overlap.argmax(axis=1)])[again])
        new = b[b.scores >= _MIN_SCORE]
        added += int((box_iou(new.boxes, a.boxes).max(axis=1, initial=0) <= _SAME_BOX_IOU).sum())
        boxes += len(confident)
    scores = np.concatenate(changes)
    return BoxChange(
        boxes=boxes,
        found_again=len(scores) / boxes if boxes else 1.0,
        added=added,
        score_median=_quantile(scores, 0.5),
        score_p90=_quantile(scores, 0.9),
    )


def _quantile(values: np.ndarray, share: float) -> float:
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, share)) if finite.size else 0.0


def _run_of(model: onnx.ModelProto) -> Run:
    """The network in a session on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        rows = [session.run(None, {name: batch[i : i + 1]}) for i in range(len(batch))]
        return tuple(np.concatenate(output) for output in zip(*rows, strict=True))

    return run


def _times_ms(runs: Sequence[Run], sample: np.ndarray) -> tuple[float, float]:
    """Median time of a call, in turns so that another program on the machine slows both."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(_TIMED_CALLS):
        for run, spent in zip(runs, times, strict=True):
            start = time.perf_counter()
            run(sample)
            spent.append(1000 * (time.perf_counter() - start))
    before, after = (float(np.median(each)) for each in times)
    return before, after


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
