"""Tracks of a run kept in arrays, so that opening a long run does not associate its poses again.

`tracks.npz` in the folder of the preview is an uncompressed NumPy archive without pickled objects. It holds a digest of
what decides the tracks: the pose log, the settings, the corrections and the version of posetrail. One with another
digest is replaced. It may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.poses import Poses
from posetrail.store import home_folder
from tracker.association.corrections import Operation, digest_of
from tracker.io.pose_log import LogEnd
from tracker.settings import AssociationSettings
from tracker.tracked_clip import TrackedClip

_log = logging.getLogger(__name__)

_FOLDER, _FILE = "preview", "tracks.npz"
_FORMAT = 1
_FEWEST_POSES = 5000  # fewer are associated in a moment
_OF_POSES = ("keypoints", "keypoint_scores", "boxes", "scores", "propagated")
_OF_CLIP = ("frame_indices", "times_s", "begins", "track_ids", "interpolated", "pose_rows", "edits")


def preview_folder(run: Path) -> Path:
    """Where what can be made again is kept: in the run's folder, or in the user's cache if that cannot be written."""
    folder = run / _FOLDER
    if os.access(folder if folder.is_dir() else run, os.W_OK):
        return folder
    name = hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]
    return home_folder() / "previews" / f"{run.resolve().name}-{name}"


def kept_clip(
    log: Path,
    settings: AssociationSettings,
    end: LogEnd,
    corrections: Mapping[int, Operation],
    make: Callable[[Path, AssociationSettings, LogEnd, Mapping[int, Operation]], TrackedClip],
) -> TrackedClip:
    """What `make` returns for the other arguments, read from where it was kept, or made and kept."""
    place = preview_folder(log.parent) / _FILE
    made_of = [_FORMAT, version("posetrail"), asdict(end), asdict(settings), digest_of(corrections)]
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    clip = _read(place, digest)
    if clip is None:
        clip = make(log, settings, end, corrections)
        if len(clip.poses) >= _FEWEST_POSES:
            with suppress(OSError, InputError):  # it can be made again
                place.parent.mkdir(parents=True, exist_ok=True)
                _write(place, clip, digest)
    return clip


def _write(place: Path, clip: TrackedClip, digest: str) -> None:
    about = {"digest": digest, "frame_names": clip.frame_names, "names": {str(k): v for k, v in clip.names.items()}}
    arrays: dict[str, Any] = {name: getattr(clip.poses, name) for name in _OF_POSES}
    arrays |= {name: getattr(clip, name) for name in _OF_CLIP}
    with written_whole(place) as beside, beside.open("wb") as file:
        np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)


def _read(place: Path, digest: str) -> TrackedClip | None:
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            if about["digest"] != digest:
                return None
            poses = Poses(**{name: stored[name] for name in _OF_POSES})
            return TrackedClip(
                frame_names=tuple(map(str, about["frame_names"])),
                poses=poses,
                names={int(track_id): str(name) for track_id, name in about["names"].items()},
                **{name: stored[name] for name in _OF_CLIP},
            )
    except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        if not isinstance(error, FileNotFoundError):
            _log.warning("%s: cannot be used (%s); the tracks are made again", place, error)
        return None
