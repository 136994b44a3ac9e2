"""Tracks out: followed frames as PoseTrack JSON, tables, COCO JSON or MOT text, each file whole or not there at all.

A writer is opened before the first frame and takes frames one by one; an hour of video needs no more memory than a
minute, because what a format wants at its end waits in an unnamed temporary file. Leaving the writer cleanly, after
however many frames, makes a whole file; leaving it by an exception leaves nothing.

    with open_writer("csv", folder, clip) as writer:
        writer.add(frame)

Joints that are missing are left out of the tables and are 0, 0, 0 in JSON. A person's score is `Poses.quality`.
Poses that were not seen but put in between are marked as filled wherever a format has room: not in MOT nor in 2017.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import InputError, unknown_name
from core.files import written_whole
from core.joint_mapping import mapped
from core.people import Image, TrackedPoses
from core.skeletons import POSETRACK_15, Skeleton
from eval_posetrack import clip as posetrack
from eval_posetrack.clip import LARGEST_TRACK_ID
from eval_posetrack.posetrack_2017 import lines_2017
from eval_posetrack.posetrack_2018 import lines_2018

_DECIMALS_PX, _DECIMALS_SCORE, _DECIMALS_S = 3, 4, 6
_ROWS_PER_GROUP = 100_000  # of a Parquet file: some megabytes in memory


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What the files say of the whole clip."""

    name: str
    skeleton: Skeleton
    fps: float
    width: int  # pixels
    height: int


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """One frame with everybody in it, as they were followed."""

    index: int  # counts the frames of the source from 0
    time_s: float  # true presentation time
    name: str  # the frame's file name, or one made from its index
    people: TrackedPoses
    image: Image | None = None  # the frame itself where it is at hand; no writer needs it


class Writer(Protocol):
    """Takes the frames of one clip, in order."""

    def add(self, frame: TrackedFrame) -> None:
        """Write this frame, or put it by for later."""


def refusal(writer: Writer) -> str:
    """Why this writer could not go on and makes no file, in one line; empty when all is well."""
    return getattr(writer, "refusal", "")


@dataclass(frozen=True)
class Format:
    """A kind of file that tracks are saved as."""

    file_name: str
    open: Callable[[Path, Clip], AbstractContextManager[Writer]]


def default_formats(skeleton: Skeleton) -> tuple[str, ...]:
    """What is written of poses with these joints when nobody asks for more."""
    return ("posetrack18", "csv") if _reaches_posetrack(skeleton) else ("csv",)


def open_writer(name: str, folder: Path, clip: Clip) -> AbstractContextManager[Writer]:
    """A writer for one of `WRITERS`, whose file will stand in `folder`.

    Raises:
        InputError: no such format, or one that has no place for this skeleton.
    """
    if name not in WRITERS:
        raise unknown_name("file format", name, WRITERS)
    return WRITERS[name].open(folder / WRITERS[name].file_name, clip)


# --- Tables: one row per joint that was seen --------------------------------------------------------------------------


