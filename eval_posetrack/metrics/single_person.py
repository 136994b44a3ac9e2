"""Accuracy of single-person poses as papers on MPII, LSP and FLIC report it: PCK curves with their area, PDJ and PCP.

PCK: the share of joints within a share of a length of the body: of the head (PCKh, MPII: Andriluka et al. 2014) or of
the torso from left shoulder to right hip (PDJ, "percentage of detected joints": Sapp and Taskar 2013). AUC is the area
under the curve over thresholds, divided by their range. PCP: the share of limbs of which both ends are within half of
the limb's length (Ferrari et al. 2008; strict, as in Pishchulin et al. 2012), or of which the mean of both is (loose).

Every annotated person has one prediction, or none.
"""

from __future__ import annotations

import numpy as np

from posetrail.skeletons import Skeleton

PCKH_RANGE = np.linspace(0, 0.5, 51)
"""Thresholds of MPII's curve, in head sizes."""
TORSO_RANGE = np.linspace(0, 0.2, 21)
"""Thresholds in torso lengths, up to that of PDJ."""
PCP_SHARE = 0.5

_PARTS = {
    "torso": (("left_shoulder", "right_shoulder", "left_hip", "right_hip"),),
    "head": (("neck", "head_top"),),
    **{
        name: tuple((f"{side}_{start}", f"{side}_{end}") for side in ("left", "right"))
        for name, start, end in (
            ("upper_leg", "hip", "knee"),
            ("lower_leg", "knee", "ankle"),
            ("upper_arm", "shoulder", "elbow"),
            ("forearm", "elbow", "wrist"),
        )
    },
}
"""Limbs by part: their two joints, or four of which the first two and the last two give a mean."""


def relative_distances(predicted: np.ndarray, ground_truth: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N, K) distances of joints in sizes of the body.

    Args:
        predicted: (N, K, 2) pixels, NaN where missing.
        ground_truth: (N, K, 2) pixels, NaN where not labelled.
        sizes: (N,) pixels.

    Returns:
        NaN for joints that are not labelled and for people without a size above 0, infinite for missing joints.
    """
    distances = np.linalg.norm(np.asarray(predicted, float) - ground_truth, axis=2)
    distances[np.isnan(distances)] = np.inf
    with np.errstate(invalid="ignore"):
        known = np.isfinite(ground_truth).all(axis=2) & (sizes > 0)[:, None]
    return np.where(known, distances, np.nan) / np.where(sizes > 0, sizes, np.nan)[:, None]


def torso_lengths(keypoints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(N,) pixels from left shoulder to right hip; NaN where one is not labelled or the skeleton has none."""
    if not {"left_shoulder", "right_hip"} <= set(skeleton.joints):
        return np.full(len(keypoints), np.nan)
    ends = keypoints[:, [skeleton.index("left_shoulder"), skeleton.index("right_hip")]].astype(float)
    return np.asarray(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1))


def pck_curve(distances: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(T,) percentages of labelled joints within each threshold; NaN without labelled joints.

    Args:
        distances: of `relative_distances`, any shape.
        thresholds: (T,), in the same sizes.
    """
    known = np.sort(distances[~np.isnan(distances)])
    if len(known) == 0:
        return np.full(len(thresholds), np.nan)
    return 100 * np.searchsorted(known, thresholds, side="right") / len(known)


def area_under(thresholds: np.ndarray, curve: np.ndarray) -> float:
    """Mean height of a curve over its range, by trapezoids: 100 only if all joints are exact."""
    return float(np.trapezoid(curve, thresholds) / (thresholds[-1] - thresholds[0]))


def pcp(
    predicted: np.ndarray,
    ground_truth: np.ndarray,
    skeleton: Skeleton,
    *,
    share: float = PCP_SHARE,
    strict: bool = True,
) -> dict[str, float]:
    """Percentage of correct parts.

    Args:
        predicted: (N, K, 2) pixels, NaN where missing.
        ground_truth: (N, K, 2) pixels, NaN where not labelled; limbs without both ends are not counted.
        skeleton: of the joints.
        share: of the limb's length, within which its ends must be.
        strict: each end must be within; otherwise the mean of both.

    Returns:
        percentages by part, with left and right together, and "all" limbs; parts that are never labelled are left out.
    """
    correct = {
        part: np.concatenate([_outcomes(predicted, ground_truth, skeleton, joints, share, strict) for joints in limbs])
        for part, limbs in _PARTS.items()
        if set().union(*limbs) <= set(skeleton.joints)
    }
    correct = {part: outcomes for part, outcomes in correct.items() if len(outcomes)}
    if correct:
        correct["all"] = np.concatenate(list(correct.values()))
    return {part: 100 * float(outcomes.mean()) for part, outcomes in correct.items()}


def _outcomes(
    predicted: np.ndarray,
    ground_truth: np.ndarray,
    skeleton: Skeleton,
    joints: tuple[str, ...],
    share: float,
    strict: bool,
) -> np.ndarray:
    """Whether each labelled limb (M,) is correct."""
    columns = [skeleton.index(joint) for joint in joints]
    ends, truth = (
        each[:, columns].astype(float).reshape(len(each), 2, len(joints) // 2, 2).mean(axis=2)
        for each in (predicted, ground_truth)
    )
    length = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=1)
    off = np.linalg.norm(ends - truth, axis=2)
    off = off.max(axis=1) if strict else off.mean(axis=1)
    known = np.isfinite(length)
    return np.asarray(np.nan_to_num(off[known], nan=np.inf) <= share * length[known])


def single_person_figures(
    predicted: np.ndarray, ground_truth: np.ndarray, skeleton: Skeleton, head_sizes: np.ndarray | None = None
) -> dict[str, float]:
    """All figures in percent, by name; those that do not exist are left out.

    PCKh@0.5, PCKh@0.1 and PCKh_AUC (0 to 0.5) with head sizes; PDJ@0.2, PDJ@0.1 and PDJ_AUC (0 to 0.2) with torsos; PCP
    and PCP_loose of all limbs, and PCP_torso, PCP_head, PCP_upper_leg, PCP_lower_leg, PCP_upper_arm and PCP_forearm.

    Args:
        predicted: (N, K, 2) pixels, NaN where missing.
        ground_truth: (N, K, 2) pixels, NaN where not labelled.
        skeleton: of the joints.
        head_sizes: (N,) pixels, NaN where not known; see `Samples.head_sizes`.
    """
    sizes = {"PDJ": (torso_lengths(ground_truth, skeleton), TORSO_RANGE, (0.2, 0.1))}
    if head_sizes is not None:
        sizes = {"PCKh": (np.asarray(head_sizes, float), PCKH_RANGE, (0.5, 0.1)), **sizes}
    figures = {}
    for name, (units, thresholds, shown) in sizes.items():
        distances = relative_distances(predicted, ground_truth, units)
        for threshold in shown:
            figures[f"{name}@{threshold}"] = float(pck_curve(distances, np.array([threshold]))[0])
        figures[f"{name}_AUC"] = area_under(thresholds, pck_curve(distances, thresholds))
    strict = pcp(predicted, ground_truth, skeleton)
    loose = pcp(predicted, ground_truth, skeleton, strict=False)
    figures |= {"PCP": strict.pop("all", np.nan), "PCP_loose": loose.get("all", np.nan)}
    figures |= {f"PCP_{part}": value for part, value in strict.items()}
    return {name: value for name, value in figures.items() if np.isfinite(value)}
