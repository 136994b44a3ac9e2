"""Scores 3-D tracks against ground truth: people are matched, joints mapped by name, errors given in millimetres."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval_posetrack.formats.poses_3d import Poses3D, read_poses_3d
from eval_posetrack.metrics import errors_3d
from posetrail.errors import InputError
from posetrail.joint_mapping import mapped
from posetrail.skeletons import skeleton_with

Matching = Literal["error", "id"]
_MM = 1000.0
_FAR_MM = 1000.0  # a frame with this error is worth nothing when people are matched
_ESTIMATED = ("head_top", "neck")  # joints that mapping would place only roughly
_ROOT = "pelvis"
_HIPS = ("left_hip", "right_hip")


@dataclass(frozen=True, kw_only=True)
class Errors3D:
    """The errors of one person, or of all: relative to the root, over frames in which both have the person."""

    person: str  # track id in the ground truth; "all"
    predicted: str  # track id of the prediction; empty: none
    frames: int  # that both have
    ground_truth_frames: int
    mpjpe_mm: float
    p_mpjpe_mm: float
    n_mpjpe_mm: float
    mpjve_mm_per_frame: float
    acceleration_error_mm_per_frame2: float
    pck_150mm: float  # percent
    auc: float  # percent


@dataclass(frozen=True, eq=False)
class Report3D:
    """The errors of each person and of all, the mean of people weighted by their frames."""

    people: tuple[Errors3D, ...]
    total: Errors3D
    joints: tuple[str, ...]  # that were compared
    notes: tuple[str, ...]  # one line each

    def to_json(self) -> dict[str, Any]:
        """The report as JSON holds it; figures that do not exist are null."""
        content = {
            "joints": list(self.joints),
            "people": [asdict(each) for each in self.people],
            "total": asdict(self.total),
            "notes": list(self.notes),
        }
        return _without_nan(content)


def evaluate_3d(ground_truth: str | Path, predictions: str | Path, *, match: Matching = "error") -> Report3D:
    """Score 3-D tracks against ground truth.

    Args:
        ground_truth: a run with 3-D tracks, a .csv or an .npz file (see eval_posetrack/formats/poses_3d.py), or a file
            of Human3.6M or HumanEva.
        predictions: a run, a .csv or an .npz file of the same frames.
        match: "error" pairs people one to one so that their joints are nearest over the clip, "id" by their ids.

    Raises:
        InputError: a file cannot be read, or the two have no joints or no frames in common.
    """
    if match not in ("error", "id"):
        raise InputError(f"match: expected error or id, got {match!r}")
    truth, found = read_poses_3d(Path(ground_truth)), read_poses_3d(Path(predictions))
    truth, found, joints = _common(truth, found)
    if not np.isin(found.frames, truth.frames).any():
        raise InputError("predictions: expected frames of the ground truth, got none; number frames alike from 0")
    truth_ids, found_ids = (np.unique(each.track_ids).tolist() for each in (truth, found))
    of_truth, of_found = ({i: poses.of(i) for i in ids} for poses, ids in ((truth, truth_ids), (found, found_ids)))
    pairs = {i: i for i in truth_ids if i in of_found} if match == "id" else _nearest(of_truth, of_found)
    people = tuple(_errors(of_truth[i], of_found.get(pairs[i]) if i in pairs else None) for i in truth_ids)
    notes = [f"person {each.person}: has no prediction" for each in people if not each.frames]
    if extra := len(set(found_ids) - set(pairs.values())):
        notes.append(f"{extra} of {len(found_ids)} predicted people were matched with no person")
    return Report3D(people, _total(people), joints, tuple(notes))


def _common(truth: Poses3D, found: Poses3D) -> tuple[Poses3D, Poses3D, tuple[str, ...]]:
    """Both relative to their root, with the joints that both have."""
    source, target = skeleton_with(found.joints), skeleton_with(truth.joints)
    scores = np.isfinite(found.keypoints).all(axis=2).astype(np.float32)
    padded, padded_scores = _in(source.joints, found.joints, found.keypoints, scores)
    places, _ = mapped(padded, padded_scores, source, target)
    own = [name for name in truth.joints if name in found.joints or name not in _ESTIMATED]
    usable = [name for name in own if np.isfinite(places[:, target.index(name)]).any()]
    if not usable:
        raise InputError(
            f"predictions: expected joints of the ground truth ({', '.join(truth.joints)}), got none of them"
        )
    found = Poses3D(tuple(usable), found.frames, found.track_ids, places[:, [target.index(name) for name in usable]])
    columns = [truth.joints.index(name) for name in usable]
    truth = Poses3D(tuple(usable), truth.frames, truth.track_ids, truth.keypoints[:, columns])
    return _relative(truth), _relative(found), tuple(usable)


def _in(
    joints: tuple[str, ...], given: tuple[str, ...], keypoints: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Joints in the order of a skeleton that may have more of them."""
    out, out_scores = np.full((len(keypoints), len(joints), 3), np.nan), np.zeros((len(keypoints), len(joints)))
    columns = [joints.index(name) for name in given]
    out[:, columns], out_scores[:, columns] = keypoints, scores
    return out, out_scores


