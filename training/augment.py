"""One training crop: random numbers are drawn first, then applied to an image and its joints.

    draws = drawn(augmentation, seed, epoch, index)
    crop = augmented(image, box, keypoints, visibility, skeleton, augmentation, draws, (192, 256))

Drawing takes (seed, epoch, index) alone, so that a sample is the same whichever worker makes it. All numbers of a
sample are drawn whether or not the settings use them, so that a change of one setting does not change the others.

Order: proposal instead of the box; mirror image and joints; box or half of the body; shift; scale; rotation; the crop
of inference (`estimators/affine.py`); changes of the pixels. The defaults of `Augmentation` are those of HRNet.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np
from scipy.special import ndtr, ndtri

from estimators.affine import transformed, warped
from posetrail.frame import Image
from posetrail.skeletons import Skeleton
from training.colour import (
    blurred,
    hsv_shifted,
    median_blurred,
    with_brightness_and_contrast,
    with_channel_gains,
    with_hole,
)
from training.proposals import ProposalDraws, drawn_proposal, proposal
from training.regions import HalfBody, Region, half_body, mirrored
from training.samples import NOT_LABELLED

Distribution = Literal["normal", "truncated", "uniform"]
_KERNELS = (3, 5, 7)  # of blurs
_SMALLEST = 1e-12  # probability: the normal distribution has no finite number for 0
_SMALLEST_PX = 1.0  # side of a region, when all labelled joints are in one line


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges and probabilities. A probability of 0, or a range of no width, turns a change off.

    With `distribution` normal, scale and rotation are cut at one and at two deviations, as in HRNet; truncated is a
    normal distribution that has nothing beyond one deviation, as in mmpose; uniform fills the range evenly.
    """

    padding: float = 1.25  # factor on the box
    distribution: Distribution = "normal"
    scale: tuple[float, float] = (0.65, 1.35)  # factor on the size; the middle is the mean, half the width a deviation
    rotation_deg: float = 45.0  # one deviation, or the range to both sides
    rotation_probability: float = 0.6
    flip_probability: float = 0.5
    shift: float = 0.0  # one deviation, as a share of the size
    shift_probability: float = 0.0
    stretch: tuple[float, float] = (0.0, 0.0)  # largest random padding of width and height, added to 1 (MSPN)
    half_body: HalfBody = field(default_factory=HalfBody)
    unbiased: bool = False  # the crop of UDP
    only_inside: bool = False  # joints that leave the crop are not labelled any more (MSPN)
    hsv: tuple[int, int, int] = (0, 0, 0)  # largest changes of hue, saturation, value, each with probability 1/2
    brightness: float = 0.0  # largest change, as a share of white
    contrast: float = 0.0  # largest change of the factor 1
    channels: float = 0.0  # largest change of the factor 1 of each colour
    blur_probability: float = 0.0
    median_blur_probability: float = 0.0
    hole: tuple[float, float] = (0.2, 0.4)  # smallest and largest side, as shares of the crop
    hole_probability: float = 0.0
    proposals: bool = False  # boxes sampled around the annotated one, as of a detector (`training.proposals`)


NO_AUGMENTATION = Augmentation(
    scale=(1.0, 1.0), rotation_probability=0.0, flip_probability=0.0, half_body=HalfBody(probability=0.0)
)
"""The crops of inference."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The random numbers of one sample. The defaults change nothing.

    `scale` and `rotation` are in deviations, or -1..1 for a uniform distribution; `shift` likewise.
    """

    flip: bool = False
    half_body: bool = False
    upper: bool = True
    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 0.0
    rotation: float = 0.0
    stretch: tuple[float, float] = (0.0, 0.0)  # 0..1 of the largest padding, of the box
    half_stretch: tuple[float, float] = (0.0, 0.0)  # 0..1, of the half body
    hsv: tuple[int, int, int] = (0, 0, 0)
    brightness: float = 0.0
    contrast: float = 1.0
    channels: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur_kernel: int = 0  # pixels, 0 for none
    median_blur_kernel: int = 0
    hole: tuple[float, float, float, float] | None = None  # height and width, shares; top and left, 0..1 of their range
    proposal: ProposalDraws | None = None


@dataclass(frozen=True, eq=False)
class Crop:
    """A training crop of one person."""

    image: Image  # (h, w, 3) uint8 RGB
    keypoints: np.ndarray  # (K, 2) float32 pixels of the crop; NaN where not labelled
    visibility: np.ndarray  # (K,) uint8: 0 not labelled, 1 occluded, 2 visible
    matrix: np.ndarray  # (2, 3) from the image, mirrored if `flipped`, to the crop
    flipped: bool


def drawn(settings: Augmentation, seed: int, epoch: int, index: int) -> Draws:
    """The random numbers of sample `index` in an epoch; the same on every machine and in every process."""
    rng = np.random.default_rng([seed, epoch, index])

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    def signed() -> float:
        return float(rng.uniform(-1, 1))

    def deviation() -> float:
        return _deviation(settings.distribution, rng.random())

    def kernel(probability: float) -> int:
        size = _KERNELS[int(rng.random() * len(_KERNELS))]
        return size if chance(probability) else 0

    half = settings.half_body
    flip, is_half, upper = chance(settings.flip_probability), chance(half.probability), chance(half.upper_probability)
    is_shifted, is_turned = chance(settings.shift_probability), chance(settings.rotation_probability)
    shift, scale, rotation = (deviation(), deviation()), deviation(), deviation()
    stretch, half_stretch = (rng.random(), rng.random()), (rng.random(), rng.random())
    hue, saturation, value = (int(signed() * largest) * chance(0.5) for largest in settings.hsv)
    low, high = settings.hole
    hole = (*rng.uniform(low, high, 2).tolist(), rng.random(), rng.random())
    result = Draws(
        flip=flip,
        half_body=is_half,
        upper=upper,
        shift=shift if is_shifted else (0.0, 0.0),
        scale=scale,
        rotation=rotation if is_turned else 0.0,
        stretch=stretch,
        half_stretch=half_stretch,
        hsv=(hue, saturation, value),
        brightness=settings.brightness * signed(),
        contrast=1 + settings.contrast * signed(),
        channels=(1 + settings.channels * signed(), 1 + settings.channels * signed(), 1 + settings.channels * signed()),
        blur_kernel=kernel(settings.blur_probability),
        median_blur_kernel=kernel(settings.median_blur_probability),
        hole=hole if chance(settings.hole_probability) else None,
    )
    sampled = drawn_proposal(rng)
    return replace(result, proposal=sampled) if settings.proposals else result


