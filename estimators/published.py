"""Published weights of estimators, appearance networks and lifters: source, sha256, licence and reported score.

Every URL is in the authors' own documentation (OpenMMLab's metafiles, torchvision's `get_weight`). Where the authors
keep their files at a drive or behind a form, only their page is given.

torchvision puts the first eight digits of the sha256 into a file's name, as OpenMMLab does; RTMPose is in
`estimators.published_rtmpose`.
"""

from __future__ import annotations

from dataclasses import replace

from estimators.published_blazepose import BLAZEPOSES
from estimators.published_lifters import LIFTERS
from estimators.published_openpose import DEEPERCUTS, OPENPOSES
from estimators.published_refiners import REFINERS
from estimators.published_rtmpose import RTMPOSES, mmpose_file
from posetrail.published import Published, by_name, torchvision_file

_APACHE = "Apache-2.0"
_HEATMAP = "v1/body_2d_keypoint/topdown_heatmap/coco"
_REGRESSION = "v1/body_2d_keypoint/topdown_regression/coco"

_MMPOSES = (
    mmpose_file(
        "vitpose_s_mmpose",
        "ViTPose",
        f"{_HEATMAP}/td-hm_ViTPose-small_8xb64-210e_coco-256x192-62d7a712_20230314.pth",
        73.9,
        97.2,
    ),
    mmpose_file(
        "vitpose_b_mmpose",
        "ViTPose",
        f"{_HEATMAP}/td-hm_ViTPose-base_8xb64-210e_coco-256x192-216eae50_20230314.pth",
        75.7,
        360.0,
    ),
    mmpose_file(
        "litehrnet_18", "Lite-HRNet", "top_down/litehrnet/litehrnet18_coco_256x192-6bace359_20211230.pth", 64.2, 4.5
    ),
    mmpose_file(
        "litehrnet_18_384x288",
        "Lite-HRNet",
        "top_down/litehrnet/litehrnet18_coco_384x288-8d4dac48_20211230.pth",
        67.6,
        4.5,
        network="litehrnet_18",
    ),
    mmpose_file(
        "litehrnet_30", "Lite-HRNet", "top_down/litehrnet/litehrnet30_coco_256x192-4176555b_20210626.pth", 67.6, 7.1
    ),
    mmpose_file(
        "litehrnet_30_384x288",
        "Lite-HRNet",
        "top_down/litehrnet/litehrnet30_coco_384x288-a3aef5c4_20210626.pth",
        70.0,
        7.1,
        network="litehrnet_30",
    ),
    mmpose_file(
        "mobilenetv2_simple",
        "MobileNetV2",
        f"{_HEATMAP}/td-hm_mobilenetv2_8xb64-210e_coco-256x192-55a04c35_20221016.pth",
        64.8,
        38.3,
    ),
    mmpose_file(
        "mobilenetv2_simple_384x288",
        "MobileNetV2",
        f"{_HEATMAP}/td-hm_mobilenetv2_8xb64-210e_coco-384x288-d3ab1457_20221013.pth",
        67.7,
        38.3,
        network="mobilenetv2_simple",
    ),
    mmpose_file(
        "cpm_mmpose", "CPM", f"{_HEATMAP}/td-hm_cpm_8xb64-210e_coco-256x192-0e978875_20220920.pth", 62.7, 125.2
    ),
    mmpose_file(
        "cpm_mmpose_384x288",
        "CPM",
        f"{_HEATMAP}/td-hm_cpm_8xb32-210e_coco-384x288-165487b8_20221011.pth",
        65.2,
        125.2,
        network="cpm_mmpose",
    ),
    mmpose_file(
        "deeppose_r50",
        "DeepPose",
        f"{_REGRESSION}/td-reg_res50_8xb64-210e_coco-256x192-72ef04f3_20220913.pth",
        54.1,
        94.3,
    ),
    mmpose_file(
        "deeppose_r50_rle",
        "DeepPose",
        f"{_REGRESSION}/td-reg_res50_rle-8xb64-210e_coco-256x192-d37efd64_20220913.pth",
        70.6,
        94.8,
    ),
    mmpose_file(
        "deeppose_r50_rle_pretrained",
        "DeepPose",
        f"{_REGRESSION}/td-reg_res50_rle-pretrained-8xb64-210e_coco-256x192-2cb494ee_20220913.pth",
        71.9,
        94.8,
        network="deeppose_r50_rle",
    ),
)


_KEYPOINT_RCNN = torchvision_file(
    "keypointrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
    "65.0 COCO AP",
    237.0,
    kind="estimator",
    family="torchvision",
    scored_by="torchvision, COCO val2017",
    skeleton="coco_17",
)


def _bring(
    name: str, family: str, file: str, page: str, licence: str, size: tuple[int, int], score: str, megabytes: float
) -> Published:
    """An estimator whose files cannot be downloaded directly."""
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
        scored_by="the authors' README" if score != "not published" else "",
        megabytes=megabytes,
    )


