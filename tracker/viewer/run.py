"""One run that the viewer serves, opened when it is first asked for.

The page addresses frames by their position, people of a frame by their place in it, and tracks by their id at one
revision. Opening and correcting a run takes seconds for a long clip, so both happen in worker threads, one at a time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from posetrail.errors import InputError
from tracker.io.pose_log import PoseLogHeader, read_pose_log
from tracker.runs.record import LOG, RunRecord, check_log, read_record
from tracker.runs.results import tracks_of
from tracker.tracked_clip import TrackedClip, tracked_clip
from tracker.viewer.clip import ClipImages, open_clip
from tracker.viewer.overview import track_summaries
from tracker.viewer.pieces import FPS, PIECE_FRAMES, Pieces, preview_folder
from tracker.viewer.stills import Stills

JOINT_SCORE_THRESHOLD = 0.2  # joints of lower score are not drawn, as in drawn videos


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A run at one revision."""

    clip: TrackedClip
    revision: int

    @cached_property
    def tracks(self) -> list[dict[str, Any]]:
        """The tracks, for the timeline."""
        return track_summaries(self.clip)


class ServedRun:
    """A run's folder, its poses, its clip and its preview.

    Args:
        folder: of the run.
        name: shown for it.
        input: its clip, if it was moved, or if its poses were imported.

    Raises:
        InputError: it is no run, or its pose log is damaged.
    """

    def __init__(self, folder: Path, name: str, input: Path | None = None) -> None:
        self.folder, self.name, self._input = folder, name, input
        self.record: RunRecord = read_record(folder)
        end = check_log(folder, self.record)
        self.header: PoseLogHeader = read_pose_log(folder / LOG)[0]
        tracks = tracks_of(folder / LOG, self.record.association_settings, end)
        self.now = Snapshot(clip=tracked_clip(tracks(), self.header.num_joints), revision=0)
        self._opening = threading.Lock()
        self._images: ClipImages | InputError | None = None
        self._stills: Stills | None = None
        self.pieces = Pieces(
            folder=preview_folder(folder),
            clip=self.images,
            fingerprint=self.record.input.fingerprint,
            numbers=self.now.clip.frame_indices,
            size=(self.header.width, self.header.height),
        )

    def images(self) -> ClipImages:
        """The images of the clip, opened on first use.

        Raises:
            InputError: it is missing, or is not the clip that was tracked; the same again on every call.
        """
        with self._opening:
            if self._images is None:
                clip = self.now.clip
                try:
                    self._images = open_clip(
                        self.folder, self.record, clip.frame_indices, clip.frame_names, self._input
                    )
                except InputError as error:
                    self._images = error
            if isinstance(self._images, InputError):
                raise self._images
            return self._images

    def stills(self) -> Stills:
        """Stills of the clip.

        Raises:
            InputError: it is missing, or is not the clip that was tracked.
        """
        images = self.images()
        with self._opening:
            self._stills = self._stills or Stills(images)
            return self._stills

    def about(self) -> dict[str, Any]:
        """What the page needs to know of the run before anything else."""
        skeleton, clip = self.header.skeleton, self.now.clip
        width, height = self.pieces.preview_size
        try:
            self.images()
            problem = ""
        except InputError as error:
            problem = str(error)
        return {
            "name": self.name,
            "has_clip": not problem,
            "problem": problem,
            "width": self.header.width,
            "height": self.header.height,
            "fps": self.header.fps,
            "num_frames": len(clip),
            "first_frame_number": int(clip.frame_indices[0]) if len(clip) else 0,
            "skeleton": {
                "name": skeleton.name,
                "joints": list(skeleton.joints),
                "limbs": skeleton.limb_indices.tolist(),
                "mirror": skeleton.mirror.tolist(),
            },
            "revision": self.now.revision,
            "stale": False,
            "read_only": True,
            "preview": {"fps": FPS, "piece_frames": PIECE_FRAMES, "width": width, "height": height},
            "joint_score_threshold": JOINT_SCORE_THRESHOLD,
        }

    def overview(self) -> dict[str, Any]:
        """What the timeline shows."""
        clip = self.now.clip
        return {
            "revision": self.now.revision,
            "times_s": clip.times_s.round(6).tolist(),
            "frame_numbers": clip.frame_indices.tolist(),
            "tracks": self.now.tracks,
            "checked": [],
            "edits": [],
        }

    def close(self) -> None:
        """Close the clip."""
        if self._stills is not None:
            self._stills.close()
