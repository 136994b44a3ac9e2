"""Makes the pictures of the documentation from the example clip: `uv run python -m tools.docs_pictures`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd

from tracker.runs.corrected import CorrectedRun
from tracker.runs.report import write_report

REPOSITORY = Path(__file__).resolve().parents[1]
CLIP = REPOSITORY / "examples" / "pose2sim_cam01.mp4"
PICTURES = REPOSITORY / "docs" / "pictures"
_FRAMES = (8, 45, 80)  # shown side by side
_HEIGHT_PX = 560
_REPORT_PX = (1040, 1240)  # the part of a report that is shown
_NAMES = {1: "athlete", 2: "observer", 3: "partner"}


def main() -> int:
    """Track the example, then write pictures of its frames, of its paths and of its report."""
    with tempfile.TemporaryDirectory() as output:
        command = [Path(sys.executable).parent / "posetrail", "track", CLIP, "-o", output, "--video"]
        subprocess.run(command, check=True)
        run = Path(output) / CLIP.stem
        PICTURES.mkdir(exist_ok=True)
        save_frames(run / "video.mp4", PICTURES / "tracks.jpg")
        save_paths(run / "tracks.csv", PICTURES / "paths.png")
        save_report(run, PICTURES / "report.jpg")
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


def save_report(run: Path, picture: Path) -> None:
    """The beginning of a report in light and in dark, of a run with names and checked frames; needs Chromium."""
    from playwright.sync_api import sync_playwright

    with CorrectedRun(run, by="Ada") as opened:
        for track_id, name in _NAMES.items():
            place = opened.clip.people(0).track_ids.tolist().index(track_id)
            opened.apply({"op": "name", "pose": [0, place], "name": name})
        opened.apply({"op": "checked", "from": 0, "to": 40})
    report = write_report(run, blur_faces=True)
    width, height = _REPORT_PX
    shots = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(report.as_uri())
            shots.append(cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR))
        chromium.close()
    both = cv2.resize(np.hstack(shots), None, fx=0.68, fy=0.68, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(picture), both, [cv2.IMWRITE_JPEG_QUALITY, 76])


if __name__ == "__main__":
    sys.exit(main())
