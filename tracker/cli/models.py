"""`posetrail models`: lists networks; fetches, verifies, exports and quantises their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from posetrail.errors import InputError
from posetrail.wording import people as counted_people
from tracker.cli.help import HELP_FLAGS
from tracker.cli.printing import Printer

if TYPE_CHECKING:
    from estimators.trained import Training
    from posetrail.download import OnProgress
    from posetrail.export import Exported
    from tracker.runs.quantise import Quantised

models = App(
    name="models", help_flags=HELP_FLAGS, help="List networks; fetch, verify, export and quantise their weights."
)


@models.default
def list_models(*, all: Annotated[bool, Parameter(negative=())] = False) -> int:
    """List networks: built in, with downloadable weights, and those that need a weights file of your own.

    Args:
        all: List each weights file with size, licence, skeleton, published score, URL and sha256.
    """
    from tracker.cli.models_list import page

    _print(page(everything=all))
    return 0


models.command(list_models, name="list")


@models.command
def fetch(*names: str, to: Path | None = None, sha256: str | None = None) -> int:
    """Download published weights from their authors and verify their sha256.

    Args:
        names: Names from `posetrail models`.
        to: Folder to write to instead of the cache, for a machine without network access: copy it there
            and set POSETRAIL_HOME to it.
        sha256: Accept the file with this checksum (64 hexadecimal digits) instead of the recorded one; for one name.
    """
    from posetrail.published import find_published
    from posetrail.store import fetch, write_manifest
    from tracker.runs.published import published_weights

    table = published_weights()
    entries = [find_published(name, table) for name in dict.fromkeys(names)]
    if not entries:
        raise InputError("models fetch: expected one or more names; `posetrail models` shows them")
    if sha256 is not None and len(entries) > 1:
        raise InputError(f"--sha256: expected one name with it, got {len(entries)}")
    fetched, errors = [], []
    for published in entries:
        try:
            with _bar(published.name) as on_progress:
                path = fetch(published, to, sha256=sha256, on_progress=on_progress)
        except InputError as error:
            errors.append(error)
        else:
            fetched.append(published)
            _print(f"{published.name}: {path} ({path.stat().st_size / 1e6:.1f} MB, {published.licence})")
    if to is not None and fetched:
        _print(
            f"{write_manifest(fetched, to)}: copy the folder to the other machine and set POSETRAIL_HOME to it there"
        )
    return _exit_code(errors)


@models.command
def verify(*names: str) -> int:
    """Compare weights files with their recorded sha256.

    Args:
        names: Names from `posetrail models` [default: all files present].
    """
    from posetrail.published import find_published
    from posetrail.store import state, stored_path
    from posetrail.store import verify as verify_stored
    from tracker.cli.models_list import built_in
    from tracker.runs.published import published_weights

    packaged, table, errors = built_in(), published_weights(), []
    here = [name for name, each in table.items() if state(each).is_here]
    for name in names or (*packaged, *here):
        try:
            if name in packaged:
                packaged[name].read()
                path = packaged[name].path
            else:
                verify_stored(find_published(name, table))
                path = stored_path(find_published(name, table))
        except InputError as error:
            errors.append(error)
        else:
            _print(f"ok  {name}: {path}")
    return _exit_code(errors)


@models.command
def path(name: str) -> int:
    """Print the path of a weights file; if it is missing, an error says how to get it.

    Args:
        name: Name from `posetrail models`.
    """
    from tracker.cli.models_list import built_in

    packaged = built_in()
    _print(packaged[name].path if name in packaged else _stored(name))
    return 0


@models.command
def export(
    name: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    *,
    weights: Path | None = None,
) -> int:
    """Write a network as an ONNX file and compare its outputs in ONNX Runtime with those of the network.

    The input of the file is (batch, 3, height, width), normalised as the network's authors did, at the size of the
    published score; its outputs are the network's own, such as heatmaps. The input of a built-in network is one image
    (1, height, width, 3) uint8 RGB. Weights of `posetrail train` are exported with their joints, size of the crop,
    normalisation and decoder, which `posetrail track --estimator onnx:FILE` uses.

    Args:
        name: Name from `posetrail models`, or a file of `posetrail train`, such as trained/best.safetensors.
        output: The .onnx file to write.
        weights: Weights file [default: that in the cache].
    """
    from detectors import BUILT_IN as DETECTORS
    from detectors import NETWORKS as DETECTOR_NETWORKS
    from estimators import BUILT_IN as ESTIMATORS
    from estimators import NETWORKS as ESTIMATOR_NETWORKS
    from estimators.exported import of_images
    from estimators.recipes import RECIPES
    from posetrail.checkpoints import load_checkpoint, load_into
    from posetrail.export import export_built_in, export_onnx
    from posetrail.published import find_published
    from tracker.runs.published import published_weights

    if (trained := _trained(name, weights)) is not None:
        from estimators.exported import export_trained

        return _exported(export_trained(*trained, output), "torch", f"--estimator onnx:{output}")
    built_in = {each: made.network for each, made in DETECTORS.items()}
    built_in |= {each: made.network for each, made in ESTIMATORS.items()}
    if name in built_in:
        if weights is not None:
            raise InputError(f"export: expected no --weights for {name}, which is in the package; leave --weights out")
        return _exported(export_built_in(built_in[name], output), "that in the package")
    published = find_published(name, published_weights())
    networks = {**DETECTOR_NETWORKS, **ESTIMATOR_NETWORKS}
    if published.input_size is None:
        raise InputError(f"export: expected a network for images, got the lifter {name}; lifters run in torch")
    if published.network not in networks:
        raise InputError(
            f"export: expected a network of posetrail, got {name}; export networks of torchvision with torch.onnx"
        )
    file = weights or _stored(name)
    network = networks[published.network]()
    load_into(network, load_checkpoint(file), file)
    metadata = {"name": name, "weights": file.name, "licence": published.licence, "source": published.page}
    network = of_images(network, RECIPES.get(published.network))
    return _exported(export_onnx(network, published.input_size, output, metadata=metadata), "torch")


@models.command
def quantise(
    file: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    *,
    calibrate: Annotated[list[Path], Parameter(consume_multiple=True, negative=())],
    frames: int = 64,
    kind: Literal["detector", "estimator"] | None = None,
    normalisation: Literal["imagenet", "0..1", "0..255"] | None = None,
    input_px: int | None = None,
) -> int:
    """Write an int8 copy of an ONNX file, and report its size, time and accuracy beside those of the file.

    The file is a detector or an estimator as for `--detector` and `--estimator` of `posetrail track`. The layers that
    lose most in int8 stay in float32. The accuracy is measured on frames that were not used for calibration. Built-in
    networks are int8 already.

    Args:
        file: The .onnx file in float32.
        output: The .onnx file to write.
        calibrate: Clips or folders of images like those to be tracked. For an estimator, the built-in detector finds
            the people.
        frames: Number of frames for calibration, spread over the clips.
        kind: detector or estimator, if the outputs of the file fit both.
        normalisation: Of the input: imagenet, 0..1 or 0..255 [default: that which `posetrail track` assumes].
        input_px: Longer side of a detector's input in pixels, for a file that accepts any.
    """
    from tracker.runs.quantise import quantise_file

    with _stages(file.name) as on_progress:
        done = quantise_file(
            file,
            output,
            calibrate,
            kind=kind,
            frames=frames,
            normalisation=normalisation,
            input_size=input_px,
            on_progress=on_progress,
        )
    _quantised(done, normalisation)
    return 0


def _quantised(done: Quantised, normalisation: str | None) -> None:
    from tracker.runs.quantise import JointChange

    (before, after), (slow, fast), change = done.bytes, done.ms, done.change
    _print(f"{done.path}: {before / 1e6:.1f} MB -> {after / 1e6:.1f} MB, {slow:.1f} ms -> {fast:.1f} ms on one thread")
    left = f"{len(done.choice.weights)} of {done.layers} layers, {done.choice.cost_share:.0%} of the multiply-adds"
    _print(f"    calibrated with {done.samples} inputs; in float32: {left}")
    if isinstance(change, JointChange):
        width, height = change.crop_size
        _print(
            f"    {counted_people(change.crops)} in other frames: joints moved by {change.median_px:.2f} px "
            f"of crops {width} x {height} (median; 90th percentile {change.p90_px:.2f}), "
            f"scores by {change.score_median:.3f} ({change.score_p90:.3f})"
        )
    else:
        _print(
            f"    {change.boxes} boxes in other frames: {change.found_again:.1%} found again (IoU > 0.8), "
            f"{change.added} new; scores changed by {change.score_median:.3f} (median; 90th percentile "
            f"{change.score_p90:.3f})"
        )
    given = f" --{done.kind}-normalisation {normalisation}" if normalisation else ""
    _print(f"    use it with: posetrail track CLIP --{done.kind} onnx:{done.path}{given}")


def _trained(name: str, weights: Path | None) -> tuple[Path, Training] | None:
    """The file of `posetrail train` that a name or weights mean, and its description; None for other weights."""
    from estimators.trained import read_training

    file = weights or Path(name)
    training = read_training(file)
    if training is not None and weights is not None and name != training.network:
        raise InputError(f"--weights: expected weights of {name}, got {file}, which are of {training.network}")
    if training is None and weights is None and file.is_file():
        raise InputError(
            f"export: expected a name or a file of `posetrail train`, got {file}; give NAME --weights {file}"
        )
    return None if training is None else (file, training)


def _stored(name: str) -> Path:
    """The weights file of a published name."""
    from posetrail.published import find_published
    from posetrail.store import weights_file
    from tracker.runs.published import published_weights

    table = published_weights()
    return weights_file(find_published(name, table).network, name, table=table)


def _exported(done: Exported, original: str, used_with: str = "") -> int:
    _print(f"{done.path}: {done.path.stat().st_size / 1e6:.1f} MB, outputs {' '.join(map(_shape, done.outputs))}")
    _print(f"    differs from {original} by at most {done.max_difference:.1e}, in numbers up to {done.largest:.2g}")
    if used_with:
        _print(f"    use it with: posetrail track CLIP {used_with}")
    return 0


def _shape(shape: tuple[object, ...]) -> str:
    return "x".join(map(str, shape))


def _exit_code(errors: list[InputError]) -> int:
    """Print the errors; return the exit code, 2 if there are any."""
    for error in errors:
        Printer().error(str(error), 2)
    return 2 if errors else 0


def _print(line: object) -> None:
    Printer().result(str(line))


@contextmanager
def _stages(name: str) -> Iterator[Callable[[str], None]]:
    """The stage of the work on a terminal; nothing otherwise."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(name) if console.is_terminal else nullcontext() as status:
        yield lambda stage: status.update(f"{name}: {stage}") if status else None


@contextmanager
def _bar(name: str) -> Iterator[OnProgress]:
    """A progress bar on a terminal; nothing otherwise."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        yield lambda received, total: progress.update(task, completed=received, total=total)
