"""The 106 points of a face in the order of LaPa (Liu et al., AAAI 2020, "A New Dataset and Boundary-Attention Semantic
Segmentation for Face Parsing").

Lips, mouth, chin, bridge of the nose and the corners of the eyes are those of the 68 points of `posetrail.wholebody`
and have their names. Left and right are those of the person.
"""

from __future__ import annotations

import numpy as np

from posetrail import wholebody

_SIDES = ("right", "left")
_PUBLISHED = dict(zip(wholebody.FACE_JOINTS, wholebody.FACE_SIGMAS, strict=True))


def _counted(name: str, numbers: range) -> tuple[str, ...]:
    return tuple(f"{name}_{k}" for k in numbers)


_CONTOUR = (*_counted("right_contour", range(1, 17)), "chin", *_counted("left_contour", range(16, 0, -1)))
_UPPER_BROWS = (_counted("right_brow_upper", range(1, 6)), _counted("left_brow_upper", range(5, 0, -1)))
_LOWER_BROWS = (_counted("right_brow_lower", range(1, 5)), _counted("left_brow_lower", range(4, 0, -1)))
_BRIDGE = _counted("nose_bridge", range(1, 5))
_NOSE = (*_counted("right_nose", range(1, 6)), "nose_base", *_counted("left_nose", range(5, 0, -1)))
_EYES = (  # clockwise in the picture of a face; numbers count from the outer corner to the inner one
    (
        *("right_eye_outer", *_counted("right_eye_upper", range(1, 4))),
        *("right_eye_inner", *_counted("right_eye_lower", range(3, 0, -1))),
    ),
    (
        *("left_eye_inner", *_counted("left_eye_upper", range(3, 0, -1))),
        *("left_eye_outer", *_counted("left_eye_lower", range(1, 4))),
    ),
)

JOINTS = (
    *_CONTOUR,
    *(*_UPPER_BROWS[0], *_LOWER_BROWS[0], *_UPPER_BROWS[1], *_LOWER_BROWS[1]),
    *(*_BRIDGE, *_NOSE),
    *(*_EYES[0], "right_eye_centre", *_EYES[1], "left_eye_centre"),
    *(*wholebody.LIPS, *wholebody.MOUTH),
    *("right_pupil", "left_pupil"),
)
"""(106,)"""

LIMBS = (
    *wholebody.paths(_CONTOUR, (*_BRIDGE, "nose_base"), _NOSE),
    *wholebody.rings(
        (*_UPPER_BROWS[0], *reversed(_LOWER_BROWS[0])),
        (*_UPPER_BROWS[1], *reversed(_LOWER_BROWS[1])),
        *_EYES,
        wholebody.LIPS,
        wholebody.MOUTH,
    ),
    *((f"{side}_eye_centre", f"{side}_pupil") for side in _SIDES),
)


def _sigmas() -> dict[str, float]:
    """OKS sigmas of the points that COCO-WholeBody lacks: of the nearest of its points, or between two of them."""
    sigmas = dict(_PUBLISHED)
    jaw = [_PUBLISHED[joint] for joint in wholebody.FACE_JOINTS[:17]]
    sigmas |= zip(_CONTOUR, np.interp(np.arange(33), np.arange(0, 33, 2), jaw).tolist(), strict=True)
    for side in _SIDES:
        brow = [_PUBLISHED[f"{side}_brow_{k}"] for k in range(1, 6)]
        sigmas |= {f"{side}_brow_upper_{k}": sigma for k, sigma in enumerate(brow, 1)}
        sigmas |= {f"{side}_brow_lower_{k}": (brow[k - 1] + brow[k]) / 2 for k in range(1, 5)}
        sigmas |= {f"{side}_nose_{k}": _PUBLISHED[f"{side}_nostril_1"] for k in range(1, 6)}
        for lid in ("upper", "lower"):
            outer, inner = (_PUBLISHED[f"{side}_eye_{lid}_{end}"] for end in ("outer", "inner"))
            sigmas |= zip(_counted(f"{side}_eye_{lid}", range(1, 4)), (outer, (outer + inner) / 2, inner), strict=True)
        middle = (_PUBLISHED[f"{side}_eye_outer"] + _PUBLISHED[f"{side}_eye_inner"]) / 2
        sigmas |= {f"{side}_eye_centre": middle, f"{side}_pupil": middle}
    return sigmas


OKS_SIGMAS = tuple(_sigmas()[joint] for joint in JOINTS)
"""(106,) as posetrail.skeletons.Skeleton has them; LaPa publishes none."""
