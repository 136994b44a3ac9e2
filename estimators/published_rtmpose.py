"""Published weights of RTMPose and RTMW: bodies, whole bodies, hands and faces.

OpenMMLab puts the first digits of the sha256 into a file's name. It replaced some files of RTMPose in April 2023 under
the same names, so the served file no longer has the hash in its name; where its hash is known, both are accepted. The
files of RTMW have names without a hash, so they cannot be verified and are not fetched.
"""

from __future__ import annotations

import re
from dataclasses import replace

from posetrail.published import Published, hash_in_name

_MMPOSE = "https://github.com/open-mmlab/mmpose"
_MMPOSE_FILES = "https://download.openmmlab.com/mmpose"
_SCORED_BY_MMPOSE = "MMPose's metafile, COCO val2017, boxes of 56.4 AP"
_APACHE = "Apache-2.0"
_RESTRICTED = "Apache-2.0; trained on data sets some of which are for non-commercial use"
_RTMPOSE = "v1/projects/rtmposev1"


def mmpose_file(
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
    skeleton: str = "coco_17",
) -> Published:
    """A file of MMPose's model zoo; `also` is the measured hash of the file that is served."""
    file = path.rpartition("/")[2]
    height, width = map(int, re.findall(r"(\d{3})x(\d{3})", file)[-1])
    named = hash_in_name(file)
    return Published(
        name=name,
        network=network or name,
        kind="estimator",
        family=family,
        file=file,
        url=f"{_MMPOSE_FILES}/{path}",
        page=_MMPOSE,
        sha256=(named, also) if also else (named,),
        licence=licence,
        skeleton=skeleton,
        input_size=(height, width),
        score=f"{ap} {score}",
        scored_by=scored_by,
        megabytes=megabytes,
    )


_MEGABYTES = {"t": 13.5, "s": 22.0, "m": 54.5, "l": 110.8}


def _rtmpose(size: str, data: str, file: str, ap: float, also: str = "") -> Published:
    of_seven = data == "body7"
    return mmpose_file(
        f"rtmpose_{size}" + (f"_{data}" if data else ""),
        {"": "RTMPose", "coco": "RTMPose (COCO)", "body7": "RTMPose (7 sets)"}[data],
        f"{_RTMPOSE}/{file}",
        ap,
        _MEGABYTES[size],
        network=f"rtmpose_{size}",
        also=also,
        licence=_RESTRICTED if of_seven else _APACHE,
        scored_by="MMPose's metafile, eight data sets together" if of_seven else _SCORED_BY_MMPOSE,
        score="AP on Body8" if of_seven else "COCO AP",
    )


