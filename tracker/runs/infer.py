"""Clip to pose log: the first stage of a run, which needs pixels and networks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any

from posetrail.errors import InputError
from posetrail.frame import Frame
from tracker.frames import PoseFrame
from tracker.inference.parts import bodies_of, with_parts
from tracker.inference.pipeline import BATCH_FRAMES, infer
from tracker.io.frame_index import INDEX
from tracker.io.pose_log import Place, PoseLogHeader, PoseLogWriter
from tracker.io.video import DamagedInput, Source
from tracker.progress import OnFrame
from tracker.runs import resume
from tracker.runs.networks import Networks
from tracker.runs.record import LOG, NO_FIGURES, RUN, ClipInput, Inferred, RecordedSettings, RunRecord
from tracker.runs.versions import installed_versions
from tracker.settings import Settings

_log = logging.getLogger(__name__)


def infer_source(
    source: Source, networks: Networks, settings: Settings, known: Iterable[PoseFrame] = ()
) -> Generator[tuple[Frame, PoseFrame]]:
    """The frames of a clip with their poses.

    Args:
        source: the clip.
        networks: opened with these settings.
        settings: settings of the run.
        known: the poses of its first frames, if an earlier run inferred them; these frames are not yielded.
    """
    yield from infer_frames(source.frames(), networks, settings, known)


def infer_frames(
    frames: Iterable[Frame],
    networks: Networks,
    settings: Settings,
    known: Iterable[PoseFrame] = (),
    *,
    live: bool = False,
) -> Generator[tuple[Frame, PoseFrame]]:
    """Frames with their poses, as `infer_source`.

    Args:
        frames: in order.
        networks: opened with these settings.
        settings: settings of the run.
        known: the poses of the first frames.
        live: one frame at a time, without reading ahead.
    """
    inferred = infer(
        frames,
        networks.detector,
        networks.estimator,
        settings.inference,
        networks.flow,
        networks.embedder,
        bottom_up=networks.bottom_up,
        refiner=networks.refiner,
        known=known if networks.parts is None else bodies_of(known, len(networks.body)),
        batch_frames=1 if live else BATCH_FRAMES,
        ahead=not live,
    )
    with closing(inferred):
        yield from inferred if networks.parts is None else with_parts(inferred, networks.parts)


def infer_to_log(
    source: Source,
    folder: Path,
    header: PoseLogHeader,
    networks: Networks,
    settings: Settings,
    *,
    after: Place | None = None,
    on_frame: OnFrame = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Inferred:
    """Write a folder's pose log, or continue it after a frame.

    Nothing is written before the poses of the first frame are known.

    Args:
        source: the clip, or a part of it.
        folder: an existing folder.
        header: of the pose log.
        networks: opened with these settings.
        settings: settings of the run.
        after: continue the log in the folder after this frame.
        on_frame: called with the number of poses of each frame, those in the log included.
        stopped: called after each frame; true ends inference.

    Raises:
        InputError: no frame could be read. A part that begins after the first frame may be empty.
    """
    known = _reported(resume.frames_until(folder / LOG, after), on_frame) if after else ()
    with closing(infer_source(source, networks, settings, known)) as inferred:
        damage = None
        try:
            first = [] if after else list(islice(inferred, 1))
        except DamagedInput as error:
            if not source.first_index:
                raise
            first, damage = [], error
        if not first and not after and not source.first_index:
            raise InputError(
                f"{source.path}: expected frames between start and end, got none; the clip has "
                f"{source.total_frames} frames"
            )
        with ExitStack() as files:
            (folder / RUN).unlink(missing_ok=True)  # it describes the log as it was
            log = files.enter_context(PoseLogWriter(folder / LOG, header, after=after))
            try:
                for _, frame in chain(first, inferred):
                    log.append(frame)
                    on_frame(len(frame.poses))
                    if stopped():
                        reason = f"{source.path}: stopped; {log.place.frames} frames are kept"
                        _log.info(reason)
                        return Inferred("interrupted", reason, log.place.log_end, finished=False)
            except DamagedInput as error:
                damage = error
    _log.info("%s: inferred %d frames%s", source.path, log.place.frames, f"; {damage}" if damage else "")
    return Inferred("damaged" if damage else "complete", str(damage or ""), log.place.log_end)


def _reported(known: Iterable[PoseFrame], on_frame: OnFrame) -> Iterator[PoseFrame]:
    for frame in known:
        on_frame(len(frame.poses))
        yield frame


def keep_index(source: Source, folder: Path) -> None:
    """Keep the frame index of a video in its run's folder; of other sources, remove what an earlier run left there."""
    if source.index_on_demand is None:
        (folder / INDEX).unlink(missing_ok=True)
    else:
        source.index_on_demand.save(folder / INDEX)


def header_of(source: Source, networks: Networks, settings: Settings, **more: Any) -> PoseLogHeader:
    """The header of a clip's pose log.

    Args:
        source: the clip.
        networks: opened with these settings.
        settings: settings of the run.
        more: further values that decide the log's numbers, by name.
    """
    own = {f"own_{part}": name for part, name in networks.own.items()}
    return PoseLogHeader(
        skeleton=networks.skeleton,
        fps=source.fps,
        width=source.width,
        height=source.height,
        source=source.name,
        source_fingerprint=source.fingerprint,
        inference_settings=resume.plain(asdict(settings.inference)),
        models=[{"name": model.name, "sha256": model.sha256} for model in networks.models],
        posetrail_version=version("posetrail"),
        appearance_size=networks.embedder.size if networks.embedder else 0,
        provenance={**resume.provenance(source, settings, networks.device), **own, **more},
    )


def record_of(source: Source, networks: Networks, settings: Settings, inferred: Inferred) -> RunRecord:
    """The record of a clip's run whose inference has ended so; results are not in it yet."""
    return RunRecord(
        status=inferred.status,
        finished=inferred.finished,
        reason=inferred.reason,
        warnings=(),
        input=ClipInput(
            path=str(source.path.resolve()),
            fingerprint=source.fingerprint,
            fps=source.fps,
            timed_by_fps=source.timed_by_fps,
            width=source.width,
            height=source.height,
            start_s=source.start_s,
            end_s=source.end_s,
            stride=source.stride,
            notes=source.notes,
        ),
        settings=RecordedSettings(**resume.plain(asdict(settings))),
        applied=networks.applied,
        models=networks.models,
        device=networks.device,
        pose_log=inferred.log,
        versions=installed_versions(),
        figures=NO_FIGURES,
        files=(),
    )
