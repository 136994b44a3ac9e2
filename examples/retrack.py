"""Associate the poses of a run again with other settings and compare the tracks. Needs neither the video nor a network.

posetrail track examples/pose2sim_cam01.mp4
python examples/retrack.py posetrail_out/pose2sim_cam01
"""

import argparse
from pathlib import Path

import numpy as np

import posetrail as pt
from tracker.io.pose_log import read_pose_log

SETTINGS = {
    "offline (default)": pt.AssociationSettings(),
    "online": pt.AssociationSettings(offline=False),
    "online, no motion model": pt.AssociationSettings(offline=False, motion_model=False),
    "box IoU, short buffer": pt.AssociationSettings(offline=False, similarity="iou", track_buffer_s=0.2),
}


def main() -> None:
    """Print the number of tracks and of tracked poses by setting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path, help="folder of a run")
    log = parser.parse_args().run / "poses.arrow"

    print(f"{'settings':26} tracks  poses")
    for name, settings in SETTINGS.items():
        _, frames = read_pose_log(log)
        people = pt.follow(frames, settings)  # one TrackedPoses per frame
        track_ids = np.concatenate([each.track_ids for each in people])
        print(f"{name:26} {len(np.unique(track_ids)):6} {len(track_ids):6}")


if __name__ == "__main__":
    main()
