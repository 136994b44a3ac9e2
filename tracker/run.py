"""One clip, from a file to followed people: the pieces put together, as a generator and as a folder of results."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from core.errors import InputError
from core.people import TrackedPoses
from core.skeletons import SKELETONS
from tracker import run_file
from tracker.ahead import ahead
from tracker.drawing import Trails, draw_people
from tracker.networks import Networks, open_networks
from tracker.pipeline import see
from tracker.pose_log import PoseLogHeader, PoseLogWriter, SeenFrame, read_pose_log
from tracker.run_file import LOG, RUN, VIDEO, Outcome, Status
from tracker.settings import FollowSettings, Settings
from tracker.tracker import Tracker, follow
from tracker.video import DamagedInput, Frame, Source, open_source
from tracker.video_out import VideoWriter
from tracker.writers import WRITERS, Clip, TrackedFrame, Writer, open_writer, refusal

DEFAULT_SAVES = ("posetrack18", "csv")
_AHEAD_FRAMES = 4  # frames followed before they are drawn and written


Followed = tuple[Frame, SeenFrame, TrackedPoses]


def _followed(source: Source, networks: Networks, settings: Settings) -> Generator[Followed]:
    tracker = Tracker(settings.follow, networks.estimator.skeleton, queue_frames=settings.see.queue_frames)
    with closing(see(source.frames(), networks.detector, networks.estimator, settings.see, networks.flow)) as seen:
        for frame, what in seen:
            yield frame, what, tracker.update_seen(what)


def track(
    path: str | Path,
    settings: Settings | None = None,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    stride: int = 1,
    fps: float | None = None,
) -> Generator[TrackedFrame]:
    """Follow everybody in a video file, a folder of images or a glob, frame by frame.

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
    with open_networks(settings) as networks, closing(_followed(source, networks, settings)) as followed:
        for frame, _, people in followed:
            yield TrackedFrame(frame.index, frame.time_s, frame.name, people, frame.image)


