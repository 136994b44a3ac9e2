"""The published top-down networks, a line for each: how it is fed and read, as its authors' code or paper has it.

A network for which a recipe is right to the letter gives the joints its authors scored. Adding one: its file in
`networks/` and its line in TOP_DOWN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from estimators import makers
from estimators.heatmaps import DECODERS, Alignment
from posetrail.errors import InputError, unknown_name
from posetrail.preprocessing import IMAGENET, IMAGENET_MEAN, IMAGENET_STD, ZERO_TO_ONE, Preprocessing
from posetrail.skeletons import COCO_17, MPII_16, Skeleton

if TYPE_CHECKING:
    from torch import nn

Crop = Literal["plain", "unbiased"]
Output = Literal["heatmaps", "simcc", "coordinates"]

_CELL_PX = 32  # of the coarsest maps: sides of crops are multiples


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """From a box to a crop, and from the network's answer to joints."""

    input_size: tuple[int, int] = (192, 256)
    """Width and height of the crop, pixels."""
    any_size: bool = True
    """The same weights fit crops of other sizes."""
    preprocessing: Preprocessing = IMAGENET
    padding: tuple[float, float] = (1.25, 1.25)
    """The crop is so many times as wide and as high as the box, before it is made longer on one side to fit."""
    crop: Crop = "plain"
    """Image 0..w upon crop 0..w, or first and last pixels upon each other (UDP): see `affine`."""
    output: Output = "heatmaps"
    """Maps (N, K, h, w), the last where there are several, or of stacks (N, S, K, h, w) the last; two vectors for each
    joint; or x y as shares of the crop, perhaps with their spreads."""
    decoder: str = "quarter"
    """How a joint is read off its heatmap, a name in `heatmaps.DECODERS`."""
    alignment: Alignment = "corner"
    """Where the cells of a map lie in the crop: see `heatmaps.cells_to_pixels`."""
    flip_shift: bool = True
    """The flip test moves the mirrored maps by a cell: see `heatmaps.flip_average`."""
    highest: float = 1.0
    """What a map is trained to be at the joint; scores are shares of it."""
    skeleton: Skeleton = COCO_17

    def with_decoder(self, decoder: str | None) -> Recipe:
        """Another way of reading heatmaps; "udp" changes crop, alignment and flip test too, as its training did.

        Raises:
            InputError: no decoder has this name, or the network has no heatmaps.
        """
        if decoder is None:
            return self
        if decoder not in DECODERS:
            raise unknown_name("decoder", decoder, DECODERS)
        if self.output != "heatmaps":
            raise InputError(
                f"decoder {decoder}: reads heatmaps, this network answers with {self.output}; leave it out"
            )
        if decoder == "udp":
            return replace(self, decoder=decoder, crop="unbiased", alignment="ends", flip_shift=False)
        return replace(self, decoder=decoder)

    def of_height(self, height: int | None) -> Recipe:
        """Crops of another size and the same shape.

        Args:
            height: pixels; None leaves the size.

        Raises:
            InputError: the network knows one size, or the sides are no multiples of 32.
        """
        if height is None or height == self.input_size[1]:
            return self
        if not self.any_size:
            raise InputError(f"input_size {height}: this network takes crops {self.input_size[1]} high and no others")
        width, rest = divmod(height * self.input_size[0], self.input_size[1])
        if rest or width % _CELL_PX or height % _CELL_PX:
            raise InputError(f"input_size {height}: wanted a height such that both sides are multiples of 32, as 384")
        return replace(self, input_size=(width, height))


# The authors of Simple Baselines read images as BGR and normalise them by the numbers for RGB.
_SIMPLE = Recipe(preprocessing=Preprocessing(bgr=True, mean=IMAGENET_MEAN, std=IMAGENET_STD))
_SIMPLE_MPII = replace(_SIMPLE, input_size=(256, 256), skeleton=MPII_16)
_HRNET = Recipe()
_MMPOSE = Recipe()
_DEEPPOSE = replace(_MMPOSE, output="coordinates")
_UDP = Recipe(crop="unbiased", decoder="udp", alignment="ends", flip_shift=False)
_VITPOSE = replace(_UDP, any_size=False)
_RTMPOSE = replace(_MMPOSE, output="simcc", any_size=False)
# Its mean is in the order BGR, taken from RGB, and there is no deviation.
_FASTPOSE = Recipe(preprocessing=Preprocessing(mean=(0.406 * 255, 0.457 * 255, 0.480 * 255), std=ZERO_TO_ONE.std))
_OF_255 = Recipe(alignment="middle", flip_shift=False, highest=255.0)
_CPN = replace(
    _OF_255,
    preprocessing=Preprocessing(mean=(122.7717, 115.9465, 102.9801), std=ZERO_TO_ONE.std),
    padding=(1.1, 1.15),
    decoder="cpn",
)
_CPN_LARGE = replace(_CPN, input_size=(288, 384))
_MSPN = replace(
    _OF_255,
    preprocessing=Preprocessing(bgr=True, mean=IMAGENET_MEAN[::-1], std=IMAGENET_STD[::-1]),
    padding=(1.09, 1.135),
    decoder="mspn",
)
_HOURGLASS = Recipe(
    input_size=(256, 256),
    preprocessing=ZERO_TO_ONE,
    decoder="hourglass",
    alignment="middle",
    flip_shift=False,
    skeleton=MPII_16,
)


