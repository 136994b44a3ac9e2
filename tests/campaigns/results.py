"""Whether a run's folder holds together, looked at without the product's own readers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa

from .sandbox import Finding

TOLERANCE_S = 1e-3


def log_times(log: Path) -> np.ndarray:
    """Presentation times (T,) of the frames of a pose log."""
    with pa.ipc.open_stream(str(log)) as stream:
        return np.concatenate([np.zeros(0), *(batch.column("time_s") for batch in stream)])


def video_times(path: Path) -> np.ndarray:
    """Presentation times (T,) of the pictures of a video, all of which decode."""
    try:
        with av.open(str(path)) as container:
            return np.array([picture.time for picture in container.decode(video=0)], float)
    except av.FFmpegError as error:
        raise Finding(f"{path.name} does not decode: {error}") from None


def judge_run(folder: Path) -> int:
    """Frames of a run in whose folder everything agrees.

    Raises:
        Finding: it does not.
    """
    try:
        report: dict[str, Any] = json.loads((folder / "run.json").read_text())
        tracks = json.loads((folder / "tracks.json").read_text())
        times = log_times(folder / "poses.arrow")
        with (folder / "tracks.csv").open(newline="") as file:
            frames = {int(row["frame"]) for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise Finding(f"a finished run lacks a whole file: {error!r}"[:300]) from None
    counts = {"run.json": report["figures"]["frames"], "tracks.json": len(tracks["images"]), "poses.arrow": len(times)}
    if len(set(counts.values())) > 1:
        raise Finding(f"files of one run disagree: {counts}")
    if len(frames) > len(times):
        raise Finding(f"tracks.csv has {len(frames)} frames of {len(times)}")
    if missing := [name for name in report["files"] if not (folder / name).is_file()]:
        raise Finding(f"run.json lists {missing[0]}, which is not there")
    if (np.diff(times) < 0).any():
        raise Finding("times run backwards")
    return len(times)


def judge_drawn(folder: Path, said: str = "") -> None:
    """The drawn video has the frames of the pose log, and stays with its times unless it is `said` that it does not.

    Raises:
        Finding: it does not.
    """
    if not (folder / "video.mp4").is_file():
        raise Finding("no video.mp4")
    shown, logged = video_times(folder / "video.mp4"), log_times(folder / "poses.arrow")
    if len(shown) != len(logged):
        raise Finding(f"video.mp4 has {len(shown)} pictures of {len(logged)} frames")
    if "all that MP4 can hold" in said:
        return
    spans = np.ptp(shown) if len(shown) else 0.0, np.ptp(logged) if len(logged) else 0.0
    if abs(spans[0] - spans[1]) > TOLERANCE_S * max(1, len(shown)) and (np.diff(logged) > 0).all():
        raise Finding(f"video.mp4 lasts {spans[0]:.3f} s, its clip {spans[1]:.3f} s")


def data_files(folder: Path) -> dict[str, bytes]:
    """Every file that a run made, but run.json, tables of seconds and locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in ("run.json", "batch.csv")
        and ".posetrail" not in path.parts
        and not path.name.endswith(".lock")
    }


def judge_whole_files(folder: Path, undisturbed: dict[str, bytes]) -> None:
    """What stands under its final name is whole, in the middle of a run, too; the pose logs alone grow.

    Raises:
        Finding: it is not.
    """
    for path in folder.rglob("run.json"):
        try:
            json.loads(path.read_text())
        except ValueError:
            raise Finding("run.json is half-written under its final name") from None
    for name, data in data_files(folder).items():
        growing = name.endswith((".part", ".arrow"))
        if not growing and data != undisturbed.get(name):
            raise Finding(f"{name} is half-written under its final name")


def judge_same(found: dict[str, bytes], undisturbed: dict[str, bytes]) -> None:
    """The files are those of an undisturbed run, byte for byte.

    Raises:
        Finding: they are not.
    """
    for name in sorted({*found, *undisturbed}):
        if found.get(name) != undisturbed.get(name):
            how = "is missing" if name not in found else "is too much" if name not in undisturbed else "differs"
            raise Finding(f"{name} {how}, next to an undisturbed run")
