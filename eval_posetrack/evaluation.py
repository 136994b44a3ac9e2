"""From two folders of PoseTrack files to a report, sequence by sequence, several at a time if wished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from eval_posetrack.clean import Scene, clean
from eval_posetrack.counts import Counts, count, count_with_oddities, count_without_heads
from eval_posetrack.files import Clip, find_files, is_one_clip, read_clip
from eval_posetrack.packed import Member
from eval_posetrack.report import Report
from eval_posetrack.rules import METRICS, WITHOUT_HEADS, metrics_of, rules_of
from posetrail.errors import InputError

Source = Path | Member | Clip
Clips = Path | str | Mapping[str, Clip]


class Result(NamedTuple):
    """One sequence, counted."""

    name: str
    counts: Counts
    odd: dict[str, Counts]  # by oddity, in the default mode
    notes: tuple[str, ...]
    by_oks: bool  # for want of head boxes


class _Work(NamedTuple):
    """One sequence to count."""

    name: str
    truth: Source
    found: Source
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
        ground_truth: a folder of PoseTrack files or of runs, one such file or run, or clips by name.
        predictions: the same for the predictions; sequences pair by name, two single ones whatever their names.
        mode: "default" for the right figures, with a line for each oddity of the official kits that would change one;
            "exact" for the figures of the official kits.
        metrics: any of "AP", "MOT" (or "MOTA"), "IDF1", "HOTA", "OKS", "PCK". Where a ground truth has no head boxes,
            by which distances are measured, there are OKS, and IDF1 and HOTA of people on OKS.
        jobs: sequences scored at the same time, in processes of their own; the figures do not depend on it.
        progress: called with the name of every finished sequence.

    Raises:
        InputError: a file cannot be used, files do not pair, no metric asked for can be computed, or (exact mode) the
            official kit would stop.
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
        odd={name: [result.odd[name] for result in in_order] for name in in_order[0].odd},
        notes=(*notes, *(f"{result.name}: {note}" for result in in_order for note in result.notes)),
    )


def pair_sources(ground_truth: Clips, predictions: Clips) -> tuple[dict[str, tuple[Source, Source]], list[str]]:
    """Ground truth and predictions of every sequence by name, in the order of the names, and what to know about it.

    Raises:
        InputError: nothing to read, or a sequence without predictions.
    """
    truth, found = (_sources(clips) for clips in (ground_truth, predictions))
    if _is_one(ground_truth) and _is_one(predictions):
        (name, only_truth), (_, only_found) = *truth.items(), *found.items()
        return {name: (only_truth, only_found)}, []
    missing = sorted(set(truth) - set(found))
    if missing:
        raise InputError(
            f"no predictions for {len(missing)} of {len(truth)} sequences: {missing[0]!r} is the first; "
            "files pair by name, and a sequence without anybody needs a file too"
        )
    extra = sorted(set(found) - set(truth))
    notes = [f"{len(extra)} predicted sequences without ground truth are left out, {extra[0]!r} first"] if extra else []
    return {name: (truth[name], found[name]) for name in sorted(truth)}, notes


def scenes(ground_truth: Clips, predictions: Clips, *, mode: str = "default") -> Iterator[Scene]:
    """The cleaned pairs of clips behind an evaluation, one at a time, in the order of the names."""
    for name, (truth, found) in pair_sources(ground_truth, predictions)[0].items():
        yield _scene(name, truth, found, mode)


def _left_out(without: list[str], number: int, metrics: tuple[str, ...]) -> str:
    """One line on what cannot be computed for want of head boxes."""
    figures = {"MOT": "MOTA"}
    left_out = [figures.get(name, name) for name in metrics if name not in WITHOUT_HEADS]
    said = f"no head boxes in the ground truth of {len(without)} of {number} sequences, {without[0]!r} first"
    if len(left_out) == len(metrics):
        raise InputError(
            f"{said}, to measure distances by (bbox_head, or x1 y1 x2 y2): no {', '.join(left_out)}; "
            f"without them there are {', '.join(WITHOUT_HEADS)}, on OKS"
        )
    on_oks = [f"{name} (OKS)" for name in metrics if name in ("IDF1", "HOTA")]
    parts = [f"{', '.join(left_out)} left out"] if left_out else []
    parts += [f"{', '.join(on_oks)} match people on OKS and are not the benchmark's figures"] if on_oks else []
    return "; ".join([said, *parts])


def _results(work: list[_Work], jobs: int) -> Iterator[Result]:
    if jobs > 1 and len(work) > 1:
        return _in_processes(work, jobs)
    return (_score(each) for each in work)


def _in_processes(work: list[_Work], jobs: int) -> Iterator[Result]:
    # Fresh processes, because a fork of one with threads (BLAS, a caller's) may hang.
    with ProcessPoolExecutor(min(jobs, len(work)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_score, each) for each in work]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _score(work: _Work) -> Result:
    name, truth, found, mode, metrics, by_oks = work
    scene = _scene(name, truth, found, mode, need_heads=False)
    if by_oks or (mode == "default" and scene.lacks_heads):
        return Result(name, count_without_heads(scene, metrics), {}, scene.notes, by_oks=True)
    if mode == "default":
        counts, odd = count_with_oddities(scene, metrics)
        return Result(name, counts, odd, scene.notes, by_oks=False)
    if scene.num_frames < 2 and "MOT" in metrics:
        raise InputError(
            f"{name}: the official kit stops at a sequence with fewer than two labelled frames, this one has "
            f"{scene.num_frames}; leave MOT out or use the default mode"
        )
    return Result(name, count(scene, rules_of(mode), metrics), {}, scene.notes, by_oks=False)


def _scene(name: str, truth: Source, found: Source, mode: str, *, need_heads: bool = True) -> Scene:
    truth, found = (clip if isinstance(clip, Clip) else read_clip(clip) for clip in (truth, found))
    return clean(truth, found, official=mode == "exact", name=name, need_heads=need_heads)


def _sources(clips: Clips) -> dict[str, Source]:
    if isinstance(clips, Mapping):
        if not clips:
            raise InputError("expected clips to score, got none")
        return dict(clips)
    return dict(find_files(clips))


def _is_one(clips: Clips) -> bool:
    return not isinstance(clips, Mapping) and is_one_clip(clips)
