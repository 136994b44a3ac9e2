"""The command line of the evaluation: `posetrail eval` and `python -m eval_posetrack`. Parses, calls, prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Group, Parameter

from eval_posetrack.metrics.rules import METRICS, metrics_of, rules_of
from posetrail.errors import InputError

if TYPE_CHECKING:
    from eval_posetrack.reports.report import Report
    from eval_posetrack.reports.sweep import Sweep
    from eval_posetrack.reports.tables import Table

Style = Literal["terminal", "markdown", "latex"]
_WHAT = Group("Scoring", sort_key=1)
_TABLES = Group("Printed tables", sort_key=2)
_FILES = Group("Written files", sort_key=3)
_WIDE = 120  # columns if the output is not a terminal: at 80, names in the tables would be cut


def eval_command(
    ground_truth: Path,
    /,
    *predictions: Path,
    metrics: Annotated[
        tuple[str, ...], Parameter(consume_multiple=True, negative=(), show_default=False, group=_WHAT)
    ] = METRICS,
    exact: Annotated[bool, Parameter(negative=(), show_default=False, group=_WHAT)] = False,
    jobs: Annotated[int, Parameter(group=_WHAT)] = 1,
    sequences: Annotated[bool, Parameter(negative=(), show_default=False, group=_TABLES)] = False,
    oracle: Annotated[bool, Parameter(negative=(), show_default=False, group=_TABLES)] = False,
    sweep: Annotated[bool, Parameter(negative=(), show_default=False, group=_TABLES)] = False,
    style: Annotated[Style, Parameter(group=_TABLES)] = "terminal",
    json_file: Annotated[Path | None, Parameter(name="--json", group=_FILES)] = None,
    csv_file: Annotated[Path | None, Parameter(name="--csv", group=_FILES)] = None,
    errors_file: Annotated[Path | None, Parameter(name="--errors", group=_FILES)] = None,
    plots: Annotated[Path | None, Parameter(group=_FILES)] = None,
) -> int:
    """Score PoseTrack files against ground truth: AP, MOTA, IDF1, HOTA, OKS AP, PCK.

    COCO-WholeBody JSON is scored by part instead: AP of body, foot, face and hands, NME of faces, PCK of hands.

    Metrics are computed as defined in their papers. Where the official kits deviate from that and a total would differ,
    a line says so; --exact gives the figures of the official kits.

    Args:
        ground_truth: Folder of PoseTrack files (2017, 2018 or 2021), a single file, or a run. Without head boxes,
            people are matched by OKS. Or a file of COCO-WholeBody annotations.
        predictions: Folders, files, runs or submission.zip files to score. Several are compared with the first.
        metrics: Metrics to compute, separated by spaces or commas: AP MOTA IDF1 HOTA OKS PCK; all if not given.
        exact: Reproduce the official kits, including their deviations from the definitions.
        jobs: Number of processes that score sequences in parallel.
        sequences: Print the totals of each sequence, too.
        oracle: Print upper bounds, too: the figures with perfect ids, perfect joints, or no false positives.
        sweep: Print MOTA and AP for ten score thresholds each of poses and joints, too.
        style: Format of the printed tables: terminal, markdown or latex.
        json_file: Write all figures to this JSON file.
        csv_file: Write all figures to this CSV file, one per line.
        errors_file: Write each identity switch, burst of misses and false track to this CSV file, most costly first.
        plots: Write plots to this folder.

    Returns:
        the exit code, 0.
    """
    from eval_posetrack.evaluation import evaluate
    from eval_posetrack.readers.wholebody import is_wholebody
    from eval_posetrack.reports.compare import compare
    from eval_posetrack.reports.tables import benchmark_tables, difference_table, sequence_table, sweep_tables

    if not predictions:
        raise InputError("predictions: expected at least one folder or file after the ground truth, got none")
    if is_wholebody(ground_truth):
        unused: dict[str, object] = {"metrics": metrics != METRICS, "exact": exact, "sequences": sequences}
        unused |= {"oracle": oracle, "sweep": sweep, "csv": csv_file, "errors": errors_file, "plots": plots}
        if given := [f"--{name}" for name, value in unused.items() if value]:
            raise InputError(f"{given[0]}: expected PoseTrack files, got COCO-WholeBody; leave the flag out")
        return _eval_parts(ground_truth, predictions, style, json_file)
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
    tables += [table for label, result in sweeps.items() for table in sweep_tables(label, result)]
    _show(tables, style)
    for label, report in reports.items():
        for line in (*report.deviations, *report.notes):
            _print_note(f"{label}: {line}" if others else line)

    with _refused_writes_as_input_errors():
        if json_file:
            content = {label: report.to_json() for label, report in reports.items()}
            text = json.dumps({"predictions": content} if others else content[first], allow_nan=False, indent=1)
            json_file.write_text(text + "\n", encoding="utf-8")
        if csv_file:
            _write_csv(reports, csv_file)
        if errors_file:
            _write_errors(ground_truth, folders, mode, errors_file)
        if plots:
            from eval_posetrack.reports.plots import save_plots

            save_plots(reports, plots, sweeps)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, or 2 if the input or a flag cannot be used."""
    app = App(name="python -m eval_posetrack", version_flags=())
    app.default(eval_command)
    try:
        code = app(arguments, result_action="return_value", print_error=False, exit_on_error=False)
    except (InputError, CycloptsError) as error:
        _print_note("error: " + " ".join(str(error).split()))
        return 2
    return code or 0  # --help returns None


