"""Live source to tracked frames: each frame's ids are final when it is yielded, and nothing grows with time.

Inference does not read ahead, so that a frame is as new as it can be when its turn comes. When the resolution of the
source changes, inference starts anew, and the tracker goes on in the pixels of the first frame: ids stay.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from posetrail.frame import Frame
from posetrail.poses import TrackedPoses
from posetrail.protocols import BottomUp, Detector, Estimator
from posetrail.skeletons import Skeleton
from tracker.association.tracker import Tracker
from tracker.frames import PoseFrame, TrackedFrame
from tracker.io.live_address import live_address
from tracker.io.live_source import LiveCounts, LiveEvent, LiveSource
from tracker.io.video_writer import letterboxed
from tracker.live_settings import LiveSettings
from tracker.runs.infer import infer_frames
from tracker.runs.live_pixels import Fitting
from tracker.runs.networks import Networks, OwnNetworks, open_networks
from tracker.settings import Settings


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A frame of a live source with its people; all pixels are those of the first frame."""

    frame: Frame
    poses: PoseFrame  # before ids were assigned
    people: TrackedPoses
    delay_s: float | None  # from its arrival until now; None where times are those of the stream
    counts: LiveCounts  # of the source so far
    skeleton: Skeleton

    @property
    def tracked(self) -> TrackedFrame:
        """The frame as `track` yields frames."""
        return TrackedFrame(self.frame.index, self.frame.time_s, self.frame.name, self.people, self.frame.image)


def online_settings(settings: Settings) -> Settings:
    """The settings with online association, the only one that a live source can have."""
    return replace(settings, association=replace(settings.association, offline=False))


def live_frames(
    source: LiveSource,
    networks: Networks,
    settings: Settings,
    *,
    on_event: Callable[[LiveEvent], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[LiveFrame]:
    """Track the people of an opened live source until it ends or a stop is requested.

    Args:
        source: opened by `with`.
        networks: opened with these settings.
        settings: of inference and association.
        on_event: called for each event of the source, between frames.
        stopped: asked between frames and while none arrives; true ends the frames.

    Raises:
        InputError: the source cannot be used, or a setting cannot be used frame by frame.
    """
    association = online_settings(settings).association
    tracker = Tracker(association, networks.skeleton, queue_frames=settings.inference.queue_frames)
    first: tuple[int, int] | None = None
    with closing(source.frames(on_event, stopped)) as frames:
        for size, of_one_size in groupby(frames, key=lambda frame: frame.image.shape[:2]):
            first = first or size
            fitting = None if size == first else Fitting.of(size, first)
            with closing(infer_frames(of_one_size, networks, settings, live=True)) as inferred:
                for frame, poses in inferred:
                    if fitting is not None:
                        frame = replace(frame, image=letterboxed(frame.image, first[1], first[0]))
                        poses = fitting.frame(poses)
                    people = tracker.update_frame(poses)
                    delay_s = source.now_s - frame.time_s if source.settings.drop else None
                    yield LiveFrame(frame, poses, people, delay_s, source.counts, networks.skeleton)


def live(
    source: str | int | Path,
    settings: Settings | None = None,
    *,
    live_settings: LiveSettings = LiveSettings(),
    detector: Detector | None = None,
    estimator: Estimator | None = None,
    bottom_up: BottomUp | None = None,
    on_event: Callable[[LiveEvent], None] = lambda _: None,
) -> Generator[TrackedFrame]:
    """Track the people of a camera, a network stream or a pipe, newest frame first.

    Frames that inference is too slow for are left out. Closing the generator, or leaving the loop and dropping it,
    releases the source.

    Args:
        source: the number of a camera, an address such as rtsp://HOST/PATH, "-" for the standard input, or the path of
            a named pipe.
        settings: all settings; the defaults if not given. Association is online in any case.
        live_settings: delay, dropping of frames, stalls and reconnection.
        detector: used instead of the one that the settings name.
        estimator: likewise.
        bottom_up: a network that finds people and their joints at once, used instead of a detector and an estimator.
        on_event: called, between frames, when the source was connected, is connected again, changes its resolution or
            ends.

    Yields:
        Each frame with its image (H, W, 3) RGB, its people, and the time of its arrival in seconds since the start.

    Raises:
        InputError: the source or a setting cannot be used, or no frame came for too long. No message holds a password.

    Examples:
        >>> for frame in live(0):
        ...     print(frame.time_s, frame.people.track_ids, frame.people.poses.keypoints.shape)
    """
    settings = settings or Settings()
    address = live_address(source)
    with (
        open_networks(settings, OwnNetworks(detector, estimator, bottom_up)) as networks,
        LiveSource(address, live_settings) as opened,
        closing(live_frames(opened, networks, settings, on_event=on_event)) as frames,
    ):
        for each in frames:
            yield each.tracked
