"""Weights that others published for the networks here: whose, from where, under which licence, how well they scored.

Every address stands in its authors' own documentation (OpenMMLab's metafiles, YOLOX's README, torchvision's
`get_weight`); where the authors keep a file at a drive or behind a form, there is only their page. Nothing is
downloaded by reading this table; `posetrail.store` does, when it is asked to.

Hashes: torchvision and OpenMMLab put the first eight digits of the sha256 into a file's name. OpenMMLab replaced some
files of RTMPose in April 2023 and kept their names, so that what is served is not what the name says; where others have
measured what is served, both are accepted. YOLOX publishes no hashes; those are of copies others keep.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["detector", "estimator", "appearance", "flow"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """One file of weights."""

    name: str
    """What users call it: the network's name, and what sets it apart from others for the same network."""
    network: str
    """In `detectors.NETWORKS` or `estimators.NETWORKS`, or "torchvision:" and its name there."""
    kind: Kind
    family: str
    file: str
    """As its authors call it; empty where they say no name."""
    address: str = ""
    """Where to download it; empty where its authors have it at their `page` by other means."""
    page: str
    """Its authors'; empty where nobody publishes weights for the network."""
    sha256: tuple[str, ...] = ()
    """Any of these, whole or the first digits; none where nobody tells."""
    licence: str
    skeleton: str = ""
    """A name in posetrail.skeletons.SKELETONS, for estimators."""
    input_size: tuple[int, int]
    """Height and width, pixels, at which it was scored."""
    score: str
    scored_by: str
    megabytes: float
    """About."""
    remark: str = ""


_MMPOSE = "https://github.com/open-mmlab/mmpose"
_MMPOSE_FILES = "https://download.openmmlab.com/mmpose"
_SCORED_BY_MMPOSE = "MMPose's metafile, COCO val2017, boxes of 56.4 AP"
_APACHE = "Apache-2.0"
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8})(?:_\d{8})?\.pth$")


def _mmpose(
    name: str,
    family: str,
    path: str,
    ap: float,
    megabytes: float,
    *,
    network: str = "",
    also: str = "",
    licence: str = _APACHE,
    scored_by: str = _SCORED_BY_MMPOSE,
    score: str = "COCO AP",
) -> Published:
    """A file of MMPose's model zoo; `also` is a hash that others measured of what is served under its name."""
    file = path.rpartition("/")[2]
    height, width = map(int, re.findall(r"(\d{3})x(\d{3})", file)[-1])
    named = _HASH_IN_NAME.search(file)
    assert named is not None, file
    return Published(
        name=name,
        network=network or name,
        kind="estimator",
        family=family,
        file=file,
        address=f"{_MMPOSE_FILES}/{path}",
        page=_MMPOSE,
        sha256=(named[1], also) if also else (named[1],),
        licence=licence,
        skeleton="coco_17",
        input_size=(height, width),
        score=f"{ap} {score}",
        scored_by=scored_by,
        megabytes=megabytes,
    )


_RTMPOSE = "v1/projects/rtmposev1"
_HEATMAP = "v1/body_2d_keypoint/topdown_heatmap/coco"
_REGRESSION = "v1/body_2d_keypoint/topdown_regression/coco"
_BODY7 = "Apache-2.0; trained on data sets some of which are for non-commercial use"
_RTMPOSE_SIZES = {"t": 13.5, "s": 22.0, "m": 54.5, "l": 110.8}


def _rtmpose(size: str, data: str, file: str, ap: float, also: str = "") -> Published:
    of_seven = data == "body7"
    return _mmpose(
        f"rtmpose_{size}" + (f"_{data}" if data else ""),
        {"": "RTMPose", "coco": "RTMPose (COCO)", "body7": "RTMPose (7 sets)"}[data],
        f"{_RTMPOSE}/{file}",
        ap,
        _RTMPOSE_SIZES[size],
        network=f"rtmpose_{size}",
        also=also,
        licence=_BODY7 if of_seven else _APACHE,
        scored_by="MMPose's metafile, eight data sets together" if of_seven else _SCORED_BY_MMPOSE,
        score="AP on Body8" if of_seven else "COCO AP",
    )