TOP_DOWN: dict[str, tuple[Recipe, Callable[[], nn.Module]]] = {
    # ResNets with deconvolutions
    "simplebaseline_r18": (_SIMPLE, lambda: makers.simplebaseline(18)),
    "simplebaseline_r50": (_SIMPLE, lambda: makers.simplebaseline(50)),
    "simplebaseline_r50_mpii": (_SIMPLE_MPII, lambda: makers.simplebaseline(50, joints=16)),
    "simplebaseline_r50_caffe": (_SIMPLE, lambda: makers.simplebaseline(50, caffe=True)),
    "simplebaseline_r101": (_SIMPLE, lambda: makers.simplebaseline(101)),
    "simplebaseline_r152": (_SIMPLE, lambda: makers.simplebaseline(152)),
    "mobilenetv2_simple": (_MMPOSE, makers.mobilenetv2_simple),
    "deeppose_r50": (_DEEPPOSE, makers.deeppose),
    "deeppose_r50_rle": (_DEEPPOSE, lambda: makers.deeppose(rle=True)),
    "fastpose_r50": (_FASTPOSE, lambda: makers.fastpose(50)),
    "fastpose_r152_duc256": (_FASTPOSE, lambda: makers.fastpose(152, width=256)),
    "cpn_r50_256x192": (_CPN, lambda: makers.cpn(50)),
    "cpn_r50_384x288": (_CPN_LARGE, lambda: makers.cpn(50)),
    "cpn_r101_384x288": (_CPN_LARGE, lambda: makers.cpn(101)),
    "mspn_r50_1stg": (_MSPN, lambda: makers.mspn(1)),
    "mspn_r50_2stg": (_MSPN, lambda: makers.mspn(2)),
    "mspn_r50_4stg": (_MSPN, lambda: makers.mspn(4)),
    # High resolution
    "hrnet_w32": (_HRNET, lambda: makers.hrnet(32)),
    "hrnet_w48": (_HRNET, lambda: makers.hrnet(48)),
    "litehrnet_18": (_MMPOSE, lambda: makers.litehrnet((2, 4, 2))),
    "litehrnet_30": (_MMPOSE, lambda: makers.litehrnet((3, 8, 3))),
    # Hourglasses and cascades
    "hourglass_2stack": (_HOURGLASS, lambda: makers.stacked_hourglass(2)),
    "hourglass_8stack": (_HOURGLASS, lambda: makers.stacked_hourglass(8)),
    "softgated_4stack": (_HOURGLASS, lambda: makers.softgated(4)),
    "cpm_mmpose": (_MMPOSE, makers.cpm),
    # Transformers and coordinate classification
    "rtmpose_t": (_RTMPOSE, lambda: makers.rtmpose(0.167, 0.375)),
    "rtmpose_s": (_RTMPOSE, lambda: makers.rtmpose(0.33, 0.5)),
    "rtmpose_m": (_RTMPOSE, lambda: makers.rtmpose(0.67, 0.75)),
    "rtmpose_l": (_RTMPOSE, lambda: makers.rtmpose(1, 1)),
    "vitpose_s_mmpose": (_VITPOSE, lambda: makers.vitpose_mmpose(384)),
    "vitpose_b_mmpose": (_VITPOSE, lambda: makers.vitpose_mmpose(768)),
    "vitpose_s_vitae": (_VITPOSE, lambda: makers.vitpose_vitae(384)),
    "vitpose_b_vitae": (_VITPOSE, lambda: makers.vitpose_vitae(768)),
}
"""By name, how each is fed and read and what makes it with random numbers; for one of your own: `top_down.TopDown`."""

RECIPES = {name: recipe for name, (recipe, _) in TOP_DOWN.items()}
"""The recipes of TOP_DOWN by name."""
