"""What of an earlier run in a folder can be kept: all of it, everything seen, the first frames, or nothing.

A run is known by the header of its pose log: the clip's content, the settings, the weights. Where that is the same,
seeing goes on behind the last whole frame, and every data file comes out byte for byte as if nothing had happened:

- Seeing remembers the last frame's picture and poses, where older poses are by now, and the frame with which the camera
  is compared. All of it follows from the pictures and the log: the pictures are read again from the start (which is
  how frames are counted anyway), the camera looks at each beside the logged boxes as it did then, the networks rest.
- It goes on behind a full batch, so that each picture meets the networks in the company it had.
- A finished run's log is compared with what run.json says of it. Where it is damaged, inference goes on from there; a
  run.json that cannot be read counts as none.
- What follows seeing starts over; its files appear whole or not at all, run.json last. Before a log is touched its
  run.json is removed, so that one never tells of another log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from estimators.appearance import COLOUR_LAYOUT, NO_APPEARANCE
from posetrail.errors import InputError
from posetrail.options import ONNX_PREFIX, onnx_path
from tracker.frames import PoseFrame
from tracker.inference.pipeline import BATCH_FRAMES
from tracker.io.pose_log import LogEnd, OtherFormat, Place, PoseLogHeader, last_place, places, read_pose_log
from tracker.io.video import Source
from tracker.io.writers import WRITERS
from tracker.runs import record as run_file
from tracker.runs.record import LOG, NOTHING_TO_DO, RUN, VIDEO, Inferred, Outcome
from tracker.settings import AssociationSettings, Settings

IfExists = Literal["replace", "adapt", "continue", "associate"]
"""What becomes of an earlier run in the folder.