_RTMPOSES = (
    # Trained on AI Challenger and COCO.
    _rtmpose("t", "", "rtmpose-tiny_simcc-aic-coco_pt-aic-coco_420e-256x192-cfc8f33d_20230126.pth", 68.5),
    _rtmpose("s", "", "rtmpose-s_simcc-aic-coco_pt-aic-coco_420e-256x192-fcb2599b_20230126.pth", 72.2),
    _rtmpose(
        "m",
        "",
        "rtmpose-m_simcc-aic-coco_pt-aic-coco_420e-256x192-63eb25f7_20230126.pth",
        75.8,
        also="5e55be2a03f6e5dcd14d088afc4ae5afe94a4f9de93c22e5deb725ad0eee899d",
    ),
    _rtmpose("l", "", "rtmpose-l_simcc-aic-coco_pt-aic-coco_420e-256x192-f016ffe0_20230126.pth", 76.5),
    # Trained on COCO alone, for comparisons.
    _rtmpose("t", "coco", "rtmpose-tiny_simcc-coco_pt-aic-coco_420e-256x192-e613ba3f_20230127.pth", 68.2),
    _rtmpose("s", "coco", "rtmpose-s_simcc-coco_pt-aic-coco_420e-256x192-8edcf0d7_20230127.pth", 71.6),
    _rtmpose("m", "coco", "rtmpose-m_simcc-coco_pt-aic-coco_420e-256x192-d8dd5ca4_20230127.pth", 74.6, also="929f00f2"),
    _rtmpose("l", "coco", "rtmpose-l_simcc-coco_pt-aic-coco_420e-256x192-1352a4d2_20230127.pth", 75.8),
    # Trained on seven data sets, PoseTrack 2018 among them: not for scores on PoseTrack.
    _rtmpose("t", "body7", "rtmpose-t_simcc-body7_pt-body7_420e-256x192-026a1439_20230504.pth", 65.9),
    _rtmpose("s", "body7", "rtmpose-s_simcc-body7_pt-body7_420e-256x192-acd4a1ef_20230504.pth", 69.7),
    _rtmpose("m", "body7", "rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.pth", 74.9),
    _rtmpose("l", "body7", "rtmpose-l_simcc-body7_pt-body7_420e-256x192-4dba18fc_20230504.pth", 76.7),
)

_MMPOSES = (
    _mmpose(
        "vitpose_s_mmpose",
        "ViTPose",
        f"{_HEATMAP}/td-hm_ViTPose-small_8xb64-210e_coco-256x192-62d7a712_20230314.pth",
        73.9,
        97.2,
    ),
    _mmpose(
        "vitpose_b_mmpose",
        "ViTPose",
        f"{_HEATMAP}/td-hm_ViTPose-base_8xb64-210e_coco-256x192-216eae50_20230314.pth",
        75.7,
        360.0,
    ),
    _mmpose(
        "litehrnet_18", "Lite-HRNet", "top_down/litehrnet/litehrnet18_coco_256x192-6bace359_20211230.pth", 64.2, 4.5
    ),
    _mmpose(
        "litehrnet_18_384x288",
        "Lite-HRNet",
        "top_down/litehrnet/litehrnet18_coco_384x288-8d4dac48_20211230.pth",
        67.6,
        4.5,
        network="litehrnet_18",
    ),
    _mmpose(
        "litehrnet_30", "Lite-HRNet", "top_down/litehrnet/litehrnet30_coco_256x192-4176555b_20210626.pth", 67.6, 7.1
    ),
    _mmpose(
        "litehrnet_30_384x288",
        "Lite-HRNet",
        "top_down/litehrnet/litehrnet30_coco_384x288-a3aef5c4_20210626.pth",
        70.0,
        7.1,
        network="litehrnet_30",
    ),
    _mmpose(
        "mobilenetv2_simple",
        "MobileNetV2",
        f"{_HEATMAP}/td-hm_mobilenetv2_8xb64-210e_coco-256x192-55a04c35_20221016.pth",
        64.8,
        38.3,
    ),
    _mmpose(
        "mobilenetv2_simple_384x288",
        "MobileNetV2",
        f"{_HEATMAP}/td-hm_mobilenetv2_8xb64-210e_coco-384x288-d3ab1457_20221013.pth",
        67.7,
        38.3,
        network="mobilenetv2_simple",
    ),
    _mmpose("cpm_mmpose", "CPM", f"{_HEATMAP}/td-hm_cpm_8xb64-210e_coco-256x192-0e978875_20220920.pth", 62.7, 125.2),
    _mmpose(
        "cpm_mmpose_384x288",
        "CPM",
        f"{_HEATMAP}/td-hm_cpm_8xb32-210e_coco-384x288-165487b8_20221011.pth",
        65.2,
        125.2,
        network="cpm_mmpose",
    ),
    _mmpose(
        "deeppose_r50",
        "DeepPose",
        f"{_REGRESSION}/td-reg_res50_8xb64-210e_coco-256x192-72ef04f3_20220913.pth",
        54.1,
        94.3,
    ),
    _mmpose(
        "deeppose_r50_rle",
        "DeepPose",
        f"{_REGRESSION}/td-reg_res50_rle-8xb64-210e_coco-256x192-d37efd64_20220913.pth",
        70.6,
        94.8,
    ),
    _mmpose(
        "deeppose_r50_rle_pretrained",
        "DeepPose",
        f"{_REGRESSION}/td-reg_res50_rle-pretrained-8xb64-210e_coco-256x192-2cb494ee_20220913.pth",
        71.9,
        94.8,
        network="deeppose_r50_rle",
    ),
)


