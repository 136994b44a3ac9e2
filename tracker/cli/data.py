"""`posetrail data`: annotated images to train on; parses, calls, prints."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Annotated

from cyclopts import App

from posetrail.errors import InputError
from posetrail.wording import counted
from tracker.cli.flags import Progress, in_out
from tracker.cli.help import HELP_FLAGS
from tracker.cli.printing import Printer
from tracker.progress import progress as show_progress

data = App(
    name="data",
    help_flags=HELP_FLAGS,
    help="Check annotated images, and estimate how accurately people annotate their joints.",
)

Format = Annotated[
    str | None,
    in_out("coco, wholebody, crowdpose, aic, mpii, lsp, flic or posetrack [default: recognised by the content]."),
]
Images = Annotated[Path | None, in_out("Folder of the images [default: searched near the annotations].")]


@data.command(name="check")
def check_command(
    path: Annotated[Path, in_out("File of annotations, or a folder with one, directly or in annotations/.")],
    *,
    format: Format = None,
    images: Images = None,
    output: Annotated[
        Path | None,
        in_out(
            "Also write a sheet of annotated people, such as sheet.jpg: first those with problems.",
            name=["--output", "-o"],
        ),
    ] = None,
    progress: Progress = "auto",
) -> int:
    """Find mistakes in annotated images: unreadable files, wrong boxes and joints, exchanged sides, duplicates."""
    from training.data.check import check
    from training.data.read import read_samples
    from training.data.sheet import write_sheet

    printer = Printer(as_json=progress == "json")
    samples = read_samples(path, format=format, images=images, may_be_missing=True)
    with show_progress(progress, path.name, len(samples.images), unit="image") as on_image:
        checked = check(samples, on_image=on_image)
    if output is not None:
        write_sheet(samples, output, captions=[(each.rows, each.problem) for each in checked.findings])
    findings = [
        {
            "problem": each.problem,
            "people": each.rows.tolist(),
            "images": [str(samples.images[i]) for i in each.image_rows.tolist()],
            "detail": each.detail,
        }
        for each in checked.findings
    ]
    printer.result(
        "\n".join(checked.lines()),
        format=samples.name,
        images=len(samples.images),
        people=len(samples),
        usable=int(samples.usable.sum()),
        notes=samples.notes,
        findings=findings,
        file=output,
    )
    if output is not None and not printer.as_json:
        printer.result(str(output))
    return 0


@data.command(name="sigmas")
def sigmas_command(
    paths: Annotated[
        tuple[Path, ...],
        in_out("Two or more annotations of the same images, or one in which people are annotated twice."),
    ],
    /,
    *,
    format: Format = None,
    images: Images = None,
    skeleton: Annotated[Path | None, in_out("TOML file of the joints [default: the joints of the data].")] = None,
    min_pairs: Annotated[int, in_out("Joints annotated twice in fewer people get no estimate.")] = 30,
    progress: Progress = "auto",
) -> int:
    """Estimate the OKS sigma of each joint from people whom two annotators annotated independently.

    Prints the table [oks_sigmas] for the TOML file of `posetrail train --skeleton`. Images are matched by name, people
    by their boxes. Pairs that are much further apart than most are left out.
    """
    from posetrail.skeleton_files import read_skeleton
    from training.data.read import read_samples
    from training.samples import Samples
    from training.sigmas import annotated_twice, estimate_sigmas, sigma_lines

    if min_pairs < 2:
        raise InputError(f"--min-pairs: expected a number of at least 2, got {min_pairs}")
    parts = [read_samples(path, format=format, images=images, may_be_missing=True) for path in paths]
    joints = Samples.concatenate(parts).skeleton if skeleton is None else read_skeleton(skeleton)
    try:
        offsets, areas = annotated_twice([part.mapped_to(joints) for part in parts])
    except ValueError as error:
        raise InputError(f"--skeleton: {error}; give a file with joints of the data") from None
    if not len(areas):
        raise InputError(
            f"{' '.join(map(str, paths))}: expected people who are annotated twice, got none; images are matched by "
            "name, people by boxes with an IoU of at least 0.5"
        )
    estimates = estimate_sigmas(offsets, areas, min_pairs=min_pairs)
    lines = sigma_lines(joints, estimates, min_pairs=min_pairs)
    known = dict(zip(joints.joints, estimates.sigmas.tolist(), strict=True))
    Printer(as_json=progress == "json").result(
        "\n".join([f"# {counted(len(areas), 'person', 'people')} annotated twice", *lines]),
        people=len(areas),
        sigmas={joint: None if isnan(sigma) else sigma for joint, sigma in known.items()},
        pairs=dict(zip(joints.joints, estimates.pairs.tolist(), strict=True)),
        left_out=dict(zip(joints.joints, estimates.left_out.tolist(), strict=True)),
    )
    return 0
