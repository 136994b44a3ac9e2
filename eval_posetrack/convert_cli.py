"""`posetrail convert`: parses, calls the readers, prints. It is outside their package, whose import is slow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from posetrail.wording import counted, people


def convert_command(
    source: Path,
    output: Path,
    *,
    tool: Annotated[str, Parameter(name="--from")],
    version: Annotated[int, Parameter(name="--to")] = 2018,
    images: Path | None = None,
    joints: str | None = None,
) -> int:
    """Convert poses of another tool to PoseTrack files, for `posetrail follow` and `posetrail eval`.

    Args:
        source: File or folder written by the tool.
        output: A .json file for one clip, otherwise a folder.
        tool: coco (also results of MMPose, Detectron2 and Ultralytics), alphapose, openpose, mmpose, deeplabcut, sleap.
        version: Version of the PoseTrack files: 2017, 2018 or 2021.
        images: Folder of the clip's images, or a COCO file that lists them. Needed for frames without people if the
            source lists only frames with people.
        joints: Order of the joints if the source does not name them: body_25, halpe_26, mpii_16, crowdpose_14, ...

    Returns:
        the exit code, 0.
    """
    from eval_posetrack.readers import convert
    from eval_posetrack.reports.tables import one_line

    written = convert(source, output, tool, version=version, images=images, joints=joints)
    for file, clip in written.items():
        print(one_line(f"{file}: {counted(clip.num_frames, 'frame')}, {people(len(clip))}"))  # noqa: T201
        for note in clip.notes:
            print(one_line(f"{file.name}: {note}"), file=sys.stderr)  # noqa: T201
    return 0
