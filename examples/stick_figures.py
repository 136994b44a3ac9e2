"""Draw stick figures: annotated images to train on, and a video of walking figures to track.

python examples/stick_figures.py figures
posetrail data check figures
posetrail train --data figures --recipe simplebaseline_r18 --input-height 128 \
    --batch-size 16 --epochs 12 -o trained
posetrail track figures/walk.mp4 --detector boxes:figures/boxes.json --weights trained/best.safetensors -o tracks
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from posetrail.skeletons import COCO_17
from tracker.io.video_writer import VideoWriter
from training.figures import background, draw_figure, paint, pose

TRAINING, SIZE = 240, (240, 320)  # images; width and height, pixels
FRAMES, FPS, SCENE = 150, 25, (640, 360)


def main(folder: Path) -> None:
    """Write images with COCO annotations, and a video."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in range(TRAINING):
        image, keypoints, visibility = draw_figure(np.random.default_rng([7, i]), SIZE)
        name = f"{i:04d}.png"
        cv2.imwrite(str(folder / "images" / name), image[:, :, ::-1])
        images.append({"id": i, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        annotations.append({"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, **annotated(keypoints, visibility)})
    category = {"id": 1, "name": "person", "keypoints": COCO_17.joints, "skeleton": []}
    coco = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "annotations.json").write_text(json.dumps(coco))
    write_video(folder)


def annotated(keypoints: np.ndarray, visibility: np.ndarray) -> dict[str, object]:
    """The joints, box and area of a person as COCO has them."""
    low, high = keypoints.min(0) - 8, keypoints.max(0) + 4
    box = [*low.tolist(), *(high - low).tolist()]
    joints = np.column_stack([keypoints, visibility]).ravel().round(2).tolist()
    return {"keypoints": joints, "num_keypoints": len(visibility), "bbox": box, "area": 0.5 * box[2] * box[3]}


def write_video(folder: Path) -> None:
    """Two figures that walk past each other, with their boxes."""
    rng = np.random.default_rng(3)
    poses = [pose(rng)[0] for _ in range(2)]
    ground = background(rng, SCENE)
    boxes = []
    with VideoWriter(folder / "walk.mp4", *SCENE, FPS) as video:
        for frame in range(FRAMES):
            image = ground.copy()
            found = []
            for i, start in enumerate(poses):
                joints = start.copy()
                swing = 0.8 * np.sin(2 * np.pi * frame / FPS + i)
                for k, sign in zip((9, 10, 15, 16), (1, -1, -1, 1), strict=True):
                    joints[k, 0] += sign * swing
                x = 80 + (480 if i else 0) + (-1 if i else 1) * 3.0 * frame
                keypoints = joints * 30 + [x, 120 + 20 * i]
                paint(image, keypoints, 30.0, True, np.random.default_rng(i))
                low, high = keypoints.min(0) - 12, keypoints.max(0) + 6
                found.append([*low.tolist(), *high.tolist()])
            video.add(image, frame / FPS)
            boxes += [{"image_id": frame, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": 0.9} for x1, y1, x2, y2 in found]
    frames = [{"id": frame, "file_name": f"{frame:06d}.jpg"} for frame in range(FRAMES)]
    (folder / "boxes.json").write_text(json.dumps({"images": frames, "annotations": boxes}))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "figures"))
