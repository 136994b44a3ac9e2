"""The report of a run: one HTML file to look at, mail and print, without scripts and without requests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.wording import counted
from tracker.association.suspects import Suspect
from tracker.io.blurring import face_regions
from tracker.io.video import Source, read_frames
from tracker.runs.corrected import CorrectedRun
from tracker.runs.images import open_input
from tracker.runs.record import PosesInput, RunRecord, check_output_file
from tracker.runs.report_page import page
from tracker.runs.report_sections import MOST_PLACES, ReportContent, sections
from tracker.runs.report_stills import Still, part_around, still_of
from tracker.runs.suspects import find_suspects

REPORT = "report.html"
_NOT_SHOWN = ("fine", "checked", "undo")  # operations that change nothing themselves


def write_report(
    run: str | Path, output: str | Path | None = None, *, input: Path | None = None, blur_faces: bool = False
) -> Path:
    """Write the report of a run: timeline, people, doubtful places with stills, paths and joints, in one HTML file.

    Without the clip, the report has no stills and says so.

    Args:
        run: a run's folder.
        output: the file to write; report.html in the run's folder if not given.
        input: the clip, if it was moved, or if the run's poses were imported.
        blur_faces: make the faces of all tracked people unrecognisable in the stills.

    Returns:
        The path of the file.

    Raises:
        InputError: there is no run, `input` is not the clip that was tracked, or the file cannot be written.

    Examples:
        >>> write_report("out/clip", "clip.html", blur_faces=True)
    """
    run = Path(run)
    path = run / REPORT if output is None else Path(output)
    check_output_file(run, path)
    with CorrectedRun(run) as opened:
        content = _content(opened)
        if content.suspects:
            content = _with_stills(content, opened, input, blur_faces)
        facts = _facts(content, opened)
        text = page(opened.header.source, facts, sections(content))
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _content(opened: CorrectedRun) -> ReportContent:
    """What the report shows, without stills."""
    entries = [entry for entry in opened.entries if not entry.undone]
    fine = {entry.operation.get("suspect") for entry in entries if entry.operation["op"] == "fine"}
    return ReportContent(
        clip=opened.clip,
        skeleton=opened.header.skeleton,
        size=(opened.header.width, opened.header.height),
        suspects=[suspect for suspect in find_suspects(opened.folder) if suspect.suspect_id not in fine],
        stills={},
        why_no_stills="",
        checked=opened.checked,
        corrections=[
            (entry.number, entry.text, entry.by, entry.at[:16].replace("T", " "))
            for entry in entries
            if entry.operation["op"] not in _NOT_SHOWN
        ],
        origin=_origin(opened.record),
    )


def _facts(content: ReportContent, opened: CorrectedRun) -> list[str]:
    header = opened.header
    return [
        counted(len(content.clip), "frame"),
        f"{header.width} \u00d7 {header.height} pixels",
        f"{header.fps:.4g} frames per second",
    ]


def _origin(record: RunRecord) -> list[tuple[str, str]]:
    """Names and values that tell what made the tracks."""
    rows = [
        ("Clip" if record.input.kind == "clip" else "Poses", PurePath(record.input.path).name),
        ("Fingerprint", record.input.fingerprint[:16]),
        ("Inference", record.status + (f": {record.reason}" if record.reason else "")),
        ("Networks", ", ".join(filter(None, (model.name for model in record.models))) or "none"),
        ("Association", "offline" if record.settings.association.get("offline", True) else "online"),
        ("Smoothing", str(record.applied.get("smooth", "none"))),
        ("posetrail", record.versions.get("posetrail", "")),
    ]
    return rows + [("Warning", str(warning)) for warning in record.warnings]


# Stills ---------------------------------------------------------------------------------------------------------------


def _with_stills(content: ReportContent, opened: CorrectedRun, path: Path | None, blur_faces: bool) -> ReportContent:
    """The content with stills of the worst places, or with the reason why there are none."""
    try:
        source = open_input(opened.record, path)
    except InputError as error:
        if path is not None:
            raise
        return replace(content, why_no_stills=f"There are no stills, because the clip cannot be read: {error}.")
    source.look_for_index(opened.folder)
    numbers = _image_numbers(opened.record, source, content)
    faces = face_regions(content.clip, content.skeleton) if blur_faces else None
    shown = content.suspects[:MOST_PLACES]
    wanted: dict[int, list[tuple[Suspect, int]]] = {}  # by number of the image: suspects and positions of the frame
    for suspect in shown:
        for position in _positions(content, suspect):
            wanted.setdefault(int(numbers[position]), []).append((suspect, position))
    stills: dict[str, list[Still]] = {suspect.suspect_id: [] for suspect in shown}
    for frame in read_frames(source, wanted):
        for suspect, position in wanted[frame.index]:
            boxes = content.clip.poses.boxes
            named = content.rows(pose for pose in suspect.poses if content.position(pose[0]) == position)
            still = still_of(
                frame.image,
                content.clip.people(position),
                content.skeleton,
                part_around(boxes[content.rows((*suspect.poses, *suspect.candidates[:1]))], *content.size),
                frame=int(content.clip.frame_indices[position]),
                named=boxes[named],
                faces=None if faces is None else faces.at(position),
            )
            stills[suspect.suspect_id].append(still)
    return replace(content, stills={name: tuple(each) for name, each in stills.items()})


def _positions(content: ReportContent, suspect: Suspect) -> list[int]:
    """The positions of two frames that show a place: around a link, before a start, after an end."""
    named = sorted({content.position(frame) for frame, _ in suspect.poses} or {content.position(suspect.frame)})
    if len(named) > 1 and suspect.kind in ("link", "interpolated"):
        return [named[0], named[-1]]
    other = named[0] + 1 if suspect.kind == "end" else named[0] - 1
    return sorted({named[0], other} & set(range(len(content.clip))))


def _image_numbers(record: RunRecord, source: Source, content: ReportContent) -> np.ndarray:
    """The number (F,) of each frame's image in the source.

    Imported poses may number their frames differently from their images, but hold the images' names.
    """
    if isinstance(record.input, PosesInput):
        by_name = {image.name: number for number, image in enumerate(source.images)}
        numbers = [by_name.get(PurePath(name).name) for name in content.clip.frame_names]
        if None not in numbers:
            return np.array(numbers, np.int64)
    return content.clip.frame_indices