"continue": what is done stays, what is not goes on; a run of other settings or of another clip is refused with an
InputError. "associate": likewise, but where only the association settings differ, a finished run's ids are assigned
again from its pose log. "adapt": likewise, and what does not fit is replaced. "replace": nothing is kept."""

_MAKES_NO_DIFFERENCE = ("threads", "weights", "detector_weights", "appearance_weights")  # weights count by their sha256
_SHOWN = 4  # differences told of in one line


@dataclass(frozen=True)
class Kept:
    """What an earlier run has left that this one can use."""

    outcome: Outcome | None = None  # of a run that is finished: nothing is to be done
    seen: Inferred | None = None  # everything was seen; how that ended
    told: dict[str, Any] | None = None  # run.json of a run whose poses were all seen
    files: frozenset[str] = frozenset()  # results that stay, because they show the tracks that there will be
    after: Place | None = None  # the log goes on behind this frame
    note: str = ""  # one line: why not everything is kept
    done: str = ""  # what is done with an earlier run, in a few words


def provenance(source: Source, settings: Settings, device: str) -> dict[str, Any]:
    """What decides the numbers of a pose log and stands nowhere else in its header."""
    networks = run_file.plain(asdict(settings.networks))
    return {
        "start_s": source.start_s,
        "end_s": source.end_s,
        "stride": source.stride,
        "timed_by_fps": source.timed_by_fps,
        **{name: value for name, value in networks.items() if name not in _MAKES_NO_DIFFERENCE},
        "device": device,
    }


def find(
    folder: Path,
    source: Source,
    header: PoseLogHeader,
    follow: AssociationSettings,
    *,
    formats: Sequence[str],
    video: bool,
    if_exists: IfExists,
    part: bool = False,
) -> Kept:
    """Decide what becomes of an earlier run in the folder; nothing is changed there.

    Args:
        folder: of the run.
        source: the clip.
        header: of the pose log that a new run would write.
        follow: association settings.
        formats: formats that shall be there, names in tracker.io.writers.WRITERS.
        video: whether video.mp4 shall be there.
        if_exists: what may be done.
        part: this is a segment: its log is finished only once the whole clip's is.

    Raises:
        InputError: with "continue" and "associate", a run stands there that must not be replaced.
    """
    if if_exists == "replace" or not (folder / LOG).is_file():
        return Kept()
    may_replace = if_exists == "adapt"
    told, note = _told(folder)
    end, damage = _checked(folder, told, may_replace)
    note = note or damage
    old = _whole_header(folder / LOG, end)
    if old is None:
        if told and not may_replace:
            _refuse_other_run(folder, source, header, follow if if_exists == "continue" else None, told)
        return Kept(note=note or f"{folder}: an unfinished run, whose pose log cannot be used, is replaced")
    if old.source_fingerprint != header.source_fingerprint:
        return _other_content(folder, source, told, may_replace)
    was, wanted = _compared(old, header)
    if was != wanted:
        if not may_replace:
            raise _changed(folder, was, wanted)
        return Kept(note=f"{folder}: what was made of other settings is replaced")
    is_finished = end is not None
    if old.posetrail_version != header.posetrail_version and (part or not is_finished):
        return Kept(note=f"{folder}: was begun by posetrail {old.posetrail_version} and not finished; done anew")
    changes = differences(told["settings"].get("association", {}), asdict(follow)) if told else []
    if told and changes and if_exists == "continue":
        raise _changed(folder, told["settings"].get("association", {}), asdict(follow))
    if told and end:
        return _finished(folder, told, end, follow, changes, formats, video)
    after = _safe_place(folder / LOG) if old.source == header.source else None
    done = f"continued after the first {after.frames} frames of an earlier run" if after else ""
    return Kept(after=after, note=note, done=done)


def _told(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """What run.json says; None where there is none that can be read, and why not."""
    if not (folder / RUN).is_file():
        return None, ""
    try:
        return run_file.read(folder), ""
    except InputError as error:
        return None, str(error)


def _checked(folder: Path, told: dict[str, Any] | None, may_replace: bool) -> tuple[LogEnd | None, str]:
    """Where the log of a finished run ends; None where it is damaged, and how, or where the run did not finish.

    Raises:
        OtherFormat: it is a finished run of another version, which must not be replaced.
    """
    if told is None or told["status"] == "interrupted":
        return None, ""
    try:
        return run_file.check_log(folder, told), ""
    except OtherFormat as error:
        if not may_replace:
            raise
        return None, str(error)
    except InputError as error:
        return None, str(error)


def _whole_header(log: Path, end: LogEnd | None) -> PoseLogHeader | None:
    """The header of a log that is whole or has a whole frame: the checksum of the first covers the header."""
    try:
        return read_pose_log(log)[0] if end or last_place(log).frames else None
    except InputError:
        return None


def _refuse_other_run(
    folder: Path, source: Source, header: PoseLogHeader, follow: AssociationSettings | None, told: dict[str, Any]
) -> None:
    """As run.json is all that is left of a run, it decides whether that was another one; association settings, too."""
    if told["input"]["fingerprint"] != header.source_fingerprint:
        _other_content(folder, source, told, may_replace=False)
    was, wanted = without_paths(told["settings"].get("inference", {})), without_paths(header.inference_settings)
    if follow is not None:
        was, wanted = was | told["settings"].get("association", {}), wanted | asdict(follow)
    if was != wanted:
        raise _changed(folder, was, wanted)


def _finished(
    folder: Path,
    told: dict[str, Any],
    end: LogEnd,
    follow: AssociationSettings,
    changes: Sequence[str],
    formats: Sequence[str],
    video: bool,
) -> Kept:
    """What is kept of a finished run of the same clip and inference settings."""
    there = {name for name in run_file.RESULTS if (folder / name).is_file()}
    refused = {line.partition(":")[0] for line in told.get("warnings", ())}
    # A format that could not be written will not be this time; a video that could not be drawn, or not to its end, may.
    missing = {WRITERS[name].file_name for name in formats} - there - (refused - set(told["files"]))
    if video and (VIDEO not in there or VIDEO in refused):
        missing.add(VIDEO)
    if not changes and not missing:
        outcome = run_file.outcome(folder, told)
        files = tuple(name for name in outcome.files if name not in run_file.RESULTS or name in there)
        return Kept(outcome=replace(outcome, files=files, done=NOTHING_TO_DO))
    stay = there - missing if run_file.has_tracks_of(told, follow) else set()
    done = f"associated again from the pose log ({told_in_short(changes)})" if changes else ""
    return Kept(seen=Inferred(told["status"], told["reason"], end), told=told, files=frozenset(stay), done=done)


def frames_until(log: Path, place: Place) -> Iterator[PoseFrame]:
    """The frames of a log up to there; an InputError where they are not all there."""
    return read_pose_log(log, place.log_end)[1]


def _other_content(folder: Path, source: Source, told: dict[str, Any] | None, may_replace: bool) -> Kept:
    """The same file with other content is looked at again; another file must not take this one's place."""
    path = str(source.path.resolve())
    if not may_replace and told is None:  # the log of a run that was killed does not tell of which file it is
        raise InputError(
            f"{folder}: holds an unfinished run of another clip than {path}, or of this one before it changed; choose "
            "another output folder, or give --redo to replace it"
        )
    if not may_replace and told and told["input"]["path"] != path:
        raise InputError(
            f"{folder}: holds the results of {told['input']['path']}, not of {path}; choose another output folder, "
            "or give --redo to replace them"
        )
    return Kept(note=f"{source.path}: has changed since it was last followed; done anew")


