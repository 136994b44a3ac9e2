"""One small scene in the file formats of other tools, as those tools write them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_posetrack.formats.files import Clip
from eval_posetrack.readers import READERS, read_images
from eval_posetrack.readers.joints import LAYOUTS
from posetrail.skeletons import COCO_17, POSETRACK_15, coco_to_posetrack

h5py = pytest.importorskip("h5py")
HEAD = [POSETRACK_15.index("neck"), POSETRACK_15.index("head_top")]
BODY = [k for k in range(15) if k not in HEAD]
NUM_FRAMES = 4


@dataclass(frozen=True)
class Scene:
    """Four frames: two people, the same two, none, the second one alone and without a left wrist."""

    frames: np.ndarray  # (P,)
    ids: np.ndarray  # (P,)
    joints: dict[str, np.ndarray]  # name -> (P, 3) x y score, 0 0 0 where missing
    scores: np.ndarray  # (P,)
    boxes: np.ndarray  # (P, 4) x y w h

    def slots(self, names: tuple[str, ...]) -> np.ndarray:
        """(P, K, 3) in the order of a tool; joints the scene has not are somewhere in the body."""
        return np.stack([self.joints.get(name, self.joints["nose"] + [0.0, 40.0, 0.0]) for name in names], axis=1)


def scene() -> Scene:
    rng = np.random.default_rng(7)
    frames, ids = np.array([0, 0, 1, 1, 3]), np.array([0, 1, 0, 1, 1])
    middles = np.array([[300.0, 200], [700, 220], [310, 200], [690, 220], [680, 221]])
    names = [*COCO_17.joints, "neck", "head_top", "pelvis"]
    offsets = np.round(rng.uniform(-90, 90, (len(names), 2)), 2)
    scores = np.round(rng.uniform(0.3, 0.95, (len(names), 5)), 3)
    joints = {
        name: np.column_stack([middles + offset, score])
        for name, offset, score in zip(names, offsets, scores, strict=True)
    }
    joints["left_wrist"][4] = 0
    boxes = np.column_stack([middles - 100, np.full((5, 2), 200.0)])
    return Scene(frames, ids, joints, np.array([0.9, 0.8, 0.95, 0.7, 0.6]), boxes)


SCENE = scene()


# --- Files as the tools write them ------------------------------------------------------------------------------------


def coco_results(layout: str = "coco_17") -> list[dict[str, Any]]:
    slots = SCENE.slots(LAYOUTS[layout])
    return [
        {
            "image_id": 100 + int(SCENE.frames[p]),
            "category_id": 1,
            "keypoints": slots[p].ravel().tolist(),
            "score": float(SCENE.scores[p]),
            "bbox": SCENE.boxes[p].tolist(),
            "track_id": int(SCENE.ids[p]),
        }
        for p in range(5)
    ]


def coco_images() -> list[dict[str, Any]]:
    return [{"id": 100 + t, "file_name": f"clip/{t:06d}.png", "width": 960, "height": 540} for t in range(NUM_FRAMES)]


def coco_dict() -> dict[str, Any]:
    annotations = coco_results()
    for i, person in enumerate(annotations):
        slots = np.array(person["keypoints"]).reshape(-1, 3)
        person |= {"id": i, "iscrowd": 0, "area": 1.0, "keypoint_scores": slots[:, 2].tolist()}
        slots[:, 2] = 2 * (slots[:, 2] > 0)
        person["keypoints"] = slots.ravel().tolist()
    category = {"id": 1, "name": "person", "keypoints": list(COCO_17.joints), "skeleton": []}
    return {"images": coco_images(), "annotations": annotations, "categories": [category]}


def alphapose(layout: str = "coco_17") -> list[dict[str, Any]]:
    slots = SCENE.slots(LAYOUTS[layout])
    return [
        {
            "image_id": f"{SCENE.frames[p]}.jpg",
            "category_id": 1,
            "keypoints": slots[p].ravel().tolist(),
            "score": 2 + float(SCENE.scores[p]),
            "box": SCENE.boxes[p].tolist(),
            "idx": [float(SCENE.ids[p])],
        }
        for p in range(5)
    ]


def openpose(layout: str = "body_25") -> dict[str, dict[str, Any]]:
    slots = SCENE.slots(LAYOUTS[layout])
    files: dict[str, dict[str, Any]] = {}
    for t in range(NUM_FRAMES):
        people = [
            {
                "person_id": [int(SCENE.ids[p])],
                "pose_keypoints_2d": slots[p].ravel().tolist(),
                "face_keypoints_2d": [],
                "pose_keypoints_3d": [],
            }
            for p in np.flatnonzero(SCENE.frames == t)
        ]
        files[f"clip_{t:012d}_keypoints.json"] = {"version": 1.3, "people": people}
    return files


def mmpose(layout: str = "coco_17") -> list[dict[str, Any]]:
    slots = SCENE.slots(LAYOUTS[layout])
    x, y, w, h = SCENE.boxes.T
    corners = np.stack([x, y, x + w, y + h], axis=1)
    return [
        {
            "frame_id": t,
            "instances": [
                {
                    "keypoints": slots[p, :, :2].tolist(),
                    "keypoint_scores": slots[p, :, 2].tolist(),
                    "bbox": [corners[p].tolist()],
                    "bbox_score": float(SCENE.scores[p]),
                    "track_id": int(SCENE.ids[p]),
                }
                for p in np.flatnonzero(SCENE.frames == t)
            ],
        }
        for t in range(NUM_FRAMES)
    ]


def mmpose_demo() -> dict[str, Any]:
    frames = [{**frame, "frame_id": frame["frame_id"] + 1} for frame in mmpose()]
    names = {str(k): name for k, name in enumerate(COCO_17.joints)}
    return {"meta_info": {"dataset_name": "coco", "keypoint_id2name": names}, "instance_info": frames}


DLC_PARTS = ("Nose", "LShoulder", "RShoulder", *(j for j in COCO_17.joints[1:] if "shoulder" not in j), "tail")


def _named(part: str) -> np.ndarray:
    name = {"Nose": "nose", "LShoulder": "left_shoulder", "RShoulder": "right_shoulder"}.get(part, part)
    return SCENE.joints[name] if name in SCENE.joints else SCENE.joints["nose"] + 9


def as_csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def deeplabcut() -> str:
    columns = [(person, part, coord) for person in (0, 1) for part in DLC_PARTS for coord in ("x", "y", "likelihood")]
    header = [
        ["scorer", *["DLC_resnet50"] * len(columns)],
        ["individuals", *(f"ind{person + 1}" for person, _, _ in columns)],
        ["bodyparts", *(part for _, part, _ in columns)],
        ["coords", *(coord for _, _, coord in columns)],
    ]
    lines = []
    for t in range(NUM_FRAMES):
        line: list[Any] = [t]
        for person, part, coord in columns:
            at = np.flatnonzero((SCENE.frames == t) & (SCENE.ids == person))
            values = _named(part)[at[0]] if len(at) else np.zeros(3)
            line.append(values[("x", "y", "likelihood").index(coord)] if values.any() else "")
        lines.append(line)
    return as_csv(header + lines)


def sleap_csv() -> str:
    header = ["track", "frame_idx", "instance.score"]
    header += [f"{part}.{end}" for part in DLC_PARTS for end in ("x", "y", "score")]
    rows: list[list[Any]] = [header]
    for p in range(5):
        joints = [_named(part)[p] for part in DLC_PARTS]
        cells = [cell for joint in joints for cell in (joint if joint.any() else ["", "", ""])]
        rows.append([f"track_{SCENE.ids[p]}", SCENE.frames[p], SCENE.scores[p], *cells])
    return as_csv(rows)


def sleap_h5(path: Path) -> Path:
    tracks = np.full((2, 2, len(DLC_PARTS), NUM_FRAMES), np.nan)
    point_scores = np.full((2, len(DLC_PARTS), NUM_FRAMES), np.nan)
    instance_scores = np.full((2, NUM_FRAMES), np.nan)
    for p in range(5):
        person, t = SCENE.ids[p], SCENE.frames[p]
        joints = np.array([_named(part)[p] for part in DLC_PARTS])
        joints[(joints == 0).all(axis=1)] = np.nan
        tracks[person, :, :, t], point_scores[person, :, t] = joints[:, :2].T, joints[:, 2]
        instance_scores[person, t] = SCENE.scores[p]
    with h5py.File(path, "w") as file:
        file["tracks"], file["point_scores"], file["instance_scores"] = tracks, point_scores, instance_scores
        file["track_occupancy"] = np.isfinite(tracks).any(axis=(1, 2)).T
        file["node_names"] = np.array([part.encode() for part in DLC_PARTS])
        file["track_names"] = np.array([b"track_0", b"track_1"])
    return path


def saved(path: Path, content: Any) -> Path:
    """JSON, text, or a folder of JSON."""
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, dict) and all(name.endswith(".json") for name in content):
        path.mkdir(parents=True)
        for name, part in content.items():
            saved(path / name, part)
    else:
        path.write_text(json.dumps(content))
    return path


# What stands in the file -> the tool it is of, a file name for it, and its content.
FORMATS: dict[str, tuple[str, str, Callable[[], Any]]] = {
    "coco results": ("coco", "clip.json", coco_results),
    "coco": ("coco", "clip.json", coco_dict),
    "alphapose": ("alphapose", "clip.json", alphapose),
    "alphapose halpe": ("alphapose", "clip.json", lambda: alphapose("halpe_26")),
    "alphapose 136": ("alphapose", "clip.json", lambda: alphapose("halpe_136")),
    "openpose": ("openpose", "clip", openpose),
    "openpose coco": ("openpose", "clip", lambda: openpose("openpose_18")),
    "mmpose": ("mmpose", "clip.json", mmpose),
    "mmpose demo": ("mmpose", "clip.json", mmpose_demo),
    "deeplabcut": ("deeplabcut", "clip.csv", deeplabcut),
    "sleap csv": ("sleap", "clip.csv", sleap_csv),
    "sleap h5": ("sleap", "clip.h5", lambda: None),
}
HAVE_NECK = {"alphapose halpe", "alphapose 136", "openpose", "openpose coco"}


def source(tmp_path: Path, format: str) -> tuple[str, Path]:
    tool, name, content = FORMATS[format]
    path = tmp_path / name
    return tool, sleap_h5(path) if name.endswith(".h5") else saved(path, content())


def the_clip(tmp_path: Path, format: str, images: Path | None = None) -> Clip:
    tool, path = source(tmp_path, format)
    return read(tool, path, images)


def read(tool: str, path: Path, images: Path | None = None, joints: str | None = None) -> Clip:
    (clip,) = READERS[tool](path, read_images(images) if images else None, joints)
    return clip


def expected() -> tuple[np.ndarray, np.ndarray]:
    slots = SCENE.slots(COCO_17.joints)
    slots[(slots == 0).all(axis=2)] = [np.nan, np.nan, 0]
    return coco_to_posetrack(slots[:, :, :2], slots[:, :, 2])


def changed(content: Any, change: Callable[[Any], object]) -> Any:
    content = json.loads(json.dumps(content))
    change(content)
    return content


def put(key: Any, value: Any) -> Callable[[Any], None]:
    return lambda content: content.__setitem__(key, value)


def at(*steps: Any) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    def inside(change: Callable[[Any], None]) -> Callable[[Any], None]:
        def apply(content: Any) -> None:
            for step in steps:
                content = content[step]
            change(content)

        return apply

    return inside
