"""Runs a tracker of another package in a separate process and environment; started by `benchmarks.peers`.

Reads one line of JSON per sequence, {"input": npz, "output": npy, "tracker": name, "settings": {...}}, writes the ids
to the output and replies {"seconds": time of the updates}; an empty request gets a reply, too. Imports only NumPy and
the tracker.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Frame:
    """The input of a tracker for one frame."""

    time_s: float
    boxes: np.ndarray  # (N, 4) x1 y1 x2 y2
    scores: np.ndarray  # (N,)
    keypoints: np.ndarray  # (N, K, 2), NaN where missing
    keypoint_scores: np.ndarray  # (N, K)


class Boxes:
    """`trackers` and `supervision`: Detections in, the same with tracker_id out."""

    def __init__(self, tracker: Any, method: str, *, timed: bool = False) -> None:
        """`timed`: the method takes a timestamp."""
        self.step, self.timed = getattr(tracker, method), timed

    def prepare(self, frame: Frame) -> Any:
        """The library's own type."""
        from supervision import Detections

        rows = np.arange(len(frame.boxes))
        self.time_s = frame.time_s
        return Detections(frame.boxes, confidence=frame.scores, class_id=0 * rows, data={"row": rows})

    def update(self, detections: Any) -> Any:
        """The timed step."""
        return self.step(detections, timestamp=self.time_s) if self.timed else self.step(detections)

    def ids(self, tracked: Any, people: int) -> np.ndarray:
        """(N,) track ids, -1 for none."""
        ids = np.full(people, -1)
        if len(tracked) and tracked.tracker_id is not None:
            ids[tracked.data["row"]] = tracked.tracker_id
        return ids


class Norfair:
    """`norfair`: detections are points; objects whose last detection is of this frame are in it."""

    def __init__(self, settings: dict[str, Any], points: str) -> None:
        """`points`: "boxes" compares by IoU, "joints" by OKS."""
        from norfair import Tracker

        self.points, self.frame = points, 0
        distance = "iou" if points == "boxes" else _oks_distance
        self.tracker = Tracker(distance_function=distance, **settings)

    def prepare(self, frame: Frame) -> Any:
        """The library's own type."""
        from norfair import Detection

        self.frame += 1
        if self.points == "boxes":
            places, scores = frame.boxes.reshape(-1, 2, 2), np.repeat(frame.scores[:, None], 2, axis=1)
        else:
            places, scores = np.nan_to_num(frame.keypoints), frame.keypoint_scores
        return [
            Detection(points=place, scores=score, data=(self.frame, row))
            for row, (place, score) in enumerate(zip(places, scores, strict=True))
        ]

    def update(self, detections: Any) -> Any:
        """The timed step."""
        return self.tracker.update(detections=detections)

    def ids(self, tracked: Any, people: int) -> np.ndarray:
        """(N,) track ids, -1 for none."""
        ids = np.full(people, -1)
        for each in tracked:
            frame, row = each.last_detection.data
            if frame == self.frame:
                ids[row] = each.id
        return ids


# Of COCO, in its order of joints.
_SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000


def _oks_distance(detection: Any, tracked: Any) -> float:
    both = (detection.scores > 0.1) & (tracked.last_detection.scores > 0.1)
    if not both.any():
        return 1.0
    visible = detection.points[detection.scores > 0.1]
    area = max(np.prod(np.ptp(visible, axis=0)), 1.0)
    squares = ((detection.points - tracked.estimate) ** 2).sum(axis=1)
    return 1 - float(np.exp(-squares / (2 * area * (2 * _SIGMAS) ** 2))[both].mean())


