"""Settings validate themselves: an invalid value from Python, flags, TOML or run.json is refused in one line."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrail.errors import InputError
from tests.command_line import fails
from tracker.checked_settings import Range
from tracker.inference.propagation import create_flow
from tracker.io.pose_log import LogEnd
from tracker.runs.record import NO_FIGURES, PosesInput, RecordedSettings, RunRecord
from tracker.settings import PRESETS, AssociationSettings, InferenceSettings, NetworkSettings, Settings

ROOMS = (NetworkSettings, InferenceSettings, AssociationSettings)
HINTS = [(room, name, hint) for room in ROOMS for name, hint in get_type_hints(room, include_extras=True).items()]


@pytest.mark.parametrize(
    ("room", "name", "value", "expected"),
    [
        (
            AssociationSettings,
            "smooth",
            "kalmann",
            "unknown smooth 'kalmann'; did you mean 'kalman'? (known: auto, kalman",
        ),
        (InferenceSettings, "flow", "rafft", "unknown flow 'rafft'; did you mean 'raft'? (known: lk, dis, raft, none)"),
        (InferenceSettings, "flow", None, "unknown flow 'None'"),
        (InferenceSettings, "flow", ["lk"], "unknown flow"),
        (
            InferenceSettings,
            "detect_every",
            2.5,
            "detect_every: expected a whole number from 1 to 1000, or none, got 2.5",
        ),
        (
            InferenceSettings,
            "detect_every",
            True,
            "detect_every: expected a whole number from 1 to 1000, or none, got True",
        ),
        (
            InferenceSettings,
            "detect_every",
            "2",
            "detect_every: expected a whole number from 1 to 1000, or none, got '2'",
        ),
        (InferenceSettings, "detect_every", 0, "detect_every: expected a whole number from 1 to 1000, or none, got 0"),
        (InferenceSettings, "propagate", 1, "propagate: expected true or false, got 1"),
        (InferenceSettings, "propagate", "false", "propagate: expected true or false, got 'false'"),
        (InferenceSettings, "min_box_score", float("nan"), "min_box_score: expected a number from 0 to 1, got nan"),
        (InferenceSettings, "min_box_score", None, "min_box_score: expected a number from 0 to 1, got None"),
        (
            AssociationSettings,
            "track_buffer_s",
            float("inf"),
            "track_buffer_s: expected a number from 0 to 86400, got inf",
        ),
        (NetworkSettings, "detector", None, "detector: expected text, got None"),
        (NetworkSettings, "threads", 0, "threads: expected a whole number from 1 to 1024, or none, got 0"),
        (NetworkSettings, "estimator_weights", 3, "estimator_weights: expected a path, or none, got 3"),
        (
            Settings,
            "inference",
            AssociationSettings(),
            "inference: expected InferenceSettings, got AssociationSettings(",
        ),
    ],
)
def test_an_invalid_value_is_refused_in_one_line(room: type, name: str, value: object, expected: str) -> None:
    with pytest.raises(InputError) as refused:
        room(**{name: value})
    assert str(refused.value).startswith(expected)


def test_numbers_and_paths_become_the_type_of_their_field() -> None:
    settings = InferenceSettings(detect_every=2.0, propagated_box_margin=1, queue_frames=np.int64(3))  # type: ignore[arg-type]
    numbers = [settings.detect_every, settings.propagated_box_margin, settings.queue_frames]
    assert [(type(number), number) for number in numbers] == [(int, 2), (float, 1.0), (int, 3)]
    assert NetworkSettings(estimator_weights="a/b.pth").estimator_weights == Path("a/b.pth")  # type: ignore[arg-type]
    for preset in PRESETS.values():
        json.dumps(asdict(preset))


@pytest.mark.parametrize(("room", "name", "hint"), HINTS, ids=[name for _, name, _ in HINTS])
def test_every_number_has_a_range_that_includes_its_default(room: type, name: str, hint: Any) -> None:
    parts = (hint, *get_args(hint))
    ranges = [note for part in parts if get_origin(part) is Annotated for note in get_args(part)]
    (default,) = (getattr(room(), each.name) for each in fields(room) if each.name == name)
    if isinstance(default, int | float) and not isinstance(default, bool):
        assert any(isinstance(note, Range) for note in ranges)
    for limit in (note for note in ranges if isinstance(note, Range)):
        for value in (limit.low, limit.high):
            if name != "smooth_hz":
                assert getattr(room(**{name: value}), name) == value
        for value in (limit.low - 1, limit.high + 1):
            with pytest.raises(InputError, match=f"^{name}: expected"):
                room(**{name: value})


@given(
    name=st.sampled_from([name for _, name, _ in HINTS]),
    value=st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2),
)
def test_any_content_of_run_json_gives_settings_or_an_error_of_one_line(name: str, value: object) -> None:
    record = RunRecord(
        status="complete",
        finished=True,
        reason="",
        warnings=(),
        models=(),
        figures=NO_FIGURES,
        files=(),
        input=PosesInput(path="poses.json", fingerprint="", fps=30.0, width=1, height=1),
        settings=RecordedSettings(association=asdict(AssociationSettings()) | {name: value}),
        device="none",
        pose_log=LogEnd(0, ""),
        versions={},
    )
    try:
        settings = record.association_settings
    except InputError as error:
        refused = str(error)
    else:
        refused = ""
        for field, kept in asdict(settings).items():
            hint = get_type_hints(AssociationSettings)[field]
            assert kept in get_args(hint) if get_origin(hint) is Literal else type(kept) is hint
    assert refused == "" or refused.startswith("run.json: ")
    assert "\n" not in refused


def test_an_unknown_flow_is_refused_and_none_is_no_flow() -> None:
    assert create_flow("none") is None
    with pytest.raises(InputError, match="unknown flow 'rafft'; did you mean 'raft'"):
        create_flow("rafft")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--detect-every 2.5", "--detect-every: expected a whole number, got 2.5"),
        ("--set detect_every=2.5", "--detect-every: expected a whole number, got 2.5"),
        ("--config FILE", "--detect-every: expected a whole number, got 2.5"),
        ("--stride 1.5", "--stride: expected a whole number, got 1.5"),
        ("--min-box-score nan", "min_box_score: expected a number from 0 to 1, got nan"),
        (
            "--online --smooth kalman",
            "smooth: expected auto, one_euro or none in online association, got kalman, which needs the whole clip",
        ),
        (
            "--smooth one_euro",
            "smooth: expected auto, kalman, butterworth or none in offline association, got one_euro",
        ),
        (
            "--preset bytetrack --smooth butterworth",
            "smooth: expected auto, one_euro or none in online association, got butterworth",
        ),
        ("--smooth-hz 3", "smooth_hz: expected smooth butterworth with a cut-off frequency"),
        ("--online --smooth one_euro", "x.mp4: no such file"),  # fine
        ("--detect-every 2.0", "x.mp4: no such file"),
    ],
)
def test_flags_sets_and_files_are_validated_like_python_values(
    flags: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.toml").write_text("detect_every = 2.5\n")
    line = fails(capsys, "track", "x.mp4", *flags.replace("FILE", str(tmp_path / "settings.toml")).split())
    assert line.startswith(f"posetrail: {expected}")
