"""Online and offline association of the same poses, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eval_posetrack.evaluation import evaluate
from eval_posetrack.reports.tables import Table
from tracker.runs.follow import follow_poses
from tracker.runs.record import Outcome
from tracker.settings import AssociationSettings

_SCORES = (
    "MOTA",
    "IDF1",
    "HOTA",
    "IDF1 (OKS)",
    "HOTA (OKS)",
)  # the ground truth's head boxes decide which
_METRICS = ("MOTA", "IDF1", "HOTA")


def follow_both(
    poses: Path,
    settings: AssociationSettings,
    output: Path,
    *,
    fps: float | None = None,
    more_formats: Sequence[str] = (),
    ground_truth: Path | None = None,
) -> tuple[dict[str, Outcome], Table]:
    """Associate the same poses online and offline, into `output`/online and `output`/offline.

    Args:
        poses: as of `tracker.runs.follow.follow_poses`.
        settings: association settings; `offline` is ignored.
        output: folder for both runs.
        fps: as of `follow_poses`.
        more_formats: as of `follow_poses`.
        ground_truth: PoseTrack file with the ground truth, to score both.

    Returns:
        The outcome of each, by name, and a table with a row for each.

    Raises:
        InputError: as of `follow_poses`, or the ground truth cannot be used.
    """
    online, offline = replace(settings, offline=False), replace(settings, offline=True)
    ways = {"online": follow_poses(poses, online, output=output / "online", fps=fps, more_formats=more_formats)}
    ways["offline"] = follow_poses(output / "online", offline, output=output / "offline")
    scores = {way: _scores(outcome, ground_truth) for way, outcome in ways.items()}
    rows = [(way, *_figures(outcome), *scores[way].values()) for way, outcome in ways.items()]
    columns = ("", "people", "frames\neach", "poses", "interpolated", *scores["online"])
    return ways, Table("Online and offline", columns, tuple(rows))


def _figures(outcome: Outcome) -> tuple[str, ...]:
    each = outcome.poses / max(outcome.people, 1)
    return str(outcome.people), f"{each:.1f}", str(outcome.poses), str(outcome.interpolated)


def _scores(outcome: Outcome, ground_truth: Path | None) -> dict[str, str]:
    if ground_truth is None:
        return {}
    total = evaluate(ground_truth, outcome.folder, metrics=_METRICS).total
    return {score: f"{total[score].total:.1f}" for score in _SCORES if score in total}
