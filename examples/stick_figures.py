"""Draw stick figures for the training tutorial, docs/tutorial-training.md: annotated images, and videos to track.

python examples/stick_figures.py figures

figures/train/       images with one figure each in a random pose, and annotations.json in COCO's layout
        walk.mp4     two figures that walk past each other; walk.boxes.json has their boxes
        test.mp4     two other figures, with test.boxes.json, and test.truth.json: their joints as a PoseTrack file
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.posetrack_2018 import Stream2018
from posetrail.joint_mapping import mapped
from posetrail.skeletons import COCO_17, POSETRACK_15
from tracker.io.video_writer import VideoWriter
from tracker.runs.ground_truth import head_boxes
from training.figures import background, draw_figure, joints_of, paint

SIZE = (240, 320)  # of the images: width and height, pixels
FPS, SCENE = 25, (640, 360)  # of the videos
PEOPLE = 2
CLIPS = {"walk": 3, "test": 4}  # seeds of the videos


def main() -> None:
    """Write images with annotations, and two videos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=240, help="number of images to train on [default: 240]")
    parser.add_argument("--frames", type=int, default=100, help="frames of each video [default: 100]")
    parser.add_argument("--seed", type=int, default=0, help="other figures [default: 0]")
    arguments = parser.parse_args()
    write_images(arguments.folder / "train", arguments.images, arguments.seed)
    for name in CLIPS:
        write_video(arguments.folder, name, arguments.frames, arguments.seed)


def write_images(folder: Path, number: int, seed: int) -> None:
    """Write images of single figures, and their joints and boxes in COCO's layout."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in range(number):
        image, keypoints, visibility = draw_figure(np.random.default_rng([seed, i]), SIZE)
        name = f"{i:04d}.png"
        cv2.imwrite(str(folder / "images" / name), image[:, :, ::-1])
        images.append({"id": i, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        x1, y1, x2, y2 = box_of(keypoints).tolist()
        annotations.append(
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "iscrowd": 0,
                "keypoints": np.column_stack([keypoints, visibility]).ravel().round(2).tolist(),
                "num_keypoints": len(visibility),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": 0.5 * (x2 - x1) * (y2 - y1),
            }
        )
    category = {"id": 1, "name": "person", "keypoints": COCO_17.joints, "skeleton": []}
    coco = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "annotations.json").write_text(json.dumps(coco))


def walkers(name: str, frames: int, seed: int) -> np.ndarray:
    """Joints (frames, 2, 17, 2) in pixels of two figures that walk past each other; some wave an arm."""
    rng = np.random.default_rng([seed, CLIPS[name]])
    joints = np.empty((frames, PEOPLE, len(COCO_17), 2))
    for person, direction in enumerate((1, -1)):
        scale, stride, steps_per_s = rng.uniform(25, 31), rng.uniform(0.3, 0.5), rng.uniform(0.8, 1.2)
        wide, phase, waves = rng.uniform(0.6, 1.0), rng.uniform(0, 2 * np.pi), rng.random() < 0.5
        ground = np.array([320 - direction * 200, 96 + 44 * person])
        for frame in range(frames):
            swing = stride * np.sin(phase + 2 * np.pi * steps_per_s * frame / FPS)
            bend = 0.5 + 0.3 * np.sin(phase + frame / FPS)
            raised = np.pi - 0.6 + 0.5 * np.sin(phase + 9 * frame / FPS)  # the left arm, above the head
            left = (raised - 0.3, raised + 0.4) if waves else (0.3 - swing, 0.3 - swing + bend)
            right = (-0.3 + swing, -0.3 + swing - bend)
            body = joints_of((*left, swing, swing - 0.2), (*right, -swing, -swing + 0.2), wide=wide)
            joints[frame, person] = body * scale + ground + [direction * 4 * frame, 0]
    return joints


def box_of(keypoints: np.ndarray) -> np.ndarray:
    """The box x1 y1 x2 y2 around joints, with some room for head and limbs."""
    return np.concatenate([keypoints.min(0) - 10, keypoints.max(0) + 6])


def write_video(folder: Path, name: str, frames: int, seed: int) -> None:
    """Write a video, the boxes of its figures as a detector would give them, and their joints."""
    joints = walkers(name, frames, seed)
    ground = background(np.random.default_rng([seed, CLIPS[name]]), SCENE)
    with VideoWriter(folder / f"{name}.mp4", *SCENE, FPS) as video:
        for frame, people in enumerate(joints):
            image = ground.copy()
            for person, keypoints in enumerate(people):
                paint(image, keypoints, 28.0, True, np.random.default_rng([seed, person]))
            video.add(image, frame / FPS)
    boxes = [
        {"image_id": frame, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": 0.9}
        for frame, people in enumerate(joints)
        for x1, y1, x2, y2 in (box_of(keypoints).tolist() for keypoints in people)
    ]
    images = [{"id": frame, "file_name": f"{frame:06d}.jpg"} for frame in range(frames)]
    (folder / f"{name}.boxes.json").write_text(json.dumps({"images": images, "annotations": boxes}))
    write_truth(folder / f"{name}.truth.json", name, joints.reshape(-1, len(COCO_17), 2))


def write_truth(path: Path, name: str, joints: np.ndarray) -> None:
    """Write the joints (frames * people, 17, 2) as ground truth of PoseTrack, for `posetrail eval`."""
    scores = np.ones(joints.shape[:2])
    keypoints = mapped(joints, scores, COCO_17, POSETRACK_15)[0].astype(float)
    frames, track_ids = np.divmod(np.arange(len(joints)), PEOPLE)
    boxes = np.array([box_of(each) for each in joints])
    num_frames = len(joints) // PEOPLE
    clip = Clip(
        name=name,
        image_names=tuple(f"{frame:06d}.jpg" for frame in range(num_frames)),
        frames=frames,
        track_ids=track_ids,
        scores=np.full(len(joints), np.nan),
        keypoints=keypoints,
        keypoint_scores=np.full(keypoints.shape[:2], np.nan),
        boxes=boxes,
        head_boxes=head_boxes(keypoints, track_ids, boxes),
        ignore_regions=((),) * num_frames,
        labeled=np.ones(num_frames, bool),
    )
    with path.open("wb") as file:
        stream = Stream2018(file, name, 2018)
        stream.add(clip)
        stream.finish()


if __name__ == "__main__":
    main()
