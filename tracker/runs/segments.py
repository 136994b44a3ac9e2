"""A long clip seen in segments, by as many workers as there are, and followed as one.

Seeing remembers little: the last picture, where the people of the last few frames are by now, the picture with which
the camera is compared. So who begins in the middle of a clip soon sees what they would have seen had they begun at its
start. Each segment but the first has a lead, frames before its own that are seen and not kept; how long it must be is
measured by benchmarks/segments.py. Segments begin with full batches and with a frame that is due for detection, so
that every picture meets the networks in the company that it has without them.

The segments' pose logs are joined to the clip's, and following reads that as it reads any: nobody's id knows of seams.
How a clip is cut depends on the clip and the settings, never on who sees it, and neither do the bytes of its files.

A segment of a video decodes everything before it too, because no container tells the number of the frame that a seek
lands on (tracker/io/video.py). So a clip is cut into as many segments as there are workers, not into many more.
"""

from __future__ import annotations

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
from tracker.io.pose_log import LogEnd, PoseLogHeader, PoseLogWriter, read_pose_log
from tracker.io.video import Source
from tracker.runs import record as run_file
from tracker.runs import resume
from tracker.runs.infer import OnFrame, header_of, infer_to_log
from tracker.runs.locks import write_lock
from tracker.runs.networks import Networks
from tracker.runs.record import LOG, RUN, Inferred, Outcome, Status
from tracker.runs.resume import IfExists
from tracker.settings import InferenceSettings, Settings

SEGMENTS = "segments"  # folder in the run's folder, until the clip has been followed
LEAD_S = 2.0
_MIN_LIKENESS = 0.5  # IoU and OKS together: one person, seen twice in the same picture


@dataclass(frozen=True)
class Segment:
    """A stretch of a clip; indices count the clip's frames from 0."""

    number: int  # from 1
    of: int  # so many
    lead: int  # index of the first frame that is seen ...
    first: int  # ... and of the first that is kept
    end: int | None  # behind the last one; None: to the end of the clip

    @property
    def name(self) -> str:
        """Of its folder: like 2of8."""
        return f"{self.number}of{self.of}"

    def part_of(self, source: Source) -> Source:
        """The frames that are seen."""
        return replace(source, first_index=self.lead, end_index=self.end)


def cut(
    source: Source, settings: InferenceSettings, segment_s: float | None, *, lead_s: float = LEAD_S
) -> tuple[Segment, ...]:
    """A clip's segments, each about so many seconds long, the last one up to half as long again or half as long.

    Args:
        source: the clip.
        settings: by which it is seen.
        segment_s: seconds; None: in one tracklet.
        lead_s: seconds that each segment but the first is seen before its own first frame.

    Returns:
        none where the clip is to stay in one tracklet, being short, or because nothing tells its length.

    Raises:
        InputError: that is no length.
    """
    if segment_s is None:
        return ()
    if not segment_s > 0:
        raise InputError(f"segment_s: wanted seconds, more than 0, got {segment_s}")
    if source.num_frames is None or math.isinf(segment_s):
        return ()
    unit = math.lcm(BATCH_FRAMES, settings.detect_every) * source.stride
    length = _whole(segment_s * source.fps, unit)
    lead = _whole(lead_s * source.fps, unit) if lead_s > 0 else 0
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


def _whole(frames: float, unit: int) -> int:
    return max(1, round(frames / unit)) * unit


def provenance(segments: Sequence[Segment]) -> dict[str, Any]:
    """What a joined log's header tells of the segments; nothing of a clip in one tracklet."""
    if not segments:
        return {}
    last = segments[-1]
    return {"segments": len(segments), "segment_first": last.first, "segment_lead": last.lead}


# Seeing one ----------------------------------------------------------------------------------------------------------


def is_inferred(
    segment: Segment, source: Source, folder: Path, networks: Networks, settings: Settings, if_exists: IfExists
) -> bool:
    """Whether a segment's log is there, whole, and of these settings.

    Raises:
        InputError: with "continue", one of other settings stands there.
    """
    if not (folder / SEGMENTS / segment.name / RUN).is_file():  # somebody is at it, perhaps; no need to read its log
        return False
    kept = _kept(segment, source, folder, networks, settings, if_exists)
    return bool(kept.outcome or kept.seen)


def is_joined(
    segments: Sequence[Segment],
    source: Source,
    folder: Path,
    networks: Networks,
    settings: Settings,
    if_exists: IfExists,
) -> bool:
    """Whether the whole clip is in the run's log, with these settings: no segment is needed any more.

    Raises:
        InputError: with "continue", a run of other settings or of another clip stands there.
    """
    header = header_of(source, networks, settings, **provenance(segments))
    kept = resume.find(folder, source, header, settings.association, formats=(), video=False, if_exists=if_exists)
    return bool(kept.outcome or kept.seen)


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
) -> Outcome:
    """See a segment into a log of its own, or go on with it, or find that this is done.

    Args:
        segment: one of `cut`.
        source: the whole clip.
        folder: of the clip's run; the log stands in segments/NAME.
        networks: opened with these settings.
        settings: all switches.
        if_exists: what becomes of a log in that place (tracker/runs/resume.py).
        on_frame: told the number of poses of each frame; what it raises leaves a log that can be gone on with.
        stopped: asked after each frame.
        wait_s: seconds to wait for another process at work on the segment.

    Raises:
        InputError: the clip has no first frame, nothing can be written, or a log of other settings stands there.
    """
    place = folder / SEGMENTS / segment.name
    with write_lock(place, wait_s=wait_s) as lock:
        on_frame = lock.checking(on_frame)
        return _infer_alone(segment, source, folder, networks, settings, if_exists, on_frame, stopped)


