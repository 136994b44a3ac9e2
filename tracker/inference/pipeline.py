"""Inference: frames to poses.

Per frame: detect people, estimate their joints, those of overlapping people twice (occlusion.py), propagate people that
the detector missed by optical flow, remove duplicates (pose NMS). After Xiao, Wu and Wei, "Simple Baselines for Human
Pose Estimation and Tracking" (ECCV 2018), section 3, with two changes: the second estimates, and joints are first
estimated in the detected boxes only, in batches of frames, because they do not depend on earlier frames. Propagated
boxes follow frame by frame, and only for people that no detection explains.

Reading, detection and estimation run in threads of their own. The order of the frames and every number are independent
of the batch size and of the threads.

To resume an interrupted run, its frames are read again but no network runs on them: only the state that later frames
depend on (the last image, the propagated poses, the reference of the camera motion) is restored.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from posetrail.assignment import associate
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.nms import nms
from posetrail.poses import Detections, Poses, confident_keypoints
from posetrail.protocols import BottomUp, Detector, Embedder, Estimator
from posetrail.similarity import box_area, box_iou, oks
from posetrail.skeletons import Skeleton
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.inference.bottom_up import people_in_boxes
from tracker.inference.camera import CameraMotion
from tracker.inference.occlusion import separate_people
from tracker.inference.prefetch import prefetch
from tracker.inference.propagation import FlowImage, FlowMethod, boxes_around, move_people, prepare_grey
from tracker.settings import InferenceSettings

Item = TypeVar("Item")

# Boxes that overlap are matched even if the OKS of their poses is 0, which min_propagation_oks=0 allows.
_LEAST_SIMILARITY = 1e-3
BATCH_FRAMES = 4  # frames per call of a network
_AHEAD_FRAMES = 4  # frames read ...
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
    known: Iterable[PoseFrame] = (),
    batch_frames: int = BATCH_FRAMES,
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
        known: results of an earlier run with the same settings and networks for the first frames; they are not yielded
            again. Give whole batches, because the last bit of a network's output may depend on the batch.
        batch_frames: frames per call of a network; affects speed only.

    Raises:
        TypeError: neither or both of `estimator` and `bottom_up` are given, or an estimator without a detector.
        InputError: a known frame is missing from `frames`.
    """
    joints = _Joints(estimator, bottom_up, settings.max_shared_joints)
    if estimator is not None and detector is None:
        raise TypeError("detector: expected a detector for the estimator, got None; give a detector or bottom_up")
    state = _State(joints, settings, flow)
    with closing(prefetch(frames, _AHEAD_FRAMES)) as read:
        num_known = state.restore_all(read, known)
        batches = _batches(enumerate(read, num_known), batch_frames)
        detected = prefetch(_detect(batches, detector, bottom_up, settings), _AHEAD_BATCHES)
        estimated = prefetch(_estimate(detected, joints), _AHEAD_BATCHES)
        with closing(detected), closing(estimated):  # the last stage is closed first, while it still gets input
            for batch in estimated:
                results = ((each.frame, state.advance(each)) for each in batch)
                yield from results if embedder is None else _embed(list(results), embedder)


@dataclass(frozen=True, eq=False)
class _Detected:
    """A frame with its detections and, if a bottom-up network already ran on it, all people that it found."""

    frame: Frame
    detections: Detections
    people: Poses | None = None


@dataclass(frozen=True, eq=False)
class _Estimated:
    """A frame with the poses of its detections and, if a bottom-up network ran on it, all people that it found."""

    frame: Frame
    poses: Poses
    people: Poses | None


class _Joints:
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


def _detect(
    batches: Iterable[list[tuple[int, Frame]]],
    detector: Detector | None,
    bottom_up: BottomUp | None,
    settings: InferenceSettings,
) -> Iterator[list[_Detected]]:
    """Frames with their boxes of at least `min_box_score`; only every `detect_every`-th frame has any."""
    for batch in batches:
        detected = [_Detected(frame, Detections.empty()) for _, frame in batch]
        due = [i for i, (position, _) in enumerate(batch) if position % settings.detect_every == 0]
        frames = [batch[i][1] for i in due]
        if frames and detector is not None:
            for i, found in zip(due, detector(frames), strict=True):
                detected[i] = replace(detected[i], detections=found)
        elif frames and bottom_up is not None:
            for i, people in zip(due, bottom_up(frames), strict=True):
                detected[i] = replace(detected[i], detections=Detections(people.boxes, people.scores), people=people)
        yield [
            replace(each, detections=each.detections[each.detections.scores >= settings.min_box_score])
            for each in detected
        ]


def _estimate(batches: Iterable[list[_Detected]], joints: _Joints) -> Iterator[list[_Estimated]]:
    """Frames with the poses in their boxes; the score of a pose is that of its box."""
    for batch in batches:
        frames = [each.frame for each in batch]
        estimated, people = joints.in_boxes(
            frames, [each.detections.boxes for each in batch], [each.people for each in batch]
        )
        scored = [replace(poses, scores=each.detections.scores) for each, poses in zip(batch, estimated, strict=True)]
        yield [
            _Estimated(frame, poses[kept], found)
            for frame, (poses, kept), found in zip(frames, joints.separated(frames, scored), people, strict=True)
        ]


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


