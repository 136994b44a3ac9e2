"""The pose log: the poses of every frame, an Arrow IPC stream that is readable wherever it was cut off.

Arrow's streaming format (not its file format, whose footer comes last) because any Arrow library reads it and it only
ever grows: one record batch of one row per frame, handed to the operating system before the next frame begins.

    frame int64 | time_s float64 | name string | camera 6 float64
    poses               list of (keypoints 2K float32, keypoint_scores K float32, box 4 float32, score float32,
                                 propagated bool, appearance E float32, left out where E is 0)
    propagated_by_flow  list of (source_frame int64, source_row int64, keypoints 2K float32)
    crc32               uint32, of the message's bytes before this value, continued from the crc32 of the frame
                        before; the first frame continues that of the schema's message

The header stands as JSON in the schema's metadata (tracker/io/pose_log_header.py). The frames end with the last one
whose checksum is right: a changed bit, a block of zeros, a frame lost, repeated or exchanged ends them at its place.
A log that was ended properly closes with Arrow's end mark; a run that failed or was killed leaves it out. To go on
after that, cut the log off behind a whole frame and append the next (tracker/runs/resume.py): the same frames give
the same bytes, however many times the log was cut off.

What the file cannot know is how many frames it should have. A run's run.json does: `LogEnd`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import pyarrow as pa

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from posetrail.errors import InputError
from posetrail.files import sync_file, sync_folder
from tracker.frames import PoseFrame
from tracker.io.pose_log_arrow import (
    END_MARK,
    checksum_of_frame,
    checksum_of_header,
    decode,
    encode,
    next_message,
    schema_of,
)
from tracker.io.pose_log_header import FORMAT_VERSION
from tracker.io.pose_log_header import OtherFormat as OtherFormat
from tracker.io.pose_log_header import PoseLogHeader as PoseLogHeader

_METADATA_KEY = b"posetrail_pose_log"


class DamagedLog(InputError):
    """A pose log is not as run.json says."""


@dataclass(frozen=True)
class LogEnd:
    """What run.json says of a pose log, so that damage is noticed."""

    frames: int
    checksum: str  # of the last frame as 8 hexadecimal digits; of the header where there is no frame


@dataclass(frozen=True)
class Place:
    """Behind a whole frame of a pose log, or behind its header."""

    frames: int  # before it
    checksum: int  # of the last of them
    end: int  # byte of the file

    @property
    def log_end(self) -> LogEnd:
        """Of a log that ends here."""
        return LogEnd(self.frames, f"{self.checksum:08x}")


class PoseLogWriter:
    """Appends frames to a new pose log: `with PoseLogWriter(path, header) as log: log.append(seen_frame)`.

    Each frame is with the operating system before `append` returns, and all of them are on the disk when the log has
    been ended. Left by an exception, the log keeps its frames but gets no end mark (`is_complete` says so). No other
    process can write it meanwhile.

    Args:
        path: the file.
        header: what it is made of.
        after: go on in this file, of the same header, behind this frame; what follows there is cut off.
    """

    def __init__(self, path: Path, header: PoseLogHeader, *, after: Place | None = None) -> None:
        self._path = path
        self._after = after
        self._file: BinaryIO
        self._num_joints = header.num_joints
        self._appearance_size = header.appearance_size
        columns = schema_of(header.num_joints, header.appearance_size)
        self._schema = columns.with_metadata({_METADATA_KEY: header.to_json()})
        self._last_index = -1
        self._place = after

    def __enter__(self) -> Self:
        end = self._after.end if self._after else 0
        try:
            self._file = self._path.open("r+b" if self._after else "ab")
        except OSError as error:
            raise InputError(
                f"{self._path}: cannot be written ({error.strerror}); remove it, or choose another output folder"
            ) from None
        try:
            _hold(self._file, self._path)
            self._file.truncate(end)
            self._file.seek(end)
            if not self._after:
                # Arrow's own stream writer holds the schema back until the first batch; so messages are written here.
                message = bytes(self._schema.serialize())
                self._write(message)
                self._place = Place(0, checksum_of_header(message), len(message))
        except BaseException:
            self._file.close()
            raise
        return self

    @property
    def place(self) -> Place:
        """Behind the last frame."""
        assert self._place, "opened by `with`"
        return self._place

    def _write(self, message: bytes) -> None:
        self._file.write(message)
        self._file.flush()

    def append(self, frame: PoseFrame) -> None:
        """Add the next frame.

        Raises:
            ValueError: its index does not grow, or its people have not the joints of the header's skeleton or not as
                many numbers of appearance as the header says.
        """
        if frame.index <= self._last_index:
            raise ValueError(f"pose log: frame {frame.index} after frame {self._last_index}; indices must grow")
        for people in (frame.poses, frame.propagated):
            if people.keypoints.shape[1] != self._num_joints:
                raise ValueError(f"pose log: wanted {self._num_joints} joints, got {people.keypoints.shape[1]}")
        if (size := frame.appearance.shape[1]) != self._appearance_size:
            raise ValueError(f"pose log: wanted {self._appearance_size} numbers of appearance, got {size}")
        place = self.place
        message, checksum = encode(frame, self._schema, place.checksum)
        self._write(message)
        self._place = Place(place.frames + 1, checksum, place.end + len(message))
        self._last_index = frame.index

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write(END_MARK)
                sync_file(self._file.fileno())
                sync_folder(self._path.parent)
        finally:
            self._file.close()


def _hold(file: BinaryIO, path: Path) -> None:
    """Keep other processes from writing the same log, until the file is closed; where the system can."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{path}: another posetrail is writing this; wait for its end, or choose another output folder"
        ) from None
    except OSError:  # some network file systems have no locks
        return


