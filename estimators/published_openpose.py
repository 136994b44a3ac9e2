"""Published weights of OpenPose's networks, in Caffe's format; a table of `estimators.published`."""

from __future__ import annotations

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
