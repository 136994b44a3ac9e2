"""`find_suspects` and `posetrail suspects`: suspects.csv, the summary in run.json, and when they are removed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from posetrail.errors import InputError
from tests.command_line import fails, succeeds
from tests.truth_networks import truth_networks
from tests.worlds import Walker, World, line, write_images
from tracker.io.video import open_source
from tracker.runs.corrected import CorrectedRun
from tracker.runs.folder import run_clip
from tracker.runs.follow import associate_again, follow_run
from tracker.runs.record import read_record
from tracker.runs.suspects import find_suspects
from tracker.settings import AssociationSettings, Settings


def in_gap(frame: int) -> bool:
    """Frames in which nothing of one person is seen, so that optical flow propagates no pose of them either."""
    return 8 <= frame < 14


WORLD = World(
    (Walker(line((20, 60), (120, 0)), missed=in_gap, hidden=in_gap), Walker(line((500, 75), (-120, 0)))), num_frames=24
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run in which one track has a gap of six frames."""
    images = write_images(WORLD, tmp_path / "images")
    run_clip(open_source(images), tmp_path / "run", truth_networks(WORLD), Settings())
    return tmp_path / "run"


def test_suspects_are_written_as_a_table_and_counted_in_the_record(folder: Path) -> None:
    found = find_suspects(folder)
    assert any((each.kind, each.frame, each.last_frame) == ("interpolated", 7, 14) for each in found)
    rows = list(csv.DictReader((folder / "suspects.csv").read_text().splitlines()))
    assert [row["suspect_id"] for row in rows] == [each.suspect_id for each in found]
    assert [json.loads(row["parts"]) for row in rows] == [each.parts for each in found]
    assert all(row["track_ids"] in ("1", "2", "1 2", "2 1") for row in rows)

    record = read_record(folder)
    assert record.suspects is not None
    assert record.suspects.number["interpolated"] == 1
    assert record.suspects.per_1000_frames["interpolated"] == round(1000 / 24, 2)
    assert "suspects.csv" in record.files


def test_suspects_of_online_ids_are_found_too(folder: Path) -> None:
    follow_run(folder, AssociationSettings(offline=False))
    assert "interpolated" in {each.kind for each in find_suspects(folder)}


def test_suspects_are_those_of_the_corrected_tracks(folder: Path) -> None:
    assert "link" not in {each.kind for each in find_suspects(folder)}
    with CorrectedRun(folder) as run:
        run.apply({"op": "swap", "a": [18, 0], "b": [18, 1], "only_here": False})  # a mistake
        associate_again(run)
    worst = find_suspects(folder)[0]
    assert (worst.kind, worst.poses[0][0], worst.poses[1][0]) == ("link", 17, 18)


def test_following_again_removes_the_suspects_of_the_old_tracks(folder: Path) -> None:
    find_suspects(folder)
    follow_run(folder, AssociationSettings(track_buffer_s=0.1))
    assert not (folder / "suspects.csv").exists()
    assert read_record(folder).suspects is None


def test_a_record_without_suspects_can_be_read(folder: Path) -> None:
    path = folder / "run.json"
    old = json.loads(path.read_text())
    del old["suspects"]
    path.write_text(json.dumps(old))
    assert read_record(folder).suspects is None


def test_looking_twice_finds_the_same(folder: Path) -> None:
    first = find_suspects(folder)
    table = (folder / "suspects.csv").read_bytes()
    assert find_suspects(folder) == first
    assert (folder / "suspects.csv").read_bytes() == table


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run\.json"):
        find_suspects(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_the_worst_places(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = succeeds(capsys, "suspects", str(folder), "--max", "1")
    assert "reason" in printed
    assert "suspects.csv" in printed
    lines = succeeds(capsys, "suspects", str(folder), "--progress", "json", "--max", "1").splitlines()
    events = [json.loads(line) for line in lines]
    assert [each["event"] for each in events] == ["suspect", "result"]
    assert events[0]["kind"] == find_suspects(folder)[0].kind
    assert "--max: expected 0 or more" in fails(capsys, "suspects", str(folder), "--max", "-1")
