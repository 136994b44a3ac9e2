"""What each part of following is worth: alone, put onto the bare loop, and taken away from the default.

    uv run python -m benchmarks.ablation [--suite report] [--seeds 1]

The bare loop is OKS and box IoU with where everybody was in the last frame, assigned by Hungarian, and nothing else.
The worlds are those of `benchmarks.association`; the camera's motion is told, so that its part can be worth something.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.followers import Ours
from benchmarks.scoring import Row, score
from benchmarks.sequences import SUITES, sequences
from tracker.settings import PRESETS, AssociationSettings

DEFAULT = PRESETS["default"].association
OFF: dict[str, dict[str, Any]] = {
    "motion model": {"motion_model": False},
    "boxes beside joints": {"box_iou_share": 0.0},
    "joints beside boxes": {"similarity": "iou"},
    "memory": {"track_buffer_s": 0.0},
    "Hungarian, not greedy": {"assignment": "greedy"},
    "a surer start": {"new_track_score": 0.0},
    "scores relative to the clip's": {"calibrate_scores": False},
    "second looks left out": {"track_nms_oks": 1.0},
    "explained poses start nobody": {"new_track_max_oks": 1.0},
    "confirmed before named": {"confirmation_s": 0.0},
    "the camera's motion": {"camera_motion_compensation": False},
    "the crowd's motion": {"common_motion_compensation": False},
}
HINDSIGHT: dict[str, dict[str, Any]] = {
    "links over the whole clip (offline, ids alone)": {},
    "... and gaps interpolated": {"max_interpolation_gap_s": DEFAULT.max_interpolation_gap_s},
    "... and smoothed: the default": {
        "max_interpolation_gap_s": DEFAULT.max_interpolation_gap_s,
        "smooth": DEFAULT.smooth,
    },
}


def variants() -> dict[str, AssociationSettings]:
    """Settings by what is told of them."""
    online = replace(DEFAULT, offline=False)
    bare = online
    for changes in OFF.values():
        bare = replace(bare, **changes)
    bare = replace(bare, similarity=online.similarity, box_iou_share=online.box_iou_share, assignment=online.assignment)
    ids_alone = replace(DEFAULT, smooth="none", max_interpolation_gap_s=0.0)
    parts = {
        name: changes
        for name, changes in OFF.items()
        if not set(changes) & {"similarity", "box_iou_share", "assignment"}
    }
    made = {"bare": bare}
    for name, changes in parts.items():
        made[f"bare + {name}"] = replace(bare, **{key: getattr(online, key) for key in changes})
    made["default online"] = online
    for name, changes in OFF.items():
        made[f"online - {name}"] = replace(online, **changes)
    return made | {name: replace(ids_alone, **changes) for name, changes in HINDSIGHT.items()}


def print_table(rows: Mapping[str, tuple[Row, ...]], levels: tuple[str, ...]) -> None:
    """Markdown: MOTA, HOTA, IDF1 and switches of people at each level of noise."""
    titles = [f"{level} {figure}" for level in levels for figure in ("MOTA", "HOTA", "IDF1", "switches")]
    print(f"| following | {' | '.join(titles)} |\n| --- |{' ---: |' * len(titles)}")
    for name, each in rows.items():
        cells = [f"{row.mota:.1f} | {row.hota:.1f} | {row.idf1_people:.1f} | {row.switches_people}" for row in each]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=list(SUITES), default="report")
    parser.add_argument("--seeds", type=int, default=1, help="so many times thirty sequences")
    options = parser.parse_args()
    levels = ("hard", "easy")
    made = {
        level: [each for seed in range(options.seeds) for each in sequences(options.suite, seed, level=level)]
        for level in levels
    }
    rows = {
        name: tuple(score(made[level], Ours(settings)) for level in levels) for name, settings in variants().items()
    }
    print_table(rows, levels)


if __name__ == "__main__":
    main()
