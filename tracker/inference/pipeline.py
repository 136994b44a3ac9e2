"""The way of a frame, from pixels to what was seen: detect, place joints, carry the missed over, drop duplicates.

Simple Baselines for Human Pose Estimation and Tracking (Xiao, Wu, Wei, ECCV 2018), section 3, with one change: joints
are placed in the detected boxes first, for several frames at once, because no detection depends on an earlier frame.
Only people whom no detection explains are then looked for, frame by frame, where optical flow says they are now.

Reading, detecting and carrying run in threads of their own. The order of frames and every number in them depend on
neither the batch size nor the threads.

To go on where an earlier run broke off, the frames that it saw are recalled: their pictures are read again, but no
network looks at them. What flow remembers of the last frame and what the camera is compared with come out as they were.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

import numpy as np

from posetrail.assignment import associate
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.nms import suppress
from posetrail.poses import Detections, Poses, confident_keypoints
from posetrail.protocols import Detector, Embedder, Estimator
from posetrail.similarity import box_area, box_iou, oks
from posetrail.skeletons import Skeleton
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.inference.camera import CameraMotion
from tracker.inference.prefetch import ahead
from tracker.inference.propagation import FlowImage, FlowMethod, boxes_around, move_people, prepare_grey
from tracker.settings import InferenceSettings

Item = TypeVar("Item")

_SLIGHTLY_ALIKE = (
    1e-3  # boxes that overlap belong together even where, with min_propagation_oks 0, the poses say nothing
)
BATCH_FRAMES = 4  # frames whose boxes and joints are asked for in one call
_AHEAD_FRAMES = 4  # frames read ...
_AHEAD_BATCHES = 2  # ... and batches looked at, before they are needed


def see(
    frames: Iterable[Frame],
    detector: Detector,
    estimator: Estimator,
    settings: InferenceSettings,
    flow: FlowMethod | None,
    embedder: Embedder | None = None,
    *,
    known: Iterable[PoseFrame] = (),
    batch_frames: int = BATCH_FRAMES,
) -> Generator[tuple[Frame, PoseFrame]]:
    """What is seen in each frame, with the frame itself; an error of `frames` comes after the frames before it.

    Args:
        frames: in order of presentation.
        detector: image to boxes.
        estimator: image and boxes to joints.
        settings: what to look for.
        flow: moves people from frame to frame; None: people stay where they were.
        embedder: tells how each person looks; None: nobody asks.
        known: what an earlier run saw in the first frames, with everything the same. They are not given again. Full
            batches of them, should a network's last bit depend on who is beside whom.
        batch_frames: frames in one call of the networks; changes the speed alone.
    """
    sight = _Sight(estimator, settings, flow)
    with closing(ahead(frames, _AHEAD_FRAMES)) as read:
        num_known = sight.recall_all(read, known)
        detected = ahead(
            _detect(_batches(enumerate(read, num_known), batch_frames), detector, settings), _AHEAD_BATCHES
        )
        placed = ahead(_place(detected, estimator), _AHEAD_BATCHES)
        with closing(detected), closing(placed):  # the last stage ends first, while it can still be fed
            for batch in placed:
                seen = ((frame, sight.look(frame, poses)) for frame, poses in batch)
                yield from seen if embedder is None else _embed(list(seen), embedder)


def _detect(
    batches: Iterable[list[tuple[int, Frame]]], detector: Detector, settings: InferenceSettings
) -> Iterator[list[tuple[Frame, Detections]]]:
    """Frames with their boxes, down to the lowest score that is of use; between every n-th frame there are none."""
    for batch in batches:
        due = [position % settings.detect_every == 0 for position, _ in batch]
        frames = [frame for (_, frame), is_due in zip(batch, due, strict=True) if is_due]
        found = iter(detector(frames) if frames else [])
        boxes = [next(found) if is_due else Detections.empty() for is_due in due]
        yield [(frame, b[b.scores >= settings.min_box_score]) for (_, frame), b in zip(batch, boxes, strict=True)]


def _place(
    batches: Iterable[list[tuple[Frame, Detections]]], estimator: Estimator
) -> Iterator[list[tuple[Frame, Poses]]]:
    """Frames with the poses in their boxes; a pose keeps its box's score."""
    for batch in batches:
        placed = estimator([frame for frame, _ in batch], [found.boxes for _, found in batch])
        yield [
            (frame, replace(poses, scores=found.scores)) for (frame, found), poses in zip(batch, placed, strict=True)
        ]


