"""One clip, from a file to followed people: the tracklets put together, as a generator and as a folder of results.

A folder is made in two passes. The first sees: it writes the pose log, frame by frame, and is slow. The second follows
from the log and writes everything else, and is all that `follow_run` and `draw_run` do: log -> people -> files.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path, PurePath
from typing import Any

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.frame import Frame, Image
from posetrail.skeletons import Skeleton
from tracker.association.follow import associate_clip
from tracker.association.tracker import Tracker
from tracker.frames import TrackedFrame
from tracker.inference.prefetch import ahead
from tracker.io.drawing import Trails, draw_people
from tracker.io.importers import read_poses
from tracker.io.pose_log import LogEnd, PoseLogHeader, read_pose_log
from tracker.io.video import DamagedInput, Source, open_source
from tracker.io.video_writer import NOTE, VideoWriter
from tracker.io.writers import WRITERS, ClipInfo, Writer, default_formats, open_writer, refusal, remark
from tracker.runs import record as run_file
from tracker.runs import resume
from tracker.runs.infer import OnFrame, header_of, infer_to_log, seen
from tracker.runs.locks import file_lock, read_lock, write_lock
from tracker.runs.networks import Networks, open_networks
from tracker.runs.record import LOG, RUN, VIDEO, Inferred, Outcome
from tracker.runs.resume import IfExists
from tracker.runs.segments import Segment, infer_in_segments, provenance, remove_segments
from tracker.settings import AssociationSettings, Settings

_AHEAD_FRAMES = 4  # pictures read before they are drawn on, and drawn before they are encoded

Writers = dict[str, AbstractContextManager[Writer]]
"""By the names of their files, not opened yet."""

People = Callable[[], Iterator[TrackedFrame]]
"""Gives the followed frames from the first one on, each time it is called; who is who is decided."""


def track(
    path: str | Path,
    settings: Settings | None = None,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    stride: int = 1,
    fps: float | None = None,
) -> Generator[TrackedFrame]:
    """Follow everybody in a video file, a folder of images or a glob, frame by frame, each final when it comes.

    This is online following, whatever `settings.association.offline` says: who is who is told from the frames before. A
    folder of results (`track_to_folder`, `posetrail track`) is better by what only the frames after can tell.

    >>> for frame in track("clip.mp4"):
    ...     print(frame.time_s, frame.people.track_ids, frame.people.poses.keypoints.shape)

    Args:
        path: what to read.
        settings: all switches; the defaults when not given.
        start_s: leave out frames before this time, in seconds.
        end_s: leave out frames from this time on, in seconds.
        stride: keep the frames whose index is a multiple of it.
        fps: rate of a folder of images (30 when not given).

    Yields:
        each frame with its image (H, W, 3) RGB and its people: ids `people.track_ids` (N,) and joints
        `people.poses.keypoints` (N, K, 2) in pixels.

    Raises:
        InputError: nothing can be read there, or a setting cannot be used.
        DamagedInput: after the last good frame of a damaged file.
    """
    settings = settings or Settings()
    source = open_source(path, start_s=start_s, end_s=end_s, stride=stride, fps=fps)
    with open_networks(settings) as networks, closing(seen(source, networks, settings)) as looking:
        tracker = Tracker(settings.association, networks.skeleton, queue_frames=settings.inference.queue_frames)
        for frame, what in looking:
            yield TrackedFrame(frame.index, frame.time_s, frame.name, tracker.update_frame(what), frame.image)


def track_to_folder(
    source: Source,
    folder: Path,
    networks: Networks,
    settings: Settings,
    *,
    formats: Sequence[str] | None = None,
    video: bool = False,
    if_exists: IfExists = "associate",
    segments: Sequence[Segment] = (),
    on_frame: OnFrame = lambda _: None,
    on_drawn: OnFrame = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
    wait_s: float = 0.0,
) -> Outcome:
    """Follow one clip and write a run's folder: the pose log, the tracks, run.json, a drawn video if asked for.

    A damaged source, or `stopped()` becoming true, ends the seeing early: what was seen by then is followed and kept,
    in whole files. Nothing but a lock is written before the first frame has been seen. No other process can write to
    the folder meanwhile, nor read the run there.

    Args:
        source: what to read; for a video it is read twice.
        folder: made if need be.
        networks: opened with these settings.
        settings: all switches.
        formats: names in tracker.io.writers.WRITERS; those that suit the skeleton when not given.
        video: draw video.mp4 too, once there are tracks; not after `stopped()`.
        if_exists: what to do with an earlier run in the folder (tracker/runs/resume.py). By default, as `posetrail`
            does, one of the same clip is continued, or left alone where it is finished, and only where it differs in
            its association settings its ids are assigned again; other ones are refused.
        segments: see the clip in these (tracker/runs/segments.py); those that others have seen
            into the folder are taken.
        on_frame: told the number of poses seen in each frame. What it raises ends the run at once, and leaves a log
            that can be gone on with.
        on_drawn: told the number of people drawn in each frame.
        stopped: asked after each frame.
        wait_s: seconds to wait for another process at work in the folder.

    Raises:
        InputError: not a single frame could be read, nothing can be written there, another process is at work there,
            the folder is removed meanwhile, or `if_exists` does not allow to replace what stands there.
    """
    started = time.perf_counter()
    header = header_of(source, networks, settings, **provenance(segments))
    formats = default_formats(networks.skeleton) if formats is None else formats
    writers = _writers(folder, _clip(header), formats)  # what cannot be written is refused now, not after an hour
    drawing = VideoWriter(folder / VIDEO, source.width, source.height, source.fps) if video else None
    with write_lock(folder, wait_s=wait_s) as lock:
        on_frame, on_drawn = lock.checking(on_frame), lock.checking(on_drawn)
        kept = resume.find(
            folder, source, header, settings.association, formats=formats, video=video, if_exists=if_exists
        )
        if kept.outcome:
            remove_segments(folder)
            return kept.outcome
        if kept.seen:
            ended = kept.seen
        elif segments:
            ended, seconds = infer_in_segments(
                segments,
                source,
                folder,
                header,
                networks,
                settings,
                if_exists=if_exists,
                on_frame=on_frame,
                stopped=stopped,
            )
            started = time.perf_counter() - seconds  # also those that others spent
        else:
            ended = infer_to_log(
                source, folder, header, networks, settings, after=kept.after, on_frame=on_frame, stopped=stopped
            )
        lock.check()
        told = run_file.describe(source, networks, settings, ended)
        people = _people(folder / LOG, settings.association, ended.log)
        if kept.told:
            writers |= _writers(folder, _clip(header), run_file.formats(kept.told))
        writers = {name: writer for name, writer in writers.items() if name not in kept.files}
        if kept.told and kept.files and not writers:
            outcome = replace(run_file.outcome(folder, kept.told), files=_files(kept.files))
            told["applied"] = kept.told["applied"]
        else:
            (folder / RUN).unlink(missing_ok=True)  # from here to its end, the folder is not of one tracklet
            notes = [*filter(None, [kept.note]), *run_file.warnings_of(kept.files, kept.told)]
            outcome = _write_results(folder, told, settings.association, people, writers, started, notes, kept.files)
        if ended.status != "interrupted":
            remove_segments(folder)
        if drawing and VIDEO not in outcome.files:
            whole = None if stopped() else _draw(people, networks.skeleton, source, drawing, on_drawn, stopped)
            outcome = replace(_with_video(outcome, whole, drawing.notes), seconds=time.perf_counter() - started)
            run_file.write(outcome, told)
        return replace(outcome, done=kept.done)


def follow_run(
    run: Path, settings: AssociationSettings, *, output: Path | None = None, more_formats: Sequence[str] = ()
) -> Outcome:
    """Give ids again to the poses of a run, with other settings: no pixels, no network.

    Args:
        run: a run's folder.
        settings: who is who.
        output: folder for the new tracks, with a copy of the pose log; the run's own when not given.
        more_formats: names in tracker.io.writers.WRITERS, besides the formats the run has.

    Raises:
        InputError: there is no run, or it cannot be read.
    """
    started = time.perf_counter()
    run_file.read(run)  # a folder that is no run is refused before a lock is made in it
    folder = output or run
    in_place = folder.resolve() == run.resolve()
    with nullcontext() if in_place else read_lock(run), write_lock(folder):
        told = run_file.read(run)
        end = run_file.check_log(run, told)
        header, _ = read_pose_log(run / LOG)
        writers = _writers(folder, _clip(header), (*run_file.formats(told), *more_formats))
        people = _people(run / LOG, settings, end)
        if not in_place:
            with written_whole(folder / LOG) as beside:
                shutil.copyfile(run / LOG, beside)
            (folder / RUN).unlink(missing_ok=True)  # it is of another log
        shows_the_same = in_place and (run / VIDEO).is_file() and run_file.has_tracks_of(told, settings)
        stay = frozenset({VIDEO}) if shows_the_same else frozenset[str]()
        notes = run_file.warnings_of(stay, told)
        return _write_results(folder, told, settings, people, writers, started, notes, stay)


def follow_poses(
    poses: Path,
    settings: AssociationSettings,
    *,
    output: Path | None = None,
    fps: float | None = None,
    more_formats: Sequence[str] = (),
) -> Outcome:
    """Give ids to poses that have been found already, by whatever program: a run comes out, with a pose log like any.

    Args:
        poses: what `tracker.io.importers.read_poses` reads - a PoseTrack file, boxes of MOTChallenge, a pose log - or a
            run's folder, also of a run that was killed.
        settings: who is who.
        output: folder for the run; that of the pose log when not given.
        fps: frames per second, where a file tells no times.
        more_formats: names in tracker.io.writers.WRITERS, besides the formats that suit the poses.

    Raises:
        InputError: there are no poses, they cannot be used, or would be overwritten by their tracks.
    """
    started = time.perf_counter()
    if poses.is_dir() and ((poses / RUN).is_file() or not (poses / LOG).is_file()):
        if fps is not None:
            raise InputError(f"{poses}: a run has times of its own; leave out --fps")
        return follow_run(poses, settings, output=output, more_formats=more_formats)
    if poses.is_dir():
        poses, output = poses / LOG, output or poses
    if output is None:
        raise InputError(f"{poses}: wanted a folder for the tracks, got none; give one with -o")
    if poses.resolve() in {(output / name).resolve() for name in (RUN, *run_file.RESULTS)}:
        raise InputError(f"{poses}: would be overwritten by its own tracks; choose another output folder")
    of_a_run = poses.name == LOG and poses.parent.resolve() != output.resolve()
    with read_lock(poses.parent) if of_a_run else nullcontext(), write_lock(output):
        foreign = read_poses(poses, fps=fps)
        writers = _writers(output, _clip(foreign.header), (*foreign.formats, *more_formats))
        ended = Inferred("complete", "", foreign.write_log(output / LOG))
        (output / RUN).unlink(missing_ok=True)  # it is of another log
        if foreign.cut_off:
            reason = f"{poses}: ends without an end mark; its {ended.log.frames} whole frames are kept"
            ended = replace(ended, status="interrupted", reason=reason)
        told = run_file.describe_poses(poses, foreign.header, ended)
        people = _people(output / LOG, settings, ended.log)
        return _write_results(output, told, settings, people, writers, started, foreign.notes)


def draw_run(
    run: Path,
    *,
    input: Path | None = None,
    output: Path | None = None,
    on_frame: OnFrame = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Draw the tracks of a run onto its video: no network. Returns where the video stands.

    Args:
        run: a run's folder.
        input: the clip, should it have moved, or should the run not know it.
        output: the video to write; video.mp4 in the run's folder when not given.
        on_frame: told the number of people of each frame.
        on_note: called with each line on what in the video is not as in the clip.
        stopped: asked after each frame; the frames drawn by then make the video.

    Raises:
        InputError: the clip is not there, or another one than was tracked.
    """
    run_file.read(run)  # a folder that is no run is refused before a lock is made in it
    path = output or run / VIDEO
    if not path.parent.is_dir():
        raise InputError(f"{path}: its folder is not there; make it, or choose another place for the video")
    in_place = path.resolve() == (run / VIDEO).resolve()
    with ExitStack() as locks:
        if not in_place:
            locks.enter_context(read_lock(run))
        lock = locks.enter_context(write_lock(run) if in_place else file_lock(path))
        told = run_file.read(run)
        end = run_file.check_log(run, told)
        source = run_file.open_input(told, input)
        video = VideoWriter(path, source.width, source.height, source.fps)
        # Poses from elsewhere may count their frames in a way of their own, but know the names of their images.
        header, frames = read_pose_log(run / LOG)
        names = {image.name for image in source.images}
        by_name = not run_file.of_clip(told) and PurePath(next(frames).name).name in names
        people = _people(run / LOG, run_file.association_settings(told), end)
        on_frame = lock.checking(on_frame)
        whole = _draw(people, header.skeleton, source, video, on_frame, stopped, by_name=by_name)
        if in_place:
            outcome = _with_video(run_file.outcome(run, told), whole, video.notes)
            run_file.write(outcome, told, versions=told.get("versions"))
    for note in video.notes:
        on_note(note)
    return path