_YOLOX_FILES = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"


def _yolox(size: str, side: int, ap: float, megabytes: float, sha256: str) -> Published:
    return Published(
        name=f"yolox_{size}",
        network=f"yolox_{size}",
        kind="detector",
        family="YOLOX",
        file=f"yolox_{size}.pth",
        address=f"{_YOLOX_FILES}/yolox_{size}.pth",
        page="https://github.com/Megvii-BaseDetection/YOLOX",
        sha256=(sha256,),
        licence=_APACHE,
        input_size=(side, side),
        score=f"{ap} COCO box AP",
        scored_by="YOLOX's README, COCO val2017, 80 classes",
        megabytes=megabytes,
    )


def _rtmdet(
    name: str, address: str, side: int, score: str, scored_by: str, megabytes: float, sha256: tuple[str, ...]
) -> Published:
    of_people = name.endswith("_person")
    return Published(
        name=name,
        network=name,
        kind="detector",
        family="RTMDet",
        file=address.rpartition("/")[2],
        address=address,
        page=f"{_MMPOSE}/tree/main/projects/rtmpose" if of_people else "https://github.com/open-mmlab/mmdetection",
        sha256=sha256,
        licence=f"{_APACHE}; trained on Objects365 too, which is for academic use" if of_people else _APACHE,
        input_size=(side, side),
        score=score,
        scored_by=scored_by,
        megabytes=megabytes,
    )


_RTMDET = "https://download.openmmlab.com/mmdetection/v3.0/rtmdet"
_OF_80 = "MMDetection's metafile, COCO val2017, 80 classes"
_OF_PEOPLE = "MMPose's README of RTMPose, COCO val2017, people alone"

