"""Published weights of detectors: source, sha256, licence and reported score.

Every URL is in the authors' own documentation: YOLOX's README, OpenMMLab's metafiles, torchvision's `get_weight`.
torchvision and OpenMMLab put the first eight digits of the sha256 into a file's name. YOLOX publishes no hashes; those
here were measured on copies of its files.
"""

from __future__ import annotations

from posetrail.published import Published, by_name, torchvision_file

_MMPOSE = "https://github.com/open-mmlab/mmpose"
_MMPOSE_FILES = "https://download.openmmlab.com/mmpose"
_APACHE = "Apache-2.0"
_YOLOX_FILES = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"


def _yolox(size: str, side: int, ap: float, megabytes: float, sha256: str) -> Published:
    return Published(
        name=f"yolox_{size}",
        network=f"yolox_{size}",
        kind="detector",
        family="YOLOX",
        file=f"yolox_{size}.pth",
        url=f"{_YOLOX_FILES}/yolox_{size}.pth",
        page="https://github.com/Megvii-BaseDetection/YOLOX",
        sha256=(sha256,),
        licence=_APACHE,
        input_size=(side, side),
        score=f"{ap} COCO box AP",
        scored_by="YOLOX's README, COCO val2017, 80 classes",
        megabytes=megabytes,
    )


def _rtmdet(
    name: str, url: str, side: int, score: str, scored_by: str, megabytes: float, sha256: tuple[str, ...]
) -> Published:
    of_people = name.endswith("_person")
    return Published(
        name=name,
        network=name,
        kind="detector",
        family="RTMDet",
        file=url.rpartition("/")[2],
        url=url,
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


def _thundernet(
    size: str, megabytes: float, file: str = "", score: str = "not published", scored_by: str = ""
) -> Published:
    return Published(
        name=f"thundernet_{size}",
        network=f"thundernet_{size}",
        kind="detector",
        family="ThunderNet",
        file=file,
        page="https://github.com/DayBreak-u/Thundernet_Pytorch" if file else "",
        licence="not stated" if file else "that of the file",
        input_size=(320, 320),
        score=score,
        scored_by=scored_by,
        megabytes=megabytes,
    )


_BY_NAME = "by the file's name, VOC 2007, 20 classes"
_THUNDERNET = (
    _thundernet("snet49", 4.8),
    _thundernet("snet146", 7.8, "thundernet146_voc_map67.pth", "67 VOC box AP50", _BY_NAME),
    _thundernet("snet535", 18.9),
)


def _torchvision(name: str, file: str, score: str, megabytes: float, side: int = 800) -> Published:
    return torchvision_file(
        name,
        file,
        score,
        megabytes,
        kind="detector",
        family="torchvision",
        scored_by="torchvision, COCO val2017, 80 classes",
        side=side,
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
)

PUBLISHED = by_name(*_DETECTORS, *_THUNDERNET, *_TORCHVISION)
"""By name; a network uses the file of its own name unless another is given."""
