"""COCO keypoints JSON with `track_id`, `score`, `keypoint_scores` and `interpolated` beside COCO's own fields.

People whom a person has given a name have it as `name`. People with all joints of COCO-WholeBody have its parts too:
`foot_kpts`, `face_kpts`, `lefthand_kpts` and `righthand_kpts`, each with `*_valid`; then `keypoints` are COCO's 17, as
in that data set's files, and `keypoint_scores` are those of all joints.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson

from posetrail.files import written_whole
from posetrail.skeletons import COCO_17, COCO_WHOLEBODY_133, Skeleton
from posetrail.wholebody import FACE_JOINTS, FOOT_JOINTS, of_side
from tracker.frames import TrackedFrame
from tracker.io.writers.base import DECIMALS_PX, DECIMALS_S, DECIMALS_SCORE, ClipInfo, Writer, rounded

_BODY = slice(0, len(COCO_17))


class _CocoWriter(Writer):
    """Writes annotations frame by frame, and the images at the end.

    An image's id is the index of its frame. Annotations count from 1, because COCO's evaluation takes id 0 for no
    match. `interpolated` is written where it is true.
    """

    def __init__(self, file: BinaryIO, clip: ClipInfo) -> None:
        self._file = file
        self._size = {"width": clip.width, "height": clip.height}
        self._parts = _parts(clip.skeleton)
        self._num_annotations = 0
        self._names: list[str] = []
        self._indices, self._times_s = array("q"), array("d")

    def add(self, frame: TrackedFrame) -> None:
        self._names.append(frame.name)
        self._indices.append(frame.index)
        self._times_s.append(frame.time_s)
        poses = frame.people.poses
        present = np.isfinite(poses.keypoints).all(axis=2)
        joints = np.zeros((*present.shape, 3))
        joints[:, :, :2] = rounded(np.where(present[:, :, None], poses.keypoints, 0), DECIMALS_PX)
        joints[:, :, 2] = 2 * present  # COCO: 2 is labelled and visible
        joint_scores = rounded(np.where(present, poses.keypoint_scores, 0), DECIMALS_SCORE)
        scores = rounded(poses.quality, DECIMALS_SCORE)
        corners = poses.boxes.astype(np.float64)
        boxes = rounded(np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]), DECIMALS_PX)
        for row, track_id in enumerate(frame.people.track_ids.tolist()):
            annotation = {
                "id": self._num_annotations + 1,
                "image_id": frame.index,
                "category_id": 1,
                "track_id": track_id,
                "bbox": boxes[row].tolist(),
                "area": round(float(boxes[row, 2] * boxes[row, 3]), DECIMALS_PX),
                "iscrowd": 0,
                "num_keypoints": int(present[row].sum()),
                "keypoints": joints[row].ravel().tolist(),
                "keypoint_scores": joint_scores[row].tolist(),
                "score": float(scores[row]),
            }
            for part, columns in self._parts.items():
                annotation[f"{part}_kpts"] = joints[row, columns].ravel().tolist()
                annotation[f"{part}_valid"] = bool(present[row, columns].any())
            if self._parts:
                annotation["keypoints"] = joints[row, _BODY].ravel().tolist()
                annotation["num_keypoints"] = int(present[row, _BODY].sum())
            if frame.people.interpolated[row]:
                annotation["interpolated"] = True
            if track_id in frame.names:
                annotation["name"] = frame.names[track_id]
            self._file.write(_next_record(self._num_annotations, annotation))
            self._num_annotations += 1

    def write_images(self) -> None:
        """Write the metadata of all frames."""
        frames = zip(self._names, self._indices, self._times_s, strict=True)
        for position, (name, index, time_s) in enumerate(frames):
            image = {"id": index, "file_name": name, **self._size, "video_id": 1, "frame_id": index}
            self._file.write(_next_record(position, {**image, "time_s": float(rounded(time_s, DECIMALS_S))}))


@contextmanager
def open_coco(path: Path, clip: ClipInfo) -> Iterator[Writer]:
    """Open tracks.coco.json."""
    skeleton = COCO_17 if clip.skeleton == COCO_WHOLEBODY_133 else clip.skeleton
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": skeleton.joints,
        "skeleton": (skeleton.limb_indices + 1).tolist(),  # COCO counts joints from 1 here
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


def _parts(skeleton: Skeleton) -> dict[str, list[int]]:
    """The joints of each part of COCO-WholeBody; none if the skeleton is another one."""
    if skeleton != COCO_WHOLEBODY_133:
        return {}
    names = {"foot": FOOT_JOINTS, "face": FACE_JOINTS, "lefthand": of_side("left"), "righthand": of_side("right")}
    return {part: [skeleton.index(joint) for joint in joints] for part, joints in names.items()}


def _next_record(position: int, record: dict[str, object]) -> bytes:
    """The next record of a JSON list, on its own line."""
    return (b",\n" if position else b"\n") + orjson.dumps(record)
