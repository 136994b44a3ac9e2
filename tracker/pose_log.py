"""The pose log: what was SEEN in a run, an Arrow IPC stream that is readable wherever it was cut off.

Arrow's streaming format (not its file format, whose footer comes last) because any Arrow library reads it and it only
ever grows: one record batch of one row per frame, handed to the operating system before the next frame begins.

    frame int64 | time_s float64 | name string | camera 6 float64
    poses       list of (keypoints 2K float32, keypoint_scores K float32, box 4 float32, score float32, carried bool,
                         appearance E float32, left out where E is 0)
    carried_by_flow  list of (source_frame int64, source_row int64, keypoints 2K float32)

The header stands as JSON in the schema's metadata. A stream that was ended properly closes with Arrow's end mark; a run
that failed or was killed leaves it out. To go on after that, cut the log off behind a whole frame and append the next
(tracker/resume.py): the same frames give the same bytes, however many times the log was cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import pyarrow as pa

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from core.errors import InputError
from core.people import Poses, Rows, check_array, check_same_length
from core.skeletons import SKELETONS

FORMAT_VERSION = 2
_METADATA_KEY = b"posetrail_pose_log"
_END_MARK = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # Arrow's end of stream: a continuation mark and length 0


@dataclass(frozen=True, eq=False)
class Carried(Rows):
    """People of earlier frames, their joints moved into this frame by optical flow."""

    source_frames: np.ndarray  # (M,) int64, index of the frame each was seen in
    source_rows: np.ndarray  # (M,) int64, its row among that frame's poses
    keypoints: np.ndarray  # (M, K, 2) float32 x y, pixels of this frame; NaN where flow lost the joint

    def __post_init__(self) -> None:
        check_array(self, "source_frames", np.int64, ("M",))
        check_array(self, "source_rows", np.int64, ("M",))
        check_array(self, "keypoints", np.float32, ("M", "K", 2))
        check_same_length(self, **{f.name: len(getattr(self, f.name)) for f in fields(self)})

    @classmethod
    def empty(cls, num_joints: int) -> Carried:
        """Nobody, of a skeleton with this many joints."""
        return cls(np.zeros(0), np.zeros(0), np.zeros((0, num_joints, 2)))


@dataclass(frozen=True, eq=False)
class SeenFrame:
    """Everything seen in one frame; following needs nothing else of it."""

    index: int  # counts the frames of the video from 0
    time_s: float  # true presentation time
    name: str  # the frame's file name, or one made from its index
    poses: Poses
    carried: Carried
    camera: np.ndarray = field(default_factory=lambda: np.eye(2, 3))
    """(2, 3) float64: moves points of the scene that stand still from their pixels in the frame seen before this one to
    their pixels in this one; the identity in the first frame and where it is not known."""
    appearance: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(N, E) float32, a unit vector for each pose, or zeros where nothing could be said of it; E = 0 without."""

    def __post_init__(self) -> None:
        check_array(self, "camera", np.float64, (2, 3))
        if np.shape(self.appearance)[1] == 0:
            object.__setattr__(self, "appearance", np.zeros((len(self.poses), 0), np.float32))
        check_array(self, "appearance", np.float32, ("N", "E"))
        check_same_length(self, poses=len(self.poses), appearance=len(self.appearance))


@dataclass(frozen=True, kw_only=True)
class PoseLogHeader:
    """What a pose log was made of and by; values that JSON keeps as they are."""

    skeleton: str  # a name in core.skeletons.SKELETONS
    fps: float  # nominal; the true times stand with the frames
    width: int  # pixels, as are the joints
    height: int
    source: str  # name of the video or folder of images
    source_fingerprint: str
    see_settings: dict[str, Any]
    models: list[dict[str, str]]  # each with name and sha256
    posetrail_version: str
    appearance_size: int = 0  # E of every frame's appearance
    made_of: dict[str, Any] = field(default_factory=dict)
    """What else decides the numbers: the part of the clip that was wanted, and how the networks were used."""
    format_version: int = FORMAT_VERSION

    @property
    def num_joints(self) -> int:
        """K of every frame's poses."""
        return len(SKELETONS[self.skeleton])


def _schema(num_joints: int, appearance_size: int) -> pa.Schema:
    def floats(n: int) -> pa.DataType:
        return pa.list_(pa.float32(), n)

    members = {
        "keypoints": floats(2 * num_joints),
        "keypoint_scores": floats(num_joints),
        "box": floats(4),
        "score": pa.float32(),
        "carried": pa.bool_(),
    }
    if appearance_size:
        members["appearance"] = floats(appearance_size)
    pose = pa.struct(members)
    moved = pa.struct({"source_frame": pa.int64(), "source_row": pa.int64(), "keypoints": floats(2 * num_joints)})
    return pa.schema(
        {
            "frame": pa.int64(),
            "time_s": pa.float64(),
            "name": pa.string(),
            "camera": pa.list_(pa.float64(), 6),
            "poses": pa.list_(pose),
            "carried_by_flow": pa.list_(moved),
        }
    )


