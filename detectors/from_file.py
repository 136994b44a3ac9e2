"""Boxes that another program found, from a file: MOTChallenge det.txt, COCO results, COCO and PoseTrack JSON.

Formats: https://motchallenge.net/instructions, https://cocodataset.org/#format-results, PoseTrack 2018 and 2021. The
2017 dialect of PoseTrack has no place for boxes of bodies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.poses import Detections
from posetrail.similarity import grown_boxes, keypoint_boxes

_PERSON = 1  # COCO's and PoseTrack's category
_LARGEST_FRAME = 2**53  # beyond it numbers are no longer exact
_SHOWN = 100  # characters of another's error
_MARGIN = 0.25  # around the joints of a person whose box the file does not tell: heads and feet reach beyond


class BoxesFromFile:
    """The boxes of one clip, frame by frame; a posetrail.protocols.Detector with one reservation.

    A detector is handed images alone, and an image does not tell which frame it is. So this one counts: the first image
    it is ever handed is frame 0, the next is frame `every`, and so on. It serves one clip, from its beginning and in
    order; `rewind` begins anew, and `boxes_of` answers for any frame.

    Args:
        path: .txt or .csv of MOTChallenge (frame, id, left, top, width, height, confidence, ...; frames and pixels from
            1); or JSON: a list of COCO results, or an object with `images` and `annotations` as of COCO and PoseTrack.
        first_id: `image_id` of frame 0 in a list of results whose ids count the frames.
        images: JSON with the `images` of the clip in order, for a list of results whose ids do not.
        every: frames from one image to the next, where only every n-th is looked at.
        score_range: what the file's lowest and highest scores can be; they become 0..1. Without a score it is 1.

    Raises:
        InputError: the file cannot be read or used, or scores lie outside the range.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        first_id: int | None = None,
        images: Path | str | None = None,
        every: int = 1,
        score_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.path = Path(path)
        self.num_frames: int | None = None  # unless the file tells
        self._every = every
        self._next = 0
        if self.path.suffix in (".txt", ".csv"):
            frames, boxes, scores = _read_mot(self.path)
        else:
            content = _read_json(self.path)
            listing = content if isinstance(content, dict) else _read_json(Path(images)) if images else None
            frame_of = _frames_of(self.path, listing, first_id)
            if listing is not None:
                self.num_frames = len(frame_of)
            frames, boxes, scores = _read_people(self.path, content, frame_of, first_id)
        low, high = score_range
        if len(scores) and not (low <= scores.min() and scores.max() <= high):
            raise InputError(
                f"{path}: scores run from {scores.min():g} to {scores.max():g}, wanted {low:g} to {high:g}; "
                "give score_range"
            )
        order = np.lexsort((-scores, frames))
        self._frames, self._boxes, self._scores = frames[order], boxes[order], (scores[order] - low) / (high - low)

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """The boxes of the next frames, as many as there are images, best score first.

        Raises:
            InputError: there are more images than frames in the file.
        """
        indices = range(self._next, self._next + self._every * len(frames), self._every)
        self._next = indices.stop
        return [self.boxes_of(index) for index in indices]

    def boxes_of(self, frame: int) -> Detections:
        """The boxes of a frame, counted from 0; best score first.

        Raises:
            InputError: the file tells how many frames there are, and they are fewer.
        """
        if self.num_frames is not None and frame >= self.num_frames:
            raise InputError(f"{self.path}: asked for frame {frame}, it has {self.num_frames}; is it of another clip?")
        rows = slice(*np.searchsorted(self._frames, [frame, frame + 1]))
        return Detections(self._boxes[rows], self._scores[rows])

    def rewind(self) -> None:
        """The next image is frame 0 again."""
        self._next = 0


Table = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of every box in a file: its frame (P,) from 0, its corners (P, 4) x1 y1 x2 y2, its score (P,)."""


def _read_mot(path: Path) -> Table:
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        table = np.array([[float(value) for value in line.split(",", 7)[:7]] for line in lines]).reshape(len(lines), 7)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: wanted lines of frame, id, left, top, width, height, confidence with commas between "
            f"({str(error)[:_SHOWN]})"
        ) from error
    if not np.isfinite(table).all() or not ((table[:, 0] >= 1) & (table[:, 0] <= _LARGEST_FRAME)).all():
        raise InputError(f"{path}: wanted numbers, and frames from 1 on")
    corner = table[:, 2:4] - 1  # the top left pixel is 1, 1
    return table[:, 0].astype(int) - 1, np.concatenate([corner, corner + table[:, 4:6]], axis=1), table[:, 6]


def _read_json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: wanted JSON, or a MOTChallenge file whose name ends in .txt ({error})") from error


def _frames_of(path: Path, listing: Any, first_id: int | None) -> dict[Any, int]:
    """Frames by image id, where `images` are listed."""
    if listing is None:
        if first_id is None:
            raise InputError(
                f"{path}: a list of results does not say which frames its image_ids are; give first_id, or images"
            )
        return {}
    try:
        return {image["id"]: frame for frame, image in enumerate(listing["images"])}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: wanted a list of COCO results, or 'images' with an id each, and 'annotations'"
        ) from error


def _read_people(path: Path, content: Any, frame_of: dict[Any, int], first_id: int | None) -> Table:
    frames, boxes, scores = [], [], []
    people = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(people, list):
        raise InputError(f"{path}: wanted a list of COCO results, or an object with 'images' and 'annotations'")
    for i, person in enumerate(people):
        try:
            if person.get("category_id", _PERSON) != _PERSON:
                continue
            image_id = person["image_id"]
            frame = frame_of[image_id] if frame_of or first_id is None else image_id - first_id
            box, score = _box(person), float(person.get("score", 1.0))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: person {i}: wanted image_id of a known frame, bbox of four numbers or keypoints of three "
                f"each, and score, got {type(error).__name__} {str(error)[:_SHOWN]}"
            ) from error
        if frame < 0:
            raise InputError(f"{path}: person {i}: image_id {image_id} is before first_id {first_id}")
        if frame >= _LARGEST_FRAME:
            raise InputError(f"{path}: person {i}: expected an image_id of a frame, got {image_id}")
        if np.isfinite(box).all():
            frames.append(frame)
            boxes.append(box)
            scores.append(score)
    return np.array(frames, int), np.array(boxes, float).reshape(-1, 4), np.array(scores, float)


def _box(person: dict[str, Any]) -> np.ndarray:
    """(4,) x1 y1 x2 y2; that of the joints where the file has none, NaN where it has no joints either."""
    if person.get("bbox"):
        x, y, width, height = map(float, person["bbox"])
        return np.array([x, y, x + width, y + height])
    joints = np.array(person.get("keypoints", []), float).reshape(1, -1, 3)
    return grown_boxes(keypoint_boxes(np.where(joints[..., 2:] > 0, joints[..., :2], np.nan)), _MARGIN)[0]