def _infer_alone(
    segment: Segment,
    source: Source,
    folder: Path,
    networks: Networks,
    settings: Settings,
    if_exists: IfExists,
    on_frame: OnFrame,
    stopped: Callable[[], bool],
) -> Outcome:
    started = time.perf_counter()
    place, part = folder / SEGMENTS / segment.name, segment.part_of(source)
    kept = _kept(segment, source, folder, networks, settings, if_exists)
    if kept.outcome or kept.seen:
        return run_file.outcome(place, run_file.read(place))
    frames = poses = 0

    def count(people: int) -> None:
        nonlocal frames, poses
        frames, poses = frames + 1, poses + people
        on_frame(people)

    header = _header(segment, source, networks, settings)
    ended = infer_to_log(part, place, header, networks, settings, after=kept.after, on_frame=count, stopped=stopped)
    outcome = Outcome(
        folder=place,
        status=ended.status,
        reason=ended.reason,
        warnings=tuple(filter(None, [kept.note])),
        frames=frames,
        people=0,  # nobody has an id yet
        poses=poses,
        interpolated=0,
        seconds=time.perf_counter() - started,
        files=(LOG, RUN),
    )
    # Of the whole clip, whose fingerprint is known; that of `part` would be read from the file again.
    run_file.write(outcome, run_file.describe(source, networks, settings, ended))
    return outcome


def _header(segment: Segment, source: Source, networks: Networks, settings: Settings) -> PoseLogHeader:
    return header_of(source, networks, settings, frames=[segment.lead, segment.end])


def _kept(
    segment: Segment, source: Source, folder: Path, networks: Networks, settings: Settings, if_exists: IfExists
) -> resume.Kept:
    header = _header(segment, source, networks, settings)
    place = folder / SEGMENTS / segment.name
    return resume.find(
        place, source, header, settings.association, formats=(), video=False, if_exists=if_exists, part=True
    )


# Joining them --------------------------------------------------------------------------------------------------------


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
    """Write a run's pose log, of this header, by way of segments; those that are seen already are taken as they are.

    The other arguments are those of `infer_segment`. Returns how it ended, and the seconds spent on all of them.
    """
    begun = []
    for segment in segments:
        outcome = infer_segment(
            segment, source, folder, networks, settings, if_exists=if_exists, on_frame=on_frame, stopped=stopped
        )
        begun.append(outcome)
        if outcome.status == "interrupted":
            break
    end = _join(segments[: len(begun)], folder, header)
    statuses = {outcome.status for outcome in begun}
    status: Status = next((each for each in ("interrupted", "damaged") if each in statuses), "complete")
    reasons = dict.fromkeys(outcome.reason for outcome in begun if outcome.reason)
    return Inferred(status, "; ".join(reasons), end), sum(outcome.seconds for outcome in begun)


def _join(segments: Sequence[Segment], folder: Path, header: PoseLogHeader) -> LogEnd:
    places = [folder / SEGMENTS / segment.name for segment in segments]
    ends = [run_file.check_log(place, run_file.read(place)) for place in places]
    logs = [read_pose_log(place / LOG, end)[1] for place, end in zip(places, ends, strict=True)]
    parts = [(segment.first, log) for segment, log in zip(segments, logs, strict=True)]
    (folder / RUN).unlink(missing_ok=True)  # it tells of the log as it was
    with written_whole(folder / LOG) as beside, PoseLogWriter(beside, header) as log:
        for seen in joined(parts, header):
            log.append(seen)
    return log.place.log_end


def joined(parts: Iterable[tuple[int, Iterable[PoseFrame]]], header: PoseLogHeader) -> Iterator[PoseFrame]:
    """The frames of segments as of one clip, their leads left out.

    Args:
        parts: in order, with the index of the first frame that is kept.
        header: of the clip's log.
    """
    sigmas = np.array(header.skeleton.oks_sigmas)
    last: deque[PoseFrame] = deque(maxlen=header.queue_frames)
    for first, frames in parts:
        known = {seen.index: seen.poses for seen in last}
        rows: dict[int, np.ndarray] = {}  # of frames in the lead: which of the known poses each of theirs is
        for seen in frames:
            if seen.index < first:
                if seen.index in known:
                    rows[seen.index] = same_people(seen.poses, known[seen.index], sigmas)
                continue
            last.append(_with_sources(seen, first, rows))
            yield last[-1]


def _with_sources(seen: PoseFrame, first: int, rows: dict[int, np.ndarray]) -> PoseFrame:
    """The frame with its propagated people said to come from the poses that are kept, not from the lead's."""
    propagated = seen.propagated
    from_lead = np.flatnonzero(propagated.source_frames < first)
    if not len(from_lead):
        return seen
    sources = propagated.source_rows.copy()
    for i in from_lead.tolist():
        known = rows.get(int(propagated.source_frames[i]))
        sources[i] = -1 if known is None else known[sources[i]]
    return replace(seen, propagated=replace(propagated, source_rows=sources)[sources >= 0])


def same_people(seen: Poses, again: Poses, sigmas: np.ndarray) -> np.ndarray:
    """Which pose (N,) of `again` each of `seen` is, both of one picture; -1 where there is none."""
    alike = (box_iou(seen.boxes, again.boxes) + oks(seen.keypoints, again.keypoints, box_area(again.boxes), sigmas)) / 2
    rows = np.full(len(seen), -1)
    pairs = associate(alike, _MIN_LIKENESS, "hungarian")
    rows[pairs[:, 0]] = pairs[:, 1]
    return rows


def remove_segments(folder: Path) -> None:
    """Remove the segments' logs of a run that has one log now."""
    shutil.rmtree(folder / SEGMENTS, ignore_errors=True)
