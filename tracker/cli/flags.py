"""Parameter types that several commands share, and the checks of their values.

The flags of the settings are generated from the dataclasses in tracker/settings.py, their help from the docstrings of
the fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter, Token

from posetrail.errors import InputError, unknown_name
from tracker.cli.arguments import clip_path, seconds
from tracker.draw_settings import DrawSettings
from tracker.live_settings import LiveSettings
from tracker.progress import ProgressStyle
from tracker.settings import PRESETS, AssociationSettings, InferenceSettings, NetworkSettings

IN_OUT = Group("Input and output", sort_key=1)
DISTRIBUTION = Group("Distribution over processes and machines", sort_key=2)
SETTINGS = Group("Settings", sort_key=3)


def _seconds(_type: Any, tokens: Sequence[Token]) -> float:
    return seconds(tokens[0].value)


def _clip_path(_type: Any, tokens: Sequence[Token]) -> Path:
    return clip_path(tokens[0].value)


def in_out(help: str, **options: Any) -> Parameter:
    """A parameter of the group "Input and output"."""
    return Parameter(group=IN_OUT, help=help, **options)


def distribution(help: str, **options: Any) -> Parameter:
    """A parameter of the group "Distribution over processes and machines"."""
    return Parameter(group=DISTRIBUTION, help=help, **options)


ClipPath = Annotated[Path, Parameter(converter=_clip_path)]
Input = Annotated[ClipPath, in_out("Video file, folder of images, or quoted glob of images.")]
Output = Annotated[
    Path, in_out("Folder for results; those of a clip are written to OUTPUT/CLIP.", name=["--output", "-o"])
]
Video = Annotated[
    bool, in_out("Also write video.mp4 with the tracks drawn on the clip.", negative=(), show_default=False)
]
Save = Annotated[
    str,
    in_out(
        "Further file formats, separated by commas: parquet, coco, mot, posetrack17. tracks.json and tracks.csv are "
        "always written.",
        show_default=False,
    ),
]
Start = Annotated[
    float | None,
    in_out(
        "Skip frames before this time: seconds, M:SS or H:MM:SS, such as 90, 1:30 or 0:01:30.5.", converter=_seconds
    ),
]
End = Annotated[float | None, in_out("Skip frames from this time on; same notation as --start.", converter=_seconds)]
Stride = Annotated[int, in_out("Use every n-th frame only. Changes the results: people move farther between frames.")]
Fps = Annotated[float | None, in_out("Frame rate of a folder of images, in frames per second [default: 30].")]
Run = Annotated[Path, in_out("Folder of a run: OUTPUT/CLIP of `posetrail track`.")]
Progress = Annotated[
    ProgressStyle,
    in_out(
        "Progress on stderr. auto is bar on a terminal, otherwise lines. json prints JSON lines only, also on stdout."
    ),
]

Preset = Annotated[
    str,
    Parameter(
        group=SETTINGS,
        help=f"Base values of all settings: {', '.join(PRESETS)}. Flags, --set and --config take precedence.",
    ),
]
Config = Annotated[
    Path | None,
    Parameter(group=SETTINGS, help="TOML file of settings, such as detect_every = 2. Flags and --set take precedence."),
]
Set = Annotated[
    tuple[str, ...],
    Parameter(
        group=SETTINGS,
        negative=(),
        show_default=False,
        help="NAME=VALUE, the same as --NAME VALUE; several may follow.",
    ),
]
Online = Annotated[
    bool,
    Parameter(
        group=SETTINGS,
        negative=(),
        show_default=False,
        help="Online association: ids of a frame depend on earlier frames only. The same as --no-offline.",
    ),
]
Networks = Annotated[NetworkSettings, Parameter(name="*", group=Group("Networks", sort_key=4))]
Inference = Annotated[InferenceSettings, Parameter(name="*", group=Group("Inference", sort_key=5))]
_FIGURES = """Accuracy figures in these texts are those of synthetic worlds with hard noise, where the default online
association has IDF1 86.5 and MOTA 66.2."""
Association = Annotated[AssociationSettings, Parameter(name="*", group=Group("Association", help=_FIGURES, sort_key=6))]

Live = Annotated[LiveSettings, Parameter(name="*", group=Group("Live source", sort_key=3))]
Drawing = Annotated[DrawSettings, Parameter(name="*", group=Group("Drawing", sort_key=4))]


def online_or_offline(association: AssociationSettings, online: bool) -> AssociationSettings:
    """The settings, with offline association switched off if `--online` was given."""
    return replace(association, offline=association.offline and not online)


def format_names(save: str) -> tuple[str, ...]:
    """The file formats that --save names, separated by commas.

    Raises:
        InputError: no format has this name.
    """
    from tracker.io.writers import WRITERS

    names = [name.strip() for name in save.split(",") if name.strip()]
    for name in names:
        if name not in WRITERS:
            raise unknown_name("file format", name, WRITERS)
    return tuple(names)


def required_output(output: Path | None) -> Path:
    """The folder of -o.

    Raises:
        InputError: it was not given.
    """
    if output is None:
        raise InputError("--output: expected a folder for the tracks, got none; give one with -o")
    return output
