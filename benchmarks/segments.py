"""Agreement of inference in segments with inference of the whole clip, by the length of the lead.

    uv run python -m benchmarks.segments                            # the example clip, looped to 40 seconds
    uv run python -m benchmarks.segments --clip CLIP --segment-s 60 --leads 2
    uv run python -m benchmarks.segments --seconds 600 --seek       # how long a late part takes to begin

For each lead: the share of frames with bit-identical poses; the number of frames after a segment border from which that
holds (median and maximum over the borders); and the agreement of the ids: IDF1 and switches, which are 100 and 0 if all
people have the same ids.

With `--seek`, nothing is inferred. Printed is the time of the pass that makes the frame index, and for some places in
the clip the time until the first frame of a part that begins there: from the beginning, and from the keyframe before.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from posetrail.assignment import associate
from posetrail.poses import TrackedPoses
from posetrail.similarity import box_iou
from tracker.association.follow import associate_clip
from tracker.frames import PoseFrame
from tracker.io.frame_index import IndexOnDemand
from tracker.io.pose_log import read_pose_log
from tracker.io.video import Source, open_source
from tracker.runs.folder import run_clip
from tracker.runs.networks import Networks, open_networks
from tracker.runs.record import LOG
from tracker.runs.segments import LEAD_S, Segment, cut
from tracker.settings import Settings

from .memory import EXAMPLE, looped

ONE = "whole"


def frames(run: Path) -> list[PoseFrame]:
    """The frames of the pose log of a run."""
    return list(read_pose_log(run / LOG)[1])


def same(a: PoseFrame, b: PoseFrame) -> bool:
    """Whether two frames are bit-identical in all that association uses."""

    def content(seen: PoseFrame) -> list[bytes]:
        arrays = [*vars(seen.poses).values(), *vars(seen.propagated).values(), seen.camera_motion]
        return [array.tobytes() for array in arrays]

    return a.index == b.index and content(a) == content(b)


def settled_after(identical: list[bool], segments: tuple[Segment, ...]) -> list[int]:
    """For each border, the number of frames after it up to the last one of its segment that differs."""
    settled = []
    for segment in segments[1:]:
        part = identical[segment.first : segment.end]
        settled.append(len(part) - next((i for i, each in enumerate(reversed(part)) if not each), len(part)))
    return settled


def same_ids(one: list[TrackedPoses], many: list[TrackedPoses]) -> tuple[float, int]:
    """IDF1 (percent) of the ids in the one by those in the other, and how often a person's id changes."""
    pairs: Counter[tuple[int, int]] = Counter()
    newest: dict[int, int] = {}
    switches = 0
    for a, b in zip(one, many, strict=True):
        for row, column in associate(box_iou(a.poses.boxes, b.poses.boxes), 0.5, "hungarian").tolist():
            person, called = int(a.track_ids[row]), int(b.track_ids[column])
            pairs[person, called] += 1
            switches += newest.get(person, called) != called
            newest[person] = called
    people, names = (np.unique(each) for each in zip(*pairs, strict=True))
    table = np.array([[pairs[person, name] for name in names.tolist()] for person in people.tolist()])
    shared = table[linear_sum_assignment(-table)].sum()
    return 200 * float(shared) / sum(map(len, (*one, *many))), switches


def row(source: Source, folder: Path, networks: Networks, segments: tuple[Segment, ...], lead_s: float) -> str:
    """The line of a lead."""
    settings = Settings()
    run = run_clip(source, folder / f"lead {lead_s:g}", networks, settings, segments=segments)
    one, many = frames(folder / ONE), frames(run.folder)
    identical = [same(a, b) for a, b in zip(one, many, strict=True)]
    settled = settled_after(identical, segments)
    skeleton = networks.skeleton
    idf1, switches = same_ids(
        *(
            [people for _, people in associate_clip(lambda seen=seen: seen, settings.association, skeleton)()]
            for seen in (one, many)
        )
    )
    return (
        f"{lead_s:6.2f} s {len(segments):9d} {100 * np.mean(identical):12.2f} % {statistics.median(settled):8.0f}"
        f" {max(settled):6d} {idf1:8.2f} {switches:8d} {run.people:7d}"
    )


def seconds_to_first(source: Source) -> float:
    """Seconds from opening a part of a clip to its first frame."""
    started = time.perf_counter()
    with closing(source.frames()) as part:  # type: ignore[type-var]  # a generator
        next(part)
    return time.perf_counter() - started


def seek(clip: Path) -> None:
    """Print how long the index and the beginnings of late parts take."""
    source = open_source(clip)
    started = time.perf_counter()
    index = source.frame_index
    made_s = time.perf_counter() - started
    blind = replace(index, seek_points=index.seek_points[:0])
    print(f"{len(index)} frames, {len(index.seek_points)} keyframes: index in {made_s:.2f} s")
    print("  part begins at   from the beginning   from the keyframe")
    for share in (0.1, 0.5, 0.9):
        part = replace(source, first_index=int(share * len(index)))
        whole_s = seconds_to_first(replace(part, index_on_demand=IndexOnDemand(clip, known=blind)))
        print(f"{100 * share:14.0f} % {whole_s:18.2f} s {seconds_to_first(part):17.2f} s", flush=True)


def main() -> None:
    """Print a line for each lead, or for each place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=EXAMPLE)
    parser.add_argument("--seconds", type=float, default=40.0, help="what the clip is looped to; 0: as it is")
    parser.add_argument("--segment-s", type=float, default=4.0)
    parser.add_argument("--leads", type=float, nargs="+", default=[0.0, 0.5, LEAD_S], help="seconds")
    parser.add_argument("--seek", action="store_true", help="measure how long late parts take to begin")
    given = parser.parse_args()
    if given.seek:
        with tempfile.TemporaryDirectory() as place:
            seek(looped(given.clip, given.seconds / 60, Path(place) / "clip.mp4") if given.seconds else given.clip)
        return
    with tempfile.TemporaryDirectory() as place, open_networks(Settings()) as networks:
        folder = Path(place)
        clip = looped(given.clip, given.seconds / 60, folder / "clip.mp4") if given.seconds else given.clip
        source = open_source(clip)
        one = run_clip(source, folder / ONE, networks, Settings())
        print(f"{one.frames} frames, {one.people} people without segments, {one.frames / one.seconds:.1f} frames/s")
        print("  lead    segments  same frames   settled after    IDF1  switches  people")
        for lead_s in given.leads:
            segments = cut(source, Settings().inference, given.segment_s, lead_s=lead_s)
            print(row(source, folder, networks, segments, lead_s), flush=True)


if __name__ == "__main__":
    main()