# Second pass: the pose log to people, and to files --------------------------------------------------------------------


def _people(log: Path, settings: AssociationSettings, end: LogEnd) -> People:
    """Everybody in a pose log that ends so: the one way there is from poses to people."""
    header, _ = read_pose_log(log)
    followed = associate_clip(
        lambda: read_pose_log(log, end)[1], settings, header.skeleton, queue_frames=header.queue_frames
    )
    return lambda: (TrackedFrame(seen.index, seen.time_s, seen.name, people) for seen, people in followed())


def _write_results(
    folder: Path,
    told: dict[str, Any],
    settings: AssociationSettings,
    people: People,
    writers: Writers,
    started: float,
    notes: Iterable[str] = (),
    stay: frozenset[str] = frozenset(),
) -> Outcome:
    """Write what the people of a folder's log make, by these settings.

    Args:
        folder: of the run.
        told: what run.json will tell of them, but for these settings.
        settings: association settings.
        people: of the log, by these settings.
        writers: of the files to write.
        started: when the work began, by time.perf_counter.
        notes: warnings, one line each.
        stay: results in the folder that show these tracks already; all others go.
    """
    frames, poses, interpolated, ids = 0, 0, 0, set[int]()
    with ExitStack() as files:
        outputs = {name: files.enter_context(writer) for name, writer in writers.items()}
        for frame in people():
            for output in outputs.values():
                output.add(frame)
            frames += 1
            poses += len(frame.people)
            interpolated += int(frame.people.interpolated.sum())
            ids.update(frame.people.track_ids.tolist())
    refused = {name: said for name, output in outputs.items() if (said := refusal(output))}
    remarks = [said for output in outputs.values() if (said := remark(output))]
    if (folder / VIDEO).is_file() and VIDEO not in stay:
        notes = [*notes, f"{VIDEO}: removed, it showed other tracks; `posetrail draw {folder}` draws these"]
    outcome = Outcome(
        folder=folder,
        status=told["status"],
        reason=told["reason"],
        warnings=(*told["input"].get("notes", ()), *notes, *refused.values(), *remarks),
        frames=frames,
        people=len(ids),
        poses=poses,
        interpolated=interpolated,
        seconds=time.perf_counter() - started,
        files=_files({*stay, *outputs} - refused.keys()),
    )
    told["settings"]["association"] = asdict(settings)
    told["applied"] = {**told.get("applied", {}), "smooth": settings.smoothing}
    run_file.write(outcome, told)
    return outcome