def _deviation(distribution: Distribution, uniform: float) -> float:
    """A number of mean 0 from a uniform one: one draw for every distribution."""
    if distribution == "uniform":
        return 2 * uniform - 1
    low, high = (ndtr(-1.0), ndtr(1.0)) if distribution == "truncated" else (_SMALLEST, 1.0)
    return float(ndtri(low + (high - low) * uniform))


def region(
    box: np.ndarray, keypoints: np.ndarray, width: int, skeleton: Skeleton, settings: Augmentation, draws: Draws
) -> Region:
    """The region to crop.

    Args:
        box: (4,) x1 y1 x2 y2 pixels.
        keypoints: (K, 2) pixels, NaN where not labelled.
        width: of the image, pixels.
        skeleton: of the joints.
        settings: the ranges.
        draws: the random numbers.
    """
    found = half_body(keypoints, skeleton, settings.half_body, prefer_upper=draws.upper) if draws.half_body else None
    if found is None:
        centre, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        padding, stretch = settings.padding, draws.stretch
    else:
        centre, extent = found
        padding, stretch = settings.half_body.padding, draws.half_stretch
    size = np.maximum(extent, _SMALLEST_PX) * padding * (1 + np.array(settings.stretch) * stretch)
    if draws.flip:
        centre = mirrored(centre, width)
    centre = centre + settings.shift * np.array(draws.shift) * size
    low, high = settings.scale
    factor = (low + high) / 2 + (high - low) / 2 * np.clip(draws.scale, -1, 1)
    turn = settings.rotation_deg * float(np.clip(draws.rotation, -2, 2))
    return Region(centre=centre, size=size * factor, rotation_deg=turn, flipped=draws.flip)


def augmented(
    image: Image,
    box: np.ndarray,
    keypoints: np.ndarray,
    visibility: np.ndarray,
    skeleton: Skeleton,
    settings: Augmentation,
    draws: Draws,
    crop_size: tuple[int, int],
) -> Crop:
    """The training crop of one person.

    Args:
        image: (H, W, 3) uint8 RGB, not changed.
        box: (4,) x1 y1 x2 y2 pixels.
        keypoints: (K, 2) pixels, NaN where not labelled.
        visibility: (K,) 0, 1 or 2.
        skeleton: of the joints; its mirror pairs are exchanged in mirrored images.
        settings: the ranges.
        draws: the random numbers.
        crop_size: width and height of the crop, pixels.
    """
    height, width = image.shape[:2]
    if draws.proposal is not None:
        box = proposal(box, (width, height), draws.proposal)
    where = region(box, keypoints, width, skeleton, settings, draws)
    matrix = where.matrix(crop_size, unbiased=settings.unbiased)
    if where.flipped:
        image = cv2.flip(image, 1)
        keypoints, visibility = mirrored(keypoints, width)[skeleton.mirror], visibility[skeleton.mirror]
    joints = transformed(keypoints[None], matrix[None])[0]
    if settings.only_inside:
        with np.errstate(invalid="ignore"):
            inside = ((joints >= 0) & (joints <= np.array(crop_size) - 1)).all(axis=1)
        joints, visibility = np.where(inside[:, None], joints, np.nan), np.where(inside, visibility, NOT_LABELLED)
    return Crop(
        image=recoloured(warped(image, matrix, crop_size), draws),
        keypoints=joints.astype(np.float32),
        visibility=visibility.astype(np.uint8),
        matrix=matrix,
        flipped=where.flipped,
    )


def recoloured(crop: Image, draws: Draws) -> Image:
    """The crop with the drawn changes of its pixels."""
    if any(draws.hsv):
        crop = hsv_shifted(crop, draws.hsv)
    if draws.brightness or draws.contrast != 1:
        crop = with_brightness_and_contrast(crop, draws.brightness, draws.contrast)
    if draws.channels != (1, 1, 1):
        crop = with_channel_gains(crop, draws.channels)
    if draws.blur_kernel:
        crop = blurred(crop, draws.blur_kernel)
    if draws.median_blur_kernel:
        crop = median_blurred(crop, draws.median_blur_kernel)
    if draws.hole is not None:
        crop = with_hole(crop, hole_of(draws.hole, (crop.shape[1], crop.shape[0])))
    return crop


def hole_of(hole: tuple[float, float, float, float], crop_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The hole x1 y1 x2 y2 in pixels; top and left are whole pixels, each as likely as another."""
    width, height = int(hole[1] * crop_size[0]), int(hole[0] * crop_size[1])
    top, left = int(hole[2] * (crop_size[1] - height + 1)), int(hole[3] * (crop_size[0] - width + 1))
    return left, top, left + width, top + height
