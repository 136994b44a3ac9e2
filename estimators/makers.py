"""Functions that build published networks with random weights; each imports its module when it is called.

Importing this module does not import torch, so that tables of networks are cheap to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def simplebaseline(depth: int, *, joints: int = 17, caffe: bool = False) -> nn.Module:
    """Simple Baselines on a ResNet of this depth."""
    from estimators.networks.simplebaseline import SimpleBaseline

    return SimpleBaseline(depth, joints=joints, caffe=caffe)


def simplebaseline_offsets(depth: int, *, joints: int = 17) -> nn.Module:
    """Simple Baselines with three maps per joint: a disk, x and y offsets."""
    return simplebaseline(depth, joints=3 * joints)


def unet(*, joints: int = 17) -> nn.Module:
    """A small U-Net to train on one's own data."""
    from estimators.networks.unet import UNet

    return UNet(joints=joints)


def mobilenetv2_simple(*, joints: int = 17) -> nn.Module:
    """MobileNetV2 with the head of Simple Baselines."""
    from estimators.networks.mobilenetv2_simple import MobileNetV2Simple

    return MobileNetV2Simple(joints=joints)


def deeppose(*, rle: bool = False, joints: int = 17) -> nn.Module:
    """DeepPose on a ResNet-50, for coordinates alone or with their spreads (RLE)."""
    from estimators.networks.deeppose import DeepPose

    return DeepPose(rle=rle, joints=joints)


def fastpose(depth: int, *, width: int = 128, joints: int = 17) -> nn.Module:
    """AlphaPose's FastPose."""
    from estimators.networks.fastpose import FastPose

    return FastPose(depth, width=width, joints=joints)


def cpn(depth: int, *, joints: int = 17) -> nn.Module:
    """Cascaded Pyramid Network."""
    from estimators.networks.cpn import CPN

    return CPN(depth, joints=joints)


def mspn(stages: int, *, joints: int = 17) -> nn.Module:
    """Multi-Stage Pose Network."""
    from estimators.networks.mspn import MSPN

    return MSPN(stages, joints=joints)


def hrnet(width: int, *, joints: int = 17) -> nn.Module:
    """HRNet for one person."""
    from estimators.networks.hrnet import HRNet

    return HRNet(width, joints=joints)


def hrnet_offsets(width: int, *, joints: int = 17) -> nn.Module:
    """HRNet with three maps per joint: a disk, x and y offsets."""
    return hrnet(width, joints=3 * joints)


def higherhrnet(width: int) -> nn.Module:
    """HigherHRNet, bottom-up."""
    from estimators.networks.hrnet import HigherHRNet

    return HigherHRNet(width)


def higherhrnet_maps(network: nn.Module) -> nn.Module:
    """HigherHRNet whose outputs are one set of heatmaps and tags."""
    from estimators.networks.people_maps import HigherHRNetMaps

    return HigherHRNetMaps(network)


def litehrnet(modules: tuple[int, int, int], *, joints: int = 17) -> nn.Module:
    """Lite-HRNet with so many modules in its stages."""
    from estimators.networks.litehrnet import LiteHRNet

    return LiteHRNet(modules, joints=joints)


def stacked_hourglass(stacks: int, *, joints: int = 16) -> nn.Module:
    """Stacked Hourglass for one person."""
    from estimators.networks.hourglass import stacked_hourglass as build

    return build(stacks, joints=joints)


def associative_hourglass(stacks: int) -> nn.Module:
    """Stacked Hourglass with tags (associative embedding), bottom-up."""
    from estimators.networks.hourglass import associative_hourglass as build

    return build(stacks)


def associative_maps(network: nn.Module) -> nn.Module:
    """Stacked Hourglass with tags whose outputs are the heatmaps and tags of the last stack."""
    from estimators.networks.people_maps import AssociativeMaps

    return AssociativeMaps(network)


def softgated(stacks: int, *, joints: int = 16) -> nn.Module:
    """Stacked Hourglass with soft-gated skip connections."""
    from estimators.networks.softgated import softgated as build

    return build(stacks, joints=joints)


def pyranet(stacks: int, *, joints: int = 16) -> nn.Module:
    """PyraNet, stacked hourglasses of pyramid residual modules."""
    from estimators.networks.pyranet import PyraNet

    return PyraNet(stacks, joints=joints)


def pyranet_wenbc21(stacks: int, *, joints: int = 16) -> nn.Module:
    """PyraNet as wenbc21 wrote it."""
    from estimators.networks.pyranet_wenbc21 import PyraNetWenbc21

    return PyraNetWenbc21(stacks, joints=joints)


def pose_attention(stacks: int, *, joints: int = 16) -> nn.Module:
    """Stacked hourglasses with multi-context attention."""
    from estimators.networks.pose_attention import PoseAttention

    return PoseAttention(stacks, joints=joints)


def cascaded_ioi(*, joints: int = 14) -> nn.Module:
    """Cascaded Inception of Inception."""
    from estimators.networks.cascaded_ioi import CascadedIOI

    return CascadedIOI(joints=joints)


def centred_cpm(stages: int, *, joints: int = 14) -> nn.Module:
    """Convolutional Pose Machine with a map of the person's centre."""
    from estimators.networks.cpm_caffe import CentredCPM

    return CentredCPM(stages, joints=joints)


