"""The command line: parses and calls. Whatever a flag does, a function does too.

Exit codes: 0 done; 2 the input or a flag cannot be used, one line says what and what to do; 3 of several inputs some
could not be used, a line for each; 130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP, with the finished frames
kept; 1 is a fault of ours, with a traceback. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import sys
import tomllib
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Parameter, Token
from cyclopts.config import Dict

from posetrail.errors import InputError, unknown_name
from posetrail.paths import distinct_names, safe_name
from posetrail.wording import counted
from posetrail.wording import people as counted_people
from tracker.cli.arguments import complaint, each_set, recorded, seconds
from tracker.cli.printing import Printer, wants_json
from tracker.progress import OnFrame, ProgressStyle
from tracker.progress import progress as telling
from tracker.settings import PRESETS, AssociationSettings, InferenceSettings, NetworkSettings, Settings
from tracker.signals import Interrupted, stop_on_ctrl_c

if TYPE_CHECKING:
    from tracker.runs.record import Outcome

SOME_FAILED = 3
INTERRUPTED = 130  # 128 + SIGINT
FAULT = 1


def _fill_in(app: App, commands: tuple[str, ...], arguments: Any) -> None:
    """Settings that no flag gives: from --set, then the TOML file of --config, then the preset, then the defaults."""
    given = {argument.name: [token.value for token in argument.tokens] for argument in arguments}
    sources: list[tuple[str, dict[str, Any]]] = [("--set", dict(map(_name_and_value, given.get("--set", []))))]
    if any(token.implicit_value is True for each in arguments if each.name == "--online" for token in each.tokens):
        sources.insert(0, ("--online", {"offline": False}))  # before the settings are made: some go online alone
    sources += [(path, _read_toml(Path(path))) for path in given.get("--config", [])]
    for name in given.get("--preset", []):
        if name not in PRESETS:
            raise unknown_name("preset", name, PRESETS)
        values = {setting: value for setting, value in _flat(PRESETS[name]).items() if value is not None}
        sources.append((f"preset {name}", values))
    # Presets and files have settings of all rooms; a command may need only some.
    elsewhere = {_flag(setting) for setting in _flat(Settings())} - {argument.name for argument in arguments}
    for source, values in sources:
        mine = {setting: value for setting, value in values.items() if _flag(setting) not in elsewhere}
        Dict(mine, use_commands_as_keys=False, source=source)(app, commands, arguments)
    for argument in arguments:
        _check_whole(argument)


def _check_whole(argument: Any) -> None:
    """Cyclopts would round 2.5 to the whole number 2."""
    if argument.hint not in (int, int | None):
        return
    for token in argument.tokens:
        _, point, decimals = token.value.partition(".")
        if point and decimals.strip("0_"):
            raise InputError(f"{argument.name}: expected a whole number, got {token.value}")


def _flag(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def _flat(settings: Settings) -> dict[str, Any]:
    return {setting: value for room in asdict(settings).values() for setting, value in room.items()}


def _name_and_value(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise InputError(f"--set: expected NAME=VALUE such as similarity=iou, got {text!r}")
    return name.strip(), value.strip()


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--config {path}: cannot be read ({error.strerror}); give a TOML file of settings") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"--config {path}: not TOML ({error}); write lines like detect_every = 2") from None
    for name, value in values.items():
        if isinstance(value, dict):  # one nested deeply would end the parser of the flags
            raise InputError(f"--config {path}: expected lines like detect_every = 2, got a table {name[:40]!r}")
    return values


app = App(
    name="posetrail",
    help="Follow the poses of everyone in a video: joints in every frame, one id for each person.",
    version=lambda: version("posetrail"),
    config=_fill_in,
)


def _seconds(_type: Any, tokens: Sequence[Token]) -> float:
    return seconds(tokens[0].value)


def _recorded(_type: Any, tokens: Sequence[Token]) -> Path:
    return recorded(tokens[0].value)


Input = Annotated[
    Path, Parameter(converter=_recorded, help="A video file, a folder of images, or a quoted glob of images.")
]
Output = Annotated[Path, Parameter(name=["--output", "-o"], help="Folder for results; a clip's go to OUTPUT/CLIP.")]
Networks = Annotated[NetworkSettings, Parameter(name="*", group="Networks")]
Inference = Annotated[InferenceSettings, Parameter(name="*", group="What is seen")]
Association = Annotated[AssociationSettings, Parameter(name="*", group="Who is who")]
Preset = Annotated[str, Parameter(help=f"Defaults of all settings: {', '.join(PRESETS)}.")]
Config = Annotated[Path | None, Parameter(help="TOML file of settings, named as the flags; flags go first.")]
Save = Annotated[
    str, Parameter(help="Files to write besides tracks.json and tracks.csv: parquet, coco, mot, posetrack17.")
]
Set = Annotated[
    tuple[str, ...], Parameter(negative=(), help="NAME=VALUE, the same as --name VALUE; several may follow.")
]
Online = Annotated[
    bool,
    Parameter(
        negative=(),
        help="Without associate_offline: who is who is told from the frames before. The same as --no-offline.",
    ),
]
Video = Annotated[bool, Parameter(negative=(), help="Draw video.mp4 too.")]
Start = Annotated[
    float | None,
    Parameter(converter=_seconds, help="Leave out frames before this time: seconds, or 1:30, or 0:01:30.5."),
]
End = Annotated[float | None, Parameter(converter=_seconds, help="Leave out frames from this time on.")]
Stride = Annotated[int, Parameter(help="Take every n-th frame.")]
Run = Annotated[Path, Parameter(help="Folder of a run: OUTPUT/CLIP of `posetrail track`.")]
Progress = Annotated[
    ProgressStyle, Parameter(help="bar, lines, none, or json: JSON lines alone; auto looks for a terminal.")
]


@app.command
def track(
    input: Input,
    *,
    output: Output = Path("posetrail_out"),
    video: Video = False,
    save: Save = "",
    start: Start = None,
    end: End = None,
    stride: Stride = 1,
    fps: Annotated[float | None, Parameter(help="Frames per second of a folder of images [default: 30].")] = None,
    redo: Annotated[bool, Parameter(negative=(), help="Start again, whatever the clip's folder holds.")] = False,
    online: Online = False,
    preset: Preset = "default",
    config: Config = None,
    set: Set = (),
    progress: Progress = "auto",
    networks: Networks = NetworkSettings(),
    inference: Inference = InferenceSettings(),
    association: Association = AssociationSettings(),
) -> int:
    """Follow everybody in a video: joints in every frame, one id for each person."""
    from tracker.io.video import open_source
    from tracker.io.writers import default_formats
    from tracker.runs.networks import open_networks
    from tracker.runs.run import track_to_folder

    settings = Settings(networks=networks, inference=inference, association=way(association, online))
    wished = names_of_formats(save)
    source = open_source(input, start_s=start, end_s=end, stride=stride, fps=fps)
    with (
        open_networks(settings) as loaded,
        stop_on_ctrl_c() as stopped,
        _told_by_stage(progress, source.name, source.num_frames) as (on_frame, on_drawn),
    ):
        outcome = track_to_folder(
            source,
            output / safe_name(source.name),
            loaded,
            settings,
            formats=(*default_formats(loaded.estimator.skeleton), *wished),
            video=video,
            if_exists="replace" if redo else "associate",
            on_frame=on_frame,
            on_drawn=on_drawn,
            stopped=stopped,
        )
    _tell(outcome, Printer(as_json=progress == "json"))
    return stopped.code or {"complete": 0, "damaged": 2, "interrupted": INTERRUPTED}[outcome.status]


app.command(
    "tracker.cli.batch:batch_command",
    name="batch",
    help="Follow everybody in many clips; goes on where it was stopped.",
)


@app.command
def follow(
    poses: Annotated[
        Path,
        Parameter(
            help="Folder of a run; or poses of another program: a PoseTrack .json, a folder of them, boxes of a "
            "MOTChallenge .txt, a poses.arrow."
        ),
    ],
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Folder for the new tracks [that of the run].")
    ] = None,
    fps: Annotated[float | None, Parameter(help="Frames per second of poses without times [default: 30].")] = None,
    save: Annotated[str, Parameter(help="As of track, besides those that the run has.")] = "",
    online: Online = False,
    both: Annotated[
        bool,
        Parameter(negative=(), help="Both ways, to OUTPUT/online and OUTPUT/offline, and a table of what differs."),
    ] = False,
    ground_truth: Annotated[Path | None, Parameter(help="PoseTrack file to score both ways by.")] = None,
    preset: Preset = "default",
    config: Config = None,
    set: Set = (),
    progress: Progress = "auto",
    association: Association = AssociationSettings(),
) -> int:
    """Give ids to poses that are found already, of a run or of another program: no pixels, no network."""
    from tracker.runs.run import follow_poses

    wished, printer = names_of_formats(save), Printer(as_json=progress == "json")
    if ground_truth and not both:
        raise InputError("--ground-truth goes with --both; otherwise there is `posetrail eval`")
    if both:
        _follow_both(
            poses, association, _given(output), printer, fps=fps, more_formats=wished, ground_truth=ground_truth
        )
        return 0
    association = way(association, online)
    clips = _clips_of_folder(poses)
    if not clips:
        _tell(follow_poses(poses, association, output=output, fps=fps, more_formats=wished), printer)
        return 0
    folder, code = _given(output), 0
    for name, file in clips.items():
        try:
            _tell(follow_poses(file, association, output=folder / name, fps=fps, more_formats=wished), printer)
        except InputError as error:
            printer.warning(str(error))
            code = SOME_FAILED
    return code


@app.command
def draw(
    run: Run,
    *,
    input: Annotated[
        Path | None, Parameter(converter=_recorded, help="The clip, should it have moved or not be known.")
    ] = None,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="The video to write [video.mp4 in RUN].")
    ] = None,
    progress: Progress = "auto",
) -> int:
    """Draw the tracks of a run onto its clip."""
    from tracker.runs.run import draw_run

    printer = Printer(as_json=progress == "json")
    with stop_on_ctrl_c() as stopped, telling(progress, run.name, None) as on_frame:
        path = draw_run(run, input=input, output=output, on_frame=on_frame, on_note=printer.warning, stopped=stopped)
    printer.result(str(path), file=path)
    return stopped.code


app.command("eval_posetrack.cli:eval_command", name="eval", help="Score PoseTrack files against ground truth.")
app.command(
    "eval_posetrack.readers.cli:convert_command", name="convert", help="Turn poses of other tools into PoseTrack files."
)


app.command("tracker.cli.models:models", name="models", help="Show networks; fetch, verify, convert their weights.")


@app.command
def doctor() -> int:
    """Show what this machine has, and check that it works by tracking a tiny invented clip."""
    from tracker.cli.doctor import examine

    findings = examine()
    for finding in findings:
        Printer().result(f"{'ok  ' if finding.ok else 'BAD '} {finding.check:<12} {finding.detail}")
    return 0 if all(finding.ok for finding in findings) else 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; tracker/cli/start.py does so for the `posetrail` program."""
    arguments = each_set(sys.argv[1:] if arguments is None else arguments)
    printer = Printer(as_json=wants_json(arguments))
    try:
        with printer.of_libraries():
            code = app(arguments, result_action="return_value", print_error=False, exit_on_error=False)
    except InputError as error:
        printer.error(str(error), code := 2)
    except CycloptsError as error:
        printer.error(complaint(error), code := 2)
    except KeyboardInterrupt as stop:
        code = stop.code if isinstance(stop, Interrupted) else INTERRUPTED
        printer.error(str(stop) or "interrupted", code)
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # refused by the system: a full disk, a file system gone, ...
            where = f"{error.filename or 'output'}: {error.strerror}"
            printer.error(f"{where}; no half-written file is left: see to it, and start again", code := 2)
        elif printer.as_json:
            told = traceback.format_exc()
            printer.error(f"a fault of posetrail: {type(error).__name__}: {error}", code := FAULT, traceback=told)
        else:
            raise
    sys.exit(code)


