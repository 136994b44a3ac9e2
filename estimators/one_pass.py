"""A network that finds everybody at once, in the places of a detector and of an estimator."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np

from posetrail.frame import Frame, Image
from posetrail.poses import Detections, Poses
from posetrail.protocols import BottomUp
from posetrail.similarity import box_iou
from posetrail.skeletons import Skeleton
from posetrail.weights import Weights

_SAME_PERSON_IOU = 0.3  # a propagated box is drawn around moved joints, so it is never quite that of the person


class OnePass:
    """A bottom-up network as a posetrail.protocols.Estimator, with itself as a posetrail.protocols.Detector: `detect`.

    A loop that is handed both looks at each image once: people who were detected are kept until their image is
    forgotten, and whoever fills a box best is who was asked for. Boxes of another detector are welcome as well.

    Args:
        network: images to people.
        weights: what is told of it in a run's folder.
    """

    def __init__(self, network: BottomUp, weights: Weights | None = None) -> None:
        self.weights = weights
        self._network = network
        self._found: dict[int, tuple[weakref.ref[Image], Poses]] = {}  # by the image's id, as long as it lives

    @property
    def skeleton(self) -> Skeleton:
        """The network's."""
        return self._network.skeleton

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One Detections per image: the boxes around the people, surest first."""
        return [Detections(people.boxes, people.scores) for people in self._look(frames)]

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        """Who fills each box best; all joints are missing where nobody does.

        Args:
            frames: the batch.
            boxes: per frame (N, 4) x1 y1 x2 y2 pixels.

        Returns:
            one Poses per image, row i of it for box i.
        """
        asked = [i for i, each in enumerate(boxes) if len(each)]
        people = dict(zip(asked, self._look([frames[i] for i in asked]), strict=True))
        nobody = Poses.empty(len(self.skeleton))
        return [_fitted(people.get(i, nobody), each) for i, each in enumerate(boxes)]

    def _look(self, frames: Sequence[Frame]) -> list[Poses]:
        new = [frame for frame in frames if self._recall(frame.image) is None]
        seen = iter(self._network(new) if new else [])
        return [
            known if (known := self._recall(frame.image)) is not None else self._keep(frame.image, next(seen))
            for frame in frames
        ]

    def _recall(self, image: Image) -> Poses | None:
        kept = self._found.get(id(image))
        return kept[1] if kept is not None and kept[0]() is image else None

    def _keep(self, image: Image, people: Poses) -> Poses:
        key = id(image)
        self._found[key] = (weakref.ref(image, lambda _: self._found.pop(key, None)), people)
        return people


def _fitted(people: Poses, boxes: np.ndarray) -> Poses:
    """For each box (N, 4) the one of the people whose own box is most like it, or joints that are all missing."""
    N, K = len(boxes), people.keypoints.shape[1]
    keypoints, scores = np.full((N, K, 2), np.nan), np.zeros((N, K))
    if len(people) and N:
        with np.errstate(invalid="ignore"):  # boxes that are not finite are nobody's
            alike = box_iou(boxes, people.boxes)
        best = alike.argmax(axis=1)
        same = alike[np.arange(N), best] >= _SAME_PERSON_IOU
        keypoints[same], scores[same] = people.keypoints[best[same]], people.keypoint_scores[best[same]]
    return Poses(keypoints, scores, np.reshape(boxes, (N, 4)), np.ones(N), np.zeros(N))
