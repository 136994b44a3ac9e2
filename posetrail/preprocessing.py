"""What networks want to be fed: published ones disagree on the order of channels, the mean and the deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.errors import unknown_name


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes a network's input: (channel - mean) / std, channels first."""

    bgr: bool = False
    """Blue before green before red."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of 0..255, in the order that the channels are fed in."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images (N, H, W, 3) uint8 RGB -> (N, 3, H, W) float32; `posetrail.layers.FromBytes` is the same in torch."""
        ordered = images[..., ::-1] if self.bgr else images
        fed = (ordered - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(fed.transpose(0, 3, 1, 2))

    @property
    def grey(self) -> np.ndarray:
        """(3,) uint8 RGB: what the network sees as zero, or nearly."""
        colour = np.round(self.mean).astype(np.uint8)
        return colour[::-1] if self.bgr else colour


IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # RGB, of 0..255
IMAGENET_MEAN_1, IMAGENET_STD_1 = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # the same of 0..1

IMAGENET = Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD)
ZERO_TO_ONE = Preprocessing(std=(255.0, 255.0, 255.0))

NORMALISATIONS = {"imagenet": IMAGENET, "0..1": ZERO_TO_ONE, "0..255": Preprocessing()}
"""Of RGB images, by what users call them."""


def normalised(name: str, *, bgr: bool = False) -> Preprocessing:
    """A preprocessing by the name of its numbers.

    Raises:
        InputError: no normalisation has this name.
    """
    if name not in NORMALISATIONS:
        raise unknown_name("normalisation", name, NORMALISATIONS)
    rgb = NORMALISATIONS[name]
    return Preprocessing(bgr=True, mean=rgb.mean[::-1], std=rgb.std[::-1]) if bgr else rgb
