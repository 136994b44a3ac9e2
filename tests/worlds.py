"""Invented worlds: textured people walk known paths before a textured wall, and networks that read the truth.

Every image carries its frame number in its first pixel, so a fake detector knows what there is to find.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

import cv2
import numpy as np

from posetrail.frame import Frame, Image
from posetrail.poses import Detections, Poses
from posetrail.similarity import box_iou
from posetrail.skeletons import COCO_17, Skeleton

# A person standing, as shares of the box: x, y of the COCO joints.
_HEAD = [(0.5, 0.08), (0.55, 0.05), (0.45, 0.05), (0.62, 0.08), (0.38, 0.08)]
_ARMS = [(0.75, 0.22), (0.25, 0.22), (0.9, 0.38), (0.1, 0.38), (0.95, 0.52), (0.05, 0.52)]
_LEGS = [(0.65, 0.52), (0.35, 0.52), (0.66, 0.75), (0.34, 0.75), (0.7, 0.97), (0.3, 0.97)]
STANDING = np.array([*_HEAD, *_ARMS, *_LEGS])

Path = Callable[[float], tuple[float, float]]  # time in seconds -> top left corner in pixels


@dataclass(frozen=True)
class Walker:
    """Somebody on a path, hidden from the detector at some times."""

    path: Path
    size: tuple[float, float] = (40, 100)  # width, height in pixels
    missed: Callable[[int], bool] = lambda _frame: False  # the detector does not find them in this frame
    hidden: Callable[[int], bool] = lambda _frame: False  # nobody could see them in this frame
    box_score: Callable[[int], float] = lambda _frame: 0.9

    def box(self, time_s: float) -> np.ndarray:
        x, y = self.path(time_s)
        return np.array([x, y, x + self.size[0], y + self.size[1]])

    def keypoints(self, time_s: float) -> np.ndarray:
        box = self.box(time_s)
        return box[:2] + STANDING * (box[2:] - box[:2])


@dataclass(frozen=True)
class World:
    """Walkers, seen by a camera at a fixed rate."""

    walkers: tuple[Walker, ...]
    num_frames: int
    fps: float = 30.0
    size: tuple[int, int] = (640, 360)  # width, height in pixels
    textures: list[Image] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = np.random.default_rng(0)
        shapes = [self.size, *[(int(w.size[0]), int(w.size[1])) for w in self.walkers]]
        for width, height in shapes:
            coarse = random.integers(30, 225, (height // 6 + 2, width // 6 + 2, 3), dtype=np.uint8)
            self.textures.append(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))

    def frame(self, index: int) -> Frame:
        image = self.textures[0].copy()
        for walker, texture in zip(self.walkers, self.textures[1:], strict=True):
            if not walker.hidden(index):
                _paste(image, texture, walker.box(index / self.fps))
        image[0, 0] = index // 256, index % 256, 0
        return Frame(index=index, time_s=index / self.fps, name=f"{index:06d}.jpg", image=image)

    def frames(self) -> list[Frame]:
        return [self.frame(index) for index in range(self.num_frames)]

    def walker_at(self, index: int, box: np.ndarray) -> int:
        """Which walker a box belongs to."""
        return int(box_iou(box[None], np.array([w.box(index / self.fps) for w in self.walkers])).argmax())


def _paste(image: Image, texture: Image, box: np.ndarray) -> None:
    """Draw the texture at a place between pixels, as a camera would."""
    shift = np.array([[1, 0, box[0]], [0, 1, box[1]]])
    size = image.shape[1::-1]
    cv2.warpAffine(texture, shift, size, dst=image, borderMode=cv2.BORDER_TRANSPARENT)


def frame_number(image: Image) -> int:
    """The frame number that the first pixel carries."""
    return int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])


@dataclass
class TruthDetector:
    """Finds everybody whom the world lets it find; counts its calls."""

    world: World
    images_seen: int = 0

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        self.images_seen += len(frames)
        return [self._detect(frame_number(frame.image)) for frame in frames]

    def _detect(self, index: int) -> Detections:
        found = [w for w in self.world.walkers if not w.missed(index) and not w.hidden(index)]
        boxes = np.array([w.box(index / self.world.fps) for w in found]).reshape(-1, 4)
        return Detections(boxes, np.array([w.box_score(index) for w in found]))


@dataclass
class TruthEstimator:
    """Places the joints of whoever fills the box best; of nobody (score 0.02) in a box that holds nobody."""

    world: World
    boxes_seen: int = 0

    @property
    def skeleton(self) -> Skeleton:
        return COCO_17

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        return [self._place(frame_number(frame.image), each) for frame, each in zip(frames, boxes, strict=True)]

    def _place(self, index: int, boxes: np.ndarray) -> Poses:
        self.boxes_seen += len(boxes)
        time_s = index / self.world.fps
        there = [w for w in self.world.walkers if not w.hidden(index)]
        keypoints, scores = np.zeros((len(boxes), 17, 2)), np.full((len(boxes), 17), 0.02)
        for row, box in enumerate(boxes):
            overlap = box_iou(box[None], np.array([w.box(time_s) for w in there]).reshape(-1, 4))[0]
            keypoints[row] = box[:2] + STANDING * (box[2:] - box[:2])
            if len(overlap) and overlap.max() > 0.2:
                keypoints[row], scores[row] = there[overlap.argmax()].keypoints(time_s), 0.9
        return Poses(keypoints, scores, boxes, np.ones(len(boxes)), np.zeros(len(boxes)))


def line(start: tuple[float, float], speed: tuple[float, float]) -> Path:
    """A straight walk: start in pixels, speed in pixels per second."""
    return lambda t: (start[0] + speed[0] * t, start[1] + speed[1] * t)


def write_images(world: World, folder: FilePath) -> FilePath:
    """The world's frames as PNG files: lossless, so that the frame number in the first pixel survives."""
    folder.mkdir(parents=True)
    for frame in world.frames():
        name = str(folder / frame.name.replace(".jpg", ".png"))
        assert cv2.imwrite(name, cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    return folder


class PowerCut(BaseException):
    """Nobody catches it: a run that it meets ends at once."""


def power_cut_after(frames: int) -> Callable[[int], None]:
    """To be told of each frame, as `on_frame`; at the last of so many it raises PowerCut."""
    told: list[int] = []

    def cut(people: int) -> None:
        told.append(people)
        if len(told) == frames:
            raise PowerCut

    return cut
