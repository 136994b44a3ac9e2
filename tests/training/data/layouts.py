"""Annotations of the same invented people in the layout of every data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.io import savemat

from posetrail.joint_mapping import meaning
from posetrail.skeletons import (
    AIC_14,
    COCO_17,
    COCO_WHOLEBODY_133,
    CROWDPOSE_14,
    LSP_14,
    MPII_16,
    POSETRACK_15,
    POSETRACK_18,
    Skeleton,
)
from training.data.flic import FLIC_11

SIZE = (160, 120)  # width, height of the images
CORNERS = ((10.0, 10.0), (90.0, 20.0), (40.0, 15.0))  # of the people's boxes
BODY_PX = (50.0, 90.0)
IMAGE_OF = (0, 0, 1)  # the image of each person
NAMES = ("0.png", "1.png")


def position(joint: str, person: int) -> tuple[float, float]:
    """Where a joint of a person is: whole pixels that depend on the names alone, so that layouts can be compared."""
    seed = [sum(joint.encode()), len(joint), person]
    x, y = np.random.default_rng(seed).random(2)
    return round(CORNERS[person][0] + x * BODY_PX[0]), round(CORNERS[person][1] + y * BODY_PX[1])


def visibility(joint: str, person: int) -> int:
    """0, 1 or 2: the left elbow of person 1 is not labelled, the right elbow of person 0 is occluded."""
    return {("left_elbow", 1): 0, ("right_elbow", 0): 1}.get((joint, person), 2)


def triples(skeleton: Skeleton, person: int) -> np.ndarray:
    """(K, 3) x, y, v; zeros where not labelled."""
    names = [meaning(skeleton, joint) for joint in skeleton.joints]
    joints = np.array([[*position(name, person), visibility(name, person)] for name in names])
    return np.where(joints[:, 2:] > 0, joints, 0)


def coco(skeleton: Skeleton = COCO_17, spelled: Callable[[str], str] = str) -> dict[str, Any]:
    people = [
        {
            "id": 100 + p,
            "image_id": 7 + IMAGE_OF[p],
            "category_id": 1,
            "bbox": [*CORNERS[p], *BODY_PX],
            "keypoints": triples(skeleton, p).ravel().tolist(),
        }
        for p in range(3)
    ]
    images = [{"id": 7 + i, "file_name": NAMES[i], "width": SIZE[0], "height": SIZE[1]} for i in (0, 1)]
    names = [spelled(joint) for joint in skeleton.joints]
    return {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person", "keypoints": names}]}


def wholebody() -> dict[str, Any]:
    content = coco()
    content["categories"] = []
    for p, person in enumerate(content["annotations"]):
        joints = triples(COCO_WHOLEBODY_133, p)
        parts = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
        start = 0
        for key, count in parts.items():
            person[key] = joints[start : start + count].ravel().tolist()
            start += count
            if key != "keypoints":
                person[key.replace("_kpts", "_valid")] = True
    return content


def ai_challenger() -> list[dict[str, Any]]:
    return [
        {
            "image_id": NAMES[i],
            "url": "",
            "human_annotations": {
                f"human{p}": [*CORNERS[p], *np.add(CORNERS[p], BODY_PX).tolist()] for p in range(3) if IMAGE_OF[p] == i
            },
            "keypoint_annotations": {
                f"human{p}": [
                    number for x, y, v in triples(AIC_14, p).tolist() for number in (x, y, {0: 3, 1: 2, 2: 1}[v])
                ]
                for p in range(3)
                if IMAGE_OF[p] == i
            },
        }
        for i in (0, 1)
    ]


def mpii_list() -> list[dict[str, Any]]:
    """Counted from 1, the centre above the middle of the box."""
    scale = BODY_PX[1] / 200
    people = []
    for p in range(3):
        joints = triples(MPII_16, p)
        middle = np.add(CORNERS[p], np.array(BODY_PX) / 2) + 1 - [0, 15 * scale]
        places = np.where(joints[:, 2:] > 0, joints[:, :2] + 1, -1)
        people.append(
            {
                "image": NAMES[IMAGE_OF[p]],
                "joints": places.tolist(),
                "joints_vis": (joints[:, 2] > 0).astype(int).tolist(),
                "center": middle.tolist(),
                "scale": scale,
            }
        )
    return people


def structs(records: list[dict[str, Any]]) -> np.ndarray:
    """MATLAB's array of structures (1, N)."""
    out = np.zeros((1, len(records)), dtype=[(key, "O") for key in records[0]])
    for i, record in enumerate(records):
        for key, value in record.items():
            out[0, i][key] = value
    return out


