"""The pose log: the poses of every frame as an Arrow IPC stream, readable wherever it was cut off.

It is Arrow's streaming format, because any Arrow library reads it and it can be appended to; the file format would need
a footer. Each frame is one record batch of one row, passed to the operating system before the next frame begins.

    frame int64 | time_s float64 | name string | camera 6 float64
    poses               list of (keypoints 2K float32, keypoint_scores K float32, box 4 float32, score float32,
                                 propagated bool, appearance E float32, left out where E is 0)
    propagated_by_flow  list of (source_frame int64, source_row int64, keypoints 2K float32)
    crc32               uint32, of the message's bytes before this value, continued from the crc32 of the frame
                        before; the first frame continues that of the schema's message

The header is JSON in the schema's metadata (tracker/io/pose_log_header.py). Reading stops after the last frame with a
correct checksum: a changed bit, a block of zeros, or a lost, repeated or exchanged frame ends the log there. A finished
log closes with Arrow's end mark, that of a failed or killed run has none. To continue a log, truncate it after a whole
frame and append the next one (tracker/runs/resume.py): the same frames give the same bytes.

The number of frames that a log should have is in run.json: `LogEnd`.
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
    """A pose log differs from what run.json records."""


@dataclass(frozen=True)
class LogEnd:
    """The end of a pose log as run.json records it, to detect damage."""

    frames: int
    checksum: str  # of the last frame as 8 hexadecimal digits; of the header if there is no frame


@dataclass(frozen=True)
class Place:
    """The position after a whole frame of a pose log, or after its header."""

    frames: int  # before it
    checksum: int  # of the last of them
    end: int  # byte of the file

    @property
    def log_end(self) -> LogEnd:
        """The end of a log that stops here."""
        return LogEnd(self.frames, f"{self.checksum:08x}")


class PoseLogWriter:
    """Appends frames to a pose log: `with PoseLogWriter(path, header) as log: log.append(frame)`.

    Each frame is passed to the operating system before `append` returns; all frames are on the disk when the writer is
    left. If it is left by an exception, the log keeps its frames but gets no end mark (see `is_complete`). No other
    process can write the file meanwhile.

    Args:
        path: the file.
        header: of the log.
        after: continue this file, which has the same header, after this frame; the rest is truncated.
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
                # Arrow's stream writer would delay the schema until the first batch, so messages are written here.
                message = bytes(self._schema.serialize())
                self._write(message)
                self._place = Place(0, checksum_of_header(message), len(message))
        except BaseException:
            self._file.close()
            raise
        return self

    @property
    def place(self) -> Place:
        """The place after the last frame."""
        assert self._place, "opened by `with`"
        return self._place

    def _write(self, message: bytes) -> None:
        self._file.write(message)
        self._file.flush()

    def append(self, frame: PoseFrame) -> None:
        """Add the next frame.

        Raises:
            ValueError: its index does not increase, or the number of joints or the size of the appearance embeddings
                differs from the header.
        """
        if frame.index <= self._last_index:
            raise ValueError(f"pose log: frame {frame.index} after frame {self._last_index}; indices must increase")
        for people in (frame.poses, frame.propagated):
            if people.keypoints.shape[1] != self._num_joints:
                raise ValueError(f"pose log: expected {self._num_joints} joints, got {people.keypoints.shape[1]}")
        if (size := frame.appearance.shape[1]) != self._appearance_size:
            raise ValueError(f"pose log: expected appearance embeddings of size {self._appearance_size}, got {size}")
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
    """Lock the file against other writers until it is closed, if the system has such locks."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{path}: another posetrail is writing this file; wait for its end, or choose another output folder"
        ) from None
    except OSError:  # some network file systems have no locks
        return


# Reading --------------------------------------------------------------------------------------------------------------


def read_pose_log(path: Path, end: LogEnd | None = None) -> tuple[PoseLogHeader, Iterator[PoseFrame]]:
    """The header of a pose log, and its frames one at a time.

    The file is open only while the frames are being read.

    Args:
        path: the file.
        end: read the frames up to here. If not given, up to the last whole frame, even if the log is not complete; see
            `is_complete`.

    Raises:
        InputError: the file cannot be read, is no pose log or has another format (`OtherFormat`); during the
            iteration: frames before `end` are damaged or missing (`DamagedLog`).
    """
    with _open(path) as file:
        header, schema, begin = _header(path, file)
    return header, _frames(path, schema, begin, end)


def places(path: Path) -> Iterator[Place]:
    """The place after each whole frame of a pose log; fast, because only the checksums are computed.

    Raises:
        InputError: as `read_pose_log`.
    """
    with _open(path) as file:
        _, _, begin = _header(path, file)
        yield from (place for _, place in _messages(file, begin))


def last_place(path: Path) -> Place:
    """The place after the last whole frame of a pose log, or after the header if there is none.

    Raises:
        InputError: as `read_pose_log`.
    """
    with _open(path) as file:
        _, _, place = _header(path, file)
        for _, last in _messages(file, place):
            place = last
    return place


def is_complete(path: Path) -> bool:
    """Whether a pose log is finished; False if it is cut off, still written, or damaged.

    Raises:
        InputError: as `read_pose_log`.
    """
    return _is_ended(path, last_place(path))


def check_pose_log(path: Path, end: LogEnd, *, ended: bool = True) -> None:
    """Make sure that a pose log has exactly these frames.

    Args:
        path: the file.
        end: the expected last frame.
        ended: an end mark is expected too.

    Raises:
        DamagedLog: it has others, or no end mark.
        InputError: as `read_pose_log`.
    """
    last = last_place(path)
    if last.log_end != end:
        raise _damaged(path, end, last)
    if ended and not _is_ended(path, last):
        raise DamagedLog(f"pose log {path}: damaged after the last of its {end.frames} frames")


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
    """The header, the columns, and the place after them."""
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
    flaw = "its columns differ"
    try:
        header = PoseLogHeader.from_json(text)
        whole = schema.equals(schema_of(header.num_joints, header.appearance_size))
    except OtherFormat as error:
        raise OtherFormat(f"pose log {path}: {error}") from None
    except (ValueError, RecursionError) as error:
        whole, flaw = False, " ".join(str(error).split())[:200]
    if not whole:
        raise InputError(
            f"pose log {path}: expected header and columns of format {FORMAT_VERSION}, got others ({flaw}); track again"
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
    """Every whole frame after a place, at which the file is positioned, and the place after the frame."""
    size = os.fstat(file.fileno()).st_size
    while message := next_message(file, size - place.end):
        checksum = checksum_of_frame(message, place.checksum)
        if checksum is None:
            return
        place = Place(place.frames + 1, checksum, place.end + len(message))
        yield message, place
