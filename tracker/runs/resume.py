"""Reuse of an earlier run in the same folder: all of it, its inference, its first frames, or nothing.

The header of the pose log identifies a run: the clip's content, the settings, the weights. If it is the same, inference
continues after the last usable frame, and every data file comes out byte for byte as in an undisturbed run:

- The state of inference is the last image and poses, the propagated poses and the reference image of the camera motion.
  All of it is computed again from the images, which are decoded from the start in any case, and the logged poses; the
  networks do not run.
- Inference continues after a full batch, so that each image is in the same batch as in an undisturbed run.
- The log of a finished run is compared with run.json. If it is damaged, inference continues before the damage. A
  run.json that cannot be read counts as missing, one of another schema version is an error.
- Association starts over. Its files appear complete or not at all, run.json last. run.json is removed before its pose
  log is changed, so that it never describes another log.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from estimators.appearance import COLOUR_LAYOUT, NO_APPEARANCE
from posetrail.errors import InputError
from posetrail.options import file_in_name
from tracker.frames import PoseFrame
from tracker.inference.pipeline import BATCH_FRAMES
from tracker.io.pose_log import OtherFormat, Place, PoseLogHeader, last_place, places, read_pose_log
from tracker.io.video import Source
from tracker.io.writers import WRITERS
from tracker.runs.record import (
    LOG,
    NOT_CORRECTED,
    RESULTS,
    RUN,
    VIDEO,
    OtherSchema,
    RunRecord,
    UsedCorrections,
    check_log,
    read_record,
)
from tracker.settings import AssociationSettings, Settings

_log = logging.getLogger(__name__)

IfExists = Literal["replace", "adapt", "continue", "associate"]
"""What to do with an earlier run in the folder.

