"""Accuracy and speed of an estimator on annotated images.

    uv run python -m benchmarks.estimators --data FOLDER [FOLDER ...]       # movenet_thunder, in annotated boxes
    uv run python -m benchmarks.estimators --data FOLDER --estimator hrnet_w32 --weights FILE --flip-test
    uv run python -m benchmarks.estimators --data FOLDER --detector nanodet # in detected boxes
    uv run python -m benchmarks.estimators --published                      # published scores

A folder is a data set of a format in docs/reference/annotations.md, see `benchmarks.annotated`. The estimator's joints
are converted to those of the data set by `posetrail.joint_mapping`.

AP is computed by pycocotools with the sigmas of the data set's skeleton. PCKh is that of MPII: the share of joints,
without pelvis and thorax, within half a head size, which is 0.6 of the diagonal of the head box; in the list of people,
which has no head boxes, it is the distance from neck to head top. `--single-person` adds a line with PCKh, PDJ, the
areas under their curves, and PCP, see `eval_posetrack.metrics.single_person`. CrowdPose has a line with the AP of easy,
medium and hard images. Of whole bodies, a second table has the figures of each part. Milliseconds are medians over
repeats for the first people.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.annotated import read_annotated
from benchmarks.annotated_scores import NOT_IN_PCKH, nearest_poses, single_person
from detectors import create_detector
from estimators import BOTTOM_UP, create_bottom_up, create_estimator
from estimators.published import PUBLISHED
from eval_posetrack.evaluation_parts import part_table
from eval_posetrack.metrics.clean import in_regions
from eval_posetrack.metrics.crowd import LEVELS, crowd_levels
from eval_posetrack.metrics.image_ap import AnnotatedPeople, PredictedPeople
from eval_posetrack.metrics.parts import part_figures, parts_of
from posetrail.errors import InputError
from posetrail.frame import Frame
from posetrail.joint_mapping import mapped
from posetrail.poses import Detections, Poses
from posetrail.protocols import BottomUp, Detector, Estimator
from posetrail.published import Published
from posetrail.runtime import Runtime, usable_cpus
from posetrail.skeletons import Skeleton
from tracker.inference.bottom_up import people_in_boxes
from training.data.image_files import read_image
from training.data.read import READERS
from training.samples import Samples

TIMED_PEOPLE = 32
FEW_IMAGES = 500
_FAR_AWAY_PX = -1e5  # position of missing joints for pycocotools


class BottomUpInBoxes:
    """A bottom-up network that answers for given boxes, with the person that overlaps each most."""

    def __init__(self, network: BottomUp) -> None:
        self._network = network

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the network."""
        return self._network.skeleton

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """The boxes of the people it finds."""
        return [Detections(people.boxes, people.scores) for people in self._network(frames)]

    def __call__(self, frames: Sequence[Frame], boxes: Sequence[np.ndarray]) -> list[Poses]:
        """One Poses per frame, row i of it for box i."""
        return [people_in_boxes(people, each) for people, each in zip(self._network(frames), boxes, strict=True)]


def find_people(data: Samples, estimator: Estimator, detector: Detector | None = None) -> list[Poses]:
    """The poses found in each image, with the joints of the data set.

    Args:
        data: the images, read one after the other.
        estimator: of the joints.
        detector: of the boxes; the annotated boxes, with score 1, when not given.

    Returns:
        one Poses per image, without people whose centre is in an ignore region.
    """
    predictions = []
    for i, path in enumerate(data.images):
        boxes = data.boxes[(data.image_rows == i) & data.usable]
        if detector is None and len(boxes) == 0:
            predictions.append(Poses.empty(len(data.skeleton)))
            continue
        frame = Frame(i, 0.0, path.name, read_image(path))
        given = detector([frame])[0] if detector else Detections(boxes, np.ones(len(boxes)))
        [poses] = estimator([frame], [given.boxes])
        poses = replace(poses, scores=given.scores)
        keypoints, scores = mapped(poses.keypoints, poses.keypoint_scores, estimator.skeleton, data.skeleton)
        poses = replace(poses, keypoints=keypoints, keypoint_scores=scores)
        predictions.append(_outside(poses, data.ignore_regions[i]) if detector else poses)
    return predictions


def _outside(poses: Poses, regions: tuple[np.ndarray, ...]) -> Poses:
    middles = (poses.boxes[:, :2] + poses.boxes[:, 2:]).astype(float) / 2
    return poses[~in_regions(np.zeros(len(poses), int), middles[:, None], (regions,))[:, 0]]


