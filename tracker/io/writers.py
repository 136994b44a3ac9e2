"""Tracks out: followed frames as PoseTrack JSON, tables, COCO JSON or MOT text, each file whole or not there at all.

A writer is opened before the first frame and takes frames one by one; an hour of video needs no more memory than a
minute, and no temporary files: only the names and times of frames wait for the end of a format that wants them there.
Leaving the writer cleanly, after however many frames, makes a whole file; leaving it by an exception leaves nothing.

    with open_writer("csv", folder, clip) as writer:
        writer.add(frame)

Joints that are missing are left out of the tables and are 0, 0, 0 in JSON. A person's score is `Poses.quality`. Poses
that were not seen but put in between are marked as interpolated wherever a format has room: not in MOT nor in 2017.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from eval_posetrack import files as posetrack
from eval_posetrack.clip import LARGEST_TRACK_ID
from posetrail.errors import InputError, unknown_name
from posetrail.files import written_whole
from posetrail.joint_mapping import mapped
from posetrail.poses import Poses, TrackedPoses
from posetrail.skeletons import POSETRACK_15, Skeleton
from tracker.frames import TrackedFrame

_DECIMALS_PX, _DECIMALS_SCORE, _DECIMALS_S = 3, 4, 6
_ROWS_PER_GROUP = 100_000  # of a Parquet file: some megabytes in memory


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """What the files say of the whole clip."""

    name: str
    skeleton: Skeleton
    fps: float
    width: int  # pixels
    height: int


class Writer(Protocol):
    """Takes the frames of one clip, in order."""

    def add(self, frame: TrackedFrame) -> None:
        """Write this frame, or put it by for later."""


def refusal(writer: Writer) -> str:
    """Why this writer could not go on and makes no file, in one line; empty when all is well."""
    return getattr(writer, "refusal", "")


def remark(writer: Writer) -> str:
    """What a writer's file leaves out, in one line; empty when all is in it."""
    return getattr(writer, "remark", "")


@dataclass(frozen=True)
class Format:
    """A kind of file that tracks are saved as."""

    file_name: str
    open: Callable[[Path, ClipInfo], AbstractContextManager[Writer]]


def default_formats(skeleton: Skeleton) -> tuple[str, ...]:
    """What is written of poses with these joints when nobody asks for more."""
    return ("posetrack18", "csv") if _reaches_posetrack(skeleton) else ("csv",)


def open_writer(name: str, folder: Path, clip: ClipInfo) -> AbstractContextManager[Writer]:
    """A writer for one of `WRITERS`, whose file will stand in `folder`.

    Raises:
        InputError: no such format, or one that has no place for this skeleton.
    """
    if name not in WRITERS:
        raise unknown_name("file format", name, WRITERS)
    return WRITERS[name].open(folder / WRITERS[name].file_name, clip)


# --- Tables: one row per joint that was seen --------------------------------------------------------------------------


