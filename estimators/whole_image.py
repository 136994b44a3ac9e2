"""Published bottom-up networks with their recipes: input size, preprocessing and grouping as in the authors' code.

To add one, write its file in `networks/`, a function in `makers` and a line in GROUPED.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from estimators import makers
from posetrail.frame import Image
from posetrail.preprocessing import IMAGENET, OPENPOSE, ZERO_TO_ONE, Preprocessing
from posetrail.skeletons import BODY_25, BODY_135, COCO_17, LSP_14, OPENPOSE_MPI_15, Skeleton

if TYPE_CHECKING:
    from torch import nn

    from estimators.part_partition import PairModel

Grouping = Literal["tags", "tags_newell", "limbs_18", "limbs_15", "limbs_25", "limbs_135", "single", "partition"]

_LONGEST = 4  # largest longer side of the canvas, relative to the fixed side


@dataclass(frozen=True, kw_only=True)
class WholeImage:
    """Input and decoding of a bottom-up network."""

    side: Literal["shorter", "longer", "height"]
    """The side of the image that is scaled to `side_px` pixels."""
    side_px: int
    multiple: int
    """Both sides of the canvas are multiples of this many pixels; the image is at the top left."""
    preprocessing: Preprocessing
    grouping: Grouping
    """How the outputs are grouped to people; a name in `bottom_up.READERS`."""
    stride: int
    """Pixels of the canvas per cell of the output maps."""
    flips: bool = True
    """Whether a flip test was published for the network."""
    skeleton: Skeleton = COCO_17
    """Of the people."""
    pairs: PairModel | None = None
    """Of the grouping "partition": which pairs of detections are of one person."""

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


@dataclass(frozen=True, kw_only=True)
class Grouped:
    """A published bottom-up network."""

    way: WholeImage
    network: Callable[[], nn.Module]
    """Builds the network with random weights and the keys of the published checkpoint."""
    maps: Callable[[nn.Module], nn.Module] | None = None
    """Wraps the network so that it returns what the grouping reads; None if its own outputs are that."""


_OPENPOSE = WholeImage(
    side="height", side_px=368, multiple=8, preprocessing=OPENPOSE, grouping="limbs_18", stride=8, flips=False
)

_DEEPERCUT = WholeImage(
    side="longer",
    side_px=850,
    multiple=16,
    preprocessing=Preprocessing(mean=(123.68, 116.779, 103.939)),
    grouping="partition",
    stride=8,
    flips=False,
)

GROUPED: dict[str, Grouped] = {
    "higherhrnet_w32": Grouped(
        way=WholeImage(side="shorter", side_px=512, multiple=64, preprocessing=IMAGENET, grouping="tags", stride=1),
        network=lambda: makers.higherhrnet(32),
        maps=makers.higherhrnet_maps,  # of the size of the canvas, hence stride 1
    ),
    "ae_hourglass_4stack": Grouped(
        way=WholeImage(
            side="longer", side_px=512, multiple=64, preprocessing=ZERO_TO_ONE, grouping="tags_newell", stride=4
        ),
        network=lambda: makers.associative_hourglass(4),
        maps=makers.associative_maps,
    ),
    "caffe_openpose_coco": Grouped(way=_OPENPOSE, network=makers.openpose),
    "caffe_openpose_mpi": Grouped(
        way=replace(_OPENPOSE, grouping="limbs_15", skeleton=OPENPOSE_MPI_15), network=makers.openpose_mpi
    ),
    "openpose_body25": Grouped(
        way=replace(_OPENPOSE, multiple=16, grouping="limbs_25", skeleton=BODY_25), network=makers.openpose_body25
    ),
    "openpose_body135": Grouped(
        way=replace(_OPENPOSE, side_px=480, multiple=16, grouping="limbs_135", skeleton=BODY_135),
        network=makers.openpose_body135,
    ),
    "deepercut_r101_coco17": Grouped(
        way=_DEEPERCUT, network=lambda: makers.deepercut(joints=17, pairwise=True), maps=makers.deepercut_maps
    ),
    "deepercut_r101_mpii14": Grouped(  # one person, who should be about 340 pixels tall
        way=replace(_DEEPERCUT, side="height", side_px=400, grouping="single", skeleton=LSP_14),
        network=lambda: makers.deepercut(joints=14, pairwise=False),
        maps=makers.deepercut_maps,
    ),
}
"""Recipe and makers of each bottom-up network by name."""
