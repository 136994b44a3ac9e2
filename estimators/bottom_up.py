"""Bottom-up networks: joints of all people in one pass, grouped by associative embedding or part affinity fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from estimators.heatmaps import enlarged
from estimators.limb_grouping import group_by_limbs
from estimators.loading import loaded
from estimators.tag_grouping import HIGHER_HRNET, NEWELL, TagRules, group_by_tags
from posetrail.errors import InputError
from posetrail.frame import Frame, Image, by_size, images_of
from posetrail.joint_mapping import mapped
from posetrail.poses import Poses
from posetrail.preprocessing import IMAGENET, ZERO_TO_ONE, Preprocessing
from posetrail.runtime import Run, Runtime
from posetrail.similarity import box_area, grown_boxes, keypoint_boxes
from posetrail.skeletons import COCO_17, OPENPOSE_18, Skeleton
from posetrail.weights import Weights

Answer = tuple[np.ndarray, ...]
People = tuple[np.ndarray, np.ndarray, np.ndarray]
"""People of one image: keypoints (P, K, 2) in pixels of the canvas, NaN where missing; scores (P, K) and (P,)."""

_MIN_BOX_JOINT_SCORE = 0.1  # joints below it are guesses of the grouping and do not enter the box
_BOX_MARGIN = 0.25  # around the joints: head and feet extend beyond them
_LONGEST = 4  # largest longer side of the canvas, relative to the fixed side

_K = len(COCO_17)


@dataclass(frozen=True, kw_only=True)
class WholeImage:
    """Input and decoding of a bottom-up network."""

    side: Literal["shorter", "longer", "height"]
    """The side of the image that is scaled to `side_px` pixels."""
    side_px: int
    multiple: int
    """Both sides of the canvas are multiples of this many pixels; the image is at the top left."""
    preprocessing: Preprocessing
    read: Callable[[Answer, Answer | None], list[People]]
    """Decodes the outputs for the canvas and, with a flip test, for the mirrored canvas to the people of each image."""
    flips: bool = True
    """Whether a flip test was published for the network."""

    def scale(self, image: Image) -> float:
        """Pixels of the canvas per pixel of the image."""
        height, width = image.shape[:2]
        fixed = {"shorter": min(height, width), "longer": max(height, width), "height": height}[self.side]
        return min(self.side_px / fixed, _LONGEST * self.side_px / max(height, width))

    def canvas(self, image: Image) -> Image:
        """Canvas (H, W, 3) uint8 with the scaled image; the rest has the colour that preprocessing maps to zero."""
        scale = self.scale(image)
        height, width = (self._whole(side * scale) for side in image.shape[:2])
        grey = self.preprocessing.grey.tolist()
        return cv2.warpAffine(image, np.diag([scale, scale, 1.0])[:2], (width, height), borderValue=grey)

    def _whole(self, length: float) -> int:
        return int(np.ceil(round(length, 3) / self.multiple)) * self.multiple


class BottomUpNetwork:
    """Bottom-up network with grouping of joints; a posetrail.protocols.BottomUp.

    Args:
        run: maps canvases (B, H, W, 3) uint8 RGB to outputs for `way.read`, each (B, ...).
        way: input and decoding.
        weights: description for the record of a run.
        flip_test: average with the mirrored image; takes twice the time.
    """

    def __init__(self, run: Run, way: WholeImage, *, weights: Weights | None = None, flip_test: bool = False) -> None:
        if flip_test and not way.flips:
            raise InputError("flip_test: was not published for this network; leave it out")
        self.weights = weights
        self._run = run
        self._way = way
        self._flip_test = flip_test

    @property
    def skeleton(self) -> Skeleton:
        """COCO's 17 joints."""
        return COCO_17

    def __call__(self, frames: Sequence[Frame]) -> list[Poses]:
        """Return one Poses per frame, highest score first; boxes enclose the confident joints, within the image."""
        images = images_of(frames)
        found = [Poses.empty(_K)] * len(images)
        canvases = [self._way.canvas(image) for image in images]
        for rows in by_size(canvases):
            batch = np.stack([canvases[i] for i in rows])
            mirrored = self._run(batch[:, :, ::-1]) if self._flip_test else None
            for i, people in zip(rows, self._way.read(self._run(batch), mirrored), strict=True):
                found[i] = _in_image(people, self._way.scale(images[i]), images[i])
        return found


def _in_image(people: People, scale: float, image: Image) -> Poses:
    """People with boxes, in pixels of the image; those with fewer than two joints are left out."""
    keypoints, scores, person_scores = people
    keypoints, scores = keypoints / scale, np.clip(scores, 0, 1)
    boxes = keypoint_boxes(np.where((scores >= _MIN_BOX_JOINT_SCORE)[..., None], keypoints, np.nan))
    height, width = image.shape[:2]
    boxes = np.clip(grown_boxes(boxes, _BOX_MARGIN), 0, [width, height, width, height])
    not_propagated = np.zeros(len(boxes))
    poses = Poses(keypoints, scores, boxes, np.clip(person_scores, 0, 1), not_propagated)
    poses = poses[box_area(boxes) > 0]
    return poses[np.argsort(-poses.scores, kind="stable")]


