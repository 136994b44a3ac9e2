"""run.json: what a run was made from, how it ended and which files it wrote. Read and written here only."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Collection, Set
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.paths import is_safe_name
from tracker.io.corrections_log import CORRECTIONS
from tracker.io.frame_index import INDEX
from tracker.io.json_records import Check, from_json
from tracker.io.pose_log import DamagedLog, LogEnd, check_pose_log, read_pose_log
from tracker.io.tables3d import TRACKS3D, TRACKS3D_PARQUET
from tracker.io.writers import WRITERS
from tracker.lifting.angle_settings import AngleRecord, is_angle_file
from tracker.lifting.lift_record import LiftRecord
from tracker.settings import AssociationSettings

SCHEMA_VERSION = 1
LOG, RUN, VIDEO, SUSPECTS = "poses.arrow", "run.json", "video.mp4", "suspects.csv"
LIFTED = (TRACKS3D, TRACKS3D_PARQUET)
RESULTS = frozenset({VIDEO, SUSPECTS, *LIFTED, *(kind.file_name for kind in WRITERS.values())})

Status = Literal["complete", "damaged", "interrupted"]
"""How inference ended: all frames were read; all that a damaged clip has; or it was stopped before the end."""

_LARGEST_BYTES, _HINT = 2**24, "give the folder of a finished run, or track again"  # of a run.json


def _is_path(value: str) -> bool:
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


PathText: TypeAlias = Annotated[str, Check(_is_path)]
FileName: TypeAlias = Annotated[str, Check(is_safe_name)]


class OtherSchema(InputError):
    """A run.json whose schema version this posetrail does not read."""


@dataclass(frozen=True)
class RunWarning:
    """Something a user should know about a run that ended without an error."""

    text: str  # one line
    file: str = ""  # the result that it is about; empty: the run as a whole
    incomplete: bool = False  # the result was not written, or not to the end of the clip

    def __str__(self) -> str:
        return f"{self.file}: {self.text}" if self.file else self.text


@dataclass(frozen=True)
class Inferred:
    """How inference ended, once the pose log is written."""

    status: Status
    reason: str  # one line; empty when complete
    log: LogEnd
    finished: bool = True  # false: frames of the clip are left to infer


@dataclass(frozen=True, kw_only=True)
class ClipInput:
    """A clip whose frames were inferred, and the part of it that was chosen."""

    kind: Literal["clip"] = "clip"
    path: PathText
    fingerprint: str  # SHA-256 of the content
    fps: float
    timed_by_fps: bool
    width: int  # pixels
    height: int
    start_s: float | None
    end_s: float | None
    stride: int
    notes: tuple[str, ...] = ()  # see `Source.notes`


@dataclass(frozen=True, kw_only=True)
class PosesInput:
    """Poses that another program made, or a pose log whose clip is not known."""

    kind: Literal["poses"] = "poses"
    path: PathText
    fingerprint: str
    fps: float
    width: int  # pixels
    height: int


@dataclass(frozen=True, kw_only=True)
class RecordedSettings:
    """Settings as JSON holds them, by name; they may be those of another version of posetrail."""

    networks: dict[str, Any] = field(default_factory=dict)
    inference: dict[str, Any] = field(default_factory=dict)
    association: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network as run.json and the pose log record it."""

    name: str
    sha256: str  # of its weights; empty of an object that the user passed in
    licence: str = ""
    precision: str = ""  # float32, int8 or bfloat16; empty where it is not known


@dataclass(frozen=True, kw_only=True)
class UsedCorrections:
    """The corrections by which ids were assigned."""

    entries: int = 0  # operations in corrections.jsonl at that time, undone ones included
    sha256: str = ""  # of those that count (tracker/runs/corrections.py); empty: none