def average_precision(data: Samples, predictions: Sequence[Poses]) -> dict[str, float]:
    """AP, AP50 and AP75 in percent by pycocotools, with the sigmas of the data set's skeleton.

    Poses without any joint are left out.
    """
    from pycocotools.cocoeval import COCOeval

    predictions = [poses[(poses.keypoint_scores > 0).any(axis=1)] for poses in predictions]
    images = [{"id": i} for i in range(len(data.images))]
    rows = [(i, row) for i, poses in enumerate(predictions) for row in range(len(poses))]
    quality = [poses.quality for poses in predictions]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        coco = COCOeval(
            _as_coco(images, map(_annotation, *_columns(data))),
            _as_coco(images, (_result(predictions[i], row, i, quality[i][row]) for i, row in rows)),
            "keypoints",
        )
        coco.params.kpt_oks_sigmas = np.array(data.skeleton.oks_sigmas)
        coco.evaluate()
        coco.accumulate()
    precision = coco.eval["precision"][:, :, 0, 0, 0]  # thresholds x recalls, of people of all sizes
    return {name: 100 * float(precision[t].mean()) for name, t in (("AP", slice(None)), ("AP50", 0), ("AP75", 5))}


def figures_of_parts(data: Samples, predictions: Sequence[Poses]) -> dict[str, dict[str, float]]:
    """The figures of each part of the data set's skeleton, see `eval_posetrack.metrics.parts`."""
    order = np.argsort(data.image_rows, kind="stable")
    people = data[order]
    truth = AnnotatedPeople(
        people.image_rows.astype(np.int64),
        people.keypoints.astype(float),
        people.boxes.astype(float),
        people.oks_areas.astype(float),
        people.is_crowd,
    )
    found = Poses.concatenate(predictions)
    images = np.repeat(np.arange(len(predictions)), [len(poses) for poses in predictions])
    return part_figures(truth, PredictedPeople(images, found.keypoints.astype(float), found.quality), data.skeleton)


def crowd_ap(data: Samples, predictions: Sequence[Poses]) -> dict[str, float]:
    """AP in images of each level of crowdedness that has people, of CrowdPose; nothing where it is not known."""
    levels = np.where(np.isnan(data.crowd_indices), -1, crowd_levels(data.crowd_indices))
    none = Poses.empty(len(data.skeleton))
    result = {}
    for level, name in enumerate(LEVELS):
        people = data[levels[data.image_rows] == level]
        if len(people):
            there = [poses if own == level else none for poses, own in zip(predictions, levels, strict=True)]
            result[name] = average_precision(people, there)["AP"]
    return result


def _columns(data: Samples) -> Iterable[np.ndarray]:
    return data.image_rows, data.keypoints, data.boxes, data.oks_areas, data.is_crowd


def _annotation(image: int, keypoints: np.ndarray, box: np.ndarray, area: float, crowd: bool) -> dict[str, object]:
    seen = np.isfinite(keypoints).all(axis=1)
    triples = np.concatenate([np.where(seen[:, None], keypoints, 0), 2.0 * seen[:, None]], axis=1)
    return {
        "image_id": int(image),
        "category_id": 1,
        "keypoints": triples.ravel().tolist(),
        "num_keypoints": int(seen.sum()),
        "bbox": [*box[:2], *(box[2:] - box[:2])],
        "area": float(area),
        "iscrowd": int(crowd),
    }


def _result(poses: Poses, row: int, image: int, score: float) -> dict[str, object]:
    keypoints = np.nan_to_num(poses.keypoints[row].astype(float), nan=_FAR_AWAY_PX)
    return {
        "image_id": image,
        "category_id": 1,
        "keypoints": np.insert(keypoints, 2, 1, axis=1).ravel().tolist(),
        "area": float(np.prod(poses.boxes[row, 2:] - poses.boxes[row, :2])),
        "score": float(score),
    }


def _as_coco(images: list[dict[str, int]], people: Iterable[dict[str, object]]) -> object:
    from pycocotools.coco import COCO

    coco = COCO()
    numbered = [
        {**person, "id": number} for number, person in enumerate(people, start=1)
    ]  # pycocotools takes 0 for no match
    coco.dataset = {"images": images, "annotations": numbered, "categories": [{"id": 1, "name": "person"}]}
    coco.createIndex()
    return coco


def pckh(data: Samples, predictions: Sequence[Poses], threshold: float = 0.5) -> float:
    """Percentage of annotated joints within `threshold` head sizes; NaN without annotated heads.

    Each annotated person is compared with the pose whose box has the highest IoU; without one, all joints are missed.
    """
    off = np.linalg.norm(nearest_poses(data, predictions) - data.keypoints, axis=2)
    within = off <= threshold * data.head_sizes[:, None]
    scored = np.isfinite(data.keypoints).all(axis=2) & np.isfinite(data.head_sizes)[:, None]
    scored[:, NOT_IN_PCKH] &= data.name != "mpii"
    return 100 * float(within[scored].mean()) if scored.any() else float("nan")


