"""A live source's run folder: the pose log grows frame by frame, all other files are written at the end.

The folder is that of any run, so that a session can be viewed, corrected, drawn and exported later. The tracks are
those that were shown: association is online, and its ids are the same when they are assigned again from the log.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from posetrail.errors import InputError
from posetrail.files import digest
from tracker.io.live_source import LiveSource, iso_time
from tracker.io.pose_log import PoseLogHeader, PoseLogWriter
from tracker.io.video_writer import VideoWriter
from tracker.io.writers import default_formats
from tracker.runs.live import LiveFrame, online_settings
from tracker.runs.locks import write_lock
from tracker.runs.networks import Networks
from tracker.runs.record import LOG, NO_FIGURES, ClipInput, Outcome, PosesInput, RecordedSettings, RunRecord
from tracker.runs.results import tracks_of, write_results, writers_of
from tracker.runs.resume import plain
from tracker.runs.versions import installed_versions
from tracker.settings import Settings

RECORDING = "recording.mp4"
_ASSUMED_FPS = 30.0
_CHECKED_S = 1.0  # between two looks at the folder's size
_SIZE_OF_TRACKS = 1.5  # of a file of tracks relative to the pose log, at most; it was 0.5 to 1.1 in three clips


def session_folder(output: Path, source: LiveSource) -> Path:
    """The folder of a session in an output folder: named after its source and the time of its start, in UTC."""
    return output / f"{source.address.name}_{source.started_at:%Y%m%d-%H%M%S}"


class LiveRun:
    """Writes a live source's run: `with LiveRun(...) as run: run.add(frame)`; without frames there is no folder.

    Left without an error or by an InputError, such as of a source that gave up, the run is completed; otherwise its
    pose log stays, and `posetrail follow` makes a run of it.

    Args:
        folder: of the run; it must not hold one yet.
        source: opened.
        networks: opened with these settings.
        settings: all settings.
        formats: names in tracker.io.writers.WRITERS; those that suit the skeleton if not given.
        record: write the frames to recording.mp4, too.
        limit_bytes: the most that the folder may hold, tracks that are written at the end included; 0: any.

    Raises:
        InputError: the folder holds a run.
    """

    def __init__(
        self,
        folder: Path,
        source: LiveSource,
        networks: Networks,
        settings: Settings,
        *,
        formats: Sequence[str] | None = None,
        record: bool = False,
        limit_bytes: int = 0,
    ) -> None:
        if (folder / LOG).exists():
            raise InputError(f"{folder}: holds a run; choose another output folder")
        self.folder = folder
        self.outcome: Outcome | None = None  # once the run is written
        self.is_full = False
        self._source, self._networks, self._settings = source, networks, online_settings(settings)
        self._formats = default_formats(networks.skeleton) if formats is None else tuple(formats)
        self._records, self._limit_bytes = record, limit_bytes
        self._held, self._files = ExitStack(), ExitStack()
        self._started, self._checked = time.perf_counter(), 0.0
        self._header: PoseLogHeader | None = None  # until the first frame
        self._log: PoseLogWriter
        self._video: VideoWriter | None = None

    def __enter__(self) -> Self:
        return self

    def add(self, frame: LiveFrame) -> None:
        """Add the next frame."""
        if self._header is None:
            self._header = self._begin(frame)
        self._log.append(frame.poses)
        if self._video is not None:
            self._video.add(frame.frame.image, frame.frame.time_s)
        now_s = time.perf_counter()
        if self._limit_bytes and now_s - self._checked >= _CHECKED_S:
            self._checked = now_s
            self.is_full = self._expected_bytes() >= self._limit_bytes

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._header is None:
            return
        with self._held:
            if error is not None and not isinstance(error, InputError):
                self._files.__exit__(kind, error, trace)
                return
            self._files.close()
            reason = "the limit on disk was reached" if self.is_full else self._source.ended or "stopped"
            self.outcome = self._finish(self._header, reason)

    def _begin(self, frame: LiveFrame) -> PoseLogHeader:
        height, width = frame.frame.image.shape[:2]
        fps = self._source.fps or _ASSUMED_FPS
        networks, settings = self._networks, self._settings
        header = PoseLogHeader(
            skeleton=networks.skeleton,
            fps=fps,
            width=width,
            height=height,
            source=self._source.address.name,
            source_fingerprint="",
            inference_settings=plain(asdict(settings.inference)),
            models=[{"name": model.name, "sha256": model.sha256} for model in networks.models],
            posetrail_version=version("posetrail"),
            appearance_size=networks.embedder.size if networks.embedder else 0,
            provenance={"live": str(self._source.address), "device": networks.device},
        )
        self._held.enter_context(write_lock(self.folder))
        self._log = self._files.enter_context(PoseLogWriter(self.folder / LOG, header))
        if self._records:
            self._video = self._files.enter_context(VideoWriter(self.folder / RECORDING, width, height, fps))
        return header

    def _expected_bytes(self) -> float:
        """What the folder will hold if the run ends now."""
        held = sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())
        return held + len(self._formats) * _SIZE_OF_TRACKS * (self.folder / LOG).stat().st_size

    def _finish(self, header: PoseLogHeader, reason: str) -> Outcome:
        settings, networks, end = self._settings, self._networks, self._log.place.log_end
        record = RunRecord(
            status="complete",
            finished=True,
            reason="",
            warnings=(),
            input=self._input(header),
            settings=RecordedSettings(**plain(asdict(settings))),
            applied=networks.applied,
            models=networks.models,
            device=networks.device,
            pose_log=end,
            versions=installed_versions(),
            figures=NO_FIGURES,
            live=self._live(reason),
            files=(),
        )
        tracks = tracks_of(self.folder / LOG, settings.association, end)
        writers = writers_of(self.folder, header, self._formats)
        record = write_results(self.folder, record, settings.association, tracks, writers, started=self._started)
        return Outcome.of(self.folder, record)

    def _input(self, header: PoseLogHeader) -> ClipInput | PosesInput:
        """The recording, if there is one: it has the frames and the times of the pose log."""
        fps, width, height = header.fps, header.width, header.height
        recording = self.folder / RECORDING
        if not recording.is_file():
            return PosesInput(path=str(self._source.address), fingerprint="", fps=fps, width=width, height=height)
        return ClipInput(
            path=str(recording.resolve()),
            fingerprint=digest(recording),
            fps=fps,
            timed_by_fps=False,
            width=width,
            height=height,
            start_s=None,
            end_s=None,
            stride=1,
        )

    def _live(self, reason: str) -> dict[str, Any]:
        """What run.json says about the source."""
        return {
            "source": str(self._source.address),
            "started_at": iso_time(self._source.started_at),
            "ended": reason,
            **asdict(self._source.counts),
            "settings": asdict(self._source.settings),
        }
