"""Read the table of a run with pandas: how long each track is and how fast its wrists move.

posetrail track examples/pose2sim_cam01.mp4
python examples/read_results.py posetrail_out/pose2sim_cam01
"""

import argparse
from pathlib import Path

import pandas as pd


def main() -> None:
    """Print one line per track."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path, help="folder of a run")
    joints = pd.read_csv(parser.parse_args().run / "tracks.csv")  # one row per joint

    observed = joints[joints.interpolated == 0]
    spans = observed.groupby("track_id").time_s.agg(["min", "max"])
    wrists = joints[joints.joint.isin(["left_wrist", "right_wrist"]) & (joints.score > 0.3)]
    steps = wrists.sort_values("time_s").groupby(["track_id", "joint"])[["time_s", "x", "y"]].diff()
    speed = (steps.x**2 + steps.y**2) ** 0.5 / steps.time_s
    median = speed.groupby(wrists.track_id).median()
    for track_id, span in spans.iterrows():
        print(
            f"track {track_id}: {span['min']:.2f} s to {span['max']:.2f} s, "
            f"wrists at {median.get(track_id, float('nan')):.0f} pixels/s in the median"
        )


if __name__ == "__main__":
    main()
