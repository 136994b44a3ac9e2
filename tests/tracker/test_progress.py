"""Progress is a bar on a terminal, lines elsewhere, JSON for programs, or silent."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta

from tracker.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def output(style: str, stream: io.StringIO, total: int | None = 3) -> str:
    with progress(style, "clip", total, stream) as on_frame:  # type: ignore[arg-type]
        for people in (1, 2, 2):
            on_frame(people)
    return stream.getvalue()


def test_progress_is_plain_lines_without_a_terminal() -> None:
    (line,) = output("auto", io.StringIO()).splitlines()
    assert line.startswith("clip: 3/3 frames, ")
    assert line.endswith("2 people")
    assert output("lines", io.StringIO(), total=None).startswith("clip: 3 frames, ")


def test_progress_is_a_bar_on_a_terminal() -> None:
    shown = output("auto", Terminal())
    assert "clip" in shown
    assert "3/3" in shown
    assert "2 people" in shown


def test_progress_json_is_one_event_a_line() -> None:
    (line,) = output("json", io.StringIO()).splitlines()
    event = json.loads(line)
    assert event.pop("event") == "progress"
    assert datetime.fromisoformat(event.pop("time")).utcoffset() == timedelta(0)
    assert event | {"frames_per_s": 0} == {
        "clip": "clip",
        "frames": 3,
        "total": 3,
        "frames_per_s": 0,
        "people": 2,
        "left_s": 0.0,
    }


def test_progress_none_is_silent() -> None:
    assert output("none", Terminal()) == ""
