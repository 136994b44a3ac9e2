"""The 2-D tracks of a run to 3-D tracks: tracks3d.csv and the assumptions in run.json."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from posetrail.errors import InputError
from posetrail.files import digest, written_whole
from posetrail.protocols import Lifter
from posetrail.runtime import Device
from posetrail.skeletons import Skeleton
from tracker.io.pose_log import read_pose_log
from tracker.io.tables3d import TRACKS3D, TRACKS3D_PARQUET, write_csv3d, write_parquet3d
from tracker.lifting.camera import Camera, assumed_focal_px, focal_of_fov
from tracker.lifting.floor import floor_of, on_floor
from tracker.lifting.landmarks import lift_landmarks
from tracker.lifting.lift import Lifted, Scene, lift_clip
from tracker.lifting.lift_record import LiftRecord, skeleton_values
from tracker.progress import OnFrame
from tracker.runs.clip_landmarks import landmarks_of
from tracker.runs.corrected import CorrectedRun
from tracker.runs.corrections import state_of
from tracker.runs.lifters import DEFAULT_LIFTER, Model3D, open_lifter
from tracker.runs.locks import read_lock, write_lock
from tracker.runs.record import LOG, RUN, ClipInput, RunRecord, RunWarning, files_of, read_record, write_record
from tracker.tracked_clip import TrackedClip
from tracker.tracks3d import Tracks3D

_WAIT_S = 5.0  # for another process that reads the run
_ASSUMED_HEIGHT_M = 1.7  # of people of unknown height, where the model has no metres
_HEIGHTS_M = (0.3, 2.8)
_STILL_SHARE = 0.02  # of the longer side of the picture, by which a still camera may seem to have moved


@dataclass(frozen=True)
class LiftOutcome:
    """What `lift` has done."""

    folder: Path
    tracks: Tracks3D
    record: LiftRecord
    warnings: tuple[str, ...]  # one line each

    @property
    def files(self) -> tuple[str, ...]:
        """The files of 3-D tracks in the folder."""
        return tuple(name for name in (TRACKS3D, TRACKS3D_PARQUET) if (self.folder / name).is_file())


def lift(
    run: str | Path,
    *,
    model: str = DEFAULT_LIFTER,
    weights: str | Path | None = None,
    lifter: Lifter | None = None,
    height_m: float | Mapping[int, float] | None = None,
    focal_px: float | None = None,
    fov_deg: float | None = None,
    floor: bool = False,
    parquet: bool = False,
    input: str | Path | None = None,
    device: Device = "auto",
    threads: int | None = None,
    on_frame: OnFrame = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> LiftOutcome:
    """Lift the tracks of a run, with its corrections, to 3-D; writes tracks3d.csv and what was assumed to run.json.

    All people stand in one scene before the camera. Nothing is written before all of them are lifted.

    Args:
        run: a run's folder.
        model: "blazepose_full", which looks at the clip again, or a network that lifts 2-D joints, with `weights`.
        weights: file of the network's weights.
        lifter: used instead of a model; recorded under its attribute `name`, or its class's name.
        height_m: of every person, or by track id; by default people have the size that the model gives them.
        focal_px: focal length of the camera in pixels.
        fov_deg: horizontal angle of view instead. Without either, a focal length of 1.15 times the longer side of the
            picture is assumed.
        floor: fit a plane to the feet; the axes are level then, and y, which still points down, is 0 on it.
        parquet: write tracks3d.parquet too.
        input: the clip, if it was moved, or if the poses of the run were imported.
        device: for the model: auto, cpu or cuda.
        threads: of the model on the CPU; None: as many as there are cores.
        on_frame: called with the number of people in each frame that a model has looked at.
        stopped: called after each frame; true ends the lifting, without a result.

    Raises:
        InputError: there is no run, the clip is missing, or an argument cannot be used.

    Examples:
        >>> import posetrail as pt
        >>> pt.lift("posetrail_out/clip", height_m=1.78)
    """
    run = Path(run)
    heights, height = _heights(height_m)
    read_record(run)  # refuses a folder that is no run before a lock is made in it
    with read_lock(run), CorrectedRun(run) as opened:
        record, state = opened.record, state_of(run, opened.record)
        size = (opened.header.width, opened.header.height)
        focal = _focal_px(focal_px, fov_deg, size)
        camera = Camera(focal_px=focal, centre=(size[0] / 2, size[1] / 2))
        clip, skeleton = opened.clip, opened.header.skeleton
        unknown = sorted(set(heights) - set(np.unique(clip.track_ids).tolist()))
        if unknown:
            raise InputError(f"height_m: expected track ids of {run}, got {', '.join(map(str, unknown))}")
        with open_lifter(model, weights, lifter, device=device, threads=threads) as used:
            scene = Scene(
                camera=camera,
                image_size=size,
                height_m=height,
                heights_m=heights,
                assumed_height_m=None if used.is_metric else _ASSUMED_HEIGHT_M,
            )
            lifted = _lifted(run, clip, skeleton, used, scene, record, input, on_frame, stopped)
        moving = _camera(run, record)
    tracks = on_floor(lifted.tracks, floor_of(lifted.tracks)) if floor else lifted.tracks
    about = LiftRecord(
        model=used.name,
        weights_sha256=used.weights_sha256,
        licence=used.licence,
        skeleton=skeleton_values(tracks.skeleton),
        axes="floor" if floor else "camera",
        focal_px=round(focal, 3),
        focal_assumed=focal_px is None and fov_deg is None,
        fov_deg=round(math.degrees(2 * math.atan(size[0] / 2 / focal)), 3),
        camera=moving,
        height_m=height,
        heights_m={str(track_id): value for track_id, value in heights.items()} or None,
        rate_hz=used.rate_hz,
        people=lifted.people,
        not_placed=lifted.not_placed,
        tracks=state,
        sha256="",
    )
    return _write(run, tracks, about, parquet=parquet)


def _lifted(
    run: Path,
    clip: TrackedClip,
    skeleton: Skeleton,
    used: Model3D,
    scene: Scene,
    record: RunRecord,
    input: str | Path | None,
    on_frame: OnFrame,
    stopped: Callable[[], bool],
) -> Lifted:
    if used.lifter is not None:
        return lift_clip(clip, skeleton, used.lifter, scene)
    assert used.landmarks is not None
    path = None if input is None else Path(input)
    found = landmarks_of(run, record, clip, skeleton, used.landmarks, input=path, on_frame=on_frame, stopped=stopped)
    return lift_landmarks(clip, skeleton, found, used.landmarks.skeleton, scene)


def _write(run: Path, tracks: Tracks3D, about: LiftRecord, *, parquet: bool) -> LiftOutcome:
    """Write the tables beside their places, then rename them and run.json."""
    with write_lock(run, wait_s=_WAIT_S):
        record = read_record(run)
        if state_of(run, record) != about.tracks:
            raise InputError(f"{run}: its tracks were changed meanwhile; lift it again")
        with ExitStack() as files:
            beside = files.enter_context(written_whole(run / TRACKS3D))
            write_csv3d(beside, tracks)
            about = replace(about, sha256=digest(beside))
            if parquet:
                write_parquet3d(files.enter_context(written_whole(run / TRACKS3D_PARQUET)), tracks)
        names = {TRACKS3D, TRACKS3D_PARQUET} if parquet else {TRACKS3D}
        warnings = tuple(RunWarning(text, TRACKS3D) for text in _notes(about))
        others = [each for each in record.warnings if each.file not in (TRACKS3D, TRACKS3D_PARQUET)]
        kept = set(record.files) - {TRACKS3D, TRACKS3D_PARQUET}
        record = replace(
            record, lift=about, warnings=(*others, *warnings), files=files_of(run, {*kept, *names} - {LOG, RUN})
        )
        write_record(run, record)
    return LiftOutcome(run, tracks, about, tuple(map(str, warnings)))


def _notes(about: LiftRecord) -> list[str]:
    """What a user should know about these 3-D tracks, one line each."""
    notes = []
    if about.focal_assumed:
        notes.append(
            f"the focal length is assumed ({about.focal_px:.0f} px); distances from the camera depend on it; give "
            "--fov or --focal-px if you know it"
        )
    if about.camera == "moving":
        notes.append("the camera moves; places are relative to the camera of each frame")
    if about.not_placed:
        ids = ", ".join(map(str, about.not_placed))
        notes.append(f"some frames of {ids} are left out: too few joints were seen to tell where the person is")
    cut_off = sum(person.cut_off for person in about.people)
    if cut_off:
        notes.append(f"{cut_off} poses reach out of the picture (cut_off); the model has invented what is outside")
    return notes


def _heights(height_m: float | Mapping[int, float] | None) -> tuple[dict[int, float], float | None]:
    """Heights by track id, and that of all others."""
    given = dict(height_m) if isinstance(height_m, Mapping) else {}
    height = None if height_m is None or isinstance(height_m, Mapping) else float(height_m)
    low, high = _HEIGHTS_M
    for value in (*given.values(), *([] if height is None else [height])):
        if not low <= value <= high:
            raise InputError(f"height_m: expected metres between {low} and {high}, got {value:g}")
    return {int(track_id): float(value) for track_id, value in given.items()}, height


def _focal_px(focal_px: float | None, fov_deg: float | None, size: tuple[int, int]) -> float:
    if focal_px is not None and fov_deg is not None:
        raise InputError("focal_px, fov_deg: expected one of them, got both; leave one out")
    if focal_px is not None:
        if not (math.isfinite(focal_px) and focal_px > 0):
            raise InputError(f"focal_px: expected pixels above 0, got {focal_px:g}")
        return float(focal_px)
    if fov_deg is not None:
        if not 1 <= fov_deg <= 170:
            raise InputError(f"fov_deg: expected degrees between 1 and 170, got {fov_deg:g}")
        return focal_of_fov(fov_deg, size[0])
    return assumed_focal_px(*size)


def _camera(run: Path, record: RunRecord) -> Literal["still", "moving", "unknown"]:
    """Whether the camera moves, by the motion of the background that inference has measured."""
    if not isinstance(record.input, ClipInput):
        return "unknown"
    header, frames = read_pose_log(run / LOG, record.pose_log)
    centre = np.array([header.width / 2, header.height / 2, 1.0])
    to_first = np.eye(3)
    for frame in frames:
        step = np.vstack([frame.camera_motion, [0.0, 0.0, 1.0]])
        to_first = to_first @ np.linalg.inv(step)
        moved = np.linalg.norm((to_first @ centre - centre)[:2])
        if moved > _STILL_SHARE * max(header.width, header.height):
            return "moving"
    return "still"
