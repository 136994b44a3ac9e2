"""Appearance embeddings by name: colours of the clothes, or a re-identification network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from estimators.colour_layout import ColourLayout
from estimators.crops import usable_boxes
from estimators.networks import NETWORKS
from estimators.published import PUBLISHED
from posetrail.checkpoints import given_weights, load_checkpoint, load_into
from posetrail.errors import unknown_name
from posetrail.frame import Frame, Image
from posetrail.poses import Poses
from posetrail.preprocessing import IMAGENET_MEAN_1, IMAGENET_STD_1
from posetrail.protocols import Embedder
from posetrail.runtime import Runtime
from posetrail.skeletons import Skeleton

COLOUR_LAYOUT = "colour_layout"
_OSNETS = tuple(name for name in NETWORKS if name.startswith("osnet"))
NO_APPEARANCE = "none"
EMBEDDERS = (NO_APPEARANCE, COLOUR_LAYOUT, *_OSNETS)
"""Names of embedders; all but the first two need weights, from a file or from the store."""

_CROP_PX = (128, 256)  # width, height
_CROPS_AT_ONCE = 32  # limits the memory: OSNet also returns its maps, 0.3 MB per crop
_MEAN, _STD = np.array(IMAGENET_MEAN_1, np.float32), np.array(IMAGENET_STD_1, np.float32)


def create_embedder(
    name: str, *, runtime: Runtime, skeleton: Skeleton, weights: Path | str | None = None
) -> Embedder | None:
    """Create an embedder by its name; None for "none".

    Args:
        name: one of EMBEDDERS.
        runtime: loads the network.
        skeleton: skeleton of the poses.
        weights: checkpoint of an OSNet trained for re-identification; the stored one by default.

    Raises:
        InputError: the name is unknown, or the weights are missing or unusable.
    """
    if name not in EMBEDDERS:
        raise unknown_name("appearance", name, EMBEDDERS)
    if name == NO_APPEARANCE:
        return None
    if name == COLOUR_LAYOUT:
        return ColourLayout(skeleton)
    return OSNetEmbedder(name, weights, runtime)


class OSNetEmbedder:
    """Embeddings of person boxes by OSNet (Zhou et al., ICCV 2019); a posetrail.protocols.Embedder.

    Args:
        name: name of the OSNet in estimators.NETWORKS.
        weights: its checkpoint; the stored one if None.
        runtime: loads the network.

    Raises:
        InputError: the weights are missing, damaged or of another network.
    """

    size = 512

    def __init__(self, name: str, weights: Path | str | None, runtime: Runtime) -> None:
        self.weights = given_weights(name, weights, source="appearance embeddings of 512 numbers", table=PUBLISHED)
        network, state = NETWORKS[name](), load_checkpoint(self.weights.path)
        # The classifier of the training set, of any number of people, is not used: any values do.
        unused = {key: value for key, value in network.state_dict().items() if key.startswith("classifier.")}
        load_into(network, {**state, **unused}, self.weights.path)
        self._run = runtime.load_module(network)

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> list[np.ndarray]:
        """Return (N, 512) unit vectors per frame; zeros for boxes outside the image."""
        found = [np.zeros((len(each), self.size), np.float32) for each in poses]
        places = [
            (i, row)
            for i, (frame, each) in enumerate(zip(frames, poses, strict=True))
            for row in np.flatnonzero(usable_boxes(each.boxes, frame.image.shape[:2]))
        ]
        for start in range(0, len(places), _CROPS_AT_ONCE):
            some = places[start : start + _CROPS_AT_ONCE]
            crops = np.stack([_crop(frames[i].image, poses[i].boxes[row]) for i, row in some])
            for (i, row), feature in zip(some, self._run(crops)[0], strict=True):
                found[i][row] = feature / max(float(np.linalg.norm(feature)), np.finfo(np.float32).tiny)
        return found


def _crop(image: Image, box: np.ndarray) -> np.ndarray:
    """The part of the box (4,) within the image, resized to the input of the network: (3, 256, 128) float32."""
    height, width = image.shape[:2]
    x1, y1 = np.clip(np.floor(box[:2]), 0, [width - 1, height - 1]).astype(int)
    x2, y2 = np.clip(np.ceil(box[2:]), [x1 + 1, y1 + 1], [width, height]).astype(int)
    shrinks = x2 - x1 > _CROP_PX[0] and y2 - y1 > _CROP_PX[1]
    pixels = cv2.resize(image[y1:y2, x1:x2], _CROP_PX, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return ((pixels.astype(np.float32) / 255 - _MEAN) / _STD).transpose(2, 0, 1)
