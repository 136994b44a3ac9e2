"""`posetrail models quantise`: files of users in int8, calibrated with clips and used by track."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from detectors import create_detector
from detectors.onnx_file import OnnxDetector
from estimators import create_estimator
from estimators.onnx_file import OnnxEstimator
from posetrail.errors import InputError
from posetrail.poses import Detections
from posetrail.quantisation import calibrate, quantised
from posetrail.runtime import Runtime
from tests.command_line import fails, succeeds
from tests.conftest import REPOSITORY
from tests.dots import BOX, DOTS, picture
from tests.frames import frames_of
from tests.onnx_networks import bright_cells, dot_heatmaps, saved
from tracker.runs.calibration import collect, spread_frames
from tracker.runs.quantise import recognised

CLIP = REPOSITORY / "examples" / "pose2sim_cam01.mp4"


@pytest.fixture(autouse=True)
def untried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of our own are loaded without the trial, which starts a program for each, but in the test of refusals."""
    if "refused" not in request.function.__name__:
        monkeypatch.setattr("posetrail.runtime.try_file", lambda *_: "")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 16 images of squares, few of them bright."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(16):
        squares = (255 * rng.random((8, 8, 3)) ** 6).astype(np.uint8)
        cv2.imwrite(str(folder / f"{i}.png"), np.kron(squares, np.ones((8, 8, 1), np.uint8)))
    return folder


@pytest.fixture(scope="module")
def two_people() -> Detections:
    return Detections(np.array([[200.0, 500, 500, 1300], [600, 500, 900, 1300]], np.float32), np.array([0.9, 0.8]))


@pytest.fixture
def people_found(monkeypatch: pytest.MonkeyPatch, two_people: Detections) -> None:
    """The detector finds the same two people in every frame, quickly."""
    monkeypatch.setattr("tracker.runs.calibration.NanoDet", lambda runtime: lambda frames: [two_people] * len(frames))


