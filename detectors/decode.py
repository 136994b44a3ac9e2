"""Decoding of the raw outputs of YOLOX and RTMDet to person boxes, before NMS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PERSON = 0  # index of the class, both of COCO's 80 classes and of networks for people only

STRIDES = (8, 16, 32)
"""Input pixels per cell on the three feature levels; the same in NanoDet, YOLOX and RTMDet."""
_MAX_CANDIDATES = 1000  # boxes per image that enter NMS, whose time is quadratic

Candidates = tuple[np.ndarray, np.ndarray]
"""Boxes (N, 4) x1 y1 x2 y2 in input pixels and scores (N,), highest score first."""


def decode_yolox(
    boxes: np.ndarray, confidences: np.ndarray, min_score: float, class_id: int = PERSON
) -> list[Candidates]:
    """Boxes of the cells whose best class is `class_id`; the score is objectness times class score (Ge et al. 2021).

    Args:
        boxes: (B, A, 4) centre x, y, width, height in input pixels, for the A cells.
        confidences: (B, A, 1 + C) objectness and the score of each class, 0..1.
        min_score: cells with a lower score are left out (0..1).
        class_id: index of the class.

    Returns:
        the candidates of each image.
    """
    # Class scores are at most 1, so the objectness alone rules out most cells.
    image, cell = np.nonzero(confidences[..., 0] >= min_score)
    classes = confidences[image, cell, 1:]
    scores = confidences[image, cell, 0] * classes[:, class_id]
    good = (classes.argmax(axis=1) == class_id) & (scores >= min_score)
    middle, half = boxes[image[good], cell[good], :2], boxes[image[good], cell[good], 2:] / 2
    return _by_image(image[good], np.concatenate([middle - half, middle + half], axis=1), scores[good], len(boxes))


def decode_rtmdet(
    levels: Sequence[tuple[np.ndarray, np.ndarray]], min_score: float, class_id: int = PERSON
) -> list[Candidates]:
    """Boxes of the cells that are confident of `class_id`; distances count from the cell's top left corner.

    Lyu et al. 2022, "RTMDet: An Empirical Study of Designing Real-Time Object Detectors".

    Args:
        levels: at strides 8, 16, 32: class logits (B, C, h, w), and distances (B, 4, h, w) to the left, top, right and
            bottom in input pixels.
        min_score: cells with a lower score are left out (0..1).
        class_id: index of the class.

    Returns:
        the candidates of each image.
    """
    images, boxes, scores = [], [], []
    for (logits, reach), stride in zip(levels, STRIDES, strict=True):
        confidence = 1 / (1 + np.exp(-np.maximum(logits[:, class_id], -50)))  # exp overflows beyond 88
        image, row, column = np.nonzero(confidence >= min_score)
        corner = np.stack([column, row], axis=1) * stride
        distances = reach[image, :, row, column]
        images.append(image)
        boxes.append(np.concatenate([corner - distances[:, :2], corner + distances[:, 2:]], axis=1))
        scores.append(confidence[image, row, column])
    return _by_image(np.concatenate(images), np.concatenate(boxes), np.concatenate(scores), len(levels[0][0]))


def _by_image(images: np.ndarray, boxes: np.ndarray, scores: np.ndarray, count: int) -> list[Candidates]:
    """Boxes (N, 4) and scores (N,) grouped by their image (N,), highest score first."""
    found = []
    for i in range(count):
        rows = np.flatnonzero(images == i)
        rows = rows[np.argsort(-scores[rows], kind="stable")[:_MAX_CANDIDATES]]
        found.append((boxes[rows].astype(np.float32), scores[rows].astype(np.float32)))
    return found
