"""Makes the pictures of the documentation from the example clip: `uv run python -m tools.docs_pictures`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
CLIP = REPOSITORY / "examples" / "pose2sim_cam01.mp4"
PICTURES = REPOSITORY / "docs" / "pictures"
_FRAMES = (8, 45, 80)  # shown side by side
_HEIGHT_PX = 560


def main() -> int:
    """Track the example, then write one picture of its frames and one of its paths."""
    with tempfile.TemporaryDirectory() as output:
        command = [Path(sys.executable).parent / "posetrail", "track", CLIP, "-o", output, "--video"]
        subprocess.run(command, check=True)
        run = Path(output) / CLIP.stem
        PICTURES.mkdir(exist_ok=True)
        save_frames(run / "video.mp4", PICTURES / "tracks.jpg")
        save_paths(run / "tracks.csv", PICTURES / "paths.png")
    return 0


def save_frames(video: Path, picture: Path) -> None:
    """A few frames side by side."""
    with av.open(video) as container:
        images = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    size = (round(images[0].shape[1] * _HEIGHT_PX / images[0].shape[0]), _HEIGHT_PX)
    shown = [cv2.resize(images[number], size, interpolation=cv2.INTER_AREA) for number in _FRAMES]
    cv2.imwrite(str(picture), np.hstack(shown), [cv2.IMWRITE_JPEG_QUALITY, 80])


def save_paths(table: Path, picture: Path) -> None:
    """Where the nose of each person is over time."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    joints = pd.read_csv(table)
    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    for track_id, path in joints[joints.joint == "nose"].groupby("track_id"):
        axes.plot(path.time_s, path.x, label=f"track {track_id}")
    axes.set(xlabel="time (s)", ylabel="x of the nose (pixels)")
    axes.legend()
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