def _embed(batch: list[tuple[Frame, PoseFrame]], embedder: Embedder) -> Iterator[tuple[Frame, PoseFrame]]:
    """The same frames, with how everybody looks."""
    looks = embedder([frame for frame, _ in batch], [seen.poses for _, seen in batch])
    for (frame, seen), appearance in zip(batch, looks, strict=True):
        yield frame, replace(seen, appearance=appearance)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter; an error of `items` comes after the items before it."""
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


class _Sight:
    """The see stage's only memory: the last frame, where the poses of the last few frames are by now, the camera."""

    def __init__(self, estimator: Estimator, settings: InferenceSettings, flow: FlowMethod | None) -> None:
        self._estimator = estimator
        self._settings = settings
        self._flow = flow
        self._skeleton: Skeleton = estimator.skeleton
        self._carried = PropagatedPoses.empty(len(self._skeleton))
        self._last: PoseFrame | None = None
        self._last_image: FlowImage | None = None
        self._camera = CameraMotion() if settings.estimate_camera_motion else None

    def look(self, frame: Frame, detected: Poses) -> PoseFrame:
        """The people of this frame: the detected ones, and those of the last frame whom no detection explains."""
        image = self._prepare(frame)
        propagated = self._carry(image)
        poses = self._without_duplicates(detected)
        if self._settings.propagate and self._last is not None:
            newest = propagated.source_frames == self._last.index
            last, moved = self._last.poses[propagated.source_rows[newest]], propagated.keypoints[newest]
            again = self._look_again(frame, poses, last, moved)
            poses = self._without_duplicates(Poses.concatenate([poses, again]))
        seen = PoseFrame(frame.index, frame.time_s, frame.name, poses, propagated)
        if self._camera is not None and image is not None:
            seen = replace(seen, camera_motion=self._camera.step(image, poses.boxes))
        self._last, self._last_image, self._carried = seen, image, propagated
        return seen

    def recall_all(self, frames: Iterator[Frame], known: Iterable[PoseFrame]) -> int:
        """Recall what was seen in the first frames; how many there were."""
        count = 0
        for seen in known:
            frame = next(frames, None)
            if frame is None or frame.index != seen.index:
                raise InputError(f"frame {seen.index} was seen before and is not there now; the clip has changed")
            self._recall(frame, seen)
            count += 1
        return count

    def _recall(self, frame: Frame, seen: PoseFrame) -> None:
        """Remember this frame as after `look`, what was seen in it being known."""
        image = self._prepare(frame)
        if self._camera is not None and image is not None:
            self._camera.step(image, seen.poses.boxes)
        self._last, self._last_image, self._carried = seen, image, seen.propagated

    def _prepare(self, frame: Frame) -> FlowImage | None:
        """The image as flow and the camera's motion want it; None where neither is wanted."""
        if self._flow is not None:
            return self._flow.prepare(frame.image)
        return prepare_grey(frame.image) if self._camera is not None else None

    def _carry(self, image: FlowImage | None) -> PropagatedPoses:
        """The poses of the last `queue_frames` frames, moved into this one."""
        known = self._remembered(self._last) if self._last else self._carried
        before = self._last_image
        if self._flow is None or image is None or before is None or len(known) == 0 or not image.same_size(before):
            return known
        moved = move_people(self._flow, before, image, known.keypoints)
        kept = np.isfinite(moved).any(axis=(1, 2))
        return replace(known, keypoints=moved)[kept]

    def _remembered(self, last: PoseFrame) -> PropagatedPoses:
        """The last frame's sure joints, and older ones still in the queue, where they were in the last frame."""
        poses = last.poses
        sure = confident_keypoints(poses, self._settings.min_propagated_joint_score)
        old = self._carried
        frames = np.concatenate([old.source_frames, np.full(len(poses), last.index)])
        rows = np.concatenate([old.source_rows, np.arange(len(poses))])
        keypoints = np.concatenate([old.keypoints, sure])
        newest = np.unique(frames)[-self._settings.queue_frames :]
        kept = np.isin(frames, newest) & np.isfinite(keypoints).any(axis=(1, 2))
        return PropagatedPoses(frames, rows, keypoints)[kept]

    def _look_again(self, frame: Frame, detected: Poses, last: Poses, moved: np.ndarray) -> Poses:
        """Joints in the boxes of people whom no detection explains (the paper's joint NMS of both kinds of boxes)."""
        boxes = boxes_around(moved, self._settings.propagated_box_margin)
        missed = ~self._explained(moved, boxes, detected) & _inside(boxes, frame.image.shape)
        if not missed.any():
            return Poses.empty(len(self._skeleton))
        (poses,) = self._estimator([frame], [boxes[missed]])
        quality = poses.keypoint_scores.mean(axis=1)
        alike = self._oks(moved[missed], poses).diagonal()
        anybody = np.isfinite(poses.keypoints).any(axis=(1, 2))
        still_seen = (
            anybody & (quality >= self._settings.min_propagated_score) & (alike >= self._settings.min_propagation_oks)
        )
        # A propagated person is never surer than the box it came from, nor than its joints are now.
        scores = np.minimum(last.scores[missed], quality)
        return replace(poses, scores=scores, propagated=np.ones(len(poses), bool))[still_seen]

    def _explained(self, moved: np.ndarray, boxes: np.ndarray, detected: Poses) -> np.ndarray:
        """Which propagated people (M,) have a detection of their own: it overlaps, and its pose is like theirs."""
        overlap = box_iou(boxes, detected.boxes) > self._settings.box_nms_iou
        alike = self._oks(moved, detected)
        fits = overlap & (alike >= self._settings.min_propagation_oks)
        # Alike or not, a box explains one person: where two stand close, the other one is looked for.
        pairs = associate(np.where(fits, np.maximum(alike, _SLIGHTLY_ALIKE), 0.0), 0.0, "greedy")
        return np.isin(np.arange(len(moved)), pairs[:, 0])

    def _oks(self, keypoints: np.ndarray, poses: Poses) -> np.ndarray:
        return oks(keypoints, poses.keypoints, box_area(poses.boxes), self._skeleton.oks_sigmas)

    def _without_duplicates(self, poses: Poses) -> Poses:
        """Pose NMS: of poses alike the one of the best quality stays."""
        sure = confident_keypoints(poses, self._settings.min_propagated_joint_score)
        alike = oks(sure, sure, box_area(poses.boxes), self._skeleton.oks_sigmas)
        alike = np.minimum(alike, alike.T)  # as the smaller one measures: no big box swallows its neighbour
        return poses[np.sort(suppress(alike, poses.quality, self._settings.pose_nms_oks))]


def _inside(boxes: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Which boxes (M,) have some area within the image."""
    height, width = image_shape[:2]
    clipped = np.clip(boxes, 0, [width, height, width, height])
    return np.all(clipped[:, 2:] > clipped[:, :2], axis=1)  # never true of NaN
