"""Boxes around a person as a detector would give them, sampled around the annotated box (RMPE's PGPG).

Fang et al. 2017, "RMPE: Regional Multi-Person Pose Estimation", section 3.4, in the form in which AlphaPose trains: one
Gaussian of each side's error for all poses. The paper has a Gaussian mixture for each cluster of poses, whose numbers
are not published.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Of the errors of x1 y1 x2 y2, in widths and heights of the box.
_MEAN = np.array([-0.0142, 0.0043, 0.0154, -0.0013])
_DEVIATION = np.array([0.1158, 0.068, 0.1337, 0.0711])
_LARGEST_PART = 0.85  # above it, the drawn share is that of a part of the box
_MARGIN_PX, _SMALLEST_PX = 3, 2  # to the right and lower border; side of a box


@dataclass(frozen=True, kw_only=True)
class ProposalDraws:
    """The random numbers of one proposal."""

    part: float  # 0..1; above 0.85, the share of the box that is kept
    place: tuple[float, float]  # 0..1, of that part inside the box
    errors: tuple[float, float, float, float]  # of x1 y1 x2 y2, in widths and heights of the box


def drawn_proposal(rng: np.random.Generator) -> ProposalDraws:
    """The random numbers of a proposal; always seven of the generator."""
    part, x, y = rng.random(3).tolist()
    x1, y1, x2, y2 = (_MEAN + _DEVIATION * rng.standard_normal(4)).tolist()
    return ProposalDraws(part=part, place=(x, y), errors=(x1, y1, x2, y2))


def proposal(box: np.ndarray, image_size: tuple[int, int], draws: ProposalDraws) -> np.ndarray:
    """A box (4,) sampled around a box: its sides moved, or in 15 % of the draws a slightly smaller part of it.

    As in AlphaPose, moved boxes are clipped to the image and parts are not, and near the right and lower border a box
    can be less than two pixels wide or high.

    Args:
        box: (4,) x1 y1 x2 y2 pixels.
        image_size: width and height, pixels.
        draws: the random numbers.
    """
    low, high = box[:2], box[2:]
    sides = high - low
    if draws.part > _LARGEST_PART:
        start = low + np.array(draws.place) * (1 - draws.part) * sides
        return np.concatenate([start, start + draws.part * sides + 1])
    last = np.array(image_size) - _MARGIN_PX
    errors = np.array(draws.errors).reshape(2, 2) * sides
    start = np.clip(low + errors[0], 1, last)
    return np.concatenate([start, np.minimum(np.maximum(start + _SMALLEST_PX, high + errors[1]), last)])


def proposals(box: np.ndarray, image_size: tuple[int, int], rng: np.random.Generator, count: int) -> np.ndarray:
    """Boxes (count, 4) sampled around a box (4,), x1 y1 x2 y2 pixels."""
    return np.array([proposal(box, image_size, drawn_proposal(rng)) for _ in range(count)]).reshape(count, 4)
