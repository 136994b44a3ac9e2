"""Boxes that another program detected, read from a file and used as a detector: `--detector boxes:FILE`.

Formats, for one clip per file:

- MOTChallenge text (.txt, .csv): frame, id, left, top, width, height, confidence; see `posetrail.mot`. Line frame 1 is
  frame 0 of the clip.
- COCO or PoseTrack 2018 JSON with `images` and `annotations`. If all images have a `file_name`, a frame gets the boxes
  of the image with the name of its file, folders aside; frame 3 of a video is called 000003.jpg. Otherwise the images
  are the frames of the clip in order. Persons have category 1; a person without `bbox` gets the box of the joints.
- COCO results, a JSON list, together with what its image ids mean: `first_id` or `images`.

Frames are counted in the clip whatever its start time, its stride and `detect_every`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import orjson

from posetrail.errors import InputError
from posetrail.files import digest
from posetrail.frame import Frame
from posetrail.mot import read_mot
from posetrail.poses import Detections
from posetrail.runtime import Runtime
from posetrail.similarity import grown_boxes, keypoint_boxes
from posetrail.weights import Weights

_PERSON = 1  # category of COCO and PoseTrack
_LARGEST_FRAME = 2**53  # beyond it, numbers are no longer exact
_SHOWN = 100  # characters of another library's error message
_MARGIN = 0.25  # around the joints of a person without a box: head and feet extend beyond them

Boxes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""For every box of a file: its frame (P,) from 0, its corners (P, 4) x1 y1 x2 y2, its score (P,)."""