def _read_tags(answer: Answer, mirrored: Answer | None, *, rules: TagRules, stride: int) -> list[People]:
    """Heatmaps and tags (B, K, H, W) to people."""
    heatmaps, tags = answer[0], answer[1][..., None]
    if mirrored is not None:
        heat_back, tags_back = (maps[:, COCO_17.mirror, :, ::-1] for maps in mirrored)
        heatmaps, tags = (heatmaps + heat_back) / 2, np.concatenate([tags, tags_back[..., None]], axis=4)
    return [
        ((keypoints + 0.5) * stride, scores, person_scores)
        for keypoints, scores, person_scores in group_by_tags(heatmaps, tags, rules)
    ]


_OPENPOSE_LIMBS = (
    *(("neck", "right_shoulder"), ("neck", "left_shoulder")),
    *(("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist")),
    *(("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist")),
    *(("neck", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle")),
    *(("neck", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle")),
    *(("neck", "nose"), ("nose", "right_eye"), ("right_eye", "right_ear"), ("nose", "left_eye")),
    *(("left_eye", "left_ear"), ("right_shoulder", "right_ear"), ("left_shoulder", "left_ear")),
)
"""In the order of grouping; `_OPENPOSE_FIELDS` gives the field of the network for each limb."""
_OPENPOSE_FIELDS = (6, 10, 7, 8, 11, 12, 0, 1, 2, 3, 4, 5, 14, 15, 17, 16, 18, 9, 13)
_OPENPOSE_STRIDE = 8


def _read_fields(answer: Answer, mirrored: Answer | None) -> list[People]:
    """OpenPose's fields (B, 38, h, w) and heatmaps (B, 19, h, w) to people."""
    size = answer[0].shape[3] * _OPENPOSE_STRIDE, answer[0].shape[2] * _OPENPOSE_STRIDE
    fields, heatmaps = (enlarged(maps, size) for maps in answer)
    fields = fields.reshape(len(fields), -1, 2, *fields.shape[2:])[:, list(_OPENPOSE_FIELDS)]
    limbs = np.array([[OPENPOSE_18.index(joint) for joint in limb] for limb in _OPENPOSE_LIMBS])
    return [
        # The score of a person sums joints and limbs, whose numbers are about equal.
        (*mapped(keypoints, scores, OPENPOSE_18, COCO_17), person_scores / 2)
        for keypoints, scores, person_scores in group_by_limbs(heatmaps[:, :-1], fields, limbs)
    ]


def _read_higher_hrnet(answer: Answer, mirrored: Answer | None) -> list[People]:
    return _read_tags(answer, mirrored, rules=HIGHER_HRNET, stride=1)  # its maps are enlarged to the canvas


def _read_newell(answer: Answer, mirrored: Answer | None) -> list[People]:
    return _read_tags(answer, mirrored, rules=NEWELL, stride=4)


WAYS: dict[str, WholeImage] = {
    "higherhrnet_w32": WholeImage(
        side="shorter", side_px=512, multiple=64, preprocessing=IMAGENET, read=_read_higher_hrnet
    ),
    "ae_hourglass_4stack": WholeImage(
        side="longer", side_px=512, multiple=64, preprocessing=ZERO_TO_ONE, read=_read_newell
    ),
    "caffe_openpose_coco": WholeImage(
        side="height",
        side_px=368,
        multiple=_OPENPOSE_STRIDE,
        preprocessing=Preprocessing(bgr=True, mean=(128.0, 128.0, 128.0), std=(256.0, 256.0, 256.0)),
        read=_read_fields,
        flips=False,
    ),
}
"""By name, as in `networks.NETWORKS`."""


def published(
    runtime: Runtime,
    *,
    name: str,
    weights: Path | str | None = None,
    input_size: int | None = None,
    flip_test: bool = False,
) -> BottomUpNetwork:
    """Create a bottom-up network of WAYS.

    Args:
        runtime: where it runs.
        name: in WAYS.
        weights: a checkpoint of this network; the stored one by default.
        input_size: pixels of the fixed side, for weights of another size than the published one.
        flip_test: as of BottomUpNetwork.

    Raises:
        InputError: the weights are missing or of another network, or it has no flip test.
    """
    from estimators.networks.people_maps import AssociativeMaps, HigherHRNetMaps
    from posetrail.layers import FromBytes

    way = WAYS[name]
    if input_size is not None:
        way = replace(way, side_px=input_size)
    module, known = loaded(name, weights)
    behind = {"higherhrnet_w32": HigherHRNetMaps, "ae_hourglass_4stack": AssociativeMaps}.get(name)
    run = runtime.load_module(FromBytes(behind(module) if behind else module, way.preprocessing))
    return BottomUpNetwork(run, way, weights=known, flip_test=flip_test)