def _tell(outcome: Outcome, printer: Printer) -> None:
    """What came out."""
    from tracker.runs.record import NOTHING_TO_DO

    text = f"{outcome.folder}: {counted(outcome.frames, 'frame')}, {counted_people(outcome.people)}"
    if outcome.done == NOTHING_TO_DO:
        text += f"; {outcome.done}"
    else:
        text += f", {outcome.frames / max(outcome.seconds, 1e-9):.1f} frames/s"
        text += f"\n    {outcome.done}" if outcome.done else ""
    printer.result(f"{text}\n    {'  '.join(outcome.files)}", **asdict(outcome))
    for line in filter(None, (outcome.reason, *outcome.warnings)):
        printer.warning(line)


def way(association: AssociationSettings, online: bool) -> AssociationSettings:
    """The settings, without associate_offline if `--online` says so."""
    return replace(association, offline=association.offline and not online)


def _given(output: Path | None) -> Path:
    if output is None:
        raise InputError("expected a folder for the tracks, got none; give one with -o")
    return output


def _follow_both(poses: Path, association: AssociationSettings, output: Path, printer: Printer, **options: Any) -> None:
    from rich.console import Console

    from tracker.runs.comparison import follow_both

    ways, table = follow_both(poses, association, output, **options)
    for outcome in ways.values():
        _tell(outcome, printer)
    if printer.as_json:
        rows = [dict(zip(table.columns[1:], row[1:], strict=True)) for row in table.rows]
        printer.result(
            "", event="comparison", **{str(row[0]): each for row, each in zip(table.rows, rows, strict=True)}
        )
    else:
        Console().print(table.to_rich())


