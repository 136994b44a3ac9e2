"""`pt.angles` and the files of `posetrail angles`: what they say of a made-up run, and what they refuse."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import posetrail as pt
from posetrail.errors import InputError
from tests.corrected_runs import make_run
from tests.pose_frames import missed_in, pose_frames
from tests.worlds import Walker, World, line
from tracker.lifting.angle_settings import AngleSettings
from tracker.runs.angles import write_angles
from tracker.runs.corrected import CorrectedRun
from tracker.runs.follow import follow_poses
from tracker.settings import AssociationSettings

WORLD = World(
    (Walker(line((20, 60), (90, 0)), missed=missed_in((20, 40))), Walker(line((500, 75), (0, 0)))), num_frames=60
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Person 1 moves at 90 pixels per second and is missed for 20 frames; person 2, Bea, stands still."""
    folder = make_run(tmp_path_factory.mktemp("angles") / "run", pose_frames(WORLD))
    with CorrectedRun(folder, by="test") as opened:
        standing = int(opened.clip.people(0).poses.boxes[:, 0].argmax())
        opened.apply({"op": "name", "pose": [0, standing], "name": "Bea"})
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "run")


def test_a_row_for_each_person_and_frame_with_its_time(made: Path) -> None:
    table = pt.angles(made)
    assert list(table)[:6] == ["frame", "time_s", "track_id", "name", "interpolated", "facing"]
    assert table.groupby("name", sort=False).size().to_dict() == {"": 40, "Bea": 60}
    assert table["time_s"].to_numpy() == pytest.approx(table["frame"].to_numpy() / 30, abs=1e-6)
    assert {"knee_left_deg", "trunk_deg", "left_wrist_px_per_s", "centre_px_per_s"} <= set(table)
    assert "ankle_left_deg" not in table  # the skeleton has no feet


def test_speeds_are_those_of_the_world_also_beside_the_gap(made: Path) -> None:
    table = pt.angles(made, filter_hz=0)
    moving, standing = table[table["name"] == ""], table[table["name"] == "Bea"]
    assert moving["centre_px_per_s"].to_numpy() == pytest.approx(90, abs=1)
    assert standing["centre_px_per_s"].to_numpy() == pytest.approx(0, abs=1)


def test_a_height_makes_them_metres(made: Path) -> None:
    pixels, metres = pt.angles(made, persons=[1]), pt.angles(made, persons=[1], height_m=1.7)
    ratio = metres["centre_m_per_s"] / pixels["centre_px_per_s"]
    assert ratio.std() < 1e-4
    assert 1.7 / ratio.mean() == pytest.approx(100, rel=0.2)  # the height of the box in pixels
    assert "centre_px_per_s" not in metres


def test_people_are_chosen_by_id_or_name(made: Path) -> None:
    assert set(pt.angles(made, persons=["bea"])["name"]) == {"Bea"}
    with pytest.raises(InputError, match="persons: expected ids or names of people of the run, got '7'"):
        pt.angles(made, persons=[7])


def test_the_files_and_the_record(run: Path) -> None:
    pytest.importorskip("matplotlib", reason="comes with the extra plots")
    paths = write_angles(run, AngleSettings(height_m=1.7), parquet=True)
    assert [path.name for path in paths] == ["angles.csv", "angles.parquet", "angles-1.png", "angles-2.png"]
    table = pd.read_csv(run / "angles.csv", keep_default_na=True)
    expected = pt.angles(run, height_m=1.7)
    np.testing.assert_allclose(table.select_dtypes("number"), expected.select_dtypes("number"))
    assert list(pd.read_parquet(run / "angles.parquet")) == list(table)
    record = json.loads((run / "run.json").read_text())
    assert record["angles"]["settings"]["height_m"] == 1.7
    assert record["angles"]["scales"]["1"]["metres_per_pixel"] > 0
    assert record["angles"]["assumptions"]
    assert {path.name for path in paths} <= set(record["files"])

    write_angles(run, AngleSettings(persons="1"), figure="svg")
    assert sorted(path.name for path in run.glob("angles*")) == ["angles-1.svg", "angles.csv"]


def test_new_ids_remove_the_files_and_say_so(run: Path) -> None:
    write_angles(run, figure="none")
    (run / "angles-notes.csv").write_text("mine")
    outcome = follow_poses(run, AssociationSettings(offline=False))
    assert not (run / "angles.csv").exists()
    assert (run / "angles-notes.csv").exists()
    assert any("posetrail angles" in line for line in outcome.warnings)
    assert json.loads((run / "run.json").read_text())["angles"] is None


def test_without_matplotlib_the_table_is_written(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("matplotlib", "tracker.runs.angle_plots"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    notes: list[str] = []
    assert [path.name for path in write_angles(run, on_note=notes.append)] == ["angles.csv"]
    assert any("pip install 'posetrail[plots]'" in line for line in notes)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"filter_hz": 20.0}, "filter_hz: expected below half of 30 samples per second, got 20"),
        ({"height_m": 178.0}, "height_m: expected"),
        ({"source": "4d"}, "source: expected auto, 2d or 3d, got '4d'"),
        ({"source": "3d"}, "posetrail lift"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(made: Path, wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pt.angles(made, **wrong)
