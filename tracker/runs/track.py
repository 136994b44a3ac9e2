"""Clip to tracked frames, as a generator: online association, no files."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from posetrail.protocols import BottomUp, Detector, Estimator, Refiner
from tracker.association.tracker import Tracker
from tracker.frames import TrackedFrame
from tracker.io.video import open_source
from tracker.runs.infer import infer_source
from tracker.runs.networks import OwnNetworks, open_networks
from tracker.settings import Settings


def track(
    path: str | Path,
    settings: Settings | None = None,
    *,
    detector: Detector | None = None,
    estimator: Estimator | None = None,
    bottom_up: BottomUp | None = None,
    refiner: Refiner | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    stride: int = 1,
    fps: float | None = None,
) -> Generator[TrackedFrame]:
    """Track the people in a video file, a folder of images or a glob, frame by frame.

    Association is online whatever `settings.association.offline` is: the ids of a frame depend on the frames before it
    and are final when the frame is yielded. `track_to_folder` associates offline and loses fewer identities.

    Args:
        path: what to read.
        settings: all settings; the defaults if not given.
        detector: used instead of the one that the settings name. It is recorded under its attribute `name`, or its
            class's name.
        estimator: likewise.
        bottom_up: a network that finds people and their joints at once, used instead of a detector and an estimator.
        refiner: corrects the joints of all people, used instead of the one that the settings name.
        start_s: leave out frames before this time, in seconds.
        end_s: leave out frames from this time on, in seconds.
        stride: keep the frames whose index is a multiple of it.
        fps: frames per second of images (30 if not given).

    Yields:
        Each frame with its image (H, W, 3) RGB and its people: ids `people.track_ids` (N,) and joints
        `people.poses.keypoints` (N, K, 2) in pixels.

    Raises:
        InputError: nothing can be read there, or a setting cannot be used.
        DamagedInput: after the last good frame of a damaged file.

    Examples:
        >>> for frame in track("clip.mp4"):
        ...     print(frame.time_s, frame.people.track_ids, frame.people.poses.keypoints.shape)
    """
    settings = settings or Settings()
    source = open_source(path, start_s=start_s, end_s=end_s, stride=stride, fps=fps)
    own = OwnNetworks(detector, estimator, bottom_up, refiner)
    with open_networks(settings, own) as networks, closing(infer_source(source, networks, settings)) as inferred:
        skeleton, queue_frames = networks.skeleton, settings.inference.queue_frames
        tracker = Tracker(settings.association, skeleton, queue_frames=queue_frames)
        for frame, poses in inferred:
            yield TrackedFrame(frame.index, frame.time_s, frame.name, tracker.update_frame(poses), frame.image)