@dataclass(frozen=True)
class Place:
    """A whole frame of a pose log."""

    position: int  # among the frames, counted from 0
    index: int  # of the frame
    end: int  # byte of the file behind it


class PoseLogWriter:
    """Appends frames to a new pose log: `with PoseLogWriter(path, header) as log: log.append(seen_frame)`.

    Each frame is with the operating system before `append` returns. Left by an exception, the log keeps its frames but
    gets no end mark (`is_complete` says so). No other process can write it meanwhile.

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
        told = json.dumps(asdict(header), ensure_ascii=False).encode()
        self._schema = _schema(header.num_joints, header.appearance_size).with_metadata({_METADATA_KEY: told})
        self._last_index = after.index if after else -1

    def __enter__(self) -> Self:
        end = self._after.end if self._after else 0
        self._file = self._path.open("r+b" if self._after else "ab")
        try:
            _hold(self._file, self._path)
            self._file.truncate(end)
            self._file.seek(end)
            if not self._after:
                # Arrow's own stream writer holds the schema back until the first batch; so messages are written here.
                self._write(self._schema.serialize())
        except BaseException:
            self._file.close()
            raise
        return self

    def _write(self, message: pa.Buffer | bytes) -> None:
        self._file.write(message)
        self._file.flush()

    def append(self, frame: SeenFrame) -> None:
        """Add the next frame.

        Raises:
            ValueError: its index does not grow, or its people have not the joints of the header's skeleton or not as
                many numbers of appearance as the header says.
        """
        if frame.index <= self._last_index:
            raise ValueError(f"pose log: frame {frame.index} after frame {self._last_index}; indices must grow")
        for people in (frame.poses, frame.carried):
            if people.keypoints.shape[1] != self._num_joints:
                raise ValueError(f"pose log: wanted {self._num_joints} joints, got {people.keypoints.shape[1]}")
        if (size := frame.appearance.shape[1]) != self._appearance_size:
            raise ValueError(f"pose log: wanted {self._appearance_size} numbers of appearance, got {size}")
        self._write(_batch(frame, self._schema).serialize())
        self._last_index = frame.index

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write(_END_MARK)
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


def _batch(frame: SeenFrame, schema: pa.Schema) -> pa.RecordBatch:
    poses, carried = frame.poses, frame.carried
    seen = [poses.keypoints, poses.keypoint_scores, poses.boxes, poses.scores, poses.carried]
    if frame.appearance.shape[1]:
        seen.append(frame.appearance)
    moved = [carried.source_frames, carried.source_rows, carried.keypoints]
    columns = [
        _arrow(np.array([frame.index], np.int64)),
        _arrow(np.array([frame.time_s], np.float64)),
        _arrow_text(frame.name),
        pa.FixedSizeListArray.from_arrays(_arrow(frame.camera), type=schema.field("camera").type),
        _one_row(seen, schema.field("poses").type),
        _one_row(moved, schema.field("carried_by_flow").type),
    ]
    return pa.record_batch(columns, schema=schema)


def _one_row(arrays: list[np.ndarray], kind: pa.ListType) -> pa.ListArray:
    """Arrays of N people as one list of N structs."""
    struct = kind.value_type
    members = []
    for values, member in zip(arrays, struct, strict=True):
        flat = _arrow(values)
        members.append(
            pa.FixedSizeListArray.from_arrays(flat, type=member.type)
            if pa.types.is_fixed_size_list(member.type)
            else flat
        )
    people = pa.StructArray.from_arrays(members, fields=list(struct))
    return pa.ListArray.from_arrays(_arrow(np.array([0, len(arrays[0])], np.int32)), people)


# pyarrow's own ways between its arrays and NumPy's, array() and to_numpy(), import pandas, which takes over a second.


def _arrow(values: np.ndarray) -> pa.Array:
    """Numbers or truth values of any shape as a flat Arrow array."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype == np.bool_:
        packed = np.packbits(flat, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(flat), [None, pa.py_buffer(packed)])
    return pa.Array.from_buffers(pa.from_numpy_dtype(flat.dtype), len(flat), [None, pa.py_buffer(flat)])


def _arrow_text(text: str) -> pa.Array:
    data = text.encode()
    offsets = np.array([0, len(data)], np.int32)
    return pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _numpy(values: pa.Array) -> np.ndarray:
    """An Arrow array of numbers or truth values with memory of its own; ArrowInvalid where one is null."""
    if values.null_count:
        raise pa.ArrowInvalid("wanted numbers, got nulls among them")
    if pa.types.is_boolean(values.type):
        return np.from_dlpack(values.cast(pa.uint8())).astype(bool)
    return np.from_dlpack(values).copy()


