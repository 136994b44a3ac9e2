"""Training recipes: targets, loss, optimiser, schedule and augmentation of each network, as published.

A recipe is one line of RECIPES; `dataclasses.replace` changes it. Batches and rates are those of the whole batch over
all processes. Scores are the authors' on COCO val2017 (AP) or MPII (PCKh@0.5); they were not reproduced here. Published
code that names a weight decay but does not pass it to Adam is given none.

The file has more than 400 lines because recipes are read beside each other and differ in few fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from training.augment import Augmentation
from training.losses.coarse_to_fine import cpn_loss, mspn_loss
from training.losses.coordinates import smooth_l1
from training.losses.heatmaps import disk_offset_mse, weighted_mse
from training.losses.simcc import simcc_kl
from training.losses.stages import half_squared_sum_over_outputs, mean_over_outputs, summed_over_outputs
from training.optimisers import Optimiser
from training.regions import HalfBody
from training.schedules import Schedule


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """How a network is trained. Preprocessing and crop are those of `estimators.recipes`."""

    network: str  # a name in estimators.recipes.TOP_DOWN or estimators.refiner_recipes.REFINERS, or movenet_thunder
    target: str  # a name in training.targets.kinds.TARGETS, which also decides crop and decoder; "movenet", "posefix"
    target_options: Mapping[str, Any] = field(default_factory=dict)
    loss: Callable[[Any, Any, Tensor], Tensor] | None = weighted_mse  # None: made in objectives.py for the network
    epochs: float = 210
    batch_size: int = 64
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    clip_norm: float | None = None
    average_momentum: float | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    last_epochs: float = 0.0  # at the end, with another augmentation
    last_augmentation: Augmentation | None = None
    unlabelled_as_empty: bool = False  # hourglasses: joints without a label, or outside, are trained to an empty map
    invisible_as_empty: bool = False  # CPN, MSPN: so are occluded joints, in all outputs but the finest
    input_height: int | None = None  # of the crops, pixels; None for that of the network
    needs_weights: bool = False  # a schedule of fine-tuning, which is used as it is
    published: str = ""  # score and source

    def for_crops(self, crop_size: tuple[int, int]) -> TrainingRecipe:
        """The recipe for crops of this width and height, pixels: Gaussians are wider in large crops, as published."""
        if self.target not in _GAUSSIANS or "sigma" in self.target_options or crop_size[1] < _LARGE_CROP_PX:
            return self
        return replace(self, target_options={**self.target_options, "sigma": _LARGE_CROP_SIGMA})


_GAUSSIANS = ("gaussian", "dark", "udp")  # targets
_LARGE_CROP_PX, _LARGE_CROP_SIGMA = 384, 3.0  # height, and sigma in cells; below, the 2.0 of TARGETS


def _steps(*drops: float, warmup_steps: int = 0, warmup_factor: float = 0.001) -> Schedule:
    return Schedule(drops=drops, warmup_steps=warmup_steps, warmup_factor=warmup_factor)


_SIMPLE = TrainingRecipe(
    network="simplebaseline_r50",
    target="gaussian",
    epochs=140,
    batch_size=128,
    optimiser=Optimiser(lr=1e-3),
    schedule=_steps(90, 120),
    augmentation=Augmentation(scale=(0.7, 1.3), rotation_deg=40.0, half_body=HalfBody(probability=0.0)),
    published="70.4 AP, microsoft/human-pose-estimation.pytorch",
)
_FASTPOSE = replace(  # its last 60 epochs start at the first rate again, in proposal boxes
    _SIMPLE,
    network="fastpose_r50",
    epochs=200,
    schedule=Schedule(drops=(90.0, 120.0, 140.0, 160.0, 190.0), drop_factor=(0.1, 0.1, 100.0, 0.1, 0.1)),
    last_epochs=60,
    last_augmentation=replace(_SIMPLE.augmentation, proposals=True),
    published="72.0 AP, MVIG-SJTU/AlphaPose",
)
_SIMPLE_MPII = replace(
    _SIMPLE,
    network="simplebaseline_r50_mpii",
    augmentation=Augmentation(scale=(0.75, 1.25), rotation_deg=30.0, half_body=HalfBody(probability=0.0)),
    published="88.5 PCKh, microsoft/human-pose-estimation.pytorch",
)
_HRNET = TrainingRecipe(
    network="hrnet_w32",
    target="gaussian",
    epochs=210,
    batch_size=128,
    optimiser=Optimiser(lr=1e-3),
    schedule=_steps(170, 200),
    augmentation=Augmentation(),
    published="74.4 AP, leoxiaobin/deep-high-resolution-net.pytorch",
)
_STANDARD_AUGMENTATION = Augmentation(
    distribution="truncated",
    scale=(0.5, 1.5),
    rotation_deg=80.0,
    shift=0.16,
    shift_probability=0.3,
    half_body=HalfBody(probability=0.3),
)
_STANDARD = TrainingRecipe(  # what most of MMPose's configurations share
    network="mobilenetv2_simple",
    target="gaussian",
    epochs=210,
    batch_size=512,
    optimiser=Optimiser(lr=5e-4),
    schedule=_steps(170, 200, warmup_steps=500),
    augmentation=_STANDARD_AUGMENTATION,
    published="64.8 AP, MMPose",
)
_DARK = replace(_HRNET, target="dark", published="75.6 AP, ilovepose/DarkPose")
_UDP = replace(
    _STANDARD,
    network="hrnet_w32",
    target="udp",
    augmentation=replace(_STANDARD_AUGMENTATION, unbiased=True),
    published="76.2 AP, MMPose",
)
_UDP_OFFSETS = replace(_UDP, network="hrnet_w32_udp_offsets", target="udp_offsets", loss=disk_offset_mse, published="")
# The maps of G-RMI on the network of Simple Baselines; its own code, weights and schedule are not published.
_OFFSETS = replace(_UDP_OFFSETS, network="simplebaseline_r50_offsets", target="offsets")
_HOURGLASS = TrainingRecipe(
    network="hourglass_8stack",
    target="hourglass",
    loss=mean_over_outputs,
    epochs=200,
    batch_size=16,
    optimiser=Optimiser(lr=1e-3),
    unlabelled_as_empty=True,
    schedule=Schedule(drops=(72.0,), drop_factor=0.2),  # after 100,000 steps on the 22,246 people of MPII
    augmentation=Augmentation(
        distribution="uniform",
        scale=(0.75, 1.25),
        rotation_deg=30.0,
        rotation_probability=1.0,
        half_body=HalfBody(probability=0.0),
    ),
    published="90.2 PCKh, princeton-vl/pytorch_stacked_hourglass",
)
_PYRANET = replace(
    _HOURGLASS,
    network="pyranet_2stack",
    epochs=250,
    optimiser=Optimiser(kind="rmsprop", lr=2.5e-4),
    schedule=_steps(150, 170, 200),
    augmentation=replace(_HOURGLASS.augmentation, rotation_probability=0.4),
    published="92.0 PCKh with eight stacks on the test part, Yang et al. 2017",
)
# On as many people as the hourglasses, where the authors have those of LSP too.
_CPM = TrainingRecipe(
    network="caffe_cpm_mpi",
    target="cpm",
    loss=half_squared_sum_over_outputs,
    epochs=431,  # 600,000 steps; drops every 136,106
    batch_size=16,
    optimiser=Optimiser(
        kind="sgd",
        lr=8e-5,
        weight_decay=5e-4,
        lr_factors={r".*_stage1\.weight": 5.0, r".*_stage1\.bias": 10.0, r".*\.bias": 2.0},
    ),
    schedule=Schedule(drops=(97.9, 195.8, 293.7, 391.6), drop_factor=0.333),
    augmentation=Augmentation(
        distribution="uniform",
        padding=1.2,
        scale=(0.7, 1.3),
        rotation_deg=40.0,
        rotation_probability=1.0,
        half_body=HalfBody(probability=0.0),
    ),
    published="88.5 PCKh on the test part, Wei et al. 2016; its first stage had dropout",
)
_CPN = TrainingRecipe(
    network="cpn_r50_256x192",
    target="cpn",
    loss=cpn_loss,
    invisible_as_empty=True,
    epochs=32,
    batch_size=32,
    optimiser=Optimiser(lr=5e-4, weight_decay=1e-5),
    schedule=Schedule(drops=(6.0, 12.0, 18.0, 24.0, 30.0), drop_factor=0.5),
    augmentation=Augmentation(
        distribution="uniform",
        padding=1.1,
        scale=(0.7, 1.35),
        rotation_probability=0.33,
        brightness=0.1,
        contrast=0.2,
        half_body=HalfBody(probability=0.0),
    ),
    published="69.2 AP, GengDavid/pytorch-cpn",
)
_MSPN = TrainingRecipe(
    network="mspn_r50_1stg",
    target="mspn",
    loss=mspn_loss,
    invisible_as_empty=True,
    epochs=164,  # 96,000 steps on the 149,813 people of COCO
    batch_size=256,  # 32 on each of 8 devices, and 5e-4 for each
    optimiser=Optimiser(lr=4e-3, weight_decay=1e-5),
    schedule=Schedule(kind="linear", warmup_steps=2400, warmup_factor=0.1),
    augmentation=Augmentation(
        distribution="uniform",
        padding=1.1,
        scale=(0.6, 1.0),
        rotation_probability=0.5,
        stretch=(0.1, 0.15),
        only_inside=True,
        half_body=HalfBody(probability=0.3, min_joints=4, min_upper=2, min_lower=2, upper_probability=0.5),
    ),
    published="71.5 AP, megvii-detection/MSPN",
)
_RTMPOSE_AUGMENTATION = replace(
    _STANDARD_AUGMENTATION,
    scale=(0.6, 1.4),
    hsv=(5, 30, 30),
    blur_probability=0.1,
    median_blur_probability=0.1,
    hole_probability=1.0,
)
_RTMPOSE = TrainingRecipe(
    network="rtmpose_m",
    target="simcc",
    loss=simcc_kl,
    epochs=420,
    batch_size=1024,
    optimiser=Optimiser(kind="adamw", lr=4e-3, weight_decay=0.05, decays_vectors=False),
    schedule=Schedule(kind="cosine", flat_epochs=210, last_factor=0.05, warmup_steps=1000, warmup_factor=1e-5),
    average_momentum=0.9998,
    augmentation=_RTMPOSE_AUGMENTATION,
    last_epochs=30,
    last_augmentation=replace(
        _RTMPOSE_AUGMENTATION, scale=(0.75, 1.25), rotation_deg=60.0, shift_probability=0.0, hole_probability=0.5
    ),
    published="74.6 AP, MMPose",
)
_VITPOSE = TrainingRecipe(
    network="vitpose_s_mmpose",
    target="udp",
    epochs=210,
    batch_size=512,
    optimiser=Optimiser(kind="adamw", lr=5e-4, weight_decay=0.1, decays_vectors=False, layer_decay=0.8),
    schedule=_steps(170, 200, warmup_steps=500),
    clip_norm=1.0,
    augmentation=Augmentation(scale=(0.5, 1.5), rotation_deg=40.0, unbiased=True),
    published="73.9 AP, MMPose; drop path 0.1",
)
_DEEPPOSE = replace(
    _STANDARD,
    network="deeppose_r50",
    target="coordinates",
    loss=smooth_l1,
    published="54.1 AP, MMPose",
)
_POSEFIX = replace(  # its input poses: training.error_synthesis
    _SIMPLE,
    network="posefix_r50_256x192",
    target="posefix",
    loss=None,
    optimiser=Optimiser(lr=5e-4),
    published="",
)

_POSETRACK = replace(  # of the authors, section 4.2 of Xiao, Wu, Wei 2018
    _SIMPLE,
    epochs=20,
    optimiser=Optimiser(lr=1e-4),
    schedule=_steps(10, 15),
    needs_weights=True,
    published="",
)
_POSETRACK_MMPOSE = replace(
    _STANDARD,
    network="hrnet_w32",
    epochs=20,
    schedule=_steps(10, 15, warmup_steps=500),
    needs_weights=True,
    published="83.4 AP in annotated boxes of PoseTrack18, MMPose",
)
_UNET = TrainingRecipe(  # measured on drawn figures, docs/tutorial-training.md
    network="unet_s",
    target="gaussian",
    epochs=40,
    batch_size=16,
    optimiser=Optimiser(kind="adamw", lr=4e-3, weight_decay=0.01, decays_vectors=False),
    schedule=Schedule(kind="cosine", warmup_steps=60, warmup_factor=0.04),
    augmentation=Augmentation(scale=(0.75, 1.25), rotation_deg=20.0, half_body=HalfBody(probability=0.0)),
)

RECIPES: dict[str, TrainingRecipe] = {
    "unet_s": _UNET,
    "simplebaseline_r18": replace(_SIMPLE, network="simplebaseline_r18", published=""),
    "simplebaseline_r50": _SIMPLE,
    "simplebaseline_r101": replace(_SIMPLE, network="simplebaseline_r101", published="71.4 AP, as r50"),
    "simplebaseline_r152": replace(_SIMPLE, network="simplebaseline_r152", published="72.0 AP, as r50"),
    "simplebaseline_r50_384x288": replace(_SIMPLE, input_height=384, published="72.2 AP, as at 256 x 192"),
    "simplebaseline_r101_384x288": replace(
        _SIMPLE, network="simplebaseline_r101", input_height=384, published="73.6 AP, as at 256 x 192"
    ),
    "simplebaseline_r152_384x288": replace(
        _SIMPLE, network="simplebaseline_r152", input_height=384, published="74.3 AP, as at 256 x 192"
    ),
    "simplebaseline_r50_mpii": _SIMPLE_MPII,
    "simplebaseline_r50_posetrack": _POSETRACK,
    "simplebaseline_r152_posetrack": replace(_POSETRACK, network="simplebaseline_r152"),
    "mobilenetv2_simple": _STANDARD,
    "hrnet_w32": _HRNET,
    "hrnet_w48": replace(_HRNET, network="hrnet_w48", published="75.1 AP, as w32"),
    "hrnet_w32_384x288": replace(_HRNET, input_height=384, published="75.8 AP, as at 256 x 192"),
    "hrnet_w48_384x288": replace(_HRNET, network="hrnet_w48", input_height=384, published="76.3 AP, as w32"),
    "hrnet_w32_dark": _DARK,
    "hrnet_w32_dark_384x288": replace(_DARK, input_height=384, published="76.6 AP, as at 256 x 192"),
    "hrnet_w48_dark_384x288": replace(_DARK, network="hrnet_w48", input_height=384, published="76.8 AP, as w32"),
    "hrnet_w32_udp": _UDP,
    "hrnet_w48_udp": replace(_UDP, network="hrnet_w48", published="76.8 AP, MMPose"),
    "hrnet_w32_udp_offsets": _UDP_OFFSETS,
    "simplebaseline_r50_offsets": _OFFSETS,
    "simplebaseline_r101_offsets": replace(_OFFSETS, network="simplebaseline_r101_offsets"),
    "hrnet_w32_posetrack": _POSETRACK_MMPOSE,
    "hrnet_w48_posetrack": replace(
        _POSETRACK_MMPOSE, network="hrnet_w48", published="84.6 AP in annotated boxes of PoseTrack18, MMPose"
    ),
    "litehrnet_18": replace(
        _STANDARD,
        network="litehrnet_18",
        augmentation=replace(_STANDARD_AUGMENTATION, scale=(0.75, 1.25), rotation_deg=60.0),
        published="64.2 AP, MMPose",
    ),
    "litehrnet_30": replace(
        _STANDARD,
        network="litehrnet_30",
        augmentation=replace(_STANDARD_AUGMENTATION, scale=(0.75, 1.25), rotation_deg=60.0),
        published="67.6 AP, MMPose",
    ),
    "fastpose_r50": _FASTPOSE,
    "fastpose_r152_duc256": replace(_FASTPOSE, network="fastpose_r152_duc256", published="73.3 AP, as r50"),
    "deeppose_r50": _DEEPPOSE,
    "deeppose_r50_rle": replace(
        _DEEPPOSE,
        network="deeppose_r50_rle",
        loss=None,
        optimiser=Optimiser(lr=1e-3),
        published="70.6 AP, MMPose",
    ),
    "cpn_r50_256x192": _CPN,
    "cpn_r50_384x288": replace(_CPN, network="cpn_r50_384x288", published="72.2 AP, as at 256 x 192"),
    "cpn_r101_384x288": replace(_CPN, network="cpn_r101_384x288", published="72.3 AP, as r50"),
    "mspn_r50_1stg": _MSPN,
    "mspn_r50_2stg": replace(_MSPN, network="mspn_r50_2stg", published="74.5 AP, as 1stg"),
    "mspn_r50_4stg": replace(_MSPN, network="mspn_r50_4stg", published="75.9 AP, as 1stg"),
    "hourglass_2stack": replace(_HOURGLASS, network="hourglass_2stack", published="88.3 PCKh, as 8stack"),
    "hourglass_8stack": _HOURGLASS,
    "softgated_4stack": replace(
        _HOURGLASS,
        network="softgated_4stack",
        batch_size=24,
        optimiser=Optimiser(lr=2.5e-4),
        schedule=Schedule(drops=(75.0, 100.0, 150.0), drop_factor=(1.7 / 2.5, 0.9 / 1.7, 1 / 9)),
        published="87.4 PCKh, dkurzend/Soft_Gated_Pose_Estimation_Pytorch",
    ),
    "pyranet_2stack": _PYRANET,
    "pyranet_wenbc21_2stack": replace(
        _PYRANET, network="pyranet_wenbc21_2stack", published="90.0 PCKh, wenbc21/PyraNet, in another way"
    ),
    "pose_attention_8stack": replace(
        _PYRANET,
        network="pose_attention_8stack",
        epochs=130,
        schedule=_steps(100, 125),
        published="91.5 PCKh on the test part, Chu et al. 2017",
    ),
    "caffe_cpm_mpi": _CPM,
    "caffe_cpm_lsp_mpi": replace(
        _CPM, network="caffe_cpm_lsp_mpi", published="90.5 PCK@0.2 on LSP, Wei et al. 2016; its first stage had dropout"
    ),
    "caffe_cpm_flic": replace(_CPM, network="caffe_cpm_flic", published=""),
    # How it was trained is not published: as PyraNet, with the maps of CPM.
    "cascaded_ioi_mpii": replace(
        _PYRANET,
        network="cascaded_ioi_mpii",
        target="cpm",
        loss=summed_over_outputs,
        unlabelled_as_empty=False,
        augmentation=replace(_PYRANET.augmentation, padding=1.2),
        published="91.2 PCKh on the test part, Liu et al. 2018, in another way",
    ),
    # The authors' network has dropout in its first stage; this one of MMPose was trained without.
    "cpm_mmpose": replace(
        _STANDARD,
        network="cpm_mmpose",
        target_options={"stride": 8},
        loss=summed_over_outputs,
        published="62.7 AP, MMPose",
    ),
    "rtmpose_t": replace(
        _RTMPOSE,
        network="rtmpose_t",
        optimiser=replace(_RTMPOSE.optimiser, weight_decay=0.0),
        average_momentum=None,
        published="68.2 AP, MMPose",
    ),
    "rtmpose_s": replace(
        _RTMPOSE,
        network="rtmpose_s",
        optimiser=replace(_RTMPOSE.optimiser, weight_decay=0.0),
        published="71.6 AP, MMPose",
    ),
    "rtmpose_m": _RTMPOSE,
    "rtmpose_l": replace(_RTMPOSE, network="rtmpose_l", published="75.8 AP, MMPose"),
    "vitpose_s_mmpose": _VITPOSE,
    "vitpose_b_mmpose": replace(
        _VITPOSE,
        network="vitpose_b_mmpose",
        optimiser=replace(_VITPOSE.optimiser, layer_decay=0.75),
        published="75.7 AP, MMPose; drop path 0.3",
    ),
    "posefix_r50_256x192": _POSEFIX,
    "posefix_r152_384x288": replace(_POSEFIX, network="posefix_r152_384x288"),
    "movenet_thunder": TrainingRecipe(
        network="movenet_thunder",
        target="movenet",
        loss=None,
        epochs=100,
        batch_size=32,
        optimiser=Optimiser(lr=2e-4),
        schedule=Schedule(kind="cosine", warmup_steps=200),
        augmentation=Augmentation(padding=1.15, half_body=HalfBody(probability=0.0)),
        published="",
    ),
}
"""Recipes by name."""


def fine_tuned(recipe: TrainingRecipe, *, epochs: float = 20) -> TrainingRecipe:
    """The recipe for starting from trained weights: a tenth of the rate, few epochs.

    Rate and drops are those of Simple Baselines on PoseTrack (Xiao, Wu, Wei 2018, section 4.2): 20 epochs at 1e-4,
    drops at 10 and 15. Warm-up stays short, and large batches become 32 with a rate that is smaller in proportion.
    Joints without a label are left out, because in own data they may be visible.
    """
    if recipe.needs_weights:
        return recipe
    batch_size = min(recipe.batch_size, 32)
    lr = 0.1 * recipe.optimiser.lr * max(batch_size / recipe.batch_size, 0.1)
    return replace(
        recipe,
        epochs=epochs,
        batch_size=batch_size,
        optimiser=replace(recipe.optimiser, lr=lr),
        schedule=Schedule(drops=(epochs / 2, epochs * 3 / 4), warmup_steps=min(recipe.schedule.warmup_steps, 50)),
        last_epochs=0.0,
        last_augmentation=None,
        unlabelled_as_empty=False,
        invisible_as_empty=False,
    )
