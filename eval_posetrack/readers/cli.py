"""The command line of the readers: parses, calls, prints. `posetrail convert` is this."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from posetrail.wording import counted, people


def convert_command(
    source: Path,
    out: Path,
    *,
    tool: Annotated[str, Parameter(name="--from")],
    version: Annotated[int, Parameter(name="--to")] = 2018,
    images: Path | None = None,
    joints: str | None = None,
) -> int:
    """Turn the poses of another tool into PoseTrack files, to follow and score them.

    Args:
        source: What the tool wrote: a file or a folder.
        out: A .json file for one clip, otherwise a folder.
        tool: coco (also mmpose, detectron2 and ultralytics results), alphapose, openpose, mmpose, deeplabcut or sleap.
        version: PoseTrack files of 2017, 2018 or 2021.
        images: Folder of the clip's images, or a COCO file listing them: the frames and their names.
        joints: Order of the joints, should the source not tell: body_25, halpe_26, mpii_16, crowdpose_14 and others.

    Returns:
        The exit code, 0.
    """
    from eval_posetrack.readers import convert
    from eval_posetrack.tables import one_line

    written = convert(source, out, tool, version=version, images=images, joints=joints)
    for file, clip in written.items():
        print(one_line(f"{file}: {counted(clip.num_frames, 'frame')}, {people(len(clip))}"))  # noqa: T201
        for note in clip.notes:
            print(one_line(f"{file.name}: {note}"), file=sys.stderr)  # noqa: T201
    return 0