def _changed(folder: Path, was: dict[str, Any], wanted: dict[str, Any]) -> InputError:
    changes = told_in_short(differences(was, wanted))
    return InputError(
        f"{folder}: was made with other settings ({changes}); give those again, choose another output folder, or give "
        "--redo to replace what is there"
    )


def told_in_short(changes: Sequence[str]) -> str:
    """The first few differences, in one line."""
    more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return "; ".join(changes[:_SHOWN]) + more


def differences(was: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Like "track_buffer_s was 2.0, now 1.0", for each value that is not the same."""
    names = [name for name in {**was, **wanted} if was.get(name) != wanted.get(name)]
    return [f"{name} was {was.get(name)}, now {wanted.get(name)}" for name in names]


def _compared(old: PoseLogHeader, new: PoseLogHeader) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of both headers that must be the same, by name, as JSON has them.

    Not among them: the clip's name, because a clip may be moved and renamed; the version of posetrail alone; and where
    all weights have the same content, the paths of their files.
    """
    was, wanted = _flat(old), _flat(new)
    if [model["sha256"] for model in old.models] == [model["sha256"] for model in new.models]:
        return without_paths(was), without_paths(wanted)
    return was | _weights(old), wanted | _weights(new)


def _flat(header: PoseLogHeader) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(asdict(header)))
    for name in ("source", "posetrail_version", "models"):
        values.pop(name)
    skeleton = values.pop("skeleton")
    digest = hashlib.sha256(json.dumps(skeleton).encode()).hexdigest()[:12]
    values |= {"skeleton": skeleton["name"], "sha256 of the skeleton": digest}
    return {**values.pop("inference_settings"), **values.pop("provenance"), **values}


def weights_files(settings: Settings) -> dict[str, Path]:
    """The files of weights that are used with these settings, by setting; their content counts, not their paths."""
    networks = settings.networks
    given = {"estimator_weights": networks.estimator_weights, "detector_weights": networks.detector_weights}
    if networks.appearance not in (NO_APPEARANCE, COLOUR_LAYOUT):
        given["appearance_weights"] = networks.appearance_weights
    if settings.inference.flow == "raft":
        given["flow_weights"] = settings.inference.flow_weights
    for setting, name in (("estimator", networks.estimator), ("detector", networks.detector)):
        if path := onnx_path(name):
            given[setting] = path
    return {setting: path for setting, path in given.items() if path is not None}


def without_paths(values: dict[str, Any]) -> dict[str, Any]:
    """The same settings without the paths of files of weights, which may be moved and renamed."""
    values = {name: value for name, value in values.items() if name != "flow_weights"}
    return values | {name: ONNX_PREFIX for name in ("estimator", "detector") if onnx_path(str(values.get(name)))}


def _weights(header: PoseLogHeader) -> dict[str, str]:
    return {f"weights of {model['name']}": model["sha256"][:12] for model in header.models}


def _safe_place(log: Path) -> Place | None:
    """Behind the last full batch; None where there is none."""
    full = None
    for place in places(log):
        if place.frames % BATCH_FRAMES == 0:
            full = place
    return full