def track_to_folder(
    source: Source,
    folder: Path,
    networks: Networks,
    settings: Settings,
    *,
    saves: Sequence[str] = DEFAULT_SAVES,
    video: bool = False,
    on_frame: Callable[[int], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Follow one clip and write a run's folder: the pose log, the tracks, run.json, a drawn video if asked for.

    A damaged source, or `stopped()` becoming true, ends the run early: what was done by then is kept, in whole files.
    Nothing is written before the first frame has been followed.

    Args:
        source: what to read.
        folder: made if need be; files of an earlier run in it are replaced.
        networks: opened with these settings.
        settings: all switches.
        saves: names in tracker.writers.WRITERS.
        video: draw video.mp4 too.
        on_frame: told the number of people of each finished frame.
        stopped: asked after each frame.

    Raises:
        InputError: not a single frame could be read, or nothing can be written there.
    """
    started = time.perf_counter()
    header = _header(source, networks, settings)
    count = _Count(on_frame)
    status: Status = "complete"
    reason = ""
    with closing(ahead(_followed(source, networks, settings), _AHEAD_FRAMES)) as followed:
        frames = chain([_first(followed, source)], followed)
        with _made(folder), ExitStack() as files:
            outputs = _open_outputs(files, folder, _clip(header), saves, video)
            log = files.enter_context(PoseLogWriter(folder / LOG, header))
            try:
                for frame, seen, people in frames:
                    log.append(seen)
                    tracked = TrackedFrame(frame.index, frame.time_s, frame.name, people, frame.image)
                    count.add(tracked, outputs.values())
                    if stopped():
                        status, reason = "interrupted", f"{source.path}: stopped; {count.frames} frames are kept"
                        break
            except DamagedInput as damage:
                status, reason = "damaged", str(damage)
    outcome = count.outcome(folder, status, reason, time.perf_counter() - started, outputs)
    run_file.write(outcome, run_file.describe(source, networks, settings))
    return outcome


def follow_run(
    run: Path, settings: FollowSettings, *, output: Path | None = None, saves: Sequence[str] | None = None
) -> Outcome:
    """Give ids again to the poses of a run, with other settings: no pixels, no network.

    Args:
        run: a run's folder.
        settings: who is who.
        output: folder for the new tracks, with a copy of the pose log; the run's own when not given.
        saves: names in tracker.writers.WRITERS; the formats the run has when not given.

    Raises:
        InputError: there is no run, or it cannot be read.
    """
    started = time.perf_counter()
    told = run_file.read(run)
    header, seen = read_pose_log(run / LOG)
    folder = output or run
    saves = run_file.saves(told) if saves is None else saves
    count = _Count(lambda _: None)
    with _made(folder), ExitStack() as files:
        if folder.resolve() != run.resolve():
            shutil.copyfile(run / LOG, folder / LOG)
        outputs = _open_outputs(files, folder, _clip(header), saves, video=False)
        for frame in _refollowed(header, seen, settings):
            count.add(frame, outputs.values())
    outcome = count.outcome(folder, told["status"], told["reason"], time.perf_counter() - started, outputs)
    told["settings"]["follow"] = asdict(settings)
    run_file.write(outcome, told)
    return outcome


def draw_run(
    run: Path,
    *,
    input: Path | None = None,
    output: Path | None = None,
    on_frame: Callable[[int], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Draw the tracks of a run onto its video: no network. Returns where the video stands.

    Args:
        run: a run's folder.
        input: the clip, should it have moved.
        output: the video to write; video.mp4 in the run's folder when not given.
        on_frame: told the number of people of each frame.
        stopped: asked after each frame; the frames drawn by then make the video.

    Raises:
        InputError: the clip is not there, or another one than was tracked.
    """
    told = run_file.read(run)
    header, seen = read_pose_log(run / LOG)
    source = run_file.open_input(told, input)
    path = output or run / VIDEO
    tracked = _refollowed(header, seen, run_file.follow_settings(told))
    with _open_video(path, _clip(header)) as video, closing(_pictured(source, tracked)) as frames:
        for frame in frames:
            video.add(frame)
            on_frame(len(frame.people))
            if stopped():
                break
    return path


def _refollowed(header: PoseLogHeader, seen: Iterable[SeenFrame], settings: FollowSettings) -> Iterator[TrackedFrame]:
    queue_frames = header.see_settings.get("queue_frames", 1)
    for frame, people in follow(seen, settings, SKELETONS[header.skeleton], queue_frames=queue_frames):
        yield TrackedFrame(frame.index, frame.time_s, frame.name, people)


def _pictured(source: Source, tracked: Iterator[TrackedFrame]) -> Generator[TrackedFrame]:
    """The tracked frames with their pictures; both come in order of their index."""
    with closing(ahead(source.frames(), _AHEAD_FRAMES)) as pictures, suppress(DamagedInput):  # the run has told of it
        for frame in tracked:
            picture = next(picture for picture in pictures if picture.index == frame.index)
            yield replace(frame, image=picture.image)


def _clip(header: PoseLogHeader) -> Clip:
    return Clip(
        name=header.source,
        skeleton=SKELETONS[header.skeleton],
        fps=header.fps,
        width=header.width,
        height=header.height,
    )


def _header(source: Source, networks: Networks, settings: Settings) -> PoseLogHeader:
    return PoseLogHeader(
        skeleton=networks.estimator.skeleton.name,
        fps=source.fps,
        width=source.width,
        height=source.height,
        source=source.name,
        source_fingerprint=source.fingerprint,
        see_settings=run_file.plain(asdict(settings.see)),
        models=[{"name": weights.name, "sha256": weights.sha256} for weights in networks.weights],
        posetrail_version=version("posetrail"),
    )


def _first(followed: Iterator[Followed], source: Source) -> Followed:
    first = next(followed, None)
    if first is None:
        raise InputError(f"{source.path}: no frame between start and end; the clip has {source.total_frames} frames")
    return first


class _Count:
    """Hands frames to the outputs and counts what passes."""

    def __init__(self, on_frame: Callable[[int], None]) -> None:
        self.frames = self.poses = 0
        self._ids: set[int] = set()
        self._on_frame = on_frame

    def add(self, frame: TrackedFrame, outputs: Iterable[Writer]) -> None:
        for output in outputs:
            output.add(frame)
        self.frames += 1
        self.poses += len(frame.people)
        self._ids.update(frame.people.track_ids.tolist())
        self._on_frame(len(frame.people))

    def outcome(self, folder: Path, status: Status, reason: str, seconds: float, outputs: dict[str, Writer]) -> Outcome:
        refused = {name: said for name, output in outputs.items() if (said := refusal(output))}
        return Outcome(
            folder=folder,
            status=status,
            reason=reason,
            warnings=tuple(refused.values()),
            frames=self.frames,
            people=len(self._ids),
            poses=self.poses,
            seconds=seconds,
            files=(LOG, *(name for name in outputs if name not in refused), RUN),
        )


def _open_outputs(files: ExitStack, folder: Path, clip: Clip, saves: Sequence[str], video: bool) -> dict[str, Writer]:
    """Writers by the names of their files."""
    outputs: dict[str, Writer] = {}
    for name in saves:
        writer = files.enter_context(open_writer(name, folder, clip))
        outputs[WRITERS[name].file_name] = writer
    if video:
        outputs[VIDEO] = files.enter_context(_open_video(folder / VIDEO, clip))
    return outputs


class _DrawnVideo:
    """A writer of tracks: each frame's picture with everybody drawn in."""

    def __init__(self, video: VideoWriter, clip: Clip) -> None:
        self._video = video
        self._skeleton = clip.skeleton
        self._trails = Trails()

    def add(self, frame: TrackedFrame) -> None:
        assert frame.image is not None
        self._trails.add(frame.time_s, frame.people, self._skeleton)
        self._video.add(draw_people(frame.image, frame.people, self._skeleton, trails=self._trails), frame.time_s)


@contextmanager
def _open_video(path: Path, clip: Clip) -> Iterator[_DrawnVideo]:
    with VideoWriter(path, clip.width, clip.height, clip.fps) as video:
        yield _DrawnVideo(video, clip)


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder; after an error, folders that were made and hold nothing go again."""
    missing = [folder, *folder.parents]
    missing = [path for path in missing if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another output folder") from None
    try:
        yield
    except BaseException:
        for path in missing:
            if not any(path.iterdir()):
                path.rmdir()
        raise