_DETECTORS = (
    _yolox("nano", 416, 25.8, 7.7, "cd28f55fbbc1829f99d9ac9b38a16d259a22889739c8728ea877610201feff7b"),
    _yolox("tiny", 416, 32.8, 40.8, "9de513de589ac98bb92d3bca53b5af7b9acfa9b0bacb831f7999d0f7afaee8f0"),
    _yolox("s", 640, 40.5, 72.1, "f55ded7181e1b0c13285c56e7790b8f0e8f8db590fe4edb37f0b7f345c913a30"),
    _yolox("m", 640, 46.9, 203.1, "60076992b32da82951c90cfa7bd6ab70eba9eda243e08b940a396f60ac2d19b6"),
    _rtmdet(
        "rtmdet_tiny",
        f"{_RTMDET}/rtmdet_tiny_8xb32-300e_coco/rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth",
        640,
        "41.1 COCO box AP",
        _OF_80,
        19.8,
        ("78e30dcce0c6f594eaff0d6977b84b4103688b4aff0ad1aa16008a8cc854a7fb",),
    ),
    _rtmdet(
        "rtmdet_s",
        f"{_RTMDET}/rtmdet_s_8xb32-300e_coco/rtmdet_s_8xb32-300e_coco_20220905_161602-387a891e.pth",
        640,
        "44.6 COCO box AP",
        _OF_80,
        35.8,
        ("387a891e157cf0ab57d76b3ffc17bf77247089d672532427930b3140f9e789d6",),
    ),
    _rtmdet(
        "rtmdet_m",
        f"{_RTMDET}/rtmdet_m_8xb32-300e_coco/rtmdet_m_8xb32-300e_coco_20220719_112220-229f527c.pth",
        640,
        "49.4 COCO box AP",
        _OF_80,
        99.1,
        ("229f527ca88498e8894a778a62a878a322b4a3ea2cae09ea537d34b7e907792b",),
    ),
    _rtmdet(
        "rtmdet_nano_person",
        f"{_MMPOSE_FILES}/v1/projects/rtmpose/rtmdet_nano_8xb32-100e_coco-obj365-person-05d8511e.pth",
        320,
        "40.3 AP of people",
        _OF_PEOPLE,
        4.1,
        ("05d8511e",),
    ),
    _rtmdet(
        "rtmdet_m_person",
        f"{_MMPOSE_FILES}/v1/projects/rtmpose/rtmdet_m_8xb32-100e_coco-obj365-person-235e8209.pth",
        640,
        "62.5 AP of people",
        _OF_PEOPLE,
        99.1,
        ("235e8209", "b66b27072c6a3cd4f093882df440921987076131fb78a7df7b1cf92d67f41509"),
    ),
)


def _torchvision(
    name: str, file: str, score: str, megabytes: float, side: int = 800, *, kind: Kind = "detector"
) -> Published:
    hashed = _HASH_IN_NAME.search(file)
    assert hashed is not None, file
    return Published(
        name=f"torchvision:{name}",
        network=f"torchvision:{name}",
        kind=kind,
        family="torchvision" if kind == "detector" else "RAFT",
        file=file,
        address=f"https://download.pytorch.org/models/{file}",
        page="https://pytorch.org/vision/stable/models.html",
        sha256=(hashed[1],),
        licence="BSD-3-Clause",
        input_size=(side, side),
        score=score,
        scored_by="torchvision" + (", COCO val2017, 80 classes" if kind == "detector" else ""),
        megabytes=megabytes,
    )


_TORCHVISION = (
    _torchvision("fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", "37.0 COCO box AP", 167.5),
    _torchvision(
        "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth", "46.7 COCO box AP", 175.2
    ),
    _torchvision(
        "fasterrcnn_mobilenet_v3_large_fpn",
        "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
        "32.8 COCO box AP",
        77.8,
    ),
    _torchvision(
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
        "22.8 COCO box AP",
        77.8,
        320,
    ),
    _torchvision("retinanet_resnet50_fpn", "retinanet_resnet50_fpn_coco-eeacb38b.pth", "36.4 COCO box AP", 136.6),
    _torchvision("retinanet_resnet50_fpn_v2", "retinanet_resnet50_fpn_v2_coco-5905b1c5.pth", "41.5 COCO box AP", 153.1),
    _torchvision("fcos_resnet50_fpn", "fcos_resnet50_fpn_coco-99b0c9b7.pth", "39.2 COCO box AP", 129.6),
    _torchvision("ssd300_vgg16", "ssd300_vgg16_coco-b556d3b4.pth", "25.1 COCO box AP", 142.6, 300),
    _torchvision(
        "ssdlite320_mobilenet_v3_large",
        "ssdlite320_mobilenet_v3_large_coco-a79551df.pth",
        "21.3 COCO box AP",
        14.1,
        320,
    ),
    _torchvision("raft_small", "raft_small_C_T_V2-01064c6d.pth", "1.99 px off on Sintel clean", 4.0, 440, kind="flow"),
    _torchvision(
        "raft_large", "raft_large_C_T_SKHT_V2-ff5fadd5.pth", "1.82 px off on Sintel clean", 21.1, 440, kind="flow"
    ),
)


