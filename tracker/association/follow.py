"""Frames of poses to frames of people, all at once: where the settings choose between online and offline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import Skeleton, guessed_skeleton
from tracker.association import tracker
from tracker.association.offline import hindsight
from tracker.io.pose_log import Carried, SeenFrame
from tracker.settings import FollowSettings, Settings

Followed = tuple[SeenFrame, TrackedPoses]


def following(
    frames: Callable[[], Iterable[SeenFrame]],
    settings: FollowSettings,
    skeleton: Skeleton,
    *,
    queue_frames: int = 1,
) -> Callable[[], Iterator[Followed]]:
    """Gives every frame with its people, in order, each time it is called, as `settings.offline` wants it.

    Args:
        frames: gives the frames from the first one on, each time it is called.
        settings: who is who.
        skeleton: of the poses.
        queue_frames: how many earlier frames' poses the log carries by flow.
    """
    if settings.offline:
        return hindsight(frames, settings, skeleton, queue_frames)
    return lambda: tracker.follow(frames(), settings, skeleton, queue_frames=queue_frames)


def follow(
    frames: Iterable[SeenFrame | tuple[Poses, float]], settings: FollowSettings | Settings = FollowSettings()
) -> list[TrackedPoses]:
    """Who is who in poses at hand, whoever found them: no pixels, no network, no files.

    >>> people = follow([(poses, time_s) for poses, time_s in clip])
    >>> people[0].track_ids, people[0].poses.keypoints.shape

    Args:
        frames: a clip's frames in order: poses with their time in seconds, or frames of a pose log.
        settings: who is who; offline unless they say otherwise. For one frame at a time there is `Tracker`.

    Returns:
        The people of each frame.

    Raises:
        ValueError: a frame earlier than the last one, or poses of another skeleton.
    """
    settings = settings.follow if isinstance(settings, Settings) else settings
    clip = [frame if isinstance(frame, SeenFrame) else _as_seen(i, *frame) for i, frame in enumerate(frames)]
    if not clip:
        return []
    skeleton = guessed_skeleton(clip[0].poses.keypoints.shape[1])
    return [people for _, people in following(lambda: clip, settings, skeleton)()]


def _as_seen(index: int, poses: Poses, time_s: float) -> SeenFrame:
    return SeenFrame(index, time_s, "", poses, Carried.empty(poses.keypoints.shape[1]))
