"""Tracks to a drawn video: decoding, drawing and encoding, each in a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

from posetrail.frame import Image
from posetrail.skeletons import Skeleton
from tracker.draw_settings import DrawSettings
from tracker.frames import TrackedFrame
from tracker.inference.prefetch import prefetch
from tracker.io.blurring import FaceRegions, blurred_faces
from tracker.io.drawing import Trails, draw_frame_number, draw_people
from tracker.io.gif_writer import GifWriter
from tracker.io.video import Source
from tracker.io.video_writer import VideoWriter
from tracker.progress import OnFrame
from tracker.runs.images import AHEAD_FRAMES, with_images
from tracker.runs.results import Tracks

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawing:
    """How the frames of a clip are drawn."""

    settings: DrawSettings = DrawSettings()
    names: Mapping[int, str] = field(default_factory=dict)  # of people by track id
    faces: FaceRegions | None = None  # to be blurred


def draw_tracks(
    tracks: Tracks,
    skeleton: Skeleton,
    source: Source,
    video: VideoWriter | GifWriter,
    on_frame: OnFrame,
    stopped: Callable[[], bool],
    *,
    by_name: bool = False,
    lead: Iterable[TrackedFrame] = (),
    first_s: float | None = None,
    drawing: Drawing = Drawing(),
) -> Literal["whole", "part"]:
    """Draw tracks onto the images of a source.

    Args:
        tracks: what to draw.
        skeleton: of the tracks.
        source: the images.
        video: where the drawn images go; opened and closed here.
        on_frame: called with the number of people drawn in each frame.
        stopped: called after each frame; true ends the video after it.
        by_name: pair frames and images by the names of their files, not by their indices.
        lead: the tracks before, which the trails show.
        first_s: time that is 0 s in the video; that of the first frame if not given.
        drawing: what is drawn and how.

    Returns:
        Whether all frames were drawn, or a part of them.
    """
    trails = Trails()
    for before in lead:
        trails.add(before.time_s, before.people, skeleton)
    drawn = _drawn(with_images(source, tracks(), by_name), skeleton, trails, drawing)
    with video, closing(prefetch(drawn, AHEAD_FRAMES)) as frames:  # one is drawn while others are decoded and encoded
        for frame, image in frames:
            # Players show a late start as a still or black image: the video of a slice would begin with minutes of it.
            first_s = frame.time_s if first_s is None else first_s
            video.add(image, frame.time_s - first_s)
            on_frame(len(frame.people))
            if stopped():
                _log.info("%s: drawing stopped at frame %d", source.path, frame.index)
                return "part"
    return "whole"


def _drawn(
    frames: Generator[tuple[TrackedFrame, Image]], skeleton: Skeleton, trails: Trails, drawing: Drawing
) -> Generator[tuple[TrackedFrame, Image]]:
    with closing(frames):
        for frame, image in frames:
            trails.add(frame.time_s, frame.people, skeleton)
            if drawing.faces is not None:
                image = blurred_faces(image, drawing.faces.of_frame(frame.index))
            drawn = draw_people(
                image, frame.people, skeleton,
                trails=trails, settings=drawing.settings, names=drawing.names or frame.names, in_place=True,
            )  # fmt: skip
            if drawing.settings.frame_numbers:
                draw_frame_number(drawn, frame.index, frame.time_s)
            yield frame, drawn
