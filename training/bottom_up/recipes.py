"""Recipes and objectives of bottom-up networks: associative embedding, HigherHRNet and OpenPose.

Networks are trained on the joints that their checkpoints have, so trained weights have the keys of published ones.
Rates and batches are those of the whole batch over all processes. Published counts of steps were converted with the
56,599 images of COCO train2017 that have people with joints. Scores are the authors'; they were not reproduced here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from estimators.limb_layouts import LAYOUTS, LimbLayout
from estimators.whole_image import GROUPED
from posetrail.layers import FromBytes
from posetrail.skeletons import COCO_17, Skeleton
from training.augment import Augmentation
from training.bottom_up.whole_images import Around
from training.losses.people import masked_mse, pull_and_push, staged_half_squared_sum
from training.losses.stages import outputs_of
from training.optimisers import Optimiser
from training.recipes import TrainingRecipe
from training.regions import HalfBody
from training.schedules import Schedule
from training.targets.part_maps import part_maps_of_people
from training.targets.people import limb_fields, people_maps, tag_places

_TAG_WEIGHT = 1e-3  # of pull and of push
_STRIDE = 8  # of OpenPose


@dataclass(frozen=True, kw_only=True)
class BottomUpRecipe:
    """How a bottom-up network is trained; preprocessing and grouping are those of `estimators.whole_image`."""

    recipe: TrainingRecipe  # target is "tags" or "fields"; the loss is made by `make_objective`
    around: Around = "image"
    side_px: int = 512  # of the square samples


_AFFINE = Augmentation(
    padding=1.0,
    distribution="uniform",
    scale=(0.75, 1.5),
    rotation_deg=30.0,
    rotation_probability=1.0,
    shift=40 / 512,
    shift_probability=1.0,
    half_body=HalfBody(probability=0.0),
)
_HIGHER = BottomUpRecipe(
    recipe=TrainingRecipe(
        network="higherhrnet_w32",
        target="tags",
        loss=None,
        epochs=300,
        batch_size=48,
        optimiser=Optimiser(lr=1e-3),
        schedule=Schedule(drops=(200.0, 260.0)),
        augmentation=_AFFINE,
        published="67.1 AP, HRNet/HigherHRNet-Human-Pose-Estimation",
    )
)
_AE = BottomUpRecipe(
    recipe=TrainingRecipe(
        network="ae_hourglass_4stack",
        target="tags",
        loss=None,
        epochs=140,
        batch_size=32,
        optimiser=Optimiser(lr=2e-4),
        schedule=Schedule(drops=(113.0,), drop_factor=0.05),  # to 1e-5 after 200,000 steps
        augmentation=Augmentation(
            padding=1.0,
            distribution="uniform",
            scale=(0.75, 1.25),
            rotation_deg=30.0,
            rotation_probability=1.0,
            shift=40 / 512,
            shift_probability=1.0,
            half_body=HalfBody(probability=0.0),
        ),
        published="59 AP, princeton-vl/pose-ae-train",
    )
)
_OPENPOSE_AUGMENTATION = Augmentation(
    padding=1 / 0.6,  # a person fills 0.6 of the sample ...
    distribution="uniform",
    scale=(1 / 1.1, 1 / 0.5),  # ... times 0.5 to 1.1
    rotation_deg=40.0,
    rotation_probability=1.0,
    shift=40 / 368,
    shift_probability=1.0,
    half_body=HalfBody(probability=0.0),
)
_OPENPOSE = BottomUpRecipe(
    recipe=TrainingRecipe(
        network="caffe_openpose_coco",
        target="fields",
        loss=None,
        epochs=78,
        batch_size=10,
        optimiser=Optimiser(kind="sgd", lr=4e-5, weight_decay=5e-4, lr_factors={r".*\.Mconv\d_stage[2-6]": 4.0}),
        schedule=Schedule(drops=(24.0, 48.0, 72.0), drop_factor=0.333),  # every 136,106 steps
        augmentation=_OPENPOSE_AUGMENTATION,
        published="58.4 AP with four scales, ZheC/Realtime_Multi-Person_Pose_Estimation",
    ),
    around="person",
    side_px=368,
)
_BODY_25 = BottomUpRecipe(
    recipe=TrainingRecipe(
        network="openpose_body25",
        target="fields",
        loss=None,
        epochs=177,
        batch_size=10,
        optimiser=Optimiser(lr=1e-4, weight_decay=5e-4),
        schedule=Schedule(drops=tuple(35.3 + 17.7 * k for k in range(8)), drop_factor=0.5),  # 200,000, 300,000, ...
        augmentation=Augmentation(
            padding=1 / 0.6,
            distribution="uniform",
            scale=(1 / 1.1, 3.0),
            rotation_deg=45.0,
            rotation_probability=1.0,
            shift=40 / 368,
            shift_probability=1.0,
            half_body=HalfBody(probability=0.0),
        ),
        published="",
    ),
    around="person",
    side_px=368,
)

BOTTOM_UP_RECIPES = {each.recipe.network: each for each in (_HIGHER, _AE, _OPENPOSE, _BODY_25)}
"""Recipes by name."""


def trained_skeleton(network: str) -> Skeleton:
    """The joints of a bottom-up network's maps."""
    grouping = GROUPED[network].way.grouping
    return LAYOUTS[grouping].skeleton if grouping in LAYOUTS else COCO_17