class BoxesFromFile:
    """Person boxes from a file; a posetrail.protocols.Detector.

    Args:
        runtime: not used; detectors are created with one.
        path: the file, see the module's description.
        first_id: for a list of COCO results: the `image_id` of frame 0, if the ids count frames.
        images: for a list of COCO results: a JSON file with the `images` of the clip.
        score_range: lowest and highest possible score of the file; scores are scaled from it to 0..1. Boxes without a
            score get 1.

    Raises:
        InputError: the file cannot be read or used, or a score is outside of `score_range`.
    """

    def __init__(
        self,
        runtime: Runtime | None = None,
        *,
        path: Path | str,
        first_id: int | None = None,
        images: Path | str | None = None,
        score_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.path = Path(path)
        self._frame_of_name: dict[str, int] | None = None
        self._num_frames: int | None = None  # None if the file does not say
        if self.path.suffix in (".txt", ".csv"):
            frames, boxes, scores = _read_mot(self.path)
        else:
            content = _read_json(self.path)
            listing = content if isinstance(content, dict) else _read_json(Path(images)) if images else None
            frame_of_id = _frames_of_ids(self.path, listing, first_id)
            if listing is not None:
                self._num_frames = len(frame_of_id)
                self._frame_of_name = _frames_of_names(listing)
            frames, boxes, scores = _read_people(self.path, content, frame_of_id, first_id)
        low, high = score_range
        if len(scores) and not (low <= scores.min() and scores.max() <= high):
            raise InputError(
                f"{path}: expected scores from {low:g} to {high:g}, got {scores.min():g} to {scores.max():g}; "
                "scale the scores in the file, or give score_range in Python"
            )
        order = np.lexsort((-scores, frames))
        self._frames, self._boxes, self._scores = frames[order], boxes[order], (scores[order] - low) / (high - low)
        self.weights = Weights(
            name="boxes",
            path=self.path,
            sha256=digest(self.path),
            licence="that of the file",
            source="given by the user",
            about=f"boxes of {self.path.name}",
            precision="",
        )

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return the boxes of each frame, highest score first.

        Raises:
            InputError: the file lists the images of the clip, and the frame is not among them.
        """
        return [self.boxes_of(self._position(frame)) for frame in frames]

    def boxes_of(self, index: int) -> Detections:
        """The boxes of the frame with this index in the file, from 0; highest score first."""
        rows = slice(*np.searchsorted(self._frames, [index, index + 1]))
        return Detections(self._boxes[rows], self._scores[rows])

    def _position(self, frame: Frame) -> int:
        """Index of a frame in the file."""
        if self._frame_of_name is not None:
            name = PurePosixPath(frame.name).name
            if name not in self._frame_of_name:
                first, last = next(iter(self._frame_of_name)), next(reversed(self._frame_of_name))
                raise InputError(
                    f"{self.path}: frame {frame.index} ({name}) is not among its images ({first} to {last}); give the "
                    "boxes of this clip, or leave out every file_name to use the images in order"
                )
            return self._frame_of_name[name]
        if self._num_frames is not None and frame.index >= self._num_frames:
            raise InputError(
                f"{self.path}: frame {frame.index} is not among its {self._num_frames} images; give the boxes of this "
                "clip"
            )
        return frame.index


def _read_mot(path: Path) -> Boxes:
    found, _ = read_mot(path)
    found = found[(found.boxes[:, 2:] > found.boxes[:, :2]).all(axis=1)]
    has_scores = not (found.scores == -1).all()  # -1 stands for no score
    return found.frames, found.boxes, np.where(np.isnan(found.scores) | (not has_scores), 1.0, found.scores)


def _read_json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: expected JSON, or a MOTChallenge file whose name ends in .txt ({error})") from error


def _frames_of_ids(path: Path, listing: Any, first_id: int | None) -> dict[Any, int]:
    """Index of each image in the listing, by its id; empty without a listing."""
    if listing is None:
        if first_id is None:
            raise InputError(
                f"{path}: expected 'images' and 'annotations', got a list of results, whose image_ids do not say which "
                "frames they are; add the 'images' of the clip, or give first_id or images in Python"
            )
        return {}
    try:
        return {image["id"]: frame for frame, image in enumerate(listing["images"])}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a list of COCO results, or 'images' with an id each, and 'annotations'"
        ) from error


def _frames_of_names(listing: Any) -> dict[str, int] | None:
    """Index of each image in the listing, by the name of its file; None if some have no name, or equal ones."""
    names = [image.get("file_name") if isinstance(image, dict) else None for image in listing["images"]]
    if not names or not all(isinstance(name, str) and name for name in names):
        return None
    files = [PurePosixPath(str(name)).name for name in names]
    if max(Counter(files).values()) > 1:
        return None
    return {file: index for index, file in enumerate(files)}


def _read_people(path: Path, content: Any, frame_of_id: dict[Any, int], first_id: int | None) -> Boxes:
    frames, boxes, scores = [], [], []
    people = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(people, list):
        raise InputError(f"{path}: expected a list of COCO results, or an object with 'images' and 'annotations'")
    for i, person in enumerate(people):
        try:
            if person.get("category_id", _PERSON) != _PERSON:
                continue
            image_id = person["image_id"]
            frame = frame_of_id[image_id] if frame_of_id or first_id is None else image_id - first_id
            box, score = _box(person), float(person.get("score", 1.0))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: person {i}: expected image_id of a listed image, bbox of four numbers or keypoints of three "
                f"each, and score, got {type(error).__name__} {str(error)[:_SHOWN]}"
            ) from error
        if frame < 0:
            raise InputError(f"{path}: person {i}: expected image_id from first_id {first_id} on, got {image_id}")
        if frame >= _LARGEST_FRAME:
            raise InputError(f"{path}: person {i}: expected an image_id of a frame, got {image_id}")
        if np.isfinite(box).all():
            frames.append(frame)
            boxes.append(box)
            scores.append(score)
    return np.array(frames, int), np.array(boxes, float).reshape(-1, 4), np.array(scores, float)


def _box(person: dict[str, Any]) -> np.ndarray:
    """(4,) x1 y1 x2 y2; the box of the joints if the person has none, NaN if there are no joints either."""
    if person.get("bbox"):
        x, y, width, height = map(float, person["bbox"])
        return np.array([x, y, x + width, y + height])
    joints = np.array(person.get("keypoints", []), float).reshape(1, -1, 3)
    return grown_boxes(keypoint_boxes(np.where(joints[..., 2:] > 0, joints[..., :2], np.nan)), _MARGIN)[0]
