"""Association on two real sequences of MOT15, TUD-Campus and TUD-Stadtmitte: boxes without joints.

The package `motmetrics` contains both as examples: gt.txt, and test.txt with the output of a tracker. Two inputs are
made of them. `clips`: the tracker's boxes without its ids; all get the score 0.9, as the files have none.
`noisy_clips`: the annotated boxes of people who really walked there, with invented errors of a detector, from several
seeds, because 250 frames alone decide little. Leal-Taixé et al., 2015.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.sequences import Sequence, SequenceTracker
from eval_posetrack.formats.clip import Clip
from posetrail.poses import Poses, TrackedPoses
from posetrail.similarity import box_iou, covered_share
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


def noisy_clips(exact: Many[BoxClip], seeds: Many[int]) -> list[BoxClip]:
    """The annotated boxes of these clips with the errors of a detector, once for each seed.

    Boxes that people in front cover are missed, others in bursts; the rest jitter, and some boxes are false.
    """
    made = []
    for clip in exact:
        for seed in seeds:
            rng = np.random.default_rng([5, seed, len(clip.ground_truth)])
            frames = _detected(clip.ground_truth, clip.sequence.size, rng)
            name = f"{clip.sequence.name}-{seed}"
            sequence = replace(clip.sequence, name=name, frames=frames, joints=[poses for poses, _ in frames])
            made.append(BoxClip(sequence, clip.ground_truth))
    return made


def _detected(
    ground_truth: Many[tuple[np.ndarray, np.ndarray]], size: tuple[int, int], rng: np.random.Generator
) -> list[tuple[Poses, float]]:
    """What a detector might find: poses without joints, and seconds, of every frame."""
    missed_until: dict[int, int] = {}
    error: dict[int, np.ndarray] = {}
    ghosts: list[tuple[int, np.ndarray, float]] = []  # last frame, box and score of false detections that stay
    frames = []
    for t, (ids, boxes) in enumerate(ground_truth):
        found, scores = [], []
        for i, box in zip(ids.tolist(), boxes, strict=True):
            in_front = boxes[(boxes[:, 3] > box[3] + 1) & (ids != i)]
            covered = float(covered_share(box[None], in_front)[0])
            if t > missed_until.get(i, -1) and rng.random() < 0.02 + 0.12 * (covered > 0.3):
                missed_until[i] = t + rng.geometric(0.3) - 1
            error[i] = 0.8 * error.get(i, np.zeros(4)) + 0.6 * rng.normal(0, 0.05, 4)
            if t > missed_until.get(i, -1) and rng.random() > 1.4 * (covered - 0.3):
                sides = np.tile(box[2:] - box[:2], 2)
                found.append(box + sides * (error[i] + 0.02 * rng.normal(0, 1, 4)))
                scores.append(1 / (1 + np.exp(-(2.0 - 2.5 * covered + rng.normal(0, 0.7)))))
        if rng.random() < 0.06 and len(boxes):
            shape = boxes[rng.integers(len(boxes))]
            shift = np.tile(rng.random(2) * size - (shape[:2] + shape[2:]) / 2, 2)
            ghosts.append((t + rng.geometric(0.4), shape + shift, rng.uniform(0.3, 0.7)))
        ghosts = [each for each in ghosts if each[0] >= t]
        found += [box + rng.normal(0, 2, 4) for _, box, _ in ghosts]
        scores += [score for _, _, score in ghosts]
        order = rng.permutation(len(found))
        frames.append((_poses(np.reshape(found, (-1, 4))[order], np.array(scores)[order]), t / RATE_HZ))
    return frames


def _poses(boxes: np.ndarray, scores: np.ndarray) -> Poses:
    """Poses without joints."""
    N, K = len(boxes), len(COCO_17)
    return Poses(np.full((N, K, 2), np.nan), np.zeros((N, K)), boxes, scores, np.zeros(N))


def _clip(name: str, ground_truth: str, predicted: str) -> BoxClip:
    true, seen = (np.array([line.split(",") for line in text.split()], float) for text in (ground_truth, predicted))
    T = int(max(true[:, 0].max(), seen[:, 0].max()))
    rng = np.random.default_rng(0)
    frames, people = [], []
    for frame in range(1, T + 1):
        rows = rng.permutation(seen[seen[:, 0] == frame])
        frames.append((_poses(_corners(rows), np.full(len(rows), 0.9)), (frame - 1) / RATE_HZ))
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