def test_joints_in_int8_are_within_a_pixel_of_those_in_float32(runtime: Runtime, tmp_path: Path) -> None:
    estimator = create_estimator(f"onnx:{saved(dot_heatmaps(), tmp_path / 'dots.onnx')}", runtime=runtime)
    assert isinstance(estimator, OnnxEstimator)
    inputs: list[np.ndarray] = []

    def recorded(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        inputs.extend(each[None] for each in batch)
        return estimator.run(batch)

    rng = np.random.default_rng(0)
    shifts = rng.uniform(-4, 4, (12, 3, 2))
    estimator.with_run(recorded)(frames_of([picture(DOTS + shift) for shift in shifts]), [BOX[None]] * 12)
    in_int8 = saved(quantised(calibrate(dot_heatmaps(), inputs)), tmp_path / "int8.onnx")
    frames, boxes = frames_of([picture(DOTS + shift) for shift in rng.uniform(-4, 4, (5, 3, 2))]), [BOX[None]] * 5
    found = create_estimator(f"onnx:{in_int8}", runtime=runtime)(frames, boxes)
    for exact, other in zip(estimator(frames, boxes), found, strict=True):
        assert np.abs(exact.keypoints - other.keypoints).max() < 1
        assert np.abs(exact.keypoint_scores - other.keypoint_scores).max() < 0.03


def test_an_estimator_is_quantised_with_the_people_of_a_clip_and_used_by_track(
    people_found: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = saved(dot_heatmaps(metadata={"author": "someone"}), tmp_path / "dots.onnx")
    written = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    printed = [
        succeeds(capsys, "models", "quantise", file, "-o", output, "--calibrate", CLIP, "--frames", 8)
        for output in written
    ]
    assert written[0].read_bytes() == written[1].read_bytes()
    lines = printed[0].splitlines()
    assert re.fullmatch(
        rf"{re.escape(str(written[0]))}: 0\.0 MB -> 0\.0 MB, [0-9.]+ ms -> [0-9.]+ ms on one thread", lines[0]
    )
    assert re.search(r"calibrated with 8 inputs; in float32: \d of 3 layers", lines[1])
    assert re.search(r"4 people in other frames: joints moved by \d+\.\d\d px of crops 192 x 256 \(median", lines[2])
    assert lines[3].endswith(f"posetrail track CLIP --estimator onnx:{written[0]}")
    assert list(tmp_path.glob(".*")) == []
    metadata = {each.key: each.value for each in onnx.load(written[0]).metadata_props}
    assert metadata == {"author": "someone", "precision": "int8", "quantised_by": "posetrail"}

    folder = tmp_path / "runs"
    succeeds(capsys, "track", CLIP, "-o", folder, "--estimator", f"onnx:{written[0]}", "--end", "0.05")
    models = json.loads((folder / CLIP.stem / "run.json").read_text())["models"]
    assert [(model["name"], model["precision"]) for model in models if model["name"] == "a.onnx"] == [
        ("a.onnx", "int8")
    ]


def test_a_detector_is_quantised_with_a_folder_of_images(
    runtime: Runtime, pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, output = saved(bright_cells(), tmp_path / "cells.onnx"), tmp_path / "int8.onnx"
    printed = succeeds(capsys, "models", "quantise", file, "-o", output, "--calibrate", pictures, "--frames", 12)
    report = re.search(r"([1-9]\d*) boxes in other frames: ([0-9.]+)% found again \(IoU > 0\.8\), (\d+) new", printed)
    assert report is not None
    boxes, again, new = map(float, report.groups())
    assert again >= 90
    assert new <= boxes / 10
    assert f"posetrail track CLIP --detector onnx:{output}\n" in printed
    exact, found = (create_detector(f"onnx:{each}", runtime=runtime) for each in (file, output))
    assert isinstance(found, OnnxDetector)
    assert (exact.weights.precision, found.weights.precision) == ("", "int8")  # type: ignore[attr-defined]


def test_int8_files_of_other_tools_are_recognised(runtime: Runtime, tmp_path: Path) -> None:
    samples = [np.random.default_rng(i).random((1, 3, 256, 192), np.float32) for i in range(8)]
    model = quantised(calibrate(dot_heatmaps(), samples))
    assert not any(each.key == "precision" for each in model.metadata_props)
    assert runtime.load_file(saved(model, tmp_path / "int8.onnx")).precision == "int8"
    assert runtime.load_file(saved(dot_heatmaps(), tmp_path / "float.onnx")).precision == ""


def test_frames_are_spread_over_a_clip() -> None:
    assert [frame.index for frame in spread_frames(CLIP, 5)] == [0, 25, 50, 74, 99]
    assert [frame.index for frame in spread_frames(CLIP, 60)][::59] == [0, 99]
    assert len(list(spread_frames(CLIP, 1000))) == 100


def test_frames_for_the_check_are_not_used_for_calibration(runtime: Runtime, pictures: Path, tmp_path: Path) -> None:
    detector = create_detector(f"onnx:{saved(bright_cells(), tmp_path / 'cells.onnx')}", runtime=runtime)
    assert isinstance(detector, OnnxDetector)
    samples = tmp_path / "samples"
    samples.mkdir()
    collected = collect(detector, [pictures], 12, samples, runtime)
    assert (len(collected.inputs), len(collected.held_out)) == (12, 3)
    for frame, _ in collected.held_out:
        canvas = frame.image[None, ..., ::-1].transpose(0, 3, 1, 2)
        assert not any(np.array_equal(canvas, sample) for sample in collected.inputs)


def test_a_file_that_fits_both_kinds_needs_the_kind(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(dot_heatmaps(), tmp_path / "dots.onnx")
    monkeypatch.setattr("tracker.runs.quantise.OnnxDetector", OnnxEstimator)
    monkeypatch.setattr(OnnxEstimator, "__init__", lambda *_, **__: None)
    with pytest.raises(InputError, match="its outputs fit a detector and an estimator; give --kind"):
        recognised(path, runtime, None)
    assert isinstance(recognised(path, runtime, "estimator"), OnnxEstimator)


def test_unusable_files_and_clips_are_refused_in_one_line(
    pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    dots, cells = saved(dot_heatmaps(), tmp_path / "dots.onnx"), saved(bright_cells(), tmp_path / "cells.onnx")
    output = tmp_path / "x.onnx"

    def refused(file: Path, *clips: Path, o: Path = output) -> str:
        line = fails(capsys, "models", "quantise", file, "-o", o, "--calibrate", *clips)
        assert not output.exists()
        return line

    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"not an onnx file" * 9)
    assert "no such file; give an ONNX file" in refused(tmp_path / "gone.onnx", pictures)
    assert "cannot be read as an ONNX file" in refused(garbage, pictures)
    dark = tmp_path / "dark"
    dark.mkdir()
    cv2.imwrite(str(dark / "0.png"), np.zeros((64, 64, 3), np.uint8))
    assert "no person was found in dark; give clips in which people are seen clearly" in refused(dots, dark)
    for image in sorted(pictures.iterdir())[6:]:
        image.unlink()
    assert "expected 8 frames or more, better 50, got 5 in pictures" in refused(cells, pictures)
    assert "no such folder" in refused(cells, pictures, o=tmp_path / "no" / "x.onnx")
    assert "is the file to read; give another name such as cells_int8.onnx" in refused(cells, pictures, o=cells)
    assert "gone.mp4" in refused(cells, tmp_path / "gone.mp4")
    in_int8 = quantised(calibrate(dot_heatmaps(), [np.zeros((1, 3, 256, 192), np.float32)] * 8))
    assert "expected a float32 network, got one in int8" in refused(saved(in_int8, tmp_path / "int8.onnx"), pictures)
    shapes = dot_heatmaps(joints=9)
    assert "neither an estimator (expected the number of joints" in refused(
        saved(shapes, tmp_path / "nine.onnx"), pictures
    )


def test_what_the_quantiser_cannot_handle_is_refused_in_one_line_and_leaves_no_file(
    pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("operation Magic\nis not supported")

    monkeypatch.setattr("tracker.runs.quantise.calibrate", fail)
    file, output = saved(bright_cells(), tmp_path / "cells.onnx"), tmp_path / "x.onnx"
    line = fails(capsys, "models", "quantise", file, "-o", output, "--calibrate", pictures, "--frames", 8)
    assert line.endswith("quantiser cannot handle it (operation Magic); use it in float32")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.onnx", "pictures"]
