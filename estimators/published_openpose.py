"""Published weights of OpenPose's networks, in Caffe's format, and of DeeperCut; a table of `estimators.published`."""

from __future__ import annotations

from dataclasses import replace

from posetrail.published import Published

_ZHEC = "https://github.com/ZheC/Realtime_Multi-Person_Pose_Estimation"
_OPENPOSE = "https://github.com/CMU-Perceptual-Computing-Lab/openpose"
_OPENPOSE_TRAIN = "https://github.com/CMU-Perceptual-Computing-Lab/openpose_train"


def _openpose(
    name: str,
    file: str,
    skeleton: str,
    size: tuple[int, int],
    megabytes: float,
    *,
    score: str = "",
    page: str = _OPENPOSE,
) -> Published:
    return Published(
        name=name,
        network=name,
        kind="estimator",
        family="OpenPose",
        file=file,
        page=page,
        licence="non-commercial",
        skeleton=skeleton,
        input_size=size,
        score=score or "not published",
        scored_by="the authors' README" if score else "",
        megabytes=megabytes,
    )


OPENPOSES = (
    _openpose(
        "caffe_openpose_coco",
        "pose_iter_440000.caffemodel",
        "openpose_18",
        (368, 368),
        209.3,
        score="58 COCO AP",
        page=_ZHEC,
    ),
    _openpose("caffe_openpose_mpi", "pose_iter_160000.caffemodel", "openpose_mpi_15", (368, 368), 205.9),
    _openpose("openpose_body25", "pose_iter_584000.caffemodel", "body_25", (368, 656), 104.7),
    _openpose("openpose_body135", "pose_iter_XXXXXX.caffemodel", "body_135", (480, 848), 254.3, page=_OPENPOSE_TRAIN),
    _openpose("openpose_hand21", "pose_iter_102000.caffemodel", "hand_21", (368, 368), 147.3),
    _openpose("openpose_face70", "pose_iter_116000.caffemodel", "face_70", (368, 368), 153.7),
)

_DEEPERCUT = Published(
    name="deepercut_r101_coco17",
    network="deepercut_r101_coco17",
    kind="estimator",
    family="DeeperCut",
    file="",
    page="https://github.com/eldar/pose-tensorflow",
    licence="LGPL-3.0",
    skeleton="coco_17",
    input_size=(850, 850),
    score="not published",
    scored_by="",
    megabytes=214.5,
    remark="a checkpoint of TensorFlow: turn it into a state dict first; needs statistics and regressions of pairs",
)
DEEPERCUTS = (
    _DEEPERCUT,
    replace(
        _DEEPERCUT,
        name="deepercut_r101_mpii14",
        network="deepercut_r101_mpii14",
        skeleton="lsp_14",
        input_size=(400, 400),
        megabytes=173.6,
        remark="a checkpoint of TensorFlow: turn it into a state dict first; one person in an image",
    ),
)
