"""What is drawn of a skeleton: its limbs and joints, which side they are on, and how wide they are.

Hands and the points of faces are dense: their lines and dots are as thin as the part is small in the picture, and a
part of a few pixels, which would be a blot, is left out. Where the points of a face are drawn, the lines to nose, eyes,
ears and the top of the head, which would cover them, are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetrail.skeletons import Skeleton

LEFT, MIDDLE, RIGHT = 0, 1, 2
HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top")
_FACE = 3  # of Skeleton.part
_SMALLEST_PX = (0.0, 12.0, 12.0, 30.0)  # side of the box around a hand or, last, a face: smaller ones are not drawn ...
_SMALLEST_WITH_DOTS_PX = (0.0, 48.0, 48.0, 200.0)  # ... have no dots ...
_SMALLEST_WITH_RIM_PX = (0.0, 60.0, 60.0, 30.0)  # ... and no dark rim
_LINES_PER_SIDE = 50.0  # a line of a dense part is as wide as this share of the part ...
_MOST_OF_PEN = 0.45  # ... but no wider than this share of a limb


@dataclass(frozen=True, eq=False)
class Bones:
    """Limbs, and joints as limbs from a joint to itself; a neck where the skeleton has none."""

    ends: np.ndarray  # (E, 2) positions of joints; the neck's foot comes after the skeleton's K joints
    shades: np.ndarray  # (E,) LEFT, MIDDLE or RIGHT
    on_head: np.ndarray  # (E,) bool
    is_joint: np.ndarray  # (E,) bool
    part: np.ndarray  # (E,) as Skeleton.part
    part_of_joint: np.ndarray  # (K + 1,)

    def widths(self, points: np.ndarray, opacities: np.ndarray, pen: float) -> tuple[np.ndarray, np.ndarray]:
        """Widths of lines and of the rims around them (E,) in pixels; a width of 0 is not drawn.

        Args:
            points: (K + 1, 2) pixels.
            opacities: (K + 1,) 0 where a joint is not drawn.
            pen: width of a limb, pixels.
        """
        widths = pen * np.where(self.is_joint, np.where(self.on_head, 0.9, 1.9), np.where(self.on_head, 0.5, 1.0))
        rims = np.full(len(widths), max(1.0, 0.35 * pen))
        for part in range(1, _FACE + 1):
            here, shown = self.part == part, (self.part_of_joint == part) & (opacities > 0)
            side = float(np.ptp(points[shown], axis=0).max()) if shown.any() else 0.0
            line = min(side / _LINES_PER_SIDE, _MOST_OF_PEN * pen)
            dot = 1.8 * line if side >= _SMALLEST_WITH_DOTS_PX[part] else 0.0
            visible = side >= _SMALLEST_PX[part]
            widths[here] = np.where(self.is_joint[here], dot, max(line, 1.0)) * visible
            rims[here] = 1.0 if side >= _SMALLEST_WITH_RIM_PX[part] else 0.0
            if visible and part == _FACE:
                widths[self.on_head] = 0.0
        return widths, rims


def bones(skeleton: Skeleton) -> Bones:
    """The lines of a skeleton."""
    K = len(skeleton)
    joints = (*skeleton.joints, "")
    side = np.array([_side(joint) for joint in joints])
    part = np.append(skeleton.part, 0)
    limbs = skeleton.limb_indices
    if not {"neck", "head_bottom"} & set(skeleton.joints) and "nose" in skeleton.joints:
        limbs = np.concatenate([limbs, [[skeleton.index("nose"), K]]])
    ends = np.concatenate([limbs, np.repeat(np.arange(K)[:, None], 2, axis=1)])
    on_head = np.array([joint in HEAD for joint in joints])
    return Bones(
        ends=ends,
        shades=MIDDLE + np.sign(side[ends].sum(axis=1)),
        on_head=on_head[ends].any(axis=1),
        is_joint=ends[:, 0] == ends[:, 1],
        part=np.where(part[ends].all(axis=1), part[ends].max(axis=1), 0),
        part_of_joint=part,
    )


def _side(joint: str) -> int:
    return {"left": LEFT, "right": RIGHT}.get(joint.partition("_")[0], MIDDLE) - MIDDLE
