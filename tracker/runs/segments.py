"""Long clips in segments: inferred by several workers side by side, associated as one clip.

The state of inference reaches back a few frames only: the last image, the propagated poses, the reference image of the
camera motion. A worker that begins in the middle of a clip therefore soon infers what it would have inferred from the
start. Each segment but the first has a lead, frames before its own that are inferred and dropped;
benchmarks/segments.py measures how long it must be. Segments begin with a full batch and, with `detect_every`, with a
frame that is due for detection, so that each image is in the same batch with and without segments. Intervals between
detections count from the start of the clip.

The segments' pose logs are joined into the clip's log, which is associated like any other: no track ends at a seam. How
a clip is cut depends on the clip and the settings, not on the workers, and neither do the bytes of its files.

A segment of a video decodes its lead and itself, from the keyframe before them. The frame index that this takes is kept
in the run's folder, where workers of other segments find it. Of a video without an exact index, each segment decodes
everything before it, too (tracker/io/video.py).
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from posetrail.assignment import associate
from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.poses import Poses
from posetrail.similarity import box_area, box_iou, oks
from tracker.frames import PoseFrame
from tracker.inference.pipeline import BATCH_FRAMES
from tracker.io.frame_index import INDEX
from tracker.io.pose_log import LogEnd, PoseLogHeader, PoseLogWriter, read_pose_log
from tracker.io.video import Source
from tracker.progress import OnFrame
from tracker.runs import resume
from tracker.runs.infer import header_of, infer_to_log, keep_index, record_of
from tracker.runs.locks import write_lock
from tracker.runs.networks import Networks
from tracker.runs.record import (
    LOG,
    NO_FIGURES,
    RUN,
    Inferred,
    RunRecord,
    RunWarning,
    check_log,
    read_record,
    write_record,
)
from tracker.runs.resume import IfExists
from tracker.settings import InferenceSettings, Settings

_log = logging.getLogger(__name__)

SEGMENTS = "segments"  # folder in the run's folder, until the clip is associated
LEAD_S = 2.0
_MIN_SIMILARITY = 0.5  # mean of IoU and OKS: the same person, inferred twice in one image


@dataclass(frozen=True)
class Segment:
    """A stretch of a clip; indices count the clip's frames from 0."""

    number: int  # from 1
    of: int  # number of segments
    lead: int  # index of the first frame that is inferred ...
    first: int  # ... and of the first that is kept
    end: int | None  # index after the last frame; None: the end of the clip

    @property
    def name(self) -> str:
        """Name of its folder, like 2of8."""
        return f"{self.number}of{self.of}"

    def part_of(self, source: Source) -> Source:
        """The frames that are inferred."""
        return replace(source, first_index=self.lead, end_index=self.end, lead_frames=self.first - self.lead)


def cut(
    source: Source, settings: InferenceSettings, segment_s: float | None, *, lead_s: float = LEAD_S
) -> tuple[Segment, ...]:
    """Cut a clip into segments of about the same length; the last is half as long to one and a half times as long.

    Args:
        source: the clip.
        settings: inference settings.
        segment_s: length in seconds; None: do not cut.
        lead_s: length of the lead in seconds.

    Returns:
        The segments; none if the clip is not to be cut, is short, or its length is not known.

    Raises:
        InputError: the length is not more than 0.
    """
    if segment_s is None:
        return ()
    if not segment_s > 0:
        raise InputError(f"segment_s: expected seconds, more than 0, got {segment_s}")
    if source.num_frames is None or math.isinf(segment_s):
        return ()
    unit = math.lcm(BATCH_FRAMES, settings.detect_every or 1) * source.stride
    length = _whole_units(segment_s * source.fps, unit)
    lead = _whole_units(lead_s * source.fps, unit) if lead_s > 0 else 0
    begin = math.ceil(math.ceil((source.start_s or 0) * source.fps) / source.stride) * source.stride
    count = round(source.num_frames * source.stride / length)
    if count < 2:
        return ()
    firsts = [begin + length * i for i in range(count)]
    ends = [*firsts[1:], None]
    return tuple(
        Segment(i + 1, count, max(begin, first - lead) if i else 0, first if i else 0, end)
        for i, (first, end) in enumerate(zip(firsts, ends, strict=True))
    )


def _whole_units(frames: float, unit: int) -> int:
    return max(1, round(frames / unit)) * unit


def segments_provenance(segments: Sequence[Segment]) -> dict[str, Any]:
    """What the header of a joined log holds about its segments; nothing of a clip that was not cut."""
    if not segments:
        return {}
    last = segments[-1]
    return {"segments": len(segments), "segment_first": last.first, "segment_lead": last.lead}


