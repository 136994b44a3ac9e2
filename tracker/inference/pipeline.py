"""Inference: frames to poses.

Per frame: detect people where detection is due (schedule.py), estimate their joints, those of overlapping people twice
(occlusion.py), propagate people that the detector missed or was not asked for by optical flow, remove duplicates (pose
NMS). After Xiao, Wu and Wei, "Simple Baselines for Human Pose Estimation and Tracking" (ECCV 2018), section 3, with
three changes: detection at intervals, the second estimates, and joints are first estimated in the detected boxes only,
in batches of frames, because they do not depend on earlier frames. Propagated boxes follow frame by frame, and only for
people that no detection explains.

Reading, detection and estimation run in threads of their own. The order of the frames and every number are independent
of the batch size and of the threads.

To resume an interrupted run, its frames are read again but no network runs on them: only the state that later frames
depend on (the last image, the propagated poses, when a person was lost, the reference of the camera motion) is
restored.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from posetrail.assignment import associate
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Poses, confident_keypoints
from posetrail.protocols import BottomUp, Detector, Embedder, Estimator, Refiner
from posetrail.similarity import box_area, box_iou, oks
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.inference.camera import CameraMotion
from tracker.inference.detection import Detection, Found, Joints
from tracker.inference.duplicates import without_duplicates
from tracker.inference.predictable import Predictable
from tracker.inference.prefetch import in_turn, prefetch
from tracker.inference.propagation import FlowImage, FlowMethod, boxes_around, in_image, move_people, prepare_grey
from tracker.inference.schedule import (
    Glance,
    glance,
    is_same_scene,
    look_clock,
    moving_regions,
    regions_to_search,
)
from tracker.settings import InferenceSettings

Item = TypeVar("Item")

# Boxes that overlap are matched even if the OKS of their poses is 0, which min_propagation_oks=0 allows.
_LEAST_SIMILARITY = 1e-3
_CONFIDENT = 0.4  # quality (0..1) of a person whose loss matters
_DOUBTFUL = 0.35  # mean joint score (0..1) below which such a person may be lost
_DOUBT_S = 0.3  # whole frames are searched for so long after that
_BORDER = 0.03  # share of the image's sides; people whose centres are nearer to the border leave and are not lost
BATCH_FRAMES = 4  # frames per call of a network
_AHEAD_FRAMES = 4  # frames read, and results made ...
_AHEAD_BATCHES = 2  # ... and batches computed before they are needed


def infer(
    frames: Iterable[Frame],
    detector: Detector | None,
    estimator: Estimator | None,
    settings: InferenceSettings,
    flow: FlowMethod | None,
    embedder: Embedder | None = None,
    *,
    bottom_up: BottomUp | None = None,
    refiner: Refiner | None = None,
    known: Iterable[PoseFrame] = (),
    batch_frames: int = BATCH_FRAMES,
    ahead: bool = True,
) -> Generator[tuple[Frame, PoseFrame]]:
    """Yield each frame with its poses.

    Either a detector and an estimator are given, or a bottom-up network. A bottom-up network may be combined with a
    detector; each box then gets the person that overlaps it most.

    Args:
        frames: in order of presentation. If reading fails, the error is raised after all frames before it.
        detector: finds person boxes; None with a bottom-up network that finds people itself.
        estimator: estimates the joints in each box; None with a bottom-up network.
        settings: thresholds and options of inference.
        flow: optical flow method that moves poses from frame to frame; None leaves them where they were.
        embedder: computes appearance embeddings; None for none.
        bottom_up: finds people and their joints at once; None with a detector and an estimator.
        refiner: corrects the joints of all people of a frame; None for none. Of a person whom optical flow propagated,
            it gets the moved pose.
        known: results of an earlier run with the same settings and networks for the first frames; they are not yielded
            again. Give whole batches, because the last bit of a network's output may depend on the batch.
        batch_frames: frames per call of a network; affects speed only.
        ahead: read and compute some frames ahead, in threads; False with one frame per batch gives the least delay.

    Raises:
        TypeError: neither or both of `estimator` and `bottom_up` are given, or an estimator without a detector.
        InputError: a known frame is missing from `frames`.
    """
    joints = Joints(estimator, bottom_up, settings.max_shared_joints)
    if estimator is not None and detector is None:
        raise TypeError("detector: expected a detector for the estimator, got None; give a detector or bottom_up")
    detection = Detection(detector, bottom_up, joints, settings)
    state = _State(joints, detection, settings, flow, refiner)
    stage = prefetch if ahead else in_turn
    with closing(stage(frames, _AHEAD_FRAMES)) as read:
        num_known = state.restore_all(read, known)
        batches = _batches(enumerate(read, num_known), batch_frames)
        detected = stage(detection.detected(batches, state.is_due), _AHEAD_BATCHES)
        estimated = stage(_estimated(detected, detection, state), _AHEAD_BATCHES)
        results = stage(_advanced(estimated, state, embedder), _AHEAD_FRAMES)
        with closing(detected), closing(estimated), closing(results):  # the last stage is closed first
            yield from results


def _advanced(
    batches: Iterable[list[tuple[Found, _Image]]], state: _State, embedder: Embedder | None
) -> Iterator[tuple[Frame, PoseFrame]]:
    """Frames with all their poses, one after the other."""
    for batch in batches:
        results = ((each.frame, state.advance(each, image)) for each, image in batch)
        yield from results if embedder is None else _embed(list(results), embedder)


def _estimated(
    batches: Iterable[list[Found]], detection: Detection, state: _State
) -> Iterator[list[tuple[Found, _Image]]]:
    """Frames with the poses in their boxes, and their images prepared."""
    for batch in batches:
        found = detection.estimated(batch)
        yield [(each, state.prepare(each.frame)) for each in found]


def _embed(batch: list[tuple[Frame, PoseFrame]], embedder: Embedder) -> Iterator[tuple[Frame, PoseFrame]]:
    """The same frames with the appearance embeddings of their poses."""
    embeddings = embedder([frame for frame, _ in batch], [result.poses for _, result in batch])
    for (frame, result), appearance in zip(batch, embeddings, strict=True):
        yield frame, replace(result, appearance=appearance)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Group items into lists of `size`, the last one shorter; an error of `items` is raised after the items before."""
    batch: list[Item] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


