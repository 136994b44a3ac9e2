"""run.json: what a run was made of, how it ended, and what came out. All that is needed to do it again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import InputError
from core.files import written_whole
from core.paths import is_safe_name
from tracker.networks import Networks
from tracker.pose_log import PoseLogHeader
from tracker.settings import FollowSettings, Settings
from tracker.versions import installed_versions
from tracker.video import Source, open_source
from tracker.writers import WRITERS

LOG, RUN, VIDEO = "poses.arrow", "run.json", "video.mp4"
RESULTS = frozenset({VIDEO, *(kind.file_name for kind in WRITERS.values())})

Status = Literal["complete", "damaged", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    folder: Path
    status: Status
    reason: str  # one line; empty when complete
    warnings: tuple[str, ...]  # one line each: what else is not as asked for
    frames: int
    people: int  # ids given
    poses: int  # of all frames, filled ones too
    filled: int  # poses not seen but put in between
    seconds: float
    files: tuple[str, ...]  # names in the folder


def describe(source: Source, networks: Networks, settings: Settings) -> dict[str, Any]:
    """What a run is made of: everything of run.json but the outcome."""
    return {
        "input": {
            "kind": "clip",
            "path": str(source.path.resolve()),
            "fingerprint": source.fingerprint,
            "fps": source.fps,
            "timed_by_fps": source.timed_by_fps,
            "width": source.width,
            "height": source.height,
            "start_s": source.start_s,
            "end_s": source.end_s,
            "stride": source.stride,
        },
        "settings": plain(asdict(settings)),
        "applied": networks.applied,
        "models": [{"name": w.name, "sha256": w.sha256, "licence": w.licence} for w in networks.weights],
        "device": networks.device,
    }


def describe_poses(path: Path, header: PoseLogHeader) -> dict[str, Any]:
    """What a run is made of whose poses another program found, or whose clip is not known."""
    return {
        "status": "complete",
        "reason": "",
        "input": {
            "kind": "poses",
            "path": str(path.resolve()),
            "fingerprint": header.source_fingerprint,
            "fps": header.fps,
            "width": header.width,
            "height": header.height,
        },
        "settings": {"see": header.see_settings},
        "models": header.models,
        "device": "none",
        "files": [],
    }


def plain(values: Any) -> Any:
    """Settings as JSON has them: paths are text."""
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    return str(values) if isinstance(values, Path) else values


def write(outcome: Outcome, told: dict[str, Any]) -> None:
    """Write run.json, and remove results of an earlier run in the same folder that this one did not replace."""
    for stale in RESULTS - set(outcome.files):
        (outcome.folder / stale).unlink(missing_ok=True)
    content = {
        "status": outcome.status,
        "reason": outcome.reason,
        "warnings": list(outcome.warnings),
        **{key: told[key] for key in ("input", "settings", "applied", "models", "device")},
        "versions": installed_versions(),
        "figures": {
            "frames": outcome.frames,
            "people": outcome.people,
            "poses": outcome.poses,
            "filled": outcome.filled,
            "seconds": round(outcome.seconds, 3),
            "frames_per_s": round(outcome.frames / max(outcome.seconds, 1e-9), 2),
        },
        "files": list(outcome.files),
    }
    with written_whole(outcome.folder / RUN) as beside:
        # A path that is not UTF-8 is written with JSON's own escapes, and read again as it was.
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def read(run: Path) -> dict[str, Any]:
    """What run.json of a run's folder says.

    Raises:
        InputError: there is none, or it is not one.
    """
    path = run / RUN
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the folder of a finished run") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: is not JSON; give the folder of a finished run, or track again") from None
    wanted = ("status", "reason", "input", "settings", "models", "device", "files")
    missing = [key for key in wanted if key not in told] if isinstance(told, dict) else wanted
    if missing:
        raise InputError(f"{path}: has no {missing[0]!r}; give the folder of a finished run, or track again")
    if not isinstance(told["files"], list) or not all(
        isinstance(name, str) and is_safe_name(name) for name in told["files"]
    ):
        raise InputError(f"{path}: expected names of files in this folder as 'files'; track again")
    return told


def outcome(run: Path, told: dict[str, Any]) -> Outcome:
    """How a run ended, of which run.json tells this.

    Raises:
        InputError: a figure is missing.
    """
    figures = told.get("figures", {})
    try:
        return Outcome(
            folder=run,
            status=told["status"],
            reason=told["reason"],
            warnings=tuple(told["warnings"]),
            files=tuple(told["files"]),
            **{name: figures[name] for name in ("frames", "people", "poses", "filled", "seconds")},
        )
    except KeyError as missing:
        raise InputError(f"{run / RUN}: has no {missing}; track again") from None


def saves(told: dict[str, Any]) -> tuple[str, ...]:
    """Which formats a run has saved."""
    return tuple(name for name, kind in WRITERS.items() if kind.file_name in told["files"])


def follow_settings(told: dict[str, Any]) -> FollowSettings:
    """The settings by which a run gave its ids.

    Raises:
        InputError: they are not those of this version, or have an unusable value.
    """
    try:
        return FollowSettings(**told["settings"]["follow"])
    except InputError as error:
        raise InputError(f"{RUN}: {error}; track or follow again") from None
    except (TypeError, KeyError):
        raise InputError(f"{RUN}: its settings are not those of this posetrail; track or follow again") from None


def of_clip(told: dict[str, Any]) -> bool:
    """Whether the run saw a clip itself; otherwise its poses came from elsewhere."""
    return told["input"].get("kind", "clip") == "clip"


def open_input(told: dict[str, Any], path: Path | None) -> Source:
    """The clip of a run, there or where it has moved to.

    Raises:
        InputError: it cannot be read, or is another clip.
    """
    was = told["input"]
    if not of_clip(told):
        if path is None:
            raise InputError(f"{was['path']}: poses without pictures; give the clip they are of with --input")
        return open_source(path)
    source = open_source(
        path or was["path"],
        start_s=was["start_s"],
        end_s=was["end_s"],
        stride=was["stride"],
        fps=was["fps"] if was["timed_by_fps"] else None,
    )
    if source.fingerprint != was["fingerprint"]:
        raise InputError(f"{source.path}: is not the clip that was tracked; give it with --input")
    return source