# Inferring one --------------------------------------------------------------------------------------------------------


def is_inferred(
    segment: Segment, source: Source, folder: Path, networks: Networks, settings: Settings, if_exists: IfExists
) -> bool:
    """Whether the log of a segment is finished, whole and of these settings.

    Raises:
        InputError: a log of other settings is there, and `if_exists` does not allow to replace it.
    """
    if not (folder / SEGMENTS / segment.name / RUN).is_file():  # a worker may be writing the log; do not read it
        return False
    return _reusable(segment, source, folder, networks, settings, if_exists).record is not None


def is_joined(
    segments: Sequence[Segment],
    source: Source,
    folder: Path,
    networks: Networks,
    settings: Settings,
    if_exists: IfExists,
) -> bool:
    """Whether the log of the whole clip is finished and of these settings, so that no segment is needed.

    Raises:
        InputError: a run of other settings or another clip is there, and `if_exists` does not allow to replace it.
    """
    header = header_of(source, networks, settings, **segments_provenance(segments))
    reuse = resume.find_reusable(
        folder, source, header, settings.association, formats=(), video=False, if_exists=if_exists
    )
    return reuse.record is not None


def infer_segment(
    segment: Segment,
    source: Source,
    folder: Path,
    networks: Networks,
    settings: Settings,
    *,
    if_exists: IfExists = "continue",
    on_frame: OnFrame = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
    wait_s: float = 0.0,
) -> RunRecord:
    """Infer a segment into a log of its own, continue that log, or find it finished.

    Args:
        segment: one of `cut`.
        source: the whole clip.
        folder: of the clip's run; the log is in segments/NAME.
        networks: opened with these settings.
        settings: all settings.
        if_exists: what to do with a log in that place (tracker/runs/resume.py).
        on_frame: called with the number of poses of each frame. An exception that it raises leaves a log that can be
            continued.
        stopped: called after each frame; true ends inference.
        wait_s: seconds to wait for another process that infers the segment.

    Returns:
        The record of the segment; its ids are not assigned.

    Raises:
        InputError: the clip has no first frame, nothing can be written, or a log of other settings is there.
    """
    place = folder / SEGMENTS / segment.name
    with write_lock(place, wait_s=wait_s) as lock:
        on_frame = lock.checking(on_frame)
        return _infer_locked(segment, source, folder, networks, settings, if_exists, on_frame, stopped)


def _infer_locked(
    segment: Segment,
    source: Source,
    folder: Path,
    networks: Networks,
    settings: Settings,
    if_exists: IfExists,
    on_frame: OnFrame,
    stopped: Callable[[], bool],
) -> RunRecord:
    started = time.perf_counter()
    place, part = folder / SEGMENTS / segment.name, segment.part_of(source)
    source.look_for_index(folder)
    reuse = _reusable(segment, source, folder, networks, settings, if_exists)
    if reuse.record:
        return reuse.record
    frames = poses = 0

    def count(people: int) -> None:
        nonlocal frames, poses
        frames, poses = frames + 1, poses + people
        on_frame(people)

    header = _header(segment, source, networks, settings)
    inferred = infer_to_log(part, place, header, networks, settings, after=reuse.after, on_frame=count, stopped=stopped)
    # The record is that of the whole clip, whose fingerprint is known; that of `part` would read the file again.
    record = replace(
        record_of(source, networks, settings, inferred),
        warnings=(RunWarning(reuse.warning),) if reuse.warning else (),
        figures=replace(NO_FIGURES, frames=frames, poses=poses),
        files=(LOG, RUN),
    ).with_seconds(time.perf_counter() - started)
    if source.is_video:
        keep_index(source, place)  # not in the clip's folder, where other workers may write it at the same time
        (place / INDEX).replace(folder / INDEX)
    write_record(place, record)
    return record


def _header(segment: Segment, source: Source, networks: Networks, settings: Settings) -> PoseLogHeader:
    return header_of(source, networks, settings, frames=[segment.lead, segment.end])


def _reusable(
    segment: Segment, source: Source, folder: Path, networks: Networks, settings: Settings, if_exists: IfExists
) -> resume.Reuse:
    header = _header(segment, source, networks, settings)
    place = folder / SEGMENTS / segment.name
    return resume.find_reusable(
        place, source, header, settings.association, formats=(), video=False, if_exists=if_exists, part=True
    )


# Joining them ---------------------------------------------------------------------------------------------------------


