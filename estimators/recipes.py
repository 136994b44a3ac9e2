"""Published top-down networks with their recipes: preprocessing, crop and decoding as in the authors' code or paper.

A network reaches its published score only with exactly its recipe. To add one, write its file in `networks/`, a
function in `makers` and a line in TOP_DOWN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from estimators import makers
from estimators.heatmaps import DECODERS, Alignment
from posetrail.errors import InputError, unknown_name
from posetrail.preprocessing import IMAGENET, IMAGENET_MEAN, IMAGENET_STD, OPENPOSE, ZERO_TO_ONE, Preprocessing
from posetrail.skeletons import (
    COCO_17,
    COCO_WHOLEBODY_133,
    FACE_68,
    FACE_70,
    FACE_106,
    FLIC_9,
    HALPE_26,
    HAND_21,
    MPI_14,
    MPII_16,
    Skeleton,
)

if TYPE_CHECKING:
    from torch import nn

Crop = Literal["plain", "unbiased"]
Output = Literal["heatmaps", "simcc", "coordinates", "offsets"]

OFFSET_DECODERS = ("udp_offsets", "votes")  # the names in `offsets.DECODERS`
_CELL_PX = 32  # pixels per cell of the coarsest maps; sides of crops are multiples of it


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Crop, preprocessing and decoding of a top-down network."""

    input_size: tuple[int, int] = (192, 256)
    """Width and height of the crop, pixels."""
    any_size: bool = True
    """Whether the same weights can be used with crops of other sizes."""
    preprocessing: Preprocessing = IMAGENET
    padding: tuple[float, float] = (1.25, 1.25)
    """Factors on width and height of the box, before one side is enlarged to the aspect ratio of the crop."""
    crop: Crop = "plain"
    """Whether the crop maps 0..w to 0..w, or the centres of first and last pixels to each other (UDP); see `affine`."""
    output: Output = "heatmaps"
    """Kind of output: maps (N, K, h, w) or stacks (N, S, K, h, w), of which the last counts; two vectors per joint; or
    x y as shares of the crop, optionally with their spreads; or maps (N, 3 K, h, w), per joint a disk and the x and y
    offsets from its cells to the joint in units of its radius."""
    decoder: str = "quarter"
    """Decoder of heatmaps, a name in `heatmaps.DECODERS`; of offsets, one in `offsets.DECODERS`."""
    alignment: Alignment = "corner"
    """Position of the cells of a map in the crop; see `heatmaps.cells_to_pixels`."""
    flip_shift: bool = True
    """Whether the flip test shifts the mirrored maps by a cell; see `heatmaps.flip_average`."""
    highest: float = 1.0
    """Value of a trained map at the joint; scores are divided by it."""
    centre_sigma_px: float | None = None
    """Sigma of a Gaussian around the centre of the crop, a fourth channel of the input; None for images alone."""
    skeleton: Skeleton = COCO_17
    only_left_hands: bool = False
    """Whether the network was trained with left hands, so that crops of right hands must be mirrored."""

    def with_decoder(self, decoder: str | None) -> Recipe:
        """The recipe with another decoder of heatmaps; "udp" changes crop, alignment and flip test too.

        Raises:
            InputError: the decoder is unknown, or the network has no heatmaps.
        """
        if decoder is None:
            return self
        if self.output == "offsets" and decoder in OFFSET_DECODERS:
            return replace(self, decoder=decoder)
        if decoder not in DECODERS:
            raise unknown_name("decoder", decoder, OFFSET_DECODERS if self.output == "offsets" else DECODERS)
        if self.output != "heatmaps":
            raise InputError(f"decoder: {decoder} is for heatmaps, this network outputs {self.output}; leave it out")
        if decoder == "udp":
            return replace(self, decoder=decoder, crop="unbiased", alignment="ends", flip_shift=False)
        return replace(self, decoder=decoder)

    def of_height(self, height: int | None) -> Recipe:
        """The recipe with crops of another height and the same aspect ratio.

        Args:
            height: pixels; None keeps the size.

        Raises:
            InputError: the network has a fixed size, or the sides are not multiples of 32.
        """
        if height is None or height == self.input_size[1]:
            return self
        if not self.any_size:
            raise InputError(
                f"input_size: expected {self.input_size[1]}, the fixed height of this network's crops, got {height}"
            )
        width, rest = divmod(height * self.input_size[0], self.input_size[1])
        if rest or width % _CELL_PX or height % _CELL_PX:
            raise InputError(
                f"input_size: expected a height for which both sides are multiples of 32, such as 384, got {height}"
            )
        return replace(self, input_size=(width, height))


