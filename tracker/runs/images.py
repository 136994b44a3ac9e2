"""The clip of a run opened again, and tracked frames with their images."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing, suppress
from pathlib import Path, PurePath

from posetrail.errors import InputError
from posetrail.frame import Frame, Image
from tracker.frames import TrackedFrame
from tracker.inference.prefetch import prefetch
from tracker.io.pose_log import read_pose_log
from tracker.io.video import DamagedInput, Source, open_source
from tracker.runs.record import LOG, PosesInput, RunRecord

AHEAD_FRAMES = 4  # images decoded before they are needed


def open_input(record: RunRecord, path: Path | None) -> Source:
    """Open the clip of a run.

    Args:
        record: of the run.
        path: where the clip is now, if it was moved; needed for a run of imported poses.

    Raises:
        InputError: it cannot be read, or its content is not that of the clip that was tracked.
    """
    clip = record.input
    if isinstance(clip, PosesInput):
        if path is None:
            raise InputError(f"{clip.path}: holds poses without images; give their clip with --input")
        return open_source(path)
    source = open_source(
        path or clip.path,
        start_s=clip.start_s,
        end_s=clip.end_s,
        stride=clip.stride,
        fps=clip.fps if clip.timed_by_fps else None,
    )
    if source.fingerprint != clip.fingerprint:
        raise InputError(f"{source.path}: is not the clip that was tracked; give that one with --input")
    return source


def paired_by_name(run: Path, record: RunRecord, source: Source) -> bool:
    """Whether frames and images have the same file names.

    Imported poses may number their frames differently from their images, but hold the images' names.
    """
    if not isinstance(record.input, PosesInput):
        return False
    first = next(read_pose_log(run / LOG)[1], None)
    return first is not None and PurePath(first.name).name in {image.name for image in source.images}


def with_images(
    source: Source, tracked: Iterable[TrackedFrame], by_name: bool
) -> Generator[tuple[TrackedFrame, Image]]:
    """Each tracked frame with its image; both come in the same order.

    Raises:
        InputError: the source has not all of the frames.
    """

    def belongs(image: Frame, frame: TrackedFrame) -> bool:
        same_name = PurePath(image.name).name == PurePath(frame.name).name
        return same_name if by_name else image.index == frame.index

    # Damage of the source is in the run's record already.
    with closing(prefetch(source.frames(), AHEAD_FRAMES)) as images, suppress(DamagedInput):
        for frame in tracked:
            for image in images:
                if belongs(image, frame):
                    yield frame, image.image
                    break
            else:
                raise InputError(f"{source.path}: has no frame {frame.index}; the poses belong to another clip")
