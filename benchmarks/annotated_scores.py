"""Scores of poses on annotated people as papers on single persons report them: PCKh, PDJ, areas under curves, PCP.

Each annotated person is compared with the pose whose box has the highest IoU; without one, all joints are missed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval_posetrack.metrics.single_person import single_person_figures
from posetrail.poses import Poses
from posetrail.similarity import box_iou
from posetrail.skeletons import MPII_16
from training.samples import Samples

NOT_IN_PCKH = [MPII_16.index("pelvis"), MPII_16.index("thorax")]
"""Joints that MPII's PCKh leaves out."""


def nearest_poses(data: Samples, predictions: Sequence[Poses]) -> np.ndarray:
    """(N, K, 2) pixels: of each annotated person the joints of the pose in its place, NaN where there is none."""
    keypoints = np.full(data.keypoints.shape, np.nan)
    for p, (i, box) in enumerate(zip(data.image_rows, data.boxes, strict=True)):
        iou = box_iou(box[None], predictions[i].boxes)[0]
        if iou.max(initial=0) > 0:
            keypoints[p] = predictions[i].keypoints[iou.argmax()]
    return keypoints


def single_person(data: Samples, predictions: Sequence[Poses]) -> dict[str, float]:
    """`eval_posetrack.metrics.single_person.single_person_figures` of all usable people, in percent."""
    rows = data.usable
    found, ground_truth = nearest_poses(data, predictions)[rows], data.keypoints[rows].astype(float)
    if data.name == "mpii":
        ground_truth[:, NOT_IN_PCKH] = np.nan
    return single_person_figures(found, ground_truth, data.skeleton, data.head_sizes[rows])
