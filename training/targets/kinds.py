"""Kinds of targets by name, each with the decoder and the alignment that read it: one choice of a training recipe.

A joint that is trained with one kind and decoded as another is off by up to half a cell, so `TargetKind.decoded_by`
changes the recipe of an estimator in all fields that belong to the target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from estimators.heatmaps import Alignment
from estimators.recipes import Crop, Output, Recipe
from training.targets.blurred import CPN_KERNELS, MSPN_KERNELS, blurred_maps
from training.targets.coordinates import relative_coordinates
from training.targets.heatmaps import exact_maps, gaussian_maps, hourglass_maps, udp_maps, udp_offset_maps
from training.targets.part_maps import part_maps
from training.targets.simcc import simcc_gaussians, simcc_smoothed_one_hot

MakeTargets = Callable[..., tuple[Any, Tensor]]
"""Keypoints (B, K, 2), visibility (B, K) and size of the crop -> target, weights."""


@dataclass(frozen=True, kw_only=True)
class TargetKind:
    """How joints become targets, and how answers of the trained network become joints.

    >>> kind = TARGETS["udp"]
    >>> maps, weights = kind(keypoints, visibility, (192, 256), sigma=2.0)
    >>> recipe = kind.decoded_by(Recipe(input_size=(192, 256)))
    """

    make: MakeTargets
    """The function that makes targets."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Its keyword arguments, as the networks of this kind were trained at 192 x 256."""
    output: Output = "heatmaps"
    """As of `estimators.recipes.Recipe`, like the fields below."""
    decoder: str = "quarter"
    """A name in `estimators.heatmaps.DECODERS`, or of offsets in `estimators.offsets.DECODERS`; otherwise no effect."""
    alignment: Alignment = "corner"
    crop: Crop = "plain"
    flip_shift: bool = False
    highest: float = 1.0

    def __call__(
        self, keypoints: Tensor, visibility: Tensor, crop_size: tuple[int, int], **options: Any
    ) -> tuple[Any, Tensor]:
        """Make targets; see the package for the arguments.

        Args:
            keypoints: (B, K, 2) x y, pixels of the crop; NaN where not labelled.
            visibility: (B, K): 0 not labelled, 1 occluded, 2 visible.
            crop_size: width and height, pixels.
            options: replace those of this kind.

        Returns:
            the target and the weights (B, K), for the losses in `training.losses`.
        """
        return self.make(keypoints, visibility, crop_size, **{**self.options, **options})

    def decoded_by(self, recipe: Recipe) -> Recipe:
        """The recipe of an estimator with the crop and the decoding that belong to these targets."""
        return replace(
            recipe,
            output=self.output,
            decoder=self.decoder,
            alignment=self.alignment,
            crop=self.crop,
            flip_shift=self.flip_shift,
            highest=self.highest,
        )


_OFFSETS = TargetKind(
    make=udp_offset_maps, output="offsets", decoder="votes", alignment="ends", crop="unbiased"
)  # 3 K maps
_SIMCC = TargetKind(make=simcc_gaussians, output="simcc", flip_shift=True)

TARGETS: dict[str, TargetKind] = {
    "gaussian": TargetKind(make=gaussian_maps, options={"sigma": 2.0}, flip_shift=True),
    "dark": TargetKind(make=exact_maps, options={"sigma": 2.0}, decoder="dark", flip_shift=True),
    "udp": TargetKind(make=udp_maps, options={"sigma": 2.0}, decoder="udp", alignment="ends", crop="unbiased"),
    "offsets": _OFFSETS,
    "udp_offsets": replace(_OFFSETS, options={"everywhere": True}, decoder="udp_offsets"),
    "cpn": TargetKind(
        make=blurred_maps, options={"kernels": CPN_KERNELS}, decoder="cpn", alignment="middle", highest=255.0
    ),
    "mspn": TargetKind(
        make=blurred_maps, options={"kernels": MSPN_KERNELS}, decoder="mspn", alignment="middle", highest=255.0
    ),
    "hourglass": TargetKind(make=hourglass_maps, options={"sigma": 1.0}, decoder="hourglass", alignment="middle"),
    "cpm": TargetKind(make=part_maps, options={"sigma_px": 7.0}, decoder="enlarged", alignment="middle"),
    "simcc": _SIMCC,
    "simcc_normalised": replace(_SIMCC, options={"sigma": (6.0, 6.0), "normalised": True}),
    "simcc_one_hot": replace(_SIMCC, make=simcc_smoothed_one_hot),
    "coordinates": TargetKind(make=relative_coordinates, output="coordinates", flip_shift=True),
}
"""Kinds of targets by name. Published networks with crops of 288 x 384 are trained with sigma 3 instead of 2."""
