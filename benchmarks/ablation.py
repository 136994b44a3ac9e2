"""What each part of association contributes: added alone to a bare tracker, and removed from the default.

    uv run python -m benchmarks.ablation --suite report --seeds 1

The bare tracker assigns by OKS and box IoU with the last frame (Hungarian algorithm) and has no other part. The worlds
are those of `benchmarks.association`, with known camera motion.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.scoring import Row, score
from benchmarks.sequence_trackers import Posetrail
from benchmarks.sequences import SUITES, sequences
from tracker.settings import PRESETS, AssociationSettings

DEFAULT = PRESETS["default"].association
OFF: dict[str, dict[str, Any]] = {
    "`motion_model`": {"motion_model": False},
    "log odds (`similarity` flow_oks)": {"similarity": "flow_oks"},
    "log odds and joints (`similarity` iou)": {"similarity": "iou"},
    "`track_buffer_s`": {"track_buffer_s": 0.0},
    "Hungarian (`assignment` greedy)": {"assignment": "greedy"},
    "`new_track_score`": {"new_track_score": 0.0},
    "`calibrate_scores`": {"calibrate_scores": False},
    "`track_nms_oks`": {"track_nms_oks": 1.0},
    "`new_track_max_oks`": {"new_track_max_oks": 1.0},
    "`confirmation_evidence`": {"confirmation_evidence": 0.0},
    "`camera_motion_compensation`": {"camera_motion_compensation": False},
    "`common_motion_compensation`": {"common_motion_compensation": False},
}
OFFLINE: dict[str, dict[str, Any]] = {
    "offline linking, ids only": {},
    "... and interpolation": {"max_interpolation_gap_s": DEFAULT.max_interpolation_gap_s},
    "... and smoothing: the default": {
        "max_interpolation_gap_s": DEFAULT.max_interpolation_gap_s,
        "smooth": DEFAULT.smooth,
    },
}


def variants() -> dict[str, AssociationSettings]:
    """Settings by the name of their row."""
    online = replace(DEFAULT, offline=False)
    bare = online
    for changes in OFF.values():
        bare = replace(bare, **changes)
    bare = replace(bare, similarity="flow_oks", assignment=online.assignment)
    ids_only = replace(DEFAULT, smooth="none", max_interpolation_gap_s=0.0)
    parts = {
        name: changes
        for name, changes in OFF.items()
        if name != "log odds and joints (`similarity` iou)" and "assignment" not in changes
    }
    made = {"bare": bare}
    for name, changes in parts.items():
        made[f"bare + {name}"] = replace(bare, **{key: getattr(online, key) for key in changes})
    made["default online"] = online
    for name, changes in OFF.items():
        made[f"online - {name}"] = replace(online, **changes)
    return made | {name: replace(ids_only, **changes) for name, changes in OFFLINE.items()}


def print_table(rows: Mapping[str, tuple[Row, ...]], levels: tuple[str, ...]) -> None:
    """Markdown: MOTA, HOTA, IDF1 and switches of people at each level of noise."""
    titles = [f"{level} {figure}" for level in levels for figure in ("MOTA", "HOTA", "IDF1", "switches")]
    print(f"| association | {' | '.join(titles)} |\n| --- |{' ---: |' * len(titles)}")
    for name, each in rows.items():
        cells = [f"{row.mota:.1f} | {row.hota:.1f} | {row.idf1_people:.1f} | {row.switches_people}" for row in each]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=list(SUITES), default="report")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, with thirty sequences each")
    options = parser.parse_args()
    levels = ("hard", "easy")
    made = {
        level: [each for seed in range(options.seeds) for each in sequences(options.suite, seed, level=level)]
        for level in levels
    }
    rows = {
        name: tuple(score(made[level], Posetrail(settings)) for level in levels)
        for name, settings in variants().items()
    }
    print_table(rows, levels)


if __name__ == "__main__":
    main()