@dataclass(frozen=True, eq=False)
class _Image:
    """A frame's image as optical flow, camera motion and the schedule need it; None where one is not used."""

    size: tuple[int, int]  # height and width, pixels
    flow: FlowImage | None
    glance: Glance | None


class _State:
    """What inference remembers between frames: the last image and poses, those propagated and lost, the camera."""

    def __init__(
        self,
        joints: Joints,
        detection: Detection,
        settings: InferenceSettings,
        flow: FlowMethod | None,
        refiner: Refiner | None,
    ) -> None:
        self._joints = joints
        self._detection = detection
        self._settings = settings
        self._flow = flow
        self._refiner = refiner
        self._body = joints.skeleton.body
        self._sigmas = np.array(joints.skeleton.oks_sigmas)[self._body]
        self._propagated = PropagatedPoses.empty(len(joints.skeleton))
        self._last: PoseFrame | None = None
        self._last_image: _Image | None = None
        self._doubt_s = -math.inf  # time of the last frame in which a confident person was lost
        self._camera = CameraMotion() if settings.estimate_camera_motion else None
        self.is_due = detection.due_frames()
        self._looks = look_clock(detection.interval_s)
        predicts = flow is not None and detection.is_scheduled
        self._predictable = Predictable(settings.max_flow_error if predicts else 0.0, self._body)

    def advance(self, found: Found, image: _Image) -> PoseFrame:
        """The people of this frame: those detected, and those of the last frame that no detection explains."""
        frame = found.frame
        may_look = self._looks.strikes(frame.time_s)
        if self._detection.is_scheduled and not found.is_searched and self._needs_detection(frame, image):
            found = self._detection.in_frame(frame)
        propagated = self._propagate(image.flow)
        newest = self._newest(propagated)
        poses = self._people(found, newest)
        if self._detection.is_scheduled and not found.is_searched:
            if self._has_lost(image, poses, propagated):
                poses = self._people(self._detection.in_frame(frame), newest)
            elif may_look:
                new = self._detection.in_regions(frame, self._regions(image, poses), poses)
                poses = self._without_duplicates(Poses.concatenate([poses, new]))
        if self._refiner is not None:
            (refined,) = self._refiner([frame], [poses], self._joints.skeleton)
            poses = self._without_duplicates(refined)
        result = PoseFrame(frame.index, frame.time_s, frame.name, poses, propagated)
        if self._camera is not None and image.flow is not None:
            result = replace(result, camera_motion=self._camera.step(image.flow, poses.boxes))
        self._remember(result, image)
        return result

    def restore_all(self, frames: Iterator[Frame], known: Iterable[PoseFrame]) -> int:
        """Restore the state after the known frames, reading them from `frames`; the number of known frames."""
        count = 0
        for result in known:
            frame = next(frames, None)
            if frame is None or frame.index != result.index:
                raise InputError(
                    f"frame {result.index}: is in the pose log of the earlier run but not in the clip, which must have "
                    "changed; start again with another output folder"
                )
            image = self.prepare(frame)
            if self._camera is not None and image.flow is not None:
                self._camera.step(image.flow, result.poses.boxes)
            self.is_due(count, frame.time_s)
            self._looks.strikes(frame.time_s)
            self._remember(result, image)
            count += 1
        return count

    def _remember(self, result: PoseFrame, image: _Image) -> None:
        """Keep what the next frames need."""
        if self._detection.is_scheduled and self._has_lost(image, result.poses, result.propagated):
            self._doubt_s = result.time_s
        self._predictable.remember(result)
        self._last, self._last_image, self._propagated = result, image, result.propagated

    def prepare(self, frame: Frame) -> _Image:
        """The image as optical flow, camera motion and the schedule need it."""
        flow = None
        if self._flow is not None:
            flow = self._flow.prepare(frame.image)
        elif self._camera is not None or self._detection.is_scheduled:
            flow = prepare_grey(frame.image)
        small = glance(flow.grey, flow.scale) if flow and self._detection.is_scheduled else None
        return _Image(frame.image.shape[:2], flow, small)

    @property
    def _last_glance(self) -> Glance | None:
        return None if self._last_image is None else self._last_image.glance

    def _needs_detection(self, frame: Frame, image: _Image) -> bool:
        """Whether a person was just lost, or the scene changed."""
        before = self._last_glance
        if before is not None and image.glance is not None and not is_same_scene(before, image.glance):
            return True
        return frame.time_s - self._doubt_s <= _DOUBT_S

    def _regions(self, image: _Image, poses: Poses) -> np.ndarray:
        """Regions (R, 4) in which people may have appeared, because something moves there."""
        before = self._last_glance
        if before is None or image.glance is None:
            return np.zeros((0, 4), int)
        return regions_to_search(moving_regions(before, image.glance, poses.boxes), image.size)

    def _has_lost(self, image: _Image, poses: Poses, propagated: PropagatedPoses) -> bool:
        """Whether a confident person of the last frame is continued by no pose, or by a pose of low scores.

        Args:
            image: this frame, as `poses` and `propagated`.
            poses: its people.
            propagated: the poses of the last frames, moved into it.
        """
        if self._last is None:
            return False
        last = self._last.poses
        moved = confident_keypoints(last, self._settings.min_propagated_joint_score)
        newest = propagated.from_frame(self._last.index)
        moved[newest.source_rows] = newest.keypoints
        boxes = boxes_around(moved, self._settings.propagated_box_margin)
        size = np.array(image.size[::-1])
        with np.errstate(invalid="ignore"):
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / size
            inside = ((centres >= _BORDER) & (centres <= 1 - _BORDER)).all(axis=1)
        sure = poses[self._mean_scores(poses) >= _DOUBTFUL]
        continued = self._explained(moved, boxes, sure, by_either=True)
        return bool(np.any((last.of_joints(self._body).quality >= _CONFIDENT) & inside & ~continued))

    def _propagate(self, image: FlowImage | None) -> PropagatedPoses:
        """The poses of the last `queue_frames` frames, moved into this one."""
        queue = self._queue(self._last) if self._last else self._propagated
        before = None if self._last_image is None else self._last_image.flow
        if self._flow is None or image is None or before is None or len(queue) == 0 or not image.same_size(before):
            return queue
        moved = move_people(self._flow, before, image, queue.keypoints)
        kept = np.isfinite(moved).any(axis=(1, 2))
        return replace(queue, keypoints=moved)[kept]

    def _queue(self, last: PoseFrame) -> PropagatedPoses:
        """The poses to propagate, as of the last frame: its confident joints, and the older poses in the queue."""
        poses = last.poses
        confident = confident_keypoints(poses, self._settings.min_propagated_joint_score)
        old = self._propagated
        frames = np.concatenate([old.source_frames, np.full(len(poses), last.index)])
        rows = np.concatenate([old.source_rows, np.arange(len(poses))])
        keypoints = np.concatenate([old.keypoints, confident])
        newest = np.unique(frames)[-self._settings.queue_frames :]
        kept = np.isin(frames, newest) & np.isfinite(keypoints).any(axis=(1, 2))
        return PropagatedPoses(frames, rows, keypoints)[kept]

    def _newest(self, propagated: PropagatedPoses) -> PropagatedPoses:
        """The poses of the last frame, moved into this one; without those that flow lost."""
        if self._last is None or not self._settings.propagate:
            return propagated[[]]
        return propagated.from_frame(self._last.index)

    def _people(self, found: Found, newest: PropagatedPoses) -> Poses:
        """The detected people, and those of the last frame that no detection explains.

        Args:
            found: in this frame.
            newest: the poses of the last frame, moved into this one.
        """
        poses = self._without_duplicates(found.poses)
        if not len(newest) or self._last is None:
            return poses
        rows, moved = newest.source_rows, newest.keypoints
        last = self._last.poses[rows]
        boxes = boxes_around(moved, self._settings.propagated_box_margin)
        missed = ~self._explained(moved, boxes, poses) & in_image(boxes, found.frame.image.shape)
        if not found.is_searched:
            rests, rested = self._predictable.rested(last[missed], rows[missed], moved[missed])
            poses = Poses.concatenate([poses, rested])
            missed[missed] = ~rests
        if missed.any():
            again = self._estimated_again(found, poses, last[missed], moved[missed], boxes[missed])
            poses = Poses.concatenate([poses, again])
        return self._without_duplicates(poses)

    def _estimated_again(self, found: Found, poses: Poses, last: Poses, moved: np.ndarray, boxes: np.ndarray) -> Poses:
        """Poses of propagated people, estimated in their boxes; without those whose estimates are not theirs.

        Args:
            found: in this frame.
            poses: of people who are more certain.
            last: poses of the last frame (M).
            moved: (M, K, 2) their joints, moved into this frame.
            boxes: (M, 4) around them.
        """
        (again,), _ = self._joints.in_boxes([found.frame], [boxes], [found.people])
        again, own_joints = self._joints.beside(found.frame, poses, replace(again, scores=last.scores))
        mean_scores = self._mean_scores(again)
        kept = (
            np.isfinite(again.keypoints).any(axis=(1, 2))
            & own_joints
            & (mean_scores >= self._settings.min_propagated_score)
            & (self._oks(moved, again).diagonal() >= self._settings.min_propagation_oks)
        )
        if self._refiner is not None:  # it looks at the image itself, so that its input may be what the last frame says
            both = np.isfinite(moved) & np.isfinite(again.keypoints)
            again = replace(again, keypoints=np.where(both, moved, again.keypoints))
        # A propagated pose scores no higher than the box it came from, nor than the mean of its joints now.
        scores = np.minimum(last.scores, mean_scores)
        return replace(again, scores=scores, propagated=np.ones(len(again), bool))[kept]

    def _explained(self, moved: np.ndarray, boxes: np.ndarray, poses: Poses, *, by_either: bool = False) -> np.ndarray:
        """Which propagated people (M,) have a pose that is similar and whose box overlaps theirs.

        Args:
            moved: (M, K, 2) their joints.
            boxes: (M, 4) around them.
            poses: that explain one person each: where two stand close together, the second one is still propagated.
            by_either: similar joints or overlapping boxes suffice, as of a person who comes out from behind another.
        """
        overlap = box_iou(boxes, poses.boxes) > self._settings.box_nms_iou
        similarity = self._oks(moved, poses)
        similar = similarity >= self._settings.min_propagation_oks
        matches = overlap | similar if by_either else overlap & similar
        pairs = associate(np.where(matches, np.maximum(similarity, _LEAST_SIMILARITY), 0.0), 0.0, "greedy")
        return np.isin(np.arange(len(moved)), pairs[:, 0])

    def _oks(self, keypoints: np.ndarray, poses: Poses) -> np.ndarray:
        joints = self._body
        return oks(keypoints[:, joints], poses.keypoints[:, joints], box_area(poses.boxes), self._sigmas)

    def _mean_scores(self, poses: Poses) -> np.ndarray:
        return poses.keypoint_scores[:, self._body].mean(axis=1)

    def _without_duplicates(self, poses: Poses) -> Poses:
        return without_duplicates(poses, self._body, self._sigmas, self._settings)