def ms_per_person(estimator: Estimator, data: Samples, repeats: int) -> float:
    """Median milliseconds per person of one call with the images of the first people."""
    rows = np.flatnonzero(data.usable)[:TIMED_PEOPLE]
    used = list(dict.fromkeys(data.image_rows[rows].tolist()))
    boxes = [data.boxes[rows[data.image_rows[rows] == i]] for i in used]
    frames, times = [Frame(i, 0.0, data.images[i].name, read_image(data.images[i])) for i in used], []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        estimator(frames, boxes)
        times.append(time.perf_counter() - started)
    return 1000 * median(times[1:]) / len(rows)  # the first call warms up


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Print a row of the table for one folder."""
    data = read_annotated(folder, format=options.format, annotations=options.annotations)
    if not data.usable.any():
        raise InputError(f"{folder}: expected annotated people, got none in {len(data.images)} images")
    make = _maker(options)
    times = []
    for threads in dict.fromkeys((1, usable_cpus())):
        with Runtime(options.device, threads) as runtime:
            estimator = make(runtime)
            times.append(ms_per_person(estimator, data, options.repeats))
    with Runtime(options.device) as runtime:
        estimator = make(runtime)
        predictions = find_people(data, estimator, _detector(options, runtime, estimator))
    if data.name == "mpii":
        figures = f"- | - | - | {pckh(data, predictions):.1f}"
    else:
        scores = average_precision(data, predictions)
        figures = f"{scores['AP']:.1f} | {scores['AP50']:.1f} | {scores['AP75']:.1f} | -"
    print(
        f"| {options.estimator} | {options.detector or 'annotated'} | {data.name} | {len(data.images)} | "
        f"{data.usable.sum()} | {figures} | {times[0]:.0f} | {times[-1]:.0f} |",
        flush=True,
    )
    if len(parts_of(data.skeleton)) > 1:
        title = f"{options.estimator} on {data.name}, part by part"
        print(f"\n{part_table(figures_of_parts(data, predictions), title).to_markdown()}")
    lines = {"AP by crowdedness": crowd_ap(data, predictions)}
    if options.single_person:
        lines["single person"] = single_person(data, predictions)
    for title, scored in lines.items():
        if scored:
            print(f"{title}: {', '.join(f'{name} {value:.1f}' for name, value in scored.items())}", file=sys.stderr)
    if len(data.images) < FEW_IMAGES:
        print(f"{folder.name}: {len(data.images)} images make a demonstration, not a benchmark", file=sys.stderr)


def _maker(options: argparse.Namespace) -> Callable[[Runtime], Estimator]:
    given = {"weights": options.weights, "flip_test": options.flip_test or None}
    chosen = {name: value for name, value in given.items() if value is not None}
    if options.estimator in BOTTOM_UP:
        return lambda runtime: BottomUpInBoxes(create_bottom_up(options.estimator, runtime=runtime, **chosen))
    return lambda runtime: create_estimator(options.estimator, runtime=runtime, **chosen)


def _detector(options: argparse.Namespace, runtime: Runtime, estimator: Estimator) -> Detector | None:
    if options.detector is None:
        return None
    if options.detector == "auto" and isinstance(estimator, BottomUpInBoxes):
        return estimator.detect
    name = "nanodet" if options.detector == "auto" else options.detector
    weights = {} if options.detector_weights is None else {"weights": options.detector_weights}
    return create_detector(name, runtime=runtime, **weights)


def published_table() -> str:
    """Published scores of the estimators as a Markdown table with a line for each family and measure."""
    lines = ["| family | published scores | source |", "| --- | --- | --- |"]
    scored = [each for each in PUBLISHED.values() if each.kind == "estimator" and each.scored_by]
    for (family, measure, source), group in groupby(sorted(scored, key=_source_of), key=_source_of):
        scores = ", ".join(f"{each.name} {each.score.partition(' ')[0]}" for each in group)
        lines.append(f"| {family} | {measure}: {scores} | {source} |")
    return "\n".join(lines)


def _source_of(published: Published) -> tuple[str, str, str]:
    return published.family, re.sub(r"^[\d.]+ ", "", published.score), published.scored_by


def main() -> None:
    """Print a table of measured or of published scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", type=Path, default=[], help="folders of annotated images")
    parser.add_argument("--format", choices=READERS, help="recognised by the files if not given")
    parser.add_argument("--annotations", type=Path, help="file or folder of files, if the folder has several")
    parser.add_argument("--estimator", default="movenet_thunder")
    parser.add_argument("--weights", help="file, or name of weights fetched with posetrail models fetch")
    parser.add_argument("--flip-test", action="store_true")
    parser.add_argument(
        "--detector", help="detect boxes instead of using annotated ones; auto: that of the estimator, or nanodet"
    )
    parser.add_argument("--detector-weights")
    parser.add_argument("--single-person", action="store_true", help="also PCKh, PDJ, areas under curves, and PCP")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--published", action="store_true", help="print the published scores")
    options = parser.parse_args()
    if options.published:
        print(published_table())
    if not options.data:
        return
    print(
        "| estimator | boxes | data | images | people | AP | AP50 | AP75 | PCKh@0.5 | ms a person, 1 thread | ", end=""
    )
    print(f"{usable_cpus()} threads |")
    print(f"| --- | --- | --- |{' ---: |' * 8}")
    try:
        for folder in options.data:
            measure(folder, options)
    except InputError as error:
        sys.exit(str(error))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    print(f"\nPeak memory of the process: {peak:.0f} MB")


if __name__ == "__main__":
    main()
