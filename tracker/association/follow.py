"""Frames of poses to frames of people, all at once: where the settings choose between online and offline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import Skeleton, skeleton_of_size
from tracker.association import tracker
from tracker.association.offline import associate_offline
from tracker.frames import FrameWithTracks, PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings, Settings


def following(
    frames: Callable[[], Iterable[PoseFrame]],
    settings: AssociationSettings,
    skeleton: Skeleton,
    *,
    queue_frames: int = 1,
) -> Callable[[], Iterator[FrameWithTracks]]:
    """Gives every frame with its people, in order, each time it is called, as `settings.offline` wants it.

    Args:
        frames: gives the frames from the first one on, each time it is called.
        settings: who is who.
        skeleton: of the poses.
        queue_frames: how many earlier frames' poses the log carries by flow.
    """
    if settings.offline:
        return associate_offline(frames, settings, skeleton, queue_frames)
    return lambda: tracker.follow(frames(), settings, skeleton, queue_frames=queue_frames)


def follow(
    frames: Iterable[PoseFrame | tuple[Poses, float]], settings: AssociationSettings | Settings = AssociationSettings()
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
    settings = settings.association if isinstance(settings, Settings) else settings
    clip = [frame if isinstance(frame, PoseFrame) else _as_seen(i, *frame) for i, frame in enumerate(frames)]
    if not clip:
        return []
    skeleton = skeleton_of_size(clip[0].poses.keypoints.shape[1])
    return [people for _, people in following(lambda: clip, settings, skeleton)()]


def _as_seen(index: int, poses: Poses, time_s: float) -> PoseFrame:
    return PoseFrame(index, time_s, "", poses, PropagatedPoses.empty(poses.keypoints.shape[1]))