# Reading --------------------------------------------------------------------------------------------------------------


def read_pose_log(path: Path, end: LogEnd | None = None) -> tuple[PoseLogHeader, Iterator[PoseFrame]]:
    """The header of a pose log, and its frames one at a time.

    The file is open only while the frames are being read.

    Args:
        path: the file.
        end: give the frames up to here. When not given, they end with the last one that is whole, wherever the file was
            cut off; `is_complete` tells the difference.

    Raises:
        InputError: the file cannot be read, is no pose log, or is of another format (`OtherFormat`); while the frames
            are being read: those before `end` are not all there (`DamagedLog`).
    """
    with _open(path) as file:
        header, schema, begin = _header(path, file)
    return header, _frames(path, schema, begin, end)


def places(path: Path) -> Iterator[Place]:
    """The places behind each whole frame of a pose log; fast, as only its checksum is looked at.

    Raises:
        InputError: as `read_pose_log`.
    """
    with _open(path) as file:
        _, _, begin = _header(path, file)
        yield from (place for _, place in _messages(file, begin))


def last_place(path: Path) -> Place:
    """The place behind the last whole frame of a pose log, or behind the header of one without.

    Raises:
        InputError: as `read_pose_log`.
    """
    with _open(path) as file:
        _, _, place = _header(path, file)
        for _, last in _messages(file, place):
            place = last
    return place


def is_complete(path: Path) -> bool:
    """Whether this pose log was ended properly; False for one cut off, still being written, or damaged.

    Raises:
        InputError: as `read_pose_log`.
    """
    return _is_ended(path, last_place(path))


def check_pose_log(path: Path, end: LogEnd, *, ended: bool = True) -> None:
    """Make sure that a pose log holds these frames and no others.

    Args:
        path: the file.
        end: the last frame that it should have.
        ended: it should have an end mark, too.

    Raises:
        DamagedLog: it is otherwise.
        InputError: as `read_pose_log`.
    """
    last = last_place(path)
    if last.log_end != end:
        raise _damaged(path, end, last)
    if ended and not _is_ended(path, last):
        raise DamagedLog(f"pose log {path}: damaged behind the last of its {end.frames} frames")


def _damaged(path: Path, end: LogEnd, last: Place) -> DamagedLog:
    if last.frames < end.frames:
        whole = f"only the first {last.frames}" if last.frames else "none"
        return DamagedLog(f"pose log {path}: damaged, {whole} of its {end.frames} frames can be read")
    return DamagedLog(
        f"pose log {path}: expected {end.frames} frames that end with checksum {end.checksum}, got others"
    )


def _is_ended(path: Path, last: Place) -> bool:
    with _open(path) as file:
        file.seek(last.end)
        return file.read(len(END_MARK) + 1) == END_MARK


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"pose log {path}: cannot be read ({error.strerror or error}); give a poses.arrow") from None
    with file:
        yield file


def _header(path: Path, file: BinaryIO) -> tuple[PoseLogHeader, pa.Schema, Place]:
    """The header, the columns, and the place behind them."""
    message = next_message(file, os.fstat(file.fileno()).st_size)
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(message))
    except (pa.ArrowException, OSError):
        raise InputError(
            f"pose log {path}: no Arrow stream, or cut off before its first frame; give a poses.arrow or track again"
        ) from None
    text = (schema.metadata or {}).get(_METADATA_KEY)
    if text is None:
        raise InputError(f"pose log {path}: an Arrow stream, but not a pose log; give the poses.arrow of a run")
    flaw = "its columns are others"
    try:
        header = PoseLogHeader.from_json(text)
        whole = schema.equals(schema_of(header.num_joints, header.appearance_size))
    except OtherFormat as error:
        raise OtherFormat(f"pose log {path}: {error}") from None
    except (ValueError, RecursionError) as error:
        whole, flaw = False, " ".join(str(error).split())[:200]
    if not whole:
        raise InputError(
            f"pose log {path}: its header or columns are not those of format {FORMAT_VERSION} ({flaw}); track again"
        )
    return header, schema, Place(0, checksum_of_header(message), len(message))


def _frames(path: Path, schema: pa.Schema, begin: Place, end: LogEnd | None) -> Iterator[PoseFrame]:
    with _open(path) as file:
        file.seek(begin.end)
        place, last_index = begin, -1
        for message, place in islice(_messages(file, begin), end.frames if end else None):
            try:
                frame = decode(message, schema)
            except (pa.ArrowException, OSError, ValueError):
                frame = None
            if frame is None or frame.index <= last_index:
                raise DamagedLog(
                    f"pose log {path}: its frame {place.frames - 1} was not written by posetrail; track again"
                )
            last_index = frame.index
            yield frame
        if end and place.log_end != end:
            raise _damaged(path, end, place)


def _messages(file: BinaryIO, place: Place) -> Iterator[tuple[bytes, Place]]:
    """Every whole frame behind a place, up to which the file has been read, and the place behind it."""
    size = os.fstat(file.fileno()).st_size
    while message := next_message(file, size - place.end):
        checksum = checksum_of_frame(message, place.checksum)
        if checksum is None:
            return
        place = Place(place.frames + 1, checksum, place.end + len(message))
        yield message, place
