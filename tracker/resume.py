"""What of an earlier run in a folder can be kept: all of it, everything seen, the first frames, or nothing.

A run is known by the header of its pose log: the clip's content, the settings, the weights. Where that is the same,
seeing goes on behind the last whole frame, and every data file comes out byte for byte as if nothing had happened:

- Seeing remembers the last frame's picture and poses, where older poses are by now, and the frame with which the camera
  is compared. All of it follows from the pictures and the log: the pictures are read again from the start (which is
  how frames are counted anyway), the camera looks at each beside the logged boxes as it did then, the networks rest.
- It goes on behind full batches, so that each picture meets the networks in the company it had; and behind the last
  but one, because after a power cut a file may end in zeros that no reader can tell from joints.
- What follows seeing starts over; its files appear whole or not at all, run.json last. Before a log is touched its
  run.json is removed, so that one never tells of another log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from core.errors import InputError
from tracker import run_file
from tracker.pipeline import BATCH_FRAMES
from tracker.pose_log import Place, PoseLogHeader, SeenFrame, places, read_pose_log
from tracker.run_file import LOG, RUN, VIDEO, Outcome, Status
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
    seen: tuple[Status, str] | None = None  # everything was seen; how that ended, and why
    after: Place | None = None  # the log goes on behind this frame
    note: str = ""  # one line: why nothing is kept


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
        InputError: with "continue", a run of other settings or of another clip stands there.
    """
    if earlier == "replace" or not (folder / LOG).is_file():
        return Kept()
    told = run_file.read(folder) if (folder / RUN).is_file() else None
    try:
        old, _ = read_pose_log(folder / LOG)
    except InputError:
        if told and earlier == "continue":
            raise
        return Kept()  # cut off within the header: nothing was seen
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
    if told and told["status"] != "interrupted":
        if not other_follow and _has_everything(folder, told, saves, video):
            return Kept(outcome=run_file.outcome(folder, told))
        return Kept(seen=(told["status"], told["reason"]))
    return Kept(after=_safe_place(folder / LOG) if old.source == header.source else None)


def frames_until(log: Path, place: Place) -> Iterator[SeenFrame]:
    """The frames of a log up to that one."""
    return islice(read_pose_log(log)[1], place.position + 1)


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
    """The end of the last full batch but one."""
    last = before = None
    for place in places(log):
        if (place.position + 1) % BATCH_FRAMES == 0:
            last, before = place, last
    return before