def _joint_rows(people: TrackedPoses) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Track ids (R,), joints (R,), places (R, 2), scores (R,) and filled (R,) of joints there, by id, then by joint."""
    people = _by_id(people)
    rows, joints = np.nonzero(np.isfinite(people.poses.keypoints).all(axis=2))
    places, scores = people.poses.keypoints[rows, joints], people.poses.keypoint_scores[rows, joints]
    return people.track_ids[rows], joints, places, scores, people.filled[rows]


class _CsvWriter:
    def __init__(self, file: TextIO, clip: Clip) -> None:
        self._file = file
        self._joints = clip.skeleton.joints
        self._file.write("frame,time_s,track_id,joint,x,y,score,filled\n")

    def add(self, frame: TrackedFrame) -> None:
        start = f"{frame.index},{_rounded(frame.time_s, _DECIMALS_S):.{_DECIMALS_S}f}"
        track_ids, joints, places, scores, filled = _joint_rows(frame.people)
        xs, ys = _rounded(places, _DECIMALS_PX).T.tolist()
        scores = _rounded(scores, _DECIMALS_SCORE)
        columns = (track_ids.tolist(), joints.tolist(), xs, ys, scores.tolist(), filled.astype(int).tolist())
        self._file.writelines(
            f"{start},{track_id},{self._joints[joint]},{x:.{_DECIMALS_PX}f},{y:.{_DECIMALS_PX}f},"
            f"{score:.{_DECIMALS_SCORE}f},{is_filled}\n"
            for track_id, joint, x, y, score, is_filled in zip(*columns, strict=True)
        )


class _ParquetWriter:
    """The columns of the CSV with every bit of the numbers; the joints' names are stored once."""

    SCHEMA = pa.schema(
        {
            "frame": pa.int64(),
            "time_s": pa.float64(),
            "track_id": pa.int64(),
            "joint": pa.dictionary(pa.int8(), pa.string()),
            "x": pa.float32(),
            "y": pa.float32(),
            "score": pa.float32(),
            "filled": pa.bool_(),
        }
    )

    def __init__(self, parquet: pq.ParquetWriter, clip: Clip) -> None:
        self._parquet = parquet
        self._joints = pa.array(clip.skeleton.joints)
        self._waiting: list[tuple[np.ndarray, ...]] = []  # columns of the schema, frame by frame
        self._rows_waiting = 0

    def add(self, frame: TrackedFrame) -> None:
        track_ids, joints, places, scores, filled = _joint_rows(frame.people)
        if len(joints) == 0:
            return
        index, time_s = np.full(len(joints), frame.index), np.full(len(joints), frame.time_s)
        xs, ys = places.T
        self._waiting.append((index, time_s, track_ids, joints.astype(np.int8), xs, ys, scores, filled))
        self._rows_waiting += len(joints)
        if self._rows_waiting >= _ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits as one row group."""
        if self._waiting:
            columns = [np.concatenate(parts) for parts in zip(*self._waiting, strict=True)]
            columns[3] = pa.DictionaryArray.from_arrays(columns[3], self._joints)
            self._parquet.write_table(pa.table(columns, schema=self.SCHEMA))
        self._waiting, self._rows_waiting = [], 0


class _MotWriter:
    """MOT Challenge text: frame, id, left, top, width, height, score, -1, -1, -1; pixels and frames count from 1."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def add(self, frame: TrackedFrame) -> None:
        people = _by_id(frame.people)
        corners = people.poses.boxes.astype(np.float64)
        boxes = _rounded(np.hstack([corners[:, :2] + 1, corners[:, 2:] - corners[:, :2]]), _DECIMALS_PX)
        scores = _rounded(people.poses.quality, _DECIMALS_SCORE)
        self._file.writelines(
            f"{frame.index + 1},{track_id},"
            + ",".join(f"{value:.{_DECIMALS_PX}f}" for value in box)
            + f",{score:.{_DECIMALS_SCORE}f},-1,-1,-1\n"
            for track_id, box, score in zip(people.track_ids.tolist(), boxes.tolist(), scores.tolist(), strict=True)
        )


@contextmanager
def _open_csv(path: Path, clip: Clip) -> Iterator[_CsvWriter]:
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        yield _CsvWriter(file, clip)


@contextmanager
def _open_parquet(path: Path, clip: Clip) -> Iterator[_ParquetWriter]:
    with (
        written_whole(path) as beside,
        beside.open("wb") as file,  # Arrow takes no path that is not UTF-8
        pq.ParquetWriter(file, _ParquetWriter.SCHEMA, compression="zstd") as parquet,
    ):
        writer = _ParquetWriter(parquet, clip)
        yield writer
        writer.flush()


@contextmanager
def _open_mot(path: Path, clip: Clip) -> Iterator[_MotWriter]:
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        yield _MotWriter(file)


# --- COCO -------------------------------------------------------------------------------------------------------------


