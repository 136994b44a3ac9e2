"""The command line: parses, calls, prints. Both `posetrail eval` and `python -m eval_posetrack` are this."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from eval_posetrack.rules import METRICS, metrics_of, rules_of
from posetrail.errors import InputError

if TYPE_CHECKING:
    from eval_posetrack.report import Report
    from eval_posetrack.sweep import Sweep
    from eval_posetrack.tables import Table

Style = Literal["terminal", "markdown", "latex"]
_WIDE = 120  # columns, where the output is no terminal: a table cut to 80 would lose its names


def eval_command(
    ground_truth: Path,
    *predictions: Path,
    exact: Annotated[bool, Parameter(negative=())] = False,
    metrics: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = METRICS,
    sequences: Annotated[bool, Parameter(negative=())] = False,
    oracle: Annotated[bool, Parameter(negative=())] = False,
    sweep: Annotated[bool, Parameter(negative=())] = False,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    csv_file: Annotated[Path | None, Parameter(name="--csv")] = None,
    errors_file: Annotated[Path | None, Parameter(name="--errors")] = None,
    plots: Path | None = None,
    style: Style = "terminal",
    jobs: int = 1,
) -> int:
    """Score PoseTrack files against ground truth: AP, MOTA, IDF1, HOTA, OKS AP, PCK.

    By default the figures are right where the official kits are odd, and each oddity that would change one is told.

    Args:
        ground_truth: Folder of PoseTrack files (2017, 2018 or 2021), or one such file, or a run. Without head boxes
            people are compared by OKS.
        predictions: Folders, files, runs or a submission.zip to score; of several, each is compared with the first.
        exact: The figures of the official kits, oddities included.
        metrics: What to compute, with spaces or commas: AP MOTA IDF1 HOTA OKS PCK.
        sequences: Also a table by sequence.
        oracle: Also what the same predictions would score with a fault cured: where the points are.
        sweep: Also MOTA and AP with low scores left out: which thresholds are best.
        json_file: Write all figures here.
        csv_file: Write all figures here as a tidy table.
        errors_file: Write every switch, burst of misses and false track here as CSV, worst first.
        plots: Folder for pictures.
        style: How tables are printed: terminal, markdown or latex.
        jobs: Sequences scored at the same time.

    Returns:
        The exit code, 0.
    """
    from eval_posetrack.compare import compare
    from eval_posetrack.evaluation import evaluate
    from eval_posetrack.tables import benchmark_tables, difference_table, sequence_table, sweep_tables

    if not predictions:
        raise InputError("expected a folder of predictions after the ground truth, got none")
    mode = "exact" if exact else "default"
    asked = metrics_of(name for text in metrics for name in text.split(",") if name.strip())
    folders = _labels(predictions)
    reports: dict[str, Report] = {}
    for label, folder in folders.items():
        with _progress(label, ground_truth) as advance:
            reports[label] = evaluate(ground_truth, folder, mode=mode, metrics=asked, jobs=jobs, progress=advance)

    tables = benchmark_tables(reports)
    if sequences:
        tables += [sequence_table(label, report) for label, report in reports.items()]
    first, *others = reports
    if others:
        tables.append(difference_table({label: compare(reports[first], reports[label]) for label in others}, first))
    if oracle:
        tables += [_oracle(label, ground_truth, folder, mode, asked) for label, folder in folders.items()]
    sweeps = {label: _sweep(ground_truth, folder, mode) for label, folder in folders.items()} if sweep else {}
    tables += [table for label, found in sweeps.items() for table in sweep_tables(label, found)]
    _show(tables, style)
    for label, report in reports.items():
        for line in (*report.oddities, *report.notes):
            _tell(f"{label}: {line}" if others else line)

    with _told_in_one_line():
        if json_file:
            content = {label: report.to_json() for label, report in reports.items()}
            text = json.dumps({"predictions": content} if others else content[first], allow_nan=False, indent=1)
            json_file.write_text(text + "\n")
        if csv_file:
            _write_csv(reports, csv_file)
        if errors_file:
            _write_errors(ground_truth, folders, mode, errors_file)
        if plots:
            from eval_posetrack.plots import save_plots

            save_plots(reports, plots, sweeps)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, or 2 when the input or a flag cannot be used."""
    app = App(name="python -m eval_posetrack", version_flags=())
    app.default(eval_command)
    try:
        code = app(arguments, result_action="return_value", print_error=False, exit_on_error=False)
    except (InputError, CycloptsError) as error:
        _tell("error: " + " ".join(str(error).split()))
        return 2
    return code or 0  # asking for help returns nothing


def _labels(predictions: Sequence[Path]) -> dict[str, Path]:
    """A short name for each folder: its own, or the path where two have the same."""
    names = [path.resolve().stem for path in predictions]
    return {name if names.count(name) == 1 else str(path): path for name, path in zip(names, predictions, strict=True)}


@contextmanager
def _progress(label: str, ground_truth: Path) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal, nothing elsewhere; called with the name of every finished sequence."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from eval_posetrack.files import find_files

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(escape(label), total=len(find_files(ground_truth)))
        yield lambda name: bar.update(task, advance=1)


def _oracle(label: str, ground_truth: Path, folder: Path, mode: str, metrics: Sequence[str]) -> Table:
    from eval_posetrack.evaluation import scenes
    from eval_posetrack.oracle import oracle
    from eval_posetrack.tables import oracle_table

    return oracle_table(label, oracle(scenes(ground_truth, folder, mode=mode), rules_of(mode), metrics))


def _sweep(ground_truth: Path, folder: Path, mode: str) -> Sweep:
    from eval_posetrack.evaluation import scenes
    from eval_posetrack.sweep import sweep

    return sweep(scenes(ground_truth, folder, mode=mode), rules_of(mode))


def _show(tables: Sequence[Table], style: Style) -> None:
    if style != "terminal":
        for table in tables:
            print(table.to_markdown() if style == "markdown" else table.to_latex())  # noqa: T201
        return
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    for table in tables:
        console.print(table.to_rich())


def _write_csv(reports: Mapping[str, Report], path: Path) -> None:
    import pandas as pd

    frames = [report.to_frame().assign(predictions=label) for label, report in reports.items()]
    together = pd.concat(frames)[["predictions", "sequence", "metric", "part", "value"]]
    together.to_csv(path, index=False)


def _write_errors(ground_truth: Path, folders: Mapping[str, Path], mode: str, path: Path) -> None:
    from eval_posetrack.evaluation import scenes
    from eval_posetrack.events import events, write_events

    found = {label: events(scenes(ground_truth, folder, mode=mode)) for label, folder in folders.items()}
    write_events(found, path)


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be written ({error.strerror})") from error


def _tell(line: str) -> None:
    """To stderr, so that tables can be piped; whatever a file's names hold, on one line and harmless to a terminal."""
    from eval_posetrack.tables import one_line

    print(one_line(line), file=sys.stderr)  # noqa: T201
