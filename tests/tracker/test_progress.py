"""Progress is told in the style that fits who listens."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta

from tracker.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(style: str, stream: io.StringIO, total: int | None = 3) -> str:
    with progress(style, "clip", total, stream) as on_frame:  # type: ignore[arg-type]
        for people in (1, 2, 2):
            on_frame(people)
    return stream.getvalue()


def test_elsewhere_than_on_a_terminal_it_is_plain_lines() -> None:
    (line,) = told("auto", io.StringIO()).splitlines()
    assert line.startswith("clip: 3/3 frames, ")
    assert line.endswith("2 people")
    assert told("lines", io.StringIO(), total=None).startswith("clip: 3 frames, ")


def test_on_a_terminal_it_is_a_bar() -> None:
    shown = told("auto", Terminal())
    assert "clip" in shown
    assert "3/3" in shown
    assert "2 people" in shown


def test_for_programs_it_is_json() -> None:
    (line,) = told("json", io.StringIO()).splitlines()
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


def test_none_is_silent() -> None:
    assert told("none", Terminal()) == ""
