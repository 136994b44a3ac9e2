"""Angles and speeds of several people as one table: one row per person and frame, one column per angle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from posetrail.errors import InputError
from posetrail.skeletons import Skeleton
from tracker.lifting.angle_settings import AngleSettings, Facing, Scale
from tracker.lifting.angles import angles_2d, angles_3d
from tracker.lifting.body_motion import body_size, breadth, facing, speeds
from tracker.lifting.body_points import BodyPoints

_FRONTAL = 0.5  # shoulders are this far apart, in trunk lengths: seen from the front or back rather than from the side
_DECIMALS = {"_deg": 2, "_m_per_s": 3, "_px_per_s": 1, "time_s": 6}


@dataclass(frozen=True, eq=False)
class PersonPath:
    """One person in successive frames of a clip, from their first to their last."""

    track_id: int
    name: str
    frame_indices: np.ndarray  # (T,) int64
    times_s: np.ndarray  # (T,)
    keypoints: np.ndarray  # (T, K, 2) pixels or (T, K, 3) metres, NaN where missing
    present: np.ndarray  # (T,) bool: the person is tracked in this frame
    interpolated: np.ndarray  # (T,) bool


@dataclass(frozen=True, eq=False)
class AngleTable:
    """The table, with what was assumed for it."""

    table: pd.DataFrame
    scales: dict[int, Scale]  # by track id; empty without a height
    notes: tuple[str, ...]  # what a reader should know, one line each


def angle_table(people: Iterable[PersonPath], skeleton: Skeleton, settings: AngleSettings) -> AngleTable:
    """Angles and speeds of people, person by person.

    Args:
        people: all in 2-D or all in 3-D.
        skeleton: of their joints.
        settings: see there.

    Raises:
        InputError: a height is given in 3-D.
    """
    parts, scales, notes = [], dict[int, Scale](), []
    for person in people:
        part, scale, note = _of_person(person, skeleton, settings)
        parts.append(part)
        if scale:
            scales[person.track_id] = scale
        notes += note
    return AngleTable(_joined(parts), scales, tuple(notes))


def _of_person(
    person: PersonPath, skeleton: Skeleton, settings: AngleSettings
) -> tuple[pd.DataFrame, Scale | None, list[str]]:
    is_3d = person.keypoints.shape[2] == 3
    if is_3d and settings.height_m is not None:
        raise InputError("height_m: expected none for 3-D tracks, which are in metres; give it to `posetrail lift`")
    keypoints = person.keypoints
    columns: dict[str, np.ndarray | str] = {"frame": person.frame_indices, "time_s": person.times_s}
    columns |= {"track_id": np.full(len(person.times_s), person.track_id), "name": person.name}
    columns["interpolated"] = person.interpolated.astype(int)
    scale, notes = None, list[str]()
    if is_3d:
        columns |= angles_3d(keypoints, skeleton)
        unit, per_unit = "m_per_s", 1.0
    else:
        side = _facing(keypoints, skeleton, person.times_s, settings.facing)
        columns["facing"] = np.where(side > 0, "right", "left")
        columns |= angles_2d(keypoints, skeleton, side)
        scale = _scale(keypoints, skeleton, settings.height_m)
        unit, per_unit = ("px_per_s", 1.0) if settings.height_m is None else ("m_per_s", np.nan)
        per_unit = scale.metres_per_pixel if scale else per_unit
        notes = _notes(person, keypoints, skeleton, settings, scale)
    joints = (*skeleton.joints, "centre")
    places = np.concatenate([keypoints, _centre(keypoints, skeleton)[:, None]], axis=1)
    moving = per_unit * speeds(places, person.times_s)
    columns |= {f"{joint}_{unit}": moving[:, k] for k, joint in enumerate(joints)}
    return pd.DataFrame(columns)[person.present], scale, notes


def _facing(keypoints: np.ndarray, skeleton: Skeleton, times_s: np.ndarray, side: Facing) -> np.ndarray:
    if side == "auto":
        return facing(keypoints, skeleton, times_s)
    return np.full(len(times_s), 1.0 if side == "right" else -1.0)


def _scale(keypoints: np.ndarray, skeleton: Skeleton, height_m: float | None) -> Scale | None:
    if height_m is None:
        return None
    size = body_size(keypoints, skeleton)
    if not np.isfinite(size.height):
        return None
    return Scale(metres_per_pixel=height_m / size.height, upright_frames=size.num_upright)


def _notes(
    person: PersonPath, keypoints: np.ndarray, skeleton: Skeleton, settings: AngleSettings, scale: Scale | None
) -> list[str]:
    who = f"person {person.name or person.track_id}"
    notes = []
    if breadth(keypoints, skeleton) > _FRONTAL:
        notes.append(f"{who}: seen from the front or back most of the time; 2-D flexion needs a view from the side")
    if settings.height_m is not None and scale is None:
        notes.append(f"{who}: no frame has both legs and the trunk; speeds in metres per second are missing")
    elif scale and not scale.upright_frames:
        notes.append(f"{who}: hardly ever upright; metres per pixel are a guess from the longest poses")
    return notes


def _centre(keypoints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """The middle of the hips (T, D), NaN where the skeleton has none."""
    points = BodyPoints(keypoints, skeleton)
    return points.middle("hips") if points.has_middle("hips") else np.full_like(keypoints[:, 0], np.nan)


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame({"frame": np.zeros(0, int), "time_s": np.zeros(0), "track_id": np.zeros(0, int)})
    table = pd.concat(parts, ignore_index=True)
    if not (table["name"] != "").any():
        table = table.drop(columns="name")
    for ending, decimals in _DECIMALS.items():
        chosen = [column for column in table.columns if column.endswith(ending)]
        table[chosen] = table[chosen].round(decimals)
    return table
