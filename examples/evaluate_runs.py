"""Compare two sets of predictions by the same ground truth.

python examples/evaluate_runs.py GROUND_TRUTH PREDICTIONS_A PREDICTIONS_B

Each is a PoseTrack file, a folder of them, or the folder of a run.
"""

import argparse
from pathlib import Path

import posetrail as pt
from eval_posetrack.reports.compare import compare


def main() -> None:
    """Print the metrics of both, and their differences with 95 % confidence intervals."""
    parser = argparse.ArgumentParser()
    parser.add_argument("ground_truth", type=Path)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    arguments = parser.parse_args()

    first = pt.evaluate(arguments.ground_truth, arguments.first)
    second = pt.evaluate(arguments.ground_truth, arguments.second)
    for metric in ("AP", "MOTA", "IDF1", "HOTA"):
        if metric in first.total and metric in second.total:
            print(f"{metric:5} {first.total[metric].total:6.2f} {second.total[metric].total:6.2f}")
    for each in compare(first, second):
        print(f"{each.metric:5} {each.difference:+.2f} (95 % from {each.low:+.2f} to {each.high:+.2f})")


if __name__ == "__main__":
    main()