# The authors of Simple Baselines read images as BGR and normalise them with the values for RGB.
_SIMPLE = Recipe(preprocessing=Preprocessing(bgr=True, mean=IMAGENET_MEAN, std=IMAGENET_STD))
_SIMPLE_MPII = replace(_SIMPLE, input_size=(256, 256), skeleton=MPII_16)
_HRNET = Recipe()
_MMPOSE = Recipe()
_DEEPPOSE = replace(_MMPOSE, output="coordinates")
_UDP = Recipe(crop="unbiased", decoder="udp", alignment="ends", flip_shift=False)
_UDP_OFFSETS = replace(_UDP, output="offsets", decoder="udp_offsets")
_OFFSETS = replace(_UDP_OFFSETS, decoder="votes")  # G-RMI (Papandreou et al. 2017)
_VITPOSE = replace(_UDP, any_size=False)
_RTMPOSE = replace(_MMPOSE, output="simcc", any_size=False)
_RTMPOSE_LARGE = replace(_RTMPOSE, input_size=(288, 384))
_RTMPOSE_PART = replace(_RTMPOSE, input_size=(256, 256))
# As published: the mean of BGR is subtracted from RGB, without a division.
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
_OPENPOSE_PART = Recipe(
    input_size=(368, 368), preprocessing=OPENPOSE, decoder="enlarged", alignment="middle", flip_shift=False
)
_OPENPOSE_FACE = replace(_OPENPOSE_PART, skeleton=FACE_70)
# Boxes of hands are 1.5 times as large as those of `parts` (Simon et al. 2017).
_OPENPOSE_HAND = replace(_OPENPOSE_PART, skeleton=HAND_21, padding=(1.5, 1.5), only_left_hands=True)
# The mean of MPII that most hourglass code has; the file of PyraNet's authors with their own is not published.
_PYRANET = replace(
    _HOURGLASS,
    preprocessing=Preprocessing(mean=(0.4404 * 255, 0.4440 * 255, 0.4327 * 255), std=ZERO_TO_ONE.std),
)
_POSE_ATTENTION = replace(_HOURGLASS, preprocessing=Preprocessing(mean=(127.5,) * 3, std=ZERO_TO_ONE.std))
# A person fills about five sixths of the crop; the published code also averages over other scales of it.
_CPM = Recipe(
    input_size=(368, 368),
    preprocessing=Preprocessing(bgr=True, mean=(128.0,) * 3, std=(256.0,) * 3),
    padding=(1.2, 1.2),
    decoder="enlarged",
    alignment="middle",
    flip_shift=False,
    centre_sigma_px=21.0,
    skeleton=MPI_14,
)
_CPM_FLIC = replace(_CPM, skeleton=FLIC_9)
_CASCADED_IOI = replace(_CPM, input_size=(256, 256))

_RTMPOSE_SIZES = {"t": (0.167, 0.375), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1, 1), "x": (1.33, 1.25)}


def _rtmpose(
    size: str, recipe: Recipe, skeleton: Skeleton, make: Callable[..., nn.Module] = makers.rtmpose
) -> tuple[Recipe, Callable[..., nn.Module]]:
    """RTMPose or RTMW of a size, for the joints of a skeleton and the crops of a recipe."""
    network = partial(make, *_RTMPOSE_SIZES[size], joints=len(skeleton), input_size=recipe.input_size)
    return replace(recipe, skeleton=skeleton), network