"continue": keep a finished run, continue an unfinished one; raise an InputError if it has other settings or another
clip. "associate": the same, but if only the association settings differ, associate its pose log again. "adapt": the
same, but replace the run where "continue" raises an error. "replace": start over."""

UNCHANGED = "nothing to do; --redo starts again"

_WITHOUT_EFFECT = ("threads",)  # on any number
_PATH_OF_WEIGHTS = "_weights"  # how the names of such settings end; weights are compared by their sha256
_MAY_NAME_FILES = ("estimator", "detector", "hands", "faces")  # settings like onnx:FILE
_LISTED = 4  # differences in one line


@dataclass(frozen=True)
class Reuse:
    """What a new run reuses of an earlier one in its folder."""

    record: RunRecord | None = None  # of a run whose inference is reused
    is_up_to_date: bool = False  # the run in `record` has all that was asked for
    files: frozenset[str] = frozenset()  # results that stay, because they show the same tracks
    after: Place | None = None  # inference continues after this frame of the pose log
    warning: str = ""  # one line: why not everything is reused
    summary: str = ""  # what is reused, in a few words


def provenance(source: Source, settings: Settings, device: str) -> dict[str, Any]:
    """What decides the numbers of a pose log beside the other fields of its header."""
    networks = plain(asdict(settings.networks))
    return {
        "start_s": source.start_s,
        "end_s": source.end_s,
        "stride": source.stride,
        "timed_by_fps": source.timed_by_fps,
        **{name: value for name, value in _without_weights(networks).items() if name not in _WITHOUT_EFFECT},
        "device": device,
    }


def plain(values: Any) -> Any:
    """Settings as JSON holds them: paths become text."""
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    return str(values) if isinstance(values, Path) else values


def find_reusable(
    folder: Path,
    source: Source,
    header: PoseLogHeader,
    association: AssociationSettings,
    *,
    formats: Sequence[str],
    video: bool,
    if_exists: IfExists,
    part: bool = False,
    used: UsedCorrections = NOT_CORRECTED,
) -> Reuse:
    """Decide what to reuse of an earlier run in the folder; changes nothing there.

    Args:
        folder: of the run.
        source: the clip.
        header: of the pose log that a new run would write.
        association: association settings of the new run.
        formats: formats that the new run writes, names in tracker.io.writers.WRITERS.
        video: whether the new run draws video.mp4.
        if_exists: what may be done with the earlier run.
        part: the run is a segment, whose log is finished only once the log of the whole clip is.
        used: the corrections by which ids would be assigned.

    Raises:
        InputError: "continue" or "associate" was given, and the earlier run must not be replaced.
    """
    reuse = _decide(folder, source, header, association, formats, video, if_exists, part, used)
    if reuse != Reuse():
        _log.info("%s: %s", folder, reuse.summary or reuse.warning or "inference of an earlier run is reused")
    return reuse


def _decide(
    folder: Path,
    source: Source,
    header: PoseLogHeader,
    association: AssociationSettings,
    formats: Sequence[str],
    video: bool,
    if_exists: IfExists,
    part: bool,
    used: UsedCorrections,
) -> Reuse:
    if if_exists == "replace" or not (folder / LOG).is_file():
        return Reuse()
    may_replace = if_exists == "adapt"
    record, warning = _read(folder, may_replace)
    is_whole, damage = _check(folder, record, may_replace)
    warning = warning or damage
    old = _usable_header(folder / LOG, is_whole)
    if old is None:
        if record and not may_replace:
            _refuse_other_run(folder, source, header, association if if_exists == "continue" else None, record)
        return Reuse(warning=warning or f"{folder}: replaced an unfinished run, because its pose log cannot be used")
    if old.source_fingerprint != header.source_fingerprint:
        return _of_other_content(folder, source, record, may_replace)
    before, now = _compared(old, header)
    if before != now:
        if not may_replace:
            raise _other_settings(folder, before, now)
        return Reuse(warning=f"{folder}: replaced a run of other settings")
    if old.posetrail_version != header.posetrail_version and (part or not is_whole):
        return Reuse(warning=f"{folder}: started over, because posetrail {old.posetrail_version} left it unfinished")
    recorded = record.settings.association if record else {}
    changes = differences(recorded, asdict(association)) if record else []
    if record and changes and if_exists == "continue":
        raise _other_settings(folder, recorded, asdict(association))
    if record and is_whole:
        return _of_finished(folder, record, association, changes, formats, video, used)
    after = _resume_place(folder / LOG) if old.source == header.source else None
    summary = f"continued after the first {after.frames} frames of an earlier run" if after else ""
    return Reuse(after=after, warning=warning, summary=summary)


def _read(folder: Path, may_replace: bool) -> tuple[RunRecord | None, str]:
    """The record in the folder, or None and why it cannot be read.

    Raises:
        OtherSchema: another version of posetrail wrote it, and it must not be replaced.
    """
    if not (folder / RUN).is_file():
        return None, ""
    try:
        return read_record(folder), ""
    except OtherSchema as error:
        if not may_replace:
            raise
        return None, str(error)
    except InputError as error:
        return None, str(error)


def _check(folder: Path, record: RunRecord | None, may_replace: bool) -> tuple[bool, str]:
    """Whether the log of a finished run is whole, and what is wrong with it.

    Raises:
        OtherFormat: the log of a finished run has another format, and must not be replaced.
    """
    if record is None or not record.finished:
        return False, ""
    try:
        check_log(folder, record)
    except OtherFormat as error:
        if not may_replace:
            raise
        return False, str(error)
    except InputError as error:
        return False, str(error)
    return True, ""


def _usable_header(log: Path, is_whole: bool) -> PoseLogHeader | None:
    """The header of a log with a whole frame, whose checksum covers the header too, or of one known to be whole."""
    try:
        return read_pose_log(log)[0] if is_whole or last_place(log).frames else None
    except InputError:
        return None


def _refuse_other_run(
    folder: Path, source: Source, header: PoseLogHeader, association: AssociationSettings | None, record: RunRecord
) -> None:
    """Raise an InputError if run.json, all that is left of a run, shows another clip or other settings."""
    if record.input.fingerprint != header.source_fingerprint:
        _of_other_content(folder, source, record, may_replace=False)
    before, now = without_paths(record.settings.inference), without_paths(header.inference_settings)
    if association is not None:
        before, now = before | record.settings.association, now | asdict(association)
    if before != now:
        raise _other_settings(folder, before, now)


def _of_finished(
    folder: Path,
    record: RunRecord,
    association: AssociationSettings,
    changes: Sequence[str],
    formats: Sequence[str],
    video: bool,
    used: UsedCorrections,
) -> Reuse:
    """What is reused of a finished run of the same clip and inference settings."""
    present = {name for name in RESULTS if (folder / name).is_file()}
    incomplete = {warning.file for warning in record.warnings if warning.incomplete}
    if used.sha256 != record.corrections.sha256:
        changes = [*changes, "corrections"]
    # A format that could not be written before cannot be written now; a video can be drawn again.
    missing = {WRITERS[name].file_name for name in formats} - present - (incomplete - set(record.files))
    if video and (VIDEO not in present or VIDEO in incomplete):
        missing.add(VIDEO)
    if not changes and not missing:
        return Reuse(record, is_up_to_date=True, files=frozenset(present), summary=UNCHANGED)
    keep = present - missing if record.has_tracks_of(association, used) else set()
    summary = f"associated again from the pose log ({first_of(changes)})" if changes else ""
    return Reuse(record, files=frozenset(keep), summary=summary)


def frames_until(log: Path, place: Place) -> Iterator[PoseFrame]:
    """The frames of a log up to there; raises an InputError if some are missing."""
    return read_pose_log(log, place.log_end)[1]


def _of_other_content(folder: Path, source: Source, record: RunRecord | None, may_replace: bool) -> Reuse:
    """A file whose content has changed is inferred again; another file must not take the place of this one."""
    path = str(source.path.resolve())
    if not may_replace and record is None:  # the log of a killed run does not hold the path of its clip
        raise InputError(
            f"{folder}: holds an unfinished run of another clip than {path}, or of this one before it changed; choose "
            "another output folder, or give --redo to replace it"
        )
    if not may_replace and record and record.input.path != path:
        raise InputError(
            f"{folder}: holds the results of {record.input.path}, not of {path}; choose another output folder, "
            "or give --redo to replace them"
        )
    return Reuse(warning=f"{source.path}: started over, because it has changed since it was last tracked")


def _other_settings(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> InputError:
    changes = first_of(differences(before, now))
    return InputError(
        f"{folder}: was made with other settings ({changes}); give those again, choose another output folder, or give "
        "--redo to replace what is there"
    )


def first_of(changes: Sequence[str]) -> str:
    """The first few differences, in one line."""
    more = f" and {len(changes) - _LISTED} more" if len(changes) > _LISTED else ""
    return "; ".join(changes[:_LISTED]) + more


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Like "track_buffer_s was 2.0, now 1.0", for each value that differs."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return [f"{name} was {before.get(name)}, now {now.get(name)}" for name in names]


def _compared(old: PoseLogHeader, new: PoseLogHeader) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of both headers that must be equal, by name, as JSON holds them.

    Left out are the clip's name, because a clip may be renamed, the version of posetrail, and, if all weights have the
    same content, the paths of their files.
    """
    before, now = _flat(old), _flat(new)
    if [model["sha256"] for model in old.models] == [model["sha256"] for model in new.models]:
        return without_paths(before), without_paths(now)
    return before | _weights(old), now | _weights(new)