def read_pose_log(path: Path) -> tuple[PoseLogHeader, Iterator[SeenFrame]]:
    """The header of a pose log, and its frames one at a time.

    The frames end with the last one that is whole, wherever the file was cut off; `is_complete` tells the difference.
    The file is open only while the frames are being read.

    Raises:
        InputError: the file cannot be read, is no pose log, or is of another format.
    """
    with _open(path) as file:
        header = _read_header(path, file)
    return header, _frames(path)


def places(path: Path) -> Iterator[Place]:
    """Where the whole frames of a pose log stand.

    Raises:
        InputError: as `read_pose_log`.
    """
    for position, (frame, end) in enumerate(_frames_and_ends(path)):
        yield Place(position, frame.index, end)


def is_complete(path: Path) -> bool:
    """Whether this pose log was ended properly; False for one cut off, still being written, or damaged.

    Raises:
        InputError: as `read_pose_log`.
    """
    with _open(path) as file:
        _read_header(path, file)
        end_of_frames = file.tell()
        size = file.size()
    for _, end_of_frames in _frames_and_ends(path):  # noqa: B007 the last one counts
        pass
    with path.open("rb") as plain:
        plain.seek(end_of_frames)
        return size == end_of_frames + len(_END_MARK) and plain.read() == _END_MARK


def _open(path: Path) -> pa.OSFile:
    try:
        return pa.OSFile(os.fsencode(path))
    except OSError as error:
        raise InputError(f"pose log {path}: cannot be read ({error.strerror or error}); give a poses.arrow") from None


def _read_header(path: Path, file: pa.OSFile) -> PoseLogHeader:
    try:
        schema = pa.ipc.open_stream(file).schema
    except (pa.ArrowException, OSError):
        raise InputError(
            f"pose log {path}: no Arrow stream, or cut off before its first frame; give a poses.arrow or track again"
        ) from None
    told = (schema.metadata or {}).get(_METADATA_KEY)
    if told is None:
        raise InputError(f"pose log {path}: an Arrow stream, but not a pose log; give the poses.arrow of a run")
    try:
        values = json.loads(told)
        version = values["format_version"]
        if version != FORMAT_VERSION:
            mend = "update posetrail" if version > FORMAT_VERSION else "track again"
            raise InputError(f"pose log {path}: format {version}, this posetrail reads format {FORMAT_VERSION}; {mend}")
        header = PoseLogHeader(**values)
        whole = schema.equals(_schema(header.num_joints, header.appearance_size))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError):
        whole = False
    if not whole:
        raise InputError(
            f"pose log {path}: its header or columns are not those of format {FORMAT_VERSION}; track again"
        )
    return header


def _frames(path: Path) -> Iterator[SeenFrame]:
    for frame, _ in _frames_and_ends(path):
        yield frame


def _frames_and_ends(path: Path) -> Iterator[tuple[SeenFrame, int]]:
    """Every whole frame, and the position in the file where it ends."""
    with _open(path) as file:
        stream = pa.ipc.open_stream(file)
        last_index = -1
        while (frame := _next_frame(stream)) is not None and frame.index > last_index:
            last_index = frame.index
            yield frame, file.tell()


def _next_frame(stream: pa.RecordBatchStreamReader) -> SeenFrame | None:
    """The next frame; None at the end mark, or where the rest is cut off or damaged."""
    try:
        batch = stream.read_next_batch()
        batch.validate(full=True)
    except StopIteration:
        return None
    except pa.ArrowException:
        return None
    except OSError as error:
        if error.errno is not None:  # the disc's own error, not Arrow's "wanted so many bytes, got fewer"
            raise
        return None
    # A crash of the machine may leave blocks of zeros or nulls where a frame should be.
    if batch.num_rows != 1 or any(column.null_count for column in batch.columns):
        return None
    index, time_s, name = (batch.column(i)[0].as_py() for i in range(3))
    try:
        camera = _numpy(batch.column(3).flatten()).reshape(2, 3)
        people, flown = _arrays(batch.column(4)), _arrays(batch.column(5))
    except pa.ArrowException:
        return None
    keypoints, keypoint_scores, boxes, scores, carried, *appearance = people
    source_frames, source_rows, moved = flown
    joints = keypoint_scores.shape[1]
    poses = Poses(keypoints.reshape(-1, joints, 2), keypoint_scores, boxes, scores, carried)
    moved_people = Carried(source_frames, source_rows, moved.reshape(-1, joints, 2))
    looks = appearance[0] if appearance else np.zeros((len(poses), 0))
    return SeenFrame(index, time_s, name, poses, moved_people, camera, looks)


def _arrays(row: pa.ListArray) -> list[np.ndarray]:
    """The fields of a list of N structs as arrays (N,) or (N, size), with memory of their own."""
    arrays = []
    for column in row.flatten().flatten():
        if pa.types.is_fixed_size_list(column.type):
            arrays.append(_numpy(column.flatten()).reshape(len(column), column.type.list_size))
        else:
            arrays.append(_numpy(column))
    return arrays