class _State:
    """What inference remembers between frames: the last image and poses, the propagated poses, the camera."""

    def __init__(self, joints: _Joints, settings: InferenceSettings, flow: FlowMethod | None) -> None:
        self._joints = joints
        self._settings = settings
        self._flow = flow
        self._skeleton = joints.skeleton
        self._propagated = PropagatedPoses.empty(len(self._skeleton))
        self._last: PoseFrame | None = None
        self._last_image: FlowImage | None = None
        self._camera = CameraMotion() if settings.estimate_camera_motion else None

    def advance(self, detected: _Estimated) -> PoseFrame:
        """The people of this frame: those detected, and those of the last frame that no detection explains."""
        frame = detected.frame
        image = self._prepare(frame)
        propagated = self._propagate(image)
        poses = self._without_duplicates(detected.poses)
        if self._settings.propagate and self._last is not None:
            newest = propagated.source_frames == self._last.index
            last, moved = self._last.poses[propagated.source_rows[newest]], propagated.keypoints[newest]
            missed = self._estimate_missed(detected, poses, last, moved)
            poses = self._without_duplicates(Poses.concatenate([poses, missed]))
        result = PoseFrame(frame.index, frame.time_s, frame.name, poses, propagated)
        if self._camera is not None and image is not None:
            result = replace(result, camera_motion=self._camera.step(image, poses.boxes))
        self._last, self._last_image, self._propagated = result, image, propagated
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
            self._restore(frame, result)
            count += 1
        return count

    def _restore(self, frame: Frame, result: PoseFrame) -> None:
        """Restore the state after `advance` of this frame."""
        image = self._prepare(frame)
        if self._camera is not None and image is not None:
            self._camera.step(image, result.poses.boxes)
        self._last, self._last_image, self._propagated = result, image, result.propagated

    def _prepare(self, frame: Frame) -> FlowImage | None:
        """The image as needed by optical flow and camera motion; None if neither is used."""
        if self._flow is not None:
            return self._flow.prepare(frame.image)
        return prepare_grey(frame.image) if self._camera is not None else None

    def _propagate(self, image: FlowImage | None) -> PropagatedPoses:
        """The poses of the last `queue_frames` frames, moved into this one."""
        queue = self._queue(self._last) if self._last else self._propagated
        before = self._last_image
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

    def _estimate_missed(self, detected: _Estimated, poses: Poses, last: Poses, moved: np.ndarray) -> Poses:
        """Estimate joints in the propagated boxes of people that no detection explains.

        Args:
            detected: this frame.
            poses: its detected poses, without duplicates.
            last: poses of the last frame (M).
            moved: (M, K, 2) their joints, moved into this frame.
        """
        frame = detected.frame
        boxes = boxes_around(moved, self._settings.propagated_box_margin)
        missed = ~self._explained(moved, boxes, poses) & _inside(boxes, frame.image.shape)
        if not missed.any():
            return Poses.empty(len(self._skeleton))
        (again,), _ = self._joints.in_boxes([frame], [boxes[missed]], [detected.people])
        again, own_joints = self._separated(frame, poses, replace(again, scores=last.scores[missed]))
        mean_scores = again.keypoint_scores.mean(axis=1)
        similarity = self._oks(moved[missed], again).diagonal()
        has_joints = np.isfinite(again.keypoints).any(axis=(1, 2))
        kept = (
            has_joints
            & own_joints
            & (mean_scores >= self._settings.min_propagated_score)
            & (similarity >= self._settings.min_propagation_oks)
        )
        # A propagated pose scores no higher than the box it came from, nor than the mean of its joints now.
        scores = np.minimum(last.scores[missed], mean_scores)
        return replace(again, scores=scores, propagated=np.ones(len(again), bool))[kept]

    def _separated(self, frame: Frame, detected: Poses, propagated: Poses) -> tuple[Poses, np.ndarray]:
        """Propagated poses after second estimates, and which to keep (M,); detected people are more confident."""
        both = Poses.concatenate([detected, propagated])
        is_propagated = np.arange(len(both)) >= len(detected)
        ((both, kept),) = self._joints.separated([frame], [both], [is_propagated])
        return both[is_propagated], kept[is_propagated]

    def _explained(self, moved: np.ndarray, boxes: np.ndarray, detected: Poses) -> np.ndarray:
        """Which propagated people (M,) have a detection whose box overlaps theirs and whose pose is similar."""
        overlap = box_iou(boxes, detected.boxes) > self._settings.box_nms_iou
        similarity = self._oks(moved, detected)
        matches = overlap & (similarity >= self._settings.min_propagation_oks)
        # A detection explains one person only: where two stand close together, the second one is still propagated.
        pairs = associate(np.where(matches, np.maximum(similarity, _LEAST_SIMILARITY), 0.0), 0.0, "greedy")
        return np.isin(np.arange(len(moved)), pairs[:, 0])

    def _oks(self, keypoints: np.ndarray, poses: Poses) -> np.ndarray:
        return oks(keypoints, poses.keypoints, box_area(poses.boxes), self._skeleton.oks_sigmas)

    def _without_duplicates(self, poses: Poses) -> Poses:
        """Pose NMS: of similar poses, the one of the best quality is kept."""
        confident = confident_keypoints(poses, self._settings.min_propagated_joint_score)
        similarity = oks(confident, confident, box_area(poses.boxes), self._skeleton.oks_sigmas)
        # The OKS of the smaller person of a pair counts, so that a large box does not remove a small neighbour.
        similarity = np.minimum(similarity, similarity.T)
        return poses[np.sort(nms(similarity, poses.quality, self._settings.pose_nms_oks))]


def _inside(boxes: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Which boxes (M,) overlap the image; False for NaN."""
    height, width = image_shape[:2]
    clipped = np.clip(boxes, 0, [width, height, width, height])
    return np.all(clipped[:, 2:] > clipped[:, :2], axis=1)