def _flat(header: PoseLogHeader) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(asdict(header)))
    for name in ("source", "posetrail_version", "models"):
        values.pop(name)
    skeleton = values.pop("skeleton")
    digest = hashlib.sha256(json.dumps(skeleton).encode()).hexdigest()[:12]
    values |= {"skeleton": skeleton["name"], "sha256 of the skeleton": digest}
    return {**values.pop("inference_settings"), **values.pop("provenance"), **values}


def weights_files(settings: Settings) -> dict[str, Path]:
    """Files of weights that the settings use, by the name of the setting."""
    networks = settings.networks
    given = {
        "estimator_weights": networks.estimator_weights,
        "detector_weights": networks.detector_weights,
        "hands_weights": networks.hands_weights,
        "faces_weights": networks.faces_weights,
        "refiner_weights": networks.refiner_weights,
    }
    if networks.appearance not in (NO_APPEARANCE, COLOUR_LAYOUT):
        given["appearance_weights"] = networks.appearance_weights
    if settings.inference.flow == "raft":
        given["flow_weights"] = settings.inference.flow_weights
    for setting in _MAY_NAME_FILES:
        if found := file_in_name(getattr(networks, setting) or ""):
            given[setting] = found[1]
    return {setting: path for setting, path in given.items() if path is not None}


def without_paths(values: dict[str, Any]) -> dict[str, Any]:
    """The same settings without the paths of weights, whose files may be moved and renamed."""
    values = _without_weights(values)
    found = {name: file_in_name(str(values.get(name))) for name in _MAY_NAME_FILES}
    return values | {name: prefix_and_path[0] for name, prefix_and_path in found.items() if prefix_and_path}


def _without_weights(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not name.endswith(_PATH_OF_WEIGHTS)}


def _weights(header: PoseLogHeader) -> dict[str, str]:
    return {f"weights of {model['name']}": model["sha256"][:12] for model in header.models}


def _resume_place(log: Path) -> Place | None:
    """The place after the last full batch; None if there is none."""
    full = None
    for place in places(log):
        if place.frames % BATCH_FRAMES == 0:
            full = place
    return full