_KEYPOINT_RCNN = replace(
    _torchvision("keypointrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn_coco-fc266e95.pth", "65.0 COCO AP", 237.0),
    kind="estimator",
    skeleton="coco_17",
    scored_by="torchvision, COCO val2017",
)


def _bring(
    name: str, family: str, file: str, page: str, licence: str, size: tuple[int, int], score: str, megabytes: float
) -> Published:
    """An estimator whose authors keep their files at a drive, or behind a form."""
    return Published(
        name=name,
        network=name,
        kind="estimator",
        family=family,
        file=file,
        page=page,
        licence=licence,
        skeleton="mpii_16" if "PCKh" in score else "coco_17",
        input_size=size,
        score=score,
        scored_by="the authors' README" if score != "not published" else "nobody",
        megabytes=megabytes,
    )


def _simple(name: str, file: str, size: tuple[int, int], score: str, megabytes: float) -> Published:
    page = "https://github.com/microsoft/human-pose-estimation.pytorch"
    return _bring(f"simplebaseline_{name}", "Simple Baselines", file, page, "MIT", size, score, megabytes)


_HRNET = "https://github.com/leoxiaobin/deep-high-resolution-net.pytorch"
_CPN = "https://github.com/GengDavid/pytorch-cpn"
_MSPN = "https://github.com/megvii-detection/MSPN"
_ALPHAPOSE = "https://github.com/MVIG-SJTU/AlphaPose"
_HOURGLASS = "https://github.com/princeton-vl/pytorch_stacked_hourglass"
_VITPOSE = "https://github.com/ViTAE-Transformer/ViTPose"