class Supervised(nn.Module):
    """A network in training: takes images with a mask, returns the mask and all outputs that are supervised.

    Args:
        network: of `estimators.whole_image.GROUPED`.
        name: its name there.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network = FromBytes(Stages(network), GROUPED[name].way.preprocessing)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, S, S, 4) uint8 -> mask (B, S, S) of 0 and 1, and the outputs (B, ...)."""
        return [(images[..., 3] > 127).float(), *outputs_of(self.network(images[..., :3]))]


class Stages(nn.Module):
    """The outputs of all stages, also of a network that returns only its last."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        """(B, 3, S, S) -> `stages` of the network if it has them, otherwise its outputs."""
        stages: Any = getattr(self.network, "stages", self.network)
        return stages(images)


PREFIX = "network.network.network."
"""Of the names of a network's parameters in Supervised."""


Objective = Callable[[Any, Tensor, Tensor], Tensor]


def make_objective(network: str, side_px: int, known: Tensor) -> Objective:
    """The loss of a recipe, of the outputs of `Supervised`, keypoints (B, P, K, 2) and visibility (B, P, K).

    Args:
        network: its name.
        side_px: of the square samples.
        known: (K,) bool, joints that the data have; maps of others are not trained.
    """
    grouping = GROUPED[network].way.grouping
    if grouping not in LAYOUTS:
        return lambda outputs, keypoints, visibility: _tags_loss(outputs, keypoints, visibility, side_px, known)
    layout = LAYOUTS[grouping]
    return lambda outputs, keypoints, visibility: _fields_loss(outputs, keypoints, visibility, side_px, known, layout)


def _tags_loss(outputs: Any, keypoints: Tensor, visibility: Tensor, side_px: int, known: Tensor) -> Tensor:
    """Mean over outputs of the error of heatmaps, pull and push; HigherHRNet's second output has no tags.

    HigherHRNet sums its two outputs, the hourglass averages its stacks.
    """
    mask, *maps = outputs
    K, losses = keypoints.shape[2], []
    kept = known.to(mask.device)[:, None, None]
    for each in maps:
        size = each.shape[3], each.shape[2]
        stride = side_px / size[0]
        target = people_maps(keypoints, visibility, size, stride=stride)
        losses.append(masked_mse(each[:, :K] * kept, target * kept, _reduced(mask, size)))
        if each.shape[1] >= 2 * K:
            pull, push = pull_and_push(each[:, K : 2 * K], *tag_places(keypoints, visibility, size, stride=stride))
            losses[-1] = losses[-1] + _TAG_WEIGHT * (pull + push).mean()
    has_one_size = len({each.shape for each in maps}) == 1
    return torch.stack(losses).sum() / (len(losses) if has_one_size else 1)


def _fields_loss(
    outputs: Any, keypoints: Tensor, visibility: Tensor, side_px: int, known: Tensor, layout: LimbLayout
) -> Tensor:
    """Sum over OpenPose's stages of half the squared errors of fields and heatmaps."""
    mask, *stages = outputs
    size = stages[0].shape[3], stages[0].shape[2]
    limbs = torch.from_numpy(layout.limbs).to(mask.device)
    in_order = torch.empty_like(limbs)
    in_order[torch.from_numpy(layout.fields).to(mask.device)] = limbs  # of the network's fields
    fields = limb_fields(keypoints, visibility, in_order, size, stride=_STRIDE)
    maps = part_maps_of_people(keypoints, visibility, (side_px, side_px), stride=_STRIDE, highest=True)
    joints = known.to(mask.device)
    kept_fields = joints[in_order].all(dim=1).repeat_interleave(2)[:, None, None]
    kept_maps = torch.cat([joints, joints.new_ones(1)])[:, None, None]
    mask = _reduced(mask, size)
    losses = []
    for each in stages:
        target, kept = (fields, kept_fields) if each.shape[1] == fields.shape[1] else (maps, kept_maps)
        losses.append(staged_half_squared_sum([each * kept], target * kept, mask))
    return torch.stack(losses).sum()


def _reduced(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """The mask (B, S, S) at the size (width, height) of maps: 0 where more than half of a cell is."""
    return (nn.functional.adaptive_avg_pool2d(mask, size[::-1]) > 0.5).float()
