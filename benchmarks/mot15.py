"""Association on two real sequences of MOT15, TUD-Campus and TUD-Stadtmitte: boxes without joints.

The package `motmetrics` contains both as examples: gt.txt, and test.txt with the output of a tracker. Its boxes,
without its ids, are the input here; all get the score 0.9, as the files have none. Leal-Taixé et al., 2015.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence as Many
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.sequences import Sequence, SequenceTracker
from eval_posetrack.formats.clip import Clip
from posetrail.poses import Poses, TrackedPoses
from posetrail.similarity import box_iou
from posetrail.skeletons import COCO_17

CLIPS = ("TUD-Campus", "TUD-Stadtmitte")
RATE_HZ = 25.0
MIN_IOU = 0.5
_READ = """
import json, pathlib, motmetrics
data = pathlib.Path(motmetrics.__file__).parent / "data"
names = [f"{clip}/{name}" for clip in %r for name in ("gt.txt", "test.txt")]
print(json.dumps({name: (data / name).read_text() for name in names}))
"""


@dataclass(frozen=True)
class BoxRow:
    """Figures of one tracker over both clips, boxes matched at an IoU of 0.5."""

    mota: float
    idf1: float
    switches: int

    TITLES = ("MOTA", "IDF1", "switches")

    def cells(self) -> tuple[str, ...]:
        """The figures as text, in the order of TITLES."""
        return f"{self.mota:.1f}", f"{self.idf1:.1f}", str(self.switches)


@dataclass(frozen=True, eq=False)
class BoxClip:
    """A clip and its annotated boxes."""

    sequence: Sequence
    ground_truth: list[tuple[np.ndarray, np.ndarray]]  # of each frame: ids (N,), boxes (N, 4)


def clips() -> list[BoxClip]:
    """Both clips; the package is installed into an environment of its own."""
    command = ["uv", "run", "--quiet", "--no-project", "--isolated", "--with", "motmetrics==1.4.0", "python", "-c"]
    texts = json.loads(subprocess.run([*command, _READ % (CLIPS,)], check=True, capture_output=True, text=True).stdout)
    return [_clip(name, texts[f"{name}/gt.txt"], texts[f"{name}/test.txt"]) for name in CLIPS]


def _clip(name: str, ground_truth: str, predicted: str) -> BoxClip:
    true, seen = (np.array([line.split(",") for line in text.split()], float) for text in (ground_truth, predicted))
    T = int(max(true[:, 0].max(), seen[:, 0].max()))
    rng = np.random.default_rng(0)
    frames, people = [], []
    for frame in range(1, T + 1):
        rows = rng.permutation(seen[seen[:, 0] == frame])
        N, K = len(rows), len(COCO_17)
        poses = Poses(np.full((N, K, 2), np.nan), np.zeros((N, K)), _corners(rows), np.full(N, 0.9), np.zeros(N))
        frames.append((poses, (frame - 1) / RATE_HZ))
        rows = true[true[:, 0] == frame]
        people.append((rows[:, 1].astype(int), _corners(rows)))
    camera = np.tile(np.eye(2, 3), (T, 1, 1))
    return BoxClip(
        Sequence(name, frames, _without_people(name, T), camera, (640, 480), [poses for poses, _ in frames]), people
    )


def _corners(rows: np.ndarray) -> np.ndarray:
    """X y width height at columns 2 to 5 -> x1 y1 x2 y2."""
    return np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)


def _without_people(name: str, T: int) -> Clip:
    none = np.zeros(0)
    four, joints = np.zeros((0, 4)), np.zeros((0, 15))
    return Clip(
        name=name,
        image_names=tuple(f"{t:06d}.jpg" for t in range(T)),
        frames=none,
        track_ids=none,
        scores=none,
        keypoints=np.zeros((0, 15, 2)),
        keypoint_scores=joints,
        boxes=four,
        head_boxes=four,
        ignore_regions=((),) * T,
        labeled=np.ones(T, bool),
    )


def score(clips: Many[BoxClip], tracker: SequenceTracker) -> BoxRow:
    """CLEAR MOT (Bernardin and Stiefelhagen 2008) and IDF1 (Ristani 2016) over both clips together."""
    counted = np.sum([count(clip.ground_truth, tracker(clip.sequence)) for clip in clips], axis=0)
    annotated, predicted, matched, switches, identified = counted
    errors = annotated - matched + predicted - matched + switches
    return BoxRow(100 * (1 - errors / annotated), 200 * identified / (annotated + predicted), int(switches))


def count(
    ground_truth: Many[tuple[np.ndarray, np.ndarray]], tracked: Many[TrackedPoses]
) -> tuple[int, int, int, int, int]:
    """Annotated boxes, found ones, matches, switches, and boxes followed by the partner of their track."""
    matched = switches = 0
    last: dict[int, int] = {}
    together: dict[tuple[int, int], int] = {}
    for (ids, boxes), frame in zip(ground_truth, tracked, strict=True):
        overlap = box_iou(boxes, frame.poses.boxes)
        for t, f in np.argwhere(overlap >= MIN_IOU):
            pair = int(ids[t]), int(frame.track_ids[f])
            together[pair] = together.get(pair, 0) + 1
        # Pairs of the last frame are kept where possible; then as many pairs as possible, by IoU.
        kept = np.array([[last.get(int(t)) == f for f in frame.track_ids] for t in ids], bool).reshape(overlap.shape)
        gain = np.where(overlap >= MIN_IOU, 100 + overlap + 1000 * kept, 0)
        for t, f in zip(*linear_sum_assignment(gain, maximize=True), strict=True):
            if gain[t, f]:
                matched += 1
                switches += last.get(int(ids[t]), frame.track_ids[f]) != frame.track_ids[f]
                last[int(ids[t])] = int(frame.track_ids[f])
    annotated, predicted = sum(len(ids) for ids, _ in ground_truth), sum(map(len, tracked))
    return annotated, predicted, matched, int(switches), _identified(together)


def _identified(together: dict[tuple[int, int], int]) -> int:
    """True positives of identity: the most frames in which tracks, paired one to one, agree."""
    if not together:
        return 0
    pairs = np.array(list(together))
    (_, rows), (_, columns) = (np.unique(pairs[:, side], return_inverse=True) for side in (0, 1))
    table = np.zeros((rows.max() + 1, columns.max() + 1), int)
    table[rows, columns] = list(together.values())
    return int(table[linear_sum_assignment(table, maximize=True)].sum())
