"""Duplicates: two tracks whose poses coincide for some time, as if two ids were given to one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.similarity import box_area, box_iou, joint_similarity, mean_joint_similarity
from tracker.association.suspect_tracks import Chains
from tracker.association.suspect_weights import Parts

_MIN_IOU, _MIN_OKS = 0.5, 0.4
_MAX_PAUSE = 6  # frames between two poses of one stretch


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Stretches in which two tracks coincide: P of them."""

    first: np.ndarray  # (P, 2) places of the first poses of both tracks
    last: np.ndarray  # (P, 2) and of the last ones
    parts: Parts


def measured_duplicates(chains: Chains) -> Duplicates:
    """Find pairs of tracks that coincide."""
    pairs, oks = _coinciding(chains)
    poses = chains.poses
    tracks = chains.track[chains.place[pairs]] if len(pairs) else np.zeros((0, 2), int)
    swapped = tracks[:, 0] > tracks[:, 1]
    pairs[swapped], tracks[swapped] = pairs[swapped][:, ::-1], tracks[swapped][:, ::-1]
    positions = poses.positions[pairs[:, 0]]
    order = np.lexsort((positions, tracks[:, 1], tracks[:, 0]))
    pairs, tracks, positions, oks = pairs[order], tracks[order], positions[order], oks[order]
    begins = np.ones(len(pairs), bool)
    begins[1:] = (tracks[1:] != tracks[:-1]).any(axis=1) | (np.diff(positions) > _MAX_PAUSE)
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(pairs))[: len(starts)] - 1
    count = ends - starts + 1
    sums = np.add.reduceat(oks, starts) if len(starts) else np.zeros(0)
    shorter = np.diff(chains.bounds)[tracks[starts]].min(axis=1, initial=len(chains.order))
    places = chains.place[pairs]
    parts = {
        "similarity": sums / np.maximum(count, 1),
        "frames": np.log(count),
        "share": count / np.maximum(shorter, 1),
    }
    return Duplicates(places[starts], places[ends], parts)


def _coinciding(chains: Chains) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (P, 2) of tracked poses of a frame that may be of one person, and their OKS (P,)."""
    poses, pairs = chains.poses, [np.zeros((0, 2), int)]
    for first, last in zip(poses.begins[:-1], poses.begins[1:], strict=True):
        rows = first + np.flatnonzero(chains.ids[first:last] >= 0)
        if len(rows) > 1:
            boxes = poses.boxes[rows]
            a, b = np.nonzero(np.triu(box_iou(boxes, boxes) > _MIN_IOU, 1))
            pairs.append(np.stack([rows[a], rows[b]], axis=1))
    found = np.concatenate(pairs)
    offsets = poses.keypoints[found[:, 0]] - poses.keypoints[found[:, 1]]
    areas = np.minimum(box_area(poses.boxes[found[:, 0]]), box_area(poses.boxes[found[:, 1]]))
    oks = mean_joint_similarity(joint_similarity(offsets, areas, chains.joint_variances), none_shared=_MIN_OKS)
    return found[oks >= _MIN_OKS], oks[oks >= _MIN_OKS]
