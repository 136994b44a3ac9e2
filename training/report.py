"""The report of a training: one HTML file to look at, mail and print, without scripts and without requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from posetrail.files import written_whole
from posetrail.frame import Image
from posetrail.wording import counted, people
from training.data.image_files import read_image
from training.log import LOG, RECORD, TIMES, read_log
from training.report_charts import Curve, charts
from training.samples import Samples
from training.validation import PCK_THRESHOLD, Estimates, figures, joint_pck, relative_distances, sample_oks

REPORT = "report.html"
MOST_PICTURES = 12
_STYLE = Path(__file__).with_name("report.css")
_PICTURE = (240, 320)  # largest width and height, pixels
_MARGIN = 0.2  # around a person, relative to the sides of the box and joints
_QUALITY = 80
_ANNOTATED, _ESTIMATED, _OUTLINE = (255, 255, 255), (255, 140, 0), (20, 20, 20)  # RGB


def write_report(folder: Path, samples: Samples, estimates: Estimates, *, of_best: bool = True) -> Path:
    """Write the report of a training: figures, curves, accuracy of each joint, the worst predictions, and settings.

    Args:
        folder: of the training, with training.json and log.jsonl; report.html is written into it.
        samples: people of the validation; the images of the worst predictions are read.
        estimates: joints that the best weights estimate for them.
        of_best: whether they are those of the best weights, or of the last ones.

    Returns:
        The path of the file.

    Raises:
        InputError: an image of the validation cannot be read.
    """
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    events = [*read_log(folder / LOG), *read_log(folder / TIMES)]
    best_step = (record.get("trained") or {}).get("best_step", 0)
    sections = [
        ("Validation", _about_scores(of_best), _tiles(figures(samples, estimates), record, events)),
        ("Curves", _about_curves(events), _curves(events, best_step)),
        (
            "Joints",
            f"PCK: share of the labelled joints that are estimated within {100 * PCK_THRESHOLD:g} % of the longer side "
            "of the person's box. Distances are in percent of that side.",
            _joint_table(samples, estimates),
        ),
        (
            "Worst predictions",
            "People with the lowest OKS. White rings are annotated joints, orange dots the estimated ones, and lines "
            "connect the two. Wrong annotations are often found here.",
            _worst(samples, estimates),
        ),
        ("Settings", "What was chosen or taken from the recipe; training.json has all of it.", _settings(record)),
    ]
    path = folder / REPORT
    with written_whole(path) as beside:
        beside.write_text(_page(record, sections), encoding="utf-8", errors="backslashreplace")
    return path


def _page(record: dict[str, Any], sections: Iterable[tuple[str, str, str]]) -> str:
    name = escape(str(record["network"]))
    width, height = record["input_size"]
    data = record["samples"]
    facts = (
        f"{people(data['people'])} of {data['name']} to train on",
        f"{people(data['validation'])} to validate on",
        f"{counted(len(record['skeleton']['joints']), 'joint')} ({record['skeleton']['name']})",
        f"crops of {width} \u00d7 {height} pixels",
    )
    listed = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    body = "\n".join(
        f"<section><h2>{title}</h2>" + (f'<p class="lead">{escape(lead)}</p>' if lead else "") + f"{content}</section>"
        for title, lead, content in sections
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>{name} - posetrail training</title>
<link rel="icon" href="data:,">
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<header><p class="brand">posetrail training</p><h1>{name}</h1><ul class="facts">{listed}</ul></header>
<main>
{body}
</main>
</body>
</html>
"""


