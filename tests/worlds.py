"""Synthetic worlds with known ground truth, and a detector and an estimator that read it instead of pixels.

A `World` is a fixed camera and people (`Walker`) who move along given paths. Each person and the background have a
random texture, the same in every run, so that optical flow works as in real video. The first pixel of a frame holds
the frame number: `TruthDetector` and `TruthEstimator` read it, and return the true boxes and keypoints of that frame.
Tests therefore need no weights and know the right answer:

    world = World((Walker(line((20, 60), (90, 0))),), num_frames=20)  # starts at x 20, y 60; 90 pixels/s to the right
    frames = world.frames()
    TruthDetector(world)(frames)[3].boxes  # world.walkers[0].box(frames[3].time_s)

`missed` and `hidden` of a walker make the hard cases: a detector that misses a person, and a person who leaves.
Frames are found again by their number, so frames that are skipped, reordered or read back from lossless images give the
same answers; a lossy codec would change the number. `PowerCut` ends a run between two frames, as a crash would.
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

# A standing person: x y of the COCO joints, as fractions of the box.
_HEAD = [(0.5, 0.08), (0.55, 0.05), (0.45, 0.05), (0.62, 0.08), (0.38, 0.08)]
_ARMS = [(0.75, 0.22), (0.25, 0.22), (0.9, 0.38), (0.1, 0.38), (0.95, 0.52), (0.05, 0.52)]
_LEGS = [(0.65, 0.52), (0.35, 0.52), (0.66, 0.75), (0.34, 0.75), (0.7, 0.97), (0.3, 0.97)]
STANDING = np.array([*_HEAD, *_ARMS, *_LEGS])

Path = Callable[[float], tuple[float, float]]  # time in seconds -> top left corner in pixels


@dataclass(frozen=True)
class Walker:
    """A person on a path."""

    path: Path
    size: tuple[float, float] = (40, 100)  # width, height in pixels
    missed: Callable[[int], bool] = lambda _frame: False  # in this frame the detector misses the person
    hidden: Callable[[int], bool] = lambda _frame: False  # in this frame the person is not in the image
    box_score: Callable[[int], float] = lambda _frame: 0.9  # of the detection in this frame

    def box(self, time_s: float) -> np.ndarray:
        """The true box (4,), x1 y1 x2 y2 in pixels."""
        x, y = self.path(time_s)
        return np.array([x, y, x + self.size[0], y + self.size[1]])

    def keypoints(self, time_s: float) -> np.ndarray:
        """The true keypoints (17, 2) in pixels."""
        box = self.box(time_s)
        return box[:2] + STANDING * (box[2:] - box[:2])


@dataclass(frozen=True)
class World:
    """People in front of a textured wall, recorded by a fixed camera at a constant frame rate."""

    walkers: tuple[Walker, ...]
    num_frames: int
    fps: float = 30.0
    size: tuple[int, int] = (640, 360)  # width, height in pixels
    textures: list[Image] = field(default_factory=list)  # of the wall, then of each walker; made on construction

    def __post_init__(self) -> None:
        random = np.random.default_rng(0)
        shapes = [self.size, *[(int(w.size[0]), int(w.size[1])) for w in self.walkers]]
        for width, height in shapes:
            coarse = random.integers(30, 225, (height // 6 + 2, width // 6 + 2, 3), dtype=np.uint8)
            self.textures.append(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))

    def frame(self, index: int) -> Frame:
        """One frame; later walkers are drawn over earlier ones."""
        image = self.textures[0].copy()
        for walker, texture in zip(self.walkers, self.textures[1:], strict=True):
            if not walker.hidden(index):
                _paste(image, texture, walker.box(index / self.fps))
        image[0, 0] = index // 256, index % 256, 0
        return Frame(index=index, time_s=index / self.fps, name=f"{index:06d}.jpg", image=image)

    def frames(self) -> list[Frame]:
        """All frames, in order."""
        return [self.frame(index) for index in range(self.num_frames)]

    def walker_at(self, index: int, box: np.ndarray) -> int:
        """Row of the walker whose true box in this frame overlaps a box most."""
        return int(box_iou(box[None], np.array([w.box(index / self.fps) for w in self.walkers])).argmax())


def _paste(image: Image, texture: Image, box: np.ndarray) -> None:
    """Draw the texture at a subpixel position, with interpolation."""
    shift = np.array([[1, 0, box[0]], [0, 1, box[1]]])
    size = image.shape[1::-1]
    cv2.warpAffine(texture, shift, size, dst=image, borderMode=cv2.BORDER_TRANSPARENT)


def frame_number(image: Image) -> int:
    """The frame number, which `World.frame` stores in the first pixel."""
    return int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])


@dataclass
class TruthDetector:
    """Detects all walkers that are neither missed nor hidden, with their true boxes; counts its images."""

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
    """Returns the true keypoints, with score 0.9, of the walker that overlaps a box most; counts its boxes.

    In a box without a person the joints stand where a person would have them, with score 0.02.
    """

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
    """Ends a run at once; a BaseException, because the program does not catch those."""


def power_cut_after(frames: int) -> Callable[[int], None]:
    """A callback for `on_frame`, which raises PowerCut when it is called for this number of frames."""
    calls: list[int] = []

    def cut(people: int) -> None:
        calls.append(people)
        if len(calls) == frames:
            raise PowerCut

    return cut
