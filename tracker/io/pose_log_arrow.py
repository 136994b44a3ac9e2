"""Frames of the pose log as Arrow messages with checksums, and back; no files."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from posetrail.poses import Poses
from tracker.frames import PoseFrame, PropagatedPoses

END_MARK = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # Arrow's end of stream: a continuation mark and length 0
_CONTINUATION = 0xFFFFFFFF
_PREFIX_BYTES = 8  # of a message: the continuation mark, and the length of its metadata
_CHECKSUM_BYTES = 8  # the last column's one value, and Arrow's padding behind it
_LARGEST_MESSAGE = 2**28  # bytes; a thousand people with the largest embeddings take less


def schema_of(num_joints: int, appearance_size: int) -> pa.Schema:
    """The columns of a log, of which each frame is one row."""

    def floats(n: int) -> pa.DataType:
        return pa.list_(pa.float32(), n)

    members = {
        "keypoints": floats(2 * num_joints),
        "keypoint_scores": floats(num_joints),
        "box": floats(4),
        "score": pa.float32(),
        "propagated": pa.bool_(),
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
            "propagated_by_flow": pa.list_(moved),
            "crc32": pa.uint32(),  # the last one: its value ends the message
        }
    )


# Messages -------------------------------------------------------------------------------------------------------------


def next_message(file: BinaryIO, bytes_left: int) -> bytes:
    """The next message of a stream; nothing where none begins, or it would not end within the bytes that are left.

    What a damaged length promises is never allocated.
    """
    prefix = file.read(_PREFIX_BYTES)
    if len(prefix) < _PREFIX_BYTES:
        return b""
    limit = min(bytes_left, _LARGEST_MESSAGE) - _PREFIX_BYTES
    mark, length = struct.unpack("<Ii", prefix)
    if mark != _CONTINUATION or not 0 < length <= limit:
        return b""
    metadata = file.read(length)
    body_length = _body_length(metadata)
    if not 0 <= body_length <= limit - length:
        return b""
    message = prefix + metadata + file.read(body_length)
    return message if len(message) == _PREFIX_BYTES + length + body_length else b""


def _body_length(metadata: bytes) -> int:
    """The field bodyLength, number 3 of the FlatBuffers table `Message` of Arrow's format; -1 where there is no table.

    A table begins with the distance back to its vtable: of two bytes each, its own size, that of the table, and the
    place in the table of each field, 0 where the field has its default. Fields at the end may be left out.
    """
    entry = 4 + 2 * 3
    try:
        (table,) = struct.unpack_from("<I", metadata, 0)
        vtable = table - struct.unpack_from("<i", metadata, table)[0]
        if vtable < 0:
            return -1
        (size,) = struct.unpack_from("<H", metadata, vtable)
        place = struct.unpack_from("<H", metadata, vtable + entry)[0] if size > entry else 0
        length: int = struct.unpack_from("<q", metadata, table + place)[0] if place else 0
    except struct.error:
        return -1
    return length


def checksum_of_header(message: bytes) -> int:
    """With which the chain of checksums begins."""
    return zlib.crc32(message)


def checksum_of_frame(message: bytes, before: int) -> int | None:
    """The checksum at the end of a frame's message; None if it is wrong.

    Args:
        message: as `encode` gave it, perhaps damaged since.
        before: checksum of the frame before, or of the header.
    """
    checksum = zlib.crc32(memoryview(message)[:-_CHECKSUM_BYTES], before)
    return checksum if message[-_CHECKSUM_BYTES:] == struct.pack("<Q", checksum) else None


# Frames to messages ---------------------------------------------------------------------------------------------------


def encode(frame: PoseFrame, schema: pa.Schema, before: int) -> tuple[bytes, int]:
    """A frame as the message of a record batch, which ends with its checksum, and the checksum.

    Args:
        frame: with the joints and the size of appearance embeddings of the schema.
        schema: of the log.
        before: checksum of the frame before, or of the header.
    """
    message = bytes(_batch(frame, schema).serialize())[:-_CHECKSUM_BYTES]
    checksum = zlib.crc32(message, before)
    return message + struct.pack("<Q", checksum), checksum


def _batch(frame: PoseFrame, schema: pa.Schema) -> pa.RecordBatch:
    poses, propagated = frame.poses, frame.propagated
    columns_of_poses = [poses.keypoints, poses.keypoint_scores, poses.boxes, poses.scores, poses.propagated]
    if frame.appearance.shape[1]:
        columns_of_poses.append(frame.appearance)
    moved = [propagated.source_frames, propagated.source_rows, propagated.keypoints]
    columns = [
        _arrow(np.array([frame.index], np.int64)),
        _arrow(np.array([frame.time_s], np.float64)),
        _arrow_text(frame.name),
        pa.FixedSizeListArray.from_arrays(_arrow(frame.camera_motion), type=schema.field("camera").type),
        _one_row(columns_of_poses, schema.field("poses").type),
        _one_row(moved, schema.field("propagated_by_flow").type),
        _arrow(np.zeros(1, np.uint32)),
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


# Messages to frames ---------------------------------------------------------------------------------------------------


def decode(message: bytes, schema: pa.Schema) -> PoseFrame:
    """The frame of a message, with memory of its own.

    Raises:
        pa.ArrowException, OSError, ValueError: it is no row of this schema, or has nulls in it.
    """
    batch = pa.ipc.read_record_batch(pa.py_buffer(message), schema)
    batch.validate(full=True)
    if batch.num_rows != 1 or any(column.null_count for column in batch.columns):
        raise ValueError("expected one row without nulls")
    index, time_s, name = (batch.column(i)[0].as_py() for i in range(3))
    camera = _numpy(batch.column(3).flatten()).reshape(2, 3)
    keypoints, keypoint_scores, boxes, scores, propagated, *appearance = _arrays(batch.column(4))
    source_frames, source_rows, moved = _arrays(batch.column(5))
    joints = keypoint_scores.shape[1]
    poses = Poses(keypoints.reshape(-1, joints, 2), keypoint_scores, boxes, scores, propagated)
    moved_people = PropagatedPoses(source_frames, source_rows, moved.reshape(-1, joints, 2))
    appearance_rows = appearance[0] if appearance else np.zeros((len(poses), 0))
    return PoseFrame(index, time_s, name, poses, moved_people, camera, appearance_rows)


def _arrays(row: pa.ListArray) -> list[np.ndarray]:
    """The fields of a list of N structs as arrays (N,) or (N, size), with memory of their own."""
    arrays = []
    for column in row.flatten().flatten():
        if pa.types.is_fixed_size_list(column.type):
            arrays.append(_numpy(column.flatten()).reshape(len(column), column.type.list_size))
        else:
            arrays.append(_numpy(column))
    return arrays


def _numpy(values: pa.Array) -> np.ndarray:
    """An Arrow array of numbers or truth values with memory of its own; ArrowInvalid where one is null."""
    if values.null_count:
        raise pa.ArrowInvalid("expected numbers, got nulls among them")
    if pa.types.is_boolean(values.type):
        return np.from_dlpack(values.cast(pa.uint8())).astype(bool)
    return np.from_dlpack(values).copy()
