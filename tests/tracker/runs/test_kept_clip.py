"""Kept tracks equal those that are made, and are made again when anything that decides them has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tracker.viewer.runs import numbered_run
from tracker.association.corrections import Name
from tracker.runs import kept_clip as module
from tracker.runs.kept_clip import kept_clip
from tracker.runs.record import LOG, read_record
from tracker.runs.results import tracked_clip_of
from tracker.tracked_clip import PoseName, TrackedClip

NAMED = {1: Name(poses=(PoseName(3, 0),), name="Ada")}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "_FEWEST_POSES", 1)
    return numbered_run(tmp_path)


def same(one: TrackedClip, other: TrackedClip) -> bool:
    arrays = ("frame_indices", "times_s", "begins", "track_ids", "interpolated", "pose_rows", "edits")
    poses = ("keypoints", "keypoint_scores", "boxes", "scores", "propagated")
    return (
        all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and all(np.array_equal(getattr(one.poses, name), getattr(other.poses, name), equal_nan=True) for name in poses)
        and (one.frame_names, dict(one.names)) == (other.frame_names, dict(other.names))
    )


@pytest.mark.parametrize("corrections", [{}, NAMED], ids=["none", "a name"])
def test_kept_tracks_equal_those_that_were_made(run: Path, corrections: dict[int, Name]) -> None:
    record = read_record(run)
    arguments = run / LOG, record.association_settings, record.pose_log, corrections
    made = kept_clip(*arguments, tracked_clip_of)
    assert (run / "preview" / "tracks.npz").is_file()
    assert same(made, tracked_clip_of(*arguments))
    assert same(made, kept_clip(*arguments, tracked_clip_of))


def test_kept_tracks_of_other_settings_or_corrections_are_not_used(run: Path) -> None:
    record = read_record(run)
    settings = record.association_settings
    made: list[object] = []

    def make(*args: Any) -> TrackedClip:
        made.append(args)
        return tracked_clip_of(*args)

    kept_clip(run / LOG, settings, record.pose_log, {}, tracked_clip_of)
    kept_clip(run / LOG, settings, record.pose_log, {}, make)
    assert len(made) == 0
    assert kept_clip(run / LOG, settings, record.pose_log, NAMED, make).names == {1: "Ada"}
    kept_clip(run / LOG, replace(settings, max_link_gap_s=1.0), record.pose_log, {}, make)
    assert len(made) == 2


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x93NUMPY", b"{}"])
def test_a_damaged_file_is_made_again(run: Path, content: bytes) -> None:
    record = read_record(run)
    arguments = run / LOG, record.association_settings, record.pose_log, {}
    made = kept_clip(*arguments, tracked_clip_of)
    place = run / "preview" / "tracks.npz"
    whole = place.read_bytes()
    for damaged in (content, whole[: len(whole) // 2]):
        place.write_bytes(damaged)
        assert same(kept_clip(*arguments, tracked_clip_of), made)
        assert place.read_bytes() == whole
