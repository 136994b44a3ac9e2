"""A detector and an estimator of your own, from images to tracks.

python examples/own_estimator.py

The "people" are bright bars that cross a dark picture; the detector finds bright regions, the estimator places three
joints in each. Replace the two classes by your networks: they are called with a batch of frames.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import posetrail as pt

BAR = pt.Skeleton(
    name="bar",
    joints=("top", "middle", "bottom"),
    limbs=(("top", "middle"), ("middle", "bottom")),
    oks_sigmas=(0.05, 0.05, 0.05),
)


class BrightRegions:
    """A detector: boxes around bright regions."""

    def __call__(self, frames: Sequence[pt.Frame]) -> list[pt.Detections]:
        """Return one Detections per frame."""
        return [self._detect(frame.image) for frame in frames]

    def _detect(self, image: np.ndarray) -> pt.Detections:
        bright = (image.mean(axis=2) > 90).astype(np.uint8)
        _, _, regions, _ = cv2.connectedComponentsWithStats(bright)
        x, y, width, height = regions[1:, :4].T.astype(np.float32)  # the first region is the background
        boxes = np.stack([x, y, x + width, y + height], axis=1)
        return pt.Detections(boxes, np.full(len(boxes), 0.9))


class MiddleOfBox:
    """An estimator: three joints on the vertical axis of each box."""

    skeleton = BAR

    def __call__(self, frames: Sequence[pt.Frame], boxes: Sequence[np.ndarray]) -> list[pt.Poses]:
        """Return one Poses per frame, with row i in box i."""
        return [self._estimate(each) for each in boxes]

    def _estimate(self, boxes: np.ndarray) -> pt.Poses:
        n = len(boxes)
        x = (boxes[:, 0] + boxes[:, 2]) / 2
        y = np.linspace(boxes[:, 1], boxes[:, 3], 3, axis=1)
        keypoints = np.stack([np.repeat(x[:, None], 3, axis=1), y], axis=2)
        return pt.Poses(keypoints, np.full((n, 3), 0.9), boxes, np.ones(n), np.zeros(n, bool))


def write_clip(folder: Path, num_frames: int = 40) -> None:
    """Write images of two textured bars that move towards each other and pass at different heights."""
    texture = np.random.default_rng(0).integers(120, 255, (90, 30, 3), np.uint8)
    for index in range(num_frames):
        image = np.zeros((240, 320, 3), np.uint8)
        for left, top in ((10 + 6 * index, 20), (280 - 6 * index, 130)):
            image[top : top + 90, left : left + 30] = texture
        cv2.imwrite(str(folder / f"{index:06}.png"), image)


def main() -> None:
    """Print the path of each track."""
    paths: dict[int, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_clip(Path(folder))
        for frame in pt.track(folder, detector=BrightRegions(), estimator=MiddleOfBox(), fps=25):
            middle = frame.people.poses.keypoints[:, BAR.index("middle")]
            for track_id, (x, _) in zip(frame.people.track_ids, middle, strict=True):
                paths.setdefault(int(track_id), []).append(x)
    for track_id, path in sorted(paths.items()):
        print(f"track {track_id}: {len(path)} frames, x from {path[0]:.0f} to {path[-1]:.0f}")


if __name__ == "__main__":
    main()