def _files(results: Set[str]) -> tuple[str, ...]:
    """What a folder with these results holds, in the order in which they are written."""
    tracks = [kind.file_name for kind in WRITERS.values() if kind.file_name in results]
    return (LOG, *tracks, RUN, *({VIDEO} & results))


def _with_video(outcome: Outcome, whole: bool | None, notes: Sequence[str]) -> Outcome:
    """The outcome once a video was drawn, to its end or not, or was not (None), with notes on what it shows."""
    draw = f"`posetrail draw {outcome.folder}`"
    told = {
        None: f"{VIDEO}: not drawn; {draw} does it",
        False: f"{VIDEO}: stopped before its end; {draw} draws all of it",
    }
    warnings = [line for line in outcome.warnings if not line.startswith((f"{VIDEO}:", NOTE))]
    files = {name for name in outcome.files if name != VIDEO} | ({VIDEO} if whole is not None else set())
    return replace(outcome, files=_files(files), warnings=(*warnings, *notes, *filter(None, [told.get(whole)])))


def _draw(
    people: People,
    skeleton: Skeleton,
    source: Source,
    video: VideoWriter,
    on_frame: OnFrame,
    stopped: Callable[[], bool],
    *,
    by_name: bool = False,
) -> bool:
    """Draw the people into their pictures, the first of which is shown at 0; whether all frames were drawn."""
    drawn = _drawn(_pictured(source, people(), by_name), skeleton)
    first_s = None
    with video, closing(ahead(drawn, _AHEAD_FRAMES)) as frames:  # drawn while others are read and encoded
        for frame, picture in frames:
            # Players show a late start as a still or black picture: a slice would begin with minutes of it.
            first_s = frame.time_s if first_s is None else first_s
            video.add(picture, frame.time_s - first_s)
            on_frame(len(frame.people))
            if stopped():
                return False
    return True