def mpii_release() -> dict[str, Any]:
    """With visibility as a number, as text and missing, and one image without people's joints."""
    images = []
    for i in (0, 1):
        people = []
        for p in (p for p in range(3) if IMAGE_OF[p] == i):
            points = []
            for k, (x, y, v) in enumerate(triples(MPII_16, p).tolist()):
                if v:
                    flag = np.zeros((0, 0)) if MPII_16.joints[k] == "neck" else v - 1 if k % 2 else str(int(v - 1))
                    points.append({"x": x + 1, "y": y + 1, "id": k, "is_visible": flag})
            scale = BODY_PX[1] / 200
            x, y = np.add(CORNERS[p], np.array(BODY_PX) / 2) + 1 - [0, 15 * scale]
            people.append(
                {
                    **{"x1": 30.0, "y1": 10.0, "x2": 33.0, "y2": 14.0},
                    "annopoints": structs([{"point": structs(points)}]),
                    "scale": scale,
                    "objpos": structs([{"x": x, "y": y}]),
                }
            )
        images.append({"image": structs([{"name": NAMES[i]}]), "annorect": structs(people)})
    without = structs([{"scale": 1.0, "objpos": structs([{"x": 1.0, "y": 2.0}])}])
    images.append({"image": structs([{"name": "test.png"}]), "annorect": without})
    images.append({"image": structs([{"name": "empty.png"}]), "annorect": np.zeros((0, 0))})
    return {"RELEASE": structs([{"annolist": structs(images), "img_train": np.array([[1, 1, 0, 0]])}])}


def lsp() -> dict[str, Any]:
    """One person for each image; LSP flags occluded joints and has no missing ones."""
    joints = np.stack([triples(LSP_14, p) for p in (0, 2)])
    return {
        "joints": np.stack([joints[:, :, 0], joints[:, :, 1], joints[:, :, 2] == 1]).transpose(0, 2, 1).astype(float)
    }


def lspet() -> dict[str, Any]:
    joints = np.stack([triples(LSP_14, p) for p in range(3)])
    joints[:, :, 2] = joints[:, :, 2] == 2
    return {"joints": joints.transpose(1, 2, 0)}


def flic() -> dict[str, Any]:
    columns = dict(zip(FLIC_11.joints, (0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16), strict=True))
    examples = []
    for p in range(3):
        coords = np.full((2, 29), np.nan)
        for joint, (x, y, v) in zip(FLIC_11.joints, triples(FLIC_11, p).tolist(), strict=True):
            coords[:, columns[joint]] = (x, y) if v else np.nan
        examples.append(
            {
                "coords": coords,
                "filepath": NAMES[IMAGE_OF[p]],
                "imgdims": np.array([[SIZE[1], SIZE[0], 3]], float),
                **{
                    "isbad": np.array([[p == 2]], np.uint8),
                    "istrain": p == 0,
                    "istest": np.array([[p == 1]], np.uint8),
                },
            }
        )
    return {"examples": structs(examples)}


def posetrack_2018() -> dict[str, Any]:
    """A hidden joint has a position and the flag 0; two images are labelled, a third is not."""
    content = coco(POSETRACK_18)
    ears = [POSETRACK_18.index("left_ear"), POSETRACK_18.index("right_ear")]
    for p, person in enumerate(content["annotations"]):
        joints = triples(POSETRACK_18, p)
        joints[:, 2] = joints[:, 2] == 2
        joints[ears] = 0
        person |= {"keypoints": joints.ravel().tolist(), "track_id": p, "bbox_head": [20, 20, 3, 4]}
    content["images"][0] |= {"ignore_regions_x": [[0, 5, 5]], "ignore_regions_y": [[0, 0, 9]], "is_labeled": True}
    content["images"][1]["is_labeled"] = True
    content["images"].append({"id": 9, "file_name": "2.png", "is_labeled": False})
    content["annotations"].append({**content["annotations"][0], "id": 999, "image_id": 9})
    return content


def posetrack_2017() -> dict[str, Any]:
    frames = []
    for i in (0, 1):
        people = []
        for p in (p for p in range(3) if IMAGE_OF[p] == i):
            points = [
                {"id": [k], "x": [x], "y": [y], "is_visible": [int(v == 2)]}
                for k, (x, y, v) in enumerate(triples(POSETRACK_15, p).tolist())
                if v
            ]
            corners = {"x1": [20], "y1": [20], "x2": [23], "y2": [24]}
            people.append({**corners, "track_id": [p], "annopoints": [{"point": points}]})
        frames.append({"image": [{"name": NAMES[i]}], "annorect": people, "is_labeled": [1]})
    return {"annolist": frames}


MAKERS: dict[str, Callable[[], Any]] = {
    "coco": coco,
    "wholebody": wholebody,
    "crowdpose": lambda: coco(CROWDPOSE_14, lambda joint: joint.removesuffix("_top")),
    "aic": ai_challenger,
    "aic_coco": lambda: coco(AIC_14, lambda joint: joint.replace("_", " ").capitalize()),
    "mpii": mpii_list,
    "mpii_mat": mpii_release,
    "lsp": lsp,
    "lspet": lspet,
    "flic": flic,
    "posetrack17": posetrack_2017,
    "posetrack18": posetrack_2018,
}
MATLAB = ("mpii_mat", "lsp", "lspet", "flic")


def write(folder: Path, layout: str, content: Any = None) -> Path:
    """Write annotations of a layout, and their images in `images/`; returns the path of the annotations."""
    content = MAKERS[layout]() if content is None else content
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    names = {"lsp": ["im0001.jpg", "im0002.jpg"], "lspet": ["im00001.jpg", "im00002.jpg", "im00003.jpg"]}
    for i, name in enumerate(names.get(layout, NAMES)):
        cv2.imwrite(str(images / name), np.full((SIZE[1], SIZE[0], 3), 80 + 60 * i, np.uint8))
    path = folder / ("annotations.mat" if layout in MATLAB else "annotations.json")
    if layout in MATLAB:
        savemat(path, content)
    else:
        path.write_text(json.dumps(content))
    return path
