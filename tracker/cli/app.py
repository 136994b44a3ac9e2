"""The command line: parses and calls. Whatever a command does, a function of the library does too.

Exit codes: 0 done; 2 the input or a flag cannot be used, one line says why and what to do; 3 some of several inputs
failed, one line for each; 130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP, finished frames are kept; 1 internal
error, with a traceback.

Each command's module imports what is heavy inside its function, so that `--help` is fast.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from cyclopts import App, CycloptsError

from posetrail.errors import InputError
from tracker.cli.angles import angles_command
from tracker.cli.arguments import complaint, repeat_set, without_short_names
from tracker.cli.batch import batch_command
from tracker.cli.config import fill_in
from tracker.cli.draw import draw_command
from tracker.cli.exit_codes import INTERNAL_ERROR, INTERRUPTED, UNUSABLE
from tracker.cli.export import export_command
from tracker.cli.follow import follow_command
from tracker.cli.help import ALL_FLAG, HELP_FLAGS, HelpFormatter, epilogue
from tracker.cli.lift import lift_command
from tracker.cli.live import live_command
from tracker.cli.printing import Printer, wants_json
from tracker.cli.report import report_command
from tracker.cli.suspects import suspects_command
from tracker.cli.track import track_command
from tracker.cli.view import view_command
from tracker.signals import Interrupted

app = App(
    name="posetrail",
    help="Track people's poses in video: joints in every frame, one id per person.",
    version=lambda: version("posetrail"),
    config=fill_in,
    help_flags=HELP_FLAGS,
    suppress_keyboard_interrupt=False,  # `main` prints the line and the exit code
    help_formatter=HelpFormatter(()),
)
app["--help"].help = f"Show help. `posetrail COMMAND {ALL_FLAG}` lists all flags of a command."
app["--version"].help = "Show the version."

app.command(track_command, name="track", sort_key=1)
app.command(batch_command, name="batch", usage="posetrail batch [OPTIONS] INPUTS...", sort_key=2)
app.command(live_command, name="live", sort_key=2)
app.command(follow_command, name="follow", sort_key=3)
app.command(draw_command, name="draw", sort_key=4)
app.command(lift_command, name="lift", sort_key=5)
app.command(export_command, name="export", sort_key=6)
app.command(view_command, name="view", sort_key=7)
app.command(suspects_command, name="suspects", sort_key=8)
app.command(report_command, name="report", sort_key=9)
app.command(angles_command, name="angles", sort_key=9)
app.command(
    "eval_posetrack.cli:eval_command",
    name="eval",
    usage="posetrail eval [OPTIONS] GROUND_TRUTH PREDICTIONS...",
    help="Score PoseTrack files against ground truth: AP, MOTA, IDF1, HOTA, OKS AP, PCK.",
    sort_key=10,
)
app.command(
    "eval_posetrack.eval3d_cli:eval3d_command",
    name="eval3d",
    help="Score 3-D tracks against ground truth: MPJPE, P-MPJPE, N-MPJPE, MPJVE, PCK, AUC.",
    sort_key=10,
)
app.command(
    "eval_posetrack.convert_cli:convert_command",
    name="convert",
    help="Convert poses of COCO, AlphaPose, OpenPose, MMPose, DeepLabCut or SLEAP to PoseTrack files.",
    sort_key=11,
)
app.command(
    "tracker.cli.models:models",
    name="models",
    help="List networks; fetch, verify, export and quantise their weights.",
    sort_key=12,
)
app.command(
    "tracker.cli.train:train_command",
    name="train",
    help="Train a pose estimator on annotated people.",
    sort_key=13,
)
app.command(
    "tracker.cli.data:data",
    name="data",
    help="Check annotated images before training on them.",
    sort_key=14,
)
app.command(
    "tracker.cli.doctor:doctor_command",
    name="doctor",
    help="Check this installation by tracking a small synthetic clip.",
    sort_key=15,
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; the `posetrail` program calls it by way of tracker/cli/start.py."""
    arguments = without_short_names(repeat_set(sys.argv[1:] if arguments is None else arguments))
    printer = Printer(as_json=wants_json(arguments))
    app.help_formatter, app.help_epilogue = HelpFormatter(arguments), epilogue(arguments)
    try:
        with printer.of_libraries():
            code = app(arguments, result_action="return_value", print_error=False, exit_on_error=False)
    except InputError as error:
        printer.error(str(error), code := UNUSABLE)
    except CycloptsError as error:
        printer.error(complaint(error), code := UNUSABLE)
    except KeyboardInterrupt as stop:
        code = stop.code if isinstance(stop, Interrupted) else INTERRUPTED
        printer.error(str(stop) or "interrupted", code)
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # the system refused: a full disk, a lost file system, ...
            what = f"{error.filename or 'output'}: {error.strerror}"
            printer.error(
                f"{what}; no partial file was left: solve this and run the same command again", code := UNUSABLE
            )
        elif printer.as_json:
            text = f"internal error: {type(error).__name__}: {error}"
            printer.error(text, code := INTERNAL_ERROR, traceback=traceback.format_exc())
        else:
            raise
    sys.exit(code)