def _joint_rows(people: TrackedPoses) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Track ids (R,), joints (R,), places (R, 2), scores (R,) and interpolated (R,) of joints there, by id, then by
    joint."""
    people = _by_id(people)
    rows, joints = np.nonzero(np.isfinite(people.poses.keypoints).all(axis=2))
    places, scores = people.poses.keypoints[rows, joints], people.poses.keypoint_scores[rows, joints]
    return people.track_ids[rows], joints, places, scores, people.interpolated[rows]


class _CsvWriter:
    def __init__(self, file: TextIO, clip: ClipInfo) -> None:
        self._file = file
        self._joints = clip.skeleton.joints
        self._file.write("frame,time_s,track_id,joint,x,y,score,interpolated\n")

    def add(self, frame: TrackedFrame) -> None:
        start = f"{frame.index},{_rounded(frame.time_s, _DECIMALS_S):.{_DECIMALS_S}f}"
        track_ids, joints, places, scores, interpolated = _joint_rows(frame.people)
        xs, ys = _rounded(places, _DECIMALS_PX).T.tolist()
        scores = _rounded(scores, _DECIMALS_SCORE)
        columns = (track_ids.tolist(), joints.tolist(), xs, ys, scores.tolist(), interpolated.astype(int).tolist())
        self._file.writelines(
            f"{start},{track_id},{self._joints[joint]},{x:.{_DECIMALS_PX}f},{y:.{_DECIMALS_PX}f},"
            f"{score:.{_DECIMALS_SCORE}f},{is_interpolated}\n"
            for track_id, joint, x, y, score, is_interpolated in zip(*columns, strict=True)
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
            "interpolated": pa.bool_(),
        }
    )

    def __init__(self, parquet: pq.ParquetWriter, clip: ClipInfo) -> None:
        self._parquet = parquet
        self._joints = pa.array(clip.skeleton.joints)
        self._waiting: list[tuple[np.ndarray, ...]] = []  # columns of the schema, frame by frame
        self._rows_waiting = 0

    def add(self, frame: TrackedFrame) -> None:
        track_ids, joints, places, scores, interpolated = _joint_rows(frame.people)
        if len(joints) == 0:
            return
        index, time_s = np.full(len(joints), frame.index), np.full(len(joints), frame.time_s)
        xs, ys = places.T
        self._waiting.append((index, time_s, track_ids, joints.astype(np.int8), xs, ys, scores, interpolated))
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
def _open_csv(path: Path, clip: ClipInfo) -> Iterator[_CsvWriter]:
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        yield _CsvWriter(file, clip)


@contextmanager
def _open_parquet(path: Path, clip: ClipInfo) -> Iterator[_ParquetWriter]:
    with (
        written_whole(path) as beside,
        beside.open("wb") as file,  # Arrow takes no path that is not UTF-8
        pq.ParquetWriter(file, _ParquetWriter.SCHEMA, compression="zstd") as parquet,
    ):
        writer = _ParquetWriter(parquet, clip)
        yield writer
        writer.flush()


@contextmanager
def _open_mot(path: Path, clip: ClipInfo) -> Iterator[_MotWriter]:
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        yield _MotWriter(file)


# --- COCO -------------------------------------------------------------------------------------------------------------


class _CocoWriter:
    """COCO keypoints with `track_id`, `score`, `keypoint_scores` and `interpolated` (where true) beside COCO's own
    fields.

    An image's id is its frame's index; annotations count from 1, because COCO's evaluation takes id 0 for no match.
    """

    def __init__(self, file: BinaryIO, clip: ClipInfo) -> None:
        self._file = file
        self._size = {"width": clip.width, "height": clip.height}
        self._num_annotations = 0
        self._names: list[str] = []
        self._indices, self._times_s = array("q"), array("d")

    def add(self, frame: TrackedFrame) -> None:
        self._names.append(frame.name)
        self._indices.append(frame.index)
        self._times_s.append(frame.time_s)
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
            if frame.people.interpolated[row]:
                annotation["interpolated"] = True
            self._file.write(_next_record(self._num_annotations, annotation))
            self._num_annotations += 1

    def write_images(self) -> None:
        """What is told of the frames."""
        frames = zip(self._names, self._indices, self._times_s, strict=True)
        for position, (name, index, time_s) in enumerate(frames):
            image = {"id": index, "file_name": name, **self._size, "video_id": 1, "frame_id": index}
            self._file.write(_next_record(position, {**image, "time_s": float(_rounded(time_s, _DECIMALS_S))}))


@contextmanager
def _open_coco(path: Path, clip: ClipInfo) -> Iterator[_CocoWriter]:
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": clip.skeleton.joints,
        "skeleton": (clip.skeleton.limb_indices + 1).tolist(),  # COCO counts joints from 1 here
    }
    video = {"id": 1, "name": clip.name, "fps": clip.fps, "width": clip.width, "height": clip.height}
    with written_whole(path) as beside, beside.open("wb") as file:
        file.write(b'{"categories":[%b],\n"videos":[%b],\n' % (orjson.dumps(category), orjson.dumps(video)))
        file.write(b'"annotations":[')
        writer = _CocoWriter(file, clip)
        yield writer
        file.write(b'\n],\n"images":[')
        writer.write_images()
        file.write(b"\n]}\n")


def _next_record(position: int, record: dict[str, object]) -> bytes:
    """A JSON list's record on a line of its own."""
    return (b",\n" if position else b"\n") + orjson.dumps(record)