def _relative(poses: Poses3D) -> Poses3D:
    if _ROOT in poses.joints:
        roots = poses.keypoints[:, poses.joints.index(_ROOT)]
    elif set(_HIPS) <= set(poses.joints):
        roots = poses.keypoints[:, [poses.joints.index(name) for name in _HIPS]].mean(axis=1)
    else:
        raise InputError(f"joints: expected a pelvis or both hips in both files, got {', '.join(poses.joints)}")
    return Poses3D(poses.joints, poses.frames, poses.track_ids, errors_3d.relative_to(poses.keypoints, roots))


def _nearest(truth: dict[int, Poses3D], found: dict[int, Poses3D]) -> dict[int, int]:
    """Pairs of people, one to one, whose joints are near each other in as many frames as possible."""
    worth = np.zeros((len(truth), len(found)))
    for row, person in enumerate(truth.values()):
        for column, other in enumerate(found.values()):
            _, at, at_other = np.intersect1d(person.frames, other.frames, return_indices=True)
            distances = errors_3d.joint_errors(other.keypoints[at_other], person.keypoints[at])
            known = np.isfinite(distances)
            count = known.sum(axis=1)
            means = _MM * np.where(known, distances, 0).sum(axis=1) / np.maximum(count, 1)
            worth[row, column] = np.clip(_FAR_MM - means, 0, None)[count > 0].sum()
    rows, columns = linear_sum_assignment(worth, maximize=True)
    ids, other_ids = list(truth), list(found)
    return {ids[r]: other_ids[c] for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if worth[r, c] > 0}


def _errors(truth: Poses3D, found: Poses3D | None) -> Errors3D:
    frames = np.arange(truth.frames[0], truth.frames[-1] + 1)
    shape = (len(frames), len(truth.joints), 3)
    g, p = np.full(shape, np.nan), np.full(shape, np.nan)
    g[truth.frames - frames[0]] = _MM * truth.keypoints
    if found is not None:
        inside = (found.frames >= frames[0]) & (found.frames <= frames[-1])
        p[found.frames[inside] - frames[0]] = _MM * found.keypoints[inside]
    step = int(np.gcd.reduce(np.diff(truth.frames))) if len(truth.frames) > 1 else 1
    g, p = g[::step], p[::step]  # of a ground truth that has every n-th frame only
    errors = errors_3d.joint_errors(p, g)
    both = int(np.isfinite(errors).any(axis=1).sum())
    return Errors3D(
        person=str(truth.track_ids[0]),
        predicted=str(found.track_ids[0]) if found is not None and both else "",
        frames=both,
        ground_truth_frames=len(truth.frames),
        mpjpe_mm=errors_3d.mpjpe(p, g),
        p_mpjpe_mm=errors_3d.p_mpjpe(p, g),
        n_mpjpe_mm=errors_3d.n_mpjpe(p, g),
        mpjve_mm_per_frame=errors_3d.mpjve(p, g),
        acceleration_error_mm_per_frame2=errors_3d.acceleration_error(p, g),
        pck_150mm=errors_3d.pck(errors),
        auc=errors_3d.auc(errors),
    )


_FIGURES = (
    "mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm_per_frame", "acceleration_error_mm_per_frame2", "pck_150mm",
    "auc",
)  # fmt: skip


def _total(people: tuple[Errors3D, ...]) -> Errors3D:
    means = {}
    for name in _FIGURES:
        known = [(getattr(each, name), each.frames) for each in people if np.isfinite(getattr(each, name))]
        frames = sum(weight for _, weight in known)
        means[name] = sum(value * weight for value, weight in known) / frames if frames else float("nan")
    return Errors3D(
        person="all",
        predicted="",
        frames=sum(each.frames for each in people),
        ground_truth_frames=sum(each.ground_truth_frames for each in people),
        **means,
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