_FILES_OF_YOUR_OWN = (
    replace(_simple("r18", "", (256, 192), "not published", 61.5), page=""),
    _simple("r50", "pose_resnet_50_256x192.pth.tar", (256, 192), "70.4 COCO AP", 136.0),
    _simple("r50_caffe", "pose_resnet_50_256x192_caffe.pth.tar", (256, 192), "70.4 COCO AP", 136.0),
    _simple("r50_mpii", "pose_resnet_50_256x256.pth.tar", (256, 256), "88.5 MPII PCKh", 136.0),
    _simple("r101", "pose_resnet_101_256x192.pth.tar", (256, 192), "71.4 COCO AP", 212.0),
    _simple("r152", "pose_resnet_152_256x192.pth.tar", (256, 192), "72.0 COCO AP", 274.5),
    _bring("hrnet_w32", "HRNet", "pose_hrnet_w32_256x192.pth", _HRNET, "MIT", (256, 192), "74.4 COCO AP", 114.1),
    _bring("hrnet_w48", "HRNet", "pose_hrnet_w48_256x192.pth", _HRNET, "MIT", (256, 192), "75.1 COCO AP", 254.4),
    _bring(
        "higherhrnet_w32",
        "HigherHRNet",
        "pose_higher_hrnet_w32_512.pth",
        "https://github.com/HRNet/HigherHRNet-Human-Pose-Estimation",
        "MIT",
        (512, 512),
        "67.1 COCO AP",
        114.6,
    ),
    _bring("vitpose_s_vitae", "ViTPose", "vitpose_small.pth", _VITPOSE, _APACHE, (256, 192), "73.8 COCO AP", 97.2),
    _bring("vitpose_b_vitae", "ViTPose", "vitpose-b.pth", _VITPOSE, _APACHE, (256, 192), "75.8 COCO AP", 360.0),
    _bring("cpn_r50_256x192", "CPN", "CPN256x192.pth.tar", _CPN, "GPL-3.0", (256, 192), "69.2 COCO AP", 109.6),
    _bring("cpn_r50_384x288", "CPN", "CPN384x288.pth.tar", _CPN, "GPL-3.0", (384, 288), "72.2 COCO AP", 109.6),
    _bring("cpn_r101_384x288", "CPN", "CPN101_384x288.pth.tar", _CPN, "GPL-3.0", (384, 288), "72.3 COCO AP", 185.6),
    _bring("mspn_r50_1stg", "MSPN", "", "", "not stated", (256, 192), "71.5 COCO AP", 100.6),
    _bring("mspn_r50_2stg", "MSPN", "", _MSPN, "not stated", (256, 192), "74.5 COCO AP", 227.5),
    _bring("mspn_r50_4stg", "MSPN", "", "", "not stated", (256, 192), "75.9 COCO AP", 481.3),
    _bring(
        "fastpose_r50",
        "AlphaPose",
        "fast_res50_256x192.pth",
        _ALPHAPOSE,
        "non-commercial",
        (256, 192),
        "72.0 COCO AP",
        162.3,
    ),
    _bring(
        "fastpose_r152_duc256",
        "AlphaPose",
        "fast_421_res152_256x192.pth",
        _ALPHAPOSE,
        "non-commercial",
        (256, 192),
        "73.3 COCO AP",
        305.7,
    ),
    _bring(
        "hourglass_2stack",
        "Hourglass",
        "original_2hg/checkpoint.pt",
        _HOURGLASS,
        "BSD-3-Clause",
        (256, 256),
        "88.3 MPII PCKh",
        33.7,
    ),
    _bring(
        "hourglass_8stack",
        "Hourglass",
        "original_8hg/checkpoint.pt",
        _HOURGLASS,
        "BSD-3-Clause",
        (256, 256),
        "90.2 MPII PCKh",
        131.3,
    ),
    _bring(
        "softgated_4stack",
        "Hourglass",
        "SGSC_model_weights.tar",
        "https://github.com/dkurzend/Soft_Gated_Pose_Estimation_Pytorch",
        _APACHE,
        (256, 256),
        "87.4 MPII PCKh",
        54.8,
    ),
    _bring(
        "ae_hourglass_4stack",
        "Hourglass",
        "checkpoint.pth.tar",
        "https://github.com/princeton-vl/pose-ae-train",
        "BSD-3-Clause",
        (512, 512),
        "59 COCO AP",
        555.6,
    ),
    replace(
        _bring(
            "caffe_openpose_coco",
            "OpenPose",
            "pose_iter_440000.caffemodel",
            "https://github.com/ZheC/Realtime_Multi-Person_Pose_Estimation",
            "non-commercial",
            (368, 368),
            "58 COCO AP",
            209.3,
        ),
        skeleton="openpose_18",
        remark="in Caffe's format: turn it into a state dict with the layers' names first",
    ),
)


def _osnet(name: str, score: str, megabytes: float) -> Published:
    page = "https://github.com/KaiyangZhou/deep-person-reid/blob/master/docs/MODEL_ZOO.md"
    return Published(
        name=f"osnet_{name}",
        network=f"osnet_{name}",
        kind="appearance",
        family="OSNet",
        file="",
        page=page,
        licence="MIT",
        input_size=(256, 128),
        score=score,
        scored_by="Torchreid's model zoo",
        megabytes=megabytes,
    )


_OSNETS = (
    _osnet("x0_25", "61.4 rank-1 MSMT17", 2.9),
    _osnet("x0_5", "69.7 rank-1 MSMT17", 4.6),
    _osnet("x0_75", "72.8 rank-1 MSMT17", 7.2),
    _osnet("x1_0", "74.9 rank-1 MSMT17", 10.7),
    _osnet("ibn_x1_0", "66.5 rank-1 MSMT17 to Market", 10.7),
    _osnet("ain_x1_0", "70.1 rank-1 MSMT17 to Market", 10.7),
)

PUBLISHED = {
    each.name: each
    for each in (*_DETECTORS, *_TORCHVISION, _KEYPOINT_RCNN, *_RTMPOSES, *_MMPOSES, *_FILES_OF_YOUR_OWN, *_OSNETS)
}
"""By name; a network's own name is the file that it is used with unless another is asked for."""
