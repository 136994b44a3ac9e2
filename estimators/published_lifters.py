"""Published weights of lifters, those that allow commercial use first.

Scores are mean joint errors on Human3.6M in millimetres: after moving the root to the same place (MPJPE), and after the
best rotation, scale and translation (P-MPJPE). Those with 2-D joints from the ground truth are lower than what a pose
estimator's joints give. All were trained on Human3.6M or HumanEva-I, whose terms are for academic use.
"""

from __future__ import annotations

from posetrail.published import Published, hash_in_name

_MMPOSE_FILES = "https://download.openmmlab.com/mmpose"
_APACHE = "Apache-2.0; trained on Human3.6M, which is for academic use"
_NON_COMMERCIAL = "non-commercial; CC BY-NC 4.0"
_TRUE_2D, _CPN = "2-D from the ground truth", "2-D from CPN"
_VIDEOPOSE3D = "https://github.com/facebookresearch/VideoPose3D"
_MOTIONBERT = "https://github.com/Walter0807/MotionBERT"


def _lifter(
    name: str,
    family: str,
    file: str,
    page: str,
    licence: str,
    errors_mm: tuple[float, ...],
    scored_by: str,
    megabytes: float,
    *,
    network: str = "",
    url: str = "",
    skeleton: str = "h36m_17",
    remark: str = "",
) -> Published:
    return Published(
        name=name,
        network=network or name,
        kind="lifter",
        family=family,
        file=file,
        url=url,
        page=page,
        sha256=(hash_in_name(file),) if url else (),
        licence=licence,
        skeleton=skeleton,
        input_size=None,
        score=f"{errors_mm[0]} mm MPJPE" if errors_mm else "not published",
        scored_by=scored_by + (f"; P-MPJPE {errors_mm[1]} mm" if len(errors_mm) > 1 else ""),
        megabytes=megabytes,
        remark=remark,
    )


def _mmpose(
    name: str, family: str, path: str, errors: tuple[float, float], joints: str, megabytes: float, *, network: str = ""
) -> Published:
    file = path.rpartition("/")[2]
    page = "https://github.com/open-mmlab/mmpose/tree/main/configs/body_3d_keypoint"
    by = f"MMPose's metafile, Human3.6M, {joints}"
    url = f"{_MMPOSE_FILES}/{path}"
    return _lifter(name, family, file, page, _APACHE, errors, by, megabytes, network=network, url=url)


def _tcn(
    name: str, file: str, errors: tuple[float, float], joints: str, megabytes: float, *, network: str = ""
) -> Published:
    path = f"body3d/videopose/videopose_h36m_{file}_20210527.pth"
    return _mmpose(name, "VideoPose3D (MMPose)", path, errors, joints, megabytes, network=network)


def _motionbert(name: str, file: str, errors: tuple[float, float], *, network: str = "") -> Published:
    path = f"v1/body_3d_keypoint/pose_lift/h36m/{file}_20230531.pth"
    return _mmpose(name, "MotionBERT (MMPose)", path, errors, _TRUE_2D, 170.0, network=network)


def _no_weights(name: str, megabytes: float, skeleton: str = "h36m_17") -> Published:
    licence = "that of the file"
    return _lifter(name, "VideoPose3D (own)", "", "", licence, (), "", megabytes, skeleton=skeleton)


LIFTERS = (
    _tcn(
        "videopose3d_243_mmpose",
        "243frames_fullconv_supervised_cpn_ft-88f5abbb",
        (47.9, 38.0),
        _CPN,
        68.0,
    ),
    _tcn(
        "videopose3d_243_mmpose_gt",
        "243frames_fullconv_supervised-880bea25",
        (37.6, 28.3),
        _TRUE_2D,
        68.0,
        network="videopose3d_243_mmpose",
    ),
    _tcn(
        "videopose3d_81_mmpose",
        "81frames_fullconv_supervised-1f2d1104",
        (38.9, 29.2),
        _TRUE_2D,
        51.1,
    ),
    _tcn(
        "videopose3d_27_mmpose",
        "27frames_fullconv_supervised-fe8fbba9",
        (40.0, 30.1),
        _TRUE_2D,
        34.3,
    ),
    _tcn(
        "videopose3d_1_mmpose",
        "1frame_fullconv_supervised_cpn_ft-5c3afaed",
        (52.9, 41.3),
        _CPN,
        34.1,
    ),
    _mmpose(
        "simplebaseline3d_mmpose",
        "SimpleBaseline3D",
        "body3d/simple_baseline/simple3Dbaseline_h36m-f0ad73a4_20210419.pth",
        (43.4, 34.3),
        _TRUE_2D,
        17.3,
    ),
    _motionbert("motionbert_mmpose", "motionbert_ft_h36m-d80af323", (26.9, 21.0)),
    _motionbert(
        "motionbert_mmpose_scratch",
        "motionbert_h36m-f554954f",
        (34.5, 27.1),
        network="motionbert_mmpose",
    ),
    _lifter(
        "motionbert",
        "MotionBERT",
        "MB_ft_h36m/best_epoch.bin",
        _MOTIONBERT,
        _APACHE,
        (37.2,),
        "the authors' README, Human3.6M, 2-D from a Stacked Hourglass",
        170.0,
    ),
    _lifter(
        "motionbert_lite",
        "MotionBERT",
        "MB_ft_h36m_global_lite/best_epoch.bin",
        _MOTIONBERT,
        _APACHE,
        (),
        "",
        64.1,
    ),
    _lifter(
        "motionagformer_xs",
        "MotionAGFormer",
        "",
        "https://github.com/TaatiTeam/MotionAGFormer",
        _APACHE,
        (45.1, 36.9),
        "the paper, Human3.6M, 2-D from a Stacked Hourglass",
        9.1,
    ),
    _lifter(
        "videopose3d_243",
        "VideoPose3D",
        "pretrained_h36m_cpn.bin",
        _VIDEOPOSE3D,
        _NON_COMMERCIAL,
        (46.8, 36.5),
        f"the authors' README, Human3.6M, {_CPN}",
        68.0,
    ),
    _lifter(
        "videopose3d_243_coco",
        "VideoPose3D",
        "pretrained_h36m_detectron_coco.bin",
        _VIDEOPOSE3D,
        _NON_COMMERCIAL,
        (),
        "",
        135.8,
        network="videopose3d_243",
        remark="takes COCO's 17 joints as they are; holds the trajectory model too",
    ),
    _lifter(
        "videopose3d_27_humaneva15_coco",
        "VideoPose3D",
        "pretrained_humaneva15_detectron.bin",
        _VIDEOPOSE3D,
        _NON_COMMERCIAL,
        (33.0,),
        "the authors' README, HumanEva-I: Walk, Jog, Box",
        34.2,
        network="videopose3d_27_humaneva15",
        skeleton="humaneva_15",
        remark="takes COCO's 17 joints as they are",
    ),
    _no_weights("videopose3d_27", 34.2),
    _no_weights("videopose3d_27_causal", 34.2),
    _no_weights("videopose3d_27_trajectory", 34.0),
    _no_weights("videopose3d_81", 51.0),
    _no_weights("videopose3d_27_humaneva15", 34.2, "humaneva_15"),
)
"""Of each network in `estimators.networks.NETWORKS` that lifts, and of further files for some of them."""
