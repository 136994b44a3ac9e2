"""One run that the viewer serves: its tracks as corrected now, its clip, its preview and its suspects.

The page addresses frames by position, people by their place in a frame, and tracks by id. All of these belong to one
revision: the number of corrections in the log and of associations since the run was opened. Methods are called from
worker threads; those that change the run, one at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from posetrail.errors import InputError
from tracker.association.corrections import Operation, from_json
from tracker.association.suspects import Suspect
from tracker.io.corrections_log import CORRECTIONS
from tracker.runs.corrected import CorrectedRun, Effect, Entry, OutOfDate
from tracker.runs.follow import associate_again
from tracker.runs.kept_clip import preview_folder
from tracker.runs.record import RunRecord
from tracker.tracked_clip import TrackedClip
from tracker.viewer.clip import ClipImages, open_clip
from tracker.viewer.overview import edits, position_spans, track_summaries
from tracker.viewer.pieces import FPS, PIECE_FRAMES, Pieces
from tracker.viewer.stills import Stills
from tracker.viewer.suspects import suspects_as_json, suspects_of

JOINT_SCORE_THRESHOLD = 0.2  # joints of lower score are not drawn, as in drawn videos


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A run at one revision."""

    revision: int
    clip: TrackedClip
    entries: tuple[Entry, ...]
    checked: tuple[tuple[int, int], ...]  # first and last frames, numbers in the video
    stale: bool

    @cached_property
    def operations(self) -> dict[int, Operation]:
        """The corrections that are not undone, by number."""
        return {each.number: from_json(each.operation) for each in self.entries if not each.undone}

    @cached_property
    def tracks(self) -> list[dict[str, Any]]:
        """The tracks, for the timeline."""
        return track_summaries(self.clip)


