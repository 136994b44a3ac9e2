"""Which tracks of a run are drawn: those with its corrections, of the chosen people, between two times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from posetrail.errors import InputError
from tracker.frames import TrackedFrame
from tracker.io.corrections_log import CORRECTIONS
from tracker.io.pose_log import read_pose_log
from tracker.io.video import Source
from tracker.runs.corrected import CorrectedRun
from tracker.runs.record import LOG, RunRecord
from tracker.runs.results import Tracks, tracks_of
from tracker.tracked_clip import TrackedClip, tracked_clip


@dataclass(frozen=True, eq=False)
class RunTracks:
    """The tracks of a run, frame by frame, and all at once where that is needed."""

    tracks: Tracks
    names: Mapping[int, str] = field(default_factory=dict)  # of people by track id
    clip: TrackedClip | None = None

    def ids(self, persons: tuple[str, ...], *, argument: str = "persons") -> list[int]:
        """The track ids of people given by id or name; needs the `clip`; an error names the argument.

        Raises:
            InputError: there is no such person.
        """
        assert self.clip is not None
        ids: dict[str, list[int]] = {}  # by what a person may be called
        known: dict[str, None] = {}
        for track_id in np.unique(self.clip.track_ids).tolist():
            for text in dict.fromkeys((str(track_id), self.names.get(track_id, ""))):
                if text:
                    known[text] = None
                    ids.setdefault(text.casefold(), []).append(track_id)
        for text in persons:
            if text.casefold() not in ids:
                expected = f"{argument}: expected ids or names of people of the run"
                raise InputError(f"{expected}, got {text!r}; it has {_listed(list(known))}")
        return [track_id for text in persons for track_id in ids[text.casefold()]]

    def of(self, persons: tuple[str, ...]) -> RunTracks:
        """Those of people given by id or name, in all frames; needs the `clip`.

        Raises:
            InputError: there is no such person.
        """
        chosen = self.ids(persons)

        def frames() -> Iterator[TrackedFrame]:
            for frame in self.tracks():
                yield replace(frame, people=frame.people[np.isin(frame.people.track_ids, chosen)])

        return replace(self, tracks=frames)

    def within(self, part: Source) -> RunTracks:
        """Those of the frames from the start of a source to its end.

        Raises:
            InputError: there is no frame.
        """

        def frames() -> Iterator[TrackedFrame]:
            for frame in self.tracks():
                if part.has_ended(frame.time_s):
                    return
                if part.has_started(frame.time_s):
                    yield frame

        if next(frames(), None) is None:
            until = "its end" if part.end_s is None else f"{part.end_s:g} s"
            raise InputError(f"start: expected frames of the run from {part.start_s or 0:g} s to {until}, got none")
        return replace(self, tracks=frames)


def run_tracks(run: Path, record: RunRecord, *, at_once: bool) -> RunTracks:
    """The tracks of a run with its corrections.

    Args:
        run: a run's folder.
        record: of the run; its pose log is whole.
        at_once: all of them are needed at once, in `clip`. Without corrections, they are otherwise made one by one.
    """
    if (run / CORRECTIONS).is_file():
        with CorrectedRun(run) as opened:
            return RunTracks(opened.clip.frames, opened.clip.names, opened.clip)
    tracks = tracks_of(run / LOG, record.association_settings, record.pose_log)
    if not at_once:
        return RunTracks(tracks)
    clip = tracked_clip(tracks(), read_pose_log(run / LOG)[0].num_joints)
    return RunTracks(clip.frames, clip.names, clip)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown or "none"
