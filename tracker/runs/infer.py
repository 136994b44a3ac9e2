"""The first pass of a run: a clip, or a part of it, becomes a pose log."""

from __future__ import annotations

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
from tracker.inference.pipeline import infer
from tracker.io.pose_log import Place, PoseLogHeader, PoseLogWriter
from tracker.io.video import DamagedInput, Source
from tracker.runs import record as run_file
from tracker.runs import resume
from tracker.runs.networks import Networks
from tracker.runs.record import LOG, RUN, Inferred
from tracker.settings import Settings

OnFrame = Callable[[int], None]
"""Told the number of people of each frame."""


def seen(
    source: Source, networks: Networks, settings: Settings, known: Iterable[PoseFrame] = ()
) -> Generator[tuple[Frame, PoseFrame]]:
    """The frames of a clip with their poses, as `tracker.inference.pipeline.infer` yields them."""
    return infer(
        source.frames(),
        networks.detector,
        networks.estimator,
        settings.inference,
        networks.flow,
        networks.embedder,
        bottom_up=networks.bottom_up,
        known=known,
    )


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
    """Write a folder's pose log, or go on with it behind a frame; how that ended, and why.

    Nothing is written before the first frame has been seen; the folder must be there.

    Raises:
        InputError: not a single frame could be read. Of a part that begins later that is no error, its log is empty.
    """
    known = _told_of(resume.frames_until(folder / LOG, after), on_frame) if after else ()
    with closing(seen(source, networks, settings, known)) as looking:
        damage = None
        try:
            begun = [] if after else list(islice(looking, 1))
        except DamagedInput as error:
            if not source.first_index:
                raise
            begun, damage = [], error
        if not begun and not after and not source.first_index:
            raise InputError(
                f"{source.path}: no frame between start and end; the clip has {source.total_frames} frames"
            )
        with ExitStack() as files:
            (folder / RUN).unlink(missing_ok=True)  # it tells of the log as it was
            log = files.enter_context(PoseLogWriter(folder / LOG, header, after=after))
            try:
                for _, what in chain(begun, looking):
                    log.append(what)
                    on_frame(len(what.poses))
                    if stopped():
                        reason = f"{source.path}: stopped; {log.place.frames} frames are kept"
                        return Inferred("interrupted", reason, log.place.log_end)
            except DamagedInput as error:
                damage = error
    return Inferred("damaged" if damage else "complete", str(damage or ""), log.place.log_end)


def _told_of(known: Iterable[PoseFrame], on_frame: OnFrame) -> Iterator[PoseFrame]:
    for frame in known:
        on_frame(len(frame.poses))
        yield frame


def header_of(source: Source, networks: Networks, settings: Settings, **more: Any) -> PoseLogHeader:
    """The header of a clip's pose log; `more` is what else decides its numbers."""
    return PoseLogHeader(
        skeleton=networks.skeleton,
        fps=source.fps,
        width=source.width,
        height=source.height,
        source=source.name,
        source_fingerprint=source.fingerprint,
        inference_settings=run_file.plain(asdict(settings.inference)),
        models=[{"name": weights.name, "sha256": weights.sha256} for weights in networks.weights],
        posetrail_version=version("posetrail"),
        appearance_size=networks.embedder.size if networks.embedder else 0,
        provenance={**resume.provenance(source, settings, networks.device), **more},
    )