def _eval_parts(ground_truth: Path, predictions: Sequence[Path], style: Style, json_file: Path | None) -> int:
    from eval_posetrack.evaluation_parts import evaluate_parts

    reports = {label: evaluate_parts(ground_truth, path) for label, path in _labels(predictions).items()}
    _show([report.table(f"Whole bodies: {label}") for label, report in reports.items()], style)
    for label, report in reports.items():
        for line in report.notes:
            _print_note(f"{label}: {line}" if len(reports) > 1 else line)
    if json_file:
        contents = {label: report.to_json() for label, report in reports.items()}
        content = {"predictions": contents} if len(reports) > 1 else next(iter(contents.values()))
        with _refused_writes_as_input_errors():
            json_file.write_text(json.dumps(content, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    return 0


def _labels(predictions: Sequence[Path]) -> dict[str, Path]:
    """A label for each folder: its name, or its path if two have the same name."""
    names = [path.resolve().stem for path in predictions]
    return {name if names.count(name) == 1 else str(path): path for name, path in zip(names, predictions, strict=True)}


@contextmanager
def _progress(label: str, ground_truth: Path) -> Iterator[Callable[[str], None]]:
    """A progress bar, only on a terminal; the function it gives is called with the name of each finished sequence."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from eval_posetrack.formats.files import find_files

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(escape(label), total=len(find_files(ground_truth)))
        yield lambda name: bar.update(task, advance=1)


def _oracle(label: str, ground_truth: Path, folder: Path, mode: str, metrics: Sequence[str]) -> Table:
    from eval_posetrack.evaluation import scenes
    from eval_posetrack.reports.oracle import oracle
    from eval_posetrack.reports.tables import oracle_table

    return oracle_table(label, oracle(scenes(ground_truth, folder, mode=mode), rules_of(mode), metrics))


def _sweep(ground_truth: Path, folder: Path, mode: str) -> Sweep:
    from eval_posetrack.evaluation import scenes
    from eval_posetrack.reports.sweep import sweep

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
    from eval_posetrack.reports.events import events, write_events

    errors = {label: events(scenes(ground_truth, folder, mode=mode)) for label, folder in folders.items()}
    write_events(errors, path)


@contextmanager
def _refused_writes_as_input_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be written ({error.strerror})") from error


def _print_note(line: str) -> None:
    """Print to stderr, so that tables can be piped; on one line without control characters."""
    from eval_posetrack.reports.tables import one_line

    print(one_line(line), file=sys.stderr)  # noqa: T201
