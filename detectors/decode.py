"""From the raw answers of published detectors to person boxes, before suppression: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PERSON = 0  # of COCO's 80 classes, and of networks that know the person alone

_STRIDES = (8, 16, 32)
_MAX_CANDIDATES = 1000  # of one image that enter suppression, which is quadratic

Candidates = tuple[np.ndarray, np.ndarray]
"""Boxes (N, 4) x1 y1 x2 y2 in input pixels and scores (N,), best first."""


def decode_yolox(boxes: np.ndarray, sure: np.ndarray, min_score: float, class_id: int = PERSON) -> list[Candidates]:
    """Cells whose most likely class is the wanted one; the score is objectness times that class (Ge et al. 2021).

    Args:
        boxes: (B, A, 4) middle x, y, width, height in input pixels, for the A cells.
        sure: (B, A, 1 + C) that there is an object, and each class of it, 0..1.
        min_score: cells below it are left out.
        class_id: the class wanted.

    Returns:
        per image, what is there.
    """
    # A class is at most 1, so most cells go by their objectness alone.
    image, cell = np.nonzero(sure[..., 0] >= min_score)
    classes = sure[image, cell, 1:]
    scores = sure[image, cell, 0] * classes[:, class_id]
    good = (classes.argmax(axis=1) == class_id) & (scores >= min_score)
    middle, half = boxes[image[good], cell[good], :2], boxes[image[good], cell[good], 2:] / 2
    return _by_image(image[good], np.concatenate([middle - half, middle + half], axis=1), scores[good], len(boxes))


def decode_rtmdet(
    levels: Sequence[tuple[np.ndarray, np.ndarray]], min_score: float, class_id: int = PERSON
) -> list[Candidates]:
    """Cells that are sure of the wanted class; boxes reach from the cell's top left corner (Lyu et al. 2022).

    Args:
        levels: at strides 8, 16, 32: class logits (B, C, h, w), and distances (B, 4, h, w) to the left, top, right and
            bottom in input pixels.
        min_score: cells below it are left out (0..1).
        class_id: the class wanted.

    Returns:
        per image, what is there.
    """
    images, boxes, scores = [], [], []
    for (logits, reach), stride in zip(levels, _STRIDES, strict=True):
        sure = 1 / (1 + np.exp(-np.maximum(logits[:, class_id], -50)))  # exp overflows beyond 88
        image, row, column = np.nonzero(sure >= min_score)
        corner = np.stack([column, row], axis=1) * stride
        distances = reach[image, :, row, column]
        images.append(image)
        boxes.append(np.concatenate([corner - distances[:, :2], corner + distances[:, 2:]], axis=1))
        scores.append(sure[image, row, column])
    return _by_image(np.concatenate(images), np.concatenate(boxes), np.concatenate(scores), len(levels[0][0]))


def _by_image(images: np.ndarray, boxes: np.ndarray, scores: np.ndarray, count: int) -> list[Candidates]:
    """Boxes (N, 4) and scores (N,) sorted out by the image (N,) they are in, best first."""
    found = []
    for i in range(count):
        rows = np.flatnonzero(images == i)
        rows = rows[np.argsort(-scores[rows], kind="stable")[:_MAX_CANDIDATES]]
        found.append((boxes[rows].astype(np.float32), scores[rows].astype(np.float32)))
    return found
