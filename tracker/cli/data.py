"""`posetrail data`: annotated images to train on; parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App

from tracker.cli.flags import Progress, in_out
from tracker.cli.help import HELP_FLAGS
from tracker.cli.printing import Printer
from tracker.progress import progress as show_progress

data = App(name="data", help_flags=HELP_FLAGS, help="Check annotated images before training on them.")


@data.command(name="check")
def check_command(
    path: Annotated[Path, in_out("File of annotations, or a folder with one, directly or in annotations/.")],
    *,
    format: Annotated[
        str | None,
        in_out(
            "coco, wholebody, crowdpose, aic, mpii, lsp, flic or posetrack [default: recognised by the content].",
        ),
    ] = None,
    images: Annotated[Path | None, in_out("Folder of the images [default: searched near the annotations].")] = None,
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
