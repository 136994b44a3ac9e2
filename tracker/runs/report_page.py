"""The page of a report: one HTML file with its style sheet, without scripts, that requests nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tracker.runs.report_charts import clock, pill
from tracker.runs.report_figures import RE_ENTRY_S, PersonFigures
from tracker.runs.report_stills import Still

_STYLE = Path(__file__).with_name("report.css")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A doubtful place: what may be wrong there, and what it looks like."""

    kind: str
    frame: int  # number in the video; from here ...
    last_frame: int  # ... to here
    time_s: float
    doubt: float  # 0..1
    reason: str  # one sentence
    people: tuple[int, ...]  # track ids
    stills: tuple[Still, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page under a heading."""

    title: str
    body: str  # HTML
    lead: str = ""  # one plain sentence under the heading
    anchor: str = ""


def page(title: str, facts: Sequence[str], sections: Iterable[Section]) -> str:
    """The whole file.

    Args:
        title: name of the clip.
        facts: a few words each, shown under the title.
        sections: parts of the page.
    """
    name = escape(title)
    body = "\n".join(
        f"<section{f' id={section.anchor!r}' if section.anchor else ''}><h2>{escape(section.title)}</h2>"
        + (f'<p class="lead">{escape(section.lead)}</p>' if section.lead else "")
        + f"{section.body}</section>"
        for section in sections
    )
    listed = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>{name} - posetrail report</title>
<link rel="icon" href="data:,">
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<header><p class="brand">posetrail report</p><h1>{name}</h1><ul class="facts">{listed}</ul></header>
<main>
{body}
</main>
</body>
</html>
"""


def tiles(figures: Iterable[tuple[str, str, str]]) -> str:
    """Large figures: value, what it counts, and a remark."""
    return (
        '<dl class="tiles">'
        + "".join(
            f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd>"
            + (f'<dd class="remark">{escape(remark)}</dd>' if remark else "")
            + "</div>"
            for value, label, remark in figures
        )
        + "</dl>"
    )


def people_table(people: Sequence[PersonFigures], suspects: dict[int, int], duration_s: float) -> str:
    """A row for each person.

    Args:
        people: the rows.
        suspects: number of open suspects by track id.
        duration_s: of the clip.
    """
    heads = ("Person", "First", "Last", "In view", "Share", "Re-entries", "Poses", "Interpolated", "Mean score")
    rows = []
    for person in people:
        score = "-" if person.mean_score != person.mean_score else f"{person.mean_score:.2f}"
        cells = (
            clock(person.first_s),
            clock(person.last_s),
            clock(person.in_view_s),
            f"{100 * person.in_view_s / duration_s:.0f} %" if duration_s else "-",
            str(person.re_entries),
            str(len(person.rows)),
            str(person.num_interpolated),
            score,
            str(suspects.get(person.track_id, 0)),
        )
        rows.append(
            f'<tr><th scope="row">{pill(person)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in (*heads, "Suspects"))
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="People"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="remark">In view: the time of all frames with a pose of the person. Re-entries: returns after more '
        f"than {RE_ENTRY_S:g} s without one. Mean score: of poses that are not interpolated.</p>"
    )


def places_list(places: Sequence[Place]) -> str:
    """The doubtful places with their stills."""
    bare = "" if any(place.stills for place in places) else " bare"
    return f'<ol class="places{bare}">' + "".join(map(_item, places)) + "</ol>"


def _item(place: Place) -> str:
    stills = "".join(
        f'<figure><img src="{still.uri}" width="{still.width}" height="{still.height}" '
        f'alt="Frame {still.frame} with the people drawn on it"><figcaption>frame {still.frame}</figcaption></figure>'
        for still in place.stills
    )
    shown = f'<div class="stills">{stills}</div>' if stills else ""
    ids = ", ".join(map(str, place.people))
    frames = (
        f"frame {place.frame}" if place.last_frame == place.frame else f"frames {place.frame} to {place.last_frame}"
    )
    where = f"{clock(place.time_s)}, {frames}" + (f", id {ids}" if ids else "")
    return (
        f'<li>{shown}<div><p class="kind"><b>{escape(place.kind)}</b></p><p class="where">{where}</p>'
        f'<p>{escape(place.reason)}</p><p class="doubt"><span class="meter" aria-hidden="true">'
        f'<span style="width:{100 * place.doubt:.0f}%"></span></span> doubt {place.doubt:.2f}</p></div></li>'
    )


def log_table(rows: Sequence[tuple[int, str, str, str]]) -> str:
    """Corrections: number, what was done, by whom and when."""
    lines = "".join(
        f"<tr><td>{number}</td><td class='text'>{escape(text)}</td><td class='text'>{escape(by)}</td>"
        f"<td class='text'>{escape(at)}</td></tr>"
        for number, text, by, at in rows
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("No.", "Correction", "By", "At (UTC)"))
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="Corrections"><table class="log"><thead><tr>'
        f"{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def details(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values."""
    return (
        '<dl class="details">'
        + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows)
        + "</dl>"
    )