_BODIES = (
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


def _part(
    name: str, file: str, score: str, megabytes: float, *, family: str, skeleton: str, network: str = ""
) -> Published:
    """A file of RTMPose for other joints than COCO's."""
    number, _, measure = score.partition(" ")
    published = mmpose_file(
        name,
        family,
        f"{_RTMPOSE}/{file}",
        float(number),
        megabytes,
        network=network,
        licence=_RESTRICTED,
        scored_by="MMPose's documentation",
        score=measure,
        skeleton=skeleton,
    )
    return replace(published, score=score)


def _halpe(size: str, crop: str, hash_and_date: str, score: str, megabytes: float) -> Published:
    """RTMPose for the 26 joints of Halpe, trained on seven sets, PoseTrack 2018 among them."""
    return _part(
        f"rtmpose_{size}_halpe26" + ("" if crop == "256x192" else f"_{crop}"),
        f"rtmpose-{size}_simcc-body7_pt-body7-halpe26_700e-{crop}-{hash_and_date}.pth",
        f"{score} AUC on Body8",
        megabytes,
        family="RTMPose (feet)" if crop == "256x192" else "RTMPose (feet, large)",
        skeleton="halpe_26",
    )


def _whole(name: str, file: str, ap: str, megabytes: float, *, network: str = "") -> Published:
    """A file for the 133 joints of COCO-WholeBody, of RTMPose or of DWPose (Yang et al. 2023)."""
    family = "DWPose" if "dw-ucoco" in file else "RTMPose (whole)"
    score = f"{ap} COCO-WholeBody AP"
    return _part(name, file, score, megabytes, family=family, skeleton="coco_wholebody_133", network=network)


def _hand(name: str, file: str, score: str) -> Published:
    network = "rtmpose_m_hand21"
    return _part(name, file, score, 55.2, family="RTMPose (hands)", skeleton="hand_21", network=network)


def _face(name: str, file: str, score: str, megabytes: float, skeleton: str) -> Published:
    return _part(name, file, score, megabytes, family="RTMPose (faces)", skeleton=skeleton)


_PARTS = (
    _halpe("t", "256x192", "6020f8a6_20230605", "66.35", 14.1),
    _halpe("s", "256x192", "7f134165_20230605", "68.62", 22.8),
    _halpe("m", "256x192", "4d3e73dd_20230605", "71.91", 55.8),
    _halpe("l", "256x192", "2abb7558_20230605", "73.19", 112.6),
    _halpe("m", "384x288", "89e6428b_20230605", "73.56", 56.3),
    _halpe("l", "384x288", "734182ce_20230605", "74.38", 113.1),
    _halpe("x", "384x288", "7fb6e239_20230606", "74.82", 200.2),
    _whole(
        "rtmpose_m_wholebody",
        "rtmpose-m_simcc-coco-wholebody_pt-aic-coco_270e-256x192-cd5e845c_20230123.pth",
        "58.2",
        71.9,
    ),
    _whole(
        "rtmpose_l_wholebody_384x288",
        "rtmpose-l_simcc-coco-wholebody_pt-aic-coco_270e-384x288-eaeb96c8_20230125.pth",
        "64.8",
        134.6,
    ),
    _whole("rtmpose_t_wholebody", "rtmpose-t_simcc-ucoco_dw-ucoco_270e-256x192-dcf277bf_20230728.pth", "48.5", 22.1),
    _whole("rtmpose_s_wholebody", "rtmpose-s_simcc-ucoco_dw-ucoco_270e-256x192-3fd922c8_20230728.pth", "53.8", 33.6),
    _whole(
        "rtmpose_m_wholebody_dwpose",
        "rtmpose-m_simcc-ucoco_dw-ucoco_270e-256x192-c8b76419_20230728.pth",
        "60.6",
        71.9,
        network="rtmpose_m_wholebody",
    ),
    _whole("rtmpose_l_wholebody", "rtmpose-l_simcc-ucoco_dw-ucoco_270e-256x192-4d6dfc62_20230728.pth", "63.1", 134.1),
    _whole(
        "rtmpose_l_wholebody_384x288_dwpose",
        "rtmpose-l_simcc-ucoco_dw-ucoco_270e-384x288-2438fd99_20230728.pth",
        "66.5",
        134.6,
        network="rtmpose_l_wholebody_384x288",
    ),
    _hand(
        "rtmpose_m_hand21",
        "rtmpose-m_simcc-hand5_pt-aic-coco_210e-256x256-74fb594_20230320.pth",
        "96.4 PCK@0.2 on five sets",
    ),
    _hand(
        "rtmpose_m_hand21_coco",
        "rtmpose-m_simcc-coco-wholebody-hand_pt-aic-coco_210e-256x256-99477206_20230228.pth",
        "81.5 PCK@0.2 on COCO-WholeBody",
    ),
    _face(
        "rtmpose_m_face68",
        "rtmpose-m_simcc-coco-wholebody-face_pt-aic-coco_60e-256x256-62026ef2_20230228.pth",
        "4.66 NME on COCO-WholeBody",
        62.3,
        "face_68",
    ),
    _face(
        "rtmpose_t_face106",
        "rtmpose-t_simcc-face6_pt-in1k_120e-256x256-df79d9a5_20230529.pth",
        "1.67 NME on LaPa",
        20.2,
        "face_106",
    ),
    _face(
        "rtmpose_s_face106",
        "rtmpose-s_simcc-face6_pt-in1k_120e-256x256-d779fdef_20230529.pth",
        "1.59 NME on LaPa",
        31.0,
        "face_106",
    ),
    _face(
        "rtmpose_m_face106",
        "rtmpose-m_simcc-face6_pt-in1k_120e-256x256-72a37400_20230529.pth",
        "1.44 NME on LaPa",
        68.0,
        "face_106",
    ),
)


def _rtmw(name: str, file: str, size: tuple[int, int], ap: str, megabytes: float) -> Published:
    return Published(
        name=name,
        network=name,
        kind="estimator",
        family="RTMW",
        file=file,
        page=f"{_MMPOSE}/tree/main/projects/rtmpose",
        licence=_RESTRICTED,
        skeleton="coco_wholebody_133",
        input_size=size,
        score=f"{ap} COCO-WholeBody AP",
        scored_by="MMPose's documentation",
        megabytes=megabytes,
    )


_SMALL, _LARGE = (256, 192), (384, 288)
_RTMWS = (
    _rtmw("rtmw_m", "rtmw-dw-l-m_simcc-cocktail14_270e-256x192-20231122.pth", _SMALL, "58.2", 129.2),
    _rtmw("rtmw_l", "rtmw-dw-x-l_simcc-cocktail14_270e-256x192-20231122.pth", _SMALL, "66.0", 229.1),
    _rtmw("rtmw_l_384x288", "rtmw-dw-x-l_simcc-cocktail14_270e-384x288-20231122.pth", _LARGE, "70.1", 229.7),
    _rtmw("rtmw_x", "rtmw-x_simcc-cocktail14_pt-ucoco_270e-256x192-13a2546d_20231208.pth", _SMALL, "67.2", 368.5),
    _rtmw(
        "rtmw_x_384x288", "rtmw-x_simcc-cocktail14_pt-ucoco_270e-384x288-f840f204_20231122.pth", _LARGE, "70.2", 369.2
    ),
)

RTMPOSES = (*_BODIES, *_PARTS, *_RTMWS)
"""In the order of `posetrail models list`."""