def _drawn(frames: Generator[tuple[TrackedFrame, Image]], skeleton: Skeleton) -> Generator[tuple[TrackedFrame, Image]]:
    trails = Trails()
    with closing(frames):
        for frame, image in frames:
            trails.add(frame.time_s, frame.people, skeleton)
            yield frame, draw_people(image, frame.people, skeleton, trails=trails)


def _pictured(source: Source, tracked: Iterable[TrackedFrame], by_name: bool) -> Generator[tuple[TrackedFrame, Image]]:
    """The tracked frames with their pictures; both come in order.

    Args:
        source: the pictures.
        tracked: the people.
        by_name: pair them by the names of their files, not by their indices.
    """

    def of_frame(picture: Frame, frame: TrackedFrame) -> bool:
        same_name = PurePath(picture.name).name == PurePath(frame.name).name
        return same_name if by_name else picture.index == frame.index

    with closing(ahead(source.frames(), _AHEAD_FRAMES)) as pictures, suppress(DamagedInput):  # the run has told of it
        for frame in tracked:
            for picture in pictures:
                if of_frame(picture, frame):
                    yield frame, picture.image
                    break
            else:
                raise InputError(f"{source.path}: has no frame {frame.index}; the poses are of another clip")


def _clip(header: PoseLogHeader) -> ClipInfo:
    return ClipInfo(
        name=header.source,
        skeleton=header.skeleton,
        fps=header.fps,
        width=header.width,
        height=header.height,
    )


def _writers(folder: Path, clip: ClipInfo, formats: Sequence[str]) -> Writers:
    """Refuses formats that are not known or do not suit the clip."""
    opened = {name: open_writer(name, folder, clip) for name in formats}
    return {WRITERS[name].file_name: writer for name, writer in opened.items()}
