"""Drawn stick figures with COCO's joints: data on which a training shows within a minute whether it learns.

Limbs are coloured by kind (upper arm, lower arm, ...), never by side, so that the mirror image of a figure is another
valid figure. Which side is left follows from the torso: red from the front, blue from behind.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from posetrail.frame import Image
from posetrail.skeletons import COCO_17

_ARM, _LEG = (1.4, 1.3), (1.9, 1.9)  # upper and lower limb, head heights
_SHOULDER, _HIP = 0.95, 0.55  # half widths seen from the front
_TORSO = 2.4
_COLOURS = {
    "upper_arm": (240, 200, 60),
    "lower_arm": (90, 220, 90),
    "upper_leg": (220, 90, 220),
    "lower_leg": (90, 220, 230),
}
_FRONT, _BACK, _SKIN, _DARK = (215, 50, 45), (50, 70, 215), (235, 195, 165), (25, 20, 20)


def draw_figures(
    number: int, seed: int, size: tuple[int, int] = (72, 96), *, skip: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw figures, one in each image.

    Args:
        number: of figures.
        seed: figure i of a seed is always the same one.
        size: width and height of the images, pixels.
        skip: number of figures of this seed to leave out before the first one.

    Returns:
        images (N, H, W, 3) uint8 RGB; keypoints (N, 17, 2) float32 pixels; visibility (N, 17) uint8, 1 where a joint
        of the face is hidden, else 2.
    """
    drawn = [draw_figure(np.random.default_rng([seed, skip + i]), size) for i in range(number)]
    images, keypoints, visibility = (np.array(each) for each in zip(*drawn, strict=True))
    return images, keypoints.astype(np.float32), visibility.astype(np.uint8)


def draw_figure(rng: np.random.Generator, size: tuple[int, int] = (72, 96)) -> tuple[Image, np.ndarray, np.ndarray]:
    """Draw one figure that fills the image: image (H, W, 3), keypoints (17, 2) in pixels, visibility (17,)."""
    width, height = size
    joints, from_front = pose(rng)
    turn = rng.normal(0, 0.25)
    joints = joints @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    low, high = joints.min(0) - 0.7, joints.max(0) + 0.5
    scale = rng.uniform(0.8, 0.95) * min(width / (high - low)[0], height / (high - low)[1])
    free = np.array(size) - (high - low) * scale
    keypoints = (joints - low) * scale + free * rng.uniform(0, 1, 2)
    image = background(rng, size)
    paint(image, keypoints, scale, from_front, rng)
    visibility = np.full(17, 2)
    if not from_front:
        visibility[:3] = 1  # nose and eyes
    return image, keypoints, visibility


def pose(rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """A random pose: joints (17, 2) in head heights, y down, and whether it is seen from the front."""
    from_front = bool(rng.random() < 0.75)
    side = 1 if from_front else -1  # from the front, the left side of the body is on the right of the image
    wide = rng.uniform(0.55, 1.0)
    angles = []
    for sign in (side, -side):
        first = rng.uniform(-np.pi, np.pi)
        second = first + rng.normal(0, 0.9)
        thigh = rng.normal(0.15 * sign, 0.45)
        angles.append((first, second, thigh, thigh + rng.normal(0, 0.35)))
    return joints_of(angles[0], angles[1], wide=wide, from_front=from_front), from_front


Angles = tuple[float, float, float, float]
"""Upper arm, lower arm, thigh and shin against a line that hangs down, radians; positive to the right of the image."""


def joints_of(left: Angles, right: Angles, *, wide: float = 0.8, from_front: bool = True) -> np.ndarray:
    """Joints (17, 2) in head heights, y down, of a figure with these angles.

    Args:
        left: of its left side.
        right: of its right side.
        wide: width of the shoulders and hips, 1 when seen straight from the front.
        from_front: seen from the front, or from behind.
    """
    side = 1 if from_front else -1
    at: dict[str, Any] = {"nose": (0.0, -0.55)}
    for name, sign, (first, second, thigh, shin) in (("left", side, left), ("right", -side, right)):
        at[f"{name}_eye"] = (0.2 * sign * wide, -0.7)
        at[f"{name}_ear"] = (0.42 * sign, -0.6)
        shoulder, hip = np.array([_SHOULDER * sign * wide, 0.35]), np.array([_HIP * sign * wide, 0.35 + _TORSO])
        elbow = shoulder + _ARM[0] * np.array([np.sin(first), np.cos(first)])
        knee = hip + _LEG[0] * np.array([np.sin(thigh), np.cos(thigh)])
        at |= {
            f"{name}_shoulder": shoulder,
            f"{name}_elbow": elbow,
            f"{name}_wrist": elbow + _ARM[1] * np.array([np.sin(second), np.cos(second)]),
            f"{name}_hip": hip,
            f"{name}_knee": knee,
            f"{name}_ankle": knee + _LEG[1] * np.array([np.sin(shin), np.cos(shin)]),
        }
    return np.array([at[joint] for joint in COCO_17.joints], float)


def background(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    """Blurred noise, (H, W, 3) uint8."""
    noise = rng.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3.0).astype(np.float32)
    return np.clip((blurred - 128) * 3 + 128, 0, 255).astype(np.uint8)


def paint(image: Image, keypoints: np.ndarray, scale: float, from_front: bool, rng: np.random.Generator) -> None:
    """Paint a figure onto an image.

    Args:
        image: changed in place.
        keypoints: (17, 2) pixels.
        scale: pixels of a head height.
        from_front: how it is seen.
        rng: decides which limbs lie in front.
    """
    at = dict(zip(COCO_17.joints, keypoints, strict=True))
    corners = [at[name] for name in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]
    parts = [("torso", np.array(corners))]
    for side in ("left", "right"):
        for kind, ends in (
            ("upper_arm", ("shoulder", "elbow")),
            ("lower_arm", ("elbow", "wrist")),
            ("upper_leg", ("hip", "knee")),
            ("lower_leg", ("knee", "ankle")),
        ):
            parts.append((kind, np.array([at[f"{side}_{end}"] for end in ends])))
    thickness = max(1, round(0.32 * scale))
    for i in rng.permutation(len(parts)):
        kind, points = parts[i]
        fixed = np.round(points * 16).astype(np.int32)
        if kind == "torso":
            cv2.fillConvexPoly(image, fixed, _FRONT if from_front else _BACK, cv2.LINE_AA, 4)
        else:
            cv2.line(
                image, tuple(fixed[0].tolist()), tuple(fixed[1].tolist()), _COLOURS[kind], thickness, cv2.LINE_AA, 4
            )
    _disc(image, (at["left_ear"] + at["right_ear"]) / 2, 0.5 * scale, _SKIN)
    for name in ("left_ear", "right_ear"):
        _disc(image, at[name], 0.13 * scale, _COLOURS["upper_arm"])
    if from_front:
        for name in ("left_eye", "right_eye", "nose"):
            _disc(image, at[name], 0.09 * scale, _DARK if name != "nose" else _FRONT)


def _disc(image: Image, centre: np.ndarray, radius: float, colour: tuple[int, int, int]) -> None:
    x, y = np.round(centre * 16).astype(int).tolist()
    cv2.circle(image, (x, y), max(round(radius * 16), 12), colour, -1, cv2.LINE_AA, 4)