def _tiles(scores: dict[str, float], record: dict[str, Any], events: list[dict[str, Any]]) -> str:
    """Large figures: scores of the best weights, steps and time."""
    shown = [(name, f"{value:.1f} %") for name, value in scores.items()]
    if trained := record.get("trained"):
        shown += [("Steps", str(trained["steps"])), ("Best at step", str(trained["best_step"]))]
    if seconds := sum(event.get("seconds", 0.0) for event in events):
        shown.append(("Training", f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"))
    tiles = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in shown)
    return f'<dl class="tiles">{tiles}</dl>'


def _about_scores(of_best: bool) -> str:
    text = (
        "AP is COCO's average precision by OKS in annotated boxes, AP50 and AP75 are those at OKS 0.5 and 0.75, and "
        f"PCK is the share of joints within {100 * PCK_THRESHOLD:g} % of the longer side of the person's box."
    )
    return text + (" All are of the best weights." if of_best else " best.safetensors is missing: these are the last.")


def _settings(record: dict[str, Any]) -> str:
    """A table of what determines the training."""
    recipe, chosen = record.get("recipe") or {}, record.get("settings") or {}
    optimiser, schedule = recipe.get("optimiser") or {}, recipe.get("schedule") or {}
    started = record.get("started")
    rows = {
        "Network": recipe.get("network"),
        "Started from": "random weights" if started is None else f"weights with {len(started['taken'])} of the joints",
        "Epochs": chosen.get("epochs") or recipe.get("epochs"),
        "People in a step": chosen.get("batch_size") or recipe.get("batch_size"),
        "Optimiser": optimiser.get("kind"),
        "Highest learning rate": chosen.get("lr") or optimiser.get("lr"),
        "Schedule": schedule.get("kind"),
        "Target": recipe.get("target"),
        "Frozen": ", ".join(chosen.get("freeze") or ()),
        "Slow": ", ".join(chosen.get("slow") or ()),
        "Precision": chosen.get("precision"),
        "Seed": chosen.get("seed"),
    }
    shown = {name: str(value) for name, value in rows.items() if value not in (None, "")}
    cells = "".join(f'<tr><th scope="row">{name}</th><td>{escape(value)}</td></tr>' for name, value in shown.items())
    return f'<div class="wide" tabindex="0" role="region" aria-label="Settings"><table>{cells}</table></div>'


def _about_curves(events: list[dict[str, Any]]) -> str:
    seconds = sum(event.get("seconds", 0.0) for event in events)
    text = "Loss is the mean since the event before; scores are those of the validations, the best one marked."
    if not seconds:
        return text
    waiting = 100 * sum(event.get("seconds_waiting_for_data", 0.0) for event in events) / seconds
    return f"{text} {waiting:.0f} % of the training time was spent waiting for data; more workers reduce it."


def _curves(events: list[dict[str, Any]], best_step: int) -> str:
    steps = [event for event in events if event["event"] == "step"]
    validations = [event for event in events if event["event"] == "validation"]
    at = np.array([event["epoch"] for event in steps])
    curves = [
        Curve(name="Loss", epochs=at, values=_values(steps, "loss"), may_be_logarithmic=True),
        Curve(name="Learning rate", epochs=at, values=_values(steps, "lr"), from_zero=True),
    ]
    best = next((event["epoch"] for event in validations if event["step"] == best_step), None)
    names = dict.fromkeys(name for event in validations for name in event if name not in ("event", "step", "epoch"))
    validated = np.array([event["epoch"] for event in validations])
    for name in names:
        values = _values(validations, name)
        curves.append(Curve(name=f"{name} (%)", epochs=validated, values=values, from_zero=True, marked=best))
    return charts(curves, max((event["epoch"] for event in (*steps, *validations)), default=0.0))


def _values(events: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([event.get(name, np.nan) for event in events], float)


def _joint_table(samples: Samples, estimates: Estimates) -> str:
    pck, labelled = joint_pck(samples, estimates), samples.labelled
    distances = np.where(labelled, relative_distances(samples, estimates), np.nan)
    rows = []
    for k, joint in enumerate(samples.skeleton.joints):
        number = int(labelled[:, k].sum())
        median = 100 * float(np.median(distances[labelled[:, k], k])) if number else np.inf
        meter = f'<span class="meter" aria-hidden="true"><span style="width:{pck[k]:.0f}%"></span></span>'
        cells = (
            str(number),
            f"{pck[k]:.1f} %" if number else "-",
            meter if number else "",
            f"{median:.1f} %" if np.isfinite(median) else "-",
        )
        rows.append(
            f'<tr><th scope="row">{escape(joint)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Joint", "Labelled", "PCK", "", "Median distance"))
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="Joints"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


# Pictures -------------------------------------------------------------------------------------------------------------


def _worst(samples: Samples, estimates: Estimates) -> str:
    oks = sample_oks(samples, estimates)
    worst = np.argsort(oks, kind="stable")[: min(MOST_PICTURES, int(np.isfinite(oks).sum()))]  # NaN is last
    items = []
    for row in worst.tolist():
        path = samples.images[samples.image_rows[row]]
        picture = _picture(read_image(path), samples.boxes[row], samples.keypoints[row], estimates.keypoints[row])
        height, width = picture.shape[:2]
        number = f", person {samples.ids[row]}" if samples.ids[row] >= 0 else ""
        items.append(
            f'<li><figure><img src="{_data_uri(picture)}" width="{width}" height="{height}" '
            f'alt="A person with annotated and estimated joints"><figcaption>OKS {oks[row]:.2f}: '
            f"{escape(path.name)}{number}</figcaption></figure></li>"
        )
    return f'<ol class="people">{"".join(items)}</ol>'


def _picture(image: Image, box: np.ndarray, annotated: np.ndarray, estimated: np.ndarray) -> Image:
    """The part of an image with a person, and the joints (K, 2) drawn on it."""
    low, high = (
        np.nanmin(np.vstack([annotated, box[:2]]), axis=0),
        np.nanmax(np.vstack([annotated, box[2:]]), axis=0),
    )
    margin = _MARGIN * (high - low)
    size = np.array([image.shape[1], image.shape[0]])
    x1, y1 = np.clip(np.floor(low - margin), 0, size - 1).astype(int).tolist()
    x2, y2 = np.clip(np.ceil(high + margin), [x1 + 1, y1 + 1], size).astype(int).tolist()
    scale = min(_PICTURE[0] / (x2 - x1), _PICTURE[1] / (y2 - y1))
    width, height = (max(1, round(scale * side)) for side in (x2 - x1, y2 - y1))
    drawn = cv2.resize(
        image[y1:y2, x1:x2], (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    pairs = []
    for position, found in zip(annotated, estimated, strict=True):
        a, b = ((each - [x1, y1] + 0.5) * scale - 0.5 for each in (position, found))
        if np.isfinite(a).all():
            ends = np.clip([a, b], -10_000, 10_000) if np.isfinite(b).all() else np.array([a])
            pairs.append(np.rint(ends).astype(int).tolist())
    for ends in pairs:
        if len(ends) == 2:
            cv2.line(drawn, ends[0], ends[1], _ESTIMATED, 1, cv2.LINE_AA)
    for ends in pairs:
        for thickness, colour in ((3, _OUTLINE), (1, _ANNOTATED)):
            cv2.circle(drawn, ends[0], 4, colour, thickness, cv2.LINE_AA)
        for each in ends[1:]:
            for radius, colour in ((4, _OUTLINE), (3, _ESTIMATED)):
                cv2.circle(drawn, each, radius, colour, -1, cv2.LINE_AA)
    return drawn


def _data_uri(picture: Image) -> str:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