def person_cpm() -> nn.Module:
    """Convolutional Pose Machine that finds people, not joints."""
    from estimators.networks.cpm_caffe import PersonCPM

    return PersonCPM()


def cpm(*, joints: int = 17) -> nn.Module:
    """Convolutional Pose Machine."""
    from estimators.networks.cpm import CPM

    return CPM(joints=joints)


def rtmpose(deepen: float, widen: float, *, joints: int = 17, input_size: tuple[int, int] = (192, 256)) -> nn.Module:
    """RTMPose with factors on its depth and width, for crops of this width and height."""
    from estimators.networks.rtmpose import RTMPose

    return RTMPose(deepen, widen, joints=joints, input_size=input_size)


def rtmw(deepen: float, widen: float, *, joints: int = 133, input_size: tuple[int, int] = (192, 256)) -> nn.Module:
    """RTMW with factors on its depth and width, for crops of this width and height."""
    from estimators.networks.rtmw import RTMW

    return RTMW(deepen, widen, joints=joints, input_size=input_size)


def vitpose_mmpose(width: int, *, joints: int = 17) -> nn.Module:
    """ViTPose with the keys of MMPose's checkpoints."""
    from estimators.networks.vitpose import vitpose_mmpose as build

    return build(width, joints=joints)


def vitpose_vitae(width: int, *, joints: int = 17) -> nn.Module:
    """ViTPose with the keys of the authors' checkpoints."""
    from estimators.networks.vitpose import vitpose_vitae as build

    return build(width, joints=joints)


def posefix(depth: int, *, joints: int = 17) -> nn.Module:
    """PoseFix on a ResNet of this depth, a refiner."""
    from estimators.networks.posefix import PoseFix

    return PoseFix(depth, joints=joints)


def blazepose(name: str) -> nn.Module:
    """BlazePose of one of its sizes, such as blazepose_full."""
    from estimators.networks.blazepose import SIZES, BlazePoseNetwork

    return BlazePoseNetwork(SIZES[name])


def openpose() -> nn.Module:
    """OpenPose for COCO, bottom-up."""
    from estimators.networks.openpose import OpenPose

    return OpenPose()


def openpose_mpi() -> nn.Module:
    """OpenPose for MPII, bottom-up."""
    from estimators.networks.openpose import OpenPose

    return OpenPose(limbs=14, joints=15)


def openpose_body25() -> nn.Module:
    """OpenPose's BODY_25, bottom-up."""
    from estimators.networks.openpose_body import openpose_body25 as build

    return build()


def openpose_body135() -> nn.Module:
    """OpenPose's BODY_135 for whole bodies, bottom-up."""
    from estimators.networks.openpose_body import openpose_body135 as build

    return build()


def deepercut(*, joints: int, pairwise: bool) -> nn.Module:
    """DeeperCut, bottom-up; with `pairwise` for several people."""
    from estimators.networks.deepercut import DeeperCut

    return DeeperCut(joints=joints, pairwise=pairwise)


def deepercut_maps(network: nn.Module) -> nn.Module:
    """DeeperCut whose outputs are probabilities and offsets."""
    from estimators.networks.deepercut import DeeperCutMaps

    return DeeperCutMaps(network)


def openpose_part(*, joints: int) -> nn.Module:
    """OpenPose's network for a hand (21 joints) or a face (70)."""
    from estimators.networks.openpose_parts import OpenPosePart

    return OpenPosePart(joints=joints)


def osnet(widen: float, *, norm: bool = False) -> nn.Module:
    """OSNet, an appearance network, with a factor on its width."""
    from estimators.networks.osnet import OSNet

    return OSNet(widen, norm=norm)


def osnet_ain() -> nn.Module:
    """OSNet-AIN, an appearance network."""
    from estimators.networks.osnet import OSNetAIN

    return OSNetAIN()


def videopose3d(widths: tuple[int, ...], *, joints: int = 17, joints_out: int = 17, causal: bool = False) -> nn.Module:
    """VideoPose3D with filters of these widths and the authors' keys, a lifter."""
    from estimators.networks.videopose3d import VideoPose3D

    return VideoPose3D(widths, joints=joints, joints_out=joints_out, causal=causal)


def videopose3d_mmpose(widths: tuple[int, ...], *, joints_out: int = 17, dropout: float = 0.25) -> nn.Module:
    """VideoPose3D with the keys of MMPose's checkpoints; with filters of width 1, SimpleBaseline3D."""
    from estimators.networks.videopose3d import VideoPose3DMMPose

    return VideoPose3DMMPose(widths, joints_out=joints_out, dropout=dropout)


def motionbert(width: int, mlp_ratio: int) -> nn.Module:
    """MotionBERT with the authors' keys, a lifter."""
    from estimators.networks.motionbert import MotionBERT

    return MotionBERT(width, mlp_ratio)


def motionbert_mmpose() -> nn.Module:
    """MotionBERT with the keys of MMPose's checkpoints."""
    from estimators.networks.motionbert import MotionBERTMMPose

    return MotionBERTMMPose(512, 2)


def motionagformer(layers: int, width: int, frames: int) -> nn.Module:
    """MotionAGFormer for so many frames, a lifter."""
    from estimators.networks.motionagformer import MotionAGFormer

    return MotionAGFormer(layers, width, frames)