class _CocoWriter:
    """COCO keypoints with `track_id`, `score`, `keypoint_scores` and `filled` (where true) beside COCO's own fields.

    An image's id is its frame's index; annotations count from 1, because COCO's evaluation takes id 0 for no match.
    """

    def __init__(self, annotations: BinaryIO, images: BinaryIO, clip: Clip) -> None:
        self._annotations = annotations
        self._images = images
        self._size = {"width": clip.width, "height": clip.height}
        self._num_annotations = self._num_images = 0

    def add(self, frame: TrackedFrame) -> None:
        image = {"id": frame.index, "file_name": frame.name, **self._size, "video_id": 1, "frame_id": frame.index}
        self._images.write(
            _next_record(self._num_images, {**image, "time_s": float(_rounded(frame.time_s, _DECIMALS_S))})
        )
        self._num_images += 1
        poses = frame.people.poses
        there = np.isfinite(poses.keypoints).all(axis=2)
        joints = np.zeros((*there.shape, 3))
        joints[:, :, :2] = _rounded(np.where(there[:, :, None], poses.keypoints, 0), _DECIMALS_PX)
        joints[:, :, 2] = 2 * there  # COCO: 2 is labelled and visible
        joint_scores = _rounded(np.where(there, poses.keypoint_scores, 0), _DECIMALS_SCORE)
        scores = _rounded(poses.quality, _DECIMALS_SCORE)
        corners = poses.boxes.astype(np.float64)
        boxes = _rounded(np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]), _DECIMALS_PX)
        for row, track_id in enumerate(frame.people.track_ids.tolist()):
            annotation = {
                "id": self._num_annotations + 1,
                "image_id": frame.index,
                "category_id": 1,
                "track_id": track_id,
                "bbox": boxes[row].tolist(),
                "area": round(float(boxes[row, 2] * boxes[row, 3]), _DECIMALS_PX),
                "iscrowd": 0,
                "num_keypoints": int(there[row].sum()),
                "keypoints": joints[row].ravel().tolist(),
                "keypoint_scores": joint_scores[row].tolist(),
                "score": float(scores[row]),
            }
            if frame.people.filled[row]:
                annotation["filled"] = True
            self._annotations.write(_next_record(self._num_annotations, annotation))
            self._num_annotations += 1


@contextmanager
def _open_coco(path: Path, clip: Clip) -> Iterator[_CocoWriter]:
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": clip.skeleton.joints,
        "skeleton": (clip.skeleton.limb_indices + 1).tolist(),  # COCO counts joints from 1 here
    }
    video = {"id": 1, "name": clip.name, "fps": clip.fps, "width": clip.width, "height": clip.height}
    with written_whole(path) as beside, beside.open("wb") as file, tempfile.TemporaryFile(dir=path.parent) as images:
        file.write(b'{"categories":[%b],\n"videos":[%b],\n' % (orjson.dumps(category), orjson.dumps(video)))
        file.write(b'"annotations":[')
        yield _CocoWriter(file, images, clip)
        file.write(b'\n],\n"images":[')
        images.seek(0)
        shutil.copyfileobj(images, file)
        file.write(b"\n]}\n")


def _next_record(position: int, record: dict[str, object]) -> bytes:
    """A JSON list's record on a line of its own."""
    return (b",\n" if position else b"\n") + orjson.dumps(record)


# --- PoseTrack --------------------------------------------------------------------------------------------------------

_PERSON = np.dtype(
    [
        ("track_ids", np.int64),
        ("scores", np.float32),
        ("keypoints", np.float64, (len(POSETRACK_15), 2)),
        ("keypoint_scores", np.float64, (len(POSETRACK_15),)),
        ("boxes", np.float64, (4,)),
        ("filled", np.bool_),
    ]
)
_LINES_AT_A_TIME = 1000


