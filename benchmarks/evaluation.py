"""Speed of the evaluation: seconds per 1000 frames by people per frame, compared with the official kits.

    uv run python -m benchmarks.evaluation --frames 1000 --repeats 3

The scene is synthetic: people on straight lines who cross, and predictions with noise, misses, false people and new ids
every 50 frames. Times are of one process, including reading both files, best of the repeats.
The official seconds were measured on one core with the kits of 2018 (AP, MOTA) and PoseTrack21 (HOTA).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from eval_posetrack.evaluation import evaluate
from eval_posetrack.formats.files import Clip, write_clip

PEOPLE = (5, 20, 100)
OFFICIAL_S = {("AP", "MOT"): {5: 7.7, 20: 67.0, 100: 860.0}, ("HOTA",): {20: 32.0, 100: 291.0}}
ALL = ("AP", "MOT", "IDF1", "HOTA", "OKS", "PCK")
HEIGHT_PX = 180.0
NOISE_PX = 5.0
MISSED, FALSE = 0.1, 0.05


def scene(people: int, frames: int, seed: int = 0) -> tuple[Clip, Clip]:
    """Ground truth and predictions; the area grows with the number of people, so that their density is the same."""
    rng = np.random.default_rng(seed)
    side = 350 * np.sqrt(people)
    body = rng.uniform(-0.5, 0.5, (15, 2)) * [0.4 * HEIGHT_PX, HEIGHT_PX]
    start, step = rng.uniform(0, side, (people, 2)), rng.normal(0, 3, (people, 2))
    middle = np.abs((start + step * np.arange(frames)[:, None, None] + side) % (2 * side) - side).reshape(-1, 2)
    frame, track = (grid.ravel() for grid in np.meshgrid(np.arange(frames), np.arange(people), indexing="ij"))
    keypoints = body + middle[:, None] + 200
    ground_truth = clip(frames, frame, track, keypoints, middle + 200, None)

    predicted = keypoints + rng.normal(0, NOISE_PX, keypoints.shape)
    predicted[rng.random(len(predicted)) < FALSE] += side / 2
    kept = rng.random(len(predicted)) > MISSED
    ids = track + people * (frame // 50)
    return ground_truth, clip(frames, frame[kept], ids[kept], predicted[kept], (middle + 200)[kept], rng)


def clip(
    frames: int,
    frame: np.ndarray,
    ids: np.ndarray,
    keypoints: np.ndarray,
    middle: np.ndarray,
    rng: np.random.Generator | None,
) -> Clip:
    """People as a clip, with random scores if `rng` is given."""
    n = len(frame)
    low, high = keypoints.min(axis=1), keypoints.max(axis=1)
    return Clip(
        name="scene",
        image_names=tuple(f"images/scene/{t:06d}.jpg" for t in range(frames)),
        frames=frame,
        track_ids=ids,
        scores=np.full(n, np.nan) if rng is None else rng.random(n),
        keypoints=np.round(keypoints, 2),
        keypoint_scores=np.full((n, 15), np.nan) if rng is None else np.round(rng.random((n, 15)), 4),
        boxes=np.concatenate([low, high], axis=1),
        head_boxes=np.concatenate([middle - 12, middle + np.array([12, 20])], axis=1),
        ignore_regions=((),) * frames,
        labeled=np.ones(frames, bool),
    )


def best_of(repeats: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def seconds(people: int, frames: int, repeats: int, metrics: tuple[str, ...]) -> float:
    """Seconds from files to figures, in exact mode."""
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f"{side}.json" for side in ("ground_truth", "predictions")]
        for path, each in zip(paths, scene(people, frames), strict=True):
            write_clip(each, path)
        return best_of(repeats, lambda: evaluate(*paths, mode="exact", metrics=metrics).total)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    print("| people per frame | metrics | s per 1000 frames | official kit | speed-up |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for metrics in (*OFFICIAL_S, ALL):
        for people in PEOPLE:
            ours = seconds(people, options.frames, options.repeats, metrics) * 1000 / options.frames
            official = OFFICIAL_S.get(metrics, {}).get(people)
            beside = f"{official:.1f} | {official / ours:.0f}" if official else "- | -"
            print(f"| {people} | {' '.join(metrics)} | {ours:.3f} | {beside} |", flush=True)

    print("\n| frames | s, all metrics, 5 people | ms per frame |")
    print("| ---: | ---: | ---: |")
    for frames in (500, 1000, 2000, 4000):
        ours = seconds(5, frames, options.repeats, ALL)
        print(f"| {frames} | {ours:.2f} | {1000 * ours / frames:.2f} |", flush=True)


if __name__ == "__main__":
    main()
