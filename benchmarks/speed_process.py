"""Runs other packages for `benchmarks.speed` in a separate process and environment.

Reads one line of JSON per request and replies with one. Imports nothing of posetrail; of the packages, only those that
the request needs.

- {"import": package}: whether the environment is complete.
- {"export": name, "size": [height, width], "folder": path, "output": path}: ultralytics builds the network from its
  configuration with random weights and writes it as an ONNX file, in this folder first.
- {"clip": path, "every": n, "ids": true or false, "detector": path, "detector_size": [height, width],
  "estimator": path, "estimator_size": [height, width], "min_score": s, "threads": n}: rtmlib's PoseTracker on all
  frames of the clip.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import time
from types import SimpleNamespace
from typing import Any


def export(request: dict[str, Any]) -> dict[str, Any]:
    """Write a network of ultralytics with random weights."""
    from ultralytics import YOLO

    os.chdir(request["folder"])  # where ultralytics writes
    network = YOLO(f"{request['export']}.yaml", task="pose")
    file = network.export(format="onnx", imgsz=request["size"], simplify=False, verbose=False)
    shutil.move(file, request["output"])
    return {"output": request["output"]}


def track(request: dict[str, Any]) -> dict[str, Any]:
    """Track a clip with rtmlib; timed from opening the file to the poses of its last frame."""
    import cv2

    tracker = pose_tracker(request)
    detect = tracker.det_model
    frames = people = detections = 0

    def counted(image: Any) -> Any:
        nonlocal detections
        detections += 1
        return detect(image)

    tracker.det_model = counted
    started, used = time.perf_counter(), time.process_time()
    capture = cv2.VideoCapture(request["clip"])
    while True:
        more, image = capture.read()
        if not more:
            break
        keypoints, _ = tracker(image)
        frames, people = frames + 1, people + len(keypoints)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - used
    capture.release()
    return {
        "frames": frames,
        "people": people,
        "detections": detections,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }


def pose_tracker(request: dict[str, Any]) -> Any:
    """A PoseTracker of these files; detector and estimator run on this number of threads."""
    import onnxruntime
    from rtmlib import YOLOX, PoseTracker, RTMPose

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = request["threads"]

    def solution(**_: Any) -> Any:
        detector = YOLOX(
            request["detector"], model_input_size=tuple(request["detector_size"]), score_thr=request["min_score"]
        )
        height, width = request["estimator_size"]
        estimator = RTMPose(
            request["estimator"], model_input_size=(width, height), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
        )
        for tool in (detector, estimator):  # which take no number of threads
            tool.session = onnxruntime.InferenceSession(tool.onnx_model, options, providers=["CPUExecutionProvider"])
        return SimpleNamespace(det_model=detector, pose_model=estimator)

    return PoseTracker(solution, det_frequency=request["every"], tracking=request["ids"])


def main() -> None:
    """Reply to requests until the input ends."""
    replies = sys.stdout
    sys.stdout = sys.stderr  # libraries may print
    for line in sys.stdin:
        request = json.loads(line)
        if "import" in request:
            reply = {"import": importlib.import_module(request["import"]).__name__}
        else:
            reply = export(request) if "export" in request else track(request)
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
