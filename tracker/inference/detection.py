"""Finding people in frames: boxes from the detector, joints in them, on schedule or when they are asked for.

Joints are estimated in the detected boxes in batches of frames, because they do not depend on earlier frames; people in
propagated boxes follow frame by frame (pipeline.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from posetrail.frame import Frame
from posetrail.poses import Detections, Poses
from posetrail.protocols import BottomUp, Detector, Estimator, RegionDetector
from posetrail.similarity import box_iou
from posetrail.skeletons import Skeleton
from tracker.inference.bottom_up import people_in_boxes
from tracker.inference.occlusion import separate_people
from tracker.inference.schedule import Clock
from tracker.settings import InferenceSettings


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in a frame, and whether the whole frame was searched."""

    frame: Frame
    is_searched: bool
    detections: Detections
    poses: Poses  # of the detections
    people: Poses | None = None  # all people that a bottom-up network found, if one ran on the frame


class Joints:
    """Estimates joints in boxes, by an estimator or from the people that a bottom-up network finds.

    Raises:
        TypeError: neither or both are given.
    """

    def __init__(self, estimator: Estimator | None, bottom_up: BottomUp | None, max_shared: float) -> None:
        if (estimator is None) == (bottom_up is None):
            raise TypeError("expected an estimator or a bottom_up network, and not both")
        self._estimator = estimator
        self._bottom_up = bottom_up
        self._max_shared = max_shared

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the network."""
        network = self._bottom_up if self._estimator is None else self._estimator
        assert network is not None
        return network.skeleton

    def separated(
        self, frames: Sequence[Frame], poses: Sequence[Poses], candidates: Sequence[np.ndarray] | None = None
    ) -> list[tuple[Poses, np.ndarray]]:
        """`separate_people` with the estimator; the poses of a bottom-up network stay as they are."""
        if self._estimator is None:
            return [(each, np.ones(len(each), bool)) for each in poses]
        return separate_people(frames, poses, self._estimator, self._max_shared, candidates=candidates)

    def beside(self, frame: Frame, poses: Poses, new: Poses) -> tuple[Poses, np.ndarray]:
        """New poses of a frame after second estimates, and which to keep (M,); the others are more confident."""
        both = Poses.concatenate([poses, new])
        is_new = np.arange(len(both)) >= len(poses)
        ((both, kept),) = self.separated([frame], [both], [is_new])
        return both[is_new], kept[is_new]

    def in_boxes(
        self, frames: Sequence[Frame], boxes: Sequence[np.ndarray], people: Sequence[Poses | None]
    ) -> tuple[list[Poses], list[Poses | None]]:
        """The poses in the boxes (N, 4) of each frame, and `people` completed where the bottom-up network had to run.

        The bottom-up network runs on frames that have boxes and whose people are not known yet.
        """
        if self._estimator is not None:
            return self._estimator(frames, boxes), list(people)
        assert self._bottom_up is not None
        missing = [i for i, found in enumerate(people) if found is None and len(boxes[i])]
        new = self._bottom_up([frames[i] for i in missing]) if missing else []
        known = list(people)
        for i, found in zip(missing, new, strict=True):
            known[i] = found
        no_one = Poses.empty(len(self.skeleton))
        return [
            people_in_boxes(no_one if found is None else found, each) for found, each in zip(known, boxes, strict=True)
        ], known


class Detection:
    """Searches frames for people.

    Args:
        detector: finds person boxes; None with a bottom-up network that finds people itself.
        bottom_up: finds people and their joints at once; None with a detector.
        joints: estimates joints in boxes.
        settings: thresholds, and when to detect.
    """

    def __init__(
        self, detector: Detector | None, bottom_up: BottomUp | None, joints: Joints, settings: InferenceSettings
    ) -> None:
        self._detector = detector
        self._bottom_up = bottom_up
        self._joints = joints
        self._settings = settings
        self.interval_s = _interval_s(detector, bottom_up, settings)

    @property
    def is_scheduled(self) -> bool:
        """Whether whole frames are searched at intervals, and in between where the frames call for it."""
        return self._settings.detect_every is None and self.interval_s > 0

    def due_frames(self) -> Callable[[int, float], bool]:
        """A function that says of each frame, by its position and time, whether it is searched; frames in order."""
        every = self._settings.detect_every
        if every is not None:
            return lambda position, time_s: position % every == 0
        clock = Clock(self.interval_s)
        return lambda position, time_s: clock.strikes(time_s)

    def detected(
        self, batches: Iterable[list[tuple[int, Frame]]], is_due: Callable[[int, float], bool]
    ) -> Iterator[list[Found]]:
        """Frames with the boxes of those that are due."""
        for batch in batches:
            yield self._detect([frame for _, frame in batch], [is_due(i, frame.time_s) for i, frame in batch])

    def _detect(self, frames: Sequence[Frame], is_due: Sequence[bool]) -> list[Found]:
        """Frames with their boxes of at least `min_box_score`; those that are not due have none."""
        no_one = Poses.empty(len(self._joints.skeleton))
        found = [Found(frame, due, Detections.empty(), no_one) for frame, due in zip(frames, is_due, strict=True)]
        due = [i for i, each in enumerate(is_due) if each]
        searched = [frames[i] for i in due]
        if searched and self._detector is not None:
            for i, detections in zip(due, self._detector(searched), strict=True):
                found[i] = replace(found[i], detections=self._confident(detections))
        elif searched and self._bottom_up is not None:
            for i, people in zip(due, self._bottom_up(searched), strict=True):
                boxes = self._confident(Detections(people.boxes, people.scores))
                found[i] = replace(found[i], detections=boxes, people=people)
        return found

    def _confident(self, detections: Detections) -> Detections:
        return detections[detections.scores >= self._settings.min_box_score]

    def estimated(self, batch: Sequence[Found]) -> list[Found]:
        """The frames with the poses in their boxes; the score of a pose is that of its box."""
        frames = [each.frame for each in batch]
        estimated, people = self._joints.in_boxes(
            frames, [each.detections.boxes for each in batch], [each.people for each in batch]
        )
        scored = [replace(poses, scores=each.detections.scores) for each, poses in zip(batch, estimated, strict=True)]
        return [
            replace(each, poses=poses[kept], people=found)
            for each, (poses, kept), found in zip(batch, self._joints.separated(frames, scored), people, strict=True)
        ]

    def in_frame(self, frame: Frame) -> Found:
        """Search a frame that was not due."""
        (found,) = self.estimated(self._detect([frame], [True]))
        return found

    def in_regions(self, frame: Frame, regions: np.ndarray, poses: Poses) -> Poses:
        """Search regions (R, 4) of a frame for people besides those of the poses; none if the detector cannot."""
        if not len(regions) or not isinstance(self._detector, RegionDetector):
            return Poses.empty(len(self._joints.skeleton))
        found = self._confident(self._detector.in_regions(frame, regions))
        new = box_iou(found.boxes, poses.boxes).max(axis=1, initial=0) <= self._settings.box_nms_iou
        if not new.any():
            return Poses.empty(len(self._joints.skeleton))
        (estimated,), _ = self._joints.in_boxes([frame], [found.boxes[new]], [None])
        beside, kept = self._joints.beside(frame, poses, replace(estimated, scores=found.scores[new]))
        return beside[kept]


def _interval_s(detector: Detector | None, bottom_up: BottomUp | None, settings: InferenceSettings) -> float:
    """Seconds between searches of whole frames; 0: every frame is searched.

    Without propagation nothing carries people from frame to frame, and a bottom-up network runs on whole frames anyway.
    """
    if not settings.propagate or detector is None or bottom_up is not None:
        return 0.0
    if settings.detection_interval_s is not None:
        return settings.detection_interval_s
    return float(getattr(detector, "interval_s", 0.0))