TOP_DOWN: dict[str, tuple[Recipe, Callable[..., nn.Module]]] = {
    # ResNets with deconvolutions
    "simplebaseline_r18": (_SIMPLE, partial(makers.simplebaseline, 18)),
    "simplebaseline_r50": (_SIMPLE, partial(makers.simplebaseline, 50)),
    "simplebaseline_r50_mpii": (_SIMPLE_MPII, partial(makers.simplebaseline, 50, joints=16)),
    "simplebaseline_r50_caffe": (_SIMPLE, partial(makers.simplebaseline, 50, caffe=True)),
    "simplebaseline_r101": (_SIMPLE, partial(makers.simplebaseline, 101)),
    "simplebaseline_r152": (_SIMPLE, partial(makers.simplebaseline, 152)),
    "mobilenetv2_simple": (_MMPOSE, makers.mobilenetv2_simple),
    "deeppose_r50": (_DEEPPOSE, makers.deeppose),
    "deeppose_r50_rle": (_DEEPPOSE, partial(makers.deeppose, rle=True)),
    "fastpose_r50": (_FASTPOSE, partial(makers.fastpose, 50)),
    "fastpose_r152_duc256": (_FASTPOSE, partial(makers.fastpose, 152, width=256)),
    "cpn_r50_256x192": (_CPN, partial(makers.cpn, 50)),
    "cpn_r50_384x288": (_CPN_LARGE, partial(makers.cpn, 50)),
    "cpn_r101_384x288": (_CPN_LARGE, partial(makers.cpn, 101)),
    "mspn_r50_1stg": (_MSPN, partial(makers.mspn, 1)),
    "mspn_r50_2stg": (_MSPN, partial(makers.mspn, 2)),
    "mspn_r50_4stg": (_MSPN, partial(makers.mspn, 4)),
    # For own data, without published weights
    "unet_s": (_HRNET, makers.unet),
    "simplebaseline_r50_offsets": (_OFFSETS, partial(makers.simplebaseline_offsets, 50)),
    "simplebaseline_r101_offsets": (_OFFSETS, partial(makers.simplebaseline_offsets, 101)),
    "hrnet_w32_udp_offsets": (_UDP_OFFSETS, partial(makers.hrnet_offsets, 32)),
    # High resolution
    "hrnet_w32": (_HRNET, partial(makers.hrnet, 32)),
    "hrnet_w48": (_HRNET, partial(makers.hrnet, 48)),
    "litehrnet_18": (_MMPOSE, partial(makers.litehrnet, (2, 4, 2))),
    "litehrnet_30": (_MMPOSE, partial(makers.litehrnet, (3, 8, 3))),
    # Hourglasses and cascades
    "hourglass_2stack": (_HOURGLASS, partial(makers.stacked_hourglass, 2)),
    "hourglass_8stack": (_HOURGLASS, partial(makers.stacked_hourglass, 8)),
    "softgated_4stack": (_HOURGLASS, partial(makers.softgated, 4)),
    "pyranet_2stack": (_PYRANET, partial(makers.pyranet, 2)),
    "pyranet_wenbc21_2stack": (_HOURGLASS, partial(makers.pyranet_wenbc21, 2)),
    "pose_attention_8stack": (_POSE_ATTENTION, partial(makers.pose_attention, 8)),
    "cascaded_ioi_mpii": (_CASCADED_IOI, makers.cascaded_ioi),
    "caffe_cpm_mpi": (_CPM, partial(makers.centred_cpm, 6)),
    "caffe_cpm_lsp_mpi": (_CPM, partial(makers.centred_cpm, 6)),
    "caffe_cpm_flic": (_CPM_FLIC, partial(makers.centred_cpm, 4, joints=9)),
    "cpm_mmpose": (_MMPOSE, makers.cpm),
    # Transformers and coordinate classification
    **{f"rtmpose_{size}": _rtmpose(size, _RTMPOSE, COCO_17) for size in "tsml"},
    # Bodies with feet, whole bodies, hands and faces
    **{f"rtmpose_{size}_halpe26": _rtmpose(size, _RTMPOSE, HALPE_26) for size in "tsml"},
    **{f"rtmpose_{size}_halpe26_384x288": _rtmpose(size, _RTMPOSE_LARGE, HALPE_26) for size in "mlx"},
    **{f"rtmpose_{size}_wholebody": _rtmpose(size, _RTMPOSE, COCO_WHOLEBODY_133) for size in "tsml"},
    "rtmpose_l_wholebody_384x288": _rtmpose("l", _RTMPOSE_LARGE, COCO_WHOLEBODY_133),
    "rtmpose_m_hand21": _rtmpose("m", _RTMPOSE_PART, HAND_21),
    "rtmpose_m_face68": _rtmpose("m", _RTMPOSE_PART, FACE_68),
    **{f"rtmpose_{size}_face106": _rtmpose(size, _RTMPOSE_PART, FACE_106) for size in "tsm"},
    "openpose_hand21": (_OPENPOSE_HAND, partial(makers.openpose_part, joints=21)),
    "openpose_face70": (_OPENPOSE_FACE, partial(makers.openpose_part, joints=70)),
    **{f"rtmw_{size}": _rtmpose(size, _RTMPOSE, COCO_WHOLEBODY_133, makers.rtmw) for size in "mlx"},
    **{f"rtmw_{size}_384x288": _rtmpose(size, _RTMPOSE_LARGE, COCO_WHOLEBODY_133, makers.rtmw) for size in "lx"},
    "vitpose_s_mmpose": (_VITPOSE, partial(makers.vitpose_mmpose, 384)),
    "vitpose_b_mmpose": (_VITPOSE, partial(makers.vitpose_mmpose, 768)),
    "vitpose_s_vitae": (_VITPOSE, partial(makers.vitpose_vitae, 384)),
    "vitpose_b_vitae": (_VITPOSE, partial(makers.vitpose_vitae, 768)),
}
"""Recipe and maker of each network by name; makers take the number of `joints`, by default the published one.

For a network of your own, use `top_down.TopDown`."""

RECIPES = {name: recipe for name, (recipe, _) in TOP_DOWN.items()}
"""The recipes of TOP_DOWN by name."""
