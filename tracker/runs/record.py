"""run.json: what a run was made of, how it ended, and what came out. All that is needed to do it again."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.paths import is_safe_name
from tracker.io.pose_log import DamagedLog, LogEnd, PoseLogHeader, check_pose_log, read_pose_log
from tracker.io.video import Source, open_source
from tracker.io.writers import WRITERS
from tracker.runs.networks import Networks
from tracker.runs.versions import installed_versions
from tracker.settings import AssociationSettings, Settings

LOG, RUN, VIDEO = "poses.arrow", "run.json", "video.mp4"
NOTHING_TO_DO = "nothing to do; --redo starts again"
RESULTS = frozenset({VIDEO, *(kind.file_name for kind in WRITERS.values())})

Status = Literal["complete", "damaged", "interrupted"]


_LARGEST = 2**24  # bytes of a run.json


@dataclass(frozen=True)
class Inferred:
    """How the first pass of a run ended: the pose log is written."""

    status: Status
    reason: str  # one line; empty when complete
    log: LogEnd


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    folder: Path
    status: Status
    reason: str  # one line; empty when complete
    warnings: tuple[str, ...]  # one line each: what else is not as asked for
    frames: int
    people: int  # ids given
    poses: int  # of all frames, interpolated ones too
    interpolated: int  # poses not seen but put in between
    seconds: float
    files: tuple[str, ...]  # names in the folder
    done: str = field(default="", compare=False)  # with an earlier run in the folder, in a few words


def describe(source: Source, networks: Networks, settings: Settings, ended: Inferred) -> dict[str, Any]:
    """What a run is made of, and how its pose log ended: everything of run.json but what came out."""
    return {
        "status": ended.status,
        "reason": ended.reason,
        "pose_log": asdict(ended.log),
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
            "notes": list(source.notes),
        },
        "settings": plain(asdict(settings)),
        "applied": networks.applied,
        "models": [{"name": w.name, "sha256": w.sha256, "licence": w.licence} for w in networks.weights],
        "device": networks.device,
    }


def describe_poses(path: Path, header: PoseLogHeader, ended: Inferred) -> dict[str, Any]:
    """What a run is made of whose poses another program found, or whose clip is not known."""
    return {
        "status": ended.status,
        "reason": ended.reason,
        "pose_log": asdict(ended.log),
        "input": {
            "kind": "poses",
            "path": str(path.resolve()),
            "fingerprint": header.source_fingerprint,
            "fps": header.fps,
            "width": header.width,
            "height": header.height,
        },
        "settings": {"inference": header.inference_settings},
        "models": header.models,
        "device": "none",
        "files": [],
    }


def plain(values: Any) -> Any:
    """Settings as JSON has them: paths are text."""
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    return str(values) if isinstance(values, Path) else values


def write(outcome: Outcome, told: dict[str, Any], *, versions: dict[str, Any] | None = None) -> None:
    """Write run.json, and remove results of an earlier run in the same folder that this one did not replace.

    Args:
        outcome: how the run ended.
        told: the rest of run.json.
        versions: of the programs that assigned the ids; those here when not given.
    """
    for stale in RESULTS - set(outcome.files):
        (outcome.folder / stale).unlink(missing_ok=True)
    content = {
        "status": outcome.status,
        "reason": outcome.reason,
        "warnings": list(outcome.warnings),
        **{key: told[key] for key in ("input", "settings", "applied", "models", "device", "pose_log")},
        "versions": versions or installed_versions(),
        "figures": {
            "frames": outcome.frames,
            "people": outcome.people,
            "poses": outcome.poses,
            "interpolated": outcome.interpolated,
            "seconds": round(outcome.seconds, 3),
            "frames_per_s": round(outcome.frames / max(outcome.seconds, 1e-9), 2),
        },
        "files": list(outcome.files),
    }
    with written_whole(outcome.folder / RUN) as beside:
        # A path that is not UTF-8 is written with JSON's own escapes, and read again as it was.
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def has_tracks_of(told: dict[str, Any], settings: AssociationSettings) -> bool:
    """Whether these association settings, by this version of posetrail, give the ids that a run has."""
    same_version = told.get("versions", {}).get("posetrail") == installed_versions()["posetrail"]
    return same_version and told["settings"].get("association") == asdict(settings)


def warnings_of(files: Collection[str], told: dict[str, Any] | None) -> list[str]:
    """What a run tells of some of its files; their names stand before the warnings."""
    lines = told.get("warnings", ()) if told else ()
    return [line for line in lines if line.partition(":")[0] in files]


def read(run: Path) -> dict[str, Any]:
    """What run.json of a run's folder says; the types of its values are those that `write` gave them.

    Raises:
        InputError: there is none, or it is not one.
    """
    path = run / RUN
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
        told: Any = json.loads(text.decode()) if len(text) <= _LARGEST else None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the folder of a finished run") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: is not JSON; give the folder of a finished run, or track again") from None
    schema = _SCHEMA
    if isinstance(told, dict) and isinstance(told.get("input"), dict) and told["input"].get("kind", "clip") == "clip":
        schema = {**_SCHEMA, "input": _CLIP}
    if flaw := _flaw(told, schema):
        raise InputError(f"{path}: {flaw}; give the folder of a finished run, or track again")
    return {"applied": {}, **told}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e15


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1e15


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_path(value: Any) -> bool:
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


# What run.json holds: values by name ("?": may be left out), a list of values, or whether a value can be.
_POSES = {"kind?": lambda value: value in ("clip", "poses"), "path": _is_path, "fingerprint": _is_text}
_CLIP = _POSES | {
    "fps": _is_number,
    "timed_by_fps": lambda value: isinstance(value, bool),
    "start_s": lambda value: value is None or _is_number(value),
    "end_s": lambda value: value is None or _is_number(value),
    "stride": _is_count,
    "notes?": [_is_text],
}
_SCHEMA: dict[str, Any] = {
    "status": lambda value: value in get_args(Status),
    "reason": _is_text,
    "warnings": [_is_text],
    "input": _POSES,
    "settings": {"networks?": {}, "inference?": {}, "association?": {}},
    "applied?": {},
    "models": [{}],
    "device": _is_text,
    "pose_log?": {"frames": _is_count, "checksum": _is_text},  # of older versions it has none
    "figures": {
        "frames": _is_count,
        "people": _is_count,
        "poses": _is_count,
        "interpolated": _is_count,
        "seconds": _is_number,
    },
    "files": [lambda value: isinstance(value, str) and is_safe_name(value)],  # in the run's own folder
}


def _flaw(value: Any, schema: Any, name: str = "it") -> str:
    """What is wrong with a value, in words; "" where nothing is."""
    if isinstance(schema, list):
        if isinstance(value, list):
            return next(filter(None, (_flaw(each, schema[0], name) for each in value)), "")
    elif isinstance(schema, dict):
        if isinstance(value, dict):
            missing = [key for key in schema if not key.endswith("?") and key not in value]
            there = [key for key in schema if key.removesuffix("?") in value]
            flaws = (_flaw(value[key.removesuffix("?")], schema[key], repr(key.removesuffix("?"))) for key in there)
            return f"has no {missing[0]!r}" if missing else next(filter(None, flaws), "")
    elif schema(value):
        return ""
    return f"{name} cannot be {str(value)[:40]!r}"


def outcome(run: Path, told: dict[str, Any]) -> Outcome:
    """How a run ended, of which run.json tells this."""
    figures = told["figures"]
    return Outcome(
        folder=run,
        status=told["status"],
        reason=told["reason"],
        warnings=tuple(told["warnings"]),
        files=tuple(told["files"]),
        **{name: figures[name] for name in ("frames", "people", "poses", "interpolated", "seconds")},
    )


def check_log(run: Path, told: dict[str, Any]) -> LogEnd:
    """Make sure that the pose log of a run is whole; returns where it ends.

    Raises:
        InputError: it cannot be read, or is not what run.json says; the line says how to infer the rest again.
    """
    read_pose_log(run / LOG)  # of another format, perhaps
    try:
        end = LogEnd(**told["pose_log"])
        check_pose_log(run / LOG, end, ended=told["status"] != "interrupted")
    except KeyError:
        raise InputError(f"{run / RUN}: has no 'pose_log'; {_again(run, told)}") from None
    except DamagedLog as error:
        raise DamagedLog(f"{error}; {_again(run, told)}") from None
    return end


def _again(run: Path, told: dict[str, Any]) -> str:
    """The command that makes a damaged log whole."""
    path = told["input"]["path"]
    if not os.path.exists(path):  # noqa: PTH110 Path.exists raises an error of a name too long
        return f"what it was made of, {path}, is gone: put it back, or track it again from elsewhere"
    if of_clip(told):
        return f"infer the rest again: posetrail track {shlex.quote(path)} -o {shlex.quote(str(run.parent))}"
    return f"follow those poses again: posetrail follow {shlex.quote(path)} -o {shlex.quote(str(run))}"


def formats(told: dict[str, Any]) -> tuple[str, ...]:
    """Which formats a run has saved."""
    return tuple(name for name, kind in WRITERS.items() if kind.file_name in told["files"])


def association_settings(told: dict[str, Any]) -> AssociationSettings:
    """The settings by which a run gave its ids.

    Raises:
        InputError: they are not those of this version, or have an unusable value.
    """
    try:
        return AssociationSettings(**told["settings"]["association"])
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