NOT_CORRECTED = UsedCorrections()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts and times of a run."""

    frames: int
    people: int  # distinct track ids
    poses: int  # of all frames, interpolated ones included
    interpolated: int
    seconds: float
    frames_per_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SuspectFigures:
    """How many doubtful places the tracks have."""

    number: dict[str, int]  # by kind
    per_1000_frames: dict[str, float]


NO_FIGURES = Figures(frames=0, people=0, poses=0, interpolated=0, seconds=0.0)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The content of run.json."""

    schema_version: int = SCHEMA_VERSION
    status: Status
    finished: bool  # whether inference reached the end of the clip, or the damage that ends it
    reason: str  # why the status is not "complete", one line
    warnings: tuple[RunWarning, ...]
    input: ClipInput | PosesInput
    settings: RecordedSettings
    corrections: UsedCorrections = NOT_CORRECTED
    applied: dict[str, Any] = field(default_factory=dict)  # values that the settings leave to a network or to "auto"
    models: tuple[Model, ...]
    device: str
    pose_log: LogEnd
    versions: dict[str, str]  # of the programs that assigned the ids
    figures: Figures
    suspects: SuspectFigures | None = None  # once they were looked for
    angles: AngleRecord | None = None  # once they were computed
    lift: LiftRecord | None = None  # once there are 3-D tracks
    live: dict[str, Any] = field(default_factory=dict)  # of a live source: address, start, counts (live_folder.py)
    files: tuple[FileName, ...]  # in the run's folder

    @property
    def inferred(self) -> Inferred:
        """How inference ended."""
        return Inferred(self.status, self.reason, self.pose_log, self.finished)

    @property
    def formats(self) -> tuple[str, ...]:
        """Formats of the tracks that the run wrote, names in `WRITERS`."""
        return tuple(name for name, kind in WRITERS.items() if kind.file_name in self.files)

    @property
    def association_settings(self) -> AssociationSettings:
        """The settings that assigned the ids.

        Raises:
            InputError: this version of posetrail has other settings, or refuses one of the values.
        """
        try:
            if not self.settings.association:
                raise TypeError
            return AssociationSettings(**self.settings.association)
        except InputError as error:
            raise InputError(f"{RUN}: {error}; track or follow again") from None
        except TypeError:
            raise InputError(
                f"{RUN}: expected the association settings of this posetrail, got others; track or follow again"
            ) from None

    def has_tracks_of(self, settings: AssociationSettings, corrections: UsedCorrections) -> bool:
        """Whether this version of posetrail would assign the same ids with these settings and corrections."""
        same_version = self.versions.get("posetrail") == version("posetrail")
        same_corrections = self.corrections.sha256 == corrections.sha256
        return same_version and same_corrections and self.settings.association == asdict(settings)

    def warnings_about(self, files: Collection[str]) -> list[RunWarning]:
        """The warnings about these results."""
        return [warning for warning in self.warnings if warning.file in files]

    def with_video(
        self, drawn: Literal["whole", "part", "none"], notes: Collection[str], folder: Path, *, limits: str = ""
    ) -> RunRecord:
        """The record after the video of `folder` was drawn to its end, in part or not at all.

        Args:
            drawn: what was drawn.
            notes: what in the video differs from the clip, one line each.
            folder: of the run.
            limits: to what people or times the video was limited on request; empty if to none.
        """
        draw = f"`posetrail draw {folder}`"
        new = [RunWarning(note, VIDEO) for note in notes]
        if limits:
            new.append(RunWarning(f"shows only {limits}; {draw} draws all", VIDEO, incomplete=True))
        if drawn == "none":
            new.append(RunWarning(f"not drawn; {draw} draws it", VIDEO, incomplete=True))
        elif drawn == "part":
            new.append(
                RunWarning(f"stopped before the end of the clip; {draw} draws all of it", VIDEO, incomplete=True)
            )
        others = [warning for warning in self.warnings if warning.file != VIDEO]
        files = set(self.files) - {VIDEO} | ({VIDEO} if drawn != "none" else set())
        return replace(self, warnings=(*others, *new), files=files_of(folder, files))

    def with_seconds(self, seconds: float) -> RunRecord:
        """The record of a run that took so long."""
        frames_per_s = round(self.figures.frames / max(seconds, 1e-9), 2)
        return replace(self, figures=replace(self.figures, seconds=round(seconds, 3), frames_per_s=frames_per_s))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended, as the functions that make one return it."""

    folder: Path
    status: Status
    reason: str  # one line; empty when complete
    warnings: tuple[str, ...]  # one line each
    frames: int
    people: int  # distinct track ids
    poses: int  # of all frames, interpolated ones included
    interpolated: int
    seconds: float
    files: tuple[str, ...]  # names in the folder
    unchanged: bool = field(default=False, compare=False)  # an earlier run in the folder left nothing to do
    reused: str = field(default="", compare=False)  # what was reused of an earlier run, in a few words

    @classmethod
    def of(cls, folder: Path, record: RunRecord, *, unchanged: bool = False, reused: str = "") -> Outcome:
        """The outcome of the run with this record."""
        figures = record.figures
        return cls(
            folder=folder,
            status=record.status,
            reason=record.reason,
            warnings=tuple(map(str, record.warnings)),
            frames=figures.frames,
            people=figures.people,
            poses=figures.poses,
            interpolated=figures.interpolated,
            seconds=figures.seconds,
            files=record.files,
            unchanged=unchanged,
            reused=reused,
        )


def files_of(folder: Path, results: Set[str]) -> tuple[str, ...]:
    """All files of a run with these results, in the order in which they are written."""
    index = [INDEX] if (folder / INDEX).is_file() else []
    tracks = [kind.file_name for kind in WRITERS.values() if kind.file_name in results]
    more = [*(name for name in (SUSPECTS, VIDEO, *LIFTED) if name in results), *sorted(filter(is_angle_file, results))]
    return (LOG, *index, *tracks, RUN, *more)


def write_record(folder: Path, record: RunRecord) -> None:
    """Write run.json, and remove results in the folder that the record does not list."""
    angles = {path.name for path in folder.glob("angles*") if is_angle_file(path.name)}
    for stale in (RESULTS | angles) - set(record.files):
        (folder / stale).unlink(missing_ok=True)
    with written_whole(folder / RUN) as beside:
        # Bytes of a path that are not UTF-8 become JSON's own escapes, so that the path is read back unchanged.
        text = json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n"
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_record(folder: Path) -> RunRecord:
    """The record of a run's folder.

    Raises:
        OtherSchema: another version of posetrail wrote it.
        InputError: it is missing, larger than 16 MiB, not JSON, or a value is missing or has the wrong type.
    """
    path = folder / RUN
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_BYTES + 1)
        content: Any = json.loads(text.decode()) if len(text) <= _LARGEST_BYTES else None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the folder of a finished run") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: is not JSON; {_HINT}") from None
    if isinstance(content, dict) and content.get("schema_version") != SCHEMA_VERSION:
        given = content.get("schema_version")
        got = given if type(given) is int and 0 <= given < 10**9 else "none"
        raise OtherSchema(
            f"{path}: expected schema_version {SCHEMA_VERSION}, got {got}; another posetrail wrote it; track again "
            "with --redo, or choose another output folder"
        )
    try:
        return from_json(RunRecord, content)
    except ValueError as error:
        raise InputError(f"{path}: {error}; {_HINT}") from None


def check_log(folder: Path, record: RunRecord) -> LogEnd:
    """Make sure that the pose log of a run is whole and the one its record describes. Returns the log's end.

    Raises:
        OtherFormat: it has another pose log format.
        DamagedLog: frames are damaged or missing; the line names the command that infers them again.
        InputError: it cannot be read.
    """
    read_pose_log(folder / LOG)  # raises OtherFormat before any damage is looked for
    try:
        check_pose_log(folder / LOG, record.pose_log, ended=record.finished)
    except DamagedLog as error:
        raise DamagedLog(f"{error}; {_remedy(folder, record)}") from None
    return record.pose_log


def _remedy(folder: Path, record: RunRecord) -> str:
    """The command that repairs a damaged pose log."""
    path = record.input.path
    if not os.path.exists(path):  # noqa: PTH110 Path.exists raises an error of a name too long
        return f"its input {path} is gone: put it back, or track it from where it is now"
    if isinstance(record.input, ClipInput):
        return f"infer the rest again: posetrail track {shlex.quote(path)} -o {shlex.quote(str(folder.parent))}"
    return f"import the poses again: posetrail follow {shlex.quote(path)} -o {shlex.quote(str(folder))}"


def check_output_file(folder: Path, path: Path) -> None:
    """Refuse to write a further file where it cannot be, or over a file of the run.

    Raises:
        InputError: the folder does not exist, or the path is that of a folder or of a file of the run.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path}: expected an existing folder; make it, or choose another place for the file")
    if path.is_dir():
        raise InputError(f"{path}: expected a file to write, got a folder; give the name of a file with -o")
    if path.resolve() in {(folder / name).resolve() for name in (RUN, LOG, INDEX, CORRECTIONS, *RESULTS)}:
        raise InputError(f"{path}: is a file of the run; choose another name")