# --- PoseTrack --------------------------------------------------------------------------------------------------------

_ROWS_PER_STRETCH = 1000  # people who wait to be written together: some 400 kB


class _PosetrackWriter:
    """Hands people to eval_posetrack, which writes the JSON, a stretch of frames at a time.

    Ids are written as they are, so that the files of a run agree. The format ends at id 9999: after a frame with a
    greater one there will be no file, and `refusal` says why. The other files of a long run do not suffer from it.

    A person without any joint is left out: there is nothing of them to score, and the official kit stops at them.
    """

    refusal = ""
    _jointless = 0  # people left out, over all frames

    def __init__(self, stream: posetrack.ClipStream, clip: ClipInfo, path: Path) -> None:
        self._stream = stream
        self._clip = clip
        self._path = path
        self._waiting: list[TrackedFrame] = []
        self._rows = 0

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
        self._waiting.append(replace(frame, image=None))
        self._rows += 1 + len(ids)
        if self._rows >= _ROWS_PER_STRETCH:
            self.flush()

    @property
    def remark(self) -> str:
        """How many people are left out."""
        if not self._jointless:
            return ""
        return f"{self._path.name}: {self._jointless} poses without any joint left out; PoseTrack files take none"

    def flush(self) -> None:
        """Write the frames that wait."""
        if self._waiting:
            self._stream.add(self._stretch())
        self._waiting, self._rows = [], 0

    def _stretch(self) -> posetrack.Clip:
        people = [frame.people for frame in self._waiting]
        poses = Poses.concatenate([each.poses for each in people])
        keypoints, scores = mapped(poses.keypoints, poses.keypoint_scores, self._clip.skeleton, POSETRACK_15)
        frames = len(self._waiting)
        has_joints = np.isfinite(keypoints).all(axis=2).any(axis=1)
        self._jointless += int((~has_joints).sum())
        clip = posetrack.Clip(
            name=self._clip.name,
            image_names=tuple(frame.name for frame in self._waiting),
            frames=np.repeat(np.arange(frames), list(map(len, people))),
            track_ids=np.concatenate([each.track_ids for each in people]),
            scores=poses.quality,
            keypoints=keypoints,
            keypoint_scores=np.where(np.isfinite(keypoints).all(axis=2), scores, np.nan),
            boxes=poses.boxes,
            interpolated=np.concatenate([each.interpolated for each in people]),
            head_boxes=np.full((len(poses), 4), np.nan),
            ignore_regions=((),) * frames,
            labeled=np.ones(frames, bool),
            times=np.array([frame.time_s for frame in self._waiting]),
        )
        return clip if has_joints.all() else clip.with_people(has_joints)


def _reaches_posetrack(skeleton: Skeleton) -> bool:
    """Whether its joints give PoseTrack's arms and legs; of a head, files have what there is."""
    keypoints, _ = mapped(np.zeros((1, len(skeleton), 2)), np.ones((1, len(skeleton))), skeleton, POSETRACK_15)
    sides = [k for k, joint in enumerate(POSETRACK_15.joints) if joint.startswith(("left_", "right_"))]
    return bool(np.isfinite(keypoints[0, sides]).all())


def _open_posetrack(path: Path, clip: ClipInfo, *, version: int) -> AbstractContextManager[_PosetrackWriter]:
    if not _reaches_posetrack(clip.skeleton):
        raise InputError(
            f"PoseTrack files need shoulders, elbows, wrists, hips, knees and ankles, {clip.skeleton.name} lacks some; "
            "save csv, parquet, coco or mot instead"
        )
    return _whole_posetrack(path, clip, version)


class _Refused(Exception):
    """Nothing is to be left of the file."""


@contextmanager
def _whole_posetrack(path: Path, clip: ClipInfo, version: int) -> Iterator[_PosetrackWriter]:
    with suppress(_Refused), written_whole(path) as beside, beside.open("wb") as file:
        stream = posetrack.clip_stream(file, clip.name, version)
        writer = _PosetrackWriter(stream, clip, path)
        yield writer
        if writer.refusal:
            raise _Refused
        writer.flush()
        stream.finish()


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
