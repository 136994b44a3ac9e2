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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import InputError
from tracker import run_file
from tracker.pipeline import BATCH_FRAMES
from tracker.pose_log import (
    LogEnd,
    OtherFormat,
    Place,
    PoseLogHeader,
    SeenFrame,
    last_place,
    places,
    read_pose_log,
)
from tracker.run_file import LOG, RUN, VIDEO, Inferred, Outcome
from tracker.settings import FollowSettings, Settings
from tracker.video import Source
from tracker.writers import WRITERS

Earlier = Literal["replace", "continue", "adapt"]
"""What becomes of an earlier run in the folder. "replace": nothing of it is used. "continue": what is done stays, what
is not goes on, and a run of other settings or of another clip is left alone with an InputError. "adapt": as "continue",
but what does not fit is done anew."""

_MAKES_NO_DIFFERENCE = ("threads", "weights", "detector_weights", "appearance_weights")  # weights count by their sha256
_SHOWN = 4  # differences told of in one line


@dataclass(frozen=True)
class Kept:
    """What an earlier run has left that this one can use."""

    outcome: Outcome | None = None  # of a run that is finished: nothing is to be done
    seen: Inferred | None = None  # everything was seen; how that ended
    after: Place | None = None  # the log goes on behind this frame
    note: str = ""  # one line: why not everything is kept


def made_of(source: Source, settings: Settings, device: str) -> dict[str, Any]:
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
    follow: FollowSettings,
    *,
    saves: Sequence[str],
    video: bool,
    earlier: Earlier,
) -> Kept:
    """Look at what stands in the folder.

    Raises:
        InputError: with "continue", a run of other settings or of another clip stands there, or a finished one of
            another version.
    """
    if earlier == "replace" or not (folder / LOG).is_file():
        return Kept()
    told, note = _told(folder)
    end, damage = _checked(folder, told, earlier)
    note = note or damage
    old = _whole_header(folder / LOG, end)
    if old is None:
        if told and earlier == "continue":
            _refuse_other_run(folder, source, header, follow, told)
        return Kept(note=note)
    if old.source_fingerprint != header.source_fingerprint:
        return _other_content(folder, source, told, earlier)
    was, wanted = _flat(old), _flat(header)
    other_follow = told is not None and told["settings"].get("follow") != asdict(follow)
    if earlier == "continue" and (was != wanted or other_follow):
        if told and other_follow:
            was, wanted = was | told["settings"].get("follow", {}), wanted | asdict(follow)
        raise _changed(folder, was, wanted)
    if was != wanted:
        return Kept(note=f"{folder}: what was made of other settings is replaced")
    if told and end:
        if not other_follow and _has_everything(folder, told, saves, video):
            return Kept(outcome=run_file.outcome(folder, told))
        return Kept(seen=Inferred(told["status"], told["reason"], end))
    return Kept(after=_safe_place(folder / LOG) if old.source == header.source else None, note=note)


def _told(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """What run.json says; None where there is none that can be read, and why not."""
    if not (folder / RUN).is_file():
        return None, ""
    try:
        return run_file.read(folder), ""
    except InputError as error:
        return None, str(error)


def _checked(folder: Path, told: dict[str, Any] | None, earlier: Earlier) -> tuple[LogEnd | None, str]:
    """Where the log of a finished run ends; None where it is damaged, and how, or where the run did not finish.

    Raises:
        OtherFormat: with "continue", it is a finished run of another version.
    """
    if told is None or told["status"] == "interrupted":
        return None, ""
    try:
        return run_file.check_log(folder, told), ""
    except OtherFormat as error:
        if earlier == "continue":
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
    folder: Path, source: Source, header: PoseLogHeader, follow: FollowSettings, told: dict[str, Any]
) -> None:
    """As run.json is all that is left of a run, it decides whether that was another one."""
    if told["input"]["fingerprint"] != header.source_fingerprint:
        _other_content(folder, source, told, "continue")
    was = told["settings"].get("see", {}) | told["settings"].get("follow", {})
    if was != header.see_settings | asdict(follow):
        raise _changed(folder, was, header.see_settings | asdict(follow))


def frames_until(log: Path, place: Place) -> Iterator[SeenFrame]:
    """The frames of a log up to there; an InputError where they are not all there."""
    return read_pose_log(log, place.log_end)[1]


def _other_content(folder: Path, source: Source, told: dict[str, Any] | None, earlier: Earlier) -> Kept:
    """The same file with other content is looked at again; another file must not take this one's place."""
    path = str(source.path.resolve())
    if told and told["input"]["path"] != path and earlier == "continue":
        raise InputError(
            f"{folder}: holds the results of {told['input']['path']}, not of {path}; choose another output folder, "
            "or give --redo to replace them"
        )
    return Kept(note=f"{source.path}: has changed since it was last followed; done anew")


def _changed(folder: Path, was: dict[str, Any], wanted: dict[str, Any]) -> InputError:
    changes = differences(was, wanted)
    more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return InputError(
        f"{folder}: was made with other settings ({'; '.join(changes[:_SHOWN])}{more}); give those again, choose "
        "another output folder, or give --redo to replace what is there"
    )


def differences(was: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Like "memory_s was 2.0, now 1.0", for each value that is not the same."""
    names = [name for name in {**was, **wanted} if was.get(name) != wanted.get(name)]
    return [f"{name} was {was.get(name)}, now {wanted.get(name)}" for name in names]


def _flat(header: PoseLogHeader) -> dict[str, Any]:
    """A header's values by name, as JSON has them."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(header)))
    models = {f"weights of {model['name']}": model["sha256"][:12] for model in values.pop("models")}
    skeleton = values.pop("skeleton")
    digest = hashlib.sha256(json.dumps(skeleton).encode()).hexdigest()[:12]
    values |= {"skeleton": skeleton["name"], "sha256 of the skeleton": digest}
    values.pop("source")  # a clip may be moved and renamed
    return {**values.pop("see_settings"), **values.pop("made_of"), **models, **values}


def _has_everything(folder: Path, told: dict[str, Any], saves: Sequence[str], video: bool) -> bool:
    """Whether every file is there that is wanted, or was refused for a reason that still holds."""
    refused = {line.partition(":")[0] for line in told.get("warnings", ())}
    wanted = {WRITERS[name].file_name for name in saves} - (refused - set(told["files"]))
    if video:
        wanted.add(VIDEO)
    whole = all((folder / name).is_file() for name in told["files"])
    return whole and wanted <= set(told["files"]) and not (video and VIDEO in refused)


def _safe_place(log: Path) -> Place | None:
    """Behind the last full batch; None where there is none."""
    full = None
    for place in places(log):
        if place.frames % BATCH_FRAMES == 0:
            full = place
    return full