def infer_in_segments(
    segments: Sequence[Segment],
    source: Source,
    folder: Path,
    header: PoseLogHeader,
    networks: Networks,
    settings: Settings,
    *,
    if_exists: IfExists,
    on_frame: OnFrame,
    stopped: Callable[[], bool],
) -> tuple[Inferred, float]:
    """Write the pose log of a run by way of its segments; those that are inferred already are reused.

    Args:
        segments: of the clip, in order.
        source: the clip.
        folder: of the run.
        header: of the run's pose log.
        networks: opened with these settings.
        settings: all settings.
        if_exists: as of `infer_segment`.
        on_frame: as of `infer_segment`.
        stopped: as of `infer_segment`.

    Returns:
        How inference ended, and the seconds that all workers spent on it.
    """
    records = []
    for segment in segments:
        record = infer_segment(
            segment, source, folder, networks, settings, if_exists=if_exists, on_frame=on_frame, stopped=stopped
        )
        records.append(record)
        if not record.finished:
            break
    end = _join(segments[: len(records)], folder, header)
    reason = "; ".join(dict.fromkeys(record.reason for record in records if record.reason))
    seconds = sum(record.figures.seconds for record in records)
    if not records[-1].finished:
        return Inferred("interrupted", reason, end, finished=False), seconds
    is_damaged = any(record.status == "damaged" for record in records)
    return Inferred("damaged" if is_damaged else "complete", reason, end), seconds


def _join(segments: Sequence[Segment], folder: Path, header: PoseLogHeader) -> LogEnd:
    places = [folder / SEGMENTS / segment.name for segment in segments]
    ends = [check_log(place, read_record(place)) for place in places]
    logs = [read_pose_log(place / LOG, end)[1] for place, end in zip(places, ends, strict=True)]
    parts = [(segment.first, log) for segment, log in zip(segments, logs, strict=True)]
    (folder / RUN).unlink(missing_ok=True)  # it describes the log as it was
    with written_whole(folder / LOG) as beside, PoseLogWriter(beside, header) as log:
        for frame in joined(parts, header):
            log.append(frame)
    _log.info("%s: joined %d segments into %d frames", folder, len(segments), log.place.frames)
    return log.place.log_end


def joined(parts: Iterable[tuple[int, Iterable[PoseFrame]]], header: PoseLogHeader) -> Iterator[PoseFrame]:
    """The frames of segments as those of one clip, without their leads.

    Args:
        parts: for each segment, in order, the index of the first frame that is kept, and its frames.
        header: of the clip's log.
    """
    sigmas = np.array(header.skeleton.oks_sigmas)
    last: deque[PoseFrame] = deque(maxlen=header.queue_frames)
    for first, frames in parts:
        known = {frame.index: frame.poses for frame in last}
        rows: dict[int, np.ndarray] = {}  # by frame of the lead: the row of each of its poses among the known ones
        for frame in frames:
            if frame.index < first:
                if frame.index in known:
                    rows[frame.index] = matching_rows(frame.poses, known[frame.index], sigmas)
                continue
            last.append(_with_known_sources(frame, first, rows))
            yield last[-1]


def _with_known_sources(frame: PoseFrame, first: int, rows: dict[int, np.ndarray]) -> PoseFrame:
    """The frame with its propagated poses traced to the poses that are kept, instead of to those of the lead."""
    propagated = frame.propagated
    from_lead = np.flatnonzero(propagated.source_frames < first)
    if not len(from_lead):
        return frame
    sources = propagated.source_rows.copy()
    for i in from_lead.tolist():
        known = rows.get(int(propagated.source_frames[i]))
        sources[i] = -1 if known is None else known[sources[i]]
    return replace(frame, propagated=replace(propagated, source_rows=sources)[sources >= 0])


def matching_rows(poses: Poses, others: Poses, sigmas: np.ndarray) -> np.ndarray:
    """For each of `poses` its row (N,) among `others`, inferred in the same image; -1 if there is none."""
    boxes, joints = (
        box_iou(poses.boxes, others.boxes),
        oks(poses.keypoints, others.keypoints, box_area(others.boxes), sigmas),
    )
    rows = np.full(len(poses), -1)
    pairs = associate((boxes + joints) / 2, _MIN_SIMILARITY, "hungarian")
    rows[pairs[:, 0]] = pairs[:, 1]
    return rows


def remove_segments(folder: Path) -> None:
    """Remove the segments of a run whose log is joined."""
    shutil.rmtree(folder / SEGMENTS, ignore_errors=True)
