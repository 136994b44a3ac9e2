"""`posetrail track`: parses, calls, prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

from posetrail.paths import safe_name
from tracker.cli.exit_codes import INTERRUPTED, UNUSABLE
from tracker.cli.flags import (
    Association,
    Config,
    End,
    Fps,
    Inference,
    Input,
    Networks,
    Online,
    Output,
    Preset,
    Progress,
    Save,
    Set,
    Start,
    Stride,
    Video,
    format_names,
    in_out,
    online_or_offline,
)
from tracker.cli.outcome import print_outcome
from tracker.cli.printing import Printer
from tracker.progress import OnFrame, ProgressStyle
from tracker.progress import progress as show_progress
from tracker.settings import AssociationSettings, InferenceSettings, NetworkSettings, Settings
from tracker.signals import stop_on_ctrl_c


def track_command(
    input: Input,
    *,
    output: Output = Path("posetrail_out"),
    video: Video = False,
    save: Save = "",
    start: Start = None,
    end: End = None,
    stride: Stride = 1,
    fps: Fps = None,
    redo: Annotated[
        bool,
        in_out("Start over and replace results of another clip or other settings.", negative=(), show_default=False),
    ] = False,
    online: Online = False,
    preset: Preset = "default",
    config: Config = None,
    set: Set = (),
    progress: Progress = "auto",
    networks: Networks = NetworkSettings(),
    inference: Inference = InferenceSettings(),
    association: Association = AssociationSettings(),
) -> int:
    """Track the poses of all people in a video: joints in every frame, one id per person.

    The same command again resumes an interrupted run and leaves a finished one as it is. With other association
    settings it assigns new ids from the pose log, without inference.
    """
    from tracker.io.video import open_source
    from tracker.io.writers import default_formats
    from tracker.runs.folder import run_clip
    from tracker.runs.networks import open_networks

    settings = Settings(networks=networks, inference=inference, association=online_or_offline(association, online))
    more_formats = format_names(save)
    source = open_source(input, start_s=start, end_s=end, stride=stride, fps=fps)
    with (
        open_networks(settings) as loaded,
        stop_on_ctrl_c() as stopped,
        _progress_of_both_passes(progress, source.name, source.num_frames) as (on_frame, on_drawn),
    ):
        outcome = run_clip(
            source,
            output / safe_name(source.name),
            loaded,
            settings,
            formats=(*default_formats(loaded.skeleton), *more_formats),
            video=video,
            if_exists="replace" if redo else "associate",
            on_frame=on_frame,
            on_drawn=on_drawn,
            stopped=stopped,
        )
    print_outcome(outcome, Printer(as_json=progress == "json"))
    return stopped.code or {"complete": 0, "damaged": UNUSABLE, "interrupted": INTERRUPTED}[outcome.status]


@contextmanager
def _progress_of_both_passes(style: ProgressStyle, name: str, total: int | None) -> Iterator[tuple[OnFrame, OnFrame]]:
    """Progress of inference and, from the first drawn frame on, of the video."""
    with ExitStack() as current:
        on_inferred = current.enter_context(show_progress(style, name, total))
        inferred, on_drawn = 0, None

        def count_inferred(people: int) -> None:
            nonlocal inferred
            inferred += 1
            on_inferred(people)

        def switch_to_drawing(people: int) -> None:
            nonlocal on_drawn
            if on_drawn is None:
                current.close()
                on_drawn = current.enter_context(show_progress(style, f"{name}, video", inferred))
            on_drawn(people)

        yield count_inferred, switch_to_drawing
