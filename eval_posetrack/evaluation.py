"""Scores two folders of PoseTrack files: pairs their sequences by name, counts each one, reports the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from eval_posetrack.formats.files import Clip, find_files, is_one_clip, read_clip
from eval_posetrack.formats.packed import Member
from eval_posetrack.metrics.clean import Scene, clean
from eval_posetrack.metrics.counts import Counts, count, count_with_deviations, count_without_heads
from eval_posetrack.metrics.rules import METRICS, WITHOUT_HEADS, metrics_of, rules_of
from eval_posetrack.reports.report import Report
from posetrail.errors import InputError

Source = Path | Member | Clip
Clips = Path | str | Mapping[str, Clip]


class Result(NamedTuple):
    """The counts of one sequence."""

    name: str
    counts: Counts
    with_deviation: dict[str, Counts]  # by deviation of the official kits, in the default mode
    notes: tuple[str, ...]
    by_oks: bool  # people are compared by OKS because there are no head boxes


class _Work(NamedTuple):
    """One sequence to count."""

    name: str
    ground_truth: Source
    predictions: Source
    mode: str
    metrics: tuple[str, ...]
    by_oks: bool = False  # as if there were no head boxes, because another sequence has none


def evaluate(
    ground_truth: Clips,
    predictions: Clips,
    *,
    mode: str = "default",
    metrics: Sequence[str] = METRICS,
    jobs: int = 1,
    progress: Callable[[str], None] = lambda name: None,
) -> Report:
    """Score predictions against ground truth.

    Args:
        ground_truth: a folder of PoseTrack files or of runs, a single file or run, or clips by name.
        predictions: likewise. Sequences pair by name; a single sequence on each side pairs whatever its name.
        mode: "default" computes the metrics as they are defined and reports where the official kits deviate from that;
            "exact" gives the figures of the official kits.
        metrics: any of "AP", "MOT" (or "MOTA"), "IDF1", "HOTA", "OKS", "PCK". Distances are measured in head sizes;
            without head boxes in the ground truth there are only OKS, and IDF1 and HOTA of people matched by OKS.
        jobs: number of processes that score sequences in parallel; the figures do not depend on it.
        progress: called with the name of each finished sequence.

    Raises:
        InputError: a file cannot be used, a sequence has no predictions, none of the metrics can be computed, or, in
            exact mode, the official kit would stop with an error.
    """
    rules_of(mode)
    metrics = metrics_of(metrics)
    pairs, notes = pair_sources(ground_truth, predictions)
    results = {}
    for result in _results([_Work(name, *pair, mode, metrics) for name, pair in pairs.items()], jobs):
        results[result.name] = result
        progress(result.name)
    without = [name for name in pairs if results[name].by_oks]
    if without:
        notes.append(_left_out(without, len(pairs), metrics))
        others = [_Work(name, *pair, mode, metrics, by_oks=True) for name, pair in pairs.items() if name not in without]
        results |= {result.name: result for result in _results(others, jobs)}
    in_order = [results[name] for name in pairs]
    return Report(
        mode=mode,
        sequences={result.name: result.counts for result in in_order},
        with_deviation={
            name: [result.with_deviation[name] for result in in_order] for name in in_order[0].with_deviation
        },
        notes=(*notes, *(f"{result.name}: {note}" for result in in_order for note in result.notes)),
    )


def pair_sources(ground_truth: Clips, predictions: Clips) -> tuple[dict[str, tuple[Source, Source]], list[str]]:
    """Ground truth and predictions of every sequence, by name and sorted by it, and notes on sequences left out.

    Raises:
        InputError: there is nothing to read, or a sequence has no predictions.
    """
    annotated, predicted = (_sources(clips) for clips in (ground_truth, predictions))
    if _is_one(ground_truth) and _is_one(predictions):
        (name, only_annotated), (_, only_predicted) = *annotated.items(), *predicted.items()
        return {name: (only_annotated, only_predicted)}, []
    missing = sorted(set(annotated) - set(predicted))
    if missing:
        raise InputError(
            f"no predictions for {len(missing)} of {len(annotated)} sequences, {missing[0]!r} first; "
            "files pair by name, and a sequence without people needs a file, too"
        )
    extra = sorted(set(predicted) - set(annotated))
    notes = [f"{len(extra)} predicted sequences without ground truth are left out, {extra[0]!r} first"] if extra else []
    return {name: (annotated[name], predicted[name]) for name in sorted(annotated)}, notes


def scenes(ground_truth: Clips, predictions: Clips, *, mode: str = "default") -> Iterator[Scene]:
    """The cleaned pairs of clips that an evaluation counts, one at a time, sorted by name."""
    for name, (annotated, predicted) in pair_sources(ground_truth, predictions)[0].items():
        yield _scene(name, annotated, predicted, mode)


def _left_out(without: list[str], number: int, metrics: tuple[str, ...]) -> str:
    """One line on what cannot be computed without head boxes."""
    figures = {"MOT": "MOTA"}
    left_out = [figures.get(name, name) for name in metrics if name not in WITHOUT_HEADS]
    lacking = f"no head boxes in the ground truth of {len(without)} of {number} sequences, {without[0]!r} first"
    if len(left_out) == len(metrics):
        raise InputError(
            f"{lacking}, the unit of distances (bbox_head, or x1 y1 x2 y2) of {', '.join(left_out)}; "
            f"without them, choose among {', '.join(WITHOUT_HEADS)}, which then use OKS"
        )
    on_oks = [f"{name} (OKS)" for name in metrics if name in ("IDF1", "HOTA")]
    parts = [f"{', '.join(left_out)} left out"] if left_out else []
    parts += [f"{', '.join(on_oks)} match people by OKS and are not the benchmark's figures"] if on_oks else []
    return "; ".join([lacking, *parts])


def _results(work: list[_Work], jobs: int) -> Iterator[Result]:
    if jobs > 1 and len(work) > 1:
        return _in_processes(work, jobs)
    return (_score(each) for each in work)


def _in_processes(work: list[_Work], jobs: int) -> Iterator[Result]:
    # Spawned, because forking a process with threads (of BLAS, or of the caller) may deadlock.
    with ProcessPoolExecutor(min(jobs, len(work)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_score, each) for each in work]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _score(work: _Work) -> Result:
    name, ground_truth, predictions, mode, metrics, by_oks = work
    scene = _scene(name, ground_truth, predictions, mode, need_heads=False)
    if by_oks or (mode == "default" and scene.lacks_heads):
        return Result(name, count_without_heads(scene, metrics), {}, scene.notes, by_oks=True)
    if mode == "default":
        counts, with_deviation = count_with_deviations(scene, metrics)
        return Result(name, counts, with_deviation, scene.notes, by_oks=False)
    if scene.num_frames < 2 and "MOT" in metrics:
        raise InputError(
            f"{name}: the official kit stops at a sequence with fewer than two labelled frames, this one has "
            f"{scene.num_frames}; leave MOT out or use the default mode"
        )
    return Result(name, count(scene, rules_of(mode), metrics), {}, scene.notes, by_oks=False)


def _scene(name: str, ground_truth: Source, predictions: Source, mode: str, *, need_heads: bool = True) -> Scene:
    ground_truth, predictions = (
        clip if isinstance(clip, Clip) else read_clip(clip) for clip in (ground_truth, predictions)
    )
    return clean(ground_truth, predictions, official=mode == "exact", name=name, need_heads=need_heads)


def _sources(clips: Clips) -> dict[str, Source]:
    if isinstance(clips, Mapping):
        if not clips:
            raise InputError("expected clips to score, got none")
        return dict(clips)
    return dict(find_files(clips))


def _is_one(clips: Clips) -> bool:
    return not isinstance(clips, Mapping) and is_one_clip(clips)
