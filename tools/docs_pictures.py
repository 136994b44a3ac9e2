"""Makes the pictures of the documentation from the example clip: `uv run python -m tools.docs_pictures`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd

import posetrail as pt
from tracker.frames import PropagatedPoses
from tracker.io.pose_log import PoseLogWriter, read_pose_log
from tracker.runs.corrected import CorrectedRun
from tracker.runs.follow import follow_poses
from tracker.runs.record import LOG
from tracker.runs.report import write_report
from tracker.settings import AssociationSettings

REPOSITORY = Path(__file__).resolve().parents[1]
CLIP = REPOSITORY / "examples" / "pose2sim_cam01.mp4"
PICTURES = REPOSITORY / "docs" / "pictures"
_FRAMES = (8, 45, 80)  # shown side by side
_HEIGHT_PX = 560
_REPORT_PX = (1040, 1240)  # the part of a report that is shown
_PLOT_DPI = 80
_PLOT_COLOURS = 48  # a third of the size that all colours need
_LEFT_OUT = {1: range(44, 54), 2: range(60, 80)}  # frames by track: 0.17 s, which is interpolated, and 0.33 s
_NAMES = {1: "athlete", 2: "observer", 3: "partner"}


def main() -> int:
    """Track the example, then write pictures of its frames, of its paths, of plots and of its report."""
    with tempfile.TemporaryDirectory() as output:
        command = [Path(sys.executable).parent / "posetrail", "track", CLIP, "-o", output, "--video"]
        subprocess.run(command, check=True)
        run = Path(output) / CLIP.stem
        PICTURES.mkdir(exist_ok=True)
        save_frames(run / "video.mp4", PICTURES / "tracks.jpg")
        save_paths(run / "tracks.csv", PICTURES / "paths.png")
        correct(run)
        save_plots(with_gaps(run, Path(output) / "gaps"), PICTURES / "timeline.png", PICTURES / "joint.png")
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


def correct(run: Path) -> None:
    """Name the people and check some frames."""
    with CorrectedRun(run, by="Ada") as opened:
        for track_id, name in _NAMES.items():
            place = opened.clip.people(0).track_ids.tolist().index(track_id)
            opened.apply({"op": "name", "pose": [0, place], "name": name})
        opened.apply({"op": "checked", "from": 0, "to": 40})


def with_gaps(run: Path, folder: Path) -> Path:
    """A run of the same poses without those of `_LEFT_OUT`, with names."""
    header, frames = read_pose_log(run / LOG)
    with CorrectedRun(run) as opened:
        clip = opened.clip
    folder.mkdir()
    with PoseLogWriter(folder / LOG, header) as log:
        for position, frame in enumerate(frames):
            people = clip.people(position)
            out = [track_id for track_id, part in _LEFT_OUT.items() if position in part]
            kept = np.setdiff1d(np.arange(len(frame.poses)), people.pose_rows[np.isin(people.track_ids, out)])
            propagated = PropagatedPoses.empty(header.num_joints)
            appearance = frame.appearance[kept]
            log.append(replace(frame, poses=frame.poses[kept], propagated=propagated, appearance=appearance))
    follow_poses(folder, AssociationSettings())
    correct(folder)
    return folder


def save_plots(run: Path, timeline: Path, joint: Path) -> None:
    """What the functions for notebooks plot."""
    import matplotlib

    matplotlib.use("agg")
    from PIL import Image

    plots = {timeline: pt.plot_timeline(run), joint: pt.plot_joint(run, "athlete", "left_wrist")}
    for picture, axes in plots.items():
        axes.figure.savefig(picture, dpi=_PLOT_DPI)
        Image.open(picture).convert("RGB").quantize(_PLOT_COLOURS).save(picture, optimize=True)


def save_report(run: Path, picture: Path) -> None:
    """The beginning of a report in light and in dark, of a run with names and checked frames; needs Chromium."""
    from playwright.sync_api import sync_playwright

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