class Motpy:
    """`motpy`: boxes in, filtered boxes out, each assigned to the detection with the highest IoU."""

    def __init__(self, settings: dict[str, Any], rate_hz: float) -> None:
        """Settings are named as the arguments of motpy."""
        from motpy import ModelPreset, MultiObjectTracker

        settings = dict(settings)
        self.tracker = MultiObjectTracker(
            dt=1 / rate_hz,
            model_spec=ModelPreset[settings.pop("model")].value,
            matching_fn_kwargs={"min_iou": settings.pop("min_iou")},
            active_tracks_kwargs={"min_steps_alive": settings.pop("min_steps_alive"), "max_staleness": 1},
            tracker_kwargs={"max_staleness": settings.pop("max_staleness")},
        )
        self.known: dict[str, int] = {}

    def prepare(self, frame: Frame) -> Any:
        """The library's own type."""
        from motpy import Detection

        self.boxes = frame.boxes
        return [Detection(box=box, score=score) for box, score in zip(frame.boxes, frame.scores, strict=True)]

    def update(self, detections: Any) -> Any:
        """The timed step."""
        return self.tracker.step(detections=detections)

    def ids(self, tracked: Any, people: int) -> np.ndarray:
        """(N,) track ids, -1 for none."""
        ids = np.full(people, -1)
        for each in tracked:
            overlap = _iou(self.boxes, each.box[None])[:, 0] * (ids < 0)
            if len(overlap) and overlap.max() > 0.3:
                ids[overlap.argmax()] = self.known.setdefault(each.id, len(self.known))
        return ids


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.clip(sides, 0, None).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)


def start(name: str, settings: dict[str, Any], rate_hz: float) -> Any:
    """A new tracker."""
    library, _, kind = name.partition(" ")
    if library == "trackers":
        import trackers

        settings = {**settings, "frame_rate": rate_hz}
        timed = bool(settings.pop("timed", False))
        return Boxes(getattr(trackers, f"{kind}Tracker")(**settings), "update", timed=timed)
    if library == "supervision":
        import supervision

        return Boxes(supervision.ByteTrack(**settings, frame_rate=rate_hz), "update_with_detections")
    if library == "norfair":
        return Norfair(settings, kind)
    return Motpy(settings, rate_hz)


def kept(frame: Frame, min_score: float, nms_iou: float) -> np.ndarray:
    """Rows with at least the minimum score, after non-maximum suppression."""
    overlap = _iou(frame.boxes, frame.boxes)
    rows: list[int] = []
    for row in np.argsort(-frame.scores, kind="stable"):
        if frame.scores[row] >= min_score and (overlap[row, rows] <= nms_iou).all():
            rows.append(int(row))
    return np.array(sorted(rows), int)


def track(request: dict[str, Any]) -> float:
    """Track one sequence; gives the seconds of the updates."""
    data = dict(np.load(request["input"]))
    settings = dict(request["settings"])
    limits = float(settings.pop("min_score", 0.0)), float(settings.pop("nms_iou", 1.0))
    times, counts = data["times"], data["counts"]
    rate_hz = 1 / np.median(np.diff(times)) if len(times) > 1 else 30.0
    tracker = start(request["tracker"], settings, float(rate_hz))
    seconds, ids = 0.0, np.full(counts.sum(), -1)
    ends = np.cumsum(counts)
    for time_s, first, last in zip(times, ends - counts, ends, strict=True):
        fields = (data[name][first:last] for name in ("boxes", "scores", "keypoints", "keypoint_scores"))
        frame = Frame(float(time_s), *fields)
        rows = kept(frame, *limits)
        frame = Frame(frame.time_s, *(getattr(frame, name)[rows] for name in list(vars(frame))[1:]))
        detections = tracker.prepare(frame)
        started = time.perf_counter()
        tracked = tracker.update(detections)
        seconds += time.perf_counter() - started
        ids[first + rows] = tracker.ids(tracked, len(rows))
    np.save(request["output"], ids)
    return seconds


def main() -> None:
    """Reply to requests until the input ends."""
    replies = sys.stdout
    sys.stdout = sys.stderr  # libraries may print
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({"seconds": track(request) if request else 0.0}), file=replies, flush=True)


if __name__ == "__main__":
    main()