class ServedRun:
    """A run's folder, opened.

    Args:
        folder: of the run.
        name: shown for it.
        input: its clip, if it was moved, or if its poses were imported.

    Raises:
        InputError: it is no run, its pose log is damaged, or its corrections cannot be used.
    """

    def __init__(self, folder: Path, name: str, input: Path | None = None) -> None:
        self.folder, self.name, self._input = folder, name, input
        self._open = ExitStack()
        self._run = self._open.enter_context(CorrectedRun(folder))
        self._associations = 0
        self.now = self._snapshot()
        self._opening = threading.Lock()
        self._in_folder = threading.Lock()  # held by what locks the folder, so that it never finds it locked by itself
        self._found: list[Suspect] | None = None
        self._images: ClipImages | InputError | None = None
        self._stills: Stills | None = None
        header = self._run.header
        self.pieces = Pieces(
            folder=preview_folder(folder),
            clip=self.images,
            fingerprint=self.record.input.fingerprint,
            numbers=self.now.clip.frame_indices,
            size=(header.width, header.height),
        )

    @property
    def record(self) -> RunRecord:
        """The content of run.json."""
        return self._run.record

    @property
    def read_only(self) -> bool:
        """Whether corrections cannot be written."""
        log = self.folder / CORRECTIONS
        return not (os.access(self.folder, os.W_OK) and (not log.exists() or os.access(log, os.W_OK)))

    def close(self) -> None:
        """Close all files."""
        with self._opening:
            if self._stills is not None:
                self._stills.close()
        self._open.close()

    # Pictures ---------------------------------------------------------------------------------------------------------

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

    # Answers ----------------------------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """What the page needs to know of the run before anything else."""
        now, header, skeleton = self.now, self._run.header, self._run.header.skeleton
        width, height = self.pieces.preview_size
        problem = self._problem()
        return {
            "name": self.name,
            "has_clip": not problem,
            "problem": problem,
            "width": header.width,
            "height": header.height,
            "fps": header.fps,
            "num_frames": len(now.clip),
            "first_frame_number": int(now.clip.frame_indices[0]) if len(now.clip) else 0,
            "skeleton": {
                "name": skeleton.name,
                "joints": list(skeleton.joints),
                "limbs": skeleton.limb_indices.tolist(),
                "mirror": skeleton.mirror.tolist(),
            },
            "revision": now.revision,
            "stale": now.stale,
            "read_only": self.read_only,
            "preview": {"fps": FPS, "piece_frames": PIECE_FRAMES, "width": width, "height": height},
            "joint_score_threshold": JOINT_SCORE_THRESHOLD,
        }

    def overview(self) -> dict[str, Any]:
        """What the timeline shows."""
        now = self.now
        return {
            "revision": now.revision,
            "times_s": now.clip.times_s.round(6).tolist(),
            "frame_numbers": now.clip.frame_indices.tolist(),
            "tracks": now.tracks,
            "checked": position_spans(now.checked, now.clip.frame_indices),
            "edits": edits(now.entries, now.clip),
        }

    def log(self) -> dict[str, Any]:
        """The corrections, the first one first."""
        now = self.now
        return {
            "revision": now.revision,
            "entries": [
                {
                    "number": entry.number,
                    "op": entry.operation["op"],
                    "of": entry.operation.get("of"),
                    "text": entry.text,
                    "undone": entry.undone,
                    "by": entry.by,
                    "at": entry.at,
                    "position": _position(now.clip, entry.first_frame),
                }
                for entry in now.entries
            ],
        }

    def suspects(self) -> dict[str, Any]:
        """The doubtful places, worst first; looked for on first use.

        Raises:
            InputError: they were not looked for before, and the folder cannot be written.
        """
        with self._in_folder:
            if self._found is None:
                self._found = suspects_of(self.folder)
            now, found = self.now, self._found
        return {"revision": now.revision, "suspects": suspects_as_json(found, now.clip, now.operations)}

    # Corrections ------------------------------------------------------------------------------------------------------

    def effect(self, request: Mapping[str, Any], revision: int | None) -> dict[str, Any]:
        """What a correction would change.

        Raises:
            OutOfDate: the current revision is another one.
            InputError: it cannot be made.
        """
        self._check(revision)
        return _effect(self._run.effect(request), self.now.clip)

    def apply(self, request: Mapping[str, Any], revision: int | None) -> dict[str, Any]:
        """Append a correction to the log: what it changed, and the new revision.

        Raises:
            OutOfDate: the current revision is another one.
            InputError: it cannot be made, or not be written.
        """
        self._check(revision)
        before = self.now.clip
        try:
            effect = self._run.apply(request, self._run.revision)
        finally:  # another process may have corrected the run
            self.now = self._snapshot()
        return {**_effect(effect, before), "revision": self.now.revision}

    def associate(self) -> None:
        """Assign ids again with the corrections.

        Raises:
            InputError: another process uses the folder, or it cannot be written.
        """
        with self._in_folder:
            associate_again(self._run)
            self._associations += 1
            self.now, self._found = self._snapshot(), None

    def _check(self, revision: int | None) -> None:
        if revision is not None and revision != self.now.revision:
            raise OutOfDate(f"expected revision {self.now.revision}, got {revision}")

    def _problem(self) -> str:
        try:
            self.images()
        except InputError as error:
            return str(error)
        return ""

    def _snapshot(self) -> Snapshot:
        run = self._run
        return Snapshot(
            revision=run.revision + self._associations,
            clip=run.clip,
            entries=tuple(run.entries),
            checked=tuple(run.checked),
            stale=run.is_stale,
        )


def _effect(effect: Effect, clip: TrackedClip) -> dict[str, Any]:
    return {
        "text": effect.text,
        "first": _position(clip, effect.first_frame),
        "last": _position(clip, effect.last_frame),
        "poses": effect.poses,
        "tracks": list(effect.track_ids),
    }


def _position(clip: TrackedClip, frame: int) -> int:
    """The position of a frame; of the next one, if the run does not have it."""
    return min(int(np.searchsorted(clip.frame_indices, frame)), max(len(clip) - 1, 0))