def names_of_formats(save: str) -> tuple[str, ...]:
    """The formats that --save names, with commas."""
    from tracker.io.writers import WRITERS

    wished = [name.strip() for name in save.split(",") if name.strip()]
    for name in wished:
        if name not in WRITERS:
            raise unknown_name("file format", name, WRITERS)
    return tuple(wished)


def _clips_of_folder(poses: Path) -> dict[str, Path]:
    """The PoseTrack files of a folder, by the folder that each clip is to have; none of a run's folder."""
    from tracker.runs.record import LOG, RUN

    is_run = (poses / RUN).is_file() or (poses / LOG).is_file()
    files = [] if is_run or not poses.is_dir() else sorted(poses.glob("*.json"))
    return dict(zip(distinct_names([file.stem for file in files]), files, strict=True))


@contextmanager
def _told_by_stage(style: ProgressStyle, name: str, total: int | None) -> Iterator[tuple[OnFrame, OnFrame]]:
    """Progress of what is seen, and then, from the first frame drawn on, of the video."""
    with ExitStack() as stage:
        on_frame = stage.enter_context(telling(style, name, total))
        seen, on_drawn = 0, None

        def count_seen(people: int) -> None:
            nonlocal seen
            seen += 1
            on_frame(people)

        def tell_drawn(people: int) -> None:
            nonlocal on_drawn
            if on_drawn is None:
                stage.close()
                on_drawn = stage.enter_context(telling(style, f"{name}, video", seen))
            on_drawn(people)

        yield count_seen, tell_drawn
