"""Association of whole clips: `follow` for users, `associate_clip` for the runs; settings choose online or offline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import Skeleton, skeleton_of_size
from tracker.association.edited_poses import EditedFrames
from tracker.association.offline import associate_offline
from tracker.association.statements import Statements
from tracker.association.tracker import associate_online, association_settings
from tracker.frames import FrameWithTracks, PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings, Settings


def associate_clip(
    frames: Callable[[], Iterable[PoseFrame]],
    settings: AssociationSettings,
    skeleton: Skeleton,
    *,
    queue_frames: int = 1,
    said: Statements | None = None,
) -> Callable[[], Iterator[FrameWithTracks]]:
    """Associate a clip online or offline, as `settings.offline` says.

    Args:
        frames: returns the frames from the first one on, each time it is called.
        settings: how poses become tracks.
        skeleton: of the poses.
        queue_frames: number of earlier frames whose poses optical flow propagates into each frame.
        said: what corrections state about the poses; the overlay (overlay.py) has to follow.

    Returns:
        A function that returns every frame with its tracked poses, in order, each time it is called.
    """
    if settings.offline:
        return associate_offline(frames, settings, skeleton, queue_frames, said)
    if said is None:
        return lambda: associate_online(frames(), settings, skeleton, queue_frames=queue_frames)
    edited = EditedFrames(said, skeleton)

    def online() -> Iterator[FrameWithTracks]:
        tracked = associate_online(edited(frames()), settings, skeleton, queue_frames=queue_frames)
        return edited.named(edited.with_exact_joints(tracked))

    return online


def follow(
    frames: Iterable[PoseFrame | tuple[Poses, float]], settings: AssociationSettings | Settings = AssociationSettings()
) -> list[TrackedPoses]:
    """Track the poses of a whole clip, whichever program estimated them: no pixels, no networks, no files.

    Args:
        frames: of one clip, in order: pairs of poses and their time in seconds, or frames of a pose log.
        settings: how poses become tracks; offline by default. To process one frame at a time, use `Tracker`.

    Returns:
        The tracked poses of each frame.

    Raises:
        ValueError: something else than such frames, a time before that of the last frame, or poses with different
            numbers of joints.

    Examples:
        >>> tracked = follow([(poses, time_s) for poses, time_s in clip])
        >>> tracked[0].track_ids, tracked[0].poses.keypoints.shape
    """
    settings = association_settings(settings)
    clip = [_pose_frame(index, frame) for index, frame in enumerate(frames)]
    if not clip:
        return []
    skeleton = skeleton_of_size(clip[0].poses.keypoints.shape[1])
    return [tracked for _, tracked in associate_clip(lambda: clip, settings, skeleton)()]


def _pose_frame(index: int, frame: PoseFrame | tuple[Poses, float]) -> PoseFrame:
    if isinstance(frame, PoseFrame):
        return frame
    if not (isinstance(frame, tuple) and len(frame) == 2 and isinstance(frame[0], Poses)):
        raise ValueError(f"frames[{index}]: expected a pair (Poses, time in seconds), got {frame!r:.80}")
    poses, time_s = frame
    return PoseFrame(index, time_s, "", poses, PropagatedPoses.empty(poses.keypoints.shape[1]))
