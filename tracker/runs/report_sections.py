"""The sections of a report: figures, timeline, people, doubtful places, paths, joints, corrections, origin."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posetrail.skeletons import Skeleton
from posetrail.wording import counted
from tracker.association.suspects import Suspect
from tracker.runs.report_charts import TimeAxis, clock, joint_chart, paths, pill, timeline
from tracker.runs.report_figures import PersonFigures, Spans, frame_durations, people_of, places_of
from tracker.runs.report_page import Place, Section, details, log_table, people_table, places_list, tiles
from tracker.runs.report_stills import Still
from tracker.tracked_clip import TrackedClip

MOST_PLACES = 12
_MOST_ROWS = 60  # people in the timeline, those longest in view
_MOST_PATHS = 20  # people whose paths are drawn
_MOST_JOINT_CHARTS = 6  # people whose joints are plotted
_MOST_CORRECTIONS = 100
_BREAK_S = 0.5  # lines are interrupted where a person is out of view for longer
_MIN_JOINT_SCORE = 0.2  # joints below it are not plotted, as they are not drawn
_PAIRS = ("wrist", "ankle", "elbow", "knee", "hip", "shoulder")  # joints to plot, the first two that there are

KINDS = {
    "link": "Doubtful link",
    "birth": "Sudden beginning",
    "end": "Sudden end",
    "joint": "Joint out of place",
    "flip": "Left and right exchanged",
    "duplicate": "Two on one person",
    "interpolated": "Interpolated stretch",
}
"""Kinds of suspects in words, the same as in the viewer (tracker/viewer/static/suspects.js)."""


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """What a report shows of a run."""

    clip: TrackedClip
    skeleton: Skeleton
    size: tuple[int, int]  # width and height of the image in pixels
    suspects: Sequence[Suspect]  # open ones, worst first
    stills: Mapping[str, tuple[Still, ...]]  # by id of the suspect
    why_no_stills: str  # one line; empty if there are any
    checked: Sequence[tuple[int, int]]  # numbers of the first and last frames of checked stretches
    corrections: Sequence[tuple[int, str, str, str]]  # number, what, by, at; not undone ones
    origin: Sequence[tuple[str, str]]  # names and values

    @cached_property
    def people(self) -> list[PersonFigures]:
        """All people, in the order of their ids."""
        return people_of(self.clip)

    @cached_property
    def longest_in_view(self) -> list[PersonFigures]:
        """All people, those first who are longest in view."""
        return sorted(self.people, key=lambda person: (-person.in_view_s, person.track_id))

    @cached_property
    def duration_s(self) -> float:
        """Time of all frames."""
        return float(frame_durations(self.clip.times_s).sum())

    @cached_property
    def is_checked(self) -> np.ndarray:
        """(F,) bool: a person has checked the frame."""
        frames = self.clip.frame_indices
        checked = np.zeros(len(frames), bool)
        for first, last in self.checked:
            checked |= (frames >= first) & (frames <= last)
        return checked

    def position(self, frame: int) -> int:
        """The position of the frame with this number, or of the next one."""
        return min(int(np.searchsorted(self.clip.frame_indices, frame)), len(self.clip) - 1)

    def rows(self, poses: Iterable[tuple[int, int]]) -> list[int]:
        """The rows of named poses in the clip, without those that it lacks."""
        rows = []
        for frame, row in poses:
            position = self.position(frame)
            begin, end = self.clip.begins[[position, position + 1]].tolist()
            if self.clip.frame_indices[position] == frame:
                rows += (begin + np.flatnonzero(self.clip.pose_rows[begin:end] == row)).tolist()
        return rows

    def ids(self, suspect: Suspect) -> tuple[int, ...]:
        """The people in question, then those that they could be exchanged or joined with."""
        ids = self.clip.track_ids[self.rows((*suspect.poses, *suspect.candidates))].tolist()
        return tuple(dict.fromkeys(ids))


def sections(content: ReportContent) -> list[Section]:
    """All sections that have something to show."""
    made = (_figures, _timeline, _people, _places, _paths, _joints, _corrections, _origin)
    return [section for section in (make(content) for make in made) if section is not None]


def _figures(content: ReportContent) -> Section:
    clip = content.clip
    poses, interpolated = len(clip.poses), int(clip.interpolated.sum())
    observed = clip.poses.quality[~clip.interpolated]
    figures = [
        (f"{len(clip):,}", "Frames", clock(content.duration_s)),
        (f"{len(content.people):,}", "People", _most_at_once(clip)),
        (f"{poses:,}", "Poses", f"{interpolated:,} interpolated" if interpolated else ""),
        (f"{observed.mean():.2f}" if len(observed) else "-", "Mean score", "0 to 1"),
        (f"{len(content.suspects):,}", "Suspects", _by_kind(content.suspects)),
        (f"{100 * content.is_checked.mean():.0f} %" if len(clip) else "-", "Checked", "of all frames"),
        (f"{len(content.corrections):,}", "Corrections", ""),
    ]
    return Section(title="Figures", body=tiles(figures))


def _most_at_once(clip: TrackedClip) -> str:
    return f"up to {np.diff(clip.begins).max(initial=0)} at once"


def _by_kind(suspects: Sequence[Suspect]) -> str:
    counts = Counter(suspect.kind for suspect in suspects)
    return ", ".join(
        f"{number} {kind}" if kind == "interpolated" else counted(number, kind)
        for kind, number in counts.most_common(3)
    )


def _timeline(content: ReportContent) -> Section | None:
    if not content.people:
        return Section(title="Timeline", body="<p>No person was tracked.</p>")
    clip, shown = content.clip, content.longest_in_view[:_MOST_ROWS]
    people = sorted(shown, key=lambda person: person.track_id)
    ends_s = clip.times_s + frame_durations(clip.times_s)
    marks: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for suspect in content.suspects:
        mark = float(clip.times_s[content.position(suspect.frame)]), f"frame {suspect.frame}: {suspect.reason}"
        for track_id in content.ids(suspect)[:2]:
            marks[track_id].append(mark)
    checked = _spans(content.is_checked)
    chart = timeline(people, clip.times_s, ends_s, marks, checked)
    legend = (
        '<p class="legend" aria-hidden="true"><span class="in-view">in view</span>'
        '<span class="between">interpolated</span><span class="suspect">suspect</span></p>'
    )
    others = len(content.people) - len(people)
    note = f'<p class="remark">The {counted(others, "person", "people")} seen for the shortest time have no row.</p>'
    return Section(title="Timeline", body=chart + legend + (note if others else ""))


def _spans(mask: np.ndarray) -> Spans:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return tuple(zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True))


def _people(content: ReportContent) -> Section | None:
    if not content.people:
        return None
    suspects = Counter(track_id for suspect in content.suspects for track_id in content.ids(suspect))
    return Section(title="People", body=people_table(content.people, suspects, content.duration_s))


def _places(content: ReportContent) -> Section:
    if not content.suspects:
        return Section(title="Doubtful places", body="<p>No place is marked as doubtful.</p>")
    shown = content.suspects[:MOST_PLACES]
    places = [
        Place(
            kind=KINDS.get(suspect.kind, suspect.kind),
            frame=suspect.frame,
            last_frame=suspect.last_frame,
            time_s=float(content.clip.times_s[content.position(suspect.frame)]),
            doubt=suspect.doubt,
            reason=suspect.reason,
            people=content.ids(suspect),
            stills=content.stills.get(suspect.suspect_id, ()),
        )
        for suspect in shown
    ]
    lead = (
        f"The {len(shown)} of {len(content.suspects)} suspects with the highest doubt."
        if len(content.suspects) > len(shown)
        else "All suspects, those with the highest doubt first."
    )
    if content.why_no_stills:
        lead += f" {content.why_no_stills}"
    return Section(title="Doubtful places", lead=lead, body=places_list(places))


def _paths(content: ReportContent) -> Section | None:
    people = content.longest_in_view[:_MOST_PATHS]
    if not people:
        return None
    joints = content.skeleton.joints
    hips = (joints.index("left_hip"), joints.index("right_hip")) if {"left_hip", "right_hip"} <= set(joints) else None
    lines = []
    for person in people:
        points = places_of(content.clip, person.rows, hips)
        lines.append(_stretches(points, content.clip.times_s[person.positions]))
    of = f"of the {len(people)} people longest in view " if len(people) < len(content.people) else ""
    return Section(
        title="Paths",
        lead=f"Where the hips {of}are in the image over the whole clip: from the id to the dot.",
        body=paths(people, lines, *content.size),
    )


def _stretches(points: np.ndarray, times_s: np.ndarray) -> list[np.ndarray]:
    """Points (P, ...) divided where they are missing or the time makes a leap."""
    known = np.isfinite(points).all(axis=1)
    points, times_s = points[known], times_s[known]
    return [part for part in np.split(points, np.flatnonzero(np.diff(times_s) > _BREAK_S) + 1) if len(part)]


def _joints(content: ReportContent) -> Section | None:
    pairs = _pairs(content.skeleton)
    people = content.longest_in_view[:_MOST_JOINT_CHARTS]
    if not pairs or not people:
        return None
    clip = content.clip
    axis = TimeAxis(float(clip.times_s[0]), float(clip.times_s[-1]))
    groups = []
    for person in people:
        charts = []
        for title, joints in pairs:
            lines = []
            for joint in joints:
                k = content.skeleton.index(joint)
                heights = clip.poses.keypoints[person.rows, k, 1].astype(float)
                heights[clip.poses.keypoint_scores[person.rows, k] < _MIN_JOINT_SCORE] = np.nan
                times_s = clip.times_s[person.positions]
                lines.append((joint.replace("_", " "), _stretches(np.column_stack([times_s, heights]), times_s)))
            charts.append(joint_chart(title, axis, lines, person.track_id))
        groups.append(f'<div class="person"><h3>{pill(person)}</h3><div class="charts">{"".join(charts)}</div></div>')
    of = f" of the {len(people)} people longest in view" if len(people) < len(content.people) else ""
    return Section(
        title="Joints",
        lead=f"Height of joints{of} in the image, in pixels from its top. Joints of low score are left out.",
        body=f'<div class="joints">{"".join(groups)}</div>',
    )


def _pairs(skeleton: Skeleton) -> list[tuple[str, tuple[str, ...]]]:
    """What to plot: title and joints."""
    pairs: list[tuple[str, tuple[str, ...]]] = []
    for part in _PAIRS:
        sides = f"left_{part}", f"right_{part}"
        if set(sides) <= set(skeleton.joints):
            pairs.append((f"{part.capitalize()}s", sides))
    return pairs[:2] or [(joint.replace("_", " "), (joint,)) for joint in skeleton.joints[:2]]


def _corrections(content: ReportContent) -> Section | None:
    if not content.corrections:
        return None
    shown = content.corrections[-_MOST_CORRECTIONS:]
    lead = f"The last {len(shown)} of {len(content.corrections)}." if len(shown) < len(content.corrections) else ""
    return Section(title="Corrections", lead=lead, body=log_table(shown))


def _origin(content: ReportContent) -> Section:
    return Section(title="How these tracks were made", body=details(content.origin))