def _simple(name: str, file: str, size: tuple[int, int], score: str, megabytes: float) -> Published:
    page = "https://github.com/microsoft/human-pose-estimation.pytorch"
    return _bring(f"simplebaseline_{name}", "Simple Baselines", file, page, "MIT", size, score, megabytes)


_CAFFE = "in Caffe's format: turn it into a state dict with the layers' names first"
_TORCH7 = "in Torch7's format: turn it into a state dict first, layer by layer in the order of the network"
_CPM = "https://github.com/shihenw/convolutional-pose-machines-release"
_HRNET = "https://github.com/leoxiaobin/deep-high-resolution-net.pytorch"
_CPN = "https://github.com/GengDavid/pytorch-cpn"
_MSPN = "https://github.com/megvii-detection/MSPN"
_ALPHAPOSE = "https://github.com/MVIG-SJTU/AlphaPose"
_HOURGLASS = "https://github.com/princeton-vl/pytorch_stacked_hourglass"
_VITPOSE = "https://github.com/ViTAE-Transformer/ViTPose"

_SINGLE_PERSON = (
    replace(
        _bring(
            "pyranet_2stack",
            "PyraNet",
            "model_250.t7",
            "https://github.com/bearpaw/PyraNet",
            _APACHE,
            (256, 256),
            "not published",
            29.1,
        ),
        skeleton="mpii_16",
        remark=f"{_TORCH7}; the published 92.0 MPII PCKh is that of eight stacks",
    ),
    replace(
        _bring(
            "pyranet_wenbc21_2stack",
            "PyraNet",
            "",
            "https://github.com/wenbc21/PyraNet",
            "no licence",
            (256, 256),
            "90.0 MPII PCKh",
            330.7,
        ),
        remark="not by the authors of PyraNet, and of another network",
    ),
    replace(
        _bring(
            "pose_attention_8stack",
            "Multi-context attention",
            "model.t7",
            "https://github.com/bearpaw/pose-attention",
            "BSD-3-Clause",
            (256, 256),
            "91.5 MPII PCKh",
            233.2,
        ),
        scored_by="the paper, MPII test",
        remark=_TORCH7,
    ),
    replace(
        _bring(
            "cascaded_ioi_mpii",
            "Cascaded IOI",
            "trained_AIOI_CJN_MPI.caffemodel",
            "https://github.com/LiuwtWinter/Cascaded-Inception-of-Inception",
            "no licence",
            (256, 256),
            "91.2 MPII PCKh",
            159.4,
        ),
        skeleton="mpi_14",
        scored_by="the paper, MPII test, from memory",
        remark=f"{_CAFFE}; in the repository by Git LFS",
    ),
    *(
        replace(
            _bring(name, "CPM (Caffe)", file, _CPM, "non-commercial", (368, 368), score, megabytes),
            skeleton=skeleton,
            scored_by=scored_by,
            remark=_CAFFE,
        )
        for name, file, score, scored_by, skeleton, megabytes in (
            ("caffe_cpm_mpi", "pose_iter_320000.caffemodel", "88.5 MPII PCKh", "the paper, MPII test", "mpi_14", 124.9),
            (
                "caffe_cpm_lsp_mpi",
                "pose_iter_985000_addLEEDS.caffemodel",
                "90.5 LSP PCK@0.2",
                "the paper, LSP test",
                "mpi_14",
                124.9,
            ),
            ("caffe_cpm_flic", "", "not published", "", "flic_9", 85.3),
        )
    ),
)

_LINKED_BY_AUTHORS = (
    replace(_simple("r18", "", (256, 192), "not published", 61.5), page=""),
    *(
        Published(
            name=name,
            network=name,
            kind="estimator",
            family=family,
            file="",
            page="",
            licence="of your data",
            skeleton="coco_17",
            input_size=(256, 192),
            score="not published",
            scored_by="",
            megabytes=megabytes,
            remark="for weights of `posetrail train` alone; none are published",
        )
        for name, family, megabytes in (
            ("unet_s", "U-Net", 2.6),
            ("simplebaseline_r50_offsets", "disks and offsets", 136.1),
            ("simplebaseline_r101_offsets", "disks and offsets", 212.1),
            ("hrnet_w32_udp_offsets", "disks and offsets", 114.1),
        )
    ),
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
    *_SINGLE_PERSON,
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

PUBLISHED = by_name(
    _KEYPOINT_RCNN,
    *BLAZEPOSES,
    *RTMPOSES,
    *_MMPOSES,
    *_LINKED_BY_AUTHORS,
    *OPENPOSES,
    *DEEPERCUTS,
    *REFINERS,
    *_OSNETS,
    *LIFTERS,
)
"""By name; a network uses the file of its own name unless another is given."""
