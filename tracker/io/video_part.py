"""The chosen part of a video file, decoded from the keyframe before it or from the beginning, and its damage.

Damage before the keyframe cannot shift numbers or times. One limit is left: decoding from the beginning may carry
damage beyond a keyframe without reporting it there. Then pictures after the keyframe differ, or more of them decode.
Of about 2000 short files with up to three places of random damage, each read from six places, this happened in 6:
Motion JPEG, VP8 and H.264 with open GOPs; in other samples also MPEG-2 and HEVC with open GOPs.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from av.video.frame import VideoFrame

from posetrail.errors import InputError
from posetrail.frame import Frame
from tracker.io.checks import check_start
from tracker.io.frame_numbers import FrameNumbers, PacketRules
from tracker.io.seeking import SeekFailed, pictures_from
from tracker.io.video_files import (
    AT_THE_END,
    Flaws,
    missing_at_the_end,
    open_container,
    pictures,
    upright,
    upright_size,
    video_stream,
)

if TYPE_CHECKING:
    from tracker.io.frame_index import FrameIndex, SeekPoint
    from tracker.io.video import Source

_log = logging.getLogger(__name__)


class DamagedInput(InputError):
    """The source is damaged. Raised after its last readable frame, so that the frames before can be kept."""


def video_frames(source: Source) -> Iterator[Frame]:
    """The chosen frames of a video file, in order, decoded as they are iterated.

    Raises:
        DamagedInput: after the last frame that could be read, if frames of the part are missing or damaged.
        InputError: the start is after the last frame.
    """
    part = _Part.of(source)
    after = -1
    if part.point is not None:
        try:
            for frame in _decoded(source, part, after):
                after = frame.index
                yield frame
        except SeekFailed as error:
            _log.info("%s: decoded from the beginning, because %s", source.path, error)
        else:
            return
    yield from _decoded(source, replace(part, point=None), after)


@dataclass(frozen=True)
class _Part:
    """Where the chosen part of a video begins, by its index if that is exact."""

    index: FrameIndex | None = None  # None: not needed
    point: SeekPoint | None = None  # where decoding begins; None: with the first packet
    since: int = 0  # number of the first frame whose damage is reported ...
    since_s: float = -math.inf  # ... and its time
    is_exact: bool = True  # whether damage can be attributed to the part

    @classmethod
    def of(cls, source: Source) -> _Part:
        if not source.first_index and not source.start_s and source.end_index is None:
            return cls()
        index = source.frame_index

        def has_started(number: int) -> bool:
            time_s = number / source.fps if source.timed_by_fps else index.time_s(number)
            return number >= source.first_index and source.has_started(time_s)

        begin = bisect_left(range(len(index)), True, key=has_started)
        point = index.seek_point(begin, source.end_index)
        since = max(begin, source.first_index + source.lead_frames) if index.is_exact else 0
        since_s = min(index.time_s(since), AT_THE_END) if since else -math.inf
        return cls(index, point, since, since_s, index.is_exact)


def _decoded(source: Source, part: _Part, after: int) -> Iterator[Frame]:
    """The chosen frames whose index is greater than `after`, decoded from where the part says."""
    flaws = Flaws(source.path)
    count = 0
    time_s, until_s = -math.inf, math.inf
    with open_container(source.path) as container:
        stream = video_stream(container, source.path)
        numbers = FrameNumbers(PacketRules(stream))
        if part.point is not None and part.index is not None:
            numbered = pictures_from(container, stream, flaws, part.index, part.point)
        else:
            numbered = pictures(container, stream, flaws, numbers)
        for index, picture in numbered:
            if source.end_index is not None and index >= source.end_index:
                if not part.is_exact:
                    return  # the worker that reads the rest decodes this part too, and reports its damage
                until_s = _time_in_file(picture)
                break
            next_s = _time(source, index, picture, time_s)
            if source.has_ended(next_s):
                until_s = _time_in_file(picture) if numbers.are_ranks else until_s
                break
            width, height = upright_size(picture)
            if (width, height) != (source.width, source.height):
                change = f"the picture changes from {source.width}x{source.height} to {width}x{height}"
                flaws.reasons.append((AT_THE_END, f"{change} at {next_s:.2f} s: cut the clip there"))
                break
            count += index >= part.since
            time_s = next_s
            if index > after and source.includes(index, time_s):
                yield Frame(index, time_s, f"{index:06d}.jpg", upright(picture))
        else:
            if source.end_index is not None and part.is_exact:
                until_s = AT_THE_END  # the worker of the last part reports what is missing
            flaws.reasons += [(AT_THE_END, line) for line in missing_at_the_end(container, source.fps, flaws)]
            if source.start_s is not None and not source.has_started(time_s) and not flaws.sentences():
                check_start(source.path, source.start_s, time_s - source.origin_s + 1 / source.fps)
    damage = flaws.sentences(part.since_s, until_s)
    if damage:
        read = f"{count} frames read" + (f", up to {time_s:.2f} s" if count else "")
        raise DamagedInput(f"{source.path}: damaged: {read}; {'; '.join(damage)}")


def _time_in_file(picture: VideoFrame) -> float:
    return math.inf if picture.pts is None or picture.time_base is None else float(picture.pts * picture.time_base)


def _time(source: Source, index: int, picture: VideoFrame, last_s: float) -> float:
    if source.timed_by_fps:
        return index / source.fps
    if picture.pts is None or picture.time_base is None:
        return last_s + 1 / source.fps
    return max(last_s, float(picture.pts * picture.time_base))