class _PosetrackWriter:
    """Keeps people as records of a temporary file until the clip is whole; eval_posetrack makes the JSON of them.

    The format begins with how many frames there are and numbers people by how many stand in one frame, so that nothing
    of it can be written before the end.

    Ids are written as they are, so that the files of a run agree. The format ends at id 9999: after a frame with a
    greater one there will be no file, and `refusal` says why. The other files of a long run do not suffer from it.
    """

    refusal = ""

    def __init__(self, records: BinaryIO, clip: Clip, path: Path) -> None:
        self._records = records
        self._clip = clip
        self._path = path
        self._names: list[str] = []
        self._times = array("d")
        self._people_in_frame = array("i")

    def add(self, frame: TrackedFrame) -> None:
        ids = frame.people.track_ids
        if self.refusal:
            return
        if ids.max(initial=0) > LARGEST_TRACK_ID:
            self.refusal = (
                f"{self._path.name}: not written: PoseTrack files end at track id {LARGEST_TRACK_ID} and frame "
                f"{frame.index} has id {ids.max()}; use csv, parquet, coco or mot, or cut the clip into parts"
            )
            return
        poses = frame.people.poses
        keypoints, scores = mapped(poses.keypoints, poses.keypoint_scores, self._clip.skeleton, POSETRACK_15)
        people = np.zeros(len(ids), _PERSON)
        people["track_ids"] = ids
        people["scores"] = poses.quality
        people["keypoints"] = keypoints
        people["keypoint_scores"] = np.where(np.isfinite(keypoints).all(axis=2), scores, np.nan)
        people["boxes"] = poses.boxes
        people["filled"] = frame.people.filled
        self._records.write(people.tobytes())
        self._names.append(frame.name)
        self._times.append(frame.time_s)
        self._people_in_frame.append(len(ids))

    def finish(self, version: int) -> None:
        """Write the JSON, unless it was refused."""
        if self.refusal:
            return
        self._records.flush()
        pages = mmap.mmap(self._records.fileno(), 0, access=mmap.ACCESS_READ) if self._records.tell() else b""
        clip = self._whole(np.frombuffer(pages, _PERSON))
        with written_whole(self._path) as beside, beside.open("wb") as file:
            for i, line in enumerate(lines_2017(clip) if version == 2017 else lines_2018(clip, version)):
                file.write(line)
                if i % _LINES_AT_A_TIME == 0 and isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                    pages.madvise(mmap.MADV_DONTNEED)  # or all that was read would count as memory of this process

    def _whole(self, people: np.ndarray) -> posetrack.Clip:
        return posetrack.Clip(
            name=self._clip.name,
            image_names=tuple(self._names),
            frames=np.repeat(np.arange(len(self._names)), self._people_in_frame),
            track_ids=people["track_ids"],
            scores=people["scores"],
            keypoints=people["keypoints"],
            keypoint_scores=people["keypoint_scores"],
            boxes=people["boxes"],
            filled=people["filled"],
            head_boxes=np.broadcast_to(np.nan, (len(people), 4)),
            ignore_regions=((),) * len(self._names),
            labeled=np.ones(len(self._names), bool),
            times=np.array(self._times),
        )


def _reaches_posetrack(skeleton: Skeleton) -> bool:
    """Whether its joints give PoseTrack's arms and legs; of a head, files have what there is."""
    keypoints, _ = mapped(np.zeros((1, len(skeleton), 2)), np.ones((1, len(skeleton))), skeleton, POSETRACK_15)
    sides = [k for k, joint in enumerate(POSETRACK_15.joints) if joint.startswith(("left_", "right_"))]
    return bool(np.isfinite(keypoints[0, sides]).all())


def _open_posetrack(path: Path, clip: Clip, *, version: int) -> AbstractContextManager[_PosetrackWriter]:
    if not _reaches_posetrack(clip.skeleton):
        raise InputError(
            f"PoseTrack files need shoulders, elbows, wrists, hips, knees and ankles, {clip.skeleton.name} lacks some; "
            "save csv, parquet, coco or mot instead"
        )
    return _whole_posetrack(path, clip, version)


@contextmanager
def _whole_posetrack(path: Path, clip: Clip, version: int) -> Iterator[_PosetrackWriter]:
    with tempfile.TemporaryFile(dir=path.parent) as records:
        writer = _PosetrackWriter(records, clip, path)
        yield writer
        writer.finish(version)


# --- Shared -----------------------------------------------------------------------------------------------------------


def _by_id(people: TrackedPoses) -> TrackedPoses:
    return people[np.argsort(people.track_ids)]


def _rounded(values: np.ndarray | float, decimals: int) -> np.ndarray:
    """Rounded as float64, so that 0.1 stays 0.1 in text; without the -0.0 that rounding makes."""
    return np.round(np.asarray(values, np.float64), decimals) + 0.0


WRITERS = {
    "posetrack18": Format("tracks.json", partial(_open_posetrack, version=2018)),
    "posetrack17": Format("tracks.posetrack17.json", partial(_open_posetrack, version=2017)),
    "csv": Format("tracks.csv", _open_csv),
    "parquet": Format("tracks.parquet", _open_parquet),
    "coco": Format("tracks.coco.json", _open_coco),
    "mot": Format("tracks.mot.txt", _open_mot),
}
