"""Bottom-up networks: joints of all people in one pass, grouped by associative embedding or part affinity fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from estimators.heatmaps import enlarged
from estimators.limb_grouping import LimbRules, group_by_limbs
from estimators.limb_layouts import LAYOUTS, LimbLayout
from estimators.loading import loaded
from estimators.part_partition import group_by_partition, people_of, read_pairs, single_person
from estimators.tag_grouping import HIGHER_HRNET, NEWELL, TagRules, group_by_tags
from estimators.whole_image import GROUPED, Grouping, WholeImage
from posetrail.errors import InputError
from posetrail.frame import Frame, Image, by_size, images_of
from posetrail.joint_mapping import mapped
from posetrail.poses import Poses
from posetrail.runtime import Run, Runtime
from posetrail.similarity import box_area, grown_boxes, keypoint_boxes
from posetrail.skeletons import Skeleton
from posetrail.weights import Weights

Answer = tuple[np.ndarray, ...]
People = tuple[np.ndarray, np.ndarray, np.ndarray]
"""People of one image: keypoints (P, K, 2) in pixels of the canvas, NaN where missing; scores (P, K) and (P,)."""

_MIN_BOX_JOINT_SCORE = 0.1  # the box does not include joints of a lower score
_BOX_MARGIN = 0.25  # around the joints: head and feet extend beyond them


class BottomUpNetwork:
    """Bottom-up network with grouping of joints; a posetrail.protocols.BottomUp.

    Args:
        run: maps canvases (B, H, W, 3) uint8 RGB to the outputs that `way.grouping` reads, each (B, ...).
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
        self._read = READERS[way.grouping]
        self._flip_test = flip_test

    @property
    def skeleton(self) -> Skeleton:
        """The joints of the people."""
        return self._way.skeleton

    def __call__(self, frames: Sequence[Frame]) -> list[Poses]:
        """Return one Poses per frame, highest score first; boxes enclose the confident joints, within the image."""
        images = images_of(frames)
        found = [Poses.empty(len(self.skeleton))] * len(images)
        canvases = [self._way.canvas(image) for image in images]
        for rows in by_size(canvases):
            batch = np.stack([canvases[i] for i in rows])
            mirrored = self._run(batch[:, :, ::-1]) if self._flip_test else None
            for i, people in zip(rows, self._read(self._run(batch), mirrored, self._way), strict=True):
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


def _read_tags(answer: Answer, mirrored: Answer | None, way: WholeImage, *, rules: TagRules) -> list[People]:
    """Heatmaps and tags (B, K, H, W) to people."""
    heatmaps, tags = answer[0], answer[1][..., None]
    if mirrored is not None:
        mirrored_heatmaps, mirrored_tags = (maps[:, way.skeleton.mirror, :, ::-1] for maps in mirrored)
        heatmaps = (heatmaps + mirrored_heatmaps) / 2
        tags = np.concatenate([tags, mirrored_tags[..., None]], axis=4)
    return [
        ((keypoints + 0.5) * way.stride, scores, person_scores)
        for keypoints, scores, person_scores in group_by_tags(heatmaps, tags, rules)
    ]


def _read_limbs(answer: Answer, mirrored: Answer | None, way: WholeImage, *, layout: LimbLayout) -> list[People]:
    """OpenPose's heatmaps and fields to people: separate, fields first, or in one output, heatmaps first."""
    num_joints, num_fields = len(layout.skeleton), 2 * len(layout)
    if len(answer) == 1:
        [maps] = answer
        fields, heatmaps = maps[:, -num_fields:], maps[:, :num_joints]
    else:
        fields, heatmaps = answer[0], answer[1][:, :num_joints]
    size = fields.shape[3] * way.stride, fields.shape[2] * way.stride
    rules = LimbRules(not_starting=layout.not_starting)
    people = group_by_limbs(
        ((enlarged(each, size) for each in image) for image in heatmaps),
        ((enlarged(image[2 * i : 2 * i + 2], size) for i in layout.fields) for image in fields),
        layout.limbs,
        rules,
    )
    return [
        # The score of a person sums joints and limbs, whose numbers are about equal.
        (*mapped(keypoints, scores, layout.skeleton, way.skeleton), person_scores / 2)
        for keypoints, scores, person_scores in people
    ]


def _read_single(answer: Answer, mirrored: Answer | None, way: WholeImage) -> list[People]:
    """DeeperCut's probabilities (B, K, h, w) and offsets (B, 2 K, h, w) to one person."""
    people = []
    for probabilities, offsets in zip(*answer, strict=True):
        found = single_person(probabilities, offsets)
        people.append(people_of(found, np.zeros(len(found.joints), int), len(probabilities)))
    return people


def _read_partition(answer: Answer, mirrored: Answer | None, way: WholeImage) -> list[People]:
    """DeeperCut's probabilities, offsets and pairwise offsets (B, 2 K (K - 1), h, w) to people."""
    if way.pairs is None:
        raise ValueError("WholeImage.pairs: expected a model of pairs for the grouping partition, got None")
    return [
        group_by_partition(heat, offsets, pairwise, way.pairs) for heat, offsets, pairwise in zip(*answer, strict=True)
    ]


READERS: dict[Grouping, Callable[[Answer, Answer | None, WholeImage], list[People]]] = {
    "tags": partial(_read_tags, rules=HIGHER_HRNET),
    "tags_newell": partial(_read_tags, rules=NEWELL),
    "single": _read_single,
    "partition": _read_partition,
    "limbs_18": partial(_read_limbs, layout=LAYOUTS["limbs_18"]),
    "limbs_15": partial(_read_limbs, layout=LAYOUTS["limbs_15"]),
    "limbs_25": partial(_read_limbs, layout=LAYOUTS["limbs_25"]),
    "limbs_135": partial(_read_limbs, layout=LAYOUTS["limbs_135"]),
}
"""Decodes the outputs for canvases and, with a flip test, for the mirrored canvases to the people of each image."""


def published(
    runtime: Runtime,
    *,
    name: str,
    weights: Path | str | None = None,
    input_size: int | None = None,
    flip_test: bool = False,
) -> BottomUpNetwork:
    """Create a bottom-up network of `whole_image.GROUPED`.

    Args:
        runtime: where it runs.
        name: in GROUPED.
        weights: a checkpoint of this network; the stored one by default.
        input_size: pixels of the fixed side, for weights of another size than the published one.
        flip_test: as of BottomUpNetwork.

    Raises:
        InputError: the weights are missing or of another network, or it has no flip test.
    """
    from posetrail.layers import FromBytes

    grouped = GROUPED[name]
    way = grouped.way if input_size is None else replace(grouped.way, side_px=input_size)
    module, known = loaded(name, weights)
    if way.grouping == "partition":
        way = replace(way, pairs=read_pairs(known.path))
    if grouped.maps is not None:
        module = grouped.maps(module)
    run = runtime.load_module(FromBytes(module, way.preprocessing))
    return BottomUpNetwork(run, way, weights=known, flip_test=flip_test)
