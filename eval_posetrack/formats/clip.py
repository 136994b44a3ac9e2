"""One PoseTrack sequence as flat arrays, whichever format version its file has."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np

from posetrail.skeletons import POSETRACK_15

LARGEST_TRACK_ID = 9999  # larger ones are refused by the official kit
NO_SCORE = -9999.0  # what the official kit uses where a file gives no score


@dataclass(frozen=True, eq=False, kw_only=True)
class Clip:
    """One PoseTrack sequence: T frames, and the people of all frames as P rows in frame order.

    Raises:
        ValueError: an array has another shape than documented here, or `frames` decreases.
    """

    name: str  # the file's stem; ground truth and predictions pair by it
    image_names: tuple[str, ...]  # (T,) file_name of every frame, as in the file
    frames: np.ndarray  # (P,) int64: position in image_names, non-decreasing
    track_ids: np.ndarray  # (P,) int64, -1 where the file gives none
    scores: np.ndarray  # (P,) float32: of the person; NaN where the file gives none
    keypoints: np.ndarray  # (P, 15, 2) float64 x y pixels, order of POSETRACK_15; NaN where missing
    keypoint_scores: np.ndarray  # (P, 15) float64; NaN where the joint is missing or the file gives none
    boxes: np.ndarray  # (P, 4) float64 x1 y1 x2 y2 pixels; NaN where the file gives none
    head_boxes: np.ndarray  # (P, 4) float64 x1 y1 x2 y2 pixels; NaN where the file gives none
    ignore_regions: tuple[tuple[np.ndarray, ...], ...]  # (T,) polygons (V, 2) of every frame
    labeled: np.ndarray  # (T,) bool: an annotator labelled the frame
    interpolated: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (P,) bool: added between detections
    occluded: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (P, 15) bool: labelled, but flagged invisible
    times: np.ndarray | None = None  # (T,) float64 seconds
    version: int = 2018  # of the file it was read from; 2021 scores all labelled frames, with or without people
    notes: tuple[str, ...] = ()  # on content of the file that may affect figures

    def __post_init__(self) -> None:
        people, frames = len(self.frames), len(self.image_names)
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            "frames": (np.int64, (people,)),
            "track_ids": (np.int64, (people,)),
            "scores": (np.float32, (people,)),
            "keypoints": (np.float64, (people, len(POSETRACK_15), 2)),
            "keypoint_scores": (np.float64, (people, len(POSETRACK_15))),
            "boxes": (np.float64, (people, 4)),
            "head_boxes": (np.float64, (people, 4)),
            "interpolated": (np.bool_, (people,)),
            "occluded": (np.bool_, (people, len(POSETRACK_15))),
            "labeled": (np.bool_, (frames,)),
        }
        for name in ("interpolated", "occluded"):
            if np.size(getattr(self, name)) == 0:
                object.__setattr__(self, name, np.zeros(shapes[name][1]))
        if self.times is not None:
            shapes["times"] = (np.float64, (frames,))
        for name, (dtype, shape) in shapes.items():
            value: np.ndarray = np.asarray(getattr(self, name), dtype)
            if value.shape != shape:
                raise ValueError(f"Clip.{name}: expected shape {shape}, got {value.shape}")
            object.__setattr__(self, name, value)
        if len(self.ignore_regions) != frames:
            raise ValueError(
                f"Clip.ignore_regions: expected {frames} entries, one for each frame, got {len(self.ignore_regions)}"
            )
        if people and (self.frames[0] < 0 or self.frames[-1] >= frames or (np.diff(self.frames) < 0).any()):
            raise ValueError(f"Clip.frames: expected non-decreasing positions in {frames} frames")

    @property
    def num_frames(self) -> int:
        """T, the number of frames."""
        return len(self.image_names)

    def __len__(self) -> int:
        """P, the number of people in all frames together."""
        return len(self.frames)

    def with_people(self, rows: np.ndarray) -> Clip:
        """The same frames with the people of these rows: a mask (P,) or increasing row numbers."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(Clip) if f.name in _OF_PEOPLE})


_OF_PEOPLE = {
    *("frames", "track_ids", "scores", "keypoints", "keypoint_scores", "boxes", "head_boxes", "interpolated"),
    "occluded",
}
