"""Preprocessing of images: channel order, mean and standard deviation, which differ between published networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.errors import unknown_name


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Preprocessing of an image: (channel - mean) / std, channels first."""

    bgr: bool = False
    """Channels are in the order blue, green, red."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """In units of 0..255, in the channel order of the network."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 RGB -> (N, 3, H, W) float32; `posetrail.layers.FromBytes` is the same in torch."""
        ordered = images[..., ::-1] if self.bgr else images
        x = (ordered - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    @property
    def grey(self) -> np.ndarray:
        """(3,) uint8 RGB: the colour that becomes about zero."""
        colour = np.round(self.mean).astype(np.uint8)
        return colour[::-1] if self.bgr else colour


IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # RGB, of 0..255
IMAGENET_MEAN_1, IMAGENET_STD_1 = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # the same of 0..1

IMAGENET = Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD)
ZERO_TO_ONE = Preprocessing(std=(255.0, 255.0, 255.0))
OPENPOSE = Preprocessing(bgr=True, mean=(128.0, 128.0, 128.0), std=(256.0, 256.0, 256.0))
MINUS_1_TO_1 = Preprocessing(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))

NORMALISATIONS = {"imagenet": IMAGENET, "0..1": ZERO_TO_ONE, "0..255": Preprocessing()}
"""Preprocessing of RGB images by its name in the settings."""


def normalised(name: str, *, bgr: bool = False) -> Preprocessing:
    """The preprocessing of this name.

    Raises:
        InputError: the name is unknown.
    """
    if name not in NORMALISATIONS:
        raise unknown_name("normalisation", name, NORMALISATIONS)
    rgb = NORMALISATIONS[name]
    return Preprocessing(bgr=True, mean=rgb.mean[::-1], std=rgb.std[::-1]) if bgr else rgb
